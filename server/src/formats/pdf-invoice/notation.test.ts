import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DateReader, type NumberNotation, readAmount, readNumber } from "./notation.ts";

const swedish: NumberNotation = { decimal: ",", thousands: " " };
const german: NumberNotation = { decimal: ",", thousands: "." };
const english: NumberNotation = { decimal: ".", thousands: "," };

describe("numbers", () => {
  test.for<[string, NumberNotation, string | undefined, string?]>([
    ["1 234,50", swedish, "1234.50", ""],
    ["1\u00a0234\u202f567", swedish, "1234567", ""],
    ["-12,5 kWh", swedish, "-12.5", "kWh"],
    ["\u2212 7", swedish, "-7", ""],
    ["12,50-", swedish, "-12.50", ""],
    ["+3", swedish, "3", ""],
    ["-0,00", swedish, "0.00", ""],
    ["007,10", swedish, "7.10", ""],
    ["1.234,56 ct/kWh", german, "1234.56", "ct/kWh"],
    ["25 %", german, "25", "%"],
    ["1,234.5", english, "1234.5", ""],
    ["1'234.5", { decimal: ".", thousands: "'" }, "1234.5", ""],
    // Never another number than the one that is printed.
    ["1.234,50", swedish, undefined],
    ["1,234.50", german, undefined],
    ["1.23", german, undefined],
    ["12 34,5", swedish, undefined],
    ["1 2345", swedish, undefined],
    ["1 234 5", swedish, undefined],
    ["1,2,3", swedish, undefined],
    ["100 200,00", { decimal: ",", thousands: "" }, undefined],
    ["1234.567,8", german, undefined],
    ["10 x 5", swedish, undefined],
    ["kWh 5", swedish, undefined],
    ["", swedish, undefined],
    ["9".repeat(40), swedish, undefined],
  ])("%s", ([text, notation, value, unit]) => {
    expect(readNumber(text, notation)).toEqual(value === undefined ? undefined : { value, unit });
  });

  test("come back as they were written, in every notation", () => {
    const notation = fc.constantFrom(swedish, german, english, { decimal: ".", thousands: "" } as const);
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(10n ** 14n), max: 10n ** 14n }),
        fc.nat(6),
        notation,
        (n, places, told) => {
          const digits = String(n < 0n ? -n : n).padStart(places + 1, "0");
          const whole = digits.slice(0, digits.length - places);
          const fraction = digits.slice(digits.length - places);
          const sign = n < 0n ? "-" : "";
          const grouped = whole.replace(/\B(?=(\d{3})+$)/g, told.thousands);
          const printed = `${sign}${grouped}${fraction === "" ? "" : told.decimal + fraction}`;
          const exact = `${sign}${whole}${fraction === "" ? "" : `.${fraction}`}`;
          expect(readNumber(printed, told)).toEqual({ value: exact, unit: "" });
        },
      ),
    );
  });
});

test.for([
  ["1 250,00 kr", "SEK", "1250.00"],
  ["SEK 1 250,00", "SEK", "1250.00"],
  ["kr 12,00", "NOK", "12.00"],
  ["12,00 €", "EUR", "12.00"],
  ["-12,00 EUR", "EUR", "-12.00"],
  ["12,00 kr.", "DKK", "12.00"],
  ["12,00 EUR", "SEK", undefined],
  ["12,00 kWh", "SEK", undefined],
  ["25 % 12,00", "SEK", undefined],
] as const)("the amount %s in %s", ([text, currency, value]) => {
  expect(readAmount(text, swedish, currency)).toBe(value);
});

describe("days and periods", () => {
  const reader = new DateReader(["dd.MM.yyyy", "yyyy-MM-dd", "d MMMM yyyy", "MMMM yyyy"], {
    endIncluded: true,
  });

  test.for([
    ["31.12.2025", "2025-12-31"],
    ["5 mars 2026", "2026-03-05"],
    ["30.02.2026", undefined],
    ["mars 2026", undefined],
    ["12/31/2025", undefined],
  ])("%s", ([text, day]) => {
    expect(reader.day(text!)).toBe(day);
  });

  test.for([
    ["01.01.2025 - 31.12.2025", "2025-01-01", "2025-12-31"],
    ["2026-01-01–2026-01-31", "2026-01-01", "2026-01-31"],
    ["2026-01-01-2026-01-31", "2026-01-01", "2026-01-31"],
    ["01.01.2025 bis 31.12.2025", "2025-01-01", "2025-12-31"],
    ["1 januari 2026 till 5 mars 2026", "2026-01-01", "2026-03-05"],
    ["februari 2024", "2024-02-01", "2024-02-29"],
    ["Oktober 2025 - Dezember 2025", "2025-10-01", "2025-12-31"],
    ["31.12.2025 - 01.01.2025", undefined, undefined],
    ["05.03.2026", undefined, undefined],
  ])("%s", ([text, from, to]) => {
    expect(reader.period(text!)).toEqual(from === undefined ? undefined : { from, to });
  });

  test("the last day may be the first one that is not meant", () => {
    const excluded = new DateReader(["yyyy-MM-dd", "MMMM yyyy"], { endIncluded: false });
    expect(excluded.period("2026-01-01 – 2026-02-01")).toEqual({ from: "2026-01-01", to: "2026-01-31" });
    expect(excluded.period("2026-01-01 – 2026-01-01")).toBeUndefined();
    expect(excluded.period("mars 2026")).toEqual({ from: "2026-03-01", to: "2026-03-31" });
  });
});
