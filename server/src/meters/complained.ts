import { any, type Queryable, sql, type Tx } from "../platform/db.ts";
import { holdRoots } from "./share.ts";

/** What those who follow missing values up need to know of meters, and what meters show of it. */

/** An account's own reference to a root meter whose values it may read. */
export interface ActiveReference {
  id: string;
  rootId: string;
}

/**
 * References of an account in the box active, the one nearest to the root for each root meter, in the order in which
 * lists show them. At most `limit`.
 */
export async function activeReferences(
  db: Queryable,
  accountId: string,
  limit: number,
): Promise<ActiveReference[]> {
  return db.rows(sql`
    select id, root_id as "rootId" from (
      select distinct on (m.root_id) m.id, m.root_id, m.created from meter m
      where m.holder_id = ${accountId} and m.box = 'active' and not m.revoked
      order by m.root_id, m.generation, m.created, m.id) as found
    order by created, id limit ${limit}`);
}

/** Which of these references are in the box active, and not revoked. */
export async function stillActive(db: Queryable, ids: readonly string[]): Promise<Set<string>> {
  const rows = await db.rows<{ id: string }>(sql`
    select id from meter where id = ${any(ids)} and box = 'active' and not revoked`);
  return new Set(rows.map((row) => row.id));
}

/** Ids of root meters that somebody wants values of (see `wantedRoots`), behind an id, in their order. */
export async function wantedAfter(db: Queryable, after: string, limit: number): Promise<string[]> {
  const rows = await db.rows<{ id: string }>(sql`
    select r.id from meter r where r.parent_id is null and r.box <> 'ignored' and r.id > ${after}
      and exists (select from meter m where m.root_id = r.id and m.box = 'active' and not m.revoked)
    order by r.id limit ${limit}`);
  return rows.map((row) => row.id);
}

/**
 * Says which meters have open complaints, of all that share these root meters: exactly those that `complained` finds
 * while nobody else can say it. A root meter among them shows it in every copy.
 */
export async function setComplained(
  tx: Tx,
  rootIds: readonly string[],
  complained: () => Promise<string[]>,
): Promise<void> {
  if (rootIds.length === 0) return;
  await holdRoots(tx, rootIds);
  const ids = await complained();
  const has = sql`(id = ${any(ids)} or root_id = ${any(ids)})`;
  await tx.run(sql`
    update meter set has_active_complaints = ${has}
    where root_id = ${any(rootIds)} and has_active_complaints <> ${has}`);
}
