import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeRuns, decodeValues, encodeBlock, summarize } from "./block-codec.ts";
import { RunsBuilder, type Source, type SourceRuns } from "./block-planes.ts";
import { CorruptBlock, slotsMax } from "./bytes.ts";

const none = Number.NaN;

function decoded(block: Uint8Array, slots: number): number[] {
  const out = new Float64Array(slots).fill(42);
  decodeValues(block, out);
  return Array.from(out);
}

const finite = fc.double({ noNaN: true, noDefaultInfinity: true });
const decimal = fc
  .tuple(fc.integer({ min: -999_999_999, max: 999_999_999 }), fc.nat(9))
  .map(([m, e]) => Number(`${m}e-${e}`));
const anyValue = fc.oneof(
  finite,
  decimal,
  fc.constantFrom(0, -0, 2 ** 53 - 1, 1 - 2 ** 53, 2 ** 53, 1e15, 0.1),
);
const slotsOf = (value: fc.Arbitrary<number>) =>
  fc.array(fc.oneof({ weight: 4, arbitrary: value }, { weight: 1, arbitrary: fc.constant(none) }), {
    maxLength: 80,
  });
/** Series as meters give them: hourly use, rising readings, a wide mix, one constant. */
const series = fc.oneof(
  slotsOf(decimal),
  slotsOf(fc.nat(9999).map((m) => m / 1000)),
  slotsOf(fc.maxSafeInteger()),
  fc.integer().chain((value) => slotsOf(fc.constant(value))),
  fc.array(fc.integer({ min: -20, max: 3000 }), { maxLength: 80 }).map((steps) => {
    let reading = 123_456_789;
    return steps.map((step) => (step % 7 === 0 ? none : (reading += step) / 1000));
  }),
  slotsOf(anyValue),
);
const source: fc.Arbitrary<Source> = fc
  .tuple(fc.oneof(fc.nat(5), fc.nat(2 ** 30)), fc.oneof(fc.constant(0), fc.nat(2 ** 30)), fc.nat(15))
  .map(([doc, later, flags]) => ({ doc, confirmed: doc + later, flags }));
const runs: fc.Arbitrary<SourceRuns> = fc
  .array(fc.tuple(fc.nat(60), source), { maxLength: 40 })
  .map((all) => {
    const builder = new RunsBuilder();
    for (const [length, source] of all) builder.append(length, source);
    return builder.finish();
  });

describe("blocks", () => {
  test("give back any finite doubles, bit by bit", () => {
    fc.assert(
      fc.property(series, runs, (values, runs) => {
        const block = encodeBlock(Float64Array.from(values), runs);
        expect(decoded(block, values.length + 3)).toStrictEqual([...values, none, none, none]);
        expect(decodeRuns(block)).toEqual(runs);
      }),
      { numRuns: 2000 },
    );
  });

  test("give back any part at any place and touch nothing around it", () => {
    fc.assert(
      fc.property(series, fc.nat(90), fc.nat(90), fc.nat(5), (values, a, b, at) => {
        const [from, to] = [Math.min(a, b), Math.max(a, b)];
        const out = new Float64Array(100).fill(42);
        decodeValues(encodeBlock(Float64Array.from(values)), out, at, { from, to });
        const wanted = Array<number>(100).fill(42);
        for (let slot = from; slot < to; slot++) wanted[at + slot - from] = values[slot] ?? none;
        expect(Array.from(out)).toStrictEqual(wanted);
      }),
      { numRuns: 1000 },
    );
  });

  test("may lie anywhere in a larger buffer", () => {
    const block = encodeBlock(Float64Array.of(Math.PI, 1e300, none, 0.5));
    const copy = new Uint8Array(block.length + 3).subarray(3);
    copy.set(block);
    expect(decoded(copy, 4)).toEqual([Math.PI, 1e300, none, 0.5]);
  });

  test("do not depend on how runs were cut or on what was encoded before", () => {
    const values = Float64Array.of(1, 2);
    const cut = { length: [1, 0, 1, 5], doc: [3, 9, 3, 0], confirmed: [4, 9, 4, 0], flags: [0, 0, 0, 0] };
    const whole = { length: [2], doc: [3], confirmed: [4], flags: [0] };
    const block = encodeBlock(values, cut);
    encodeBlock(Float64Array.from({ length: 700 }, (_, i) => i * 1.37));
    expect(encodeBlock(values, whole)).toEqual(block);
    expect(decodeRuns(block)).toEqual(whole);
  });

  test("hold the largest number of slots, raw too", () => {
    for (const scale of [1, Math.PI]) {
      const values = Float64Array.from({ length: slotsMax }, (_, i) => (i * 7919 * scale) % 1000);
      expect(decoded(encodeBlock(values), slotsMax)).toEqual(Array.from(values));
    }
    expect(() => encodeBlock(new Float64Array(slotsMax + 1))).toThrow(RangeError);
  });

  test.each([Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])("refuse %d wherever it is", (infinite) => {
    for (const values of [[infinite], [1, infinite], [Math.PI, -0, infinite]]) {
      expect(() => encodeBlock(Float64Array.from(values))).toThrow("infinite");
    }
  });

  test("refuse a part that does not fit", () => {
    const block = encodeBlock(Float64Array.of(1, 2, 3));
    expect(() => decodeValues(block, new Float64Array(3), 1, { to: 3 })).toThrow(RangeError);
    expect(() => decodeValues(block, new Float64Array(3), 0, { from: -1, to: 1 })).toThrow(RangeError);
  });
});

describe("size", () => {
  const size = (values: number[]) => encodeBlock(Float64Array.from(values)).length;

  test("of blocks with little in them is a few bytes", () => {
    expect(size(Array(744).fill(none))).toBe(6);
    expect(size(Array(744).fill(0))).toBe(8);
    expect(size([...Array(500).fill(none), 12.345])).toBe(10);
  });

  test("is that of the range of the integers", () => {
    expect(size(Array.from({ length: 744 }, (_, i) => (i % 127) / 1000))).toBe(8 + (744 * 7) / 8);
    // A gap takes the value of all ones.
    expect(size(Array.from({ length: 744 }, (_, i) => (i === 5 ? none : (i % 128) / 1000)))).toBe(8 + 744);
  });

  test("of rising readings is that of their steps", () => {
    let reading = 1_000_000;
    const readings = Array.from({ length: 744 }, (_, i) => (reading += i % 16) / 10);
    expect(size(readings)).toBeLessThan(15 + 744 / 2);
  });

  test("of a month delivered day by day stays small", () => {
    const builder = new RunsBuilder();
    for (let day = 0; day < 31; day++)
      builder.append(24, { doc: 5000 + 90 * day, confirmed: 5000 + 90 * day, flags: 0 });
    const values = new Float64Array(744).fill(1);
    expect(encodeBlock(values, builder.finish()).length - encodeBlock(values).length).toBeLessThan(70);
  });
});

describe("layout of version 1, frozen: stored data has it", () => {
  test.each<[string, string, number[]]>([
    ["no values, never written", "010000000000", [none, none]],
    ["one value", "0103000201f2c00100", [none, none, 12.345]],
    ["constant", "01010000040a00", [0.5, 0.5, 0.5, 0.5]],
    ["hours with a gap", "01420800048c013200ff8700", [1.2, 0.7, none, 2.05]],
    ["values that cross bytes", "010003000800d1581f00", [1, 2, 3, 4, 5, 6, 7, 0]],
    ["negative steps", "0121000002ab06ee0500", [-40.5, -3]],
    ["rising readings", "014107000582897a80d03f260600", [100000.1, 100003.4, none, 100005, 100009.9]],
    [
      "53 bits",
      "010035000402000000000000a0ffffffffffff0b000000000080ffffffffff1f0000",
      [1, 9007199254740990, 3, 70368744177664],
    ],
    [
      "raw doubles",
      "011f400004182d4454fb2109400000000000000080000000000000f87f9c7500883ce4377e00",
      [Math.PI, -0, none, 1e300],
    ],
  ])("%s: %s", (_, hex, values) => {
    expect(encodeBlock(Float64Array.from(values)).toString("hex")).toBe(hex);
    expect(decoded(Buffer.from(hex, "hex"), values.length)).toStrictEqual(values);
  });

  test("origins of the values", () => {
    const runs = { length: [2, 1, 1], doc: [300, 305, 299], confirmed: [300, 306, 1000], flags: [0, 1, 14] };
    const hex = "01400100040204030101010a0a4e0210000a000004d02b0400100e";
    expect(encodeBlock(Float64Array.of(1, 1, none, 1), runs).toString("hex")).toBe(hex);
    expect(decodeRuns(Buffer.from(hex, "hex"))).toEqual(runs);
  });
});

describe("damaged blocks", () => {
  test("every cut is noticed, and values are never wrong", () => {
    fc.assert(
      fc.property(series, runs, (values, runs) => {
        const block = encodeBlock(Float64Array.from(values), runs);
        for (let length = 0; length < block.length; length++) {
          const cut = block.subarray(0, length);
          expect(() => decodeRuns(cut)).toThrow(CorruptBlock);
          const out = new Float64Array(values.length);
          try {
            decodeValues(cut, out);
          } catch (error) {
            expect(error).toBeInstanceOf(CorruptBlock);
            continue;
          }
          // Cut within the origins, which values do not need.
          expect(Array.from(out)).toStrictEqual(values);
        }
      }),
      { numRuns: 100 },
    );
  });

  test("any bytes either decode or are refused", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.uint8Array({ maxLength: 40 }).map((rest) => Uint8Array.of(1, ...rest)),
      fc.tuple(series, runs, fc.nat(), fc.nat(255)).map(([values, runs, at, byte]) => {
        const block = encodeBlock(Float64Array.from(values), runs);
        block[at % block.length] = byte;
        return block;
      }),
    );
    fc.assert(
      fc.property(bytes, (bytes) => {
        for (const read of [() => decodeValues(bytes, new Float64Array(100)), () => decodeRuns(bytes)]) {
          try {
            read();
          } catch (error) {
            expect(error).toBeInstanceOf(CorruptBlock);
          }
        }
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    ["0200000000", "version 2"],
    ["0117000000", "mode"],
    ["0180000000", "mode"],
    ["013f400000", "mode"],
    ["0100360000", "width"],
    ["011f080000", "width"],
    ["01000080400000", "8192 slots"],
    ["010000000000ff", "too many"],
    ["0100000001ffffffffffffffffff", "2^53"],
  ])("%s is refused because of its %s", (hex, reason) => {
    expect(() => decodeRuns(Buffer.from(hex, "hex"))).toThrow(reason);
  });
});

describe("summary", () => {
  test("counts, adds exactly and finds the ends", () => {
    expect(summarize(Float64Array.of(none, 0.1, 0.2, none, -3, none))).toEqual({
      n: 3,
      sum: "-2.7",
      min: -3,
      max: 0.2,
      first: 1,
      last: 4,
    });
  });

  test("of no values is empty", () => {
    expect(summarize(new Float64Array(5).fill(none))).toEqual({
      n: 0,
      sum: null,
      min: null,
      max: null,
      first: null,
      last: null,
    });
  });
});
