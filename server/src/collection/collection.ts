/**
 * Collection: connections with providers and what they bring. The second door, `connector.ts`, is what connectors are
 * made with.
 */
export { tidyCollectionJob } from "./jobs.ts";
export { watchCollection } from "./metrics.ts";
export { makeCollector, startCollecting } from "./worker.ts";
