import type { Queryable } from "../platform/db.ts";
import type { Granularity } from "../platform/granularity.ts";
import { granuleStarts } from "../platform/time/granule.ts";
import { gridOf, pointsAtMost, query } from "../series/series.ts";
import type { BoundComponent, Component } from "./component.ts";
import { monthAt, monthStart } from "./days.ts";
import { seriesIn } from "./model-check.ts";
import { granularitiesOf, type PriceGranularity, pricesBetween } from "./price-series.ts";

/** Values of one metric and granularity, in order of time; NaN where nothing is known. */
export interface Values {
  starts: ArrayLike<number>;
  values: ArrayLike<number>;
}

/** Prices of a series by their starts, decimals as text. */
export interface Prices {
  granularity: PriceGranularity;
  at: ReadonlyMap<number, string>;
}

/** What a calculation looks into: loaded before, for all of its months. */
export interface Quantities {
  /** Values that begin in [from, to). */
  values(metric: string, granularity: Granularity, span: { from: number; to: number }): Values;
  prices(seriesId: string): Prices | undefined;
}

/** The root meter whose consumption is priced. */
export interface PricedMeter {
  rootId: string;
  part: number;
  timezone: string;
}

type AnyComponent = Component | BoundComponent;

/** Granularities that a component may read. */
function granularitiesRead(component: AnyComponent): Granularity[] {
  switch (component.kind) {
    case "energy":
      return ["month", "day"];
    case "peak":
      return [component.resolution];
    case "time_of_use":
      return ["hour"];
    case "spot":
      return [component.per];
    default:
      return [];
  }
}

/** How many months before the one that is charged components look at. */
export function monthsBack(components: readonly AnyComponent[]): number {
  return Math.max(0, ...components.map((each) => (each.kind === "peak" ? each.over_months - 1 : 0)));
}

interface Reading {
  metric: string;
  granularity: Granularity;
}

function readingsOf(components: readonly AnyComponent[]): Map<string, Reading> {
  const found = new Map<string, Reading>();
  for (const component of components) {
    if (!("of" in component)) continue;
    for (const granularity of granularitiesRead(component))
      found.set(`${component.of}/${granularity}`, { metric: component.of, granularity });
  }
  return found;
}

/** The whole months around a span, with those before it that components look at. */
function wholeMonths(
  zone: string,
  { from, to }: { from: number; to: number },
  components: readonly AnyComponent[],
): { from: number; to: number } {
  return {
    from: monthStart(zone, monthAt(zone, from) - monthsBack(components)),
    to: monthStart(zone, monthAt(zone, to - 1) + 1),
  };
}

/** How many stored values and prices the calculation of a span reads at most: what limits count. */
export function valuesRead(
  zone: string,
  span: { from: number; to: number },
  components: readonly AnyComponent[],
): number {
  const whole = wholeMonths(zone, span, components);
  let count = 0;
  for (const { granularity } of readingsOf(components).values())
    count += pointsAtMost(granularity, zone, whole);
  // A price series has four prices an hour at most.
  return count + seriesIn(components).length * pointsAtMost("15min", zone, whole);
}

/** Reads all that the calculation of a span (epoch ms) needs, of one meter. */
export async function loadQuantities(
  db: Queryable,
  meter: PricedMeter,
  { span, components }: { span: { from: number; to: number }; components: readonly AnyComponent[] },
): Promise<Quantities> {
  const zone = meter.timezone;
  const whole = wholeMonths(zone, span, components);
  const readings = readingsOf(components);
  const known = new Map<string, Values>();
  for (const [granularity, group] of Map.groupBy(readings.values(), (reading) => reading.granularity)) {
    const starts = granuleStarts(granularity, zone, whole);
    const metrics = group.map((reading) => reading.metric);
    const answers = await query(db, { meters: [meter], metrics, grids: [gridOf(granularity, zone, whole)] });
    for (const metric of metrics) {
      const values = answers.find((each) => each.metric === metric)?.values[0];
      known.set(
        `${metric}/${granularity}`,
        withoutSkipped({ starts, values: values ?? new Float64Array(starts.length).fill(Number.NaN) }),
      );
    }
  }
  const prices = await loadPrices(db, seriesIn(components), whole);
  return {
    values(metric, granularity, { from, to }) {
      const all = known.get(`${metric}/${granularity}`);
      if (all === undefined) throw new Error(`${granularity} of ${metric} were not loaded`);
      return slice(all, from, to);
    },
    prices: (seriesId) => prices.get(seriesId),
  };
}

/** A calendar day that the zone skipped has no time and no value. */
function withoutSkipped({ starts, values }: Values): Values {
  const kept = Array.from(starts).flatMap((start, i) => (start === starts[i + 1] ? [] : [i]));
  if (kept.length === starts.length) return { starts, values };
  return { starts: kept.map((i) => starts[i]!), values: kept.map((i) => values[i]!) };
}

async function loadPrices(
  db: Queryable,
  series: readonly string[],
  span: { from: number; to: number },
): Promise<Map<string, Prices>> {
  const found = new Map<string, Prices>();
  if (series.length === 0) return found;
  for (const [id, granularity] of await granularitiesOf(db, series)) {
    found.set(id, { granularity, at: await pricesBetween(db, id, span) });
  }
  return found;
}

function slice({ starts, values }: Values, from: number, to: number): Values {
  const first = firstNotBefore(starts, from);
  const end = firstNotBefore(starts, to);
  return {
    starts: Array.prototype.slice.call(starts, first, end),
    values: Array.prototype.slice.call(values, first, end),
  };
}

function firstNotBefore(starts: ArrayLike<number>, at: number): number {
  let low = 0;
  let high = starts.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (starts[middle]! < at) low = middle + 1;
    else high = middle;
  }
  return low;
}
