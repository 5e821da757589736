import { type Db, sql } from "../platform/db.ts";
import { headsOf } from "./changes.ts";

/** Entries removed in one transaction: its part waits so long. */
const entriesAtOnce = 5_000;

/**
 * Removes entries of a part with an offset up to `upTo`, in small steps, and moves the mark of what may be gone. The
 * mark moves in the same transaction, so whoever reads entries and then finds the mark before their offset has missed
 * none. Returns how many entries were removed.
 */
export async function purgePart(db: Db, part: number, upTo: number, signal?: AbortSignal): Promise<number> {
  let removed = 0;
  while (signal?.aborted !== true) {
    const rows = await db.rows<{ off: number }>(
      sql`select off from chg where part = ${part} and off <= ${upTo} order by off limit ${entriesAtOnce}`,
    );
    const last = rows.at(-1)?.off;
    if (last === undefined) break;
    await db.transaction(async (tx) => {
      await tx.run(sql`update head set purged = greatest(purged, ${last}) where part = ${part}`);
      await tx.run(sql`delete from chg where part = ${part} and off <= ${last}`);
    });
    removed += rows.length;
  }
  return removed;
}

/** Removes entries of these parts that are older than an instant (epoch ms); see `purgePart`. */
export async function purgeChanges(
  db: Db,
  parts: readonly number[],
  { before, signal }: { before: number; signal: AbortSignal },
): Promise<number> {
  let removed = 0;
  for (const { part } of await headsOf(db, parts))
    removed += await purgePart(db, part, before * 1000, signal);
  return removed;
}
