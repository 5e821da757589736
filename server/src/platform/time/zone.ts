import { Temporal } from "temporal-polyfill";

/** First and last instant that time arithmetic covers: data outside is refused at the edge. */
export const earliest = Date.UTC(1970, 0, 1);
export const latest = Date.UTC(2100, 0, 1);

/**
 * Offsets of one zone: `offsets[i]` (ms east of UTC) holds from `since[i]` until `since[i + 1]`. Why a table: the
 * calendar libraries answer one instant in microseconds, and a year of hours asks 8,760 times.
 */
interface Offsets {
  since: number[];
  offsets: number[];
}

const tables = new Map<string, Offsets>();

/** Is `name` a time zone that this machine knows? Case matters, as in the database of zones. */
export function isZone(name: string): boolean {
  if (tables.has(name)) return true;
  if (name.length > 64 || !/^[A-Z][A-Za-z0-9_+-]*(\/[A-Z0-9][A-Za-z0-9_+-]*)*$/.test(name)) return false;
  const canonical = canonicalOf(name);
  // Intl accepts any case. An alias such as US/Eastern has a canonical name that is another one.
  return canonical === name || (canonical !== undefined && canonical.toLowerCase() !== name.toLowerCase());
}

/** The name that this machine prefers for a zone, `undefined` when it knows none. */
function canonicalOf(name: string): string | undefined {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone;
  } catch {
    return undefined;
  }
}

/** Milliseconds east of UTC of `zone` at an instant. */
export function offsetAt(zone: string, utc: number): number {
  const table = offsetsOf(zone);
  return table.offsets[indexAt(table, utc)]!;
}

/** The wall clock of `zone` at an instant, written as if it were UTC. */
export function localOf(zone: string, utc: number): number {
  return utc + offsetAt(zone, utc);
}

/**
 * The wall clock as the calendar counts it: a day that has begun does not end because the clock is set back over
 * midnight (St. John's until 2011, at 00:01).
 */
export function calendarLocalOf(zone: string, utc: number): number {
  const table = offsetsOf(zone);
  const i = indexAt(table, utc);
  const local = utc + table.offsets[i]!;
  return i === 0 ? local : Math.max(local, table.since[i]! + table.offsets[i - 1]! - 1);
}

/** How a wall-clock time maps to instants: once, never (spring) or twice (autumn). */
export interface Mapped {
  utc: number;
  kind: "unique" | "skipped" | "repeated";
}

/**
 * The instant of a wall-clock time (`local` = written as if it were UTC). A skipped time gives the instant of the
 * change; a repeated one gives the `which` of the two.
 */
export function localToUtc(zone: string, local: number, which: "earlier" | "later" = "earlier"): Mapped {
  const table = offsetsOf(zone);
  // Offsets lie within a day of UTC, so the change that matters is within a day of the local time.
  const last = indexAt(table, local + 86_400_000);
  let found: number | undefined;
  let skippedAt: number | undefined;
  let count = 0;
  for (let i = indexAt(table, local - 86_400_000); i <= last; i++) {
    const utc = local - table.offsets[i]!;
    const from = i === 0 ? Number.NEGATIVE_INFINITY : table.since[i]!;
    const until = table.since[i + 1] ?? Number.POSITIVE_INFINITY;
    if (utc >= from && utc < until) {
      count++;
      if (found === undefined || which === "later") found = utc;
    } else if (utc < from && i > 0 && local - table.offsets[i - 1]! >= from) {
      skippedAt = from;
    }
  }
  if (found === undefined) return { utc: skippedAt ?? local - table.offsets[last]!, kind: "skipped" };
  return { utc: found, kind: count > 1 ? "repeated" : "unique" };
}

/** The stretch of constant offset that an instant lies in. */
export function stretchAt(zone: string, utc: number): { from: number; to: number; offset: number } {
  const table = offsetsOf(zone);
  const i = indexAt(table, utc);
  const from = i === 0 ? Number.NEGATIVE_INFINITY : table.since[i]!;
  return { from, to: table.since[i + 1] ?? Number.POSITIVE_INFINITY, offset: table.offsets[i]! };
}

/** Stretches of constant offset that cover [from, to), in order. */
export function* stretches(
  zone: string,
  from: number,
  to: number,
): Generator<{ from: number; to: number; offset: number }> {
  const table = offsetsOf(zone);
  for (let i = indexAt(table, from), at = from; at < to; i++) {
    const until = Math.min(to, table.since[i + 1] ?? Number.POSITIVE_INFINITY);
    yield { from: at, to: until, offset: table.offsets[i]! };
    at = until;
  }
}

function indexAt(table: Offsets, utc: number): number {
  const { since } = table;
  let low = 0;
  let high = since.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (since[middle]! <= utc) low = middle;
    else high = middle - 1;
  }
  return low;
}

function offsetsOf(zone: string): Offsets {
  const known = tables.get(zone);
  if (known !== undefined) return known;
  if (!isZone(zone)) throw new RangeError(`unknown time zone: ${zone}`);
  const table = fixedOffset(zone) ?? tableOf(canonicalOf(zone)!);
  tables.set(zone, table);
  return table;
}

/** `UTC` and `Etc/GMT-1` (one hour EAST of UTC, POSIX sign) never change. */
function fixedOffset(zone: string): Offsets | undefined {
  if (zone === "UTC" || zone === "Etc/UTC") return { since: [0], offsets: [0] };
  const match = /^Etc\/GMT([+-]\d{1,2})?$/.exec(zone);
  if (match === null) return undefined;
  return { since: [0], offsets: [-Number(match[1] ?? 0) * 3_600_000 || 0] };
}

/** One table for all names of a zone: names are many, and come from callers. */
function tableOf(canonical: string): Offsets {
  let table = tables.get(canonical);
  if (table === undefined) tables.set(canonical, (table = transitionsOf(canonical)));
  return table;
}

function transitionsOf(zone: string): Offsets {
  let at: Temporal.ZonedDateTime | null =
    Temporal.Instant.fromEpochMilliseconds(earliest).toZonedDateTimeISO(zone);
  const table: Offsets = { since: [], offsets: [] };
  while (at !== null && at.epochMilliseconds < latest) {
    table.since.push(at.epochMilliseconds);
    table.offsets.push(Math.round(at.offsetNanoseconds / 1_000_000));
    at = at.getTimeZoneTransition("next");
  }
  return table;
}
