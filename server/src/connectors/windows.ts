import type { Wanted } from "../collection/connector.ts";
import { calendarIndex } from "../platform/time/granule.ts";
import { localOf } from "../platform/time/zone.ts";

const day = 86_400_000;

/** Whole days that a provider is asked for at once: days since 1970-01-01 of its calendar, both included. */
export interface DaySpan {
  first: number;
  last: number;
}

/** Whole months that a provider is asked for at once: months since 1970-01 of its calendar, both included. */
export interface MonthSpan {
  first: number;
  last: number;
}

type Period = Pick<Wanted, "from" | "to">;

/**
 * Days that hold what is wanted, ascending: each exactly once, near ones joined, and no span longer than the provider
 * answers.
 */
export function daySpans(
  wanted: readonly Period[],
  { zone, daysMax }: { zone: string; daysMax: number },
): DaySpan[] {
  return spansOf(wanted, { indexOf: (at) => dayOf(zone, at), max: daysMax });
}

/** Months that hold what is wanted, as `daySpans`: for values of months, which a cut within one would make smaller. */
export function monthSpans(
  wanted: readonly Period[],
  { zone, monthsMax }: { zone: string; monthsMax: number },
): MonthSpan[] {
  return spansOf(wanted, { indexOf: (at) => calendarIndex("month", zone, at), max: monthsMax });
}

function spansOf(
  wanted: readonly Period[],
  { indexOf, max }: { indexOf: (at: number) => number; max: number },
): DaySpan[] {
  const spans: DaySpan[] = [];
  for (const { from, to } of wanted.toSorted((a, b) => a.from - b.from)) {
    const last = indexOf(to - 1);
    const open = spans.at(-1);
    let first = indexOf(from);
    if (open !== undefined && first <= open.last + 1) {
      open.last = Math.max(open.last, Math.min(last, open.first + max - 1));
      first = open.last + 1;
    }
    for (; first <= last; first += max) spans.push({ first, last: Math.min(last, first + max - 1) });
  }
  return spans;
}

/** Spans of time that hold what is wanted, ascending: all of it exactly once, near ones joined, none longer than that. */
export function timeSpans(
  wanted: readonly Pick<Wanted, "from" | "to">[],
  longestMs: number,
): { from: number; to: number }[] {
  const joined: { from: number; to: number }[] = [];
  for (const { from, to } of wanted.toSorted((a, b) => a.from - b.from)) {
    const open = joined.at(-1);
    if (open !== undefined && from <= open.to) open.to = Math.max(open.to, to);
    else joined.push({ from, to });
  }
  return joined.flatMap(({ from, to }) =>
    Array.from({ length: Math.ceil((to - from) / longestMs) }, (_, i) => ({
      from: from + i * longestMs,
      to: Math.min(to, from + (i + 1) * longestMs),
    })),
  );
}

/** The day of the calendar of `zone` that an instant lies in, since 1970-01-01. */
export function dayOf(zone: string, at: number): number {
  return Math.floor(localOf(zone, at) / day);
}

/** `2026-03-29` */
export function dayText(index: number): string {
  return new Date(index * day).toISOString().slice(0, 10);
}

/** The first day of a month, both since 1970. */
export function firstDayOf(month: number): number {
  return Date.UTC(1970, month, 1) / day;
}
