import fc from "fast-check";
import { parquetMetadata, parquetReadObjects } from "hyparquet";
import { describe, expect, test } from "vitest";
import { formats, type IntervalItem, type SeriesItem } from "../../formats/format.ts";
import { type Granularity, granularities } from "../../platform/granularity.ts";
import { metrics } from "../../series/series.ts";
import { exportFormatNamed, exportFormats } from "./all.ts";
import { plainNumber } from "./cells.ts";
import { shifted } from "./digits.ts";
import type { ExportRun } from "./format.ts";
import { bareMeter, cellsOf, oddMeter, runOf, sheetOf, type WrittenFile, written } from "./harness.ts";

/** One value, as every format must give it back. */
interface Value {
  meter: string;
  metric: string;
  start: number;
  value: number | null;
}

const valuesOf = (runs: readonly ExportRun[]): Value[] =>
  runs.flatMap(({ meter, metric, starts, values }) =>
    [...starts].map((start, i) => ({ meter: meter.id, metric, start, value: numberOrNull(values[i]!) })),
  );
// What was delivered as -0 is 0 in every format.
const numberOrNull = (value: number) => (Number.isNaN(value) ? null : value + 0);

function fromCells(
  rows: readonly string[][],
  { start, metric }: { start: number; metric: (name: string) => string },
) {
  return rows.map(
    (row): Value => ({
      meter: row[0]!,
      metric: metric(row[12]!),
      start: Date.parse(row[start]!),
      value: row[14] === "" ? null : Number(row[14]),
    }),
  );
}

/** What a file says, and the parameters that it needs to say all. */
const readers: Readonly<
  Record<string, { params: object; read(file: WrittenFile): Promise<Value[]> | Value[] }>
> = {
  ConsumptionCSV: {
    params: { start: true },
    read: ({ bytes }) => fromCells(cellsOf(bytes.toString()), { start: 15, metric: (name) => name }),
  },
  CostCSV: {
    params: { start: true, currency: true },
    read: ({ bytes }) =>
      fromCells(cellsOf(bytes.toString()), { start: 16, metric: (name) => `cost_${name}` }),
  },
  ConsumptionJSONL: {
    params: { metrics: [...metrics.keys()] },
    read: ({ bytes }) =>
      bytes
        .toString()
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line))
        .map((line) => ({
          meter: line.meter_id,
          metric: line.metric,
          start: Date.parse(line.start),
          value: line.value,
        })),
  },
  ConsumptionXLSX: {
    params: { header: false, metrics: [...metrics.keys()] },
    read: async ({ bytes }) => fromCells(await sheetOf(bytes), { start: 16, metric: (name) => name }),
  },
  ConsumptionParquet: {
    params: { metrics: [...metrics.keys()] },
    async read({ bytes }) {
      const rows = await parquetReadObjects({ file: bufferOf(bytes) });
      return rows.map((row) => ({
        meter: row.meter_id,
        metric: row.metric,
        start: (row.start as Date).getTime(),
        value: row.value,
      }));
    },
  },
  GreenButtonXML: { params: {}, read: ({ bytes }) => readGreenButton(bytes) },
};

const bufferOf = (bytes: Buffer): ArrayBuffer => new Uint8Array(bytes).buffer;

/** Through the importer of the project. */
async function readGreenButton(bytes: Buffer): Promise<Value[]> {
  const { series, intervals } = await importGreenButton(bytes);
  return intervals.map((item) => {
    const { meter, metric } = series[item.series]!;
    return { meter, metric, start: item.start, value: item.value };
  });
}

async function importGreenButton(
  bytes: Buffer,
): Promise<{ series: SeriesItem[]; intervals: IntervalItem[] }> {
  const importer = formats().find(({ name }) => name === "green-button")!;
  const series: SeriesItem[] = [];
  const intervals: IntervalItem[] = [];
  async function* source() {
    yield bytes;
  }
  for await (const items of importer.read(source(), { fileName: "x.xml" })) {
    for (const item of items) {
      if (item.kind === "series") series.push(item);
      else if (item.kind === "interval") intervals.push(item);
      else throw new Error(`the importer says: ${JSON.stringify(item)}`);
    }
  }
  return { series, intervals };
}

const byPlace = (a: Value, b: Value) =>
  `${a.meter} ${a.metric}`.localeCompare(`${b.meter} ${b.metric}`) || a.start - b.start;

/** Decimals as sources deliver them: up to 15 digits, any sign, removed ones. */
const decimal = fc
  .record({
    m: fc.integer({ min: -999_999_999_999_999, max: 999_999_999_999_999 }),
    e: fc.integer({ min: 0, max: 12 }),
  })
  .map(({ m, e }) => Number(`${m}e-${e}`));
const value = fc.oneof(
  { weight: 6, arbitrary: decimal },
  { weight: 1, arbitrary: fc.constantFrom(Number.NaN, 0, -0, 0.1, -12.5, 1e-7, 123456789.123456) },
);
const anyText = fc.string({ unit: "grapheme", maxLength: 30 });

const runs = (accepted: readonly string[], only?: Granularity) =>
  fc
    .record({
      meters: fc.array(
        fc.record({
          name: fc.option(anyText),
          address: fc.option(anyText),
          tags: fc.array(anyText, { maxLength: 3 }),
        }),
        { minLength: 1, maxLength: 3 },
      ),
      runs: fc.array(
        fc.record({
          meter: fc.nat({ max: 2 }),
          metric: fc.constantFrom(...accepted),
          granularity: fc.constantFrom(...(only === undefined ? granularities : [only])),
          values: fc.array(value, { minLength: 1, maxLength: 30 }),
          day: fc.nat({ max: 400 }),
        }),
        { minLength: 1, maxLength: 6 },
      ),
    })
    .map(({ meters, runs: some }) =>
      some.map(({ meter, metric, granularity, values, day }, n) => {
        const about = meters[meter % meters.length]!;
        const id = `5d1c9f2a8b3e4c0017a6d2e${meter % meters.length}`;
        // Each run its own year, so that no value comes twice.
        const from = Date.UTC(1990 + 5 * n, 0, 1 + day);
        return runOf(values, { meter: { ...oddMeter, ...about, id }, metric, granularity, from });
      }),
    );

describe.each(exportFormats.map((each) => each.name))("%s", (name) => {
  const format = exportFormatNamed(name)!;
  const { params, read } = readers[name]!;
  const accepted = [...metrics.keys()].filter((metric) =>
    format.accepts(metric, format.params.parse(params)),
  );

  test("gives back every value of every metric", { timeout: 120_000 }, async () => {
    expect(accepted.length).toBeGreaterThan(5);
    await fc.assert(
      fc.asyncProperty(runs(accepted, format.granularity), async (some) => {
        const files = await written(format, some, params);
        const got = (await Promise.all(files.map(read))).flat();
        expect(got.sort(byPlace)).toEqual(valuesOf(some).sort(byPlace));
        expect(files.reduce((sum, { rows }) => sum + rows, 0)).toBe(got.length);
      }),
      { numRuns: name === "ConsumptionXLSX" ? 30 : 60 },
    );
  });

  test("writes the same bytes for the same values", async () => {
    const some = [runOf([1, Number.NaN, -2.5]), runOf([3], { meter: bareMeter, metric: "flow" })];
    const [first, second] = [await written(format, some, params), await written(format, some, params)];
    if (name !== "ConsumptionXLSX") expect(first).toEqual(second);
    else expect(first.map(({ rows }) => rows)).toEqual(second.map(({ rows }) => rows));
  });

  test("refuses parameters that it does not know, or that make no sense", () => {
    expect(() => format.params.parse({ colour: "red" })).toThrow();
    expect(() => format.params.parse({ metrics: ["nothing"] })).toThrow();
    expect(() => format.params.parse({ timezone: "Mars/Base" })).toThrow();
    expect(format.params.safeParse({}).success).toBe(true);
  });
});

const textOf = async (name: string, some: readonly ExportRun[], params: object = {}) =>
  (await written(exportFormatNamed(name)!, some, params))[0]!.bytes.toString();

describe("the CSV files of the contract", () => {
  const quoted =
    '5d1c9f2a8b3e4c0017a6d2f1;735999100000012345;"=HYPERLINK(""http://evil.test"");x\r\n<b>&""\'";electricity;' +
    '5d1c9f2a8b3e4c0017a6d2f0;"Ellevio; AB";"Storgatan 1,\n111 22 Ås";18.0686;59.3293;"a,-1+2"",å;ä";Europe/Stockholm;';

  test("have fifteen columns in their order, no header, and texts as they are", async () => {
    const some = [runOf([1.5, Number.NaN, -0.000000125]), runOf([7], { meter: bareMeter, metric: "flow" })];
    expect(await textOf("ConsumptionCSV", some)).toBe(
      `${quoted}2026102500;energy;kWh;1.5\n${quoted}2026102501;energy;kWh;\n` +
        `${quoted}2026102502;energy;kWh;-0.000000125\n` +
        "5d1c9f2a8b3e4c0017a6d2f2;;;water;;;;;;;Etc/GMT-1;2026102423;flow;m3;7\n",
    );
    const costs = [runOf([99.5], { metric: "cost_grid_usage", granularity: "month" })];
    expect(await textOf("CostCSV", costs)).toBe(`${quoted}202611;grid_usage;cost;99.5\n`);
  });

  test("leave costs out, and everything else", async () => {
    const some = [runOf([1]), runOf([2], { metric: "cost_grid_total", granularity: "month" })];
    expect(cellsOf(await textOf("ConsumptionCSV", some)).map((row) => row[12])).toEqual(["energy"]);
    expect(cellsOf(await textOf("CostCSV", some)).map((row) => row[12])).toEqual(["grid_total"]);
    expect(await textOf("CostCSV", some, { metrics: ["retail_total"] })).toBe("");
    expect(await textOf("ConsumptionCSV", some, { metrics: ["flow"] })).toBe("");
  });

  test("of long and short days name every hour, and the repeated one twice", async () => {
    const labels = async (from: number, params = {}) =>
      cellsOf(await textOf("ConsumptionCSV", [runOf([1, 2, 3, 4], { from })], params)).map((row) => row[11]);
    expect(await labels(Date.UTC(2026, 9, 24, 23))).toEqual([
      "2026102501",
      "2026102502",
      "2026102502",
      "2026102503",
    ]);
    expect(await labels(Date.UTC(2026, 2, 29))).toEqual([
      "2026032901",
      "2026032903",
      "2026032904",
      "2026032905",
    ]);
    expect(await labels(Date.UTC(2026, 9, 24, 23), { timezone: "UTC" })).toEqual([
      "2026102423",
      "2026102500",
      "2026102501",
      "2026102502",
    ]);
  });

  test("keep the calendar of the meter for days and months in any zone", async () => {
    const days = runOf([1, 2], { granularity: "day", from: Date.UTC(2026, 0, 31, 23) });
    const rows = cellsOf(
      await textOf("ConsumptionCSV", [days], { timezone: "America/New_York", start: true }),
    );
    expect(rows.map((row) => [row[10], row[11], row[15]])).toEqual([
      ["Europe/Stockholm", "20260201", "2026-01-31T23:00:00Z"],
      ["Europe/Stockholm", "20260202", "2026-02-01T23:00:00Z"],
    ]);
  });

  test("have a header, other signs and more columns when asked for", async () => {
    const some = [runOf([1.25], { meter: bareMeter, metric: "cost_retail_total", granularity: "month" })];
    const params = { header: true, delimiter: ",", decimal_mark: ",", currency: true, start: true };
    expect(await textOf("CostCSV", some, params)).toBe(
      "Meter ID,EAN,Name,Type,Provider ID,Provider Name,Address,Longitude,Latitude,Tags,Timezone,Period,Metric,Unit,Value," +
        'Currency,Start\n5d1c9f2a8b3e4c0017a6d2f2,,,water,,,,,,,Etc/GMT-1,202611,retail_total,cost,"1,25",SEK,' +
        "2026-10-31T23:00:00Z\n",
    );
  });

  test("put formulas in safety when asked for, and leave numbers alone", async () => {
    const row = cellsOf(await textOf("ConsumptionCSV", [runOf([-1.5])], { spreadsheet_safe: true }))[0]!;
    expect(row[2]).toBe(`'${oddMeter.name}`);
    expect(row[14]).toBe("-1.5");
    for (const name of ["+1", "-1", "@SUM(1)", "\tx", "\uff1d1"]) {
      const safe = await textOf("ConsumptionCSV", [runOf([1], { meter: { ...bareMeter, name } })], {
        spreadsheet_safe: true,
      });
      expect(cellsOf(safe)[0]![2]).toBe(`'${name}`);
    }
  });
});

describe("ConsumptionJSONL", () => {
  test("says everything about a value in one line", async () => {
    const some = [runOf([0.1], { updated: true, meter: bareMeter, metric: "flow" })];
    expect(JSON.parse(await textOf("ConsumptionJSONL", some))).toEqual({
      meter_id: bareMeter.id,
      ean: null,
      name: null,
      type: "water",
      provider_id: "",
      provider_name: "",
      address: null,
      location: null,
      tags: [],
      timezone: "Etc/GMT-1",
      metric: "flow",
      unit: "m3",
      currency: null,
      granularity: "hour",
      period: "2026102423",
      start: "2026-10-24T22:00:00Z",
      value: 0.1,
      updated: true,
      pushed_at: "2026-10-26T00:00:00Z",
    });
  });
});

describe("ConsumptionXLSX", () => {
  test("holds texts as texts, never formulas, and numbers as numbers", async () => {
    const [file] = await written(exportFormatNamed("ConsumptionXLSX")!, [runOf([-1.5])]);
    const [head, row] = await sheetOf(file!.bytes);
    expect(head!.slice(11)).toEqual(["Period", "Metric", "Unit", "Value", "Currency", "Start (UTC)"]);
    expect(row![2]!.replaceAll("\r", "")).toBe(oddMeter.name!.replaceAll("\r", ""));
    expect(row![1]).toBe("735999100000012345");
    expect(row![14]).toBe("-1.5");
  });

  test("survives characters that XML cannot hold", async () => {
    const some = [runOf([1], { meter: { ...bareMeter, name: "a\u0000b\u001fc\uffff" } })];
    const [file] = await written(exportFormatNamed("ConsumptionXLSX")!, some, { header: false });
    expect((await sheetOf(file!.bytes))[0]![2]).toBe("a b c ");
  });
});

describe("ConsumptionParquet", () => {
  const format = exportFormatNamed("ConsumptionParquet")!;
  const some = [
    runOf([1, 2], { granularity: "day", from: Date.UTC(2026, 0, 30, 23) }),
    runOf([3], { granularity: "month", from: Date.UTC(2026, 0, 31, 23), metric: "flow" }),
  ];

  test("lies in folders of granularity and month of the meter's calendar", async () => {
    const files = await written(format, some);
    expect(files.map(({ folder, rows }) => [folder, rows])).toEqual([
      ["granularity=day/month=2026-01/", 1],
      ["granularity=day/month=2026-02/", 1],
      ["granularity=month/month=2026-02/", 1],
    ]);
  });

  test("is one file with the granularity as a column when flat", async () => {
    const files = await written(format, some, { layout: "flat" });
    expect(files.map(({ folder }) => folder)).toEqual([""]);
    const rows = await parquetReadObjects({ file: bufferOf(files[0]!.bytes) });
    expect(
      rows.map(({ granularity, period, start, end, value, unit }) => [
        granularity,
        period,
        start,
        end,
        value,
        unit,
      ]),
    ).toEqual([
      ["day", "20260131", new Date("2026-01-30T23:00:00Z"), new Date("2026-01-31T23:00:00Z"), 1, "kWh"],
      ["day", "20260201", new Date("2026-01-31T23:00:00Z"), new Date("2026-02-01T23:00:00Z"), 2, "kWh"],
      ["month", "202602", new Date("2026-01-31T23:00:00Z"), new Date("2026-02-28T23:00:00Z"), 3, "m3"],
    ]);
  });

  test("has typed columns, texts by dictionary and instants of UTC", async () => {
    const [file] = await written(format, [runOf(Array.from({ length: 500 }, (_, i) => i))], {
      layout: "flat",
    });
    const { schema, row_groups } = parquetMetadata(bufferOf(file!.bytes));
    const column = (name: string) => schema.find((element) => element.name === name);
    expect(column("value")).toMatchObject({ type: "DOUBLE" });
    expect(column("start")?.logical_type).toMatchObject({ type: "TIMESTAMP", isAdjustedToUTC: true });
    expect(column("name")).toMatchObject({ converted_type: "UTF8" });
    const names = row_groups[0]!.columns.find((chunk) => chunk.meta_data?.path_in_schema[0] === "name");
    expect(names?.meta_data?.encodings.some((encoding) => /DICTIONARY/.test(encoding))).toBe(true);
  });
});

describe("GreenButtonXML", () => {
  const importOf = async (some: readonly ExportRun[]) =>
    importGreenButton((await written(exportFormatNamed("GreenButtonXML")!, some))[0]!.bytes);

  test.each([
    ["Europe/Stockholm", "Europe/Berlin"],
    ["Europe/Lisbon", "Europe/London"],
    ["America/Toronto", "America/New_York"],
    ["Australia/Melbourne", "Australia/Sydney"],
    ["Pacific/Auckland", "Pacific/Auckland"],
    ["Asia/Kolkata", "Asia/Kolkata"],
    ["Etc/GMT-1", "Etc/GMT-1"],
    ["UTC", "Etc/UTC"],
  ])("says how %s keeps its time", async (timezone, zone) => {
    const { series } = await importOf([runOf([1], { meter: { ...oddMeter, timezone } })]);
    expect(series[0]?.timezone).toBe(zone);
  });

  test("says what is measured, which way it flows and how long a value is", async () => {
    const { series, intervals } = await importOf([
      runOf([1.5, 2], { granularity: "day", from: Date.UTC(2026, 9, 24, 22) }),
      runOf([7], { meter: { ...bareMeter, representation: "production" }, metric: "flow" }),
    ]);
    expect(
      series.map(({ type, metric, direction, unit, name }) => [type, metric, direction, unit, name]),
    ).toEqual([
      ["electricity", "energy", "consumption", "kWh", oddMeter.name!.replace("\r\n", "\n")],
      ["water", "flow", "production", "m3", bareMeter.id],
    ]);
    expect(intervals.map(({ seconds }) => seconds)).toEqual([25 * 3600, 24 * 3600, 3600]);
  });

  test("writes whole numbers", async () => {
    const text = await textOf("GreenButtonXML", [runOf([0.0015, 12])]);
    expect([...text.matchAll(/<value>(.*?)<\/value>/g)].map(([, number]) => number)).toEqual([
      "1500",
      "12000000",
    ]);
    expect(text).toContain("<powerOfTenMultiplier>-3</powerOfTenMultiplier>");
  });
});

describe("numbers", () => {
  test("are written without an exponent and read back as the same double", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (number) => {
        const text = plainNumber(number);
        expect(text).toMatch(/^-?\d+(\.\d+)?$/);
        expect(Number(text) + 0).toBe(number + 0);
      }),
    );
  });

  test("are shifted on their digits", () => {
    expect(shifted("-1.25", 3)).toBe("-1250");
    expect(shifted("0.00015", 3)).toBe("0.15");
    expect(shifted("-0", 3)).toBe("0");
    expect(shifted("12.3400", 2)).toBe("1234");
    fc.assert(
      fc.property(fc.bigInt({ min: -(10n ** 15n), max: 10n ** 15n }), fc.nat({ max: 6 }), (m, places) => {
        expect(shifted(String(m), places)).toBe(String(m * 10n ** BigInt(places)));
      }),
    );
  });
});
