import { z } from "zod";
import { type Queryable, sql } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { evenTime } from "../platform/even-time.ts";
import { type Caller, type Endpoint, endpoint, Page } from "../platform/http/endpoint.ts";
import { fieldsOf, readList } from "../platform/http/filter.ts";
import { id } from "../platform/http/schema.ts";
import { newId } from "../platform/id.ts";
import { Problem } from "../platform/problem.ts";
import {
  type Delivery,
  deliveryById,
  deliveryColumns,
  deliveryStatuses,
  deliveryView,
  viewDelivery,
  viewWhole,
  wholeDeliveryView,
} from "./delivery.ts";
import { bodyOf } from "./emit.ts";
import { eventTypes } from "./event.ts";
import { post, timeoutMs } from "./post.ts";
import { writeOutcome } from "./settle.ts";
import { ownWebhook } from "./webhook.ts";
import { auditWebhook, oneWebhook } from "./webhook-api.ts";

const oneDelivery = z.object({ id: id(), delivery_id: id() });
const deliveryIds = { id: "webhook", delivery_id: "webhook_delivery" } as const;

const fields = fieldsOf({
  _id: { kind: "id", column: sql`id` },
  event: { kind: "enum", column: sql`event`, values: eventTypes },
  status: { kind: "enum", column: sql`status`, values: deliveryStatuses },
  response_status: { kind: "number", column: sql`response_status` },
  created: { kind: "timestamp", column: sql`created` },
});

const listDeliveries = endpoint({
  method: "GET",
  path: "/webhooks/:id/deliveries",
  access: "basic",
  summary: "What was sent and what waits, the newest first",
  ids: { id: "webhook" },
  params: oneWebhook,
  filters: () => true,
  reply: z.array(deliveryView),
  list: true,
  async handle({ who, params, search, ignored }, { db, settings }) {
    const webhook = await ownWebhook(db, who, params.id);
    const asked = new URLSearchParams(search);
    if (!asked.has("sort")) asked.set("sort", "-created");
    const { where, orderBy, skip, limit } = readList(asked, { fields, ignored, pageMax: settings.pageMax });
    const of = sql`from webhook_delivery where webhook_id = ${webhook.id}${where}`;
    const { count } = await db.one<{ count: number }>(sql`select count(*) as count ${of}`);
    const rows = await db.rows<Delivery>(
      sql`select ${deliveryColumns} ${of} order by ${orderBy} offset ${skip} limit ${limit}`,
    );
    return new Page(rows.map(viewDelivery), { count, skip, limit });
  },
});

const readDelivery = endpoint({
  method: "GET",
  path: "/webhooks/:id/deliveries/:delivery_id",
  access: "basic",
  summary: "One delivery with what it carries",
  ids: deliveryIds,
  params: oneDelivery,
  reply: wholeDeliveryView,
  async handle({ who, params }, { db }) {
    const webhook = await ownWebhook(db, who, params.id);
    return viewWhole(await deliveryById(db, webhook.id, params.delivery_id));
  },
});

const resend = endpoint({
  method: "POST",
  path: "/webhooks/:id/deliveries/:delivery_id/resend",
  access: "basic",
  summary: "Sends a delivery again, under the same webhook-id, and again until it succeeds",
  ids: deliveryIds,
  params: oneDelivery,
  reply: wholeDeliveryView,
  async handle({ who, params }, { db, clock }) {
    const now = clock.now();
    return db.transaction(async (tx) => {
      const webhook = await ownWebhook(tx, who, params.id, { lock: true });
      const { id: deliveryId } = await deliveryById(tx, webhook.id, params.delivery_id);
      if (!webhook.enabled) {
        throw new Problem(
          "conflict",
          "The webhook is paused: nothing would be sent. Turn it on first: PUT /webhooks/{id} {enabled: true}",
        );
      }
      await tx.run(sql`
        update webhook_delivery set status = 'waiting', failures = 0, next_attempt = ${new Date(now)}
        where id = ${deliveryId}`);
      await auditWebhook(tx, who, {
        now,
        action: "webhook.resent",
        subject: webhook.id,
        detail: { delivery: deliveryId },
      });
      return viewWhole(await deliveryById(tx, webhook.id, deliveryId));
    });
  },
});

const testReply = z.object({
  delivered: z.boolean(),
  message: z.string().describe("The result in words"),
  delivery: deliveryView,
});

const test = endpoint({
  method: "POST",
  path: "/webhooks/:id/test",
  access: "basic",
  summary: "Sends a test.ping now, whatever events the webhook asks for, and answers how it went",
  description:
    "It is tried once. A paused webhook can be tested too. At most 10 a minute. When there is no answer, this one comes " +
    "after 20 seconds.",
  ids: { id: "webhook" },
  params: oneWebhook,
  reply: testReply,
  async handle({ who, params }, deps) {
    const { outcome, deliveryId } = await ping(deps, who, params.id);
    const delivery = viewDelivery(await deliveryById(deps.db, params.id, deliveryId));
    const message = outcome.reason ?? `The receiver answered ${outcome.responseStatus}: it works.`;
    return { delivered: outcome.delivered, message, delivery };
  },
});

const pingsPerMinuteMax = 10;
const cutOff = "The server stopped before an answer had come.";

async function ping(deps: Deps, who: Caller, webhookId: string) {
  const { db, clock } = deps;
  const now = clock.now();
  const deliveryId = newId(now);
  const body = bodyOf("test.ping", { account: who.accountId, webhook: { _id: webhookId } }, now);
  const { accountId, url } = await db.transaction(async (tx) => {
    const webhook = await ownWebhook(tx, who, webhookId, { lock: true });
    await assertFewPings(tx, webhookId, now);
    await tx.run(sql`
      insert into webhook_delivery (id, webhook_id, event, body, created, status, reason)
      values (${deliveryId}, ${webhookId}, 'test.ping', ${body}, ${new Date(now)}, 'failed', ${cutOff})`);
    return webhook;
  });
  const outcome = await evenTime(
    timeoutMs,
    () => post(deps, { id: deliveryId, webhookId, accountId, url, body }),
    ({ isUnanswered }) => isUnanswered,
  );
  const status = outcome.delivered ? "delivered" : "failed";
  const failures = outcome.delivered ? 0 : 1;
  await db.transaction((tx) => writeOutcome(tx, { id: deliveryId, status, failures, next: null }, outcome));
  return { outcome, deliveryId };
}

/** A ping is a request to whatever address its owner entered: nobody shall flood others by them. */
async function assertFewPings(db: Queryable, webhookId: string, now: number): Promise<void> {
  const { count } = await db.one<{ count: number }>(sql`
    select count(*) as count from webhook_delivery
    where webhook_id = ${webhookId} and event = 'test.ping' and created > ${new Date(now - 60_000)}`);
  if (count < pingsPerMinuteMax) return;
  throw new Problem(
    "too_many_requests",
    `A webhook can be tested ${pingsPerMinuteMax} times a minute; try again in a minute`,
    { retryAfterSeconds: 60 },
  );
}

/** Endpoints of deliveries, and of the ping. */
export const deliveryEndpoints: Endpoint[] = [listDeliveries, readDelivery, resend, test];
