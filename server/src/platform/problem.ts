/** Codes of problems: stable, documented, for programs. Each has one HTTP status. */
export const statusOf = {
  invalid: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  too_large: 413,
  unsupported_type: 415,
  too_many_requests: 429,
  internal: 500,
  unavailable: 503,
} as const;

export type ProblemCode = keyof typeof statusOf;

/** Messages per field, as existing clients read them: `{name: ["is required"]}`. */
export type FieldErrors = Record<string, string[]>;

export interface ProblemOptions {
  /** What only the log may see. */
  inner?: string;
  cause?: unknown;
  /** Validation messages per field. */
  errors?: FieldErrors;
  /** Seconds after which a repeat makes sense; becomes `Retry-After`. */
  retryAfterSeconds?: number;
}

/**
 * The one error of the house. `message` is safe to show to the caller, `code` is for programs, `inner` is for the
 * log only. Everything else that is thrown is a bug and becomes a 500 that says nothing.
 */
export class Problem extends Error {
  readonly code: ProblemCode;
  readonly inner: string | undefined;
  readonly errors: FieldErrors | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(code: ProblemCode, message: string, options: ProblemOptions = {}) {
    super(message, { cause: options.cause });
    this.name = "Problem";
    this.code = code;
    this.inner = options.inner;
    this.errors = options.errors;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }

  get status(): number {
    return statusOf[this.code];
  }
}

/** 404 with the text of the contract; an id of another account gets exactly the same answer. */
export function notFound(inner?: string): Problem {
  return new Problem("not_found", "Resource not found", inner === undefined ? {} : { inner });
}

/** 400 that names one field, what is wrong with it and the remedy. */
export function invalid(field: string, message: string): Problem {
  return new Problem("invalid", `${field}: ${message}`, { errors: { [field]: [message] } });
}
