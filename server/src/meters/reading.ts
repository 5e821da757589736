import type { Prepared, Queryable, Sql } from "../platform/db.ts";
import { any, sql } from "../platform/db.ts";
import type { Box, MeterType, Representation } from "./reference.ts";

/** What whoever reads values needs to know of a meter. */
export interface ReadingMeter {
  /** The reference that was found: the caller's own, or the root meter for open data. */
  id: string;
  rootId: string;
  holderId: string;
  part: number;
  timezone: string;
  type: MeterType;
  metrics: string[];
  box: Box;
  revoked: boolean;
  ean: string | null;
}

/** What became of one id. */
export type Resolved =
  | { outcome: "found"; meter: ReadingMeter }
  | { outcome: "forbidden"; meter: ReadingMeter; reason: string }
  | { outcome: "not_found" };

const readingColumns = `m.id, m.root_id as "rootId", m.holder_id as "holderId", m.part, m.timezone, m.type, m.metrics,
  m.box, m.revoked, m.ean`;

interface Candidate extends ReadingMeter {
  n: number;
  open: boolean;
}

/** Own references by own id and by root id, and root meters in open channels: three index look-ups per id. */
function resolveStatement(accountId: string | null, ids: readonly string[]): Prepared {
  const own = `select ${readingColumns}, false as open, m.generation, m.created from meter m`;
  const open = `select ${readingColumns}, true as open, m.generation, m.created from meter m`;
  return {
    name: "meters-resolve",
    text: `
      select asked.n::int4 as n, found.* from unnest($1::text[]) with ordinality as asked (id, n)
      cross join lateral (
        ${own} where m.id = asked.id and m.holder_id = $2
        union all
        ${own} where m.root_id = asked.id and m.holder_id = $2 and m.id <> asked.id
        union all
        ${open} where m.id = asked.id and m.parent_id is null and m.open_channel_ids <> '{}'
      ) as found
      order by asked.n, found.open, (found.id = asked.id) desc, found.revoked, found.generation, found.created, found.id`,
    values: [ids, accountId],
  };
}

/**
 * Who may read the values of which meters, in one query; answers one outcome per id, in order. An id is the caller's
 * own reference or its root meter; without a caller only meters in open channels are found. Values may be read of a
 * meter in the box active or temporary that is not revoked.
 */
export async function resolveForReading(
  db: Queryable,
  caller: { accountId: string } | null,
  ids: readonly string[],
): Promise<Resolved[]> {
  const rows = await db.rows<Candidate>(resolveStatement(caller?.accountId ?? null, ids));
  const candidates = Map.groupBy(rows, (row) => row.n);
  return ids.map((_, index) => {
    const found = candidates.get(index + 1) ?? [];
    const own = found.find((one) => !one.open);
    const reason = own === undefined ? "" : refusal(own);
    if (own !== undefined && reason === null) return { outcome: "found", meter: bare(own) };
    const open = found.find((one) => one.open && refusal(one) === null);
    if (open !== undefined) return { outcome: "found", meter: bare(open) };
    return own === undefined || reason === null
      ? { outcome: "not_found" }
      : { outcome: "forbidden", meter: bare(own), reason };
  });
}

function bare({
  id,
  rootId,
  holderId,
  part,
  timezone,
  type,
  metrics,
  box,
  revoked,
  ean,
}: Candidate): ReadingMeter {
  return { id, rootId, holderId, part, timezone, type, metrics, box, revoked, ean };
}

/** Why values of a meter may not be read now, with the remedy; null when they may. */
function refusal(meter: Pick<ReadingMeter, "box" | "revoked">): string | null {
  if (meter.revoked) return "Access to this meter was withdrawn by the account that shared it";
  if (meter.box === "active" || meter.box === "temporary") return null;
  return `The meter is in the box ${meter.box}; move it to active to read its values`;
}

/**
 * The meters of one holder that a subquery names, with the subquery's other columns: for slices above that keep
 * references to meters. `source` selects `meter_id` and whatever else; `Extra` is its type.
 */
export async function readingMeters<Extra>(
  db: Queryable,
  holderId: string,
  source: Sql,
): Promise<(ReadingMeter & Extra)[]> {
  return db.rows(sql`
    select source.*, m.id, m.root_id as "rootId", m.holder_id as "holderId", m.part, m.timezone, m.type, m.metrics,
      m.box, m.revoked, m.ean
    from (${source}) as source join meter m on m.id = source.meter_id
    where m.holder_id = ${holderId}`);
}

/** A root meter with everything about it. */
export interface RootMeter {
  id: string;
  holderId: string;
  part: number;
  timezone: string;
  type: MeterType;
  metrics: string[];
  ean: string | null;
  expectedGranularity: string | null;
}

const rootColumns = sql`m.id, m.holder_id as "holderId", m.part, m.timezone, m.type, m.metrics, m.ean,
  m.expected_granularity as "expectedGranularity"`;

/** Root meters by id, whoever holds them; unknown ids are left out. */
export async function rootMeters(db: Queryable, ids: readonly string[]): Promise<RootMeter[]> {
  return db.rows(
    sql`select ${rootColumns} from meter m where m.id = ${any(ids)} and m.parent_id is null order by m.id`,
  );
}

/** Root meters that an account may read now: behind its active references that are not revoked, each once. */
export async function visibleRoots(db: Queryable, accountId: string): Promise<RootMeter[]> {
  return db.rows(sql`
    select ${rootColumns} from meter m where m.id in
      (select root_id from meter where holder_id = ${accountId} and box = 'active' and not revoked)
    order by m.id`);
}

/** Root meters that an account holds itself: the ones that it may erase. */
export async function heldRoots(db: Queryable, accountId: string): Promise<RootMeter[]> {
  return db.rows(
    sql`select ${rootColumns} from meter m where m.holder_id = ${accountId} and m.parent_id is null order by m.id`,
  );
}

/** A root meter or a copy of one at a metering point, as one of its holders has it. */
export interface MeterAtPoint extends Omit<RootMeter, "expectedGranularity" | "metrics"> {
  ean: string;
  rootId: string;
  representation: Representation | null;
}

/** Meters that some accounts have at metering points, copies too, oldest first; revoked ones are left out. */
export async function metersAtPoints(
  db: Queryable,
  holderIds: readonly string[],
  eans: readonly string[],
): Promise<MeterAtPoint[]> {
  return db.rows(sql`
    select m.id, m.root_id as "rootId", m.holder_id as "holderId", m.part, m.timezone, m.type, m.ean, m.representation
    from meter m where m.holder_id = ${any(holderIds)} and m.ean = ${any(eans)} and not m.revoked
    order by m.created, m.id`);
}

/** Parts that hold the values of meters of an account, whatever it may read of them now. */
export async function partsHeld(db: Queryable, accountId: string): Promise<number[]> {
  const rows = await db.rows<{ part: number }>(
    sql`select distinct part from meter where holder_id = ${accountId} order by part`,
  );
  return rows.map((row) => row.part);
}
