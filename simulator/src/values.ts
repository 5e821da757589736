import { monthOf } from "./calendar.ts";
import type { PublishedMonth, PublishedValue } from "./publication.ts";
import { reachOf } from "./publication.ts";
import type { Utility } from "./utility.ts";
import type { Meter, Resolution } from "./world.ts";

/** Days of a question, both included. */
export interface Span {
  first: number;
  last: number;
}

const daysMax: Readonly<Record<Resolution, number>> = { hour: 400, "15min": 100 };

/** Is it a question that the pages and the API answer? */
export function isAllowed({ first, last }: Span, resolution: Resolution): boolean {
  return last >= first && last - first < daysMax[resolution];
}

/** Published values of a span. */
export function valuesOf(
  utility: Utility,
  meter: Meter,
  { resolution, at, ...span }: Span & { resolution: Resolution; at?: number },
): PublishedValue[] {
  const now = at ?? utility.clock.now();
  const { first, last } = within(meter, span, now);
  const publication = utility.published(now);
  const values: PublishedValue[] = [];
  for (let day = first; day <= last; day++) values.push(...publication.day(meter, day, resolution));
  return values;
}

/** Published values as files show them: some rows stand twice. */
export function rowsOf(
  utility: Utility,
  meter: Meter,
  { resolution, ...span }: Span & { resolution: Resolution },
): PublishedValue[] {
  const now = utility.clock.now();
  const { first, last } = within(meter, span, now);
  const publication = utility.published(now);
  const allTwice = utility.faults.meet("duplicates", meter.username) !== undefined;
  const rows: PublishedValue[] = [];
  for (let day = first; day <= last; day++) {
    const values = publication.day(meter, day, resolution);
    rows.push(...values);
    if (allTwice || publication.isTwice(meter, day)) rows.push(...values);
  }
  return rows;
}

/** Published months that lie in a span. */
export function monthsOf(
  utility: Utility,
  meter: Meter,
  { at, ...span }: Span & { at?: number },
): PublishedMonth[] {
  const now = at ?? utility.clock.now();
  const { first, last } = within(meter, span, now);
  const publication = utility.published(now);
  const months: PublishedMonth[] = [];
  for (let month = monthOf(first); month <= monthOf(last); month++) {
    const found = publication.month(meter, month);
    if (found !== undefined) months.push(found);
  }
  return months;
}

/** Days of the span that can have values at all. */
function within(meter: Meter, span: Span, now: number): Span {
  const reach = reachOf(meter, now);
  return { first: Math.max(span.first, reach.first), last: Math.min(span.last, reach.last) };
}
