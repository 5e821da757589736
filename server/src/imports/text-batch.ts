import type { RootMeter } from "../meters/meters.ts";
import { parseDecimal } from "../platform/decimal.ts";
import { type Granularity, minutesOf } from "../platform/granularity.ts";
import { granuleLabel, granuleStart } from "../platform/time/granule.ts";
import { localToUtc } from "../platform/time/zone.ts";

/** One row of a text of values. */
export interface TextRow {
  /** From 1. */
  line: number;
  ean: string;
  meter: RootMeter;
  /** Start, epoch milliseconds. */
  start: number;
  /** The granule as a number: 201404, 20140401, 2014040113. */
  range: number;
  value: number;
}

/** What is wrong with rows, by `line 3`. */
export type RowErrors = Record<string, string[]>;

export interface TextOptions {
  granularity: Granularity;
  delimiter: string;
  /** The meters that an EAN, or the id of a meter, names. */
  metersOf: (ean: string) => readonly RootMeter[];
}

/** More rows than that belong into a file. */
export const rowsMax = 20_000;

/**
 * Reads rows of EAN, period and value. Empty lines are skipped. A wall-clock hour that occurs twice is the earlier one
 * the first time and the later one the second time.
 */
export function readRows(text: string, options: TextOptions): { rows: TextRow[]; errors: RowErrors } {
  const rows: TextRow[] = [];
  const errors: RowErrors = {};
  const seen = new Map<string, number>();
  const lines = text.split("\n");
  if (lines.length > rowsMax + 1) {
    return {
      rows,
      errors: { values: [`more than ${rowsMax} rows; upload them as a file with POST /imports`] },
    };
  }
  for (const [index, line] of lines.entries()) {
    if (line.trim() === "") continue;
    const row = readRow(line, options, seen);
    if (typeof row === "string") errors[`line ${index + 1}`] = [row];
    else rows.push({ line: index + 1, ...row });
  }
  return { rows, errors };
}

function readRow(
  line: string,
  options: TextOptions,
  seen: Map<string, number>,
): Omit<TextRow, "line"> | string {
  const cells = line.split(options.delimiter).map((cell) => cell.trim());
  if (cells.length !== 3)
    return `has ${cells.length} columns instead of EAN, period and value; is the delimiter right?`;
  const [ean, period, written] = cells as [string, string, string];
  const meters = options.metersOf(ean);
  const meter = meters[0];
  if (meter === undefined) return `there is no meter "${ean.slice(0, 100)}" in this account`;
  if (meters.length > 1)
    return `"${ean.slice(0, 100)}" names ${meters.length} meters; use the id of one of them`;
  const value = decimalOf(written);
  if (value === undefined) return `"${written.slice(0, 40)}" is no number`;
  const again = `${meter.id} ${period}`;
  const start = startOf(period, { meter, granularity: options.granularity, times: seen.get(again) ?? 0 });
  if (typeof start === "string") return start;
  seen.set(again, (seen.get(again) ?? 0) + 1);
  return {
    ean,
    meter,
    start,
    range: Number(granuleLabel(options.granularity, meter.timezone, start)),
    value,
  };
}

/** A decimal point or comma; spaces of any width between groups of digits. */
function decimalOf(written: string): number | undefined {
  if (written.length > 60) return undefined;
  const digits = written.replace(/\s/g, "");
  const comma = digits.includes(",");
  return comma && digits.includes(".") ? undefined : parseDecimal(digits, { mark: comma ? "," : "." })?.value;
}

const shapes: Readonly<Record<"month" | "day" | "hour" | "minutes", { pattern: RegExp; example: string }>> = {
  month: { pattern: /^(\d{4})-(\d\d)$/, example: "2014-04" },
  day: { pattern: /^(\d{4})-(\d\d)-(\d\d)$/, example: "2014-04-01" },
  hour: { pattern: /^(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(00)$/, example: "2014-04-01 13:00" },
  minutes: { pattern: /^(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d)$/, example: "2014-04-01 13:15" },
};

function startOf(
  period: string,
  { meter, granularity, times }: { meter: RootMeter; granularity: Granularity; times: number },
): number | string {
  const { timezone: zone } = meter;
  const isShort = granularity !== "month" && granularity !== "day" && granularity !== "hour";
  const { pattern, example } = shapes[isShort ? "minutes" : granularity];
  const match = period.length > 20 ? null : pattern.exec(period);
  const wrong = `"${period.slice(0, 40)}" is no ${granularity} such as ${example}`;
  if (match === null) return wrong;
  const [year, month, day, hour, minute] = [1, 2, 3, 4, 5].map((part) =>
    Number(match[part] ?? (part === 3 ? 1 : 0)),
  );
  const local = Date.UTC(year!, month! - 1, day!, hour!, minute!);
  const check = new Date(local);
  if (check.getUTCMonth() !== month! - 1 || check.getUTCDate() !== day! || check.getUTCHours() !== hour!)
    return wrong;
  if (isShort && minute! % minutesOf[granularity] !== 0) return wrong;
  const earlier = localToUtc(zone, local, "earlier");
  const isClock = isShort || granularity === "hour";
  if (isClock && earlier.kind === "skipped")
    return `${period} does not exist in ${zone}: the clocks went forward`;
  if (times > 0 && (!isClock || earlier.kind !== "repeated" || times > 1))
    return `${period} of "${meter.ean}" occurs again`;
  const start = times === 0 ? earlier.utc : localToUtc(zone, local, "later").utc;
  return granuleStart(granularity, zone, start) === start ? start : wrong;
}
