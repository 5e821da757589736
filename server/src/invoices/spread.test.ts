import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Money } from "./money.ts";
import { divide, monthsOf } from "./spread.ts";

const sumOf = (parts: readonly string[]) => parts.reduce((sum, part) => sum.plus(part), new Money(0));

describe("months of a period", () => {
  test("a leap February has 29 days", () => {
    expect(
      monthsOf({ from: "2024-01-15", to: "2024-03-10" }).map(({ month, days }) => [month, days]),
    ).toEqual([
      [202401, 17],
      [202402, 29],
      [202403, 10],
    ]);
    expect(monthsOf({ from: "2023-02-01", to: "2023-02-28" })).toEqual([
      { month: 202302, from: "2023-02-01", to: "2023-02-28", days: 28 },
    ]);
  });

  test("every day is in exactly one month", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 40_000 }),
        fc.integer({ min: 0, max: 1_000 }),
        (first, length) => {
          const text = (day: number) => new Date(day * 86_400_000).toISOString().slice(0, 10);
          const shares = monthsOf({ from: text(first), to: text(first + length) });
          expect(shares.reduce((sum, { days }) => sum + days, 0)).toBe(length + 1);
          expect(new Set(shares.map(({ month }) => month)).size).toBe(shares.length);
        },
      ),
    );
  });
});

describe("dividing", () => {
  const amount = fc
    .tuple(fc.integer({ min: -1_000_000_000, max: 1_000_000_000 }), fc.integer({ min: 0, max: 6 }))
    .map(([m, e]) => new Money(m).div(new Money(10).pow(e)).toFixed());
  const weights = fc
    .array(fc.bigInt({ min: 0n, max: 10n ** 18n }), { minLength: 1, maxLength: 40 })
    .filter((all) => all.some((weight) => weight > 0n));

  test("the parts sum exactly to the amount, and none has the other sign", () => {
    fc.assert(
      fc.property(amount, weights, (whole, by) => {
        const parts = divide(whole, by);
        expect(sumOf(parts).toFixed()).toBe(new Money(whole).toFixed());
        for (const part of parts) expect(new Money(part).mul(whole).isNegative() && part !== "0").toBe(false);
      }),
    );
  });

  test("no part is a whole cent away from its share, and nothing goes where there is no weight", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 100_000_000 }), weights, (cents, by) => {
        const total = by.reduce((sum, weight) => sum + weight, 0n);
        const parts = divide(new Money(cents).div(100).toFixed(2), by);
        for (const [i, part] of parts.entries()) {
          const share = new Money(cents).mul(by[i]!.toString()).div(total.toString());
          expect(new Money(part).mul(100).minus(share).abs().lessThan(1)).toBe(true);
          if (by[i] === 0n) expect(Number(part)).toBe(0);
        }
      }),
    );
  });

  test("keeps the decimals of an amount that has more than two", () => {
    expect(divide("1.005", [1n, 1n])).toEqual(["0.503", "0.502"]);
    expect(divide("100", [1n, 1n, 1n])).toEqual(["33.34", "33.33", "33.33"]);
    expect(divide("-100.00", [1n, 1n, 1n])).toEqual(["-33.34", "-33.33", "-33.33"]);
  });
});
