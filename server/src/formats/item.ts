/** What a format hands out: series, values, readings and problems, in the order of the file. */

/** Says how sure the source is of a value. `missing` means that the source says there is none. */
export type Quality = "measured" | "estimated" | "calculated" | "substituted" | "missing" | "unknown";

/** Kind of meter a series belongs to. */
export type MeterType = "electricity" | "heat" | "cooling" | "gas" | "hot_water" | "water" | "sensor";

/** Which way the measured quantity flows, seen from the customer. */
export type Direction = "consumption" | "production" | "net" | "unknown";

/** `error`: the file is refused whole. `warning`: told, and the file is stored. `info`: good to know. */
export type Severity = "error" | "warning" | "info";

/** Announces a series before its first value. */
export interface SeriesItem {
  kind: "series";
  /** Number of the series within the file, from 0. */
  series: number;
  /** Meter as printed, `""` when the file names none. */
  meter: string;
  /** Register, suffix or column as printed, `""` when there is none. */
  channel: string;
  type: MeterType;
  /** `energy`, `flow`, `energy_reactive`, `power`, `temperature`, … */
  metric: string;
  direction: Direction;
  /** Base unit of the values handed out: kWh, m3, kVArh, kW, C, ppm. */
  unit: string;
  /** Unit as the source writes it. */
  printedUnit: string;
  /** IANA zone by the source or by its market's rule, null when neither says one. */
  timezone: string | null;
  name?: string;
  address?: string;
  /** True when the values are readings of a register. */
  register?: boolean;
}

/** One value of the interval [start, start + seconds). */
export interface IntervalItem {
  kind: "interval";
  series: number;
  /** Epoch milliseconds. */
  start: number;
  seconds: number;
  /** In the base unit, scaled exactly; null when the source says that there is no value. */
  value: number | null;
  quality: Quality;
  /** Quality code as printed, `""` when there is none. */
  code: string;
  /** 1-based line in the decompressed file. */
  line: number;
  /** Epoch milliseconds at which the document or row was made; the newest wins. */
  version?: number;
}

/** State of a register at one instant; never an interval. */
export interface ReadingItem {
  kind: "reading";
  series: number;
  /** Epoch milliseconds. */
  time: number;
  /** In the base unit, scaled exactly; null when the source says that there is no value. */
  value: number | null;
  quality: Quality;
  /** Quality code as printed, `""` when there is none. */
  code: string;
  /** 1-based line in the decompressed file. */
  line: number;
  /** Epoch milliseconds at which the document or row was made; the newest wins. */
  version?: number;
}

/** Something wrong or remarkable in the file. */
export interface ProblemItem {
  kind: "problem";
  severity: Severity;
  /** 1-based line in the decompressed file, null when it concerns the whole file. */
  line: number | null;
  /** Column, element or record field, null when it concerns the whole line. */
  field: string | null;
  /** What is wrong and what to do about it. */
  message: string;
}

/** Anything a format yields. */
export type Item = SeriesItem | IntervalItem | ReadingItem | ProblemItem;

/** What the caller tells a format about the file. */
export interface ReadOptions {
  fileName: string;
  /** IANA zone that overrides what the file says. */
  timezone?: string;
  /** IANA zone of wall-clock times that nothing in the file places, such as the zone of the account. */
  defaultTimezone?: string;
  /** Unit of values whose file names none, as in `kWh` or `m3`. */
  unit?: string;
  /** How a table is to be read; checked and used by the mapper alone. */
  mapping?: unknown;
}

/** One format: recognises its files and reads them as a stream of items. */
export interface Format {
  /** As in `green-button`; stable, shown to users. */
  name: string;
  title: string;
  /** 0..1: how sure we are, from the first 64 KiB (decompressed, raw bytes) and the file name. */
  detect(head: Uint8Array, fileName: string): number;
  /**
   * Streams the file: one array of items per chunk, in bounded memory. Bad content never throws, it
   * becomes problem items of severity `error`; only programming errors and a failing source throw.
   */
  read(source: AsyncIterable<Uint8Array>, options: ReadOptions): AsyncIterable<Item[]>;
}
