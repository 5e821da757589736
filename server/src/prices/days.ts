import { invalid } from "../platform/problem.ts";
import { calendarIndex, calendarStart } from "../platform/time/granule.ts";

/** Days of a calendar, without a zone: days since 1970-01-01, the first and the one after the last; null: open. */
export interface Days {
  from: number;
  to: number | null;
}

const dayMs = 86_400_000;

/** Reads `20250101-20251231` or `20250101-`. @throws Problem that names the field */
export function readDays(field: string, text: string): Days {
  const match = /^(\d{8})-(\d{8})?$/.exec(text);
  if (match === null) {
    throw invalid(
      field,
      `"${text.slice(0, 40)}" is not YYYYMMDD-YYYYMMDD, or YYYYMMDD- for a period without end`,
    );
  }
  const from = dayOf(field, match[1]!);
  if (match[2] === undefined) return { from, to: null };
  const last = dayOf(field, match[2]);
  if (last < from) throw invalid(field, `"${text}" ends before it starts`);
  return { from, to: last + 1 };
}

/** Reads `20250101` as a day since 1970. @throws Problem that names the field */
export function dayOf(field: string, text: string): number {
  const [year, month, day] = [Number(text.slice(0, 4)), Number(text.slice(4, 6)), Number(text.slice(6, 8))];
  const at = Date.UTC(year, month - 1, day);
  const date = new Date(at);
  const exists = date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  if (!/^\d{8}$/.test(text) || !exists || year < 1970 || year > 2099)
    throw invalid(field, `"${text.slice(0, 40)}" is not a day between 19700101 and 20991231`);
  return at / dayMs;
}

/** `20250101` of a day. */
export function dayText(day: number): string {
  return new Date(day * dayMs).toISOString().slice(0, 10).replaceAll("-", "");
}

/** `20250101-20251231`: the inverse of `readDays`. */
export function daysText({ from, to }: Days): string {
  return `${dayText(from)}-${to === null ? "" : dayText(to - 1)}`;
}

/** The days that both hold; null when there is none. */
export function common(a: Days, b: Days): Days | null {
  const from = Math.max(a.from, b.from);
  const to = a.to === null ? b.to : b.to === null ? a.to : Math.min(a.to, b.to);
  return to !== null && to <= from ? null : { from, to };
}

/** The days of a month (months since 1970). */
export function daysOfMonth(month: number): { from: number; to: number } {
  return { from: Date.UTC(1970, month, 1) / dayMs, to: Date.UTC(1970, month + 1, 1) / dayMs };
}

/** The days of the year that a day lies in. */
export function daysOfYear(day: number): { from: number; to: number } {
  const year = new Date(day * dayMs).getUTCFullYear();
  return { from: Date.UTC(year, 0, 1) / dayMs, to: Date.UTC(year + 1, 0, 1) / dayMs };
}

/** The month (since 1970) that a day lies in. */
export function monthOfDay(day: number): number {
  const date = new Date(day * dayMs);
  return (date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth();
}

/** `202501` of a month since 1970. */
export function monthText(month: number): string {
  return new Date(Date.UTC(1970, month, 1)).toISOString().slice(0, 7).replace("-", "");
}

/** First instant of a month in a zone. */
export function monthStart(zone: string, month: number): number {
  return calendarStart(zone, month, "month");
}

/** The month that an instant lies in. */
export function monthAt(zone: string, at: number): number {
  return calendarIndex("month", zone, at);
}

/** First instant of a day in a zone. */
export function dayStart(zone: string, day: number): number {
  return calendarStart(zone, day, "day");
}
