import { any, sql, type Tx } from "../platform/db.ts";

/**
 * Takes meters away with all copies made of them and their statistics. Values are not touched: whoever erases takes
 * them away through the series store, in the same transaction. Returns the ids of root meters among them.
 */
export async function removeMeters(tx: Tx, ids: readonly string[]): Promise<string[]> {
  if (ids.length === 0) return [];
  const roots = await tx.rows<{ id: string; part: number }>(
    sql`select id, part from meter where id = ${any(ids)} and parent_id is null order by id for update`,
  );
  for (const [part, some] of [...Map.groupBy(roots, (row) => row.part)].sort(([a], [b]) => a - b)) {
    await tx.run(
      sql`delete from meter_stat where part = ${part} and meter_id = ${any(some.map((row) => row.id))}`,
    );
  }
  // Whoever holds a copy made of a meter that goes loses it.
  await tx.run(sql`
    with recursive down as (
      select id, holder_id, revoked from meter where parent_id = ${any(ids)}
      union
      select m.id, m.holder_id, m.revoked from down join meter m on m.parent_id = down.id
    )
    insert into meter_news (account_id, meter_id, kind)
    select holder_id, id, 'lost' from down where not revoked and not id = ${any(ids)}`);
  await tx.run(sql`delete from meter where id = ${any(ids)}`);
  return roots.map((row) => row.id);
}
