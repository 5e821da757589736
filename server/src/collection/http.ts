import { type Egress, type EgressAnswer, failureOf } from "../platform/egress/egress.ts";
import { stopwatch } from "../platform/pause.ts";
import { type Http, type HttpAnswer, type HttpRequest, ProviderFailure } from "./connector.ts";
import { type Cookies, cookieJar } from "./cookies.ts";
import { type Scrubber, shownAddress } from "./scrub.ts";
import { secretsOfAnswer, secretsOfRequest } from "./talk-secrets.ts";

/** A request of a run, as its trace tells it: without headers, bodies and secrets. */
export interface TraceLine {
  /** Epoch milliseconds. */
  at: number;
  method: string;
  url: string;
  /** Null when no answer came. */
  status: number | null;
  ms: number;
  bytes: number;
}

export interface HttpOptions {
  egress: Pick<Egress, "request">;
  /** Learns cookies, which are secrets. */
  scrubber: Scrubber;
  now(): number;
  signal: AbortSignal;
  /**
   * Waits until the provider bears a further request, see `HttpRequest.limit`.
   * @throws ProviderFailure `busy` when that takes too long
   */
  slot(limit: string | undefined): Promise<void>;
  /** Waits for a provider that is busy, see `Visit.wait`; without it nobody waits. */
  wait?(seconds: number): Promise<void>;
  trace?(line: TraceLine): void;
}

const redirectsUsual = 5;
/** A request is sent again so often when the provider is busy; without a word of its own after 5, 10, 20 and 40 s. */
export const busyMax = 4;
export const busySecondsFirst = 5;
const bytesUsual = 20_000_000;
const timeoutUsual = 60_000;
/** How Metertree introduces itself to providers. */
export const userAgent = "Metertree (meter data collection for the customer)";
/** Headers that another origin gets after a redirect. */
const harmless = new Set(["accept", "accept-language", "content-type", "user-agent"]);

/** The requests of one visit. */
export function openHttp(options: HttpOptions): Http {
  const cookies = cookieJar(options.now);
  return {
    cookie: (name, url) => {
      const address = URL.parse(url);
      return address === null ? undefined : cookies.value(name, address);
    },
    async send(address, request = {}) {
      options.scrubber.add(...secretsOfRequest(request));
      let hop = firstHop(address, request);
      const { redirectsMax = redirectsUsual } = request;
      for (let redirects = 0; ; redirects++) {
        const answer = await patiently(hop, request, { ...options, cookies });
        const next = redirects < redirectsMax ? nextHop(hop, answer) : undefined;
        if (next === undefined) return checked(answerOf(hop.url, answer), request, options.now());
        hop = next;
      }
    },
  };
}

interface Hop {
  url: URL;
  method: string;
  headers: Record<string, string>;
  body: string | Uint8Array | undefined;
}

function firstHop(address: string, request: HttpRequest): Hop {
  const url = URL.parse(address);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new Error(`no http or https address: ${address.slice(0, 100)}`);
  }
  for (const [name, value] of Object.entries(request.query ?? {})) url.searchParams.set(name, value);
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers ?? {})) headers[name.toLowerCase()] = value;
  let { body } = request;
  if (request.form !== undefined) {
    body = new URLSearchParams(request.form).toString();
    headers["content-type"] ??= "application/x-www-form-urlencoded";
  } else if (request.json !== undefined) {
    body = JSON.stringify(request.json);
    headers["content-type"] ??= "application/json";
  }
  return { url, method: request.method ?? (body === undefined ? "GET" : "POST"), headers, body };
}

/** One hop; repeated while the provider is busy and may be waited for. */
async function patiently(
  hop: Hop,
  request: HttpRequest,
  options: HttpOptions & { cookies: Cookies },
): Promise<EgressAnswer> {
  const { cookies, scrubber, wait, now } = options;
  for (let times = 0; ; times++) {
    const cookie = cookies.header(hop.url);
    const headers = { "user-agent": userAgent, ...hop.headers, ...(cookie === "" ? {} : { cookie }) };
    const answer = await exchange({ ...hop, headers }, request, options);
    cookies.take(hop.url, answer.headers["set-cookie"]);
    scrubber.add(...cookies.values(), ...secretsOfAnswer(answer));
    if (request.anyStatus === true || wait === undefined || times === busyMax || !isBusy(answer))
      return answer;
    await wait(secondsOf(answer.headers["retry-after"], now()) ?? busySecondsFirst * 2 ** times);
  }
}

async function exchange(hop: Hop, request: HttpRequest, options: HttpOptions): Promise<EgressAnswer> {
  await options.slot(request.limit);
  const { url, method, headers, body } = hop;
  const at = options.now();
  const elapsed = stopwatch();
  let answer: EgressAnswer | undefined;
  try {
    answer = await options.egress.request(url, {
      method,
      headers,
      ...(body === undefined ? {} : { body }),
      timeoutMs: request.timeoutMs ?? timeoutUsual,
      bytesMax: request.bytesMax ?? bytesUsual,
      signal: options.signal,
    });
  } catch (error) {
    // A run that was ended is no failure of the provider.
    if (options.signal.aborted) throw options.signal.reason;
    const { message } = failureOf(error);
    throw new ProviderFailure("unreachable", message, { cause: error });
  } finally {
    options.trace?.({
      at,
      method,
      url: shownAddress(url.href, options.scrubber),
      status: answer?.status ?? null,
      ms: Math.round(elapsed()),
      bytes: answer?.body.length ?? 0,
    });
  }
  return answer;
}

/** Where an answer sends us on to. `https` never leads to `http`, and another origin gets no credentials. */
function nextHop(hop: Hop, { status, headers }: EgressAnswer): Hop | undefined {
  if (![301, 302, 303, 307, 308].includes(status) || headers.location === undefined) return undefined;
  const url = URL.parse(headers.location, hop.url.href);
  if (url === null || !/^https?:$/.test(url.protocol)) return undefined;
  if (hop.url.protocol === "https:" && url.protocol !== "https:") return undefined;
  const kept =
    url.origin === hop.url.origin
      ? hop.headers
      : Object.fromEntries(Object.entries(hop.headers).filter(([name]) => harmless.has(name)));
  if (status === 307 || status === 308) {
    // A form that was meant for one server is not shown to another.
    return url.origin === hop.url.origin || hop.body === undefined
      ? { ...hop, url, headers: kept }
      : undefined;
  }
  const { "content-type": _, ...rest } = kept;
  return { url, method: hop.method === "HEAD" ? "HEAD" : "GET", headers: rest, body: undefined };
}

/** An answer as connectors see it. */
export function answerOf(url: URL, { status, headers, body }: EgressAnswer): HttpAnswer {
  const text = () => decoderOf(headers["content-type"]).decode(body);
  return {
    url: url.href,
    status,
    headers,
    bytes: body,
    text,
    json() {
      try {
        return JSON.parse(text());
      } catch (error) {
        throw new ProviderFailure("changed", `${url.host} answered with something that is no JSON`, {
          cause: error,
          page: text(),
        });
      }
    },
  };
}

function decoderOf(type = ""): { decode(bytes: Uint8Array): string } {
  const label = /charset=["']?([\w-]+)/i.exec(type)?.[1] ?? "utf-8";
  try {
    return new TextDecoder(label);
  } catch {
    return new TextDecoder();
  }
}

function isBusy({ status, headers }: Pick<EgressAnswer, "status" | "headers">): boolean {
  return status === 429 || (status === 503 && headers["retry-after"] !== undefined);
}

/**
 * Keeps back answers that say nothing about the request: the provider is away, or wants to be left alone for a while.
 * @throws ProviderFailure `unreachable` or `busy`; see `Http.send`
 */
export function checked(
  answer: HttpAnswer,
  { anyStatus = false }: Pick<HttpRequest, "anyStatus">,
  now: number,
): HttpAnswer {
  const { status, headers, url } = answer;
  if (anyStatus || (status < 500 && status !== 429)) return answer;
  const wait = secondsOf(headers["retry-after"], now);
  const options = wait === undefined ? {} : { retryAfterSeconds: wait };
  throw new ProviderFailure(
    isBusy(answer) ? "busy" : "unreachable",
    `${new URL(url).host} answered ${status}`,
    options,
  );
}

/** What `Retry-After` says: seconds, or a time. */
function secondsOf(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header.trim())) return Number(header);
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, Math.ceil((at - now) / 1000));
}
