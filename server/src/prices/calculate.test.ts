import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { localOf } from "../platform/time/zone.ts";
import { monthText } from "./days.ts";
import { amountOf, calculated, contract, monthOf, quantitiesOf, spanOfMonth } from "./harness.ts";
import { Money, total } from "./money.ts";

const zone = "Europe/Stockholm";
const nothing = quantitiesOf(zone, () => Number.NaN);
const hour = 3_600_000;
/** The wall clock: day of the month and hour. */
const clock = (start: number) => {
  const date = new Date(localOf(zone, start));
  return { day: date.getUTCDate(), hour: date.getUTCHours(), weekday: date.getUTCDay() };
};
const hours = (value: (start: number) => number) =>
  quantitiesOf(zone, (granularity, start) => (granularity === "hour" ? value(start) : Number.NaN));

describe("fixed fees", () => {
  const fee = (more: object) => ({ kind: "fixed", name: "Fee", metric: "grid_subscription", ...more });

  test("a yearly fee is spread by the days of the year", () => {
    const made = contract([fee({ price: "1200", per: "year" })]);
    // 1200 × 31 / 365 = 101.917…
    expect(amountOf(calculated(made, "202501", nothing), "grid_subscription")).toBe("101.92");
    expect(amountOf(calculated(made, "202501", nothing), "grid_total")).toBe("101.92");
    // 1200 × 31 / 366 = 101.639…
    expect(amountOf(calculated(made, "202401", nothing), "grid_subscription")).toBe("101.64");
    const [row] = calculated(made, "202501", nothing).charges[0]!.rows;
    expect(row).toMatchObject({ unit: "day", priceUnit: "SEK/year" });
    expect(row!.quantity.toNumber()).toBe(31);
  });

  test("the months of a year and the parts of a month sum to the fee exactly", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -999_999_999, max: 999_999_999 }),
        fc.integer({ min: 1971, max: 2098 }),
        fc.constantFrom("SEK", "JPY", "KWD"),
        fc.integer({ min: 0, max: 364 }),
        (cents, year, currency, cut) => {
          const places = { SEK: 2, JPY: 0, KWD: 3 }[currency]!;
          const price = new Money(cents).div(10 ** places);
          const components = [fee({ price: price.toFixed(), per: "year" })];
          const made = contract(components, { currency, period: `${year}0101-${year}1231` });
          const months = Array.from({ length: 12 }, (_, i) => monthText(monthOf(`${year}01`) + i));
          const sum = total(months.map((month) => calculated(made, month, nothing).net!));
          expect(sum.toString()).toBe(price.toString());
          // Two contracts that follow each other cost what one does.
          const day = (offset: number) =>
            new Date(Date.UTC(year, 0, 1 + offset)).toISOString().slice(0, 10).replaceAll("-", "");
          const first = contract(components, { currency, period: `${year}0101-${day(cut)}` });
          const second = contract(components, { currency, period: `${day(cut + 1)}-` });
          const month = day(cut).slice(0, 6);
          if (day(cut + 1).startsWith(month)) {
            const both = [first, second].map((each) => calculated(each, month, nothing).net!);
            expect(total(both).toString()).toBe(calculated(made, month, nothing).net!.toString());
          }
        },
      ),
    );
  });

  test("a monthly fee is spread by the days of the month, a daily one is counted", () => {
    const monthly = contract([fee({ price: "100", per: "month" })], { period: "20250216-" });
    expect(amountOf(calculated(monthly, "202503", nothing), "grid_subscription")).toBe("100");
    // 13 of 28 days; rounded so that the first 15 days cost the rest: 100 − 53.57.
    expect(amountOf(calculated(monthly, "202502", nothing), "grid_subscription")).toBe("46.43");
    const daily = contract([fee({ price: "1.5", per: "day" })], { period: "20240201-20240229" });
    expect(amountOf(calculated(daily, "202402", nothing), "grid_subscription")).toBe("43.5");
  });

  test("a component that holds for some days only is spread by them", () => {
    const made = contract([
      fee({ price: "310", per: "month", period: "20250101-20250110" }),
      { ...fee({ price: "31", per: "month", period: "20250111-" }), name: "New fee" },
    ]);
    expect(amountOf(calculated(made, "202501", nothing), "grid_subscription")).toBe("121");
    expect(amountOf(calculated(made, "202502", nothing), "grid_subscription")).toBe("31");
  });
});

describe("energy", () => {
  const perKwh = { kind: "energy", name: "Transfer", metric: "grid_usage", price: "0.2512" };
  const stored = (values: Record<string, number>) =>
    quantitiesOf(zone, (granularity, start) => {
      if (granularity !== "month" && granularity !== "day") throw new Error(`asks for ${granularity}`);
      return values[granularity === "month" ? "month" : String(clock(start).day)] ?? Number.NaN;
    });

  test("the value of the month suffices", () => {
    const cost = calculated(contract([perKwh]), "202501", stored({ month: 1234.567 }));
    // 1234.567 × 0.2512 = 310.1232304
    expect(amountOf(cost, "grid_usage")).toBe("310.12");
    expect(cost.charges[0]!.rows[0]).toMatchObject({ unit: "kWh", priceUnit: "SEK/kWh", label: null });
  });

  test("half a unit goes away from zero", () => {
    const half = contract([{ ...perKwh, price: "0.005" }]);
    expect(amountOf(calculated(half, "202501", stored({ month: 1 })), "grid_usage")).toBe("0.01");
    expect(amountOf(calculated(half, "202501", stored({ month: -1 })), "grid_usage")).toBe("-0.01");
  });

  test("part of a month needs its days, and only those", () => {
    const made = contract([{ ...perKwh, price: "2" }], { period: "20250130-20250131" });
    const cost = calculated(made, "202501", stored({ month: 999, 30: 1.1, 31: 2.2 }));
    expect(amountOf(cost, "grid_usage")).toBe("6.6");
    const lacking = calculated(made, "202501", stored({ month: 999, 31: 2.2 }));
    expect(amountOf(lacking, "grid_usage")).toBeNull();
    expect(lacking.missing).toEqual([
      {
        component: "Transfer",
        reason: "1 of 2 days of energy are missing, the first at 2025-01-29T23:00:00+0000",
      },
    ]);
  });

  test("without a month nothing is guessed, and what is known is told", () => {
    const fee = { kind: "fixed", name: "Fee", metric: "grid_subscription", price: "12", per: "month" };
    const cost = calculated(contract([fee, perKwh]), "202501", stored({}));
    expect(amountOf(cost, "grid_subscription")).toBe("12");
    expect(amountOf(cost, "grid_usage")).toBeNull();
    expect(amountOf(cost, "grid_total")).toBeNull();
    expect([cost.net, cost.vat, cost.gross]).toEqual([null, null, null]);
    expect(cost.missing[0]!.reason).toContain("31 of 31 days of energy are missing");
  });

  test("tiers price each part of the quantity", () => {
    const { price: _, ...rest } = perKwh;
    const tiers = [{ up_to: "100", price: "1" }, { up_to: "250", price: "0.5" }, { price: "0.1" }];
    const made = contract([{ ...rest, tiers }]);
    const rowsOf = (month: number) =>
      calculated(made, "202501", stored({ month })).charges[0]!.rows.map((row) => [
        row.label,
        row.quantity.toNumber(),
        row.amount.toNumber(),
      ]);
    expect(rowsOf(300.5)).toEqual([
      ["up to 100", 100, 100],
      ["up to 250", 150, 75],
      ["above 250", 50.5, 5.05],
    ]);
    expect(rowsOf(100)).toEqual([["up to 100", 100, 100]]);
    expect(rowsOf(0)).toEqual([["up to 100", 0, 0]]);
    expect(rowsOf(-5)).toEqual([["up to 100", -5, -5]]);
  });

  test("other quantities have their own unit", () => {
    const flow = quantitiesOf(zone, (_, __, metric) => (metric === "flow" ? 10 : Number.NaN));
    const made = contract([{ ...perKwh, metric: "grid_subscription_flow", of: "flow", price: "3" }]);
    const cost = calculated(made, "202501", flow);
    expect(amountOf(cost, "grid_subscription_flow")).toBe("30");
    expect(cost.charges[0]!.rows[0]!.priceUnit).toBe("SEK/m3");
  });
});

describe("peaks", () => {
  const peak = { kind: "peak", name: "Power", metric: "grid_subscription_power", price: "50" };
  /** 1 kW all the time, and more at some hours of some days. */
  const consuming = (more: Record<string, number>) =>
    hours((start) => {
      const { day, hour: at } = clock(start);
      return more[`${day}/${at}`] ?? 1;
    });

  test("the highest hour of the month", () => {
    const cost = calculated(contract([peak]), "202501", consuming({ "7/18": 6.5, "9/3": 5 }));
    expect(amountOf(cost, "grid_subscription_power")).toBe("325");
    expect(cost.charges[0]!.rows[0]).toMatchObject({ unit: "kW", priceUnit: "SEK/kW/month" });
  });

  test("the mean of the highest hours of different days", () => {
    const made = contract([{ ...peak, highest: 3 }]);
    // Of the 7th only 6.5 counts: (6.5 + 5 + 4) / 3 × 50
    const cost = calculated(made, "202501", consuming({ "7/18": 6.5, "7/19": 6.4, "9/3": 5, "20/8": 4 }));
    expect(amountOf(cost, "grid_subscription_power")).toBe("258.33");
  });

  test("only within windows, and then only their hours are needed", () => {
    const windows = [{ days: ["mon", "tue", "wed", "thu", "fri"], hours: ["07-19"] }];
    const made = contract([{ ...peak, windows }]);
    const only = hours((start) => {
      const { day, hour: at, weekday } = clock(start);
      if (weekday === 0 || weekday === 6 || at < 7 || at >= 19) return Number.NaN;
      return day === 8 && at === 18 ? 3 : 2;
    });
    expect(amountOf(calculated(made, "202501", only), "grid_subscription_power")).toBe("150");
    const summer = contract([{ ...peak, windows: [{ months: [6, 7] }] }]);
    expect(amountOf(calculated(summer, "202501", nothing), "grid_subscription_power")).toBe("0");
  });

  test("a missing hour that counts makes it unknown", () => {
    const cost = calculated(contract([peak]), "202501", consuming({ "7/18": Number.NaN }));
    expect(amountOf(cost, "grid_subscription_power")).toBeNull();
    expect(cost.missing[0]!.reason).toBe(
      "1 of 744 hours of energy are missing, the first at 2025-01-07T17:00:00+0000",
    );
  });

  test("quarters are four times their energy; a yearly price is spread by days", () => {
    const made = contract([{ ...peak, resolution: "15min", per: "year", price: "365" }]);
    const quarters = quantitiesOf(zone, (granularity) => (granularity === "15min" ? 2.5 : Number.NaN));
    // 10 kW × 365 SEK a year × 31 days
    expect(amountOf(calculated(made, "202501", quarters), "grid_subscription_power")).toBe("310");
  });

  test("the highest of twelve months needs all of them", () => {
    const made = contract([{ ...peak, over_months: 12 }]);
    const high = Date.UTC(2024, 2, 5, 12);
    const year = hours((start) => (start === high ? 9 : 1));
    expect(amountOf(calculated(made, "202502", year), "grid_subscription_power")).toBe("450");
    expect(amountOf(calculated(made, "202503", year), "grid_subscription_power")).toBe("50");
    const short = hours((start) => (start < high ? Number.NaN : 1));
    expect(amountOf(calculated(made, "202501", short), "grid_subscription_power")).toBeNull();
  });

  test("part of a month costs its share of days", () => {
    const made = contract([peak], { period: "20250101-20250115" });
    expect(amountOf(calculated(made, "202501", consuming({})), "grid_subscription_power")).toBe("24.19");
  });
});

describe("time of use", () => {
  const windows = [
    {
      name: "high",
      price: "1",
      days: ["mon", "tue", "wed", "thu", "fri"],
      hours: ["06-22"],
      months: [11, 12, 1, 2, 3],
    },
    { name: "night", price: "0.25", hours: ["22-06"] },
    { name: "low", price: "0.5" },
  ];
  const component = { kind: "time_of_use", name: "Transfer", metric: "grid_usage", windows };
  const labels = (month: string, options = {}) =>
    Object.fromEntries(
      calculated(
        contract([component], options),
        month,
        hours(() => 1),
      ).charges[0]!.rows.map((row) => [row.label, row.quantity.toNumber()]),
    );

  test("the first window that fits prices an hour", () => {
    // January 2025: 23 weekdays of 16 hours, 31 nights of 8, 8 days of the weekend of 16.
    expect(labels("202501")).toEqual({ high: 368, night: 248, low: 128 });
    expect(
      amountOf(
        calculated(
          contract([component]),
          "202501",
          hours(() => 1),
        ),
        "grid_usage",
      ),
    ).toBe("494");
    expect(labels("202507")).toEqual({ night: 248, low: 496 });
  });

  test("a holiday is no weekday", () => {
    const model = { key: "grid", period: null, timezone: null, holidays: ["20250101", "20250106"] };
    expect(labels("202501", { model })).toEqual({ high: 336, night: 248, low: 160 });
  });

  test("days of the change of clock have 23 and 25 hours", () => {
    // The hour from 02 is left out on 30 March and comes twice on 26 October, both in the night.
    expect(labels("202503").night).toBe(31 * 8 - 1);
    expect(labels("202510").night).toBe(31 * 8 + 1);
  });

  test("windows follow the zone of the model", () => {
    // 22:00 in Stockholm in summer, 21:00 in the zone of the Nordic market.
    const one = hours((start) => (start === Date.UTC(2025, 6, 1, 20) ? 1 : 0));
    const labelOf = (timezone: string | null) => {
      const made = contract([component], { model: { key: "grid", period: null, timezone, holidays: [] } });
      const { rows } = calculated(made, "202507", one).charges[0]!;
      return rows.find((row) => row.quantity.toNumber() === 1)!.label;
    };
    expect([labelOf(null), labelOf("Etc/GMT-1")]).toEqual(["night", "low"]);
  });

  test("windows tile the month: every hour is priced once, whatever the windows", () => {
    const day = fc.constantFrom("mon", "tue", "wed", "thu", "fri", "sat", "sun", "holiday");
    const range = fc
      .tuple(fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 24 }))
      .filter(([from, to]) => from !== to)
      .map((pair) => pair.map((each) => String(each).padStart(2, "0")).join("-"));
    const window = fc.record(
      {
        days: fc.uniqueArray(day, { minLength: 1 }),
        hours: fc.array(range, { minLength: 1, maxLength: 3 }),
        months: fc.uniqueArray(fc.integer({ min: 1, max: 12 }), { minLength: 1 }),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(
        fc.array(window, { maxLength: 4 }),
        fc.constantFrom("202503", "202510", "202402", "202512"),
        fc.constantFrom("Europe/Stockholm", "Etc/GMT-1", "America/New_York", "Asia/Kolkata"),
        (some, month, modelZone) => {
          const all = [
            ...some.map((each, i) => ({ ...each, name: `w${i}`, price: "1" })),
            { name: "rest", price: "1" },
          ];
          const model = { key: "grid" as const, period: null, timezone: modelZone, holidays: ["20251225"] };
          const made = contract([{ ...component, windows: all }], { model });
          const { rows } = calculated(
            made,
            month,
            hours(() => 1),
          ).charges[0]!;
          const { from, to } = spanOfMonth(zone, month);
          expect(total(rows.map((row) => row.quantity)).toNumber()).toBe((to - from) / hour);
        },
      ),
    );
  });
});

describe("spot", () => {
  const series = "a".repeat(24);
  const component = { kind: "spot", name: "Spot", metric: "grid_usage", series, margin: "0.05" };
  const { from, to } = spanOfMonth(zone, "202501");
  const at = (step: number, price: (start: number) => string) =>
    new Map(Array.from({ length: (to - from) / step }, (_, i) => [from + i * step, price(from + i * step)]));
  const one = (granularity: string, value: number) => (asked: string) =>
    asked === granularity ? value : Number.NaN;

  test("each hour pays its own price and the margin", () => {
    const prices = {
      granularity: "hour",
      at: at(hour, (start) => (start === from ? "10.5" : "0.1")),
    } as const;
    const cost = calculated(
      contract([component]),
      "202501",
      quantitiesOf(zone, one("hour", 2), { [series]: prices }),
    );
    // 2 × (10.5 + 743 × 0.1 + 744 × 0.05)
    expect(amountOf(cost, "grid_usage")).toBe("244");
    const [row] = cost.charges[0]!.rows;
    expect(row!.quantity.toNumber()).toBe(1488);
    expect(row!.price.toDecimalPlaces(6).toString()).toBe("0.163978");
  });

  test("negative prices are prices", () => {
    const prices = { granularity: "hour", at: at(hour, () => "-0.2") } as const;
    const cost = calculated(
      contract([component]),
      "202501",
      quantitiesOf(zone, one("hour", 1), { [series]: prices }),
    );
    expect(amountOf(cost, "grid_usage")).toBe("-111.6");
  });

  test("an hour of a series of quarters costs the mean of four, a quarter its own", () => {
    const step = 900_000;
    const prices = {
      granularity: "15min",
      at: at(step, (start) => (start % hour === 0 ? "4" : "0")),
    } as const;
    const free = { ...component, margin: "0" };
    const perHour = calculated(
      contract([free]),
      "202501",
      quantitiesOf(zone, one("hour", 1), { [series]: prices }),
    );
    expect(amountOf(perHour, "grid_usage")).toBe("744");
    const perQuarter = contract([{ ...free, per: "15min" }]);
    const uneven = quantitiesOf(
      zone,
      (asked, start) => (asked === "15min" ? (start % hour === 0 ? 1 : 0) : Number.NaN),
      {
        [series]: prices,
      },
    );
    expect(amountOf(calculated(perQuarter, "202501", uneven), "grid_usage")).toBe("2976");
  });

  test("missing prices and hours are named, and nothing is guessed", () => {
    const prices = at(hour, () => "1");
    prices.delete(from + hour);
    prices.delete(from + 2 * hour);
    const consumption = quantitiesOf(zone, (_, start) => (start === from ? Number.NaN : 1), {
      [series]: { granularity: "hour", at: prices },
    });
    const cost = calculated(contract([component]), "202501", consumption);
    expect(amountOf(cost, "grid_usage")).toBeNull();
    expect(cost.missing).toEqual([
      {
        component: "Spot",
        reason:
          "1 of 744 hours of energy are missing, the first at 2024-12-31T23:00:00+0000; " +
          "2 of 744 hours of prices are missing, the first at 2025-01-01T00:00:00+0000",
      },
    ]);
    expect(calculated(contract([component]), "202501", nothing).missing[0]!.reason).toContain(
      "does not exist",
    );
  });
});

describe("parts of other amounts", () => {
  const fee = { kind: "fixed", name: "Fee", metric: "grid_subscription", price: "100", per: "month" };
  const use = { kind: "energy", name: "Use", metric: "grid_usage", price: "1" };
  const month = quantitiesOf(zone, (granularity) => (granularity === "month" ? 33.33 : Number.NaN));

  test("VAT is kept apart and rounded once a month", () => {
    const cost = calculated(contract([fee, use, { kind: "vat", percent: "25" }]), "202501", month);
    expect([cost.net, cost.vat, cost.gross].map(String)).toEqual(["133.33", "33.33", "166.66"]);
    expect(amountOf(cost, "grid_total")).toBe("133.33");
    expect([...cost.metrics.keys()]).toEqual(["grid_subscription", "grid_usage", "grid_total"]);
  });

  test("rates of VAT follow each other", () => {
    const rates = [
      { kind: "vat", percent: "24", period: "20250101-20250831" },
      { kind: "vat", name: "VAT from September", percent: "25.5", period: "20250901-" },
    ];
    const made = contract([fee, ...rates]);
    expect(String(calculated(made, "202508", month).vat)).toBe("24");
    expect(String(calculated(made, "202509", month).vat)).toBe("25.5");
    expect(calculated(made, "202412", month).vatPercent).toBeNull();
  });

  test("a discount is of all that comes before, or of what it names", () => {
    const discount = { kind: "percentage", name: "Discount", metric: "grid_undefined", percent: "-10" };
    const all = calculated(contract([fee, use, discount]), "202501", month);
    expect(amountOf(all, "grid_undefined")).toBe("-13.33");
    expect(amountOf(all, "grid_total")).toBe("120");
    const some = calculated(contract([fee, use, { ...discount, base: ["Use"] }]), "202501", month);
    expect(amountOf(some, "grid_undefined")).toBe("-3.33");
    const unknown = calculated(contract([fee, use, { ...discount, base: ["Use"] }]), "202501", nothing);
    expect(amountOf(unknown, "grid_undefined")).toBeNull();
  });

  test("parameters are filled in", () => {
    const made = contract([{ ...fee, price: { param: "annual_fee" }, per: "year" }], {
      params: { annual_fee: "365" },
    });
    expect(amountOf(calculated(made, "202501", month), "grid_total")).toBe("31");
  });

  test("a model has prices for its period only", () => {
    const model = { key: "grid" as const, period: "20250101-20251231", timezone: null, holidays: [] };
    const made = contract([fee], { model });
    expect(amountOf(calculated(made, "202512", month), "grid_total")).toBe("100");
    const outside = calculated(made, "202601", month);
    expect(amountOf(outside, "grid_total")).toBeNull();
    expect(outside.missing).toEqual([
      {
        component: null,
        reason: "the price model has prices for 20250101-20251231 only, not for all of 20260101-20260131",
      },
    ]);
  });
});
