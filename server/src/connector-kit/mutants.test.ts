import { expect, test } from "vitest";
import { z } from "zod";
import { type Connector, connector, ProviderFailure } from "../collection/connector.ts";
import type { ConnectorCase } from "./case-file.ts";
import { checkMutants } from "./check-mutants.ts";
import { mutantsOf } from "./mutants.ts";

const words = { en: "x", sv: "x" };
const start = Date.parse("2026-10-01T00:00:00Z");
const hour = 3_600_000;

type Read = (text: string) => number[];

/** A connector that reads hours of one meter from a body. */
function reading(read: Read): Connector {
  return connector({
    name: "reader",
    title: "Reader",
    countries: [],
    types: ["electricity"],
    granularities: ["hour"],
    historyDays: 1,
    latenessHours: 0,
    correctionDays: 0,
    help: words,
    settings: z.object({}),
    limits: { perMinute: 1, atOnce: 1 },
    async *discover() {},
    async *collect({ http }) {
      const text = (await http.send("https://provider.example/values")).text();
      const values = read(text);
      const starts = values.map((_, i) => start + i * hour);
      yield { key: "1", metric: "energy", granularity: "hour", starts, values, document: { id: "1" } };
    },
  });
}

function caseOf(body: string): ConnectorCase {
  return {
    name: "one",
    about: "x",
    settings: {},
    setup: {},
    now: start,
    memory: {},
    codes: [],
    answered: [],
    discover: false,
    wanted: [
      { key: "1", metric: "energy", granularity: "hour", from: start, to: start + 3 * hour, reason: "new" },
    ],
    order: "as_recorded",
    talk: [
      {
        request: { method: "GET", url: "https://provider.example/values", headers: {} },
        response: { status: 200, headers: {}, body: Buffer.from(body) },
      },
    ],
    expected: {
      deliveries: [
        {
          key: "1",
          metric: "energy",
          granularity: "hour",
          document: { id: "1" },
          values: [
            "2026-10-01T00:00Z | 1.25 | measured",
            "2026-10-01T01:00Z | 2.75 | measured",
            "2026-10-01T02:00Z | 3.5 | measured",
          ],
        },
      ],
    },
  };
}

async function problemsOf(read: Read, body: string, optionalParts: string[] = []): Promise<string> {
  const checked = await checkMutants(reading(read), caseOf(body), { optionalParts: new Set(optionalParts) });
  expect(checked.count).toBeGreaterThan(10);
  return checked.problems.join("\n");
}

const changed = (): never => {
  throw new ProviderFailure("changed", "unknown");
};

const csv = "Tid;Förbrukning (kWh)\n00:00;1,250\n01:00;2,750\n02:00;3,500\n";
/** Reads what it knows, and nothing else. */
const strictCsv: Read = (text) => {
  const lines = text.split("\n");
  const labels = lines[0]!.split(";");
  const [at, hourAt] = [labels.indexOf("Förbrukning (kWh)"), labels.indexOf("Tid")];
  if (at < 0 || hourAt < 0 || labels.length !== 2 || lines.at(-1) !== "") changed();
  const read = lines.slice(1, -1).map((line): [string, number] => {
    const cells = line.split(";");
    if (cells.length !== 2 || !/^\d+,\d{3}$/.test(cells[at]!)) changed();
    return [cells[hourAt]!, Number(cells[at]!.replace(",", "."))];
  });
  return read.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value);
};

test("a reader that knows what it reads passes", async () => {
  expect(await problemsOf(strictCsv, csv)).toBe("");
});

test.each<[string, Read, string]>([
  [
    "by position",
    (text) =>
      text
        .split("\n")
        .slice(1, -1)
        .map((line) => Number(line.split(";")[1]!.replace(",", "."))),
    "are swapped",
  ],
  ["without its unit", (text) => strictCsv(text.replace("MWh", "kWh")), "kWh\\b is MWh"],
  [
    "in the order of its rows",
    (text) => (text.includes("02:00;3,500\n01") ? [3.5, 2.75, 1.25] : strictCsv(text)),
    "rows in another order",
  ],
  [
    "without a mark of its decimals",
    (text) => strictCsv(text.replace(/(\d+),(\d\d)$/gm, "$1$2,000")),
    "one decimal less",
  ],
])("a table that is read %s is caught", async (_, read, what) => {
  expect(await problemsOf(read, csv)).toContain(what);
});

const json = JSON.stringify({
  unit: "kWh",
  values: [1.25, 2.75, 3.5].map((value, hour) => ({ hour, value })),
});
const schema = z.object({
  unit: z.literal("kWh"),
  values: z.array(z.object({ hour: z.number(), value: z.number() })),
});

test("JSON: a schema passes, a shrug is caught, and what may be left out is left alone", async () => {
  const sorted = (values: { hour: number; value: number }[]) =>
    values.toSorted((a, b) => a.hour - b.hour).map(({ value }) => value);
  expect(
    await problemsOf((text) => {
      const read = schema.safeParse(JSON.parse(text));
      return read.success ? sorted(read.data.values) : changed();
    }, json),
  ).toBe("");
  const shrug: Read = (text) => sorted(JSON.parse(text).values ?? []);
  const told = await problemsOf(shrug, json);
  expect(told).toContain("values is gone: 3 values are missing");
  expect(told).toContain("kWh\\b is MWh");
  expect(await problemsOf(shrug, json, ["values"])).not.toContain("values is gone");
});

test("a page has mutants of its tables, facts, ids and fields", () => {
  const page =
    '<form><input name="csrf" value="1"></form><dl><dt>Adress</dt><dd>A</dd><dt>Namn</dt><dd>B</dd></dl>' +
    '<table id="meters"><tr><th>Namn</th><th>Id</th></tr><tr><td>Hus</td><td>1</td></tr></table>';
  const mutants = new Map(
    mutantsOf({ headers: { "content-type": "text/html" }, body: Buffer.from(page) }).map(({ what, body }) => [
      what,
      body,
    ]),
  );
  expect(mutants.get("meters: Namn and Id are swapped")).toContain(
    '<table id="meters"><tr><th>Id</th><th>Namn</th></tr><tr><td>1</td><td>Hus</td></tr></table>',
  );
  expect(mutants.get("meters: column Id is gone")).toContain("<tr><th>Namn</th></tr><tr><td>Hus</td></tr>");
  expect(mutants.get("facts in another order")).toContain(
    "<dl><dt>Namn</dt><dd>B</dd><dt>Adress</dt><dd>A</dd></dl>",
  );
  expect(mutants.get("the fact Adress is gone")).toContain("<dl><dt>Namn</dt>");
  expect(mutants.get("the field csrf is called otherwise")).toContain('name="x-csrf"');
  expect(mutants.get("id meters is another")).toContain('id="x-meters"');
  expect(mutants.get("translated")).toContain("Anleggsadresse");
});
