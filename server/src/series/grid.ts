import { type Granularity, minutesOf } from "../platform/granularity.ts";
import { calendarIndex, granuleStarts } from "../platform/time/granule.ts";
import type { Period } from "../platform/time/period.ts";
import { offsetAt, stretches } from "../platform/time/zone.ts";
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
  const grid = spanOf(granularity, zone, period);
  if (grid === null || granularity === "day" || granularity === "month") return grid;
  const step = minutesOf[granularity] * 60_000;
  return shiftsByPartOfStep(zone, period, step) ? { ...grid, holes: holesOf(grid, zone, period) } : grid;
}

/** The grid of a period without its holes. */
function spanOf(granularity: Granularity, zone: string, period: Period): Grid | null {
  if (granularity === "day" || granularity === "month") return calendarGrid(granularity, zone, period);
  const step = minutesOf[granularity] * 60_000;
  const { from, to } = period;
  const first = granuleStarts(granularity, zone, { from, to: Math.min(to, from + 4 * step) })[0];
  const last = granuleStarts(granularity, zone, { from: Math.max(from, to - 4 * step), to }).at(-1);
  if (first === undefined || last === undefined) return null;
  const number = Math.floor(first / step);
  return withPeriods({ granularity, first: number, length: Math.floor(last / step) - number + 1, holes: [] });
}

/** How many values a grid gives: what limits are counted in. */
export function pointsOf(grid: Grid | null): number {
  return grid === null ? 0 : grid.length - grid.holes.length;
}

/** How many values a period gives, without walking through it; a hole counts as one. */
export function pointsAtMost(granularity: Granularity, zone: string, period: Period): number {
  return spanOf(granularity, zone, period)?.length ?? 0;
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

/**
 * The running numbers of a block, cut to a grid: slots [from, to) of the block belong at `at` of the answer. Short
 * months and years do not reach into the next one: blocks come in any order, and each fills what is its own.
 */
export function overlap(grid: Grid, period: number): { from: number; to: number; at: number } | null {
  const start = firstNumber(grid.granularity, period);
  const from = Math.max(grid.first, start);
  const to = Math.min(grid.first + grid.length, firstNumber(grid.granularity, period + 1));
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

/** Does the zone shift by half an hour within the period, as Lord Howe does twice a year and others did once? */
function shiftsByPartOfStep(zone: string, { from, to }: Period, step: number): boolean {
  const before = offsetAt(zone, from);
  for (const { offset } of stretches(zone, from, to)) if ((offset - before) % step !== 0) return true;
  return false;
}

function holesOf(grid: Grid, zone: string, period: Period): number[] {
  const step = minutesOf[grid.granularity as "hour"] * 60_000;
  const present = new Set(
    granuleStarts(grid.granularity, zone, period).map((start) => Math.floor(start / step) - grid.first),
  );
  return Array.from({ length: grid.length }, (_, index) => index).filter((index) => !present.has(index));
}
