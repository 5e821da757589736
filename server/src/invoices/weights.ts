import type { InvoicePeriod } from "../formats/format.ts";
import type { Queryable } from "../platform/db.ts";
import { decimalOf } from "../platform/decimal.ts";
import { calendarStart } from "../platform/time/granule.ts";
import { defaultMetric, gridOf, query } from "../series/series.ts";
import type { CostMeter } from "./link.ts";
import { dayNumber, type MonthShare, monthsOf } from "./spread.ts";

/** A period of a meter whose consumption decides how an amount is divided. */
export interface Wanted {
  meter: CostMeter;
  period: InvoicePeriod;
}

const keyOf = ({ meter, period }: Wanted) => `${meter.id} ${period.from} ${period.to}`;

/**
 * Consumption per month of some meters and periods, as whole numbers in one scale: from days, else from months when
 * the period is made of whole ones. `undefined` when any of it is missing, negative, or all of it is zero.
 */
export async function consumptionWeights(
  db: Queryable,
  wanted: readonly Wanted[],
): Promise<(wanted: Wanted) => bigint[] | undefined> {
  const found = new Map<string, bigint[]>();
  const groups = Map.groupBy(
    wanted,
    ({ meter, period }) => `${meter.timezone} ${defaultMetric(meter.type)} ${period.from} ${period.to}`,
  );
  for (const group of groups.values()) {
    const { period } = group[0]!;
    const shares = monthsOf(period);
    const first = dayNumber(period.from);
    const days = await valuesOf(db, group, "day");
    const rest = group.filter((each) => {
      const weights = weightsOf(days.get(each.meter.id), sliceOfDays(shares, first));
      if (weights !== undefined) found.set(keyOf(each), weights);
      return weights === undefined;
    });
    if (rest.length === 0 || !isWholeMonths(shares)) continue;
    const months = await valuesOf(db, rest, "month");
    for (const each of rest) {
      const weights = weightsOf(
        months.get(each.meter.id),
        shares.map((_, i) => [i, i + 1]),
      );
      if (weights !== undefined) found.set(keyOf(each), weights);
    }
  }
  return (each) => found.get(keyOf(each));
}

/** Values of meters with one zone, type and period, by meter; only those of the default metric of their type. */
async function valuesOf(
  db: Queryable,
  group: readonly Wanted[],
  granularity: "day" | "month",
): Promise<Map<string, Float64Array>> {
  const { meter, period } = group[0]!;
  const from = calendarStart(meter.timezone, dayNumber(period.from), "day");
  const to = calendarStart(meter.timezone, dayNumber(period.to) + 1, "day");
  const meters = new Map(group.map((each) => [each.meter.id, each.meter]));
  const answers = await query(db, {
    meters: [...meters.values()].map(({ id, part }) => ({ rootId: id, part })),
    metrics: [defaultMetric(meter.type)],
    grids: [gridOf(granularity, meter.timezone, { from, to })],
  });
  return new Map(answers.map(({ rootId, values }) => [rootId, values[0]!]));
}

/** Which days of the period belong to each month. */
function sliceOfDays(shares: readonly MonthShare[], first: number): [number, number][] {
  return shares.map(({ from, to }) => [dayNumber(from) - first, dayNumber(to) - first + 1]);
}

function isWholeMonths(shares: readonly MonthShare[]): boolean {
  return shares.every(({ from, to }) => from.endsWith("-01") && nextDay(to).endsWith("-01"));
}

const nextDay = (day: string) => new Date((dayNumber(day) + 1) * 86_400_000).toISOString().slice(0, 10);

function weightsOf(
  values: Float64Array | undefined,
  slices: readonly (readonly [number, number])[],
): bigint[] | undefined {
  if (values === undefined || values.some((value) => !(value >= 0))) return undefined;
  const scaled = Array.from(values, decimalOf);
  const places = scaled.reduce((most, { e }) => Math.max(most, e), 0);
  const whole = scaled.map(({ m, e }) => BigInt(m) * 10n ** BigInt(places - e));
  const weights = slices.map(([from, to]) => whole.slice(from, to).reduce((sum, each) => sum + each, 0n));
  return weights.some((weight) => weight > 0n) ? weights : undefined;
}
