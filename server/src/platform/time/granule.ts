import { type Granularity, minutesOf } from "../granularity.ts";
import { calendarLocalOf, localOf, localToUtc, offsetAt, stretches } from "./zone.ts";

const minute = 60_000;
const day = 86_400_000;

/**
 * Starts of all granules that begin in [from, to), ascending. Granules follow the wall clock of the zone: an hour
 * begins when the local minute is 0 for the first time. Where a zone shifts by half an hour one "hour" is 30 or 90
 * minutes long; a calendar day that the zone skipped (Apia, 2011-12-30) begins together with the next one.
 */
export function granuleStarts(
  granularity: Granularity,
  zone: string,
  range: { from: number; to: number },
): number[] {
  if (granularity === "day" || granularity === "month") return calendarStarts(granularity, zone, range);
  const step = minutesOf[granularity] * minute;
  const starts: number[] = [];
  for (const stretch of stretches(zone, range.from, range.to)) {
    const past = (stretch.from + stretch.offset) % step;
    const first = past === 0 ? stretch.from : stretch.from + step - past;
    for (let at = first; at < stretch.to; at += step) starts.push(at);
  }
  return starts;
}

/** Start of the granule that an instant lies in. */
export function granuleStart(granularity: Granularity, zone: string, utc: number): number {
  if (granularity === "day" || granularity === "month") {
    return calendarStart(zone, calendarIndex(granularity, zone, utc), granularity);
  }
  const step = minutesOf[granularity] * minute;
  const offset = offsetAt(zone, utc);
  const candidate = utc - modulo(utc + offset, step);
  if (offsetAt(zone, candidate) === offset) return candidate;
  // A shift lies between: look at the real starts around it.
  const starts = granuleStarts(granularity, zone, { from: utc - 2 * step, to: utc + 1 });
  return starts.at(-1) ?? candidate;
}

/** End of the granule that begins at `start`: the start of the next. */
export function granuleEnd(granularity: Granularity, zone: string, start: number): number {
  if (granularity === "day" || granularity === "month") {
    return calendarStart(zone, calendarIndex(granularity, zone, start) + 1, granularity);
  }
  const step = minutesOf[granularity] * minute;
  const end = start + step;
  if (offsetAt(zone, start) === offsetAt(zone, end)) return end;
  return granuleStarts(granularity, zone, { from: start + 1, to: start + 3 * step })[0]!;
}

/** Days since 1970-01-01, or months since 1970-01, of the local calendar. */
export function calendarIndex(granularity: "day" | "month", zone: string, utc: number): number {
  const local = calendarLocalOf(zone, utc);
  if (granularity === "day") return Math.floor(local / day);
  const date = new Date(local);
  return (date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth();
}

/** First instant of a local day or month, by its calendar index. */
export function calendarStart(zone: string, index: number, granularity: "day" | "month"): number {
  const local = granularity === "day" ? index * day : Date.UTC(1970, index, 1);
  return localToUtc(zone, local, "earlier").utc;
}

/** `201403`, `20140309`, `2014030917` or `201403091745`: a granule by the wall clock, as the API writes it. */
export function granuleLabel(granularity: Granularity, zone: string, start: number): string {
  // A skipped day has no wall clock of its own; it never carries a value, so its label is never asked for.
  const text = new Date(localOf(zone, start)).toISOString();
  const digits = text.slice(0, 16).replace(/[-T:]/g, "");
  switch (granularity) {
    case "month":
      return digits.slice(0, 6);
    case "day":
      return digits.slice(0, 8);
    case "hour":
      return digits.slice(0, 10);
    default:
      return digits;
  }
}

function calendarStarts(
  granularity: "day" | "month",
  zone: string,
  range: { from: number; to: number },
): number[] {
  const starts: number[] = [];
  for (let index = calendarIndex(granularity, zone, range.from); ; index++) {
    const start = calendarStart(zone, index, granularity);
    if (start >= range.to) return starts;
    if (start >= range.from) starts.push(start);
  }
}

function modulo(value: number, by: number): number {
  return ((value % by) + by) % by;
}
