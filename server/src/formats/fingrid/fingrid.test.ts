import { describe, expect, test } from "vitest";
import { collect, haveSamples, iso, sample, tally } from "../harness.ts";
import { fingrid } from "./fingrid.ts";

const header =
  "Mittauspisteen tunnus;Tuotteen tyyppi;Resoluutio;Yksikkötyyppi;Lukeman tyyppi;Alkuaika;Määrä;Laatu";
const row = "643007570000000001;8716867000030;PT15M;kWh;BN01;2024-12-31T22:00:00Z;0,460000;OK";

describe("headers", () => {
  test.each([
    ["eight Finnish columns", header, row],
    [
      "seven Finnish columns of 2022",
      "Mittauspisteen tunnus;Tuotteen tyyppi;Resoluutio;Yksikkötyyppi;Alkuaika;Määrä;Laatu",
      row.replace(";BN01", ""),
    ],
    [
      "eight English columns",
      "MeteringPointGSRN;Product Type;Resolution;Unit Type;Reading Type;Start Time;Quantity;Quality",
      row,
    ],
    ["names in another language, known by the shape of the row", "A;B;C;D;E;F;G;H", row],
    ["tabs, as a spreadsheet may save it", header.replaceAll(";", "\t"), row.replaceAll(";", "\t")],
  ])("%s", async (_, first, second) => {
    const text = `${first}\r\n${second}\r\n`;
    expect(fingrid.detect(Buffer.from(text), "x.csv")).toBeGreaterThan(0.8);
    const got = await collect(fingrid, text);
    expect(got.problems).toEqual([]);
    expect(got.series).toMatchObject([
      {
        meter: "643007570000000001",
        type: "electricity",
        metric: "energy",
        direction: "unknown",
        unit: "kWh",
      },
    ]);
    expect(got.intervals).toMatchObject([
      {
        start: Date.UTC(2024, 11, 31, 22),
        seconds: 900,
        value: 0.46,
        quality: "measured",
        code: "OK",
        line: 2,
      },
    ]);
  });

  test("byte-order mark and Windows-1252 both work, in pieces of any size", async () => {
    for (const pieceBytes of [1, 7, 65_536]) {
      const marked = await collect(fingrid, `\ufeff${header}\n${row}`, { pieceBytes });
      const saved = await collect(fingrid, Buffer.from(`${header}\n${row}`, "latin1"), { pieceBytes });
      expect(marked.intervals).toHaveLength(1);
      expect(saved.intervals).toEqual(marked.intervals);
      expect(saved.errors).toEqual([]);
    }
  });

  test("another table is not ours", async () => {
    expect(fingrid.detect(Buffer.from("a;b\n1;2\n"), "x.csv")).toBe(0);
    const got = await collect(fingrid, "a;b\n1;2\n");
    expect(got.errors[0]?.message).toContain("Download the file again");
  });

  test("a header alone holds nothing", async () => {
    expect((await collect(fingrid, `${header}\n`)).errors[0]?.message).toContain("no rows");
  });
});

describe("rows", () => {
  test("quarter-hours and hours of one metering point are two series, never one", async () => {
    const hour = row.replace("PT15M", "PT1H").replace("22:00:00Z;0,460000", "23:00:00Z;1,5");
    const got = await collect(fingrid, `${header}\n${row}\n${hour}\n`);
    expect(got.series).toHaveLength(2);
    expect(got.intervals.map((item) => [item.series, item.seconds, item.value])).toEqual([
      [0, 900, 0.46],
      [1, 3600, 1.5],
    ]);
  });

  test("BN02 is another series and says nothing about the direction", async () => {
    const got = await collect(fingrid, `${header}\n${row}\n${row.replace("BN01", "BN02")}\n`);
    expect(got.series.map((series) => [series.channel, series.direction])).toEqual([
      ["BN01", "unknown"],
      ["BN02", "unknown"],
    ]);
  });

  test.each([
    ["an empty value", ";;OK", ""],
    ["null", ";null;MISSING", "MISSING"],
    ["a value marked as missing", ";0,000000;MISSING", "MISSING"],
  ])("%s is missing, not zero", async (_, end) => {
    const got = await collect(fingrid, `${header}\n${row.replace(";0,460000;OK", end)}\n`);
    expect(got.errors).toEqual([]);
    expect(got.intervals).toMatchObject([{ value: null, quality: "missing" }]);
  });

  test("an unknown quality is passed on", async () => {
    const got = await collect(fingrid, `${header}\n${row.replace(";OK", ";UNCERTAIN")}\n`);
    expect(got.intervals).toMatchObject([{ value: 0.46, quality: "unknown", code: "UNCERTAIN" }]);
  });

  test.each([
    ["643007570000000001", "6,43007E+17", "meter", "downloaded"],
    ["0,460000", "0.460000", "quantity", "decimal comma"],
    ["0,460000", "1e309", "quantity", "decimal comma"],
    ["2024-12-31T22:00:00Z", "2024-12-31T22:07:00Z", "start", "start of an interval"],
    ["2024-12-31T22:00:00Z", "2024-02-30T22:00:00Z", "start", "not a time in UTC"],
    ["2024-12-31T22:00:00Z", "31.12.2024 22:00", "start", "not a time in UTC"],
    ["PT15M", "PT7M", "resolution", "PT15M or PT1H"],
    ["kWh", "pcs", "unit", "expected kWh"],
  ])("%s → %s is refused with line and field", async (from, to, field, message) => {
    const got = await collect(fingrid, `${header}\n${row}\n${row.replace(from, to)}\n`);
    expect(got.errors).toHaveLength(1);
    expect(got.errors[0]).toMatchObject({ line: 3, field });
    expect(got.errors[0]?.message).toContain(message);
    expect(got.intervals).toHaveLength(1);
  });

  test("a cut-off row and a shifted row are refused", async () => {
    const got = await collect(fingrid, `${header}\n${row};x\n${row.slice(0, 40)}`);
    expect(got.errors.map((problem) => problem.line)).toEqual([2, 3]);
  });

  test("Wh and MWh are scaled exactly, days follow Helsinki", async () => {
    const day = row.replace("PT15M", "P1D").replace("kWh", "Wh").replace("0,460000", "1234,5");
    const autumn = day.replace("2024-12-31T22", "2024-10-26T21");
    const got = await collect(fingrid, `${header}\n${day}\n${autumn}\n`);
    expect(got.intervals.map((item) => [item.seconds, item.value])).toEqual([
      [86_400, 1.2345],
      [90_000, 1.2345],
    ]);
  });
});

describe.runIf(haveSamples)("sample files against an independent count", () => {
  test.each([
    ["fi_datahub__consumption-test.csv", 1],
    ["fi_datahub__consumption-with-null-only.csv", 1],
    ["fi_datahub__extra-15min-error.csv", 1],
    ["fi_datahub__quarter-consumption-test.csv", 1],
  ])("%s", async (name, seriesCount) => {
    const bytes = sample(`portal-csv-nordic/${name}`);
    const rows = bytes.toString().trim().split("\n").slice(1);
    const values = rows.map((line) => line.split(";").at(-2)!);
    const millionths = values
      .filter((value) => value !== "null" && value !== "")
      .reduce((sum, value) => sum + BigInt(Math.round(Number(value.replace(",", ".")) * 1e6)), 0n);
    expect(fingrid.detect(bytes.subarray(0, 65_536), name)).toBeGreaterThan(0.9);
    const got = await collect(fingrid, bytes);
    expect(got.errors).toEqual([]);
    expect(got.series).toHaveLength(seriesCount);
    const { count, missing, total } = tally(got, 0);
    expect(count).toBe(rows.length);
    expect(missing).toBe(values.filter((value) => value === "null" || value === "").length);
    expect(BigInt(Math.round(Number(total) * 1e6))).toBe(millionths);
    const first = rows[0]!.split(";").at(-3)!;
    expect(iso(got.intervals[0]?.start)).toBe(first.replace("Z", ".000Z"));
  });
});
