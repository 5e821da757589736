import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseDecimal } from "../platform/decimal.ts";
import { scaleOf, unitOf } from "./units.ts";

const inBase = (unit: string, printed: string, power = 0) =>
  scaleOf(unitOf(unit)!, power).parse(printed)?.value;

describe("units", () => {
  test.each([
    ["Wh", "1234", 0, 1.234, "kWh"],
    ["kWh", "0.1", 0, 0.1, "kWh"],
    ["MWH", "0.0015", 0, 1.5, "kWh"],
    ["GWh", "1", 0, 1_000_000, "kWh"],
    ["VArh", "1500", 0, 1.5, "kVArh"],
    ["W", "2500", 0, 2.5, "kW"],
    ["GJ", "0.9", 0, 250, "kWh"],
    ["MJ", "3.6", 0, 1, "kWh"],
    ["litre", "12.5", 0, 0.0125, "m3"],
    ["m³", "7", 0, 7, "m3"],
    ["ft3", "1000", 0, 28.316846592, "m3"],
    ["CCF", "10", 0, 28.316846592, "m3"],
    ["US gal", "1000", 0, 3.785411784, "m3"],
    ["Imp gal", "1000", 0, 4.54609, "m3"],
    ["Wh", "12", 3, 12, "kWh"],
    ["therm", "37000", -3, 1084.10411111111, "kWh"],
  ] as const)("%s: %s x 10^%i is %d %s", (unit, printed, power, value, base) => {
    expect(unitOf(unit)?.base).toBe(base);
    expect(inBase(unit, printed, power)).toBe(value);
  });

  test("one therm (US) is 105,480,400 J and one Btu (IT) 1055.05585262 J", () => {
    expect(inBase("therm", "36")).toBe(1054.804);
    expect(inBase("Btu", "3600000")).toBe(1055.05585262);
  });

  test("what is no number stays none, and unknown units are unknown", () => {
    for (const text of ["", " ", ".", "-", "1.2.3", "1,5", "NaN", "Infinity", "1e309", "0x10", "12 kWh"]) {
      expect(inBase("kWh", text)).toBeUndefined();
      expect(inBase("therm", text)).toBeUndefined();
    }
    for (const unit of ["", "kWhx", "constructor", "__proto__", "toString"])
      expect(unitOf(unit)).toBeUndefined();
  });

  test("the quick way reads what the exact one reads", () => {
    const digits = fc.string({ unit: fc.constantFrom(..."0123456789.-+ e"), maxLength: 18 });
    const decimal = fc.tuple(fc.nat(999_999_999), fc.nat(999_999)).map(([whole, part]) => `${whole}.${part}`);
    fc.assert(
      fc.property(fc.oneof(digits, decimal), fc.constantFrom("Wh", "kWh", "MWh"), (text, unit) => {
        const shift = unitOf(unit)!.shift;
        expect(inBase(unit, text)).toBe(parseDecimal(text, { mark: ".", shift })?.value);
      }),
      { numRuns: 2_000 },
    );
  });

  test("values scaled before or after parsing are the same", () => {
    fc.assert(
      fc.property(
        fc.integer(),
        fc.integer({ min: -6, max: 6 }),
        fc.constantFrom("Wh", "therm", "ft3"),
        (n, power, unit) => {
          const scale = scaleOf(unitOf(unit)!, power);
          expect(scale.toBase(n)).toBe(scale.parse(String(n))!.value);
        },
      ),
    );
  });
});
