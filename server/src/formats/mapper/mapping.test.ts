import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { type Collected, collect, iso, tally } from "../harness.ts";
import { DatePattern, PatternFault, patternsOf } from "./date-pattern.ts";
import { mapper, proposeMapping } from "./mapper.ts";
import { mappingSchema, parseMapping } from "./mapping.ts";
import { AmbiguousNumber, marksOf, NumberReader, shapeOf } from "./numbers.ts";

const manual = readFileSync(resolve(import.meta.dirname, "../../../../docs/mapping.md"), "utf8");

/** The examples of the manual: a table and its mapping each. */
const examples = [
  ...manual.matchAll(/### ([^\n]+)\n(?:(?!###)[\s\S])*?```csv\n([\s\S]*?)```\s*```json\n([\s\S]*?)```/g),
].map(([, title, table, mapping]) => ({
  title: title!,
  table: table!,
  mapping: JSON.parse(mapping!) as unknown,
}));

async function* once(text: string): AsyncGenerator<Uint8Array, void, undefined> {
  yield Buffer.from(text);
}

const expected: Record<string, string[]> = {
  "A portal that does not say where it is": ["3 values, 1 missing, 1.01 kWh"],
  "Half-hours in columns": ["48 values, 0 missing, 72 kWh"],
  "Readings of registers beside a heat meter": [
    "3 values, 0 missing, 3600 kWh",
    "3 values, 0 missing, 6901.5 kWh",
    // 0.315 GJ / 3.6 MJ.
    "3 values, 0 missing, 87.5 kWh",
  ],
};

describe("the manual", () => {
  test("describes every key", () => {
    const shape = mappingSchema.shape;
    const columns = shape.columns.unwrap().shape;
    const value = columns.values.unwrap().element.shape;
    for (const key of [...Object.keys(shape), ...Object.keys(columns), ...Object.keys(value)]) {
      expect(manual).toContain(`\`${key}\``);
    }
  });

  test("has three examples", () => {
    expect(examples.map((one) => one.title)).toEqual(Object.keys(expected));
  });

  test.each(examples)("example: $title", async ({ title, table, mapping }) => {
    const without = await collect(mapper, table, { fileName: "table.csv" });
    expect(without.errors.length).toBeGreaterThan(0);
    const got = await collect(mapper, table, { fileName: "table.csv", mapping });
    expect(got.errors).toEqual([]);
    const totals = got.series.map((one) => {
      const { count, missing, total } = tally(got, one.series);
      return `${count} values, ${missing} missing, ${total} ${one.unit}`;
    });
    expect(totals).toEqual(expected[title]);
  });
});

describe("a proposed mapping", () => {
  const tables: [string, string][] = [
    [
      "long",
      "Från;Till;Förbrukning kWh\n2024-03-01 00:00;2024-03-01 01:00;1,5\n2024-03-01 01:00;2024-03-01 02:00;2,5\n",
    ],
    ["registers", "Datum;Zeit;Zählerstand Wasser\n01.03.24;11:39;381,00\n02.03.24;16:55;389,50\n"],
    [
      "offsets",
      "Start,Gas (m3)\n2024-03-01T00:00:00+01:00,1.5\n2024-03-01T01:00:00+01:00,2.5\n2024-03-01T02:00:00+01:00,2.5\n",
    ],
    [
      "wide",
      `MPAN,Date,${Array.from({ length: 24 }, (_, at) => `kWh_${at + 1}`).join(",")}\n2200012767323,25/03/2024,${Array(24).fill("1.5").join(",")}\n`,
    ],
  ];

  test.each(tables)("%s: given back, it reads the same and asks and warns no more", async (_, table) => {
    const proposal = await proposeMapping(once(table), { fileName: "table.csv" });
    expect(proposal.confidence).toBeGreaterThan(0);
    const saved = JSON.parse(JSON.stringify(proposal.mapping)) as unknown;
    expect(parseMapping(saved)).toEqual({ mapping: saved });
    const first = await collect(mapper, table, { fileName: "table.csv" });
    const again = await collect(mapper, table, { fileName: "other.csv", mapping: saved });
    const values = ({ series, intervals, readings }: Collected): unknown => ({ series, intervals, readings });
    expect(values(again)).toEqual(values(first));
    expect(again.problems.filter((one) => one.severity !== "info")).toEqual([]);
  });

  test("says what is open", async () => {
    const proposal = await proposeMapping(
      once("Time;kWh\n2024-03-01 05:00;1\n2024-03-01 06:00;1\n2024-03-01 07:00;1\n"),
      {
        fileName: "table.csv",
      },
    );
    expect(proposal.confidence).toBe(0);
    expect(proposal.problems.filter((one) => one.severity === "error").map((one) => one.field)).toEqual([
      "timezone",
      "label",
    ]);
    expect(proposal.mapping).toMatchObject({ date: "yyyy-MM-dd HH:mm", interval: 3600, layout: "long" });
    expect(
      (await proposeMapping(once("x"), { fileName: "x", mapping: { version: 2 } })).problems,
    ).toMatchObject([{ field: "mapping" }]);
  });
});

describe("date patterns", () => {
  test.each([
    ["dd.MM.yyyy HH:mm", "1.3.2024 5:07", "2024-03-01T05:07"],
    ["yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "2024-03-01T05:07:08.123+01:00", "2024-03-01T05:07"],
    ["MMM dd yyyy hh:mma", "Nov 13 2019 12:00AM", "2019-11-13T00:00"],
    ["MMM dd yyyy hh:mm a", "Nov 13 2019 12:30 pm", "2019-11-13T12:30"],
    ["EEE dd.MM.yyyy HH:mm", "lauantai 1.1.2022 00:00", "2022-01-01T00:00"],
    ["yyyyMMddHHmm", "202403010507", "2024-03-01T05:07"],
    ["dd/MM/yy", "31/03/18", "2018-03-31T00:00"],
    ["yyyy-MM", "2024-02", "2024-02-01T00:00"],
    ["dd-MM-yyyy[ HH:mm]", "01-03-2024", "2024-03-01T00:00"],
    ["dd-MM-yyyy HH:mm", "31-12-2024 24:00", "2025-01-01T00:00"],
    ["dd MMM. yyyy", "3 maart 2024", "2024-03-03T00:00"],
  ])("%s reads %s", (pattern, text, expected) => {
    const read = new DatePattern(pattern.replace("MMM.", "MMM"));
    expect(read.parse(text)).toBe(true);
    expect(iso(read.local).slice(0, 16)).toBe(expected);
  });

  test.each([
    ["dd.MM.yyyy", "31.02.2019"],
    ["dd.MM.yyyy", "1.3.24"],
    ["dd.MM.yyyy", "1.3.2024 05:00"],
    ["dd.MM.yyyy HH:mm", "1.3.2024 25:00"],
    ["dd.MM.yyyy HH:mm", "1.3.2024 5:7"],
    ["yyyy-MM-dd hh:mma", "2024-03-01 13:00PM"],
    ["yyyy-MM-ddXXX", "2024-03-01+99:00"],
    ["MMM yyyy", "Foo 2024"],
    ["yyyyMMdd", "2024031"],
  ])("%s does not read %s", (pattern, text) => {
    expect(new DatePattern(pattern).parse(text)).toBe(false);
  });

  test.each(["HH:mm", "yyyy", "yyyy-MM HH", "dd.MM", "yyyy-MM-dd Q", "y".repeat(65)])(
    "%s is no pattern",
    (pattern) => {
      expect(() => new DatePattern(pattern)).toThrow(PatternFault);
    },
  );

  test("candidates of a label", () => {
    expect(patternsOf("01/02/2024 03:00")).toEqual(["dd/MM/yyyy HH:mm", "MM/dd/yyyy HH:mm"]);
    expect(patternsOf("13/02/2024")).toEqual(["dd/MM/yyyy"]);
    expect(patternsOf("01.02.2024")).toEqual(["dd.MM.yyyy"]);
    expect(patternsOf("01-01-2024 01:00:00 +0100")).toEqual([
      "dd-MM-yyyy HH:mm:ss XXX",
      "MM-dd-yyyy HH:mm:ss XXX",
    ]);
    for (const text of ["12.345", "hello world", "1234567890123", "2024-02-31", "10:00", "1,234,567"]) {
      expect(patternsOf(text)).toEqual([]);
    }
  });
});

describe("numbers", () => {
  test("what one number proves", () => {
    expect(shapeOf("0.196")).toMatchObject({ decimal: ".", ambiguous: false });
    expect(shapeOf("1.23")).toMatchObject({ decimal: "." });
    expect(shapeOf("1.234")).toMatchObject({ decimal: undefined, ambiguous: true });
    expect(shapeOf("1234.567")).toMatchObject({ decimal: "." });
    expect(shapeOf("1.234.567")).toMatchObject({ decimal: ",", group: "." });
    expect(shapeOf("1.234,5")).toMatchObject({ decimal: ",", group: "." });
    expect(shapeOf("1'234.5")).toMatchObject({ decimal: ".", group: "'" });
    expect(shapeOf("1\u00a0234,5")).toMatchObject({ decimal: ",", group: " " });
    expect(shapeOf("12 kWh")).toBeUndefined();
    expect(shapeOf("1e5")).toMatchObject({ decimal: undefined });
  });

  test("what a column proves", () => {
    expect(marksOf(["1.234", "0,5"])).toMatchObject({ decimal: ",", ambiguous: undefined });
    expect(marksOf(["1.234", "5.678"])).toMatchObject({ decimal: undefined, ambiguous: "1.234" });
    expect(marksOf(["1.5", "1,5"])).toMatchObject({ conflict: ["1.5", "1,5"] });
    expect(marksOf(["1", "2", "x"])).toMatchObject({ decimal: undefined, ambiguous: undefined });
  });

  test("an open mark is settled by the first number that proves it, and then holds", () => {
    const reader = new NumberReader({ decimal: undefined, thousands: undefined });
    expect(reader.read("12")).toBe(12);
    expect(() => reader.read("1.234")).toThrow(AmbiguousNumber);
    expect(reader.read("0,5")).toBe(0.5);
    expect(reader.read("1,234")).toBe(1.234);
    expect(reader.read("1.234,5")).toBe(1234.5);
    expect(() => reader.read("1.234")).toThrow(/"1.234" could be 1234 or 1.234/);
    expect(reader.read("1.5")).toBeUndefined();
  });
});
