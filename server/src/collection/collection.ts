/**
 * Collection: connections with providers and what they bring. The second door, `connector.ts`, is what connectors are
 * made with.
 */

export { tryBrowser } from "./browser/attempt.ts";
export type { Connection } from "./connection.ts";
export type { Connector } from "./connector.ts";
export { type ConnectionState, type StateMeaning, stateMeanings } from "./consequence.ts";
export { secretsIn } from "./credentials.ts";
export type { Cursor } from "./cursor.ts";
export { openHttp, type TraceLine } from "./http.ts";
export { tidyCollectionJob } from "./jobs.ts";
export { type KeptPage, keptPage, keptPages } from "./kept-page.ts";
export { watchCollection } from "./metrics.ts";
export {
  type AskedAgain,
  askedAgain,
  connectionNames,
  type MeterOutlook,
  nextRunOf,
  type Outlook,
  outlooksOf,
  usuallyAt,
} from "./outlook.ts";
export { wordsIn } from "./provider.ts";
export { makeScrubber, writings } from "./scrub.ts";
export { checkSetups, secretsOfSetup } from "./setup.ts";
export { makeWait } from "./visit.ts";
export { makeCollector, startCollecting } from "./worker.ts";
