import type { FastifyRequest } from "fastify";
import type { Deps } from "../deps.ts";
import { Problem } from "../problem.ts";
import { type Caller, type Endpoint, roles } from "./endpoint.ts";
import { addressKey, type RateLimit } from "./rate-limit.ts";

/** What a request shows to say who asks. */
export interface Credential {
  /** `Bearer <token>`, whichever of the two schemes was sent in which case; other schemes as they came. */
  authorization: string | null;
  /** From `?access_token=`, where that is allowed. */
  accessToken: string | null;
  /** Value of the session cookie. */
  cookie: string | null;
  /** `X-Subaccount` and `X-Organization`: the account to act in. */
  subaccount: string | null;
  organization: string | null;
  /** Address of the client, from the proxy's header only when the proxy is trusted. */
  remoteAddress: string;
}

/** Turns a credential into the one who asks; `null` when it is wrong, expired or revoked. */
export type Authenticate = (credential: Credential, deps: Deps) => Promise<Caller | null>;

/** Name of the session cookie. */
export const sessionCookieName = "metertree_session";

export interface AccessOptions {
  deps: Deps;
  authenticate: Authenticate;
  rateLimit: RateLimit | null;
  /** Origins besides our own that may use a session. */
  origins: readonly string[];
}

/** Decides for one endpoint: who asks, how fast (unless asked `again` in one request), and whether they may. Throws 401, 403 or 429. */
export function makeGate(spec: Endpoint, options: AccessOptions) {
  const role = spec.role ?? (spec.method === "GET" ? "reader" : "editor");
  const { deps, authenticate } = options;
  return async (request: FastifyRequest, { again = false } = {}): Promise<Caller | null> => {
    const rateLimit = again ? null : options.rateLimit;
    const credential = spec.access === "public" ? null : credentialOf(request);
    if (credential === null) {
      takeFrom(rateLimit, addressKey(request.ip));
      if (spec.access === "public" || spec.access === "optional") return null;
      throw new Problem(
        "unauthenticated",
        "A token is required: send the header Authorization: Bearer <token>",
      );
    }
    const who = await authenticate(credential, deps);
    if (who === null) {
      takeFrom(rateLimit, addressKey(request.ip));
      throw new Problem("unauthenticated", "The token is wrong, expired or revoked");
    }
    takeFrom(rateLimit, who.credentialId);
    if (credential.authorization === null && credential.accessToken === null) {
      checkOrigin(request, options);
    }
    checkRights(who, spec.access, role);
    return who;
  };
}

function takeFrom(rateLimit: RateLimit | null, caller: string): void {
  const seconds = rateLimit === null ? 0 : rateLimit.take(caller);
  if (seconds > 0) {
    throw new Problem("too_many_requests", `Too many requests; try again in ${seconds} s`, {
      retryAfterSeconds: seconds,
    });
  }
}

function checkRights(who: Caller, access: string, role: (typeof roles)[number]): void {
  if (access === "session" && who.kind !== "session") {
    throw new Problem("forbidden", "Only a person who is logged in may do this; a token may not");
  }
  if (who.kind === "session") {
    if (roles.indexOf(who.role) > roles.indexOf(role)) {
      throw new Problem("forbidden", `This needs the role ${role}; yours is ${who.role}`);
    }
  } else if (access !== "optional" && !who.scopes.has(access)) {
    throw new Problem("forbidden", `The token lacks the scope ${access}`);
  }
}

/** A session travels by itself with every request of the browser, so a page of another site must not write with it. */
function checkOrigin(request: FastifyRequest, options: AccessOptions): void {
  if (request.method === "GET" || request.method === "HEAD") return;
  const { origin } = request.headers;
  if (origin === undefined && request.headers["sec-fetch-site"] !== "cross-site") return;
  const own = new URL(options.deps.settings.publicUrl).origin;
  if (origin === own || (origin !== undefined && options.origins.includes(origin))) return;
  if (origin !== undefined && URL.parse(origin)?.host === request.headers.host) return;
  throw new Problem("forbidden", "A page of another site may not write with this session");
}

/** The credential of a request, `null` when it shows none. */
function credentialOf(request: FastifyRequest): Credential | null {
  const { headers } = request;
  const authorization = headers.authorization === undefined ? null : schemeNormalized(headers.authorization);
  const accessToken = request.raw.accessToken ?? null;
  const cookie = headers.cookie === undefined ? null : cookieNamed(headers.cookie, sessionCookieName);
  if (authorization === null && accessToken === null && cookie === null) return null;
  return {
    authorization,
    accessToken,
    cookie,
    subaccount: headerText(headers["x-subaccount"]),
    organization: headerText(headers["x-organization"]),
    remoteAddress: request.ip,
  };
}

function headerText(value: string | string[] | undefined): string | null {
  const text = (Array.isArray(value) ? value[0] : value)?.trim();
  return text === undefined || text === "" ? null : text;
}

/** `OAuth x`, `bearer  x` and `Bearer x` are the same; an empty header is no credential. */
function schemeNormalized(header: string): string | null {
  const text = header.trim();
  const space = text.indexOf(" ");
  if (space === -1) return text === "" ? null : text;
  const scheme = text.slice(0, space).toLowerCase();
  return scheme === "bearer" || scheme === "oauth" ? `Bearer ${text.slice(space + 1).trim()}` : text;
}

/** Value of one cookie of a `Cookie` header. */
export function cookieNamed(header: string, name: string): string | null {
  for (const pair of header.split(";")) {
    const equals = pair.indexOf("=");
    if (equals !== -1 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim() || null;
  }
  return null;
}
