import { makeScrubber, makeWait, openHttp, secretsIn } from "../collection/collection.ts";
import type {
  Connector,
  FoundMeter,
  ProviderFailure,
  Visit,
  Wanted,
  Words,
} from "../collection/connector.ts";
import type { Egress, EgressAnswer } from "../platform/egress/egress.ts";
import { pause } from "../platform/pause.ts";
import { type Asking, collectInto, memoryOf, noBrowser, noReach, type Told } from "./play.ts";

/** One exchange, whole and with its secrets. */
export interface Exchange {
  method: string;
  url: string;
  headers: Readonly<Record<string, string>>;
  body: string | Uint8Array | undefined;
  /** Undefined when none came. */
  answer: EgressAnswer | undefined;
}

export interface RecordOptions {
  connector: Connector;
  /** Of a customer, checked by the connector's schema. */
  settings: Record<string, unknown>;
  egress: Pick<Egress, "request">;
  /** Epoch milliseconds of the visit; the time goes on from there. */
  now: number;
  signal: AbortSignal;
  /** What is asked for, once the meters are found. */
  wantedOf(found: readonly FoundMeter[]): readonly Wanted[];
  /** Invoices that are fetched; the others are said to be stored already. */
  invoicesMax: number;
  askCode(prompt: Words): Promise<string>;
  /** Told what happens: steps of the connector and requests. */
  show(line: string): void;
}

/** A run as it was, with all its secrets. */
export interface Recording {
  connector: Connector;
  settings: Record<string, unknown>;
  now: number;
  wanted: readonly Wanted[];
  exchanges: Exchange[];
  found: FoundMeter[];
  /** Keys of invoices that were said to be stored; undefined when none were asked for. */
  stored: string[] | undefined;
  codes: string[];
  told: Told;
  failure: ProviderFailure | undefined;
}

/** Runs a connector against its provider and keeps everything that is said, within the limits of the connector. */
export async function record(options: RecordOptions): Promise<Recording> {
  const { connector, settings, now, signal, show } = options;
  const exchanges: Exchange[] = [];
  const codes: string[] = [];
  const asked: string[] = [];
  const refused: string[] = [];
  const stored: string[] | undefined = options.invoicesMax > 0 ? [] : undefined;
  const memory = new Map<string, string>();
  const step: Visit<unknown>["step"] = (name, counts) =>
    show(counts === undefined ? name : `${name} ${JSON.stringify(counts)}`);
  const wait = makeWait({ step, pause: (seconds) => pause(seconds * 1000, signal) });
  const visit: Visit<Record<string, unknown>> = {
    settings,
    // Connectors that an operator sets something up for are not recorded.
    setup: {},
    http: openHttp({
      egress: recorded(options.egress, exchanges),
      scrubber: makeScrubber(secretsIn(connector, settings)),
      now: () => now,
      signal,
      slot: (limit) => pause(60_000 / slowest(connector, limit), signal),
      wait,
      trace: ({ method, url, status, bytes }) =>
        show(`  ${method} ${url}: ${status ?? "no answer"}, ${bytes} bytes`),
    }),
    reach: noReach(signal),
    browser: noBrowser,
    memory: memoryOf(memory),
    async mayAsk(question) {
      asked.push(question);
      return true;
    },
    async askCode(prompt) {
      const code = await options.askCode(prompt);
      codes.push(code);
      return code;
    },
    refused: (key) => void refused.push(key),
    wait,
    step,
    now,
    signal,
  };
  const told: Told = { asked, refused, memory: {} };
  const asking: Asking = { discover: true, wanted: [], found: [] };
  let failure = await collectInto(told, { connector, visit, asking });
  if (failure === undefined) {
    asking.discover = false;
    asking.wanted = options.wantedOf(asking.found);
    if (stored !== undefined) asking.isStored = firstOnly(options.invoicesMax, stored);
    failure = await collectInto(told, { connector, visit, asking });
  }
  return {
    connector,
    settings,
    now,
    wanted: asking.wanted,
    exchanges,
    found: asking.found,
    stored,
    codes,
    told,
    failure,
  };
}

/** Says of all invoices but the first that they are stored, and writes them down. */
function firstOnly(max: number, stored: string[]): (key: string) => Promise<boolean> {
  const fresh = new Set<string>();
  return async (key) => {
    if (fresh.size < max) fresh.add(key);
    if (fresh.has(key)) return false;
    stored.push(key);
    return true;
  };
}

/** Requests a minute that hold for a request. */
function slowest({ limits }: Connector, limit: string | undefined): number {
  return Math.min(limits.perMinute, limits.named?.[limit ?? ""] ?? Number.POSITIVE_INFINITY);
}

/** A way out that keeps what goes through it. */
function recorded(egress: Pick<Egress, "request">, exchanges: Exchange[]): Pick<Egress, "request"> {
  return {
    async request(url, request = {}) {
      const { method = "GET", headers = {}, body } = request;
      const exchange: Exchange = {
        method,
        url: String(url),
        headers,
        // The HTTP of a visit sends texts and bytes, no streams.
        body: body as string | Uint8Array | undefined,
        answer: undefined,
      };
      exchanges.push(exchange);
      exchange.answer = await egress.request(url, request);
      return exchange.answer;
    },
  };
}
