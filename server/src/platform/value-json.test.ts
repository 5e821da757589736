import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { JsonBytes } from "./value-json.ts";

const decimal = fc
  .tuple(fc.integer({ min: -999_999_999_999_999, max: 999_999_999_999_999 }), fc.nat(14))
  .map(([m, e]) => Number(`${m}e-${e}`));
const short = fc.tuple(fc.integer({ min: -99_999, max: 99_999 }), fc.nat(4)).map(([m, e]) => m / 10 ** e);
const anyNumber = fc.oneof(fc.double(), decimal, short, fc.integer(), fc.constant(Number.NaN));

const written = (values: Iterable<number>, from?: number, to?: number) =>
  new JsonBytes(1).values(Float64Array.from(values), from, to).finish().toString();

describe("values as JSON", () => {
  test.each([
    0,
    -0,
    1,
    -1,
    0.5,
    12,
    1.25,
    -0.001,
    1000.05,
    0.000001,
    0.0000015,
    9.99e-7,
    1e-7,
    0.1 + 0.2,
    2147483647,
    2147483648,
    -2147483648,
    -2147483647,
    -214748364.8,
    2147483647.999,
    4294967296.5,
    999999999.999999,
    99999999999999.9,
    123456789012345,
    Number.MAX_SAFE_INTEGER,
    1e20,
    1e21,
    1.5e300,
    5e-324,
    Number.MAX_VALUE,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
  ])("%d reads as JSON.stringify writes it", (value) => {
    expect(new JsonBytes().number(value).finish().toString()).toBe(JSON.stringify(value));
    expect(written([value])).toBe(JSON.stringify([value]));
  });

  test("no values are an empty array", () => {
    expect(written([])).toBe("[]");
    expect(written([1, 2, 3], 2, 2)).toBe("[]");
  });

  test("is the text of JSON.stringify for any numbers", () => {
    fc.assert(
      fc.property(fc.array(anyNumber, { maxLength: 60 }), (values) => {
        expect(written(Float64Array.from(values))).toBe(JSON.stringify(values));
      }),
      { numRuns: 2000 },
    );
  });

  test("writes the asked part of more values than room is made for at once", () => {
    const values = Float64Array.from({ length: 8760 }, (_, hour) =>
      hour % 97 === 0 ? Number.NaN : hour / 1000,
    );
    expect(written(values)).toBe(JSON.stringify(Array.from(values)));
    expect(written(values, 100, 1700)).toBe(JSON.stringify(Array.from(values.subarray(100, 1700))));
  });

  test("raw text and strings stand between values", () => {
    const json = new JsonBytes(1);
    json
      .raw('{"name":')
      .string('Växjö "Norr" €\n')
      .raw(',"values":')
      .values(Float64Array.of(1.5, Number.NaN))
      .raw(',"n":');
    json.number(2).raw("}");
    const bytes = json.finish();
    expect(bytes.length).toBe(json.length);
    expect(JSON.parse(bytes.toString())).toEqual({ name: 'Växjö "Norr" €\n', values: [1.5, null], n: 2 });
  });
});
