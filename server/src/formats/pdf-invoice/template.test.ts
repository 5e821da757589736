import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { builtInTemplates } from "./built-in.ts";
import { simple } from "./harness.ts";
import { parseTemplate, templateSchema } from "./template.ts";

const told = (template: unknown): string => {
  try {
    parseTemplate(template);
  } catch (error) {
    expect((error as Error).name).toBe("TemplateError");
    return (error as Error).message;
  }
  return "no mistake";
};

describe("a template's mistakes are told with their place and the remedy", () => {
  const [table] = simple.tables;
  test.for<[object | string, string]>([
    ["{", "The template is no JSON"],
    ["x".repeat(100_001), "longer than 100 kB"],
    [[], "the template: Invalid input: expected object, received array"],
    [{ ...simple, version: 2 }, "version: Invalid input: expected 1"],
    [{ ...simple, name: "My Utility" }, "name: has lower-case letters, digits and -, as in my-utility"],
    [{ ...simple, currency: "kr" }, "currency: is no code of a currency, as in SEK"],
    [{ ...simple, colour: 1 }, 'the template: Unrecognized key: "colour"'],
    [{ ...simple, dates: ["dd/mm/yyyy"] }, "dates[0]: is no pattern of a day or month"],
    [{ ...simple, dates: ["yyyy-MM-dd HH:mm"] }, "dates[0]: is no pattern of a day or month"],
    [{ ...simple, numbers: { decimal: ",", thousands: "," } }, "numbers: have the same sign"],
    [{ ...simple, fields: { number: "Nr" } }, "fields.issued: is missing"],
    [{ ...simple, fields: { number: {}, issued: "D" } }, 'fields.number: needs a "label" (words beside it)'],
    [
      { ...simple, fields: { number: { labels: "Nr" }, issued: "D" } },
      'fields.number: Unrecognized key: "labels"',
    ],
    [
      { ...simple, fields: { number: { label: "Nr", match: "\\d+" }, issued: "D" } },
      "fields.number.match: needs a group that marks what is taken: (?<value>…)",
    ],
    [
      { ...simple, fields: { number: { label: "Nr", match: "(?<value>a" }, issued: "D" } },
      'fields.number.match: at sign 11: a ")" is missing',
    ],
    [
      { ...simple, fields: { number: { value: "1", label: "Nr" }, issued: "D" } },
      'fields.number: has a fixed "value": leave out "label" and "match"',
    ],
    [{ ...simple, tables: [] }, "tables: Too small"],
    [{ ...simple, tables: [{ columns: table!.columns }] }, "tables[0].end: is missing"],
    [
      { ...simple, tables: [{ ...table, columns: { description: "Text" } }] },
      "tables[0].columns.amount: is missing",
    ],
    [
      { ...simple, tables: [{ ...table, columns: { ...table!.columns, from: "Från" } }] },
      'tables[0].columns: has only one of "from" and "to"',
    ],
    [
      { ...simple, tables: [{ ...table, columns: { ...table!.columns, price: { align: "left" } } }] },
      'tables[0].columns.price: needs a "header"',
    ],
    [{ ...simple, totals: { net: "A", vat: [], payable: "B" } }, "totals.vat: Too small"],
  ])("%#", ([template, message]) => {
    expect(told(template)).toContain(message);
  });

  test("ten of many", () => {
    const lines = told({}).split("\n");
    expect(lines.length).toBeLessThanOrEqual(11);
    expect(lines).toContain("name: is missing");
  });
});

test("the built-in templates are templates of their own names", () => {
  expect(builtInTemplates().map(({ name }) => name)).toEqual([
    "alvdal-energi",
    "nordfjord-nett",
    "stadtwerke-brunnstadt",
  ]);
});

test("the manual describes every key", () => {
  const page = resolve(import.meta.dirname, "../../../../docs/invoice-templates.md");
  const manual = readFileSync(page, "utf8");
  const keys = keysOf(z.toJSONSchema(templateSchema, { io: "input", unrepresentable: "any" }));
  expect(keys.size).toBeGreaterThan(50);
  for (const key of keys) expect(manual).toContain(`\`${key}\``);
});

/** Names of all properties in a JSON schema. */
function keysOf(schema: unknown): Set<string> {
  if (typeof schema !== "object" || schema === null) return new Set();
  const { properties = {} } = schema as { properties?: object };
  return new Set([
    ...Object.keys(properties),
    ...Object.values(schema).flatMap((inner) => [...keysOf(inner)]),
  ]);
}
