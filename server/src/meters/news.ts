import { any, sql, type Tx } from "../platform/db.ts";

/**
 * What accounts got and lost. A row is written in the transaction of the meters, and taken out in that of whoever tells
 * it. So each is told exactly once, whatever the order of commits: there is no cursor that a late one could lie behind.
 */
export interface MeterNews {
  accountId: string;
  /** The account's own reference. */
  meterId: string;
  kind: "found" | "lost";
  /** When it happened, epoch ms. */
  at: number;
  /** The meter as it is now; null when it is gone altogether. */
  meter: { rootId: string; ean: string | null; type: string; part: number; revoked: boolean } | null;
}

/** Notes what the holders of these meters got or lost. */
export async function addNews(
  tx: Tx,
  now: number,
  news: readonly { meterId: string; kind: MeterNews["kind"] }[],
): Promise<void> {
  if (news.length === 0) return;
  await tx.run(sql`
    insert into meter_news (account_id, meter_id, kind, at)
    select m.holder_id, m.id, news.kind, ${new Date(now)}
    from unnest(${news.map(({ meterId }) => meterId)}::text[], ${news.map(({ kind }) => kind)}::text[])
      as news (meter_id, kind) join meter m on m.id = news.meter_id`);
}

/**
 * Takes the oldest news out, at most `limit`; they are back when the transaction is rolled back. Several may take at
 * once: each gets other ones.
 */
export async function takeNews(tx: Tx, limit: number): Promise<MeterNews[]> {
  const taken = await tx.rows<{
    id: number;
    accountId: string;
    meterId: string;
    kind: string;
    at: number;
  }>(sql`
    delete from meter_news where id in (select id from meter_news order by id limit ${limit} for update skip locked)
    returning id, account_id as "accountId", meter_id as "meterId", kind, (extract(epoch from at) * 1000)::float8 as at`);
  const meters = await tx.rows<NonNullable<MeterNews["meter"]> & { id: string }>(sql`
    select id, root_id as "rootId", ean, type, part, revoked from meter
    where id = ${any(taken.map((row) => row.meterId))}`);
  const byId = new Map(meters.map(({ id, ...meter }) => [id, meter]));
  return taken
    .sort((a, b) => a.id - b.id)
    .map(({ accountId, meterId, kind, at }) => ({
      accountId,
      meterId,
      kind: kind as MeterNews["kind"],
      at,
      meter: byId.get(meterId) ?? null,
    }));
}
