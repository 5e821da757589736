import { type Queryable, sql, type Tx } from "../platform/db.ts";

export { purgeChanges, purgePart } from "./purge.ts";

/**
 * The ordered log of what changed, per part. An entry names a run of slots, not values: a reader takes those from
 * the block, so a value that changed twice is read once, as it is now.
 *
 * Order: every writer of a part locks its head row and holds it until the commit, and draws its offsets from it, so
 * within a part order of offsets is order of commits. Over several parts there is none: a reader keeps an offset per part.
 */
export interface Change {
  part: number;
  /** Microseconds since 1970, strictly increasing in a part, below 2^53. */
  off: number;
  seriesId: number;
  /** Code of the granularity. */
  gran: number;
  period: number;
  slot: number;
  /** How many slots from `slot` on. */
  n: number;
  /** An earlier value was replaced or removed. */
  replaced: boolean;
}

/** A change that has no offset yet. */
export type NewChange = Omit<Change, "part" | "off">;

const insertRows = 1_000;

/**
 * Locks the head of a part until the end of the transaction and returns its offset. Whoever needs several parts
 * locks them in ascending order, or meets a deadlock.
 */
export async function lockPart(tx: Tx, part: number): Promise<number> {
  const lock = {
    name: "changes-lock",
    text: "select off from head where part = $1 for update",
    values: [part],
  };
  const found = await tx.maybe<{ off: number }>(lock);
  if (found !== undefined) return found.off;
  await tx.run(sql`insert into head (part, off) values (${part}, 0) on conflict (part) do nothing`);
  return (await tx.one<{ off: number }>(lock)).off;
}

/**
 * Waits for the writers of all parts and lets no new one begin until the end of the transaction; readers go on. Only
 * the owner of the tables may.
 */
export async function holdWriters(tx: Tx): Promise<void> {
  await tx.run(sql`lock table head in exclusive mode`);
}

/**
 * Appends changes to a part whose head the transaction has locked at `head`. Offsets follow the clock and never
 * fall behind what was given out before. Returns the new head.
 */
export async function append(
  tx: Tx,
  at: { part: number; head: number; now: number },
  changes: readonly NewChange[],
): Promise<number> {
  const head = Math.max(at.head + Math.max(changes.length, 1), at.now * 1000);
  let off = head - changes.length + 1;
  for (let from = 0; from < changes.length; from += insertRows) {
    const rows = changes.slice(from, from + insertRows);
    await tx.run({
      text: `insert into chg (part, off, series_id, gran, period, slot, n, flags)
             select $1, * from unnest($2::int8[], $3::int8[], $4::int2[], $5::int4[], $6::int2[], $7::int2[], $8::int2[])`,
      name: "changes-append",
      values: [
        at.part,
        rows.map(() => off++),
        rows.map((row) => row.seriesId),
        rows.map((row) => row.gran),
        rows.map((row) => row.period),
        rows.map((row) => row.slot),
        rows.map((row) => row.n),
        rows.map((row) => (row.replaced ? 1 : 0)),
      ],
    });
  }
  await tx.run({
    name: "changes-head",
    text: "update head set off = $2 where part = $1",
    values: [at.part, head],
  });
  return head;
}

/**
 * Lifts the heads of these parts to now, in ascending order. After a restore: offsets that were given out between the
 * backup and the loss of the original are never given out again for something else.
 */
export async function liftHeads(tx: Queryable, parts: readonly number[], now: number): Promise<void> {
  for (const part of parts.toSorted((a, b) => a - b)) {
    await tx.run(sql`update head set off = greatest(off, ${now * 1000}) where part = ${part}`);
  }
}

/** How far the log of a part goes. */
export interface Head {
  part: number;
  /** Offset of the last commit. Whatever is committed later in this part has a greater one. */
  off: number;
  /** Entries up to here may be gone. */
  purged: number;
}

/**
 * Heads of parts, as committed. A part that nothing was ever written to has none.
 *
 * Why a reader needs no more: writers hold the head until they commit, so every entry up to `off` is visible to
 * statements that begin after this one, and no later commit draws an offset up to it.
 */
export async function headsOf(db: Queryable, parts: readonly number[]): Promise<Head[]> {
  if (parts.length === 0) return [];
  return db.rows<Head>({
    name: "changes-heads",
    text: "select part, off, purged from head where part = any($1::int4[])",
    values: [parts],
  });
}

/** Entries of one part with an offset in (after, upTo], in order, at most `limit`. */
export async function entriesAfter(
  db: Queryable,
  { part, after, upTo, limit }: { part: number; after: number; upTo: number; limit: number },
): Promise<Change[]> {
  const rows = await db.rows<
    Omit<Change, "part" | "seriesId" | "replaced"> & { series_id: number; flags: number }
  >({
    name: "changes-entries",
    text: `select off, series_id, gran, period, slot, n, flags from chg
           where part = $1 and off > $2 and off <= $3 order by off limit $4`,
    values: [part, after, upTo, limit],
  });
  return rows.map(({ series_id, flags, ...row }) => ({
    ...row,
    part,
    seriesId: series_id,
    replaced: (flags & 1) === 1,
  }));
}
