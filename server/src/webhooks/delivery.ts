import { z } from "zod";
import { type Queryable, sql } from "../platform/db.ts";
import { formatTimestamp, timestampText } from "../platform/http/schema.ts";
import { notFound } from "../platform/problem.ts";

/** What can be said of a delivery. */
export const deliveryStatuses = ["waiting", "delivered", "failed"] as const;

/** A delivery as it is stored. Times are epoch ms. */
export interface Delivery {
  id: string;
  event: string;
  created: number;
  status: (typeof deliveryStatuses)[number];
  attempts: { at: number; response_status: number | null; reason: string | null }[];
  responseStatus: number | null;
  reason: string | null;
  nextAttempt: number | null;
}

/** Columns of a `Delivery`: all but what it carries, which is long. */
export const deliveryColumns = sql`id, event, (extract(epoch from created) * 1000)::float8 as created, status,
  attempts, response_status as "responseStatus", reason,
  (extract(epoch from next_attempt) * 1000)::float8 as "nextAttempt"`;

const attemptView = z.object({
  at: timestampText(),
  response_status: z.int().nullable(),
  reason: z.string().nullable(),
});

/** A delivery in lists. */
export const deliveryView = z.object({
  _id: z.string().describe("Also the webhook-id that the receiver sees, the same at every attempt"),
  event: z.string(),
  status: z.enum(deliveryStatuses),
  created: timestampText(),
  attempts: z.array(attemptView).describe("The last 50, the newest last"),
  response_status: z.int().nullable().describe("Of the last attempt; null when there was no answer"),
  reason: z.string().nullable().describe("Why the last attempt failed"),
  next_attempt: timestampText().nullable().describe("Null unless it waits"),
});

/** A delivery with what it carries. */
export const wholeDeliveryView = deliveryView.extend({
  payload: z
    .object({ type: z.string(), timestamp: timestampText(), data: z.record(z.string(), z.unknown()) })
    .describe("What is sent, as it is signed but for blanks"),
});

/** Shows a delivery in a list. */
export function viewDelivery(row: Delivery): z.output<typeof deliveryView> {
  return {
    _id: row.id,
    event: row.event,
    status: row.status,
    created: formatTimestamp(row.created),
    attempts: row.attempts.map(({ at, response_status, reason }) => ({
      at: formatTimestamp(at),
      response_status,
      reason,
    })),
    response_status: row.responseStatus,
    reason: row.reason,
    next_attempt: row.nextAttempt === null ? null : formatTimestamp(row.nextAttempt),
  };
}

/** Shows one delivery whole. */
export function viewWhole(row: WholeDelivery): z.output<typeof wholeDeliveryView> {
  return { ...viewDelivery(row), payload: JSON.parse(row.body) };
}

/** A delivery with the text that is sent. */
export type WholeDelivery = Delivery & { body: string };

/** One delivery of a webhook, or 404. */
export async function deliveryById(db: Queryable, webhookId: string, id: string): Promise<WholeDelivery> {
  const found = await db.maybe<WholeDelivery>(
    sql`select ${deliveryColumns}, body from webhook_delivery where webhook_id = ${webhookId} and id = ${id}`,
  );
  if (found === undefined) throw notFound(`delivery ${id} of webhook ${webhookId}`);
  return found;
}
