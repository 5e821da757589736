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
  memory: BatchMemory;
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

/** Values in one batch: bounds the time for which a transaction holds its part. */
export const batchValuesMax = 25_000;

/**
 * Where the values of a batch lie, for both threads: made once, because buffers that are handed over pile up outside
 * of the heap of the thread that gets them.
 */
export interface BatchMemory {
  starts: Float64Array<SharedArrayBuffer>;
  values: Float64Array<SharedArrayBuffer>;
  qualities: Uint8Array<SharedArrayBuffer>;
}

/** Memory for one batch at a time. */
export function newBatchMemory(): BatchMemory {
  return {
    starts: new Float64Array(new SharedArrayBuffer(batchValuesMax * 8)),
    values: new Float64Array(new SharedArrayBuffer(batchValuesMax * 8)),
    qualities: new Uint8Array(new SharedArrayBuffer(batchValuesMax)),
  };
}

/** Values of one series and version, ascending: the places [from, to) of the memory. */
export interface PlacedRun {
  /** Index into the series of the report. */
  series: number;
  granularity: Granularity;
  /** Epoch milliseconds; null when the source states none. */
  version: number | null;
  from: number;
  to: number;
}

/** A run with its values, which hold until the next batch is asked for. */
export interface ValueRun extends Omit<PlacedRun, "from" | "to"> {
  starts: Float64Array;
  values: Float64Array;
  qualities: Uint8Array;
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
  | { kind: "batch"; runs: PlacedRun[] | null };
