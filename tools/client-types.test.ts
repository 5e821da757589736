import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { clientTypes, typesPath } from "./client-types.ts";

test("the types of the client are those of the endpoints: npm run client:types writes them", () => {
  expect(readFileSync(typesPath, "utf8")).toBe(clientTypes());
});

test("schemas become types", () => {
  const text = clientTypes({
    components: {
      schemas: { Tree: { type: "object", properties: { child: { $ref: "#/components/schemas/Tree" } } } },
    },
    paths: {
      "/things/{id}": {
        put: {
          summary: "Changes */ a thing",
          parameters: [
            { name: "id", in: "path", required: true, schema: { type: "string" } },
            { name: "kind", in: "query", required: false, schema: { enum: ["a", "b", null] } },
            { name: "filters", in: "query", required: false, schema: { type: "object" } },
          ],
          requestBody: {
            required: true,
            content: {
              "application/json": {
                schema: {
                  type: "object",
                  required: ["name"],
                  properties: {
                    name: { type: ["string", "null"] },
                    "odd-name": { type: "array", items: { anyOf: [{ type: "integer" }, { const: false }] } },
                    place: {
                      type: "array",
                      prefixItems: [{ type: "number" }, { type: "number" }],
                      items: false,
                    },
                  },
                },
              },
            },
          },
          responses: {
            200: {
              content: {
                "application/json": {
                  schema: {
                    allOf: [
                      { $ref: "#/components/schemas/ListEnvelope" },
                      {
                        properties: { data: { type: "array", items: { $ref: "#/components/schemas/Tree" } } },
                      },
                    ],
                  },
                },
              },
            },
          },
        },
      },
    },
  });
  expect(text).toContain("export type Tree = { child?: Tree };");
  expect(text).toContain("/** Changes * / a thing */");
  expect(text).toContain('"PUT /things/{id}": { kind: "list"; path: { id: string };');
  expect(text).toContain('query: { kind?: "a" | "b" | null } & Record<string, QueryValue>;');
  expect(text).toContain(
    'body: { name: string | null; "odd-name"?: (number | false)[]; place?: [number, number] };',
  );
  expect(text).toContain("data: Tree[] };");
});
