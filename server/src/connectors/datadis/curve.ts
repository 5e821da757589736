import { z } from "zod";
import { type DeliveredQuality, ProviderFailure } from "../../collection/connector.ts";
import { granuleStarts } from "../../platform/time/granule.ts";
import { localToUtc } from "../../platform/time/zone.ts";

const minute = 60_000;

/** A row of a curve: what was used in the hour or quarter that ends at `time`, local time; `24:00` ends the day. */
export const rowSchema = z.object({
  cups: z.string(),
  date: z.string().regex(/^\d{4}\/\d\d\/\d\d$/),
  time: z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$|^24:00$/),
  consumptionKWh: z.number().nullable(),
  surplusEnergyKWh: z.number().nullish(),
  obtainMethod: z.string().nullish(),
});
type Row = z.output<typeof rowSchema>;

/** Values of one hour or quarter; `start` in epoch ms, kWh, null where there is none. */
export interface Read {
  start: number;
  consumption: number | null;
  surplus: number | null;
  quality: DeliveredQuality;
}

const qualities: Readonly<Record<string, DeliveredQuality>> = {
  Real: "measured",
  Estimada: "estimated",
  "": "unknown",
};

export interface CurveOptions {
  cups: string;
  zone: string;
  /** Months since the year 0. */
  month: number;
  minutes: number;
  /** The month is not over. */
  isCurrent: boolean;
}

/**
 * Places the rows of a month on the time line.
 * @throws ProviderFailure `changed` for rows of other supplies and months, unknown methods, and rows that contradict
 *   each other
 */
export function readCurve(rows: readonly Row[], options: CurveOptions): Read[] {
  const { cups, month, isCurrent } = options;
  for (const { cups: other, date } of rows) {
    if (other.slice(0, 20) !== cups.slice(0, 20)) throw changed("a row of another supply", other);
    if (Number(date.slice(0, 4)) * 12 + Number(date.slice(5, 7)) - 1 !== month) {
      throw changed("a row of another month", date);
    }
  }
  const used = isCurrent ? withoutTail(rows) : rows;
  return [...Map.groupBy(used, ({ date }) => date)].flatMap(([date, some]) => readDay(date, some, options));
}

/** Hours of now that are not there yet were seen as zeros without a method. */
function withoutTail(rows: readonly Row[]): readonly Row[] {
  const isEmpty = ({ consumptionKWh, obtainMethod }: Row) =>
    (consumptionKWh === 0 || consumptionKWh === null) && (obtainMethod ?? "") === "";
  return rows.slice(0, rows.findLastIndex((row) => !isEmpty(row)) + 1);
}

/** Rows by the end of their hour or quarter, in minutes after midnight, in the order of time. */
type Labels = Map<number, Row[]>;

function readDay(date: string, rows: readonly Row[], { zone, minutes }: CurveOptions): Read[] {
  const midnight = Date.parse(`${date.replaceAll("/", "-")}T00:00:00Z`);
  if (Number.isNaN(midnight)) throw changed("no day", date);
  const dayStart = localToUtc(zone, midnight).utc;
  const dayEnd = localToUtc(zone, midnight + 1_440 * minute).utc;
  const count = granuleStarts("15min", zone, { from: dayStart, to: dayEnd }).length / (minutes / 15);
  const step = minutes * minute;
  const reads = new Map<number, Read>();
  const place = (row: Row, start: number) => {
    const read = readOf(row, start);
    const before = reads.get(start);
    if (
      before !== undefined &&
      (before.consumption !== read.consumption || before.surplus !== read.surplus)
    ) {
      throw changed("two values of one hour", `${date} ${row.time}`);
    }
    reads.set(start, read);
  };
  const labels = labelsOf(rows, { minutes, count });
  for (const [label, some] of labels) {
    const localEnd = midnight + label * minute;
    const start = localToUtc(zone, localEnd - step);
    if (start.kind === "unique") placeOnce(some, { place, start: start.utc, localEnd, zone, step });
    else if (start.kind === "skipped") {
      // Some distributors call the hour before the change by the clock after it. Both names at once: one stands empty.
      const [row] = some;
      if (!reads.has(start.utc - step)) place(row!, start.utc - step);
      else if (row!.consumptionKWh !== null && row!.consumptionKWh !== 0) {
        throw changed("an hour that does not exist", `${date} ${row!.time}`);
      }
    } else {
      const later = localToUtc(zone, localEnd - step, "later").utc;
      if (some.length === 2) for (const [i, row] of some.entries()) place(row, i === 0 ? start.utc : later);
      else if (some.length > 2) throw changed("an hour that stands three times", date);
      else if (reads.has(start.utc)) place(some[0]!, later);
      // Else it may be the first, the second or both together: neither is taken.
    }
  }
  return [...reads.values()].sort((a, b) => a.start - b.start);
}

interface Once {
  place(row: Row, start: number): void;
  start: number;
  localEnd: number;
  zone: string;
  step: number;
}

/** An hour that there is once. Its name twice: when its end is set back, the second is the hour after it. */
function placeOnce(rows: readonly Row[], { place, start, localEnd, zone, step }: Once): void {
  const end = localToUtc(zone, localEnd, "later");
  const isSetBack = end.kind === "repeated" && rows.length === 2;
  for (const [i, row] of rows.entries()) place(row, isSetBack && i === 1 ? end.utc - step : start);
}

/** Rows of a day by their label. An extra row `00:00` on a day that is there without it is nothing. */
function labelsOf(rows: readonly Row[], { minutes, count }: { minutes: number; count: number }): Labels {
  const labelled = rows.map((row) => ({
    row,
    label: Number(row.time.slice(0, 2)) * 60 + Number(row.time.slice(3)),
  }));
  if (labelled.length > 1 && labelled[0]!.label > labelled.at(-1)!.label) labelled.reverse();
  const labels: Labels = new Map();
  for (const { row, label } of labelled) {
    if (label % minutes !== 0) throw changed("an unknown time", `${row.date} ${row.time}`);
    if (label === 0 && rows.length > count) continue;
    if (label === 0) throw changed("an unknown time", `${row.date} ${row.time}`);
    labels.set(label, [...(labels.get(label) ?? []), row]);
  }
  return new Map([...labels].sort(([a], [b]) => a - b));
}

function readOf({ consumptionKWh, surplusEnergyKWh, obtainMethod }: Row, start: number): Read {
  const quality = qualities[obtainMethod ?? ""];
  if (quality === undefined) throw changed("an unknown method", obtainMethod!);
  return { start, consumption: consumptionKWh, surplus: surplusEnergyKWh ?? null, quality };
}

const changed = (what: string, text: string) =>
  new ProviderFailure("changed", `${what}: ${text}`, { page: text });
