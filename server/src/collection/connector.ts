/**
 * What a connector is: how to log in to one provider, find a customer's meters there and fetch what they measured. A
 * folder in `connectors/` per provider; it imports this file, the formats and the arithmetic of time, and nothing
 * else. A connector says what kind of failure it met; what follows from it is decided in one table of this folder.
 */
import { z } from "zod";
import type { MeterType } from "../formats/format.ts";
import type { Granularity } from "../platform/granularity.ts";
import { markOf } from "../platform/secret-field.ts";
import type { Reach } from "../platform/transfer/call.ts";

export {
  aside,
  fieldMarks,
  line,
  markOf,
  mask,
  optional,
  optionalSecret,
  secret,
} from "../platform/secret-field.ts";

/** The languages that customers are spoken to in. */
export const languages = ["en", "sv"] as const;
export type Language = (typeof languages)[number];

/** A text in every language. */
export type Words = Readonly<Record<Language, string>>;

/** How a field of the settings is called, and what helps to fill it in. */
export interface FieldWords {
  title: Words;
  hint?: Words;
}

const fieldWords = z.registry<FieldWords>();

/** Gives a field of the settings its name, and a hint when the name is not enough. */
export function titled<Schema extends z.ZodType>(field: Schema, title: Words, hint?: Words): Schema {
  fieldWords.add(field, { title, ...(hint === undefined ? {} : { hint }) });
  return field;
}

/** The words of a field; `undefined` when it has none. */
export function wordsOf(field: z.ZodType): FieldWords | undefined {
  return fieldWords.get(field);
}

/** A day of the calendar: `2026-03-29`. */
export type Day = string;

/** Settings of a connection: what a customer enters. */
export type SettingsShape = z.ZodObject<Record<string, z.ZodType>>;

/** How one provider is asked. */
export interface Connector<Shape extends SettingsShape = SettingsShape> {
  /** Stable, lower case with dashes: its folder, and the provider in the API. */
  name: string;
  /** The provider as people know it. */
  title: string;
  /** ISO 3166 codes of the countries where it delivers; empty for all. */
  countries: readonly string[];
  types: readonly MeterType[];
  granularities: readonly Granularity[];
  /** How far back values are, in days. */
  historyDays: number;
  /** Hours after the end of a period until its values are usually there. */
  latenessHours: number;
  /** Days that are read again each time, because the provider corrects them. */
  correctionDays: number;
  /** Address of the terms that the customer agrees to. */
  terms?: string;
  /** How a customer gets access. */
  help: Words;
  /** Fields that a customer enters: `titled`, secrets made by `secret()`. */
  settings: Shape;
  limits: ProviderLimits;
  /** What the operator of a server sets up for it, under names: who we are there, and addresses. */
  operator?: OperatorSetup;
  /** For a provider at which customers give consent in their browser, instead of telling us a password. */
  consent?: ConsentWay<z.output<Shape>>;
  /** What a run needs beside HTTP. Without it `Visit.browser` is not there. */
  needs?: "browser";
  /** How its browser is set up, with `needs: "browser"`. */
  browser?: BrowserSetup<z.output<Shape>>;
  /** Logs in and yields every meter of the customer. */
  discover(visit: Visit<z.output<Shape>>): AsyncIterable<FoundMeter>;
  /** Logs in and yields what is there of what is wanted. Absent values are simply not yielded. */
  collect(visit: Visit<z.output<Shape>>, wanted: readonly Wanted[]): AsyncIterable<Delivery>;
  /**
   * For a provider that sends files instead of answering questions, in place of `discover` and `collect`: yields each
   * file that lies there, the oldest first, and gets back what became of it; then what it says of itself is stored, and
   * the file can be put away.
   */
  receive?(visit: Visit<z.output<Shape>>): AsyncGenerator<SentFile, Look, FileFate>;
  /**
   * Yields the invoices that the provider shows, without those that `isStored` knows by their key. Asked once a day, after
   * the values.
   */
  invoices?(
    visit: Visit<z.output<Shape>>,
    isStored: (key: string) => Promise<boolean>,
  ): AsyncIterable<InvoiceDocument>;
  /** Gives the access back when the connection is deleted, where the provider has a way to. */
  revoke?(visit: Visit<z.output<Shape>>): Promise<void>;
}

/** What operators set up, in the setting `METERTREE_PROVIDERS`. */
export interface OperatorSetup {
  /** The field of the settings of a connection that holds one of their names. */
  field: string;
  /** What stands under a name. Secrets are made by `secret()`. */
  setup: SettingsShape;
}

/**
 * How customers give consent: their browser is sent to the provider and comes back. That only the one who was sent comes
 * back, once and soon, is looked after before a connector hears of it.
 */
export interface ConsentWay<Settings> {
  /** Where the browser is sent to. `state` must come back with it. */
  address(asked: ConsentAsked & { settings: Settings }): string | Promise<string>;
  /**
   * Makes access of what the browser brought back, at the begin of a run. What it returns is set in the memory, in the
   * same moment in which the consent counts as taken up: a code that is good for one use is never sent twice, except when
   * no answer came.
   * @throws ProviderFailure `consent` when the customer declined, or what came is too old
   */
  take(
    visit: Visit<Settings>,
    asked: ConsentAsked & { answer: URLSearchParams },
  ): Promise<Readonly<Record<string, string>>>;
}

/** A consent that a customer was asked for. */
export interface ConsentAsked {
  /** See `Visit.setup`. */
  setup: Readonly<Record<string, unknown>>;
  /** Unguessable; names the attempt. */
  state: string;
  /** Where the provider sends the browser back to. */
  redirectUri: string;
  /** Secret of the attempt, for PKCE (RFC 7636): 64 hexadecimal digits. */
  verifier: string;
}

/** The browser that a connector needs. */
export interface BrowserSetup<Settings> {
  /**
   * The only hosts that it may go to: `example.com` (ports 80 and 443), `example.com:8443`, `*.example.com` (all below
   * it).
   */
  hosts(settings: Settings): readonly string[];
  /** The language that pages are asked for, such as `sv-SE`. */
  locale: string;
  /** IANA zone in which scripts of pages show times. */
  timezone: string;
}

/** What a provider bears, over all workers of all processes. */
export interface ProviderLimits {
  /** Requests a minute. */
  perMinute: number;
  /** Runs at the same time. */
  atOnce: number;
  /** The same question is refused within so many hours after it was answered. */
  repeatHours?: number;
  /** Tighter limits of some requests, by the name that `HttpRequest.limit` gives: requests a minute. */
  named?: Readonly<Record<string, number>>;
  /** Every customer names a server of their own: one that is away says nothing about those of others. */
  ownServers?: true;
}

/** One run at the provider. */
export interface Visit<Settings> {
  settings: Settings;
  http: Http;
  /** Connections that speak something else than HTTP: through the guarded way out, until the run ends. */
  reach: Reach;
  /** @throws Error at the first use, unless the connector `needs` a browser */
  browser: Browser;
  memory: Memory;
  /**
   * What the operator has set up under the name that the settings hold, checked by `Connector.operator`; empty without it.
   * @throws ProviderFailure `changed` when there is no such thing any more
   */
  setup: Readonly<Record<string, unknown>>;
  /**
   * Asks the customer for the code that the provider has just sent to them; resolves when it is entered.
   * @throws ProviderFailure `code` when nobody entered one within ten minutes
   */
  askCode(prompt: Words): Promise<string>;
  /**
   * With `limits.repeatHours`: may this question be put now? True writes it down, so that it is not put again while the
   * provider would refuse it. Ask just before the request; any text that is the same for the same question will do.
   */
  mayAsk(question: string): Promise<boolean>;
  /**
   * Says that the provider refuses what was asked of a meter, for now, while others are answered: nothing of it counts as
   * answered, and all of it is asked again the next time.
   */
  refused(key: string): void;
  /**
   * Waits because the provider asks to, or has not made ready what was asked for: up to two minutes at a time, a quarter
   * of an hour in a run. `Http.send` does so by itself when the provider is busy.
   * @throws ProviderFailure `busy` for longer waits: the run ends, and the next one begins when that time is over
   */
  wait(seconds: number): Promise<void>;
  /** Tells what is being done, for people who watch; the name is a word or two in lower case, such as `log in`. */
  step(name: string, counts?: Readonly<Record<string, number>>): void;
  /** Epoch milliseconds at the begin of the run. */
  now: number;
  /** Aborted when the run must end. */
  signal: AbortSignal;
}

/** Requests of a visit: through the guarded way out, with cookies, within the limits of the provider. */
export interface Http {
  /**
   * Sends a request; redirects are followed and cookies kept. A provider that is busy (429, or 503 that says when to come
   * back) is waited for and asked again, up to four times.
   * @throws ProviderFailure `unreachable` when no answer comes, or it is a 5xx; `busy` when it stays busy, or asks to be
   *   left alone for longer than `Visit.wait` waits; see `HttpRequest.anyStatus`
   */
  send(url: string, request?: HttpRequest): Promise<HttpAnswer>;
  /** Value of a cookie that would be sent to that address; `undefined` when there is none. */
  cookie(name: string, url: string): string | undefined;
}

export interface HttpRequest {
  /** `GET`, or `POST` when there is a body. */
  method?: string;
  headers?: Readonly<Record<string, string>>;
  /** Added to the address. */
  query?: Readonly<Record<string, string>>;
  /** Body, as a form. */
  form?: Readonly<Record<string, string>>;
  /** Body, as JSON. */
  json?: unknown;
  /** Body as it is. */
  body?: string | Uint8Array;
  /** Redirects that are followed; 5 by default. An answer with one more is returned as it is. */
  redirectsMax?: number;
  /** Longest answer; 20 MB by default. */
  bytesMax?: number;
  /** 60 s by default. */
  timeoutMs?: number;
  /** One of `ProviderLimits.named`, which holds for this request beside that of all. */
  limit?: string;
  /** Answers of every status are returned, at once. */
  anyStatus?: boolean;
}

export interface HttpAnswer {
  /** Where it came from after redirects. */
  url: string;
  status: number;
  /** Names in lower case. */
  headers: Readonly<Record<string, string>>;
  bytes: Uint8Array;
  /** The body as text, by the charset of its header, else UTF-8. */
  text(): string;
  /** The body as JSON. @throws ProviderFailure `changed` when it is none */
  json(): unknown;
}

/**
 * A real browser with one window, for pages that only work in one. It is started when it is first used, in a process
 * of its own, and forgets everything at the end of the visit. Selectors are CSS, and must find exactly one element.
 */
export interface Browser {
  /**
   * Opens an address. What comes is a page, with the elements as scripts have made them as its body, or a file.
   * @throws ProviderFailure `unreachable` and `busy` as `Http.send`, and `unreachable` when the browser has ended;
   *   `changed` when the way leads to another host, or `until` is not shown
   */
  open(url: string, wait?: BrowserWait): Promise<HttpAnswer>;
  /** Writes into a field. @throws ProviderFailure `changed` when it is not there */
  fill(selector: string, value: string): Promise<void>;
  /** Presses a button or a link; what comes is as for `open`. @throws ProviderFailure `changed` when nothing comes */
  press(selector: string, wait?: BrowserWait): Promise<HttpAnswer>;
  /** Value of a cookie that would be sent to that address; `undefined` when there is none. */
  cookie(name: string, url: string): Promise<string | undefined>;
  setCookie(name: string, value: string, url: string): Promise<void>;
}

export interface BrowserWait {
  /** What is shown when all is there, for pages that scripts change; the next page or file by default. */
  until?: string;
  /** 60 s by default. */
  timeoutMs?: number;
  /** Longest page or file; 20 MB by default. */
  bytesMax?: number;
  /** Answers of every status are returned. */
  anyStatus?: boolean;
}

/** A small state that is kept between the runs of a connection, sealed: tokens, what was read. 64 KB in all. */
export interface Memory {
  get(key: string): string | undefined;
  /** Stores at once, whatever becomes of the run; `null` forgets. */
  set(key: string, value: string | null): Promise<void>;
}

/** A meter as a provider shows it. */
export interface FoundMeter {
  /** The provider's own stable key. */
  key: string;
  /** Number of the metering point, null when the provider shows none. */
  ean: string | null;
  /** Register of the point, where several deliver the same metric and the provider names them. */
  channel?: string;
  name?: string;
  address?: string;
  type: MeterType;
  /** IANA zone of its days; the account's when it is left out. */
  timezone?: string;
  representation?: "consumption" | "production" | "net_consumption" | "temperature";
  customer?: { number: string; name: string };
  /** The provider's own words about it, for rules. */
  text?: string;
  metrics: readonly FoundMetric[];
  /** First day of the customer there. */
  from?: Day;
  /** First day on which the customer is not there any more. */
  ended?: Day;
}

export interface FoundMetric {
  metric: string;
  granularities: readonly Granularity[];
}

/** A question to the provider. */
export interface Wanted {
  /** `FoundMeter.key`. */
  key: string;
  metric: string;
  granularity: Granularity;
  /** Epoch milliseconds, half-open; at the bounds of granules of the meter's zone. */
  from: number;
  to: number;
  reason: "new" | "correction" | "gap" | "backfill";
}

/** Values of one meter, metric and granularity, as one document of the provider. */
export interface Delivery {
  key: string;
  metric: string;
  granularity: Granularity;
  /** Starts of granules, epoch milliseconds. */
  starts: readonly number[];
  /** In the unit of the metric; null where the provider says that there is no value (any more). */
  values: readonly (number | null)[];
  /** One for all, or one per value; `measured` when it is left out. */
  quality?: DeliveredQuality | readonly DeliveredQuality[];
  /** What the provider calls the document, and when it made it (epoch ms): the newest wins. */
  document: { id: string; version?: number };
}

/** A file that a provider has sent. */
export interface SentFile {
  /** Where it lies, as people see it; the same at each look: `in/2026-01.csv`. */
  place: string;
  /** Its name without folder. */
  name: string;
  /** Changes whenever the content may have: size and time, or what the server calls a version. */
  mark: string;
  reading: FileReading;
  /** It is put away when it was read: what lies at its place the next time is another one, whatever its mark. */
  isPutAway?: boolean;
  /** It may still be being written: it is not read unless its content at this mark is known. */
  mayGrow?: boolean;
  /**
   * Its content. Asked for once at most, and not at all when place and mark are known.
   * @throws ProviderFailure
   */
  content(): AsyncIterable<Uint8Array>;
}

/** How a file is read, where it does not say so itself. */
export interface FileReading {
  /** Name of a saved mapping, for tables. */
  mapping?: string;
  /** Number of the metering point of files that name none. */
  meter?: string;
  /** Unit of values whose file names none. */
  unit?: string;
  /** IANA zone of times; that of the account when neither this nor the file says one. */
  timezone?: string;
}

/**
 * What became of a file. `stored`: its values are. `known`: the same content was stored before. `refused`: it cannot
 * be read, an issue says why, and it must be left where it lies. `waiting`: it may grow, and is looked at again soon.
 */
export type FileFate = "stored" | "known" | "refused" | "waiting";

/** How a look for files went. */
export interface Look {
  /** Every file that lies there was yielded. */
  isWhole: boolean;
}

/** An invoice as the provider hands it out: PDF or e-invoice. The same content twice is one invoice. */
export interface InvoiceDocument {
  /** The provider's stable key, of at most 200 characters; another one for another version of it. */
  key: string;
  fileName: string;
  content: Uint8Array;
}

export type DeliveredQuality = "measured" | "estimated" | "calculated" | "substituted" | "unknown";

/**
 * Kinds of failure. `credentials`: login or token is refused. `code`: no or a wrong code. `consent`: access was
 * withdrawn or has run out. `person`: the login works, and the pages want something that only a person can do, such as
 * to read a picture. `unreachable`: no answer, or an error of theirs. `busy`: come back later. `changed`: an answer that
 * we do not know. `ended`: the contract is over.
 */
export const failureKinds = [
  "credentials",
  "code",
  "consent",
  "person",
  "unreachable",
  "busy",
  "changed",
  "ended",
] as const;
export type FailureKind = (typeof failureKinds)[number];

export interface ProviderFailureOptions {
  /** When the provider says to come back. */
  retryAfterSeconds?: number;
  /** With `changed`: the page that was not understood; secrets are taken out before it is kept. */
  page?: string;
  /**
   * With `changed`: it was the answer to a login, and may have been a refusal. Credentials with two such answers are not
   * sent again until a person asks for it.
   */
  isLogin?: boolean;
  /** It was this server that failed, such as its browser: the run is repeated once before anybody hears of it. */
  isOwn?: boolean;
  cause?: unknown;
}

/** The one error of connectors. `message` is for the connector's author, in English, and holds no secret. */
export class ProviderFailure extends Error {
  readonly kind: FailureKind;
  readonly retryAfterSeconds: number | undefined;
  readonly page: string | undefined;
  readonly isLogin: boolean;
  readonly isOwn: boolean;

  constructor(kind: FailureKind, message: string, options: ProviderFailureOptions = {}) {
    super(message, { cause: options.cause });
    this.name = "ProviderFailure";
    this.kind = kind;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.page = options.page;
    this.isLogin = options.isLogin ?? false;
    this.isOwn = options.isOwn ?? false;
  }
}

/**
 * Defines a connector: the parts check each other's types, and its description is held against the rules.
 * @throws Error that names what is missing
 */
export function connector<Shape extends SettingsShape>(description: Connector<Shape>): Connector {
  const { name, settings, limits } = description;
  const fail = (what: string): never => {
    throw new Error(`connector ${name}: ${what}`);
  };
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name)) fail("the name must be words joined by dashes");
  const shown = [settings, ...(description.operator === undefined ? [] : [description.operator.setup])];
  for (const [field, schema] of shown.flatMap(({ shape }) => Object.entries(shape))) {
    const words = wordsOf(schema);
    if (words === undefined || languages.some((each) => words.title[each].trim() === "")) {
      fail(`the field ${field} needs a title in ${languages.join(" and ")}: titled(…)`);
    }
    if (/password|secret|token(?!_endpoint)|api_?key/i.test(field) && markOf(schema).secret === undefined) {
      fail(`the field ${field} must be made by secret()`);
    }
  }
  const { operator } = description;
  if (operator !== undefined && settings.shape[operator.field] === undefined) {
    fail(`the settings have no field ${operator.field}, by which the operator's setup is named`);
  }
  if (languages.some((each) => description.help[each].trim() === "")) fail("help is missing");
  if (description.types.length === 0 || description.granularities.length === 0) {
    fail("types and granularities must not be empty");
  }
  const perMinute = [limits.perMinute, ...Object.values(limits.named ?? {})];
  if (!perMinute.every((each) => each >= 1) || !(limits.atOnce >= 1))
    fail("limits must let one request through");
  if ((description.needs === "browser") !== (description.browser !== undefined)) {
    fail('needs: "browser" and browser: {…} belong together');
  }
  return description as unknown as Connector;
}
