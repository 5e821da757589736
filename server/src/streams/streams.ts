/**
 * Streams: everything that an account may read, and then every change, in batches that a consumer confirms. Nothing
 * is lost, nothing is skipped, and the last value that a consumer gets is the present one.
 */
export { type Cut, nextCut } from "./cut.ts";
export type { StreamRun } from "./gather.ts";
export { streamJobs } from "./jobs.ts";
export {
  commit,
  createStream,
  type NewStream,
  type Resource,
  removeStream,
  type Stream,
} from "./stream.ts";
export { streamTotals, watchStreams } from "./totals.ts";
