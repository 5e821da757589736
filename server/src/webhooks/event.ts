import { z } from "zod";
import { granularities } from "../platform/granularity.ts";
import { timestampText } from "../platform/http/schema.ts";

/** A meter as an account sees it: its own reference, by which the API knows it. */
const meter = z.object({
  _id: z.string(),
  root: z.string().describe("The root meter, which is the same in every account"),
  ean: z.string().nullable(),
  type: z.string(),
});

const changedSeries = z.object({
  metric: z.string().describe("Costs have the prefix `cost_`"),
  currency: z.string().nullable(),
  granularity: z.enum(granularities),
  from: timestampText().describe("Start of the first value that changed"),
  to: timestampText().describe("End of the last one"),
  count: z.int().describe("How many values changed, at most; removed ones count"),
  updated: z.boolean().describe("An earlier value was replaced or removed"),
});

/** What `data` holds, by the type of the event. */
export const eventData = {
  "data.new": z.object({
    account: z.string(),
    meters: z.array(
      z.object({
        _id: z.string(),
        root: z.string(),
        ean: z.string().nullable(),
        series: z.array(changedSeries),
      }),
    ),
    more: z.boolean().describe("More has changed than fits; the next event goes on"),
  }),
  "meter.found": z.object({ account: z.string(), meters: z.array(meter) }),
  "meter.revoked": z.object({
    account: z.string(),
    meters: z.array(z.object({ _id: z.string() })),
  }),
  "connection.needs_person": z.object({
    account: z.string(),
    connection: z.object({ _id: z.string(), name: z.string().nullable() }),
    reason: z.string().describe("What a person has to do, in words"),
  }),
  "export.failed": z.object({
    account: z.string(),
    export: z.object({ _id: z.string(), name: z.string().nullable() }),
    run: z.object({ _id: z.string() }).nullable(),
    reason: z.string().describe("Why, in words"),
    paused: z.boolean().describe("The export tries no more until somebody resumes it"),
  }),
  "test.ping": z.object({ account: z.string(), webhook: z.object({ _id: z.string() }) }),
} as const;

/** The type of an event. */
export type EventType = keyof typeof eventData;
/** What `emit` is given of an event: its data without the account. */
export type EventData<Type extends EventType> = Omit<z.input<(typeof eventData)[Type]>, "account">;

/** Events that a webhook can ask for; a ping is sent on request only. */
export const subscribable = [
  "data.new",
  "meter.found",
  "meter.revoked",
  "connection.needs_person",
  "export.failed",
] as const satisfies readonly EventType[];

/** Every type of event. */
export const eventTypes = Object.keys(eventData) as EventType[];
