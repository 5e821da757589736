import { any, type Queryable, sql, type Tx } from "../platform/db.ts";
import type { MeterType, Representation } from "./reference.ts";

/** What those who fetch values need to know of boxes: which meters somebody wants, and which were just activated. */

/**
 * Which of these root meters are to be collected: somebody keeps one in the box active, and the holder of the root has
 * not put it away. A manager who activates its copy thereby asks for the meter of its subaccount.
 */
export async function wantedRoots(db: Queryable, rootIds: readonly string[]): Promise<Set<string>> {
  if (rootIds.length === 0) return new Set();
  const rows = await db.rows<{ id: string }>(sql`
    select r.id from meter r where r.id = ${any(rootIds)} and r.parent_id is null and r.box <> 'ignored'
      and exists (select from meter m where m.root_id = r.id and m.box = 'active' and not m.revoked)`);
  return new Set(rows.map((row) => row.id));
}

/** Notes root meters that somebody has moved to the box active, for whoever fetches their values. */
export async function addActivated(tx: Tx, meterIds: readonly string[]): Promise<void> {
  await tx.run(sql`
    insert into meter_activated (root_id) select distinct root_id from meter where id = ${any(meterIds)}`);
}

/** Takes the oldest notes out, at most `limit`; they are back when the transaction is rolled back. */
export async function takeActivated(tx: Tx, limit: number): Promise<string[]> {
  const rows = await tx.rows<{ root_id: string }>(sql`
    delete from meter_activated where id in
      (select id from meter_activated order by id limit ${limit} for update skip locked)
    returning root_id`);
  return rows.map((row) => row.root_id);
}

/** A reference in the inbox of an account: its own root meter, or the copy of one. */
export interface InboxMeter {
  id: string;
  rootId: string;
  rootHolderId: string;
  ean: string | null;
  name: string | null;
  address: string | null;
  tags: string[];
  type: MeterType;
  representation: Representation | null;
}

const inboxColumns = sql`m.id, m.root_id as "rootId", m.root_holder_id as "rootHolderId", m.ean, m.name, m.address,
  m.tags, m.type, m.representation`;

/** What an account has in its inbox, in the order of ids, behind an id. */
export async function inboxAfter(
  db: Queryable,
  accountId: string,
  { after, limit }: { after: string; limit: number },
): Promise<InboxMeter[]> {
  return db.rows(sql`
    select ${inboxColumns} from meter m
    where m.holder_id = ${accountId} and m.box = 'inbox' and not m.revoked and m.id > ${after}
    order by m.id limit ${limit}`);
}

/** References of an account to root meters that lie in its inbox. */
export async function inboxOf(
  db: Queryable,
  accountId: string,
  rootIds: readonly string[],
): Promise<InboxMeter[]> {
  return db.rows(sql`
    select ${inboxColumns} from meter m
    where m.holder_id = ${accountId} and m.root_id = ${any(rootIds)} and m.box = 'inbox' and not m.revoked
    order by m.id`);
}
