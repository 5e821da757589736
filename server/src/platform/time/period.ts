import { invalid } from "../problem.ts";
import { earliest, latest, localToUtc } from "./zone.ts";

/** A half-open range of instants, epoch ms. */
export interface Period {
  from: number;
  to: number;
}

/** One side of a period as written: its wall-clock start and the wall-clock start of what follows. */
interface Side {
  from: number;
  to: number;
  /** Whole days: they end where the next day begins. */
  days: boolean;
}

/**
 * A period as the API writes it, not yet tied to a zone: `2014`, `201408-2015`, `20140801-2014080512`, `2012-`
 * (until now). Each side is YYYY, YYYYMM, YYYYMMDD, YYYYMMDDHH or YYYYMMDDHHmm in any mix; the end is inclusive
 * at its own precision.
 */
export interface PeriodText {
  text: string;
  start: Side;
  /** `null`: open, until now. */
  end: Side | null;
}

const periodsMax = 1_000;

/**
 * Reads one or several periods joined by `+`, in order. Throws a 400 that names the period and what is wrong with
 * it: not the grammar, not a date (20260230), end before start, outside 1970-2099.
 */
export function parsePeriods(text: string, field = "period"): PeriodText[] {
  const texts = text.split("+");
  if (texts.length > periodsMax)
    throw invalid(field, `at most ${periodsMax} periods in one request, not ${texts.length}`);
  return texts.map((each) => parsePeriod(each, field));
}

function parsePeriod(text: string, field: string): PeriodText {
  const dash = text.indexOf("-");
  const start = parseSide(dash < 0 ? text : text.slice(0, dash), text, field);
  if (dash < 0) return { text, start, end: start };
  const rest = text.slice(dash + 1);
  if (rest === "") return { text, start, end: null };
  const end = parseSide(rest, text, field);
  if (end.to <= start.from) throw invalid(field, `"${shown(text)}" ends before it starts`);
  return { text, start, end };
}

function parseSide(digits: string, text: string, field: string): Side {
  if (!/^\d{4}(\d{2}){0,4}$/.test(digits)) {
    throw invalid(
      field,
      `"${shown(text)}" is not a period: write START or START-END, each YYYY, YYYYMM, YYYYMMDD, YYYYMMDDHH or YYYYMMDDHHmm, and join several with +`,
    );
  }
  const year = Number(digits.slice(0, 4));
  const month = digits.length > 4 ? Number(digits.slice(4, 6)) : 1;
  const day = digits.length > 6 ? Number(digits.slice(6, 8)) : 1;
  const hour = digits.length > 8 ? Number(digits.slice(8, 10)) : 0;
  const minute = digits.length > 10 ? Number(digits.slice(10, 12)) : 0;
  const from = Date.UTC(year, month - 1, day, hour, minute);
  const date = new Date(from);
  const exists =
    date.getUTCMonth() === month - 1 && date.getUTCDate() === day && hour < 24 && minute < 60 && year >= 1970;
  if (!exists || year > 2099) {
    throw invalid(field, `"${shown(digits)}" in "${shown(text)}" is not a date between 1970 and 2099`);
  }
  const to = followingStart(digits.length, { year, month, day, hour, minute });
  return { from, to, days: digits.length <= 8 };
}

function followingStart(
  length: number,
  at: { year: number; month: number; day: number; hour: number; minute: number },
): number {
  switch (length) {
    case 4:
      return Date.UTC(at.year + 1, 0, 1);
    case 6:
      return Date.UTC(at.year, at.month, 1);
    case 8:
      return Date.UTC(at.year, at.month - 1, at.day + 1);
    case 10:
      return Date.UTC(at.year, at.month - 1, at.day, at.hour + 1);
    default:
      return Date.UTC(at.year, at.month - 1, at.day, at.hour, at.minute + 1);
  }
}

/**
 * The instants of a period in a zone. An hour that the autumn change repeats is whole: from its first start to its
 * last end. An open end is `now`: the granule that is running is asked for too.
 */
export function periodIn(zone: string, period: PeriodText, now: number): Period {
  const from = localToUtc(zone, period.start.from, "earlier").utc;
  const to = period.end === null ? now : endOf(zone, period.end);
  return { from: Math.max(from, earliest), to: Math.min(Math.max(to, from), latest) };
}

/** Of hours the last minute is mapped, not what follows it: 01:59 happens once where 02:00 happens twice. */
function endOf(zone: string, side: Side): number {
  if (side.days) return localToUtc(zone, side.to, "earlier").utc;
  const minute = 60_000;
  const last = localToUtc(zone, side.to - minute, "later");
  return last.kind === "skipped" ? last.utc : last.utc + minute;
}

function shown(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
