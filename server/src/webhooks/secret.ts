import { Webhook as Signer } from "standardwebhooks";
import { any, type Queryable, sql, type Tx } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { newId } from "../platform/id.ts";
import { newSecret } from "../platform/token.ts";

/** A secret that signs at present, without its text. Times are epoch ms. */
export interface Secret {
  id: string;
  created: number;
  /** Signs until then; null for the newest. */
  expires: number | null;
}

const secretBytes = 32;
const placeOf = (id: string) => ({ table: "webhook_secret", row: id, column: "sealed" });

/** A secret made for a webhook: the only time that its text is known. */
export interface NewSecret extends Secret {
  /** `whsec_` and base64, as the Standard Webhooks specification writes it. */
  text: string;
}

/** Makes a secret that signs from now on. */
export async function createSecret(
  tx: Tx,
  keys: Deps["keys"],
  of: { accountId: string; webhookId: string; now: number },
): Promise<NewSecret> {
  const text = `whsec_${Buffer.from(newSecret(secretBytes), "hex").toString("base64")}`;
  const id = newId(of.now);
  const sealed = await keys.seal(tx, of.accountId, text, placeOf(id));
  await tx.run(sql`
    insert into webhook_secret (id, webhook_id, sealed, created)
    values (${id}, ${of.webhookId}, ${sealed}, ${new Date(of.now)})`);
  return { id, created: of.now, expires: null, text };
}

/** Secrets of webhooks that sign at `now`, the newest first. */
export async function liveSecrets(
  db: Queryable,
  webhookIds: readonly string[],
  now: number,
): Promise<Map<string, Secret[]>> {
  const rows = await db.rows<Secret & { webhook_id: string }>(sql`
    select id, webhook_id, (extract(epoch from created) * 1000)::float8 as created,
      (extract(epoch from expires) * 1000)::float8 as expires
    from webhook_secret
    where webhook_id = ${any(webhookIds)} and (expires is null or expires > ${new Date(now)})
    order by webhook_secret.expires desc nulls first, webhook_secret.created desc, id desc`);
  return Map.groupBy(rows, (row) => row.webhook_id);
}

/** Lets the secrets of a webhook sign until `expires` only, and removes those that had ended before. */
export async function endSecrets(
  tx: Tx,
  webhookId: string,
  { now, expires }: { now: number; expires: number },
): Promise<void> {
  await tx.run(sql`
    delete from webhook_secret where webhook_id = ${webhookId} and (expires <= ${new Date(now)} or ${expires <= now})`);
  await tx.run(
    sql`update webhook_secret set expires = ${new Date(expires)} where webhook_id = ${webhookId} and expires is null`,
  );
}

/** What is signed: the id of the delivery, the time of the attempt in epoch ms, and the body as it is sent. */
export interface Signed {
  id: string;
  at: number;
  body: string;
}

/**
 * The headers of the Standard Webhooks specification: one signature by each live secret, so that receivers with the
 * old and with the new one both accept. Throws when the account's key is gone.
 */
export async function signatureHeaders(
  { db, keys }: Pick<Deps, "db" | "keys">,
  webhook: { id: string; accountId: string },
  signed: Signed,
): Promise<Record<string, string>> {
  const rows = await db.rows<{ id: string; sealed: Buffer }>(sql`
    select id, sealed from webhook_secret
    where webhook_id = ${webhook.id} and (expires is null or expires > ${new Date(signed.at)})
    order by expires desc nulls first, created desc, id desc`);
  if (rows.length === 0) throw new Error(`webhook ${webhook.id} has no secret`);
  const signatures: string[] = [];
  for (const { id, sealed } of rows) {
    const secret = await keys.open(db, webhook.accountId, sealed, placeOf(id));
    signatures.push(new Signer(secret).sign(signed.id, new Date(signed.at), signed.body));
  }
  return {
    "webhook-id": signed.id,
    "webhook-timestamp": String(Math.floor(signed.at / 1000)),
    "webhook-signature": signatures.join(" "),
  };
}
