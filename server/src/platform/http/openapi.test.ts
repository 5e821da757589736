import { expect, test } from "vitest";
import { z } from "zod";
import { testSettings } from "../../../../test/harness/api.ts";
import { probeEndpoints } from "../../../../test/harness/probe.ts";
import { type Endpoint, endpoint } from "./endpoint.ts";
import { openApi, operationId } from "./openapi.ts";
import { accountId, boolean, commaList, id, integer, timestamp } from "./schema.ts";

const Meter = z.object({ _id: id(), name: z.string().nullable() }).meta({ id: "Meter" });
const Node = z.object({
  _id: id(),
  get children() {
    return z.array(Node);
  },
});
const Named = z
  .object({
    _id: id(),
    get parent() {
      return Named.nullable();
    },
  })
  .meta({ id: "Named" });

const base = { access: "basic", summary: "s" } as const;
const endpoints: Endpoint[] = [
  ...probeEndpoints,
  endpoint({
    ...base,
    method: "GET",
    path: "/meters",
    list: true,
    filters: () => true,
    reply: z.array(Meter),
    handle: () => undefined,
  }),
  endpoint({
    ...base,
    method: "GET",
    path: "/accounts/:id/meters/:meter_id",
    params: z.object({ id: accountId(), meter_id: id() }),
    query: z
      .object({
        metrics: commaList(z.string()),
        deep: boolean().optional(),
        n: integer({ min: 1 }).default(5),
        at: timestamp(),
      })
      .refine(() => true),
    reply: z.object({ meter: Meter, tree: Node }),
    examples: { reply: { meter: { _id: "5d1c9f2a8b3e4c0017a6d2f1", name: null }, tree: null } },
    handle: () => undefined,
  }),
  endpoint({
    ...base,
    method: "POST",
    path: "/nodes",
    body: Node,
    reply: Named,
    examples: { body: { _id: "5d1c9f2a8b3e4c0017a6d2f1", children: [] } },
    handle: () => undefined,
  }),
  endpoint({
    ...base,
    method: "POST",
    path: "/imports",
    bodyKind: "multipart",
    reply: z.any(),
    handle: () => undefined,
  }),
];

const document = JSON.parse(JSON.stringify(openApi({ endpoints, version: "1.2.3", settings: testSettings })));

function walk(value: unknown, visit: (key: string, value: unknown) => void): void {
  if (typeof value !== "object" || value === null) return;
  for (const [key, member] of Object.entries(value)) {
    visit(key, member);
    walk(member, visit);
  }
}

test("is OpenAPI 3.1 with both roots", () => {
  expect(document.openapi).toBe("3.1.0");
  expect(document.info).toMatchObject({ title: "Metertree", version: "1.2.3" });
  expect(document.servers).toEqual([{ url: "/api/v2" }, { url: "/api/2.0" }]);
});

test("every endpoint is there, with an id of its own", () => {
  const ids = new Set<string>();
  for (const spec of endpoints) {
    const path = spec.path.replace(/:(\w+)/g, "{$1}");
    const operation = document.paths[path]?.[spec.method.toLowerCase()];
    expect(operation?.operationId, `${spec.method} ${spec.path}`).toBe(operationId(spec));
    expect(operation.responses["200"].content["application/json"].schema).toBeDefined();
    ids.add(operation.operationId);
    for (const [, name] of path.matchAll(/\{(\w+)\}/g)) {
      expect(operation.parameters).toContainEqual(
        expect.objectContaining({ name, in: "path", required: true }),
      );
    }
  }
  expect(ids.size).toBe(endpoints.length);
});

test("every reference leads somewhere, and there is no other dialect in it", () => {
  let count = 0;
  walk(document, (key, value) => {
    expect(["$schema", "$defs", "nullable"]).not.toContain(key);
    if (key !== "$ref") return;
    count++;
    const [hash, ...path] = String(value).split("/");
    expect(hash).toBe("#");
    expect(
      path.reduce((place, part) => place?.[part], document),
      String(value),
    ).toBeDefined();
  });
  expect(count).toBeGreaterThan(50);
});

test("named schemas are shared, those that hold themselves refer to themselves", () => {
  const { schemas } = document.components;
  expect(schemas.Meter.properties._id.pattern).toBe("^[0-9a-f]{24}$");
  const list = document.paths["/meters"].get.responses["200"].content["application/json"].schema;
  expect(list.allOf[0].$ref).toBe("#/components/schemas/ListEnvelope");
  expect(list.allOf[1].properties.data.items.$ref).toBe("#/components/schemas/Meter");
  const body = document.paths["/nodes"].post.requestBody.content["application/json"].schema;
  expect(schemas[body.$ref.split("/").pop()].properties.children.items.$ref).toBe(body.$ref);
  expect(schemas.Named.properties.parent.anyOf[0].$ref).toBe("#/components/schemas/Named");
});

test("parameters say their type, their default and whether they are needed", () => {
  const { parameters } = document.paths["/accounts/{id}/meters/{meter_id}"].get;
  const byName = Object.fromEntries(parameters.map((entry: { name: string }) => [entry.name, entry]));
  expect(byName.meter_id.schema).toMatchObject({ type: "string", pattern: "^[0-9a-f]{24}$" });
  expect(byName.metrics).toMatchObject({ in: "query", required: true });
  expect(byName.deep).toMatchObject({ required: false, schema: { type: "boolean" } });
  expect(byName.n).toMatchObject({ required: false, schema: { type: "integer", minimum: 1, default: 5 } });
  expect(byName.at.schema.type).toBe("string");
  const names = document.paths["/meters"].get.parameters.map((entry: { name: string }) => entry.name);
  expect(names).toEqual(["skip", "limit", "sort", "q", "filters"]);
});

test("says who may", () => {
  const security = (path: string, method: string) => document.paths[path][method].security;
  expect(security("/meters", "get")).toEqual([
    { bearer: ["basic"] },
    { session: [] },
    { queryToken: ["basic"] },
  ]);
  expect(security("/nobody", "post")).toEqual([]);
  expect(security("/list", "get")[0]).toEqual({});
  expect(security("/person", "get")).toEqual([{ session: [] }]);
  const schemes = Object.keys(document.components.securitySchemes);
  expect(schemes).toEqual(["bearer", "session", "queryToken"]);
  walk(document.paths, (key, value) => {
    if (key === "security")
      for (const way of value as object[]) expect(schemes).toEqual(expect.arrayContaining(Object.keys(way)));
  });
  const without = openApi({ endpoints, version: "1", settings: { ...testSettings, tokenInQuery: false } });
  expect(JSON.stringify(without)).not.toContain("queryToken");
});

test("both shapes of errors have an example that is one", () => {
  const { responses } = document.components;
  for (const [name, response] of Object.entries<{
    content: Record<string, { example: { code: number; errors?: unknown; data?: unknown } }>;
  }>(responses)) {
    const { example } = response.content["application/json"]!;
    expect(name).toBe(`Error${example.code}`);
    expect(example).toMatchObject({ message: expect.any(String), request_id: expect.any(String) });
    if (example.code === 400) expect(example.data).toEqual({ errors: example.errors });
    else expect(example).not.toHaveProperty("errors");
  }
});

test("examples of bodies and answers stand where they are looked for", () => {
  const body = document.paths["/nodes"].post.requestBody.content["application/json"];
  expect(body.example).toEqual({ _id: "5d1c9f2a8b3e4c0017a6d2f1", children: [] });
  const answer =
    document.paths["/accounts/{id}/meters/{meter_id}"].get.responses["200"].content["application/json"];
  expect(answer.example).toMatchObject({ code: 200, message: "OK", data: { meter: { name: null } } });
});

test("a form is multipart, an answer without data has none", () => {
  expect(Object.keys(document.paths["/imports"].post.requestBody.content)).toEqual(["multipart/form-data"]);
  const deleted = document.paths["/things/{id}"].delete.responses["200"].content["application/json"].schema;
  expect(deleted).toEqual({ $ref: "#/components/schemas/MessageEnvelope" });
});

test("two endpoints of one name are a mistake", () => {
  const twice = ["/a/b_c", "/a/b-c"].map((path) => ({ ...endpoints[0]!, path }));
  expect(() => openApi({ endpoints: twice, version: "1", settings: testSettings })).toThrow("getABC");
});
