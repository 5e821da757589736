import fc from "fast-check";
import { expect, test } from "vitest";
import { granuleStarts } from "../platform/time/granule.ts";
import { dayOf, daySpans, dayText, timeSpans } from "./windows.ts";

const zones = ["Europe/Copenhagen", "Europe/London", "UTC", "America/New_York"];

test("days of questions are joined, and cut where the provider's longest answer ends", () => {
  const zone = "Europe/Stockholm";
  const at = (day: number) => Date.UTC(2026, 0, day) - 3_600_000;
  const asked = [
    { from: at(20), to: at(21) },
    { from: at(1), to: at(3) },
    { from: at(3), to: at(9) },
  ];
  const days = daySpans(asked, { zone, daysMax: 5 }).map(({ first, last }) => [
    dayText(first),
    dayText(last),
  ]);
  expect(days).toEqual([
    ["2026-01-01", "2026-01-05"],
    ["2026-01-06", "2026-01-08"],
    ["2026-01-20", "2026-01-20"],
  ]);
});

test("whatever is wanted, its days are asked for exactly once, and nothing else", () => {
  const start = fc.integer({ min: Date.UTC(2023, 0, 1), max: Date.UTC(2026, 0, 1) });
  const hours = fc.integer({ min: 1, max: 24 * 400 });
  const wanted = fc.array(fc.tuple(start, hours), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(
      wanted,
      fc.constantFrom(...zones),
      fc.integer({ min: 1, max: 800 }),
      (asked, zone, daysMax) => {
        const periods = asked.map(([from, length]) => ({ from, to: from + length * 3_600_000 }));
        const spans = daySpans(periods, { zone, daysMax });
        const days = spans.flatMap(({ first, last }) =>
          Array.from({ length: last - first + 1 }, (_, i) => first + i),
        );
        const needed = periods.flatMap(({ from, to }) =>
          [from, ...granuleStarts("day", zone, { from, to })].map((at) => dayOf(zone, at)),
        );
        expect(days).toEqual([...new Set(needed)].toSorted((a, b) => a - b));
        expect(Math.max(...spans.map(({ first, last }) => last - first + 1))).toBeLessThanOrEqual(daysMax);
      },
    ),
    { numRuns: 500 },
  );
});

test("spans of time hold all that is wanted exactly once, and none is too long", () => {
  const half = 1_800_000;
  const range = fc
    .tuple(fc.integer({ min: 0, max: 500 }), fc.integer({ min: 1, max: 200 }))
    .map(([at, length]) => ({ from: at * half, to: (at + length) * half }));
  fc.assert(
    fc.property(fc.array(range, { maxLength: 8 }), fc.integer({ min: 1, max: 100 }), (wanted, longest) => {
      const spans = timeSpans(wanted, longest * half);
      const slots = (list: typeof spans) =>
        list.flatMap(({ from, to }) => Array.from({ length: (to - from) / half }, (_, i) => from / half + i));
      expect(slots(spans)).toEqual([...new Set(slots(wanted))].sort((a, b) => a - b));
      expect(spans.every(({ from, to }) => to > from && to - from <= longest * half)).toBe(true);
    }),
  );
});
