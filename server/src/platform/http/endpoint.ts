import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";
import type { z } from "zod";
import type { Deps } from "../deps.ts";

/** The two spellings of the API's root; both serve the same endpoints. */
export const apiRoots = ["/api/v2", "/api/2.0"] as const;

/** Rights that a credential can carry. */
export const scopes = [
  "basic",
  "write_trees",
  "write_meters",
  "write_feeds",
  "write_accounts",
  "collection",
] as const;
export type Scope = (typeof scopes)[number];

/** Roles of a person in an account; each includes the ones after it. */
export const roles = ["administrator", "editor", "reader"] as const;
export type Role = (typeof roles)[number];

/** Who asks: made in one place from the credential of a request, and handed to every query. */
export interface Caller {
  readonly kind: "token" | "session" | "oauth";
  /** The account that is acted in. */
  readonly accountId: string;
  /** The account that the credential belongs to; differs from `accountId` under `X-Subaccount` and `X-Organization`. */
  readonly ownAccountId: string;
  /** The person who is logged in, for sessions. */
  readonly actorId: string | null;
  /** The OAuth client, for OAuth tokens. */
  readonly clientId: string | null;
  /** Id of the credential itself; rate limits count per credential. */
  readonly credentialId: string;
  readonly scopes: ReadonlySet<string>;
  readonly role: Role;
}

/** Kinds of objects that an id can name; the other-tenant tests are generated from them. */
export type IdKind =
  | "account"
  | "subaccount"
  | "token"
  | "session"
  | "invitation"
  | "collaborator"
  | "subscriber"
  | "meter"
  | "tree"
  | "meter_or_tree"
  | "import"
  | "mapping"
  | "open_channel"
  | "stream"
  | "webhook"
  | "webhook_delivery"
  | "export"
  | "export_run"
  | "invoice"
  | "invoice_template"
  | "price_model"
  | "price_series"
  | "calculated_metric"
  | "inbox_rule"
  | "meter_source"
  | "meter_event"
  | "connection"
  | "connection_by_link"
  | "connection_run"
  | "connection_file"
  | "issue"
  | "complaint"
  | "complaint_case";

export interface EndpointSpec<
  P extends z.ZodType,
  Q extends z.ZodType,
  B extends z.ZodType,
  Access extends string,
> {
  method: "GET" | "POST" | "PUT" | "DELETE";
  /** Below the API root, with `:name` for ids: `/trees/:id/meters/:meter_id`. */
  path: string;
  /** What a caller needs: a scope, `"public"` for nobody, `"optional"` for a credential that may be absent, `"session"` for a person logged in by password. */
  access: Access;
  /** Least role of a person; sessions only, tokens are bound by scope. Default `reader` for GET, else `editor`. */
  role?: Role;
  /** One sentence for the reference page. */
  summary: string;
  /** More than a sentence, Markdown. */
  description?: string;
  /**
   * Which parameters are ids, and of what: the name in the path, in the query, or of a member of the body at any
   * depth; `body` when the body itself is an id or a list of ids.
   */
  ids?: Record<string, IdKind>;
  params?: P;
  /** Known query parameters. Unknown ones are ignored and named in `X-Ignored-Parameters`, unless `filters` takes them. */
  query?: Q;
  /** Says which other query parameters are filters of the resource (dotted paths). */
  filters?: (name: string) => boolean;
  body?: B;
  /** `multipart` streams files: the handler gets `parts`. */
  bodyKind?: "json" | "multipart";
  /** Most bytes of the body; default 1 MiB. */
  bodyBytesMax?: number;
  /** Schema of `data` in the answer. */
  reply: z.ZodType;
  /** Lists carry `count`, `skip` and `limit`. */
  list?: boolean;
  /** For the reference page: a body that can be sent, and the `data` of an answer; both must fit their schemas. */
  examples?: { body?: unknown; reply?: unknown };
  handle(
    call: Call<P, Q, B> & {
      who: Access extends "public" ? null : Access extends "optional" ? Caller | null : Caller;
    },
    deps: Deps,
  ): Promise<unknown> | unknown;
}

/** One request as a handler sees it: parsed and checked. */
export interface Call<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType> {
  params: z.output<P>;
  query: z.output<Q>;
  body: z.output<B>;
  /** Every query parameter as sent, decoded, repeated keys in order: what filters are read from. */
  search: URLSearchParams;
  headers: IncomingHttpHeaders;
  /** Id of this request, in the log and in every error. */
  requestId: string;
  /** Address of the client, from the proxy header only when the proxy is trusted. */
  remoteAddress: string;
  /** Parts of a multipart body, in order; files are streams that must be read before the next part. */
  parts: AsyncIterable<Part>;
  /** Aborted when the client goes away before the answer, and when the server begins to stop: ends what waits. */
  readonly signal: AbortSignal;
  /** May the caller still do this? For answers that last: throws what the request would be refused with now. */
  stillAllowed(): Promise<void>;
  /** Tells which query parameters were not understood: they end up in `X-Ignored-Parameters`, or in a 400 with `strict=true`. */
  ignored(name: string): void;
  /** Sets a header of the answer. */
  header(name: string, value: string): void;
}

export type Part =
  | { kind: "field"; name: string; value: string }
  | { kind: "file"; name: string; fileName: string; stream: Readable };

/** An endpoint with its types forgotten: what lists of endpoints hold. */
// biome-ignore lint/suspicious/noExplicitAny: the types of params, query and body are checked where the endpoint is defined
export type Endpoint = EndpointSpec<any, any, any, any>;

/** Defines an endpoint; the parts check each other's types. */
export function endpoint<
  P extends z.ZodType = z.ZodUndefined,
  Q extends z.ZodType = z.ZodUndefined,
  B extends z.ZodType = z.ZodUndefined,
  Access extends Scope | "public" | "optional" | "session" = Scope,
>(spec: EndpointSpec<P, Q, B, Access>): Endpoint {
  return spec;
}

/** A page of a list: becomes the list envelope `{code, message, count, skip, limit, data}`. */
export class Page {
  readonly data: unknown[];
  readonly count: number;
  readonly skip: number;
  readonly limit: number;
  /** Further members of the envelope. */
  readonly more: Record<string, unknown>;

  constructor(data: unknown[], paging: { count: number; skip: number; limit: number }, more = {}) {
    this.data = data;
    this.count = paging.count;
    this.skip = paging.skip;
    this.limit = paging.limit;
    this.more = more;
  }
}

/** An answer that is only a message: `{code: 200, message: "Deleted stream."}`. */
export class Message {
  readonly text: string;
  readonly data: unknown;
  constructor(text: string, data?: unknown) {
    this.text = text;
    this.data = data;
  }
}

/** An answer that is sent as it is: bytes that were written already, or a download. */
export class Raw {
  readonly type: string;
  readonly body: Uint8Array | Readable;
  readonly status: number;
  constructor(type: string, body: Uint8Array | Readable, status = 200) {
    this.type = type;
    this.body = body;
    this.status = status;
  }
}

/** A `Raw` that goes on for as long as the client listens: each piece leaves at once, so nothing may compress it. */
export class Lasting extends Raw {}
