import { z } from "zod";
import type { Settings } from "../deps.ts";
import { sessionCookieName } from "./access.ts";
import { apiRoots, type Endpoint, scopes } from "./endpoint.ts";

type Json = Record<string, unknown>;

export interface ReferenceOptions {
  endpoints: readonly Endpoint[];
  version: string;
  settings: Settings;
}

/** The OpenAPI 3.1 document of the endpoints: made from the very schemas that check requests. */
export function openApi({ endpoints, version, settings }: ReferenceOptions): Json {
  const schemas: Json = { ...commonSchemas };
  const paths: Record<string, Json> = {};
  const seen = new Set<string>();
  for (const spec of endpoints) {
    const id = operationId(spec);
    if (seen.has(id)) throw new Error(`two endpoints share the operation id ${id}`);
    seen.add(id);
    const path = (paths[spec.path.replace(/:(\w{1,64})/g, "{$1}")] ??= {});
    path[spec.method.toLowerCase()] = operation(spec, { id, schemas, settings });
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Metertree",
      version,
      description: introduction,
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: apiRoots.map((root) => ({ url: root })),
    tags: tagsOf(endpoints),
    paths,
    components: { schemas, responses: commonResponses, securitySchemes: securitySchemes(settings) },
  };
}

const introduction = `Answers are wrapped: \`{code, message, profiling, data}\`, lists carry \`count\`, \`skip\` and \`limit\` too.
Errors are \`{code, message, request_id}\`, with \`errors: {field: [message]}\` when fields are wrong; the HTTP status equals \`code\`.

Parameters that an endpoint does not know are ignored and named in the header \`X-Ignored-Parameters\`; with \`?strict=true\` they are an error.`;

/** Stable name of an operation, from its method and path: `GET /trees/:id/meters` is `getTreesByIdMeters`. */
export function operationId(spec: Pick<Endpoint, "method" | "path">): string {
  const words = spec.path.split("/").filter((part) => part !== "");
  const parts = words.map((part) => (part.startsWith(":") ? `By${camel(part.slice(1))}` : camel(part)));
  return spec.method.toLowerCase() + parts.join("");
}

function camel(text: string): string {
  return text
    .split(/[^a-zA-Z0-9]/)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join("");
}

function tagOf(spec: Endpoint): string {
  return spec.path.split("/")[1] ?? "";
}

function tagsOf(endpoints: readonly Endpoint[]): Json[] {
  return [...new Set(endpoints.map(tagOf))].map((name) => ({ name }));
}

interface OperationContext {
  id: string;
  schemas: Json;
  settings: Settings;
}

function operation(spec: Endpoint, context: OperationContext): Json {
  const rights = rightsOf(spec);
  return {
    operationId: context.id,
    tags: [tagOf(spec)],
    summary: spec.summary,
    description: [spec.description, rights].filter((text) => text !== undefined).join("\n\n"),
    security: securityOf(spec, context.settings),
    parameters: parametersOf(spec, context),
    ...bodyOf(spec, context),
    responses: responsesOf(spec, context),
  };
}

function rightsOf(spec: Endpoint): string {
  if (spec.access === "public") return "Open to everybody.";
  if (spec.access === "optional") return "Works without a credential; with one it shows more.";
  const role = spec.role ?? (spec.method === "GET" ? "reader" : "editor");
  if (spec.access === "session") return `Needs a person who is logged in, with the role ${role}.`;
  return `Needs a token with the scope \`${spec.access}\`, or a person with the role ${role}.`;
}

function securityOf(spec: Endpoint, settings: Settings): Json[] {
  if (spec.access === "public") return [];
  if (spec.access === "session") return [{ session: [] }];
  const granted = spec.access === "optional" ? [] : [spec.access];
  const ways: Json[] = [{ bearer: granted }, { session: [] }];
  if (settings.tokenInQuery) ways.push({ queryToken: granted });
  return spec.access === "optional" ? [{}, ...ways] : ways;
}

function securitySchemes(settings: Settings): Json {
  const schemes: Json = {
    bearer: {
      type: "http",
      scheme: "bearer",
      description: `A private token or an OAuth access token. Scopes: ${scopes.join(", ")}.`,
    },
    session: {
      type: "apiKey",
      in: "cookie",
      name: sessionCookieName,
      description: "A person who is logged in.",
    },
  };
  if (settings.tokenInQuery) {
    schemes.queryToken = {
      type: "apiKey",
      in: "query",
      name: "access_token",
      description: "For old clients: a token in an address ends up in many logs. Prefer the header.",
    };
  }
  return schemes;
}

function parametersOf(spec: Endpoint, context: OperationContext): Json[] {
  const parameters: Json[] = [];
  const params = membersOf(spec.params, `${context.id}Path`, context.schemas);
  for (const [, name] of spec.path.matchAll(/:(\w{1,64})/g)) {
    const schema = params.properties[name!] ?? { type: "string" };
    parameters.push({ name, in: "path", required: true, ...described(schema) });
  }
  const query = membersOf(spec.query, `${context.id}Query`, context.schemas);
  for (const [name, schema] of Object.entries(query.properties)) {
    parameters.push({ name, in: "query", required: query.required.includes(name), ...described(schema) });
  }
  if (spec.list === true) parameters.push(...listParameters);
  if (spec.filters !== undefined) parameters.push(filterParameter);
  return parameters;
}

const listParameters: Json[] = [
  ["skip", "How many to leave out from the start.", { type: "integer", minimum: 0, default: 0 }],
  [
    "limit",
    "How many at most; values outside of the bounds are moved to them.",
    { type: "integer", default: 50 },
  ],
  [
    "sort",
    "Fields to sort by, with commas between; `-` in front for the other direction.",
    { type: "string" },
  ],
  ["q", "Words to look for, or `field:value`, joined by ` AND `.", { type: "string" }],
].map(([name, description, schema]) => ({ name, in: "query", required: false, description, schema }));

const filterParameter: Json = {
  name: "filters",
  in: "query",
  required: false,
  style: "form",
  explode: true,
  description:
    "Any field of the resource as a parameter, nested ones with dots: `name=north`, `assigner._id=…`, " +
    "`consumption_stats.energy.month.last=<201503`. `<` and `>` compare, `null` is no value, commas or repeats are alternatives.",
  schema: { type: "object", additionalProperties: { type: "string" } },
};

/** A description belongs to the parameter, not to its schema. */
function described(schema: Json): Json {
  const { description, ...rest } = schema;
  return description === undefined ? { schema: rest } : { description, schema: rest };
}

function membersOf(
  schema: z.ZodType | undefined,
  name: string,
  schemas: Json,
): { properties: Record<string, Json>; required: string[] } {
  if (schema === undefined) return { properties: {}, required: [] };
  const json = jsonSchema(schema, { io: "input", name, schemas });
  const target = typeof json.$ref === "string" ? (schemas[json.$ref.split("/").pop()!] as Json) : json;
  const { properties = {}, required = [] } = target as {
    properties?: Record<string, Json>;
    required?: string[];
  };
  return { properties, required };
}

function bodyOf(spec: Endpoint, context: OperationContext): Json {
  const isMultipart = spec.bodyKind === "multipart";
  if (spec.body === undefined && !isMultipart) return {};
  const schema =
    spec.body === undefined
      ? { type: "object", additionalProperties: true }
      : jsonSchema(spec.body, { io: "input", name: `${context.id}Body`, schemas: context.schemas });
  const example = spec.examples?.body;
  const content = example === undefined ? { schema } : { schema, example };
  const required = spec.body !== undefined && !spec.body.safeParse(undefined).success;
  return {
    requestBody: {
      required,
      content: { [isMultipart ? "multipart/form-data" : "application/json"]: content },
    },
  };
}

function responsesOf(spec: Endpoint, context: OperationContext): Json {
  const isMessage = isNothing(spec.reply);
  const data = isMessage
    ? undefined
    : jsonSchema(spec.reply, { io: "output", name: `${context.id}Reply`, schemas: context.schemas });
  const envelope = {
    $ref: `#/components/schemas/${isMessage ? "MessageEnvelope" : spec.list ? "ListEnvelope" : "Envelope"}`,
  };
  const schema = data === undefined ? envelope : { allOf: [envelope, { properties: { data } }] };
  const responses: Json = {
    200: {
      description: "OK",
      headers: okHeaders,
      content: { "application/json": { schema, ...exampleOf(spec) } },
    },
  };
  const refused = ["400", "429", "500", "503"];
  if (spec.access !== "public") refused.push("401");
  if (spec.access !== "public" && spec.access !== "optional") refused.push("403");
  if (spec.path.includes(":")) refused.push("404");
  if (spec.body !== undefined || spec.bodyKind === "multipart") refused.push("413", "415");
  for (const status of refused) responses[status] = { $ref: `#/components/responses/Error${status}` };
  return responses;
}

function isNothing(schema: z.ZodType): boolean {
  const { type } = (schema as unknown as { def: { type: string } }).def;
  return type === "undefined" || type === "void" || type === "never";
}

function exampleOf(spec: Endpoint): Json {
  const data = spec.examples?.reply;
  if (data === undefined) return {};
  const head = { code: 200, message: "OK", profiling: null };
  if (spec.list !== true) return { example: { ...head, data } };
  return { example: { ...head, count: (data as unknown[]).length, skip: 0, limit: 50, data } };
}

interface SchemaOptions {
  io: "input" | "output";
  /** Under this name it stands among the schemas when it refers to itself. */
  name: string;
  schemas: Json;
}

/** JSON Schema of a zod schema; what it shares or repeats moves to `components/schemas` under a name of its own. */
function jsonSchema(schema: z.ZodType, { io, name, schemas }: SchemaOptions): Json {
  const made = z.toJSONSchema(schema, {
    io,
    unrepresentable: "any",
    cycles: "ref",
    override: showDefault,
  }) as Json;
  const {
    $schema: _,
    $defs = {},
    ...root
  } = made as { $schema?: string; $defs?: Record<string, Json> } & Json;
  const nameOf = (key: string) => (key.startsWith("__") ? `${name}${key.slice(2)}` : key);
  let refersToItself = false;
  const moved = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(moved);
    if (typeof value !== "object" || value === null) return value;
    const copy: Json = {};
    for (const [key, member] of Object.entries(value)) {
      if (key === "$ref" && member === "#") {
        refersToItself = true;
        copy[key] = `#/components/schemas/${name}`;
      } else if (key === "$ref" && typeof member === "string") {
        copy[key] = `#/components/schemas/${nameOf(member.replace("#/$defs/", ""))}`;
      } else copy[key] = moved(member);
    }
    return copy;
  };
  for (const [key, definition] of Object.entries($defs)) schemas[nameOf(key)] = moved(definition);
  const result = moved(root) as Json;
  if (!refersToItself) return result;
  schemas[name] = result;
  return { $ref: `#/components/schemas/${name}` };
}

/** A default behind a conversion from text would stay hidden, because it is written as it is after the conversion. */
function showDefault({ zodSchema, jsonSchema }: { zodSchema: z.core.$ZodType; jsonSchema: Json }): void {
  const { def } = zodSchema._zod as unknown as { def: { type: string; defaultValue?: unknown } };
  if (def.type !== "default") return;
  const value = def.defaultValue;
  if (["string", "number", "boolean"].includes(typeof value)) jsonSchema.default = value;
}

const okHeaders: Json = {
  "X-Request-Id": { description: "Id of the request, as in the log.", schema: { type: "string" } },
  "X-Ignored-Parameters": {
    description: "Parameters that were not understood and had no effect, percent-encoded.",
    schema: { type: "string" },
  },
};

const envelopeProperties = {
  code: { type: "integer", description: "Equals the HTTP status." },
  message: { type: "string" },
  profiling: { type: "null" },
};

const commonSchemas: Json = {
  Envelope: {
    type: "object",
    required: ["code", "message", "profiling", "data"],
    properties: { ...envelopeProperties, data: true },
  },
  ListEnvelope: {
    type: "object",
    required: ["code", "message", "profiling", "count", "skip", "limit", "data"],
    properties: {
      ...envelopeProperties,
      count: { type: "integer", minimum: 0, description: "How many match, on all pages." },
      skip: { type: "integer", minimum: 0 },
      limit: { type: "integer", minimum: 1 },
      data: { type: "array" },
    },
  },
  MessageEnvelope: {
    type: "object",
    required: ["code", "message"],
    properties: { code: envelopeProperties.code, message: envelopeProperties.message },
  },
  Error: {
    type: "object",
    required: ["code", "message", "request_id"],
    properties: {
      code: { type: "integer", description: "Equals the HTTP status." },
      message: { type: "string" },
      request_id: { type: "string", description: "Names the request in the server's log." },
    },
  },
  ValidationError: {
    allOf: [
      { $ref: "#/components/schemas/Error" },
      {
        type: "object",
        properties: {
          errors: { $ref: "#/components/schemas/FieldErrors" },
          data: {
            type: "object",
            description: "The same again, where some clients look for it.",
            properties: { errors: { $ref: "#/components/schemas/FieldErrors" } },
          },
        },
      },
    ],
  },
  FieldErrors: {
    type: "object",
    description: "Messages per field; nested fields with dots.",
    additionalProperties: { type: "array", items: { type: "string" } },
  },
};

const errorTexts: Record<string, [description: string, message: string]> = {
  400: ["Something that was sent is wrong", "limit: must be a number"],
  401: ["The credential is missing, wrong, expired or revoked", "The token is wrong, expired or revoked"],
  403: ["The caller may not do this", "The token lacks the scope write_meters"],
  404: ["There is no such thing, or it belongs to somebody else", "Resource not found"],
  413: ["The body is too large", "The body is larger than this endpoint takes"],
  415: [
    "The body is of a kind that is not taken",
    "The body has a content type that this endpoint does not take",
  ],
  429: ["Too many requests; `Retry-After` says when to go on", "Too many requests; try again in 1 s"],
  500: ["A fault of the server", "Internal error"],
  503: [
    "Not able to answer right now; `Retry-After` says when to go on",
    "The server cannot answer right now; try again",
  ],
};

const commonResponses: Json = Object.fromEntries(
  Object.entries(errorTexts).map(([status, [description, message]]) => {
    const isValidation = status === "400";
    const example: Json = {
      code: Number(status),
      message,
      request_id: "0d9b7d6e-2f0c-4f6a-9d0e-3a1c5b7e9f21",
    };
    if (isValidation) {
      example.errors = { limit: ["must be a number"] };
      example.data = { errors: { limit: ["must be a number"] } };
    }
    const schema = { $ref: `#/components/schemas/${isValidation ? "ValidationError" : "Error"}` };
    return [`Error${status}`, { description, content: { "application/json": { schema, example } } }];
  }),
);
