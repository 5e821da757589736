import type { z } from "zod";
import type { Granularity } from "../../platform/granularity.ts";
import type { SpoolFile } from "../spool-file.ts";

/** A meter as files show it: names and tags of the account that exports, facts of the root meter. */
export interface ExportMeter {
  id: string;
  ean: string | null;
  name: string | null;
  type: string;
  /** Holder of the root meter; empty when that account is gone. */
  providerId: string;
  providerName: string;
  address: string | null;
  /** Longitude, latitude. */
  location: readonly [number, number] | null;
  tags: readonly string[];
  timezone: string;
  representation: string | null;
}

/** Values of one metric of one meter in one granularity. */
export interface ExportRun {
  meter: ExportMeter;
  /** As streams name it; costs as `cost_<name>`. */
  metric: string;
  /** Unit of consumption; empty for costs. */
  unit: string;
  /** ISO 4217 for costs, else null. */
  currency: string | null;
  granularity: Granularity;
  /** Epoch milliseconds. */
  starts: Float64Array;
  /** NaN stands for a value that was removed. */
  values: Float64Array;
  /** An earlier value was replaced or removed. */
  updated: boolean;
  /** When the values were stored, epoch milliseconds. */
  pushedAt: number;
}

/** What a format writes into. */
export interface FormatContext<Params> {
  params: Params;
  /** When the batch was cut, epoch milliseconds. */
  now: number;
  /** A new file; `folder` is `""`, or ends with `/` and stands before the name of the file. */
  create(folder: string): Promise<SpoolFile>;
}

/** A file, or the files of one batch, being written. */
export interface FormatWriter {
  write(run: ExportRun): Promise<void>;
  /** Writes what is left. Nothing is written after it. */
  finish(): Promise<void>;
}

/**
 * How an export writes its files. A new one is a file in this folder and a line in `all.ts`; settings, documentation
 * of parameters and the round-trip tests follow from what stands here.
 */
// biome-ignore lint/suspicious/noExplicitAny: the types of params are checked where the format is defined
export interface ExportFormat<Params = any> {
  /** As requests name it; stable. */
  name: string;
  title: string;
  /** Ending of the file names, without the point. */
  ending: string;
  mediaType: string;
  resource: "consumption";
  /** Granularity of the stream when the format has only one. */
  granularity?: Granularity;
  params: z.ZodType<Params>;
  /** Most values that go into the files of one batch; what is left follows in further files at once. */
  rowsMax: number;
  /** Does the file hold values of this metric? */
  accepts(metric: string, params: Params): boolean;
  open(context: FormatContext<Params>): Promise<FormatWriter> | FormatWriter;
}

/** Defines a format; the parts check each other's types. */
export function exportFormat<Params>(format: ExportFormat<Params>): ExportFormat {
  return format;
}
