import { sql, type Tx } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { newId } from "../platform/id.ts";
import { formatTimestamp } from "../platform/time/timestamp.ts";
import { type EventData, type EventType, eventData } from "./event.ts";

/** Something that happened in an account. */
export interface Emitted<Type extends EventType> {
  accountId: string;
  event: Type;
  /** Without the account, which is added. */
  data: EventData<Type>;
}

/**
 * Tells the webhooks of an account that ask for this event: one delivery each, stored in the caller's transaction, so
 * that an event is told exactly when what it tells is true. Receivers get it at least once.
 */
export async function emit<Type extends EventType>(
  tx: Tx,
  { clock }: Pick<Deps, "clock">,
  { accountId, event, data }: Emitted<Type>,
): Promise<void> {
  // Held, or a webhook that is deleted meanwhile would make the caller's transaction fail.
  const webhooks = await tx.rows<{ id: string }>(sql`
    select id from webhook where account_id = ${accountId} and ${event} = any(events) order by id for key share`);
  if (webhooks.length === 0) return;
  const now = clock.now();
  const body = bodyOf(event, { account: accountId, ...data }, now);
  await insertDeliveries(
    tx,
    webhooks.map(({ id }) => ({ id: newId(now), webhookId: id, event, body })),
    now,
  );
}

/** The text that is signed and sent. Throws when the data does not fit the schema of the event. */
export function bodyOf(event: EventType, data: object, now: number): string {
  return JSON.stringify({ type: event, timestamp: formatTimestamp(now), data: eventData[event].parse(data) });
}

/** A delivery to store. */
export interface NewDelivery {
  id: string;
  webhookId: string;
  event: EventType;
  body: string;
}

/** Stores deliveries that are due now. */
export async function insertDeliveries(
  tx: Tx,
  deliveries: readonly NewDelivery[],
  now: number,
): Promise<void> {
  const at = new Date(now);
  await tx.run(sql`
    insert into webhook_delivery (id, webhook_id, event, body, created, status, next_attempt)
    select made.id, made.webhook_id, made.event, made.body, ${at}, 'waiting', ${at}
    from unnest(${deliveries.map(({ id }) => id)}::text[], ${deliveries.map(({ webhookId }) => webhookId)}::text[],
                ${deliveries.map(({ event }) => event)}::text[], ${deliveries.map(({ body }) => body)}::text[])
      as made (id, webhook_id, event, body)`);
}
