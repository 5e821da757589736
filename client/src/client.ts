import { ConnectionError, errorOf } from "./error.ts";
import type { Operations } from "./generated/api.ts";
import { addressOf, type Body, formBody, jsonBody, type QueryValue } from "./request.ts";

export { ApiError, ConnectionError, type FieldErrors } from "./error.ts";
export type { Operations } from "./generated/api.ts";
export type { FileToSend, Form, QueryValue } from "./request.ts";

/** Name of an operation: `GET /meters/{id}`. */
export type Operation = keyof Operations;

/** Operations that answer pages of a list. */
export type ListOperation = {
  [Name in Operation]: Operations[Name]["kind"] extends "list" ? Name : never;
}[Operation];

/** What an operation takes; left out where there is nothing to say. */
export type Input<Name extends Operation> = Optional<"path", Operations[Name]["path"]> &
  Optional<"query", Operations[Name]["query"]> &
  (undefined extends Operations[Name]["body"]
    ? { body?: Operations[Name]["body"] }
    : { body: Operations[Name]["body"] }) & {
    signal?: AbortSignal;
    onProgress?: (sent: number, total: number) => void;
  };

// biome-ignore lint/complexity/noBannedTypes: `{}` fits exactly those objects of which nothing is required
type Optional<Key extends string, Value> = {} extends Value ? { [K in Key]?: Value } : { [K in Key]: Value };

/** The element of a list. */
export type Item<Name extends ListOperation> = Operations[Name]["data"] extends (infer Element)[]
  ? Element
  : never;

/** One page of a list. */
export interface Page<Element> {
  /** How many match, on all pages. */
  count: number;
  skip: number;
  limit: number;
  data: Element[];
}

export interface ClientOptions {
  /** Address of the server, as in `http://localhost:8080`. */
  url: string;
  /** A private token or an OAuth access token. */
  token?: string;
  /** Acts in this subaccount. */
  subaccount?: string;
  /** How often a request is repeated that the server was too busy for (429, 503); 5 unless told otherwise. */
  retriesMax?: number;
  /** Sends requests; `fetch` of the platform unless told otherwise. */
  fetch?: typeof fetch;
  /** Waits; told the milliseconds. */
  wait?: (ms: number, signal?: AbortSignal) => Promise<void>;
}

/** Longest wait that a server may ask for. */
const waitMsMax = 60_000;
/** Elements that a page of `list` asks for: the most that servers give. */
const pageSize = 300;

/** A client of the Metertree API. Everything that it can do, any HTTP client can do. */
export class Client {
  readonly #options: Required<Omit<ClientOptions, "token" | "subaccount">>;
  readonly #headers: Record<string, string>;

  constructor(options: ClientOptions) {
    const { token, subaccount, url, retriesMax = 5 } = options;
    this.#options = {
      url: `${url.replace(/\/+$/, "")}/api/v2`,
      retriesMax,
      fetch: options.fetch ?? ((...call) => fetch(...call)),
      wait: options.wait ?? waitFor,
    };
    this.#headers = {
      accept: "application/json",
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(subaccount === undefined ? {} : { "x-subaccount": subaccount }),
    };
  }

  /**
   * Calls an operation and answers its `data`.
   * @throws ApiError when the server refuses, ConnectionError when it cannot be reached
   */
  async call<Name extends Operation>(
    operation: Name,
    ...[input]: Record<never, never> extends Input<Name> ? [input?: Input<Name>] : [input: Input<Name>]
  ): Promise<Operations[Name]["data"]> {
    const answer = await this.#ask(operation, (input ?? {}) as AnyInput);
    return answer.data as Operations[Name]["data"];
  }

  /** One page of a list, with the number of all elements. */
  async page<Name extends ListOperation>(operation: Name, input?: Input<Name>): Promise<Page<Item<Name>>> {
    const { count, skip, limit, data } = await this.#ask(operation, (input ?? {}) as AnyInput);
    return { count: count!, skip: skip!, limit: limit!, data: data as Item<Name>[] };
  }

  /** All elements of a list, asked for page by page. */
  async *list<Name extends ListOperation>(
    operation: Name,
    input?: Input<Name>,
  ): AsyncGenerator<Item<Name>, void, undefined> {
    const asked = (input ?? {}) as AnyInput;
    for (let skip = Number(asked.query?.skip ?? 0); ; ) {
      const query = { limit: pageSize, ...asked.query, skip };
      const answer = await this.#ask(operation, { ...asked, query });
      const data = answer.data as Item<Name>[];
      yield* data;
      skip += data.length;
      if (data.length === 0 || skip >= answer.count!) return;
    }
  }

  async #ask(operation: Operation, input: AnyInput): Promise<Envelope> {
    const [method, template] = operation.split(" ") as [string, string];
    const address = this.#options.url + addressOf(template, input.path ?? {}, input.query ?? {});
    for (let attempt = 0; ; attempt++) {
      // A body that is a stream can be read once, so each attempt makes its own.
      const response = await this.#send(address, method, input);
      if (response.ok) return envelopeOf(response);
      const error = await errorOf(response);
      const isBusy = response.status === 429 || response.status === 503;
      if (!isBusy || attempt >= this.#options.retriesMax) throw error;
      const seconds = error.retryAfterSeconds ?? 2 ** attempt;
      await this.#options.wait(Math.min(waitMsMax, seconds * 1000), input.signal);
    }
  }

  async #send(address: string, method: string, { body, signal, onProgress }: AnyInput): Promise<Response> {
    const sent = body === undefined ? undefined : bodyOf(body, onProgress);
    const request: RequestInit & { duplex?: "half" } = {
      method,
      headers: { ...this.#headers, ...sent?.headers },
    };
    if (sent !== undefined) request.body = sent.body;
    if (sent?.body instanceof ReadableStream) request.duplex = "half";
    if (signal !== undefined) request.signal = signal;
    try {
      return await this.#options.fetch(address, request);
    } catch (error) {
      if (signal?.aborted === true) throw error;
      const { message } = reasonOf(error);
      throw new ConnectionError(`${new URL(address).origin} cannot be reached: ${message}`, { cause: error });
    }
  }
}

interface AnyInput {
  path?: Record<string, string>;
  query?: Record<string, QueryValue>;
  body?: unknown;
  signal?: AbortSignal;
  onProgress?: (sent: number, total: number) => void;
}

interface Envelope {
  data?: unknown;
  count?: number;
  skip?: number;
  limit?: number;
}

function bodyOf(body: unknown, onProgress: AnyInput["onProgress"]): Body {
  const isForm =
    typeof body === "object" && body !== null && Array.isArray((body as { files?: unknown }).files);
  return isForm ? formBody(body as Parameters<typeof formBody>[0], onProgress) : jsonBody(body);
}

async function envelopeOf(response: Response): Promise<Envelope> {
  try {
    return (await response.json()) as Envelope;
  } catch (error) {
    throw new ConnectionError(`${new URL(response.url).origin} answered no JSON: is it a Metertree server?`, {
      cause: error,
    });
  }
}

/** The innermost reason: `fetch` hides it. */
function reasonOf(error: unknown): Error {
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof AggregateError && cause.errors[0] instanceof Error) return cause.errors[0];
  if (cause instanceof Error) return cause;
  return error instanceof Error ? error : new Error(String(error));
}

/** Waits so long; ends early with the reason of the signal. */
async function waitFor(ms: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
