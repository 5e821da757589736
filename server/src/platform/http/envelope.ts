import { sqlState } from "../db.ts";
import { type FieldErrors, Problem } from "../problem.ts";
import { Message, Page } from "./endpoint.ts";

/** The text of a good answer: `{code, message, profiling, data}`, and what lists and messages have instead. */
export function answerText(result: unknown): string {
  if (result instanceof Page) {
    const { count, skip, limit, data, more } = result;
    return JSON.stringify({ code: 200, message: "OK", profiling: null, count, skip, limit, ...more, data });
  }
  if (result instanceof Message) {
    return JSON.stringify({ code: 200, message: result.text, data: result.data });
  }
  return `{"code":200,"message":"OK","profiling":null,"data":${JSON.stringify(result ?? null)}}`;
}

/** An error as it leaves the server. */
export interface Failure {
  status: number;
  message: string;
  errors?: FieldErrors | undefined;
  /** Seconds after which a repeat makes sense. */
  retryAfterSeconds?: number | undefined;
}

/** The text of an error answer; `errors` stands twice because existing clients read it in either place. */
export function failureText(failure: Failure, requestId: string): string {
  const { status, message, errors } = failure;
  const body = { code: status, message, request_id: requestId };
  return JSON.stringify(errors === undefined ? body : { ...body, errors, data: { errors } });
}

const messageOf: Record<number, string> = {
  400: "The request cannot be read",
  408: "The request took too long to arrive",
  413: "The body is larger than this endpoint takes",
  414: "The address is too long",
  415: "The body has a content type that this endpoint does not take",
  417: "The expectation cannot be met",
  431: "The headers of the request are too large",
};

/** What becomes of anything that was thrown. Only a `Problem` speaks for itself; everything else says nothing. */
export function failureOf(error: unknown): Failure {
  if (error instanceof Problem) {
    const { status, message, errors, retryAfterSeconds } = error;
    return { status, message, errors, retryAfterSeconds };
  }
  const { statusCode, code } = error as { statusCode?: unknown; code?: unknown };
  if (typeof statusCode === "number" && typeof code === "string" && code.startsWith("FST_")) {
    if (messageOf[statusCode] !== undefined) return { status: statusCode, message: messageOf[statusCode] };
  }
  return databaseFailure(error) ?? { status: 500, message: "Internal error" };
}

const networkCodes = new Set(["ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EPIPE", "ENOENT", "EHOSTUNREACH"]);
const stateSeconds: Record<string, number> = {
  // The database starts, stops or refuses more connections.
  "57P01": 5,
  "57P02": 5,
  "57P03": 5,
  "53300": 2,
  // No room on the disk, no memory, a standby that only reads: somebody has to act.
  "53100": 60,
  "53200": 30,
  "25006": 30,
  // A statement ran into its time limit, or lost against others five times.
  "57014": 5,
  "40001": 1,
  "40P01": 1,
  "55P03": 1,
};

/** 503 when the database is away, full or overloaded; 400 for text that it cannot hold; else `undefined`. */
function databaseFailure(error: unknown): Failure | undefined {
  for (let depth = 0; depth < 4 && error instanceof Error; depth++, error = error.cause) {
    const state = sqlState(error);
    if (state === "22021" || state === "22P05") {
      return {
        status: 400,
        message: "A text holds a character that cannot be stored (NUL or half a character)",
      };
    }
    const seconds =
      state === undefined ? undefined : (stateSeconds[state] ?? (state.startsWith("08") ? 5 : undefined));
    if (seconds !== undefined) return unavailable(seconds);
    const code = (error as { code?: unknown }).code;
    if (typeof code === "string" && networkCodes.has(code) && "syscall" in error) return unavailable(5);
    // The driver has no code for these.
    if (/^(Connection terminated|timeout exceeded when trying to connect)/.test(error.message)) {
      return unavailable(5);
    }
  }
  return undefined;
}

function unavailable(retryAfterSeconds: number): Failure {
  return { status: 503, message: "The server cannot answer right now; try again", retryAfterSeconds };
}
