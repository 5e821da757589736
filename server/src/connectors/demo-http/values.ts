import type { DeliveredQuality } from "../../collection/connector.ts";
import { parseDecimal } from "../../platform/decimal.ts";
import { localToUtc } from "../../platform/time/zone.ts";
import { changed, dayAfter, dayOf } from "./page.ts";

/** The clock of the utility. */
export const zone = "Europe/Stockholm";

/** Values of one file, ascending; epoch milliseconds. */
export interface Values {
  starts: number[];
  values: number[];
  quality: DeliveredQuality[];
}

/** Unit by metric, as files name it. */
const units: Readonly<Record<string, string>> = { energy: "kWh", flow: "m3" };
const qualities: Readonly<Record<string, DeliveredQuality>> = {
  Uppmätt: "measured",
  Korrigerad: "measured",
  Beräknad: "estimated",
};
const head = ["Anläggnings-id", "Mätarnummer", "Benämning", "Skapad"];

interface Read {
  start: number;
  value: number;
  quality: DeliveredQuality;
}

/**
 * Reads a file of hours or quarters. Columns are found by their labels; another label, unit, decimal mark or status is
 * `changed`. Rows that stand twice are taken once; when they contradict each other it is `changed`.
 */
export function readCsv(text: string, { metric, minutes }: { metric: string; minutes: 15 | 60 }): Values {
  const lines = text.replace(/^\uFEFF/, "").split("\r\n");
  for (const [i, label] of head.entries()) {
    if (!lines[i]?.startsWith(`${label};`)) throw changed(`line ${i + 1} is not ${label}`, text);
  }
  const usage = `Förbrukning (${units[metric]})`;
  const columns = (lines[5] ?? "").split(";");
  const at = ["Från", "Till", usage, "Status"].map((label) => columns.indexOf(label));
  if (lines[4] !== "" || lines.at(-1) !== "" || columns.length !== 4 || at.includes(-1)) {
    throw changed(`unknown columns: ${lines[5]}`, text);
  }
  const step = minutes * 60_000;
  const instantsOf = makeClock();
  const found = new Map<number, Read>();
  let previousEnd = Number.NaN;
  for (const line of lines.slice(6, -1)) {
    const cells = line.split(";");
    const [from, to, number, status] = at.map((i) => cells[i] ?? "") as [string, string, string, string];
    const start =
      cells.length === 4 ? startOf(instantsOf(from), instantsOf(to), { step, previousEnd }) : undefined;
    const value = /^-?\d+,\d{3}$/.test(number) ? parseDecimal(number, { mark: "," })?.value : undefined;
    const quality = qualities[status];
    if (start === undefined || value === undefined || quality === undefined) {
      throw changed(`unknown row: ${line}`, text);
    }
    const same = found.get(start);
    if (same !== undefined && same.value !== value) throw changed(`two values of one time: ${line}`, text);
    found.set(start, { start, value, quality });
    previousEnd = start + step;
  }
  return valuesOf(found.values());
}

function valuesOf(reads: Iterable<Read>): Values {
  const sorted = [...reads].toSorted((a, b) => a.start - b.start);
  return {
    starts: sorted.map(({ start }) => start),
    values: sorted.map(({ value }) => value),
    quality: sorted.map(({ quality }) => quality),
  };
}

/**
 * The instant at which a row begins. In the night in October a quarter can be either of two: it is the one that goes on
 * where the row before ended. `undefined` when the labels do not tell.
 */
function startOf(
  begins: readonly number[],
  ends: readonly number[],
  { step, previousEnd }: { step: number; previousEnd: number },
): number | undefined {
  const starts = begins.filter((start) => ends.includes(start + step));
  return starts.length === 1 ? starts[0] : starts.find((start) => start === previousEnd);
}

/** Instants at which the clock shows a time: none, one, or two. A row begins where the one before ended. */
function makeClock(): (text: string) => readonly number[] {
  let last: { text: string; instants: readonly number[] } = { text: "", instants: [] };
  return (text) => {
    if (text !== last.text) last = { text, instants: instantsOf(text) };
    return last.instants;
  };
}

function instantsOf(text: string): number[] {
  const local = /^\d{4}-\d\d-\d\d \d\d:\d\d$/.test(text)
    ? Date.parse(`${text.replace(" ", "T")}:00Z`)
    : Number.NaN;
  if (Number.isNaN(local)) return [];
  const first = localToUtc(zone, local, "earlier");
  if (first.kind === "skipped") return [];
  return first.kind === "unique" ? [first.utc] : [first.utc, localToUtc(zone, local, "later").utc];
}

interface Month {
  from: string;
  to: string;
  usage: number;
  status: string;
}

const monthQualities: Readonly<Record<string, DeliveredQuality>> = {
  measured: "measured",
  corrected: "measured",
  estimated: "estimated",
};

/** Reads whole months; those that a customer had only a part of are left out. */
export function readMonths(json: unknown, metric: string): Values {
  const text = JSON.stringify(json);
  const { metering_point: point, unit, months } = (json ?? {}) as Record<string, unknown>;
  if (typeof point !== "string" || unit !== units[metric] || !Array.isArray(months)) {
    throw changed("unknown months", text);
  }
  const reads = months.flatMap((month: Partial<Month> | null): Read[] => {
    const { from, to, usage, status } = month ?? {};
    const quality = monthQualities[String(status)];
    if (
      typeof from !== "string" ||
      typeof to !== "string" ||
      typeof usage !== "number" ||
      quality === undefined
    ) {
      throw changed(`an unknown month: ${JSON.stringify(month)}`, text);
    }
    const isWhole = dayOf(from).endsWith("-01") && dayAfter(to) === firstOfNext(from);
    if (!isWhole) return [];
    return [{ start: startOfDay(from), value: usage, quality }];
  });
  return valuesOf(reads);
}

const firstOfNext = (day: string) =>
  new Date(Date.UTC(Number(day.slice(0, 4)), Number(day.slice(5, 7)), 1)).toISOString().slice(0, 10);

const startOfDay = (day: string) => localToUtc(zone, Date.parse(`${day}T00:00:00Z`)).utc;
