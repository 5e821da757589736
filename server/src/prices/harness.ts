import type { Granularity } from "../platform/granularity.ts";
import { granuleStarts } from "../platform/time/granule.ts";
import { type Contract, calculateMonth, type MonthCost } from "./calculate.ts";
import { bind, type Component, componentSchema } from "./component.ts";
import { monthStart, readDays } from "./days.ts";
import type { Prices, Quantities } from "./quantities.ts";

/** Consumption that tests make up: a value for each granule, NaN for none. */
export type Consumption = (granularity: Granularity, start: number, metric: string) => number;

/** Quantities of a made-up consumption and price series. */
export function quantitiesOf(
  zone: string,
  consumption: Consumption,
  series: Readonly<Record<string, Prices>> = {},
): Quantities {
  return {
    values(metric, granularity, span) {
      const starts = granuleStarts(granularity, zone, span);
      return { starts, values: starts.map((start) => consumption(granularity, start, metric)) };
    },
    prices: (id) => series[id],
  };
}

/** A contract of components as a caller would send them. */
export function contract(
  components: readonly object[],
  options: Partial<Omit<Contract, "days" | "components">> & {
    period?: string;
    params?: Record<string, string>;
  } = {},
): Contract {
  const { period = "19700101-", params = {}, ...rest } = options;
  const parsed: Component[] = components.map((each) => componentSchema.parse(each));
  return {
    model: { key: "grid", period: null, timezone: null, holidays: [] },
    components: bind(parsed, params),
    currency: "SEK",
    zone: "Europe/Stockholm",
    days: readDays("period", period),
    ...rest,
  };
}

/** The month of a text such as 202601. */
export const monthOf = (text: string) => (Number(text.slice(0, 4)) - 1970) * 12 + Number(text.slice(4)) - 1;

/** A calculated month, which must be one of the contract. */
export function calculated(made: Contract, month: string, quantities: Quantities): MonthCost {
  const cost = calculateMonth(made, monthOf(month), quantities);
  if (cost === null) throw new Error(`the contract does not hold in ${month}`);
  return cost;
}

/** Amount of a metric as text; null when it is not known, undefined when nothing feeds it. */
export const amountOf = (cost: MonthCost, metric: string) => {
  const amount = cost.metrics.get(metric);
  return amount === undefined || amount === null ? amount : amount.toString();
};

/** First instants of a month and of the next. */
export const spanOfMonth = (zone: string, month: string) => {
  const index = monthOf(month);
  return { from: monthStart(zone, index), to: monthStart(zone, index + 1) };
};
