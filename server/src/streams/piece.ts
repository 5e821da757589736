import type { StreamRun } from "./gather.ts";
import type { Position } from "./position.ts";
import type { Stream } from "./stream.ts";

/** What a batch holds. */
export interface Content {
  runs: StreamRun[];
  /** Invoices as the API shows them. */
  invoices: unknown[];
  /** Values, or invoices. */
  count: number;
}

/** What was found behind a position. */
export interface Found extends Content {
  /** The stream, its meters brought up to date. */
  stream: Stream;
  /** Where it really begins, and where it ends. */
  start: Position;
  position: Position;
  /** Not everything was looked at. */
  more: boolean;
}
