import { describe, expect, test } from "vitest";
import { collect, iso, tally } from "../harness.ts";
import { eloverblikCsv } from "./csv.ts";

const header = "MålepunktsID;Fra_dato;Til_dato;Mængde;Måleenhed;Kvalitet;Type";
const meter = "571313179100000001";
const row = (from: string, to: string, value = "0,25"): string =>
  `${meter};${from};${to};${value};KWH;Målt;Tidsserie`;
const file = (...rows: string[]): string => `\ufeff${header}\r\n${rows.join("\r\n")}\r\n`;

test("a row", async () => {
  const text = file(row("01-01-2023 00:00:00", "01-01-2023 01:00:00"));
  expect(eloverblikCsv.detect(Buffer.from(text), "x.csv")).toBeGreaterThan(0.9);
  expect(eloverblikCsv.detect(Buffer.from(text.replace("\ufeff", ""), "latin1"), "x.csv")).toBeGreaterThan(
    0.9,
  );
  const got = await collect(eloverblikCsv, text);
  expect(got.problems).toEqual([]);
  expect(got.series).toMatchObject([
    { meter, unit: "kWh", direction: "unknown", timezone: "Europe/Copenhagen" },
  ]);
  expect(got.intervals).toMatchObject([
    {
      start: Date.UTC(2022, 11, 31, 23),
      seconds: 3600,
      value: 0.25,
      quality: "measured",
      code: "Målt",
      line: 2,
    },
  ]);
});

describe("the days on which the clocks change", () => {
  const autumn = [
    row("29-10-2023 01:00:00", "29-10-2023 02:00:00", "1"),
    row("29-10-2023 02:00:00", "29-10-2023 03:00:00", "2"),
    row("29-10-2023 02:00:00", "29-10-2023 03:00:00", "3"),
    row("29-10-2023 03:00:00", "29-10-2023 04:00:00", "4"),
  ];
  const starts = (rows: { start: number; value: number | null }[]): [string, number | null][] =>
    rows.map((item) => [iso(item.start).slice(11, 16), item.value]);

  test("the repeated hour, oldest first and newest first", async () => {
    const expected = [
      ["23:00", 1],
      ["00:00", 2],
      ["01:00", 3],
      ["02:00", 4],
    ];
    const up = await collect(eloverblikCsv, file(...autumn));
    expect(up.errors).toEqual([]);
    expect(starts(up.intervals)).toEqual(expected);
    expect(new Set(up.intervals.map((item) => item.seconds))).toEqual(new Set([3600]));
    const down = await collect(eloverblikCsv, file(...[...autumn].reverse()));
    expect(starts(down.intervals)).toEqual([...expected].reverse());
  });

  test("the repeated hour when its first pass is printed as ending at 02:00", async () => {
    const printed = autumn.with(1, row("29-10-2023 02:00:00", "29-10-2023 02:00:00", "2"));
    const got = await collect(eloverblikCsv, file(...printed));
    expect(got.errors).toEqual([]);
    expect(starts(got.intervals).map(([start]) => start)).toEqual(["23:00", "00:00", "01:00", "02:00"]);
  });

  test("spring: both ways to print the hour before the change", async () => {
    const got = await collect(
      eloverblikCsv,
      file(
        row("26-03-2023 01:00:00", "26-03-2023 03:00:00", "1"),
        row("26-03-2023 03:00:00", "26-03-2023 04:00:00", "2"),
        row("26-03-2022 01:00:00", "26-03-2022 02:00:00", "3"),
      ),
    );
    expect(got.errors).toEqual([]);
    expect(got.intervals.map((item) => item.seconds)).toEqual([3600, 3600, 3600]);
  });

  test("an hour that does not exist is refused", async () => {
    const got = await collect(eloverblikCsv, file(row("26-03-2023 02:00:00", "26-03-2023 03:00:00")));
    expect(got.errors).toMatchObject([{ line: 2, field: "Fra_dato" }]);
    expect(got.errors[0]?.message).toContain("went forward");
  });

  test("days of 23 and 25 hours, and a month", async () => {
    const got = await collect(
      eloverblikCsv,
      file(
        row("26-03-2023 00:00:00", "27-03-2023 00:00:00"),
        row("29-10-2023 00:00:00", "30-10-2023 00:00:00"),
        row("01-02-2023 00:00:00", "01-03-2023 00:00:00"),
      ),
    );
    expect(got.errors).toEqual([]);
    expect(got.intervals.map((item) => item.seconds / 3600)).toEqual([23, 25, 28 * 24]);
    expect(got.series).toHaveLength(2);
  });
});

test("several meters, estimated and missing values", async () => {
  const text = file(
    row("01-01-2023 00:00:00", "01-01-2023 00:15:00", "1.234,5"),
    row("01-01-2023 00:00:00", "01-01-2023 00:15:00").replace("Målt", "Estimeret"),
    row("01-01-2023 00:15:00", "01-01-2023 00:30:00", ""),
    row("01-01-2023 00:00:00", "01-01-2023 00:15:00", "2").replace("0001;", "0002;"),
  );
  const got = await collect(eloverblikCsv, text);
  expect(got.errors).toMatchObject([{ line: 2, field: "Mængde" }]);
  expect(got.intervals.map((item) => [item.series, item.value, item.quality])).toEqual([
    [0, 0.25, "estimated"],
    [0, null, "missing"],
    [1, 2, "measured"],
  ]);
  expect(tally(got, 0)).toEqual({ count: 2, missing: 1, total: "0.25" });
});

test("a file without a unit column needs the unit stated", async () => {
  const text = `MålepunktsID;Fra_dato;Til_dato;Mængde\n${meter};01-02-2026 00:00:00;01-02-2026 01:00:00;0,198\n`;
  expect((await collect(eloverblikCsv, text)).errors).toMatchObject([{ field: "Måleenhed" }]);
  const got = await collect(eloverblikCsv, text, { unit: "kWh" });
  expect(got.errors).toEqual([]);
  expect(got.intervals).toMatchObject([{ value: 0.198, quality: "unknown" }]);
});

describe("what is refused", () => {
  test.each([
    ["2023-01-01 00:00:00", "Fra_dato", "not a time like"],
    ["31-02-2023 00:00:00", "Fra_dato", "not a time like"],
    ["01-01-2023 00:00", undefined, ""],
  ])("from %s", async (from, field, message) => {
    const got = await collect(eloverblikCsv, file(row(from, "01-01-2023 01:00:00")));
    if (field === undefined) expect(got.errors).toEqual([]);
    else expect(got.errors[0]).toMatchObject({ line: 2, field, message: expect.stringContaining(message) });
  });

  test.each([
    ["01-01-2023 00:00:00", "08-01-2023 00:00:00"],
    ["01-01-2023 00:00:00", "01-01-2023 00:00:00"],
    ["01-01-2023 00:07:00", "01-01-2023 01:07:00"],
    ["15-01-2023 00:00:00", "15-02-2023 00:00:00"],
  ])("%s to %s is no granule", async (from, to) => {
    const got = await collect(eloverblikCsv, file(row(from, to)));
    expect(got.errors).toMatchObject([{ line: 2, field: "Til_dato" }]);
  });

  test("lost digits, cut rows, shifted rows, another table, no rows", async () => {
    const good = row("01-01-2023 00:00:00", "01-01-2023 01:00:00");
    const got = await collect(
      eloverblikCsv,
      file(good.replace(meter, "5,71313E+17"), `${good};x`, good.slice(0, 30)),
    );
    expect(got.errors.map((problem) => problem.line)).toEqual([2, 3, 4]);
    expect((await collect(eloverblikCsv, "a;b\n1;2\n")).errors).toHaveLength(1);
    expect((await collect(eloverblikCsv, `${header}\n`)).errors).toHaveLength(1);
  });
});
