/**
 * Why something could not be handed to another machine, in words for its owner. These are all that a tenant ever
 * sees: what the other side said stays in the log, so that nobody reads a network through our error texts.
 */
export const egressReasons = {
  name_not_found: "The name of the host was not found. Check its spelling.",
  address_refused:
    "The host has an address that is not reached from here. Use a public one, or ask the operator to allow it.",
  no_connection: "There was no connection, or it broke: check host and port, and that the server is running.",
  certificate:
    "The server could not prove who it is: its certificate or host key is expired, unknown or not for this host.",
  login: "The server refused the login. Check user name, password and keys.",
  permission:
    "The server did not allow it there. Check the path, container or mailbox, and the rights of the user.",
  full: "The server has no space left for the file.",
  too_large: "The server sent a longer answer than expected, or found the file too large.",
  server: "The server failed or was busy.",
  other: "The server answered something else than a confirmation.",
} as const;

/** For programs; `egressReasons` has the words. */
export type EgressReason = keyof typeof egressReasons;

/** Whether the same attempt may succeed later by itself, or somebody has to change something first. */
export type Retry = "again" | "stop";

const retryOf: Readonly<Record<EgressReason, Retry>> = {
  name_not_found: "again",
  address_refused: "stop",
  no_connection: "again",
  // Mostly expired, and renewed within hours; nothing was sent.
  certificate: "again",
  // Repeating a wrong password locks accounts.
  login: "stop",
  permission: "stop",
  full: "again",
  too_large: "stop",
  server: "again",
  other: "again",
};

export interface EgressFailureOptions {
  /** For the log only: may quote the other side, never a credential. */
  inner?: string;
  cause?: unknown;
  /** When it is not what the reason says. */
  retry?: Retry;
  /** Seconds that the other side asked to wait. */
  retryAfterSeconds?: number;
}

/** A failed attempt to reach another machine. `message` is one of the fixed texts and safe to show. */
export class EgressFailure extends Error {
  readonly reason: EgressReason;
  readonly inner: string;
  readonly retry: Retry;
  readonly retryAfterSeconds: number | undefined;

  constructor(reason: EgressReason, options: EgressFailureOptions = {}) {
    super(egressReasons[reason], { cause: options.cause });
    this.name = "EgressFailure";
    this.reason = reason;
    this.inner = (options.inner ?? innerOf(options.cause)).slice(0, 1_000);
    this.retry = options.retry ?? retryOf[reason];
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

function innerOf(cause: unknown): string {
  if (!(cause instanceof Error)) return cause === undefined ? "" : String(cause);
  const { code } = cause as NodeJS.ErrnoException;
  return code === undefined ? cause.message : `${code}: ${cause.message}`;
}

const nameCodes = new Set(["ENOTFOUND", "ENODATA", "EAI_AGAIN", "ESERVFAIL", "ENONAME", "EBADNAME"]);
const connectionCodes = new Set([
  ...["ECONNREFUSED", "ECONNRESET", "ECONNABORTED", "ETIMEDOUT", "EPIPE", "ESOCKET", "ECONNECTION"],
  ...["EHOSTUNREACH", "EHOSTDOWN", "ENETUNREACH", "ENETDOWN", "EADDRNOTAVAIL", "ENOTCONN", "ETIMEOUT"],
  ...["UND_ERR_SOCKET", "UND_ERR_CONNECT_TIMEOUT", "UND_ERR_HEADERS_TIMEOUT", "UND_ERR_BODY_TIMEOUT"],
  ...[
    "ERR_STREAM_PREMATURE_CLOSE",
    "ERR_SOCKET_CLOSED",
    "UND_ERR_ABORTED",
    "ABORT_ERR",
    "ERR_STREAM_DESTROYED",
  ],
]);
/** Codes of OpenSSL and Node for a certificate that does not convince, and for talk that is no TLS. */
const tlsCode =
  /^(CERT_|CRL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|INVALID_CA|HOSTNAME_MISMATCH|ERR_TLS_|ERR_SSL_|EPROTO$)/;

/**
 * What went wrong, told from an error of Node or of a library; `fallback` when it cannot be told. An `EgressFailure`
 * anywhere inside is handed out as it is.
 */
export function failureOf(error: unknown, fallback: EgressReason = "other"): EgressFailure {
  const chain = errorsIn(error);
  const known = chain.find((each) => each instanceof EgressFailure);
  if (known !== undefined) return known;
  for (const each of chain) {
    const { code, name } = each as NodeJS.ErrnoException;
    if (name === "TimeoutError" || name === "AbortError") return failed("no_connection", each);
    if (typeof code !== "string") continue;
    if (tlsCode.test(code)) return failed("certificate", each);
    if (nameCodes.has(code)) return failed("name_not_found", each);
    if (connectionCodes.has(code)) return failed("no_connection", each);
  }
  return failed(fallback, error);
}

const failed = (reason: EgressReason, cause: unknown) => new EgressFailure(reason, { cause });

/** The error, its causes and the members of bundles, outermost first. */
function errorsIn(error: unknown, depth = 0): Error[] {
  if (!(error instanceof Error) || depth > 5) return [];
  const inside = error instanceof AggregateError ? error.errors : [];
  return [error, ...[error.cause, ...inside].flatMap((each) => errorsIn(each, depth + 1))];
}

const retryAfterSecondsMax = 86_400;

/** What the HTTP status of an answer means for a delivery; `undefined` for success. */
export function failureOfStatus(
  status: number,
  options: { inner?: string; retryAfter?: string | undefined } = {},
): EgressFailure | undefined {
  if (status >= 200 && status < 300) return undefined;
  const seconds = Number(options.retryAfter ?? "");
  const hasWait = /^\d{1,9}$/.test(options.retryAfter ?? "");
  return new EgressFailure(reasonOfStatus(status), {
    inner: `HTTP ${status}${options.inner === undefined ? "" : `: ${options.inner}`}`,
    ...(hasWait ? { retryAfterSeconds: Math.min(seconds, retryAfterSecondsMax) } : {}),
  });
}

function reasonOfStatus(status: number): EgressReason {
  if (status === 401 || status === 407) return "login";
  if (status === 403 || status === 404 || status === 405 || status === 410) return "permission";
  if (status === 413) return "too_large";
  if (status === 507) return "full";
  return status === 408 || status === 425 || status === 429 || status >= 500 ? "server" : "other";
}
