/** Meters, their copies and who may read them: what other slices may use. */
export {
  accessCount,
  compareReadable,
  type ReadableRoot,
  readableAfter,
  type SeenRoot,
  seenRoots,
} from "./access.ts";
export { type InboxMeter, inboxAfter, inboxOf, takeActivated, wantedRoots } from "./collecting.ts";
export {
  type ActiveReference,
  activeReferences,
  setComplained,
  stillActive,
  wantedAfter,
} from "./complained.ts";
export { type CreateOptions, createMeters, type MadeMeter, type NewMeter } from "./create.ts";
export { removeMeters } from "./erase.ts";
export { type Meter, metersById, ownMeter, type PathStep, type Places } from "./meter.ts";
export { type MeterNews, takeNews } from "./news.ts";
export { meterObjectEndpoints } from "./object-api.ts";
export {
  heldRoots,
  type MeterAtPoint,
  metersAtPoints,
  partsHeld,
  type ReadingMeter,
  type Resolved,
  type RootMeter,
  readingMeters,
  resolveForReading,
  rootMeters,
  visibleRoots,
} from "./reading.ts";
export {
  type Box,
  boxes,
  type MeterType,
  meterTypes,
  type Representation,
  representations,
} from "./reference.ts";
export { location } from "./schema.ts";
export { revokeAll, shareAll } from "./share.ts";
export {
  type ConsumptionStats,
  type Stat,
  type StatRow,
  setStats,
  shownStats,
  statsOf,
  statVersions,
} from "./stats.ts";
export { addMetrics, moveMeters, updateMeters } from "./update.ts";
