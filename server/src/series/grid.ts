import { type Granularity, minutesOf } from "../platform/granularity.ts";
import { calendarIndex, granuleCount, granuleStarts } from "../platform/time/granule.ts";
import type { Period } from "../platform/time/period.ts";
import { localOf } from "../platform/time/zone.ts";
import { slotsOf } from "./slot.ts";

/**
 * The granules of a period as places in the store. Granules have running numbers (hours since 1970, days, months),
 * blocks hold a run of numbers each, so a period is one run [first, first + length) over some blocks.
 */
export interface Grid {
  granularity: Granularity;
  /** Running number of the first granule. */
  first: number;
  /** How many running numbers the period spans. */
  length: number;
  /** Numbers (relative to `first`) that no granule has: where a zone shifts by half an hour. Usually none. */
  holes: readonly number[];
  /** Blocks that hold the numbers. */
  firstPeriod: number;
  lastPeriod: number;
}

const day = 86_400_000;
const hour = 3_600_000;

/** The grid of a period; `null` when no granule begins in it. */
export function gridOf(granularity: Granularity, zone: string, period: Period): Grid | null {
  if (granularity === "day" || granularity === "month") return calendarGrid(granularity, zone, period);
  const step = minutesOf[granularity] * 60_000;
  const edges = [
    granuleStarts(granularity, zone, {
      from: period.from,
      to: Math.min(period.to, period.from + 4 * step),
    })[0],
    granuleStarts(granularity, zone, { from: Math.max(period.from, period.to - 4 * step), to: period.to }).at(
      -1,
    ),
  ];
  if (edges[0] === undefined || edges[1] === undefined) return null;
  const first = Math.floor(edges[0] / step);
  const length = Math.floor(edges[1] / step) - first + 1;
  const grid = withPeriods({ granularity, first, length, holes: [] });
  return shiftsByPartOfStep(zone, period, step) ? { ...grid, holes: holesOf(grid, zone, period) } : grid;
}

/** How many values a grid gives: what limits are counted in. */
export function pointsOf(grid: Grid | null): number {
  return grid === null ? 0 : grid.length - grid.holes.length;
}

/** Most values that a period can give, without walking through it. */
export function pointsAtMost(granularity: Granularity, zone: string, period: Period): number {
  if (period.to <= period.from) return 0;
  if (granularity === "day" || granularity === "month") {
    return Math.ceil((period.to - period.from) / (granularity === "day" ? day : 28 * day)) + 1;
  }
  return granuleCount(granularity, zone, period);
}

/** The grid that lies `by` granules before another. */
export function earlierGrid(grid: Grid, by: number): Grid {
  return withPeriods({ ...grid, first: grid.first - by });
}

/** Running number of the granule that an instant lies in, as if the zone had no shifts by part of an hour. */
export function numberAt(granularity: Granularity, zone: string, utc: number): number {
  if (granularity === "day") return calendarIndex("day", zone, utc);
  if (granularity === "month") return calendarIndex("month", zone, utc) + 1970 * 12;
  return Math.floor(utc / (minutesOf[granularity] * 60_000));
}

/** The running numbers of a block, cut to a grid: slots [from, to) of the block belong at `at` of the answer. */
export function overlap(grid: Grid, period: number): { from: number; to: number; at: number } | null {
  const start = firstNumber(grid.granularity, period);
  const from = Math.max(grid.first, start);
  const to = Math.min(grid.first + grid.length, start + slotsOf(grid.granularity));
  return from >= to ? null : { from: from - start, to: to - start, at: from - grid.first };
}

/** Takes the holes out of an answer that has a place for each running number. */
export function withoutHoles<Values extends Float64Array | Uint8Array | Int32Array>(
  grid: Grid,
  values: Values,
): Values {
  if (grid.holes.length === 0) return values;
  const holes = new Set(grid.holes);
  return values.filter((_, index) => !holes.has(index)) as Values;
}

function calendarGrid(granularity: "day" | "month", zone: string, period: Period): Grid | null {
  if (period.to <= period.from) return null;
  let first = calendarIndex(granularity, zone, period.from);
  // A period that begins within a granule does not have it.
  if (!beginsGranule(granularity, zone, period.from)) first++;
  const last = calendarIndex(granularity, zone, period.to - 1);
  if (last < first) return null;
  const shift = granularity === "month" ? 1970 * 12 : 0;
  return withPeriods({ granularity, first: first + shift, length: last - first + 1, holes: [] });
}

function beginsGranule(granularity: "day" | "month", zone: string, utc: number): boolean {
  return calendarIndex(granularity, zone, utc) !== calendarIndex(granularity, zone, utc - 1);
}

function withPeriods(grid: Omit<Grid, "firstPeriod" | "lastPeriod">): Grid {
  const { granularity, first, length } = grid;
  return {
    ...grid,
    firstPeriod: periodOfNumber(granularity, first),
    lastPeriod: periodOfNumber(granularity, first + length - 1),
  };
}

/** Running number of slot 0 of a block. */
function firstNumber(granularity: Granularity, period: number): number {
  switch (granularity) {
    case "hour":
      return Date.UTC(Math.floor(period / 12), period % 12, 1) / hour;
    case "day":
      return Date.UTC(period, 0, 1) / day;
    default:
      return period * slotsOf(granularity);
  }
}

function periodOfNumber(granularity: Granularity, number: number): number {
  switch (granularity) {
    case "hour": {
      const date = new Date(number * hour);
      return date.getUTCFullYear() * 12 + date.getUTCMonth();
    }
    case "day":
      return new Date(number * day).getUTCFullYear();
    default:
      return Math.floor(number / slotsOf(granularity));
  }
}

function shiftsByPartOfStep(zone: string, period: Period, step: number): boolean {
  // Only zones such as Lord Howe shift by half an hour; comparing summer with winter finds them.
  if (step <= 30 * 60_000) return false;
  const year = new Date(period.from).getUTCFullYear();
  const summer = localOf(zone, Date.UTC(year, 6, 1)) - localOf(zone, Date.UTC(year, 0, 1));
  return (summer - (Date.UTC(year, 6, 1) - Date.UTC(year, 0, 1))) % step !== 0;
}

function holesOf(grid: Grid, zone: string, period: Period): number[] {
  const step = minutesOf[grid.granularity as "hour"] * 60_000;
  const present = new Set(
    granuleStarts(grid.granularity, zone, period).map((start) => Math.floor(start / step) - grid.first),
  );
  return Array.from({ length: grid.length }, (_, index) => index).filter((index) => !present.has(index));
}
