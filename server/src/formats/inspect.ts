import { DecimalSum } from "../platform/decimal.ts";
import { calendarIndex, calendarStart } from "../platform/time/granule.ts";
import { isZone } from "../platform/time/zone.ts";
import type { FileSource } from "./container.ts";
import type { Direction, IntervalItem, Item, ReadingItem, SeriesItem, Severity } from "./item.ts";
import { type OpenedFile, type OpenOptions, openFiles } from "./open.ts";
import { Problems } from "./problems.ts";
import { Starts } from "./starts.ts";

/** Different quality codes and interval lengths that are listed; a file with more is no meter data. */
const kindsMax = 1_000;

/** What a series of a file holds. Names as printed to users and programs. */
export interface InspectedSeries {
  meter: string;
  channel: string;
  metric: string;
  direction: Direction;
  /** Base unit: kWh, m3, … */
  unit: string;
  /** The most frequent length; null for the readings of a register. */
  interval_seconds: number | null;
  /** Printed values that are not missing. */
  count: number;
  /** Values that the source says there are none of. */
  missing: number;
  /** ISO 8601 in UTC; null without values. */
  first_start_utc: string | null;
  last_end_utc: string | null;
  /** Zone of the months. */
  tz: string;
  /** Exact decimal sum of all printed values, repeated ones included; null for a register, whose states have no sum. */
  total: string | null;
  /** Values whose start had already occurred in the series. */
  duplicate_starts: number;
  /** Number of values by quality code as printed. */
  quality: Record<string, number>;
  /** Total by local month of the interval start, `YYYY-MM`; empty for a register. */
  by_month: Record<string, string>;
}

/** A problem as `inspect` prints it. */
export interface InspectedProblem {
  severity: Severity;
  line: number | null;
  field: string | null;
  message: string;
}

/** What one file holds. */
export interface Inspection {
  file: string;
  /** Null when the format was not recognised. */
  format: string | null;
  series: InspectedSeries[];
  problems: InspectedProblem[];
}

/** How files are inspected. */
export interface InspectOptions extends OpenOptions {
  /** Zone of the months of series whose source says none; `Etc/GMT-1` (central Europe's winter time) unless stated. */
  defaultTimezone?: string;
}

/**
 * Says what a file holds, without storing anything: one inspection, or several when it is an archive of several
 * files. Memory grows with the number of series and months, not with the number of values.
 * @throws RangeError for an unknown zone in the options
 */
export async function inspectFile(
  source: FileSource,
  options: InspectOptions = {},
): Promise<Inspection | Inspection[]> {
  const { defaultTimezone = "Etc/GMT-1", ...rest } = options;
  for (const zone of [defaultTimezone, rest.timezone]) {
    if (zone !== undefined && !isZone(zone)) throw new RangeError(`"${zone}" is no time zone`);
  }
  const inspections: Inspection[] = [];
  for await (const file of openFiles(source, { ...rest, defaultTimezone }))
    inspections.push(await inspect(file, defaultTimezone));
  // An archive of one file is only its wrapping.
  return inspections.length === 1 ? { ...inspections[0]!, file: source.name } : inspections;
}

async function inspect(file: OpenedFile, defaultTimezone: string): Promise<Inspection> {
  const tallies: Tally[] = [];
  const problems: InspectedProblem[] = [];
  for await (const items of file.items) {
    for (const item of items) take(item, { tallies, problems, defaultTimezone });
  }
  if (tallies.some(({ series }) => series.timezone === null)) {
    const own = new Problems();
    own.info(
      `The source says no time zone; months are those of ${defaultTimezone}. State the zone to change that.`,
    );
    for (const { severity, line, field, message } of own.end())
      problems.push({ severity, line, field, message });
  }
  return { file: file.name, format: file.format, series: tallies.map((tally) => tally.result()), problems };
}

function take(
  item: Item,
  into: { tallies: Tally[]; problems: InspectedProblem[]; defaultTimezone: string },
): void {
  if (item.kind === "interval") into.tallies[item.series]!.addInterval(item);
  else if (item.kind === "reading") into.tallies[item.series]!.addReading(item);
  else if (item.kind === "series") into.tallies[item.series] = new Tally(item, into.defaultTimezone);
  else {
    const { severity, line, field, message } = item;
    into.problems.push({ severity, line, field, message });
  }
}

/** What is counted of one series. */
class Tally {
  readonly series: SeriesItem;
  #zone: string;
  #count = 0;
  #missing = 0;
  #first = Number.POSITIVE_INFINITY;
  #last = Number.NEGATIVE_INFINITY;
  #starts = new Starts();
  #lengths = new Counts<number>();
  #qualities = new Counts<string>();
  #months = new Map<number, DecimalSum>();
  /** The month of the last value: the next one usually lies in it too. */
  #month = { from: 0, to: 0, sum: new DecimalSum() };

  constructor(series: SeriesItem, defaultTimezone: string) {
    this.series = series;
    this.#zone = series.timezone ?? defaultTimezone;
  }

  addInterval(item: IntervalItem): void {
    this.#add(item, item.start, item.start + item.seconds * 1_000);
    this.#lengths.add(item.seconds);
    if (item.start < this.#month.from || item.start >= this.#month.to) this.#enterMonth(item.start);
    if (item.value !== null) this.#month.sum.add(item.value);
  }

  addReading(item: ReadingItem): void {
    this.#add(item, item.time, item.time);
  }

  result(): InspectedSeries {
    const { meter, channel, metric, direction, unit, register = false } = this.series;
    const total = new DecimalSum();
    for (const sum of this.#months.values()) total.addSum(sum);
    const months = [...this.#months].filter(([, sum]) => sum.count > 0).sort(([a], [b]) => a - b);
    return {
      meter,
      channel,
      metric,
      direction,
      unit,
      interval_seconds: this.#lengths.mostFrequent(),
      count: this.#count,
      missing: this.#missing,
      first_start_utc: instant(this.#first),
      last_end_utc: instant(this.#last),
      tz: this.#zone,
      total: register ? null : total.toString(),
      duplicate_starts: this.#starts.duplicates,
      quality: Object.fromEntries(this.#qualities.entries()),
      by_month: Object.fromEntries(months.map(([month, sum]) => [monthName(month), sum.toString()])),
    };
  }

  #add(item: IntervalItem | ReadingItem, start: number, end: number): void {
    if (item.value === null) this.#missing += 1;
    else this.#count += 1;
    if (start < this.#first) this.#first = start;
    if (end > this.#last) this.#last = end;
    this.#starts.add(start);
    this.#qualities.add(item.code);
  }

  #enterMonth(start: number): void {
    const month = calendarIndex("month", this.#zone, start);
    let sum = this.#months.get(month);
    if (sum === undefined) {
      sum = new DecimalSum();
      this.#months.set(month, sum);
    }
    const from = calendarStart(this.#zone, month, "month");
    this.#month = { from, to: calendarStart(this.#zone, month + 1, "month"), sum };
  }
}

/** Counts kinds. The last counter is kept at hand: most values are of the same kind as the one before. */
class Counts<Kind> {
  #counters = new Map<Kind, { count: number }>();
  #last: Kind | undefined;
  #counter = { count: 0 };

  add(kind: Kind): void {
    if (kind !== this.#last) {
      let counter = this.#counters.get(kind);
      if (counter === undefined) {
        if (this.#counters.size >= kindsMax) return;
        counter = { count: 0 };
        this.#counters.set(kind, counter);
      }
      this.#last = kind;
      this.#counter = counter;
    }
    this.#counter.count += 1;
  }

  entries(): [Kind, number][] {
    return [...this.#counters].map(([kind, { count }]) => [kind, count]);
  }

  mostFrequent(): Kind | null {
    let best: Kind | null = null;
    let most = 0;
    for (const [kind, count] of this.entries()) {
      if (count > most) {
        best = kind;
        most = count;
      }
    }
    return best;
  }
}

/** Months since January 1970 as `YYYY-MM`. */
function monthName(index: number): string {
  return new Date(Date.UTC(1970, index, 1)).toISOString().slice(0, 7);
}

/** ISO 8601 in UTC, to the second where it has no fraction. */
function instant(ms: number): string | null {
  return Number.isFinite(ms) ? new Date(ms).toISOString().replace(".000Z", "Z") : null;
}
