import { earliest, latest } from "../platform/time/zone.ts";

const day = 86_400_000;
const daysBefore = [0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
const daysIn = [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Days of a month of the Gregorian calendar; 0 for a month outside 1 to 12. */
export function daysInMonth(year: number, month: number): number {
  if (month === 2 && isLeap(year)) return 29;
  return daysIn[month] ?? 0;
}

function isLeap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

/**
 * Epoch milliseconds of a calendar date read as UTC; NaN for dates that do not exist (2019-02-31) or lie outside
 * 1970 to 2099. By arithmetic: this runs once per row of files with millions of rows.
 */
export function dateMs(year: number, month: number, dayOfMonth: number): number {
  if (!(year >= 1970 && year < 2100 && month >= 1 && month <= 12 && dayOfMonth >= 1)) return Number.NaN;
  if (dayOfMonth > daysInMonth(year, month)) return Number.NaN;
  const before = year - 1970;
  // Leap days since 1970: 1972 is the first; 2000 is one.
  const leaps = ((before + 1) / 4) | 0;
  const thisYear = month > 2 && isLeap(year) ? 1 : 0;
  return (before * 365 + leaps + daysBefore[month]! + thisYear + dayOfMonth - 1) * day;
}

/** Milliseconds since midnight; 24:00:00 is the end of the day; NaN for times that do not exist. */
export function timeMs(hour: number, minute: number, second: number): number {
  if (!(hour >= 0 && minute >= 0 && minute < 60 && second >= 0 && second < 60)) return Number.NaN;
  if (hour > 24 || (hour === 24 && (minute !== 0 || second !== 0))) return Number.NaN;
  return ((hour * 60 + minute) * 60 + second) * 1000;
}

/**
 * An instant in ISO 8601 with seconds, or without, and an offset: `2024-12-31T22:00:00Z`, `…T22:00:00.000+01:00`.
 * Epoch milliseconds; NaN for everything else, also for times without an offset.
 */
export function instantOf(text: string): number {
  if (text.charCodeAt(4) !== 45 || text.charCodeAt(7) !== 45 || text.charCodeAt(13) !== 58) return Number.NaN;
  const mark = text.charCodeAt(10);
  if (mark !== 84 && mark !== 32) return Number.NaN;
  const date = dateMs(digits(text, 0, 4), digits(text, 5, 2), digits(text, 8, 2));
  let at = 16;
  let seconds = 0;
  if (text.charCodeAt(16) === 58) {
    seconds = digits(text, 17, 2);
    at = 19;
    if (text.charCodeAt(at) === 46) at = afterDigits(text, at + 1);
  }
  const utc = date + timeMs(digits(text, 11, 2), digits(text, 14, 2), seconds) - offsetOf(text, at);
  return utc >= earliest && utc < latest ? utc : Number.NaN;
}

/** The offset written at `at` up to the end of the text, ms east of UTC; NaN when there is none. */
function offsetOf(text: string, at: number): number {
  const sign = text.charCodeAt(at);
  if (sign === 90 && text.length === at + 1) return 0;
  if (sign !== 43 && sign !== 45) return Number.NaN;
  const colon = text.charCodeAt(at + 3) === 58 ? 1 : 0;
  if (text.length !== at + 5 + colon) return Number.NaN;
  const ms = timeMs(digits(text, at + 1, 2), digits(text, at + 3 + colon, 2), 0);
  return sign === 43 ? ms : -ms;
}

function afterDigits(text: string, from: number): number {
  let at = from;
  while (text.charCodeAt(at) >= 48 && text.charCodeAt(at) <= 57) at++;
  return at;
}

/** The number in `count` digits from `from`; NaN when one is no digit. */
export function digits(text: string, from: number, count: number): number {
  let value = 0;
  for (let i = from; i < from + count; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (!(digit >= 0 && digit <= 9)) return Number.NaN;
    value = value * 10 + digit;
  }
  return value;
}
