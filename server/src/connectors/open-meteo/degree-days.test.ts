import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { degreeDay } from "./degree-days.ts";

const day = (temperature: number, hours = 24) => Array.from({ length: hours }, () => temperature);

describe("heating degree days", () => {
  test.each([
    ["a cold day", day(-5.3), { base: 17, limit: 17 }, 22.3],
    ["a warm day", day(20), { base: 17, limit: 17 }, 0],
    ["a day at the base", day(17), { base: 17, limit: 17 }, 0],
    ["a day below the limit", day(14.9), { base: 20, limit: 15 }, 5.1],
    ["a day at the limit", day(15), { base: 20, limit: 15 }, 0],
    ["a day between base and a higher limit", day(18), { base: 17, limit: 20 }, 0],
    ["the day in March", day(0.1, 23), { base: 17, limit: 17 }, 16.9],
    ["the day in October", day(0.1, 25), { base: 17, limit: 17 }, 16.9],
    ["a mean without end", [...day(1, 8), ...day(2, 16)], { base: 17, limit: 17 }, 15.33],
  ])("%s", (_, temperatures, rule, expected) => {
    expect(degreeDay(temperatures, rule)).toBe(expected);
  });

  test("are never negative, and as much as it is colder", () => {
    const tenths = fc.integer({ min: -400, max: 400 }).map((n) => n / 10);
    fc.assert(
      fc.property(fc.array(tenths, { minLength: 23, maxLength: 25 }), (temperatures) => {
        const rule = { base: 17, limit: 17 };
        const mean = temperatures.reduce((a, b) => a + b, 0) / temperatures.length;
        const found = degreeDay(temperatures, rule);
        expect(found).toBeGreaterThanOrEqual(0);
        expect(found).toBeCloseTo(Math.max(0, 17 - mean), 1);
      }),
    );
  });
});
