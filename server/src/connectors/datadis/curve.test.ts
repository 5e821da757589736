import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { granuleStarts } from "../../platform/time/granule.ts";
import { localToUtc } from "../../platform/time/zone.ts";
import { readCurve } from "./curve.ts";
import { labelOf } from "./harness.ts";
import { monthAt, monthsOf, monthText } from "./months.ts";

const zone = "Europe/Madrid";
const cups = "ES0031000000000001AA0F";
const changed = expect.objectContaining({ kind: "changed" });
const at = (text: string) => Date.parse(text);

const row = (date: string, time: string, consumptionKWh: number | null = 1, more: object = {}) => ({
  ...{ cups, date, time, consumptionKWh, obtainMethod: "Real" },
  ...more,
});
const optionsOf = (date: string, minutes = 60) => ({
  ...{ cups, zone, minutes, isCurrent: false },
  month: Number(date.slice(0, 4)) * 12 + Number(date.slice(5, 7)) - 1,
});
const read = (rows: ReturnType<typeof row>[], more: object = {}) =>
  readCurve(rows, { ...optionsOf(rows[0]!.date), ...more }).map(({ start, consumption }) => [
    start,
    consumption,
  ]);

describe("labels are the end of each hour, by the clock of the supply", () => {
  test("of a whole month, whichever, in hours and quarters", () => {
    const months = fc.integer({ min: 2020 * 12, max: 2030 * 12 });
    const zones = fc.constantFrom("Europe/Madrid", "Atlantic/Canary");
    fc.assert(
      fc.property(
        months,
        zones,
        fc.constantFrom(15, 60),
        fc.boolean(),
        (month, zone, minutes, isReversed) => {
          const local = (index: number) =>
            localToUtc(zone, Date.UTC(Math.floor(index / 12), index % 12, 1)).utc;
          const range = { from: local(month), to: local(month + 1) };
          const starts = granuleStarts(minutes === 60 ? "hour" : "15min", zone, range);
          const rows = starts.map((start, i) => {
            const { date, time } = labelOf(start, { zone, minutes });
            return row(date, time, i);
          });
          const options = { cups, zone, minutes, month, isCurrent: false };
          const got = readCurve(isReversed ? rows.reverse() : rows, options).sort(
            (a, b) => a.start - b.start,
          );
          expect(got.map(({ start }) => start)).toEqual(starts);
          expect(got.map(({ consumption }) => consumption)).toEqual(starts.map((_, i) => i));
        },
      ),
      { numRuns: 60 },
    );
  });

  test("24:00 ends the day that it stands on", () => {
    expect(read([row("2026/07/31", "24:00")])).toEqual([[at("2026-07-31T21:00Z"), 1]]);
  });

  test("an hour of the autumn night that stands once could be either, and is not taken", () => {
    const rows = [
      row("2026/10/25", "02:00", 2),
      row("2026/10/25", "03:00", 3),
      row("2026/10/25", "04:00", 4),
    ];
    expect(read(rows)).toEqual([
      [at("2026-10-24T23:00Z"), 2],
      [at("2026-10-25T02:00Z"), 4],
    ]);
  });

  test("names by the clock after the change: 02:00 twice, and 03:00 for the hour before spring", () => {
    const autumn = ["02:00", "02:00", "03:00"].map((time, i) => row("2026/10/25", time, i));
    expect(read(autumn)).toEqual([
      [at("2026-10-24T23:00Z"), 0],
      [at("2026-10-25T00:00Z"), 1],
      [at("2026-10-25T01:00Z"), 2],
    ]);
    const spring = ["01:00", "03:00", "04:00"].map((time, i) => row("2026/03/29", time, i));
    expect(read(spring)).toEqual([
      [at("2026-03-28T23:00Z"), 0],
      [at("2026-03-29T00:00Z"), 1],
      [at("2026-03-29T01:00Z"), 2],
    ]);
  });

  test("the hour that spring skips may stand there empty, not with a value", () => {
    const rows = (value: number | null) =>
      ["02:00", "03:00", "04:00"].map((time) => row("2026/03/29", time, time === "03:00" ? value : 1));
    expect(read(rows(0)).length).toBe(2);
    expect(read(rows(null)).length).toBe(2);
    expect(() => read(rows(5))).toThrow(changed);
  });

  test("a row 00:00 beside a whole day is nothing, and alone it is not known", () => {
    const whole = Array.from({ length: 24 }, (_, i) =>
      row("2026/07/01", `${String(i + 1).padStart(2, "0")}:00`, i),
    );
    expect(read([row("2026/07/01", "00:00", 9), ...whole]).length).toBe(24);
    expect(() => read([row("2026/07/01", "00:00", 9)])).toThrow(changed);
  });
});

test("rows that stand twice are one, unless they contradict each other", () => {
  const one = row("2026/07/01", "05:00", 3);
  expect(read([one, one])).toEqual([[at("2026-07-01T02:00Z"), 3]]);
  expect(() => read([one, { ...one, consumptionKWh: 4 }])).toThrow(changed);
  const night = ["03:00", "03:00", "03:00"].map((time, i) => row("2026/10/25", time, i));
  expect(() => read(night)).toThrow(changed);
});

test("methods are qualities", () => {
  const rows = ["Real", "Estimada", "", null].map((obtainMethod, i) =>
    row("2026/07/01", `0${i + 1}:00`, 1, { obtainMethod }),
  );
  const got = readCurve(rows, optionsOf("2026/07/01")).map(({ quality }) => quality);
  expect(got).toEqual(["measured", "estimated", "unknown", "unknown"]);
});

test("zeros at the end of a month that is not over, without a method, are not there yet", () => {
  const rows = [
    row("2026/07/01", "01:00", 0, { obtainMethod: "" }),
    row("2026/07/01", "02:00", 1),
    row("2026/07/01", "03:00", 0, { obtainMethod: "" }),
    row("2026/07/01", "04:00", 0, { obtainMethod: "" }),
  ];
  expect(read(rows, { isCurrent: true }).length).toBe(2);
  expect(read(rows).length).toBe(4);
});

test.each([
  ["another supply", row("2026/07/01", "05:00", 1, { cups: "ES0031000000000002AA0F" })],
  ["another month", row("2026/08/01", "05:00")],
  ["a method", row("2026/07/01", "05:00", 1, { obtainMethod: "Prevista" })],
  ["a part of an hour", row("2026/07/01", "05:30")],
  ["no day", row("2026/07/99", "05:00")],
])("%s that is not known is changed", (_, wrong) => {
  expect(() => readCurve([wrong], optionsOf("2026/07/01"))).toThrow(changed);
});

test("months hold all that is wanted, each once, and none of them in vain", () => {
  const range = fc
    .tuple(
      fc.integer({ min: at("2023-01-01"), max: at("2026-12-01") }),
      fc.integer({ min: 1, max: 200 * 24 }),
    )
    .map(([from, hours]) => ({ from, to: from + hours * 3_600_000 }));
  fc.assert(
    fc.property(fc.array(range, { maxLength: 5 }), (wanted) => {
      const months = monthsOf(wanted, zone);
      expect(months).toEqual([...new Set(months)].sort((a, b) => a - b));
      const inside = wanted.flatMap(({ from, to }) =>
        [from, ...granuleStarts("day", zone, { from, to })].map((day) => monthAt(zone, day)),
      );
      expect(months).toEqual([...new Set(inside)].sort((a, b) => a - b));
    }),
  );
  expect(monthText(monthAt(zone, at("2026-02-28T23:00Z")))).toBe("2026/03");
});
