import { headsOf } from "../changes/changes.ts";
import { partsHeld } from "../meters/meters.ts";
import { sql, type Tx } from "../platform/db.ts";

/**
 * Which parts of the log of changes a webhook follows, and how far it has told them. A row per part that holds values of
 * a meter of its account: those of the first day are noted with the webhook, later ones with the news of meters.
 */

/**
 * A change may lie before the moment at which it was committed, by the length of its transaction and a microsecond per
 * entry. Where no better is known, a part is followed from so long before: rather a change too many than one too few.
 */
const lateMsMax = 600_000;

/** The offset from which on everything that is committed at `at` (epoch ms) or later is found. */
export const offsetBefore = (at: number) => Math.max(0, Math.floor((at - lateMsMax) * 1000));

/** Follows the parts of all present meters of an account from now on, in the transaction that makes it a wish. */
export async function beginToFollow(
  tx: Tx,
  webhook: { id: string; accountId: string; now: number },
): Promise<void> {
  const parts = await partsHeld(tx, webhook.accountId);
  const heads = new Map((await headsOf(tx, parts)).map(({ part, off }) => [part, off]));
  await addParts(tx, webhook.id, new Map(parts.map((part) => [part, heads.get(part) ?? 0])));
  await tx.run(sql`update webhook set data_since = ${new Date(webhook.now)} where id = ${webhook.id}`);
}

/** Follows nothing any more. */
export async function endToFollow(tx: Tx, webhookId: string): Promise<void> {
  await tx.run(sql`delete from webhook_part where webhook_id = ${webhookId}`);
  await tx.run(sql`update webhook set data_since = null where id = ${webhookId}`);
}

/**
 * Adds the parts of meters that came while `beginToFollow` was at work: they may have been told before the webhook could
 * be seen. Needed once, after its commit.
 */
export async function followLateParts(tx: Tx, webhook: { id: string; accountId: string }): Promise<void> {
  const held = await tx.maybe<{ since: number }>(sql`
    select (extract(epoch from data_since) * 1000)::float8 as since from webhook
    where id = ${webhook.id} and data_since is not null for no key update`);
  if (held === undefined) return;
  const parts = await partsHeld(tx, webhook.accountId);
  await addParts(tx, webhook.id, new Map(parts.map((part) => [part, offsetBefore(held.since)])));
  await tx.run(sql`update webhook set data_since = null where id = ${webhook.id}`);
}

async function addParts(tx: Tx, webhookId: string, offsets: ReadonlyMap<number, number>): Promise<void> {
  await tx.run(sql`
    insert into webhook_part (webhook_id, part, off)
    select ${webhookId}, part, off
    from unnest(${[...offsets.keys()]}::int4[], ${[...offsets.values()]}::int8[]) as found (part, off)
    on conflict do nothing`);
}
