import type { Granularity } from "../platform/granularity.ts";

/** How good a value is, as its source says. The numbers are stored: frozen. */
export const qualities = ["unknown", "measured", "estimated", "calculated", "substituted"] as const;
export type ValueQuality = (typeof qualities)[number];

/** The root meter that values belong to. */
export interface RootMeter {
  id: string;
  part: number;
  timezone: string;
}

/** Values of one metric of one meter, in any order. */
export interface Run {
  meter: RootMeter;
  metric: string;
  /** ISO 4217 code for cost metrics, '' for others. */
  currency?: string;
  granularity: Granularity;
  /** Starts of the granules, epoch ms. */
  starts: ArrayLike<number>;
  /** Values in the unit of the metric; NaN removes what is stored. */
  values: ArrayLike<number>;
  /** One quality for all, or one per value (index into `qualities`). */
  quality?: ValueQuality | Uint8Array;
  /**
   * The values were computed here from others, as days are from hours: they stand only where no delivered one does,
   * also where one was removed. Their quality is `calculated`.
   */
  derived?: boolean;
  /** What to call a value in a message: `line 12`, `values[3]`. */
  where?: (index: number) => string;
}

/** What arrives from one source at one time: stored whole or refused whole. */
export interface Batch {
  document: Document;
  runs: Run[];
}

/** Where a batch comes from. */
export interface Document {
  /** Key of the document in the eyes of its sender; shown as the origin of its values. */
  source: string;
  /** Creation time that the document states, epoch ms; absent: when it arrived. The newest wins. */
  version?: number;
  /** The higher one wins, before the version is looked at. */
  rank?: number;
  /** The import that it belongs to; what all its documents wrote can be undone together. */
  importId?: string;
}

/** Why one value of a batch cannot be stored. */
export interface Refusal {
  /** Index of the run in the batch. */
  run: number;
  /** Index of the value in the run. */
  index: number;
  where: string;
  message: string;
}

/** What became of a batch. */
export interface Stored {
  /** Values that were not there before. */
  added: number;
  /** Values that replaced another one. */
  replaced: number;
  /** Values that were removed. */
  removed: number;
  /** Values that were already there. */
  unchanged: number;
  /** Values that lost against a newer document. */
  older: number;
  /** Days and months (and hours from quarters) computed from them that changed. */
  derived: number;
}

/** A `Stored` of nothing yet. */
export function nothingStored(): Stored {
  return { added: 0, replaced: 0, removed: 0, unchanged: 0, older: 0, derived: 0 };
}
