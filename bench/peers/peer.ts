import { hours, metric, yearStart } from "../world.ts";
import type { Server } from "./server.ts";

const hour = 3_600_000;

/** Another store, with the questions of the bench in its own words over its own HTTP API. */
export interface Peer {
  /** Name and version. */
  title: string;
  /** What an accepted write is worth, and how the peer was set. */
  notes: readonly string[];
  start(): Promise<Server>;
  /** Where lines (see `linesOf`) are posted. */
  writePath: string;
  /** Waits until all that was accepted can be read. */
  makeVisible(server: Server): Promise<unknown>;
  /** Every way to read a year of hours of a meter. */
  years: readonly YearRead[];
  /** The peer's own binary form of a year, received and not decoded. */
  binaryYear: { name: string; path: (meter: string) => string; headers?: Record<string, string> };
  /** Whether it keeps answers to sums; those below then come from there when `cached` is set. */
  keepsAnswers: boolean;
  /** Sum over all meters for each of the first `count` hours of the year. */
  hourSums(server: Server, options: { count: number; cached: boolean }): Promise<Float64Array>;
  /** Sums of the 12 UTC months of every meter, from its hours: neither peer keeps months by itself. */
  monthSums(server: Server, options: { cached: boolean }): Promise<MonthSum[]>;
  /** How many values it holds in [from, to), epoch milliseconds. */
  count(server: Server, span: { from: number; to: number }): Promise<number>;
}

/** `month` 0 to 11. */
export interface MonthSum {
  meter: string;
  month: number;
  sum: number;
}

/** A way to read a year of hours, and how its answer becomes 8,760 doubles with NaN for gaps. */
export interface YearRead {
  name: string;
  path(meter: string): string;
  headers?: Record<string, string>;
  decode(answer: Buffer): Float64Array;
}

/** The name that a meter has at the peers. */
export function nameOf(meter: number): string {
  return `m${meter}`;
}

/** Values of a meter in line protocol, which both peers take: hours since the epoch, gaps left out. */
export function linesOf(meter: number, values: Float64Array, firstHour = 0): string {
  const first = yearStart / hour + firstHour;
  let lines = "";
  for (let i = 0; i < values.length; i++) {
    if (!Number.isNaN(values[i]!))
      lines += `${metric},meter=${nameOf(meter)} value=${values[i]} ${first + i}\n`;
  }
  return lines;
}

/** The 12 UTC months of the year as [start, end), epoch milliseconds. */
export const months: readonly { from: number; to: number }[] = Array.from({ length: 12 }, (_, month) => {
  const year = new Date(yearStart).getUTCFullYear();
  return { from: Date.UTC(year, month, 1), to: Date.UTC(year, month + 1, 1) };
});

/** The measured year, [start, end). */
export const year = { from: yearStart, to: yearStart + hours * hour };

/** Puts pairs of time and value on the hours of the year; `unit` is milliseconds per unit of time. */
export function onHours(
  pairs: Iterable<readonly [number, number | string]>,
  options: { unit: number; count?: number },
): Float64Array {
  const values = new Float64Array(options.count ?? hours).fill(Number.NaN);
  for (const [time, value] of pairs) values[(time * options.unit - yearStart) / hour] = Number(value);
  return values;
}
