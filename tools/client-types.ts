import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { endpoints } from "../server/src/app.ts";
import { openApi } from "../server/src/platform/http/openapi.ts";

/** Where the types lie. */
export const typesPath = fileURLToPath(new URL("../client/src/generated/api.ts", import.meta.url));

interface Schema {
  $ref?: string;
  type?: string | string[];
  const?: unknown;
  enum?: unknown[];
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
  items?: Schema | false;
  prefixItems?: Schema[];
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: Schema | boolean;
}

interface Content {
  content: Record<string, { schema: Schema }>;
}

interface Operation {
  summary: string;
  parameters: { name: string; in: "path" | "query"; required: boolean; schema: Schema }[];
  requestBody?: Content & { required: boolean };
  responses: Record<string, Content>;
}

interface Document {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
}

/** The reference of this server's API. Its settings stand in no type. */
function documentOfServer(): Document {
  const settings = {
    dataDir: "",
    publicUrl: "",
    timezone: "UTC",
    valuesMax: 1,
    pageMax: 1,
    uploadBytesMax: 1,
    expandedBytesMax: 1,
    tokenInQuery: false,
    egressAllow: [],
    smtpUrl: null,
    smtpFrom: "",
    changeDays: 1,
    providers: {},
    deliveryDays: 1,
    browser: { path: null, sandbox: true, memoryBytesMax: 1, atOnce: 1 },
  };
  return openApi({ endpoints, version: "", settings }) as unknown as Document;
}

const opening = `// Written by \`npm run client:types\` from the endpoints of the server: change them there.

import type { Form, QueryValue } from "../request.ts";

`;

/** TypeScript for every operation of the API: what it takes and what \`data\` of its answer is. */
export function clientTypes({ paths, components }: Document = documentOfServer()): string {
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) =>
      operationText(`${method.toUpperCase()} ${path}`, operation),
    ),
  );
  return [
    opening,
    ...namedTypes(components.schemas, operations.join("")),
    "/** Operations by method and path. `kind` tells how `data` of an answer is wrapped. */\n",
    `export interface Operations {\n${operations.join("")}}\n`,
  ].join("");
}

/** Types that stand under a name of their own because they refer to themselves, as far as they are used. */
function namedTypes(schemas: Record<string, Schema>, text: string): string[] {
  return Object.entries(schemas)
    .map(([name, schema]) => ({ name, type: typeOf(schema) }))
    .filter(({ name }) => new RegExp(`\\b${name}\\b(?!")`).test(text))
    .map(({ name, type }) => `export type ${name} = ${type};\n\n`);
}

function operationText(name: string, operation: Operation): string {
  const members = (place: "path" | "query") => {
    const some = operation.parameters.filter(
      (parameter) => parameter.in === place && parameter.name !== "filters",
    );
    const properties = Object.fromEntries(some.map((parameter) => [parameter.name, parameter.schema]));
    const required = some.filter((parameter) => parameter.required).map((parameter) => parameter.name);
    return objectType({ properties, required });
  };
  const hasFilters = operation.parameters.some((parameter) => parameter.name === "filters");
  const known = members("query");
  const query = !hasFilters ? known : known === nothing ? filters : `${known} & ${filters}`;
  const { kind, data } = replyOf(operation);
  return [
    `  /** ${operation.summary.replaceAll("*/", "* /")} */\n`,
    `  "${name}": { kind: "${kind}"; path: ${members("path")}; query: ${query}; body: ${bodyOf(operation)};\n`,
    `    data: ${data} };\n`,
  ].join("");
}

function bodyOf({ requestBody }: Operation): string {
  const [type, about] = Object.entries(requestBody?.content ?? {})[0] ?? [];
  if (about === undefined) return "undefined";
  if (type === "multipart/form-data") return `Form<${typeOf(about.schema)}>`;
  const body = typeOf(about.schema);
  return requestBody!.required ? body : `${body} | undefined`;
}

function replyOf({ responses }: Operation): { kind: "one" | "list" | "message"; data: string } {
  const schema = Object.values(responses[200]!.content)[0]!.schema;
  const [envelope, members] = schema.allOf ?? [schema];
  const kind =
    envelope?.$ref?.endsWith("/ListEnvelope") === true ? "list" : members === undefined ? "message" : "one";
  return { kind, data: members === undefined ? "undefined" : typeOf(members.properties!.data!) };
}

const nothing = "Record<string, never>";
const filters = "Record<string, QueryValue>";

function typeOf(schema: Schema): string {
  if (schema.$ref !== undefined) return schema.$ref.split("/").pop()!;
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return union(schema.enum.map((value) => JSON.stringify(value)));
  const some = schema.anyOf ?? schema.oneOf;
  if (some !== undefined) return union(some.map((each) => typeOf(each)));
  if (schema.allOf !== undefined) return schema.allOf.map((each) => typeOf(each)).join(" & ");
  if (Array.isArray(schema.type)) return union(schema.type.map((type) => typeOf({ ...schema, type })));
  return plainType(schema);
}

function plainType(schema: Schema): string {
  switch (schema.type) {
    case "string":
    case "boolean":
    case "null":
      return schema.type;
    case "integer":
    case "number":
      return "number";
    case "array":
      if (schema.prefixItems !== undefined)
        return `[${schema.prefixItems.map((each) => typeOf(each)).join(", ")}]`;
      return arrayOf(typeOf(schema.items || {}));
    case "object":
      return objectType(schema);
    default:
      return schema.properties === undefined ? "unknown" : objectType(schema);
  }
}

const arrayOf = (item: string) => (/[ |&]/.test(item) && !isObject(item) ? `(${item})[]` : `${item}[]`);
/** One type in braces, and not several. */
const isObject = (text: string) =>
  text.startsWith("{") && !/\} [|&] /.test(text.replaceAll(/(?<=.)\{[^{}]*\}/g, ""));
const union = (types: readonly string[]) => [...new Set(types)].join(" | ");

function objectType({ properties = {}, required = [], additionalProperties }: Schema): string {
  const members = Object.entries(properties).map(([name, schema]) => {
    const key = /^[A-Za-z_]\w{0,100}$/.test(name) ? name : JSON.stringify(name);
    return `${key}${required.includes(name) ? "" : "?"}: ${typeOf(schema)}`;
  });
  if (typeof additionalProperties === "object" && members.length === 0) {
    return `Record<string, ${typeOf(additionalProperties)}>`;
  }
  return members.length === 0 ? nothing : `{ ${members.join("; ")} }`;
}

if (import.meta.main) writeFileSync(typesPath, clientTypes());
