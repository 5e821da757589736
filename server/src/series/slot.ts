import type { Granularity } from "../platform/granularity.ts";
import { minutesOf } from "../platform/granularity.ts";
import { calendarIndex, calendarStart } from "../platform/time/granule.ts";
import { offsetAt } from "../platform/time/zone.ts";

/**
 * Where a granule is stored: a block (`period`) and a place in it (`slot`). Granules up to an hour are kept by UTC,
 * so that a block never moves when a meter's zone is corrected; days and months are facts of the local calendar and
 * are kept by it. A block has at most 744 slots, which keeps its bytes below what PostgreSQL moves out of line.
 *
 * | granularity | block            | slots |
 * |-------------|------------------|-------|
 * | 5min, 10min | 2, 4 UTC days    | 576   |
 * | 15min, 30min| 7, 14 UTC days   | 672   |
 * | hour        | UTC month        | 744   |
 * | day         | local year       | 366   |
 * | month       | local decade     | 120   |
 */
export interface Place {
  period: number;
  slot: number;
}

const day = 86_400_000;
const hour = 3_600_000;

/** Code of a granularity in the database: frozen, never reuse a number. */
export const codeOf: Readonly<Record<Granularity, number>> = {
  "5min": 5,
  "10min": 10,
  "15min": 15,
  "30min": 30,
  hour: 60,
  day: 101,
  month: 102,
};

const granularityByCode = new Map(Object.entries(codeOf).map(([name, code]) => [code, name as Granularity]));

/** The granularity of a code; an unknown one is corruption and throws. */
export function granularityOf(code: number): Granularity {
  const found = granularityByCode.get(code);
  if (found === undefined) throw new Error(`unknown granularity code ${code}`);
  return found;
}

const daysPerBlock = { "5min": 2, "10min": 4, "15min": 7, "30min": 14 } as const;

/** How many slots a block of this granularity has at most. */
export function slotsOf(granularity: Granularity): number {
  switch (granularity) {
    case "hour":
      return 744;
    case "day":
      return 366;
    case "month":
      return 120;
    default:
      return (daysPerBlock[granularity] * 1440) / minutesOf[granularity];
  }
}

// The UTC month that was looked up last: values come in runs, and a calendar look-up costs more than storing one.
let month = { period: 0, from: 0, to: 0 };

function monthOf(start: number): typeof month {
  if (start >= month.from && start < month.to) return month;
  const date = new Date(start);
  const year = date.getUTCFullYear();
  const index = date.getUTCMonth();
  month = { period: year * 12 + index, from: Date.UTC(year, index, 1), to: Date.UTC(year, index + 1, 1) };
  return month;
}

/** Block and slot of the granule that begins at `start`. */
export function placeOf(granularity: Granularity, zone: string, start: number): Place {
  switch (granularity) {
    case "hour": {
      const { period, from } = monthOf(start);
      return { period, slot: Math.floor((start - from) / hour) };
    }
    case "day": {
      const local = start + offsetAt(zone, start);
      const year = new Date(local).getUTCFullYear();
      return { period: year, slot: Math.floor(local / day) - Date.UTC(year, 0, 1) / day };
    }
    case "month": {
      const index = calendarIndex("month", zone, start) + 1970 * 12;
      return { period: Math.floor(index / 120), slot: index % 120 };
    }
    default: {
      const length = daysPerBlock[granularity] * day;
      const period = Math.floor(start / length);
      return { period, slot: Math.floor((start - period * length) / (minutesOf[granularity] * 60_000)) };
    }
  }
}

/** Start of the granule at a place: the inverse of `placeOf` for every start that is a granule's. */
export function startAt(granularity: Granularity, zone: string, place: Place): number {
  switch (granularity) {
    case "day":
      return calendarStart(zone, Date.UTC(place.period, 0, 1) / day + place.slot, "day");
    case "month":
      return calendarStart(zone, place.period * 120 + place.slot - 1970 * 12, "month");
    default: {
      const step = minutesOf[granularity] * 60_000;
      const base = blockStart(granularity, place.period) + place.slot * step;
      // In a zone at half past, the granule begins within the UTC step, not with it.
      const past = (base + offsetAt(zone, base)) % step;
      if (past === 0) return base;
      const start = base + step - past;
      return (start + offsetAt(zone, start)) % step === 0 ? start : base;
    }
  }
}

/** Instants [from, to) of a block and the length of its slots; `null` for blocks of the local calendar. */
export function boundsOf(
  granularity: Granularity,
  period: number,
): { from: number; to: number; step: number } | null {
  if (granularity === "day" || granularity === "month") return null;
  return {
    from: blockStart(granularity, period),
    to: blockStart(granularity, period + 1),
    step: minutesOf[granularity] * 60_000,
  };
}

/** Index behind the starts from `from` on that lie within the bounds; the first one does. */
export function endWithin(starts: Float64Array, from: number, bounds: { from: number; to: number }): number {
  let to = from + 1;
  while (to < starts.length && starts[to]! >= bounds.from && starts[to]! < bounds.to) to++;
  return to;
}

/** First instant of a block kept by UTC. */
export function blockStart(granularity: Exclude<Granularity, "day" | "month">, period: number): number {
  if (granularity === "hour") return Date.UTC(Math.floor(period / 12), period % 12, 1);
  return period * daysPerBlock[granularity] * day;
}
