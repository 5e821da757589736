/**
 * Collection: connections with providers and what they bring. The second door, `connector.ts`, is what connectors are
 * made with.
 */
export { secretsIn } from "./credentials.ts";
export { type Exchange, openHttp, type TraceLine } from "./http.ts";
export { tidyCollectionJob } from "./jobs.ts";
export { watchCollection } from "./metrics.ts";
export { makeScrubber } from "./scrub.ts";
export { makeWait } from "./visit.ts";
export { makeCollector, startCollecting } from "./worker.ts";
