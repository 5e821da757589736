import type { Readable } from "node:stream";
import { type Dispatcher, request as send } from "undici";
import { EgressFailure, failureOf } from "./failure.ts";

export interface EgressRequest {
  /** `GET` by default. */
  method?: string;
  headers?: Readonly<Record<string, string>>;
  /** Text, bytes, or a function that opens them anew for each hop. */
  body?: string | Uint8Array | (() => Readable);
  /** For the whole exchange with its redirects; 30 s by default. */
  timeoutMs?: number;
  /** Redirects that are followed; an answer with one more is returned as it is. 0 by default. */
  redirectsMax?: number;
  /** Longest body of an answer; a longer one is a failure. 64 KiB by default. */
  bytesMax?: number;
  /** Only the status and headers matter: the body is thrown away, however long it is or takes. */
  isBodyIgnored?: boolean;
  signal?: AbortSignal;
}

export interface EgressAnswer {
  status: number;
  /** Names in lower case; repeated ones joined by commas. */
  headers: Record<string, string>;
  body: Buffer;
}

/** Headers that another host gets after a redirect: nothing that could let somebody in. */
const harmless = new Set(["accept", "content-encoding", "content-length", "content-type", "user-agent"]);

/**
 * Sends one request and follows redirects by hand, each checked as the first address was. Another origin gets no
 * credentials, `https` never leads to `http`, and a body is sent again except after 303.
 */
export async function sendRequest(
  dispatcher: Dispatcher,
  url: string | URL,
  request: EgressRequest,
): Promise<EgressAnswer> {
  const { timeoutMs = 30_000, redirectsMax = 0 } = request;
  const time = AbortSignal.timeout(timeoutMs);
  const signal = request.signal === undefined ? time : AbortSignal.any([request.signal, time]);
  let hop = firstHop(url, request);
  try {
    for (let redirects = 0; ; redirects++) {
      const answer = await exchange(dispatcher, hop, {
        signal,
        bytesMax: request.isBodyIgnored === true ? null : (request.bytesMax ?? 65_536),
      });
      const next = redirects < redirectsMax ? nextHop(hop, answer) : undefined;
      if (next === undefined) return answer;
      hop = next;
    }
  } catch (error) {
    throw failureOf(error);
  }
}

interface Hop {
  url: URL;
  method: string;
  headers: Record<string, string>;
  body: EgressRequest["body"];
}

/** Credentials in the address become a header, and nothing but the address is left to be logged. */
function firstHop(text: string | URL, request: EgressRequest): Hop {
  const url = URL.parse(String(text));
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new EgressFailure("name_not_found", { inner: "no http or https address", retry: "stop" });
  }
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers ?? {})) headers[name.toLowerCase()] = value;
  if (url.username !== "" || url.password !== "") {
    const login = `${decoded(url.username)}:${decoded(url.password)}`;
    headers.authorization ??= `Basic ${Buffer.from(login).toString("base64")}`;
  }
  return { url: withoutLogin(url), method: request.method ?? "GET", headers, body: request.body };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function withoutLogin(url: URL): URL {
  const bare = new URL(url);
  bare.username = "";
  bare.password = "";
  bare.hash = "";
  return bare;
}

/** Where an answer sends us on to; `undefined` when it does not. */
function nextHop(hop: Hop, answer: EgressAnswer): Hop | undefined {
  const { location } = answer.headers;
  if (![301, 302, 303, 307, 308].includes(answer.status) || location === undefined) return undefined;
  const url = URL.parse(location, hop.url.href);
  const isDowngrade = hop.url.protocol === "https:" && url?.protocol !== "https:";
  if (url === null || isDowngrade || !/^https?:$/.test(url.protocol)) {
    throw new EgressFailure("other", { inner: `redirected to ${url?.protocol ?? "no address"}` });
  }
  const isSame = url.origin === hop.url.origin || isUpgrade(hop.url, url);
  const kept = Object.entries(hop.headers).filter(([name]) => isSame || harmless.has(name));
  const next = { ...hop, url: withoutLogin(url), headers: Object.fromEntries(kept) };
  if (answer.status !== 303) return next;
  const { "content-length": _, "content-type": __, ...headers } = next.headers;
  return { ...next, method: "GET", body: undefined, headers };
}

/** The same host, from the usual port of `http` to that of `https`. */
function isUpgrade(from: URL, to: URL): boolean {
  return from.protocol === "http:" && to.protocol === "https:" && from.host === to.host && to.port === "";
}

async function exchange(
  dispatcher: Dispatcher,
  hop: Hop,
  { signal, bytesMax }: { signal: AbortSignal; bytesMax: number | null },
): Promise<EgressAnswer> {
  const body = typeof hop.body === "function" ? hop.body() : (hop.body ?? null);
  const answer = await send(hop.url, {
    dispatcher,
    method: hop.method as Dispatcher.HttpMethod,
    headers: hop.headers,
    body,
    signal,
  });
  const named = Object.entries(answer.headers).map(([name, value]) => [name, [value].flat().join(", ")]);
  const headers = Object.fromEntries(named);
  if (bytesMax === null) {
    // A short rest leaves the connection to the next request; nobody waits for it.
    void answer.body.dump({ limit: 16_384 }).catch(() => undefined);
    return { status: answer.statusCode, headers, body: Buffer.alloc(0) };
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer.body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    // Leaving the loop ends the connection.
    if (bytes > bytesMax) throw new EgressFailure("too_large", { inner: `more than ${bytesMax} bytes` });
    chunks.push(chunk);
  }
  return { status: answer.statusCode, headers, body: Buffer.concat(chunks) };
}
