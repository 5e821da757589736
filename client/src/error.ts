/** Messages per field: `{name: ["is required"]}`. */
export type FieldErrors = Readonly<Record<string, readonly string[]>>;

/** The server refused a request, or failed. */
export class ApiError extends Error {
  /** Equals the HTTP status. */
  readonly code: number;
  readonly errors: FieldErrors;
  /** Names the request in the log of the server. */
  readonly requestId: string | null;
  /** When trying again makes sense, in seconds; null when the server did not say. */
  readonly retryAfterSeconds: number | null;

  constructor(
    message: string,
    about: {
      code: number;
      errors?: FieldErrors;
      requestId?: string | null;
      retryAfterSeconds?: number | null;
    },
  ) {
    super(message);
    this.name = "ApiError";
    this.code = about.code;
    this.errors = about.errors ?? {};
    this.requestId = about.requestId ?? null;
    this.retryAfterSeconds = about.retryAfterSeconds ?? null;
  }
}

/** The server could not be reached, or answered something that is no answer of it. */
export class ConnectionError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "ConnectionError";
  }
}

/** The error that a refused request stands for. */
export async function errorOf(response: Response): Promise<ApiError> {
  const text = await response.text().catch(() => "");
  const body = parsed(text);
  const after = Number(response.headers.get("retry-after") ?? Number.NaN);
  return new ApiError(
    typeof body.message === "string" ? body.message : `The server answered ${response.status}`,
    {
      code: response.status,
      errors: typeof body.errors === "object" && body.errors !== null ? (body.errors as FieldErrors) : {},
      requestId: response.headers.get("x-request-id"),
      retryAfterSeconds: Number.isFinite(after) ? after : null,
    },
  );
}

function parsed(text: string): { message?: unknown; errors?: unknown } {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {};
  }
}
