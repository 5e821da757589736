import fc from "fast-check";
import { expect, test } from "vitest";
import type { Wanted } from "../../collection/connector.ts";
import { granuleStarts } from "../../platform/time/granule.ts";
import { dayOf } from "../windows.ts";
import { questionsOf } from "./connector.ts";

const zone = "Europe/Oslo";
const now = Date.parse("2026-11-01T12:00:00Z");
const hours = 1_090 * 24;

const wanted = fc
  .record({
    key: fc.integer({ min: 1, max: 15 }).map((n) => `${n}${n % 2 === 0 ? "-production" : ""}`),
    back: fc.integer({ min: 1, max: hours }),
    length: fc.integer({ min: 1, max: hours }),
    reason: fc.constantFrom("new", "correction", "gap", "backfill" as const),
  })
  .map(({ key, back, length, reason }): Wanted => {
    const from = now - back * 3_600_000;
    const to = Math.min(now, from + length * 3_600_000);
    return { key, metric: "energy", granularity: "hour", from, to, reason } as Wanted;
  });

test("whatever is wanted, each day of each point is asked for once, a year at most in a question", () => {
  fc.assert(
    fc.property(fc.array(wanted, { minLength: 1, maxLength: 20 }), (asked) => {
      const seen: string[] = [];
      for (const { ids, production, first, last } of questionsOf(asked)) {
        expect(last - first + 1).toBeLessThanOrEqual(365);
        expect(ids.length).toBeLessThanOrEqual(10);
        for (const id of ids) {
          for (let day = first; day <= last; day++)
            seen.push(`${id}${production ? "-production" : ""} ${day}`);
        }
      }
      const needed = asked.flatMap(({ key, from, to }) =>
        [from, ...granuleStarts("day", zone, { from, to })].map((at) => `${key} ${dayOf(zone, at)}`),
      );
      expect(seen.toSorted()).toEqual([...new Set(needed)].toSorted());
    }),
    { numRuns: 30 },
  );
});

test("only what is history alone may be refused", () => {
  const asked = (reason: Wanted["reason"], back: number): Wanted => ({
    key: "1",
    metric: "energy",
    granularity: "hour",
    from: now - back * 86_400_000,
    to: now - (back - 30) * 86_400_000,
    reason,
  });
  const told = (...all: Wanted[]) => questionsOf(all).map(({ isHistory }) => isHistory);
  expect(told(asked("backfill", 90))).toEqual([true]);
  expect(told(asked("backfill", 90), asked("new", 30))).toEqual([true, false]);
  expect(told(asked("backfill", 60), asked("new", 30))).toEqual([false]);
});
