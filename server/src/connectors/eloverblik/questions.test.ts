import fc from "fast-check";
import { expect, test } from "vitest";
import type { Wanted } from "../../collection/connector.ts";
import { granuleEnd, granuleStart, granuleStarts } from "../../platform/time/granule.ts";
import { dayOf } from "../windows.ts";
import { questionsOf } from "./questions.ts";

const zone = "Europe/Copenhagen";
const now = Date.parse("2026-11-01T12:00:00Z");
const today = dayOf(zone, now);

/** Periods as the engine asks for them: whole granules that are over. */
const wanted = fc
  .record({
    key: fc.integer({ min: 1, max: 25 }).map(String),
    granularity: fc.constantFrom("15min", "hour", "month" as const),
    from: fc.integer({ min: now - 1_826 * 86_400_000, max: now - 1 }),
    length: fc.integer({ min: 1, max: 1_826 * 86_400_000 }),
  })
  .map(({ key, granularity, from, length }): Wanted => {
    const start = granuleStart(granularity, zone, from);
    const end = Math.max(start, granuleStart(granularity, zone, Math.min(from + length, now)));
    return { key, metric: "energy", granularity, from: start, to: end, reason: "new" } as Wanted;
  })
  .filter(({ from, to }) => from < to);

test("whatever is wanted, each day of each point is asked for once, by questions that are legal", () => {
  fc.assert(
    fc.property(fc.array(wanted, { minLength: 1, maxLength: 30 }), (asked) => {
      const questions = questionsOf(asked, now);
      const seen = new Set<string>();
      for (const { keys, granularity, from, to } of questions) {
        expect(to - from).toBeLessThanOrEqual(730);
        expect(to - from).toBeGreaterThan(0);
        expect(to).toBeLessThanOrEqual(today);
        expect(keys.length).toBeLessThanOrEqual(10);
        for (const key of keys) {
          for (let day = from; day < to; day++) {
            const name = `${granularity} ${key} ${day}`;
            expect(seen.has(name)).toBe(false);
            seen.add(name);
          }
        }
      }
      const needed = new Set<string>();
      for (const { key, granularity, from, to } of asked) {
        // Of a day that is not over nothing is there; the other ends of periods are those of granules.
        for (const day of [from, ...granuleStarts("day", zone, { from, to })].map((at) => dayOf(zone, at))) {
          if (day < today) needed.add(`${granularity} ${key} ${day}`);
        }
      }
      expect(seen).toEqual(needed);
    }),
    { numRuns: 30 },
  );
});

test("months are never cut: a part of one would be a smaller value", () => {
  const from = Date.parse("2021-12-31T23:00:00Z");
  const to = Date.parse("2026-10-31T23:00:00Z");
  const question = { key: "1", metric: "energy", granularity: "month", from, to, reason: "new" } as const;
  for (const { from: first, to: end } of questionsOf([question], now)) {
    for (const day of [first, end]) expect(new Date(day * 86_400_000).getUTCDate()).toBe(1);
  }
  expect(granuleEnd("month", zone, from)).toBeLessThan(to);
});
