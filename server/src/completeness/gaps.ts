import type { Granularity } from "../platform/granularity.ts";
import { granuleEnd, granuleStart, granuleStarts } from "../platform/time/granule.ts";
import type { Period } from "../platform/time/period.ts";
import { type Grid, gridOf, type Range } from "../series/series.ts";
import { isExpected, type Reason, type Verdict } from "./reason.ts";
import type { Why } from "./why.ts";

/** The granules of a period that are over. */
export interface Granules {
  period: Period;
  /** Null when there are none. */
  grid: Grid | null;
  /** Their starts, and the end of the last one behind them. */
  starts: readonly number[];
}

/** The granules of a period that are over at `now`: what is not over cannot be missing. */
export function granulesOf(
  { granularity, zone, now }: { granularity: Granularity; zone: string; now: number },
  period: Period,
): Granules {
  const over = { from: period.from, to: Math.min(period.to, granuleStart(granularity, zone, now)) };
  const grid = over.from >= over.to ? null : gridOf(granularity, zone, over);
  if (grid === null) return { period, grid, starts: [] };
  const starts = granuleStarts(granularity, zone, over);
  starts.push(granuleEnd(granularity, zone, starts.at(-1)!));
  return { period, grid, starts };
}

/** A run of missing values that have one reason. Instants are epoch ms, half-open. */
export interface Gap extends Verdict {
  from: number;
  to: number;
  /** How many values. */
  count: number;
}

/**
 * The gaps of a series: every missing granule is in exactly one. A day that the zone skipped has no length and is not
 * missing.
 */
export function gapsOf(missing: readonly Range[], { starts }: Granules, why: Why): Gap[] {
  const gaps: Gap[] = [];
  for (const range of missing.flatMap((each) => withoutSkipped(each, starts))) {
    for (const { from, to } of alike(range, (place) => why.placeAt(starts[place]!))) {
      const verdict = why.verdictAt(starts[from]!);
      const gap = { ...verdict, from: starts[from]!, to: starts[to]!, count: to - from };
      const last = gaps.at(-1);
      if (last?.to === gap.from && isSame(last, gap))
        Object.assign(last, { to: gap.to, count: last.count + gap.count });
      else gaps.push(gap);
    }
  }
  return gaps;
}

const isSame = (one: Verdict, other: Verdict) =>
  one.reason === other.reason && one.nextTry === other.nextTry && one.connectionId === other.connectionId;

function withoutSkipped({ from, to }: Range, starts: readonly number[]): Range[] {
  const kept: Range[] = [];
  let begin = from;
  for (let place = from; place < to; place++) {
    if (starts[place]! < starts[place + 1]!) continue;
    if (begin < place) kept.push({ from: begin, to: place });
    begin = place + 1;
  }
  if (begin < to) kept.push({ from: begin, to });
  return kept;
}

/** Cuts a range where `placeAt` changes, with few looks: it never comes back to what it was. */
function alike({ from, to }: Range, placeAt: (place: number) => string): Range[] {
  const pieces: Range[] = [];
  const last = placeAt(to - 1);
  for (let begin = from; begin < to; ) {
    const here = placeAt(begin);
    let low = begin;
    let high = to;
    if (here === last) low = to - 1;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (placeAt(middle) === here) low = middle;
      else high = middle;
    }
    pieces.push({ from: begin, to: low + 1 });
    begin = low + 1;
  }
  return pieces;
}

/** How complete a series is in a period. */
export interface Completeness {
  /** Values that are there, and those that should be. */
  expected: number;
  received: number;
  /** How many are missing, by reason. */
  reasons: Partial<Record<Reason, number>>;
  gaps: Gap[];
}

/** Counts what is there and what should be. */
export function completenessOf(received: number, gaps: Gap[]): Completeness {
  const reasons: Completeness["reasons"] = {};
  let expected = received;
  for (const { reason, count } of gaps) {
    reasons[reason] = (reasons[reason] ?? 0) + count;
    if (isExpected(reason)) expected += count;
  }
  return { expected, received, reasons, gaps };
}
