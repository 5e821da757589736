/** Files of values: uploads, the batches of old clients, and how files are read: what other slices may use. */
export { importJobs } from "./jobs.ts";
export { mappingByName } from "./mapping.ts";
export type { KnownMeter, Report, ValueRun } from "./messages.ts";
export type { PlannedMeter } from "./meter-book.ts";
export type { FileProblem } from "./problem-book.ts";
export { TooMuchMemory } from "./reader.ts";
export { type ReceivedFile, receiveFile } from "./received-file.ts";
