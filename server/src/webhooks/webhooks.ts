/** Webhooks: events that are posted to customers' addresses, signed, until they are received. */
export { type Emitted, emit } from "./emit.ts";
export { type EventData, type EventType, eventData } from "./event.ts";
export { webhookJobs } from "./jobs.ts";
export { watchWebhooks } from "./metrics.ts";
