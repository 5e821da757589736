import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { pointsAnswer } from "./points.ts";
import { Strange, seriesAnswer, valuesOf } from "./series.ts";

const instants = (start: string, end: string) => ({ start: Date.parse(start), end: Date.parse(end) });

function series(
  ...periods: { resolution: string; start: string; end: string; points: [string, string?, string?][] }[]
) {
  return [
    {
      businessType: "A04",
      "measurement_Unit.name": "KWH",
      MarketEvaluationPoint: { mRID: { name: "571313179100066516" } },
      Period: periods.map(({ resolution, start, end, points }) => ({
        resolution,
        timeInterval: instants(start, end),
        Point: points.map(([position, quantity, quality = "A04"]) => ({
          position,
          "out_Quantity.quantity": quantity,
          "out_Quantity.quality": quality,
        })),
      })),
    },
  ];
}
const only = (found: ReturnType<typeof valuesOf>) => [...found.values()][0]!;
const [from, to] = ["2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"];

describe("values of a document", () => {
  test("of periods in any order, that stand twice, are ascending and once", () => {
    const second = {
      resolution: "PT1H",
      start: from,
      end: to,
      points: [
        ["2", "2"],
        ["1", "1"],
      ] as [string, string][],
    };
    const read = only(valuesOf(series(second, second), "hour"));
    expect(read.starts.map((at) => new Date(at).toISOString())).toEqual([
      "2026-10-24T22:00:00.000Z",
      "2026-10-24T23:00:00.000Z",
    ]);
    expect(read.values).toEqual([1, 2]);
  });

  test.each([
    [
      "two values of one time",
      [
        ["1", "1"],
        ["1", "2"],
      ],
    ],
    ["a position of 0", [["0", "1"]]],
    ["a position behind the 25th hour", [["26", "1"]]],
    ["a number with an exponent", [["1", "1e3"]]],
    ["a measured value without a number", [["1", undefined]]],
    ["an unknown quality", [["1", "1", "A06"]]],
  ] as [string, [string, string?, string?][]][])("%s is strange", (_, points) => {
    const document = series({ resolution: "PT1H", start: from, end: to, points });
    expect(() => valuesOf(document, "hour")).toThrow(Strange);
  });

  test("of a day are one, whatever the day is called", () => {
    for (const resolution of ["P1D", "PT1D"]) {
      const document = series({ resolution, start: from, end: to, points: [["1", "5"]] });
      expect(only(valuesOf(document, "hour")).values).toEqual([]);
      expect(only(valuesOf(document, "day")).values).toEqual([5]);
    }
  });
});

const samples = new URL("../../../../../shared/samples/connector-json/", import.meta.url);
const recorded = (name: string) => JSON.parse(readFileSync(new URL(name, samples), "utf8"));

describe.runIf(existsSync(samples))("answers that others have recorded", () => {
  test("hours", () => {
    const file = "dk-energinet__ShortMyEnergyDataMarketDocumentResponseListApiResponse.json";
    const [result] = seriesAnswer.parse(recorded(file)).result!;
    if (!result!.success) throw new Error("refused");
    const read = only(valuesOf(result.MyEnergyData_MarketDocument.TimeSeries!, "hour"));
    expect(read).toEqual({
      starts: [Date.parse("2024-02-11T23:00:00Z"), Date.parse("2024-02-12T00:00:00Z")],
      values: [0.13, 0.11],
      quality: ["measured", "measured"],
    });
  });

  test("a metering point with the fields of its details", () => {
    const file = "dk-energinet__MeteringPointDetailsCustomerDtoResponseListApiResponse.json";
    const [{ result }] = recorded(file).result;
    const point = { ...result, meteringPointId: "571313100000000001" };
    expect(pointsAnswer.parse({ result: [point] }).result).toMatchObject([
      {
        typeOfMP: "E17",
        meterReadingOccurrence: "PT1H",
        consumerStartDate: "2021-03-01",
        cityName: "København K",
      },
    ]);
  });
});
