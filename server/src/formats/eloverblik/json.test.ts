import { describe, expect, test } from "vitest";
import { collect, haveSamples, iso, sample, tally } from "../harness.ts";
import { eloverblikJson } from "./json.ts";

type Point = Record<string, unknown>;

const points = (...values: [string | number, string | null, string?][]): Point[] =>
  values.map(([position, quantity, quality = "A04"]) => ({
    position: String(position),
    ...(quantity === null ? {} : { "out_Quantity.quantity": quantity }),
    "out_Quantity.quality": quality,
  }));

interface Told {
  resolution?: string;
  start?: string;
  end?: string;
  unit?: string;
  businessType?: string;
  meter?: string;
  created?: string;
  points?: Point[];
}

function document(told: Told = {}): Record<string, unknown> {
  return {
    MyEnergyData_MarketDocument: {
      mRID: "d1",
      createdDateTime: told.created ?? "2024-02-15T10:10:07Z",
      "period.timeInterval": {
        start: told.start ?? "2024-02-11T23:00:00Z",
        end: told.end ?? "2024-02-12T23:00:00Z",
      },
      TimeSeries: [
        {
          mRID: told.meter ?? "571313179100000001",
          businessType: told.businessType ?? "A04",
          curveType: "A01",
          "measurement_Unit.name": told.unit ?? "KWH",
          MarketEvaluationPoint: { mRID: { codingScheme: "A10", name: told.meter ?? "571313179100000001" } },
          Period: [
            {
              resolution: told.resolution ?? "PT1H",
              timeInterval: {
                start: told.start ?? "2024-02-11T23:00:00Z",
                end: told.end ?? "2024-02-12T23:00:00Z",
              },
              Point: told.points ?? points([1, "0.13"], [2, "0.11"]),
            },
          ],
        },
      ],
    },
    success: true,
    errorCode: 10000,
    errorText: "NoError",
  };
}

const wrapped = (...results: unknown[]): string => JSON.stringify({ result: results }, null, 1);

describe("values", () => {
  test("positions, quality, version and line", async () => {
    const text = wrapped(
      document({
        points: points([1, "0.13"], [3, "0.11", "A03"], [4, null, "A02"], [5, "0", "A02"], [6, "0.2", "A05"]),
      }),
    );
    expect(eloverblikJson.detect(Buffer.from(text), "x.json")).toBeGreaterThan(0.9);
    for (const pieceBytes of [1, 13, 65_536]) {
      const got = await collect(eloverblikJson, text, { pieceBytes });
      expect(got.problems).toEqual([]);
      expect(got.series).toMatchObject([
        {
          meter: "571313179100000001",
          direction: "consumption",
          metric: "energy",
          unit: "kWh",
          printedUnit: "KWH",
          timezone: "Europe/Copenhagen",
        },
      ]);
      expect(
        got.intervals.map((item) => [iso(item.start).slice(8, 16), item.value, item.quality, item.code]),
      ).toEqual([
        ["11T23:00", 0.13, "measured", "A04"],
        ["12T01:00", 0.11, "estimated", "A03"],
        ["12T02:00", null, "missing", "A02"],
        ["12T03:00", null, "missing", "A02"],
        ["12T04:00", null, "missing", "A05"],
      ]);
      expect(got.intervals[0]?.version).toBe(Date.UTC(2024, 1, 15, 10, 10, 7));
      const line = text.split("\n").findIndex((at) => at.includes('"position": "3"'));
      expect(got.intervals[1]?.line).toBe(line);
    }
  });

  test("production, MWh and numbers that are not texts", async () => {
    const got = await collect(
      eloverblikJson,
      wrapped(
        document({
          businessType: "A01",
          unit: "MWH",
          points: [{ position: 1, "out_Quantity.quantity": 0.0013, "out_Quantity.quality": "A04" }],
        }),
      ),
    );
    expect(got.series).toMatchObject([{ direction: "production", unit: "kWh", printedUnit: "MWH" }]);
    expect(got.intervals).toMatchObject([{ value: 1.3 }]);
  });

  test("a document without the list around it, and members in another order", async () => {
    const { MyEnergyData_MarketDocument: inner } = document();
    const turned = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(turned);
      if (typeof value !== "object" || value === null) return value;
      return Object.fromEntries(
        Object.entries(value)
          .reverse()
          .map(([key, at]) => [key, turned(at)]),
      );
    };
    const plain = await collect(eloverblikJson, JSON.stringify({ MyEnergyData_MarketDocument: inner }));
    const backwards = await collect(
      eloverblikJson,
      JSON.stringify(turned({ MyEnergyData_MarketDocument: inner })),
    );
    expect(plain.errors).toEqual([]);
    expect(plain.intervals).toHaveLength(2);
    expect(backwards.errors).toEqual([]);
    expect(backwards.intervals).toEqual(plain.intervals);
    expect(backwards.series).toEqual(plain.series);
  });

  test("quarters and hours of one meter are two series", async () => {
    const got = await collect(eloverblikJson, wrapped(document(), document({ resolution: "PT15M" })));
    expect(got.series).toHaveLength(2);
    expect(got.intervals.map((item) => item.seconds)).toEqual([3600, 3600, 900, 900]);
  });

  test.each([
    ["P1D", "2024-03-29T23:00:00Z", "2024-04-01T22:00:00Z", [86_400, 82_800, 86_400]],
    ["PT1D", "2024-10-25T22:00:00Z", "2024-10-28T23:00:00Z", [86_400, 90_000, 86_400]],
    ["P1M", "2024-01-31T23:00:00Z", "2024-04-30T22:00:00Z", [29 * 86_400, 31 * 86_400 - 3600, 30 * 86_400]],
  ])("%s follows the days of Copenhagen", async (resolution, start, end, seconds) => {
    const told = { resolution, start, end, points: points([1, "1"], [2, "2"], [3, "3"]) };
    const got = await collect(eloverblikJson, wrapped(document(told)));
    expect(got.errors).toEqual([]);
    expect(got.intervals.map((item) => item.seconds)).toEqual(seconds);
  });

  test("a day of 25 hours has 25 positions", async () => {
    const told = { start: "2024-10-26T22:00:00Z", end: "2024-10-27T23:00:00Z" };
    const values = Array.from({ length: 25 }, (_, at): [number, string] => [at + 1, "1.5"]);
    const got = await collect(eloverblikJson, wrapped(document({ ...told, points: points(...values) })));
    expect(tally(got, 0)).toEqual({ count: 25, missing: 0, total: "37.5" });
    const more = await collect(
      eloverblikJson,
      wrapped(document({ ...told, points: points(...values, [26, "1"]) })),
    );
    expect(more.errors).toMatchObject([{ field: "position" }]);
  });
});

describe("what is refused", () => {
  test.each([
    [{ resolution: "P1Y" }, "resolution", "is not kept"],
    [{ resolution: "string" }, "resolution", "is not kept"],
    [{ unit: "pcs" }, "unit", "Unknown unit"],
    [{ meter: "5,7131E+17" }, "meter", "lost its digits"],
    [{ start: "2024-02-11 23:00" }, "timeInterval", "not an interval"],
    [{ start: "2024-02-11T23:07:00Z" }, "position", "does not lie"],
    [{ resolution: "P1D", start: "2024-02-12T00:00:00Z" }, "position", "does not lie"],
    [{ points: points([0, "1"]) }, "position", "does not lie"],
    [{ points: points(["1.5", "1"]) }, "position", "does not lie"],
    [{ points: points([1, "1"], [1, "2"]) }, "position", "twice"],
    [{ points: points([1, "1,5"]) }, "quantity", "not a number"],
    [{ points: points([1, "NaN"]) }, "quantity", "not a number"],
  ])("%j", async (told, field, message) => {
    const got = await collect(eloverblikJson, wrapped(document(told as Told)));
    expect(got.errors.length).toBeGreaterThan(0);
    expect(got.errors[0]).toMatchObject({ field });
    expect(got.errors[0]?.line).toBeGreaterThan(1);
    expect(got.errors[0]?.message).toContain(message);
  });

  test("an error inside an answer with status 200", async () => {
    const failed = {
      MyEnergyData_MarketDocument: null,
      success: false,
      errorCode: 20012,
      errorText: "WrongMeteringPointIdOrWebAccessCode",
      id: "571313179100000002",
    };
    const got = await collect(eloverblikJson, wrapped(document(), failed));
    expect(got.intervals).toHaveLength(2);
    expect(got.errors).toHaveLength(1);
    expect(got.errors[0]?.message).toContain("20012 (WrongMeteringPointIdOrWebAccessCode)");
    expect(got.errors[0]?.message).toContain("571313179100000002");
  });

  test("cut off, damaged, too deep, too long and empty", async () => {
    const text = wrapped(document());
    for (const broken of [
      text.slice(0, -20),
      text.slice(0, text.indexOf("0.13")),
      text.replace('"position"', "position"),
      `{"MyEnergyData_MarketDocument":${"[".repeat(100_000)}`,
      `{"MyEnergyData_MarketDocument":"${"x".repeat(2_000_000)}"}`,
      '{"MyEnergyData_MarketDocument":{}}',
      `${text}{}`,
      "",
    ]) {
      const got = await collect(eloverblikJson, broken);
      expect(got.errors.length).toBeGreaterThan(0);
    }
  });

  test("another document is not ours", () => {
    expect(eloverblikJson.detect(Buffer.from('{"a":1}'), "x.json")).toBe(0);
    expect(eloverblikJson.detect(Buffer.from("a;b"), "x.csv")).toBe(0);
  });
});

test("meter readings are readings of registers", async () => {
  const reading = (date: string, value: string): Record<string, string> => ({
    readingDate: date,
    registrationDate: "2024-01-02T08:00:00Z",
    meterNumber: "21000001",
    meterReading: value,
    measurementUnit: "KWH",
  });
  const result = {
    meteringPointId: "571313179100000001",
    readings: [reading("2023-12-31T23:00:00.000Z", "1234.567"), reading("2024-01-31T23:00:00.000Z", "1300")],
  };
  const text = wrapped({ result, success: true, errorCode: 10000 });
  expect(eloverblikJson.detect(Buffer.from(text), "x.json")).toBeGreaterThan(0.9);
  const got = await collect(eloverblikJson, text);
  expect(got.problems).toEqual([]);
  expect(got.series).toMatchObject([{ meter: "571313179100000001", channel: "21000001", register: true }]);
  expect(got.readings).toMatchObject([
    { time: Date.UTC(2023, 11, 31, 23), value: 1234.567, version: Date.UTC(2024, 0, 2, 8) },
    { time: Date.UTC(2024, 0, 31, 23), value: 1300 },
  ]);
  const wrong = await collect(eloverblikJson, text.replace("2023-12-31T23:00:00.000Z", "31-12-2023"));
  expect(wrong.errors).toMatchObject([{ field: "readingDate" }]);
});

test("a large document streams in small pieces of memory", async () => {
  async function* source(): AsyncGenerator<Uint8Array, void, undefined> {
    const one = JSON.stringify(
      document({
        points: points(...Array.from({ length: 24 }, (_, at): [number, string] => [at + 1, "1.1"])),
      }),
    );
    yield Buffer.from('{"result":[');
    for (let i = 0; i < 4000; i++) yield Buffer.from(`${i === 0 ? "" : ","}${one}`);
    yield Buffer.from("]}");
  }
  let values = 0;
  let largest = 0;
  for await (const items of eloverblikJson.read(source(), { fileName: "x.json" })) {
    largest = Math.max(largest, items.length);
    values += items.filter((item) => item.kind === "interval").length;
  }
  expect(values).toBe(96_000);
  expect(largest).toBeLessThan(2000);
});

describe.runIf(haveSamples)("sample files", () => {
  test("two hours of a metering point", async () => {
    const got = await collect(
      eloverblikJson,
      sample("connector-json/dk-energinet__ShortMyEnergyDataMarketDocumentResponseListApiResponse.json"),
    );
    expect(got.problems).toEqual([]);
    expect(tally(got, 0)).toEqual({ count: 2, missing: 0, total: "0.24" });
    expect(iso(got.intervals[0]?.start)).toBe("2024-02-11T23:00:00.000Z");
  });

  test.each([
    "eloverblik__MyEnergyDataMarketDocumentResponse.json",
    "eloverblik__meter-point-readings-response.json",
  ])("the placeholders of %s are refused with line and reason", async (name) => {
    const bytes = sample(`connector-json/${name}`);
    expect(eloverblikJson.detect(bytes, name)).toBeGreaterThan(0.9);
    const got = await collect(eloverblikJson, bytes);
    expect(got.errors.length).toBeGreaterThan(0);
    for (const problem of got.errors) expect(problem.line).toBeGreaterThan(0);
  });

  test.each([
    "eloverblik__metering-point-price-data.json",
    "eloverblik__metering-point-details-response.json",
  ])("%s holds no values and is not claimed", async (name) => {
    expect(eloverblikJson.detect(sample(`connector-json/${name}`), name)).toBe(0);
    expect((await collect(eloverblikJson, sample(`connector-json/${name}`))).errors.length).toBeGreaterThan(
      0,
    );
  });
});
