import type { Granularity } from "../platform/granularity.ts";
import type { GatherOptions } from "./gather.ts";
import type { PlannedMeter, PlannedSeries } from "./meter-book.ts";
import type { FileProblem, ProblemCounts } from "./problem-book.ts";

/** What a thread that reads the files of an import is told at its start. */
export interface ReadingTask {
  files: { name: string; path: string; bytes: number }[];
  /** File for what was read, made by the thread. */
  spoolPath: string;
  /** Metering point of files that name none. */
  meter: string | undefined;
  /** Zone of meters whose source states none. */
  accountZone: string;
  reading: GatherOptions;
}

/** What is stored already of a metering point that files name. */
export interface KnownMeter {
  timezone: string;
  /** It does not exist yet. */
  isNew: boolean;
  type: string;
}

/** What the files of an import hold. */
export interface Report {
  meters: PlannedMeter[];
  series: PlannedSeries[];
  files: { name: string; format: string | null }[];
  /** Values of intervals as printed, also missing ones. */
  values: number;
  missing: number;
  duplicates: number;
  /** States of registers, which are not stored. */
  readings: number;
  problems: FileProblem[];
  counts: ProblemCounts;
}

/** Values of one series and version, ascending. */
export interface ValueRun {
  /** Index into the series of the report. */
  series: number;
  granularity: Granularity;
  /** Epoch milliseconds; null when the source states none. */
  version: number | null;
  starts: Float64Array<ArrayBuffer>;
  values: Float64Array<ArrayBuffer>;
  qualities: Uint8Array<ArrayBuffer>;
}

export type Order =
  /** Answers `known` by a report. */
  | { kind: "settle"; known: KnownMeter[] }
  /** Asks for the batch of this number. */
  | { kind: "batch"; number: number };

export type News =
  | { kind: "progress"; bytes: number; values: number }
  /** All is read; whoever stores has to say what it knows of the meters. */
  | { kind: "read"; meters: PlannedMeter[] }
  | { kind: "report"; report: Report }
  /** `null` after the last one. */
  | { kind: "batch"; runs: ValueRun[] | null };
