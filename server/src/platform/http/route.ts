import type { FastifyReply, FastifyRequest } from "fastify";
import type { z } from "zod";
import type { Deps } from "../deps.ts";
import { notFound } from "../problem.ts";
import { readBody } from "./body.ts";
import { type Call, type Caller, type Endpoint, Lasting, Message, Page, type Part, Raw } from "./endpoint.ts";
import { answerText } from "./envelope.ts";
import { readParts } from "./parts.ts";
import { ignoredHeader, makeSearchReader, type Search, unknownParameters } from "./search.ts";
import { parsed } from "./validate.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Who asks, once the gate let the request in. */
    who: Caller | null;
  }
}

type AnyCall = Call<z.ZodType, z.ZodType, z.ZodType> & { who: Caller | null };
type Handler = (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply>;

export interface RouteOptions {
  deps: Deps;
  /** Holds every answer against the schema of its endpoint: for tests, it costs as much as the answer. */
  checkReplies: boolean;
  /** Aborted when the server begins to stop. */
  stopping: AbortSignal;
  gate(request: FastifyRequest, options: { again: boolean }): Promise<Caller | null>;
}

/** Makes the handler of one endpoint: reads and checks what came, calls it, and writes the envelope. */
export function makeHandler(spec: Endpoint, options: RouteOptions): Handler {
  const { deps, checkReplies } = options;
  const readSearch = makeSearchReader(spec);
  const readParams = makeParamsReader(spec);
  const readRequestBody = makeBodyReader(spec);
  return async (request, reply) => {
    const search = readSearch(request.query as URLSearchParams);
    if (search.strict && search.unknown.length > 0) throw unknownParameters(search.unknown);
    const call = new RequestCall(request, reply, { search, options });
    call.params = readParams(request.params);
    if (spec.query !== undefined) call.query = parsed(spec.query, search.known, "query");
    call.body = readRequestBody(request);
    const result = await spec.handle(call, deps);
    if (search.unknown.length > 0) reply.header("X-Ignored-Parameters", ignoredHeader(search.unknown));
    if (checkReplies) checkReply(spec, result);
    return send(request, reply, result);
  };
}

/** One request as its endpoint sees it; what is seldom read is made only when it is read. */
class RequestCall implements AnyCall {
  params: unknown = undefined;
  query: unknown = undefined;
  body: unknown = undefined;
  readonly #request: FastifyRequest;
  readonly #reply: FastifyReply;
  readonly #search: Search;
  readonly #options: RouteOptions;
  #signal: AbortSignal | undefined;

  constructor(
    request: FastifyRequest,
    reply: FastifyReply,
    { search, options }: { search: Search; options: RouteOptions },
  ) {
    this.#request = request;
    this.#reply = reply;
    this.#search = search;
    this.#options = options;
  }

  get who(): Caller | null {
    return this.#request.who;
  }
  get search(): URLSearchParams {
    return this.#search.all;
  }
  get headers() {
    return this.#request.headers;
  }
  get requestId(): string {
    return this.#request.id;
  }
  get remoteAddress(): string {
    return this.#request.ip;
  }
  get parts(): AsyncIterable<Part> {
    return readParts(this.#request);
  }
  get signal(): AbortSignal {
    if (this.#signal === undefined) {
      const gone = new AbortController();
      this.#reply.raw.once("close", () => gone.abort());
      this.#signal = AbortSignal.any([gone.signal, this.#options.stopping]);
    }
    return this.#signal;
  }
  // Handlers take these out of the call, so they are bound to it.
  readonly ignored = (name: string): void => {
    // Readers of filters see every parameter, also those that only the endpoint knows.
    if (Object.hasOwn(this.#search.known, name)) return;
    if (this.#search.strict) throw unknownParameters([name]);
    if (!this.#search.unknown.includes(name)) this.#search.unknown.push(name);
  };
  readonly stillAllowed = async (): Promise<void> => {
    const who = await this.#options.gate(this.#request, { again: true });
    if (who?.accountId !== this.who?.accountId) throw notFound("acts in another account now");
  };
  readonly header = (name: string, value: string): void => {
    this.#reply.header(name, value);
  };
}

/** An id that cannot be one names nothing: 404, as for one that does not exist. Anything else wrong is a 400. */
function makeParamsReader(spec: Endpoint): (params: unknown) => unknown {
  const { params: schema, ids = {} } = spec;
  if (schema === undefined) return (params) => params;
  return (params) => {
    const result = schema.safeParse(params);
    if (result.success) return result.data;
    if (result.error.issues.some((issue: z.core.$ZodIssue) => Object.hasOwn(ids, issue.path.join(".")))) {
      throw notFound("not shaped like an id");
    }
    return parsed(schema, params, "path");
  };
}

function makeBodyReader(spec: Endpoint): (request: FastifyRequest) => unknown {
  const { body: schema } = spec;
  if (schema === undefined || spec.bodyKind === "multipart") return () => undefined;
  // No body at all reads as an object without members, so that the messages name what is missing.
  const absent = schema.safeParse(undefined).success ? undefined : {};
  return (request) => {
    const sent = readBody(request.body as Buffer | undefined, request.headers["content-type"]);
    return parsed(schema, sent === undefined ? absent : sent, "body");
  };
}

function send(request: FastifyRequest, reply: FastifyReply, result: unknown): FastifyReply {
  if (result instanceof Raw) {
    const bytes = result.body;
    // This is how the compressing plugin is told.
    if (result instanceof Lasting) request.headers["x-no-compression"] = "yes";
    reply.code(result.status).type(result.type);
    if (result.status === 304) return reply.send();
    if (isFresh(request, reply)) return reply.code(304).send();
    // Fastify passes buffers on without a copy, other byte arrays not.
    return reply.send(bytes instanceof Uint8Array && !Buffer.isBuffer(bytes) ? asBuffer(bytes) : bytes);
  }
  if (isFresh(request, reply)) return reply.code(304).send();
  return reply.type("application/json; charset=utf-8").send(answerText(result));
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Does the client hold what the handler's `ETag` names already? Weak comparison (RFC 9110, 13.1.2). */
function isFresh(request: FastifyRequest, reply: FastifyReply): boolean {
  const known = request.headers["if-none-match"];
  if (known === undefined || (request.method !== "GET" && request.method !== "HEAD")) return false;
  const tag = reply.getHeader("etag");
  if (typeof tag !== "string" || reply.statusCode !== 200) return false;
  const bare = tag.replace(/^W\//, "");
  return known.split(",").some((item) => item.trim() === "*" || item.trim().replace(/^W\//, "") === bare);
}

/** Throws when an answer is not what the endpoint says of itself. */
function checkReply(spec: Endpoint, result: unknown): void {
  if (result instanceof Raw || result instanceof Message) return;
  const data = result instanceof Page ? result.data : result;
  if (spec.list === true && !(result instanceof Page)) {
    throw new Error(`${spec.method} ${spec.path} is a list and must answer a Page`);
  }
  const wire: unknown = JSON.parse(JSON.stringify(data ?? null));
  const checked = spec.reply.safeParse(wire);
  if (checked.success) return;
  const issues = checked.error.issues.map(
    (issue: z.core.$ZodIssue) => `${issue.path.join(".")}: ${issue.message}`,
  );
  throw new Error(`${spec.method} ${spec.path} answers what its reply schema refuses: ${issues.join("; ")}`);
}
