import { describe, expect, test } from "vitest";
import { Money } from "./money.ts";
import { priceIn, sizeIn } from "./units.ts";

describe("units of invoices", () => {
  test.for<[string, string, string | null]>([
    ["kWh", "kWh", "1"],
    ["kWh", "KWH", "1"],
    ["kWh", "MWh", "1000"],
    ["kWh", "kW", null],
    ["kW", "kW,mnd", "1"],
    ["m3", "m³", "1"],
    ["month", "MON", "1"],
    ["month", "mån", "1"],
    ["day", "dygn", "1"],
    ["year", "month", null],
    ["kWh", "constructor", null],
    ["SEK", "kWh", null],
  ])("%s of %s", ([ours, printed, size]) => {
    expect(sizeIn(ours, printed)?.toString() ?? null).toBe(size);
  });

  test.for<[string, string, string, string | null]>([
    ["SEK/kWh", "25.12", "öre/kWh", "0.2512"],
    ["SEK/kWh", "0.2512", "SEK/kWh", "0.2512"],
    ["EUR/kWh", "45.5", "EUR/MWh", "0.0455"],
    ["EUR/kWh", "12", "ct/kWh", "0.12"],
    ["SEK/kWh", "1", "SEK per kWh", "1"],
    ["SEK/kW/month", "50", "kr/kW", "50"],
    ["SEK/kW/month", "50", "kr/kW,mnd", "50"],
    ["SEK/kW/month", "600", "kr/kW,år", null],
    ["SEK/year", "1200", "kr/år", "1200"],
    ["SEK/year", "100", "kr/mån", null],
    ["SEK/kWh", "100", "kr/mån", null],
  ])("a price in %s of %s %s", ([ours, price, printed, expected]) => {
    expect(priceIn(ours, new Money(price), printed)?.toString() ?? null).toBe(expected);
  });
});
