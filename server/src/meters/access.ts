import { type Queryable, type Sql, sql, type Tx } from "../platform/db.ts";

/**
 * What an account may read now, for those who keep a list of it: streams. A list is compared only when the count of
 * changes moved, so asking again costs the same however many meters there are.
 */

/** Rows of one account are folded into one from so many on. */
const rowsMax = 32;

/** Counts a change of what these accounts may read, in the transaction that makes it. */
export async function countAccess(tx: Tx, accountIds: readonly string[]): Promise<void> {
  if (accountIds.length === 0) return;
  await tx.run(
    sql`insert into meter_access (account_id, n) select id, 1 from unnest(${[...new Set(accountIds)]}::text[]) as id`,
  );
}

/**
 * How often what an account may read has changed. A list that is read after this holds at least what the count
 * stands for; equal counts mean that nothing changed in between.
 */
export async function accessCount(db: Queryable, accountId: string): Promise<number> {
  const { count, rows } = await db.one<{ count: number; rows: number }>({
    name: "meters-access",
    text: `select coalesce(sum(n), 0)::int8 as count, count(*) as rows from meter_access where account_id = $1`,
    values: [accountId],
  });
  if (rows > rowsMax) {
    await db.run(sql`
      with gone as (delete from meter_access where account_id = ${accountId} returning n)
      insert into meter_access (account_id, n) select ${accountId}, sum(n) from gone having count(*) > 0`);
  }
  return count;
}

/** A root meter that an account may read. */
export interface ReadableRoot {
  rootId: string;
  part: number;
  /** Differs when a reference to it became readable since. */
  entered: number;
}

const readable = sql`select m.root_id, m.part, max(m.entered) as entered from meter m`;

/** Root meters that an account may read, in the order of part and id, behind a place in it. */
export async function readableAfter(
  db: Queryable,
  accountId: string,
  { part, rootId, limit }: { part: number; rootId: string; limit: number },
): Promise<ReadableRoot[]> {
  return db.rows(sql`
    select root_id as "rootId", part, entered from (
      ${readable} where m.holder_id = ${accountId} and m.box = 'active' and not m.revoked
        and (m.part, m.root_id) > (${part}::int, ${rootId}::text)
      group by m.part, m.root_id order by m.part, m.root_id limit ${limit}) as found
    order by part, root_id`);
}

/**
 * Compares what an account may read with a list. `known` selects `root_id` and `entered` of it; `upTo` leaves out
 * what comes later in the order of part and id.
 */
export async function compareReadable(
  db: Queryable,
  accountId: string,
  { known, upTo }: { known: Sql; upTo: { part: number; rootId: string } | null },
): Promise<{ gone: string[]; entered: ReadableRoot[] }> {
  const within =
    upTo === null ? sql`true` : sql`(m.part, m.root_id) <= (${upTo.part}::int, ${upTo.rootId}::text)`;
  const rows = await db.rows<ReadableRoot & { gone: boolean }>(sql`
    select coalesce(now.root_id, was.root_id) as "rootId", now.part, now.entered, now.root_id is null as gone
    from (${readable} where m.holder_id = ${accountId} and m.box = 'active' and not m.revoked and ${within}
          group by m.part, m.root_id) as now
    full join (${known}) as was on was.root_id = now.root_id
    where was.entered is distinct from now.entered
    order by now.part, now.root_id`);
  return {
    gone: rows.filter((row) => row.gone).map((row) => row.rootId),
    entered: rows.filter((row) => !row.gone),
  };
}

/** A root meter as an account has it: by its reference nearest to the root. */
export interface SeenRoot {
  /** The account's own reference. */
  id: string;
  rootId: string;
  ean: string | null;
  timezone: string;
}

/** Which of these root meters an account may read at this moment, by root id. */
export async function seenRoots(
  db: Queryable,
  accountId: string,
  rootIds: readonly string[],
): Promise<Map<string, SeenRoot>> {
  if (rootIds.length === 0) return new Map();
  const rows = await db.rows<SeenRoot>({
    name: "meters-seen",
    text: `select distinct on (m.root_id) m.id, m.root_id as "rootId", m.ean, m.timezone from meter m
           where m.holder_id = $1 and m.root_id = any($2::text[]) and m.box = 'active' and not m.revoked
           order by m.root_id, m.generation, m.created, m.id`,
    values: [accountId, rootIds],
  });
  return new Map(rows.map((row) => [row.rootId, row]));
}
