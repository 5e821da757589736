import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  DecimalSum,
  decimalOf,
  difference,
  multiplyExact,
  nearest,
  parseDecimal,
  roundTo,
  sumExact,
} from "./decimal.ts";

const finite = fc.double({ noNaN: true, noDefaultInfinity: true });
/** Decimals as meters write them: up to 15 digits, up to 12 of them after the mark. */
const decimal = fc
  .tuple(fc.integer({ min: -999_999_999_999_999, max: 999_999_999_999_999 }), fc.nat(12))
  .map(([m, e]) => Number(`${m}e-${e}`));
const anyValue = fc.oneof(finite, decimal);

/** An independent exact reading: the shortest text at a fixed exponent of 400, as one bigint. */
function exact(text: string | number): bigint {
  const [, sign, whole, fraction = "", exponent = "0"] = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(
    String(text),
  )!;
  const digits = BigInt(whole! + fraction) * 10n ** BigInt(400 - fraction.length + Number(exponent));
  return sign === "-" ? -digits : digits;
}

const dot = { mark: "." } as const;
const comma = { mark: "," } as const;

describe("parseDecimal", () => {
  test.each([
    ["0", dot, 0, 1],
    ["-0", dot, 0, 1],
    ["12.345", dot, 12.345, 5],
    ["12,345", comma, 12.345, 5],
    ["\u221212,5", comma, -12.5, 3],
    ["+7", dot, 7, 1],
    [" 1.50 ", dot, 1.5, 2],
    [".5", dot, 0.5, 1],
    ["5,", comma, 5, 1],
    ["0001000", dot, 1000, 1],
    ["1.5E+3", dot, 1500, 2],
    ["1.5e-3", dot, 0.0015, 2],
    ["1\u00a0234\u00a0567,8", { mark: ",", group: " " }, 1234567.8, 8],
    ["1\u2009234", { mark: ",", group: " " }, 1234, 4],
    ["1'234.5", { mark: ".", group: "'" }, 1234.5, 5],
    ["1\u2019234.5", { mark: ".", group: "'" }, 1234.5, 5],
    ["1.234.567,8", { mark: ",", group: "." }, 1234567.8, 8],
    ["1,234.5", { mark: ".", group: "," }, 1234.5, 5],
    ["1234567.8", { mark: ".", group: "," }, 1234567.8, 8],
    ["1", { mark: ".", shift: -3 }, 0.001, 1],
    ["1234567", { mark: ".", shift: -3 }, 1234.567, 7],
    ["4.35", { mark: ".", shift: 2 }, 435, 3],
    ["0.1", { mark: ".", shift: 25 }, 1e24, 1],
    ["123456789012345678", dot, 123456789012345680, 18],
    ["0.1000000000000000055511151231257827", dot, 0.1, 34],
    ["100000000000000000000", dot, 1e20, 1],
    ["1.7976931348623157e308", dot, Number.MAX_VALUE, 17],
    ["5e-324", dot, 5e-324, 1],
  ] as const)("%j with %j is %d", (text, notation, value, digits) => {
    const parsed = parseDecimal(text, notation);
    expect(parsed).toEqual({ value, digits });
    expect(Object.is(parsed?.value, -0)).toBe(false);
  });

  test.each([
    ["", dot],
    [" ", dot],
    ["-", dot],
    [".", dot],
    ["NaN", dot],
    ["Infinity", dot],
    ["1e309", dot],
    ["-1e309", dot],
    ["1e99999", dot],
    ["0x10", dot],
    ["1,5", dot],
    ["1.5", comma],
    ["1.2.3", dot],
    ["1e", dot],
    ["1e5.5", dot],
    ["--1", dot],
    ["- 1", dot],
    ["1 234", dot],
    ["1.5", { mark: ",", group: "." }],
    ["1234.567", { mark: ",", group: "." }],
    ["12.34.567", { mark: ",", group: "." }],
    [".123", { mark: ",", group: "." }],
    ["1.234.", { mark: ",", group: "." }],
    ["1..234", { mark: ",", group: "." }],
    ["1,234.567", { mark: ",", group: "." }],
    ["12 kWh", dot],
    ["1".repeat(600), dot],
  ] as const)("%j with %j is no number", (text, notation) => {
    expect(parseDecimal(text, notation)).toBeUndefined();
  });

  test("mark and group must differ", () => {
    expect(() => parseDecimal("1", { mark: ".", group: "." })).toThrow(RangeError);
  });

  test("reads every double back from its text", () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        expect(parseDecimal(String(value), dot)?.value).toBe(value + 0);
      }),
    );
  });

  test("a shift is exact: as if the exponent had been written", () => {
    fc.assert(
      fc.property(decimal, fc.integer({ min: -30, max: 30 }), (value, shift) => {
        const wanted = Number(
          `${value.toExponential().split("e")[0]}e${Number(value.toExponential().split("e")[1]) + shift}`,
        );
        expect(parseDecimal(String(value), { mark: ".", shift })?.value).toBe(wanted + 0);
      }),
    );
  });

  test("grouped and marked text reads as the plain text", () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(999), (whole, thousandths) => {
        const fraction = String(thousandths).padStart(3, "0");
        const grouped = String(whole).replace(/\B(?=(\d{3})+$)/g, ".");
        expect(parseDecimal(`${grouped},${fraction}`, { mark: ",", group: "." })?.value).toBe(
          Number(`${whole}.${fraction}`),
        );
      }),
    );
  });
});

describe("decimalOf", () => {
  test.each([
    [0, 0, 0],
    [-0, 0, 0],
    [0.1, 1, 1],
    [-12.5, -125, 1],
    [1234.567, 1234567, 3],
    [1000, 1000, 0],
    [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, 0],
    [2 ** 60, 1152921504606847000n, 0],
    [1e-20, 1, 20],
  ])("%d is %d × 10^-%d", (value, m, e) => {
    const scaled = decimalOf(value);
    expect(scaled).toStrictEqual({ m, e });
  });

  test("is the shortest text of any double, at the smallest exponent", () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        const { m, e } = decimalOf(value);
        expect(BigInt(m) * 10n ** BigInt(400 - e)).toBe(exact(value));
        if (e > 0) expect(BigInt(m) % 10n).not.toBe(0n);
        expect(nearest(m, e)).toBe(value + 0);
      }),
      { numRuns: 1000 },
    );
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY])("refuses %d", (value) => {
    expect(() => decimalOf(value)).toThrow(RangeError);
  });
});

describe("DecimalSum", () => {
  const sumOf = (values: number[]) => {
    const sum = new DecimalSum();
    for (const value of values) sum.add(value);
    return sum;
  };

  test("adds decimals, not floats", () => {
    const sum = sumOf([0.1, 0.2]);
    expect([sum.toNumber(), sum.toString(), sum.count]).toEqual([0.3, "0.3", 2]);
  });

  test("nothing is 0", () => {
    const sum = new DecimalSum();
    expect([sum.toNumber(), sum.toString(), sum.count]).toEqual([0, "0", 0]);
  });

  test("survives what overflows 2^53 and cancels again", () => {
    const values = [1e308, 0.001, 9007199254740991, 9007199254740991, -1e308, -9007199254740991];
    expect(sumOf(values).toString()).toBe("9007199254740991.001");
  });

  test("is exact for any doubles in any order", () => {
    fc.assert(
      fc.property(fc.array(anyValue, { maxLength: 30 }), (values) => {
        const wanted = values.reduce((total, value) => total + exact(value), 0n);
        const sum = sumOf(values);
        expect(exact(sum.toString())).toBe(wanted);
        expect(sum.toString()).not.toMatch(/\.\d*0$|^-0$/);
        expect(sum.toNumber()).toBe(Number(sum.toString()) + 0);
        expect(sumOf(values.toReversed()).toString()).toBe(sum.toString());
        expect(sumExact([Number.NaN, ...values, 5], 0, values.length + 1)).toBe(sum.toNumber());
      }),
      { numRuns: 500 },
    );
  });

  test("sums of sums and scaled integers add up too", () => {
    fc.assert(
      fc.property(fc.array(anyValue), fc.array(anyValue), fc.maxSafeInteger(), fc.nat(30), (a, b, m, e) => {
        const sum = sumOf(a);
        sum.addSum(sumOf(b));
        sum.addScaled(m, e, 3);
        const all = sumOf([...a, ...b]);
        expect(exact(sum.toString())).toBe(exact(all.toString()) + BigInt(m) * 10n ** BigInt(400 - e));
        expect(sum.count).toBe(a.length + b.length + 3);
      }),
    );
  });

  test.each([Number.NaN, Number.NEGATIVE_INFINITY])("refuses %d and stays as it was", (value) => {
    const sum = sumOf([1.5]);
    expect(() => sum.add(value)).toThrow(RangeError);
    expect([sum.toString(), sum.count]).toEqual(["1.5", 1]);
  });
});

describe("difference, product, rounding", () => {
  test.each([
    [0.3, 0.1, 0.2],
    [1000.05, 1000.02, 0.03],
    [5, 5, 0],
    [1e21, 1, 1e21],
  ])("%d - %d", (a, b, wanted) => expect(difference(a, b)).toBe(wanted));

  test("a product is exact before it is rounded", () => {
    expect(multiplyExact(1.1, 1.1)).toBe(1.21);
    expect(multiplyExact(0.1, 3)).toBe(0.3);
    expect(Object.is(multiplyExact(-1, 0), 0)).toBe(true);
    fc.assert(
      fc.property(decimal, decimal, (a, b) => {
        const x = decimalOf(a);
        const y = decimalOf(b);
        const wanted = Number(`${BigInt(x.m) * BigInt(y.m)}e-${x.e + y.e}`);
        expect(multiplyExact(a, b)).toBe(wanted + 0);
      }),
    );
  });

  test.each([
    [2.675, 2, 2.68],
    [1.005, 2, 1],
    [0.125, 2, 0.12],
    [0.135, 2, 0.14],
    [-2.5, 0, -2],
    [-3.5, 0, -4],
    [-0.4, 0, 0],
    [1e-7, 3, 0],
    [12, 3, 12],
    [1e300, 2, 1e300],
    [2251799813685249.5, 0, 2251799813685250],
  ])("%d to %d places is %d", (value, decimals, wanted) => {
    expect(Object.is(roundTo(value, decimals), wanted)).toBe(true);
  });

  test("a rounded value is at most half a unit away and has no more places", () => {
    fc.assert(
      fc.property(decimal, fc.nat(6), (value, decimals) => {
        const rounded = roundTo(value, decimals);
        const away = exact(rounded) - exact(value);
        expect((away < 0n ? -away : away) * 2n <= 10n ** BigInt(400 - decimals)).toBe(true);
        expect(decimalOf(rounded).e).toBeLessThanOrEqual(decimals);
      }),
    );
  });
});
