import { DecimalSum } from "../platform/decimal.ts";
import { type Granularity, minutesOf } from "../platform/granularity.ts";
import { formatTimestamp } from "../platform/time/timestamp.ts";
import { type BoundComponent, powerUnit, priceUnit, unitOf } from "./component.ts";
import { dayStart, daysOfMonth, daysOfYear, monthStart } from "./days.ts";
import { Money, rounded, shareOf, total } from "./money.ts";
import type { Quantities, Values } from "./quantities.ts";
import { type Calendar, conditionTest, wallClockOf } from "./windows.ts";

/** One line of a calculation: quantity times price, rounded to the smallest unit of the currency. */
export interface Row {
  /** Which window or tier of the component; null when it has one row. */
  label: string | null;
  quantity: Money;
  unit: string;
  price: Money;
  /** `SEK/kWh`. */
  priceUnit: string;
  amount: Money;
}

/** What a component costs, or why that cannot be said. */
export type Priced = { rows: Row[] } | { missing: string };

/** The part of a month that is priced. */
export interface Scope {
  month: number;
  /** Days of the month that the component holds for, in the meter's calendar. */
  days: { from: number; to: number };
  /** Zone of the meter. */
  zone: string;
  /** Calendar of windows and holidays. */
  calendar: Calendar;
  currency: string;
  quantities: Quantities;
  /** Amounts of the components before this one, by name; null: not known. */
  before: ReadonlyMap<string, Money | null>;
}

type Of<Kind extends BoundComponent["kind"]> = BoundComponent & { kind: Kind };
type Charged = Exclude<BoundComponent, { kind: "vat" }>;

/** Prices one component over the days of a scope. */
export function charge(component: Charged, scope: Scope): Priced {
  switch (component.kind) {
    case "fixed":
      return { rows: [fixed(component, scope)] };
    case "energy":
      return energy(component, scope);
    case "peak":
      return peak(component, scope);
    case "time_of_use":
      return timeOfUse(component, scope);
    case "spot":
      return spot(component, scope);
    case "percentage":
      return percentage(component, scope);
  }
}

function rowOf(
  component: Charged,
  scope: Scope,
  row: Omit<Row, "label" | "priceUnit"> & { label?: string },
): Row {
  return { label: null, priceUnit: `${scope.currency}/${priceUnit(component)}`, ...row };
}

function fixed(component: Of<"fixed">, scope: Scope): Row {
  const { days, month, currency } = scope;
  const price = new Money(component.price);
  const count = days.to - days.from;
  if (component.per === "day") {
    const amount = rounded(price.times(count), currency);
    return rowOf(component, scope, { quantity: new Money(count), unit: "day", price, amount });
  }
  const whole = component.per === "year" ? daysOfYear(days.from) : daysOfMonth(month);
  const length = whole.to - whole.from;
  const span = { from: days.from - whole.from, to: days.to - whole.from, of: length, currency };
  const amount = shareOf(price, span);
  const quantity = component.per === "year" ? new Money(count) : new Money(count).div(length);
  return rowOf(component, scope, {
    quantity,
    unit: component.per === "year" ? "day" : "month",
    price,
    amount,
  });
}

/** Instants of the days of a scope. */
const spanOf = ({ zone, days }: Scope) => ({ from: dayStart(zone, days.from), to: dayStart(zone, days.to) });

const isWholeMonth = ({ month, days }: Scope) => {
  const whole = daysOfMonth(month);
  return days.from === whole.from && days.to === whole.to;
};

const plural: Partial<Record<Granularity, string>> = {
  "15min": "quarters of an hour",
  hour: "hours",
  day: "days",
};

/** Why values do not suffice; `undefined` when none is missing. `counts` leaves out those that need not be there. */
function lackOf(
  what: string,
  { starts, values }: Values,
  { granularity, counts = () => true }: { granularity: Granularity; counts?: (index: number) => boolean },
): string | undefined {
  let needed = 0;
  let missing = 0;
  let first = Number.NaN;
  for (let i = 0; i < starts.length; i++) {
    if (!counts(i)) continue;
    needed++;
    if (!Number.isNaN(values[i]!)) continue;
    if (missing++ === 0) first = starts[i]!;
  }
  if (missing === 0) return undefined;
  return `${missing} of ${needed} ${plural[granularity]} of ${what} are missing, the first at ${formatTimestamp(first)}`;
}

function sumOf(values: ArrayLike<number>): Money {
  const sum = new DecimalSum();
  for (let i = 0; i < values.length; i++) sum.add(values[i]!);
  return new Money(sum.toString());
}

function energy(component: Of<"energy">, scope: Scope): Priced {
  const quantity = quantityOf(component.of, scope);
  if (typeof quantity === "string") return { missing: quantity };
  const unit = unitOf(component.of);
  const line = (price: Money, part: Money, label?: string) =>
    rowOf(component, scope, {
      quantity: part,
      unit,
      price,
      amount: rounded(part.times(price), scope.currency),
      ...(label === undefined ? {} : { label }),
    });
  if (component.tiers === undefined) return { rows: [line(new Money(component.price!), quantity)] };
  const rows: Row[] = [];
  let below = new Money(0);
  for (const { up_to: upTo, price } of component.tiers) {
    const limit = upTo === undefined ? quantity : Money.min(quantity, upTo);
    // What was fed back (a negative quantity) is priced by the first tier.
    const part = rows.length === 0 ? limit : limit.minus(below);
    if (part.gt(0) || rows.length === 0) {
      const label = upTo === undefined ? `above ${below}` : `up to ${upTo}`;
      rows.push(line(new Money(price), part, label));
    }
    below = new Money(upTo ?? below);
  }
  return { rows };
}

/** The quantity of a month: its own value when all of it is priced, else that of the days. */
function quantityOf(metric: string, scope: Scope): Money | string {
  const span = spanOf(scope);
  if (isWholeMonth(scope)) {
    const value = scope.quantities.values(metric, "month", span).values[0] ?? Number.NaN;
    if (!Number.isNaN(value)) return new Money(value);
    const days = scope.quantities.values(metric, "day", span);
    return `the ${metric} of the month is not known: ${lackOf(metric, days, { granularity: "day" }) ?? "its value was removed"}`;
  }
  const days = scope.quantities.values(metric, "day", span);
  return lackOf(metric, days, { granularity: "day" }) ?? sumOf(days.values);
}

function peak(component: Of<"peak">, scope: Scope): Priced {
  const { month, days, zone, quantities, calendar, currency } = scope;
  const back = component.over_months - 1;
  const { from, to } = spanOf(scope);
  const span = { from: back === 0 ? from : monthStart(zone, month - back), to };
  const found = quantities.values(component.of, component.resolution, span);
  const clocks = Array.from(found.starts, wallClockOf(calendar));
  const tests = (component.windows ?? [{}]).map(conditionTest);
  const counts = (i: number) => tests.some((test) => test(clocks[i]!));
  const lack = lackOf(component.of, found, { granularity: component.resolution, counts });
  if (lack !== undefined) return { missing: lack };
  const highest = new Map<number, number>();
  for (const [i, { day }] of clocks.entries()) {
    if (counts(i)) highest.set(day, Math.max(found.values[i]!, highest.get(day) ?? Number.NEGATIVE_INFINITY));
  }
  const top = [...highest.values()].sort((a, b) => b - a).slice(0, component.highest);
  if (top.length === 0) return { rows: [] };
  const perHour = 60 / minutesOf[component.resolution];
  const quantity = sumOf(top).times(perHour).div(top.length);
  const price = new Money(component.price);
  const whole = component.per === "year" ? daysOfYear(days.from) : daysOfMonth(month);
  const share = new Money(days.to - days.from).div(whole.to - whole.from);
  const amount = rounded(quantity.times(price).times(share), currency);
  return { rows: [rowOf(component, scope, { quantity, unit: powerUnit(component.of), price, amount })] };
}

function timeOfUse(component: Of<"time_of_use">, scope: Scope): Priced {
  const found = scope.quantities.values(component.of, "hour", spanOf(scope));
  const lack = lackOf(component.of, found, { granularity: "hour" });
  if (lack !== undefined) return { missing: lack };
  const tests = component.windows.map(conditionTest);
  const sums = component.windows.map(() => new DecimalSum());
  const clockOf = wallClockOf(scope.calendar);
  for (let i = 0; i < found.starts.length; i++) {
    const clock = clockOf(found.starts[i]!);
    sums[tests.findIndex((test) => test(clock))]!.add(found.values[i]!);
  }
  const rows = component.windows.flatMap(({ name: label, price: text }, i) => {
    if (sums[i]!.count === 0) return [];
    const quantity = new Money(sums[i]!.toString());
    const price = new Money(text);
    const amount = rounded(quantity.times(price), scope.currency);
    return [rowOf(component, scope, { label, quantity, unit: unitOf(component.of), price, amount })];
  });
  return { rows };
}

const hourMs = 3_600_000;
const quarterMs = 900_000;

function spot(component: Of<"spot">, scope: Scope): Priced {
  const found = scope.quantities.values(component.of, component.per, spanOf(scope));
  const prices = scope.quantities.prices(component.series);
  if (prices === undefined) return { missing: `the price series ${component.series} does not exist` };
  const lacks = [lackOf(component.of, found, { granularity: component.per })];
  const each = Array.from(found.starts, (start) => priceAt(start, component.per, prices));
  const priced = {
    starts: found.starts,
    values: each.map((price) => (price === undefined ? Number.NaN : 0)),
  };
  lacks.push(lackOf("prices", priced, { granularity: component.per }));
  const missing = lacks.filter((lack) => lack !== undefined);
  if (missing.length > 0) return { missing: missing.join("; ") };
  const quantity = sumOf(found.values);
  const cost = total(each.map((price, i) => price!.plus(component.margin).times(found.values[i]!)));
  const price = quantity.isZero() ? new Money(component.margin) : cost.div(quantity);
  const amount = rounded(cost, scope.currency);
  return { rows: [rowOf(component, scope, { quantity, unit: unitOf(component.of), price, amount })] };
}

/** The price of an hour or a quarter; an hour of a series of quarters costs the mean of its four. */
function priceAt(
  start: number,
  per: "hour" | "15min",
  { granularity, at }: NonNullable<ReturnType<Quantities["prices"]>>,
): Money | undefined {
  if (granularity === per || granularity === "hour") {
    const from = granularity === per ? start : Math.floor(start / hourMs) * hourMs;
    const price = at.get(from);
    return price === undefined ? undefined : new Money(price);
  }
  const quarters = [0, 1, 2, 3].map((i) => at.get(start + i * quarterMs));
  if (quarters.includes(undefined)) return undefined;
  return total(quarters.map((price) => new Money(price!))).div(4);
}

function percentage(component: Of<"percentage">, scope: Scope): Priced {
  const names = component.base ?? [...scope.before.keys()];
  const amounts = names.map(
    (name) => scope.before.get(name) ?? (scope.before.has(name) ? null : new Money(0)),
  );
  if (amounts.includes(null)) return { missing: "an amount that it is of is not known" };
  const quantity = total(amounts as Money[]);
  const percent = new Money(component.percent);
  const amount = rounded(quantity.times(percent).div(100), scope.currency);
  const row = { quantity, unit: scope.currency, price: percent, amount };
  return { rows: [{ ...rowOf(component, scope, row), priceUnit: "%" }] };
}
