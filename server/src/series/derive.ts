import { DecimalSum, roundTo } from "../platform/decimal.ts";
import { type Granularity, minutesOf } from "../platform/granularity.ts";
import {
  calendarIndex,
  calendarStart,
  granuleEnd,
  granuleStart,
  granuleStarts,
} from "../platform/time/granule.ts";
import type { RootMeter } from "./batch.ts";
import type { Aggregate } from "./metric.ts";
import type { OpenBlock } from "./open-block.ts";
import { endWithin, placeOf, slotsOf } from "./slot.ts";
import type { SeriesRun, Workspace } from "./workspace.ts";

/** A series whose values can be summed or averaged into coarser ones. */
export interface DerivableSeries {
  seriesId: number;
  meter: RootMeter;
  aggregate: Aggregate;
}

/** Sub-hourly granularities in the order in which an hour prefers them. */
const finer: readonly Exclude<Granularity, "hour" | "day" | "month">[] = ["30min", "15min", "10min", "5min"];

/** How many more decimals an average keeps than its values have. */
const extraDecimals = 3;

/** Instants whose coarser granules must be computed again, per granularity that was touched. */
export class Touched {
  /** Starts of hours with a changed finer value. */
  readonly hours = new Set<number>();
  /** Calendar indices. */
  readonly days = new Set<number>();
  readonly months = new Set<number>();

  /** Notes the coarser granule of a value of `granularity` at `start`. */
  add(granularity: Granularity, zone: string, start: number): void {
    if (granularity === "month") return;
    if (granularity === "day") this.months.add(calendarIndex("month", zone, start));
    else if (granularity === "hour") this.days.add(calendarIndex("day", zone, start));
    else this.hours.add(granuleStart("hour", zone, start));
  }

  /** Notes a granule that lost its delivered value: it may be derived again. */
  addRemoved(granularity: Granularity, zone: string, start: number): void {
    if (granularity === "hour") this.hours.add(start);
    else if (granularity === "day" || granularity === "month") {
      this[granularity === "day" ? "days" : "months"].add(calendarIndex(granularity, zone, start));
    }
  }

  /** Notes what a run touches; cheap for long runs of ascending starts. */
  addRun({
    granularity,
    starts,
    values,
    meter,
  }: Pick<SeriesRun, "granularity" | "starts" | "values" | "meter">): void {
    const zone = meter.timezone;
    if (values.includes(Number.NaN)) {
      for (let i = 0; i < starts.length; i++) {
        if (Number.isNaN(values[i]!)) this.addRemoved(granularity, zone, starts[i]!);
      }
    }
    if (granularity === "month") return;
    const coarser = granularity === "day" ? "month" : granularity === "hour" ? "day" : "hour";
    for (let i = 0; i < starts.length; ) {
      const from = granuleStart(coarser, zone, starts[i]!);
      this.add(granularity, zone, starts[i]!);
      i = endWithin(starts, i, { from, to: granuleEnd(coarser, zone, from) });
    }
  }
}

/** Names of the blocks that deriving may read or write, so that they are loaded before. */
export function blocksToDerive(
  touched: Touched,
  zone: string,
  need: (granularity: Granularity, period: number) => void,
): void {
  const needRange = (granularity: Granularity, from: number, to: number) => {
    const last = placeOf(granularity, zone, granuleStart(granularity, zone, to - 1)).period;
    for (let period = placeOf(granularity, zone, from).period; period <= last; period++)
      need(granularity, period);
  };
  const days = new Set(touched.days);
  for (const hour of touched.hours) {
    const end = granuleEnd("hour", zone, hour);
    for (const granularity of finer) needRange(granularity, hour, end);
    days.add(calendarIndex("day", zone, hour));
  }
  const months = new Set(touched.months);
  for (const day of days) {
    const start = calendarStart(zone, day, "day");
    needRange("hour", start, calendarStart(zone, day + 1, "day"));
    months.add(calendarIndex("month", zone, start));
  }
  for (const month of months) {
    const start = calendarStart(zone, month, "month");
    needRange("day", start, calendarStart(zone, month + 1, "month"));
    needRange("month", start, start + 1);
  }
}

/**
 * Computes hours from quarters, days from hours and months from days, where something below them changed. A value
 * is derived only from a complete finer series and never replaces a delivered one; when the finer series is no
 * longer complete the derived value goes. Returns how many values changed.
 */
export function derive(work: Workspace, series: DerivableSeries, touched: Touched, doc: number): number {
  const zone = series.meter.timezone;
  let changed = 0;
  const put = (granularity: Granularity, start: number, end: number, sources: readonly Granularity[]) => {
    if (end <= start) return false;
    const value = combine(work, series, { start, end, sources });
    if (!store(work, series, { granularity, start, value, doc })) return false;
    changed++;
    return true;
  };
  for (const hour of touched.hours) {
    if (put("hour", hour, granuleEnd("hour", zone, hour), finer)) touched.add("hour", zone, hour);
  }
  for (const day of touched.days) {
    const start = calendarStart(zone, day, "day");
    if (put("day", start, calendarStart(zone, day + 1, "day"), ["hour"])) touched.add("day", zone, start);
  }
  for (const month of touched.months) {
    put("month", calendarStart(zone, month, "month"), calendarStart(zone, month + 1, "month"), ["day"]);
  }
  return changed;
}

/** Writes a derived value unless a delivered one stands there; tells whether the value changed. */
function store(
  work: Workspace,
  series: DerivableSeries,
  at: { granularity: Granularity; start: number; value: number; doc: number },
): boolean {
  const { period, slot } = placeOf(at.granularity, series.meter.timezone, at.start);
  const block = Number.isNaN(at.value)
    ? work.find(series.seriesId, at.granularity, period)
    : work.open(series.seriesId, at.granularity, period);
  if (block === undefined || block.isDelivered(slot)) return false;
  const before = block.values[slot]!;
  if (before === at.value || (Number.isNaN(before) && Number.isNaN(at.value))) return false;
  block.writeDerived(slot, at.value, at.doc);
  work.usedDocs.add(at.doc);
  return true;
}

/** The sum or mean over [start, end) from the first source that is complete; NaN when none is. */
function combine(
  work: Workspace,
  series: DerivableSeries,
  range: { start: number; end: number; sources: readonly Granularity[] },
): number {
  for (const source of range.sources) {
    const value = combineFrom(work, series, source, range);
    if (!Number.isNaN(value)) return value;
  }
  return Number.NaN;
}

function combineFrom(
  work: Workspace,
  series: DerivableSeries,
  source: Granularity,
  range: { start: number; end: number },
): number {
  const sum = new DecimalSum();
  const whole = contiguous(work, series, source, range);
  if (whole !== null) {
    if (whole.block === undefined) return Number.NaN;
    const { values } = whole.block;
    for (let slot = whole.from; slot < whole.to; slot++) {
      if (Number.isNaN(values[slot]!)) return Number.NaN;
      sum.add(values[slot]!);
    }
  } else if (!addEach(work, series, source, { ...range, sum })) return Number.NaN;
  const total = sum.toNumber();
  // Beyond the doubles nothing can be said.
  if (!Number.isFinite(total)) return Number.NaN;
  return series.aggregate === "sum" ? total : roundTo(total / sum.count, sum.toScaled().e + extraDecimals);
}

/** The slots of a range when they lie in one block without holes: nearly always. `null` when one has to look. */
function contiguous(
  work: Workspace,
  series: DerivableSeries,
  source: Granularity,
  range: { start: number; end: number },
): { block: OpenBlock | undefined; from: number; to: number } | null {
  if (source === "day" || source === "month") return null;
  const step = minutesOf[source] * 60_000;
  const count = (range.end - range.start) / step;
  const first = placeOf(source, series.meter.timezone, range.start);
  if (!Number.isInteger(count) || first.slot + count > slotsOf(source)) return null;
  // A block of hours is a month: its slots end before slotsOf says in all but the long ones.
  const last = placeOf(source, series.meter.timezone, range.end - step);
  if (last.period !== first.period) return null;
  return {
    block: work.find(series.seriesId, source, first.period),
    from: first.slot,
    to: first.slot + count,
  };
}

/** Adds the values of a range one by one; false when one is missing or there is none. */
function addEach(
  work: Workspace,
  series: DerivableSeries,
  source: Granularity,
  { sum, ...range }: { start: number; end: number; sum: DecimalSum },
): boolean {
  const zone = series.meter.timezone;
  for (const start of sourceStarts(source, zone, range)) {
    const place = placeOf(source, zone, start);
    const block = work.find(series.seriesId, source, place.period);
    const value = block === undefined ? Number.NaN : block.values[place.slot]!;
    if (Number.isNaN(value)) return false;
    sum.add(value);
  }
  return sum.count > 0;
}

/** Starts of the source granules that must all be there; a calendar day that the zone skipped is not one of them. */
function sourceStarts(source: Granularity, zone: string, range: { start: number; end: number }): number[] {
  const starts = granuleStarts(source, zone, { from: range.start, to: range.end });
  if (source === "day") return starts.filter((start, i) => start !== starts[i + 1] && start < range.end);
  // Quarters of an hour must fill it exactly: an hour of 90 minutes has six of them.
  if (
    source !== "hour" &&
    starts.length * minutesOf[source as "15min"] * 60_000 !== range.end - range.start
  ) {
    return [];
  }
  return starts;
}
