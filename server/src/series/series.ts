/**
 * Values over time: the one door to store and read consumption and costs. Inside: packed blocks, exact sums, days
 * and months that follow from hours, replaced values, statistics and the change log.
 */
export type { Batch, Document, Refusal, RootMeter, Run, Stored, ValueQuality } from "./batch.ts";
export { nothingStored, qualities } from "./batch.ts";
export { periodOf } from "./changed.ts";
export { refusals } from "./check.ts";
export { type Grid, gridOf, pointsAtMost, pointsOf } from "./grid.ts";
export { type Revision, revisionsOf } from "./history.ts";
export { ingest, ingestIn, refused } from "./ingest.ts";
export {
  consumptionMetrics,
  costNames,
  defaultMetric,
  estimatedFrom,
  type Metric,
  metrics,
} from "./metric.ts";
export { missingIn, type Presence, type Range } from "./presence.ts";
export { type Answer, type Member, query, querySum, type StoredMeter, type SumAnswer } from "./query.ts";
export {
  type BlockPlace,
  blocksAt,
  blocksFrom,
  codesOf,
  comparePlaces,
  type SeriesInfo,
  type SlotStarts,
  type StoredBlock,
  seriesById,
  seriesOfRoots,
  slotCount,
  startsOf,
  valuesOfBlock,
  writtenSlots,
} from "./replay.ts";
export { granularityOf } from "./slot.ts";
export { eraseMeters, undoImport, undoImports } from "./undo.ts";
export { describeFlags } from "./workspace.ts";
