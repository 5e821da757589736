import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DecimalSum } from "../platform/decimal.ts";
import { addTotal, encodeBlock } from "./block-codec.ts";
import { SlotSums } from "./slot-sums.ts";

const decimal = fc
  .tuple(fc.integer({ min: -99_999_999, max: 99_999_999 }), fc.nat(6))
  .map(([m, e]) => Number(`${m}e-${e}`));
const huge = fc
  .tuple(fc.integer({ min: -999_999_999_999_999, max: 999_999_999_999_999 }), fc.nat(20))
  .map(([m, e]) => Number(`${m}e-${e}`));
const none = fc.constant(Number.NaN);
const finite = fc.double({ noNaN: true, noDefaultInfinity: true });
const slots = 24;
const column = (value: fc.Arbitrary<number>) =>
  fc.array(fc.oneof({ weight: 5, arbitrary: value }, { weight: 1, arbitrary: none }), {
    minLength: slots,
    maxLength: slots,
  });
const blockValues = fc.oneof(
  column(decimal),
  column(fc.nat(100_000).map((m) => m / 1000)),
  column(huge),
  column(finite),
  // Readings that only rise.
  fc.array(fc.nat(1000), { minLength: slots, maxLength: slots }).map((steps) => {
    let reading = 1_000_000;
    return steps.map((step) => (reading += step) / 100);
  }),
);
const factor = fc.oneof(fc.constantFrom(1, -1, 0.5, 2, 0), decimal, huge);
const part = fc
  .tuple(fc.nat(slots), fc.nat(slots), fc.nat(10))
  .map(([a, b, at]) => ({ from: Math.min(a, b), to: Math.max(a, b), at }));

describe("sums of slots", () => {
  test("of two meters with a gap", () => {
    const sums = new SlotSums(3);
    sums.add(encodeBlock(Float64Array.of(0.1, 1, Number.NaN)), { to: 3 });
    sums.add(encodeBlock(Float64Array.of(0.2, Number.NaN, Number.NaN)), { to: 3 });
    expect(Array.from(sums.values())).toEqual([0.3, 1, Number.NaN]);
    expect(Array.from(sums.counts())).toEqual([2, 1, 0]);
  });

  test("equal the exact sum value by value, whatever is added in whatever order", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(blockValues, part, factor), { maxLength: 12 }), (additions) => {
        const sums = new SlotSums(slots + 10);
        const wanted = Array.from({ length: slots + 10 }, () => new SlotOracle());
        for (const [values, { from, to, at }, factor] of additions) {
          sums.add(encodeBlock(Float64Array.from(values)), { from, to, at, factor });
          for (let i = 0; i < to - from; i++) {
            if (!Number.isNaN(values[from + i]!)) wanted[at + i]!.add(values[from + i]!, factor);
          }
        }
        expect(Array.from(sums.counts())).toEqual(wanted.map(({ count }) => count));
        wanted.forEach((oracle, slot) => {
          expect(sums.sumOf(slot).toString()).toBe(oracle.text());
          expect(sums.sumOf(slot).count).toBe(oracle.count);
          expect(sums.values()[slot]).toBe(oracle.count === 0 ? Number.NaN : Number(oracle.text()) + 0);
        });
      }),
      { numRuns: 400 },
    );
  });

  test("stay exact beyond 2^53", () => {
    const sums = new SlotSums(1);
    const wanted = new DecimalSum();
    for (let i = 0; i < 50; i++) {
      const value = 999_999_999_999.123 + i / 1000;
      sums.add(encodeBlock(Float64Array.of(value)), { to: 1 });
      wanted.add(value);
    }
    expect(sums.sumOf(0).toString()).toBe(wanted.toString());
    expect(sums.values()[0]).toBe(wanted.toNumber());
  });

  test("a part outside the sums is refused", () => {
    expect(() => new SlotSums(10).add(encodeBlock(new Float64Array(5)), { to: 5, at: 6 })).toThrow(
      RangeError,
    );
  });
});

/** Exact products and sums in bigints at exponent 700. */
class SlotOracle {
  count = 0;
  #sum = 0n;

  add(value: number, factor: number): void {
    this.count++;
    this.#sum += scaled(value) * scaled(factor);
  }

  text(): string {
    const sum = new DecimalSum();
    sum.addScaled(this.#sum, 700);
    return sum.toString();
  }
}

/** The decimal of a double × 10^350. */
function scaled(value: number): bigint {
  const [mantissa, exponent] = value.toExponential().split("e") as [string, string];
  const [whole, fraction = ""] = mantissa.split(".") as [string, string?];
  return BigInt(whole + fraction) * 10n ** BigInt(350 - fraction.length + Number(exponent));
}

describe("total of a block", () => {
  test("equals the exact sum of its values", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(blockValues, part), { maxLength: 5 }), (blocks) => {
        const total = new DecimalSum();
        const wanted = new DecimalSum();
        for (const [values, { from, to }] of blocks) {
          addTotal(encodeBlock(Float64Array.from(values)), { from, to }, total);
          for (const value of values.slice(from, to)) if (!Number.isNaN(value)) wanted.add(value);
        }
        expect([total.toString(), total.count]).toEqual([wanted.toString(), wanted.count]);
      }),
    );
  });
});
