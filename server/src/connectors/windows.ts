import type { Wanted } from "../collection/connector.ts";
import { localOf } from "../platform/time/zone.ts";

const day = 86_400_000;

/** Whole days that a provider is asked for at once: days since 1970-01-01 of its calendar, both included. */
export interface DaySpan {
  first: number;
  last: number;
}

/**
 * Days that hold what is wanted, ascending: each exactly once, near ones joined, and no span longer than the provider
 * answers.
 */
export function daySpans(
  wanted: readonly Pick<Wanted, "from" | "to">[],
  { zone, daysMax }: { zone: string; daysMax: number },
): DaySpan[] {
  const spans: DaySpan[] = [];
  for (const { from, to } of wanted.toSorted((a, b) => a.from - b.from)) {
    const last = dayOf(zone, to - 1);
    const open = spans.at(-1);
    let first = dayOf(zone, from);
    if (open !== undefined && first <= open.last + 1) {
      open.last = Math.max(open.last, Math.min(last, open.first + daysMax - 1));
      first = open.last + 1;
    }
    for (; first <= last; first += daysMax) spans.push({ first, last: Math.min(last, first + daysMax - 1) });
  }
  return spans;
}

/** The day of the calendar of `zone` that an instant lies in, since 1970-01-01. */
export function dayOf(zone: string, at: number): number {
  return Math.floor(localOf(zone, at) / day);
}

/** `2026-03-29` */
export function dayText(index: number): string {
  return new Date(index * day).toISOString().slice(0, 10);
}
