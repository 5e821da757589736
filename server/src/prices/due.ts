import { type Change, entriesAfter, headsOf, lockPart } from "../changes/changes.ts";
import { rootMeters } from "../meters/meters.ts";
import { any, type Db, sql, type Tx } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { metrics, seriesById, startsOf } from "../series/series.ts";
import { monthAt, monthStart } from "./days.ts";

/** Months (since 1970) of a meter that must be calculated again, both included. */
export interface DueMonths {
  meterId: string;
  from: number;
  to: number;
}

/** Changes read in one transaction, and meters whose month ended. */
const changesAtOnce = 5_000;
const metersAtOnce = 1_000;
const dayMs = 86_400_000;

/**
 * Begins to follow a root meter: from the commit on, changes of its consumption make its months due. Holds the row of
 * the meter until then, so that its calculated metrics change one after the other.
 */
export async function follow(
  tx: Tx,
  meter: { rootId: string; part: number; timezone: string },
  now: number,
): Promise<void> {
  const ends = new Date(monthStart(meter.timezone, monthAt(meter.timezone, now) + 1));
  await tx.run(sql`
    insert into calculation (meter_id, part, month_ends) values (${meter.rootId}, ${meter.part}, ${ends})
    on conflict (meter_id) do nothing`);
  await tx.one(sql`select meter_id from calculation where meter_id = ${meter.rootId} for update`);
  const known = await tx.maybe(sql`select 1 as one from calculation_cursor where of_part = ${meter.part}`);
  if (known !== undefined) return;
  // Whoever commits after this transaction appends behind this offset; what was committed before, it sees.
  const head = await lockPart(tx, meter.part);
  await tx.run(sql`
    insert into calculation_cursor (of_part, off) values (${meter.part}, ${head})
    on conflict (of_part) do nothing`);
}

/** Marks months as due. Rows are taken in one order, so that two transactions never wait for each other. */
export async function markDue(tx: Tx, due: readonly DueMonths[]): Promise<void> {
  if (due.length === 0) return;
  await tx.run(sql`
    with held as (select meter_id from calculation where meter_id = ${any(due.map((each) => each.meterId))}
                  order by meter_id for update)
    update calculation c
    set due_from = least(c.due_from, d.first_month), due_to = greatest(c.due_to, d.last_month)
    from held join (
      select id, min(first_month) as first_month, max(last_month) as last_month
      from unnest(${due.map((each) => each.meterId)}::text[], ${due.map((each) => each.from)}::int4[],
                  ${due.map((each) => each.to)}::int4[]) as given (id, first_month, last_month)
      group by id) d on d.id = held.meter_id
    where c.meter_id = held.meter_id`);
}

/** Marks months of all meters whose costs are calculated with some models; without months: all that they hold for. */
export async function markModels(
  tx: Tx,
  modelIds: readonly string[],
  { now, first, last }: { now: number; first?: number; last?: number },
): Promise<void> {
  const rows = await tx.rows<{ meter_id: string; from_day: number; to_day: number | null }>(
    sql`select meter_id, from_day, to_day from calculated_metric where model_id = ${any(modelIds)}`,
  );
  // The calendar of the meter may be a day ahead or behind.
  const from = first === undefined ? undefined : monthAt("UTC", first - dayMs);
  const to = monthAt("UTC", (last ?? now) + dayMs);
  await markDue(
    tx,
    rows.map((row) => ({
      meterId: row.meter_id,
      ...monthsOf(row, now),
      ...(from === undefined ? {} : { from, to }),
    })),
  );
}

/** The months that days (the first, and the one after the last) lie in, until now when they are open. */
export function monthsOf(
  { from_day, to_day }: { from_day: number; to_day: number | null },
  now: number,
): { from: number; to: number } {
  const end = to_day === null ? now + dayMs : (to_day - 1) * dayMs;
  return { from: monthAt("UTC", from_day * dayMs), to: monthAt("UTC", end) };
}

/**
 * Reads the log of changes of each part that has followed meters, from where it stopped, and marks the months of what
 * changed. Marks and cursor move in one transaction, and there is a cursor per part: nothing is skipped, also while
 * writers commit out of order.
 */
export async function readChanges({ db }: Deps, signal: AbortSignal): Promise<void> {
  const cursors = await db.rows<Cursor>(
    sql`select of_part as part, off from calculation_cursor order by of_part`,
  );
  for (const { part, off } of cursors) {
    let after: number | null = off;
    while (after !== null) {
      signal.throwIfAborted();
      after = await readSome(db, { part, off: after });
    }
  }
}

interface Cursor {
  part: number;
  off: number;
}

/** Reads the next changes of a part; returns the offset to go on from, null at the end. */
async function readSome(db: Db, { part, off }: Cursor): Promise<number | null> {
  const [head] = await headsOf(db, [part]);
  if (head === undefined || head.off <= off) return null;
  return db.transaction(async (tx) => {
    const entries = await entriesAfter(tx, { part, after: off, upTo: head.off, limit: changesAtOnce });
    const [now] = await headsOf(tx, [part]);
    // Entries that were purged unread may have been about anything.
    const due =
      now!.purged > off ? await allFollowed(tx, part, head.off) : await changedMonths(tx, part, entries);
    await markDue(tx, due);
    const upTo = entries.length < changesAtOnce ? head.off : entries.at(-1)!.off;
    await tx.run(sql`update calculation_cursor set off = greatest(off, ${upTo}) where of_part = ${part}`);
    return upTo < head.off ? upTo : null;
  });
}

/** All months of all followed meters of a part until an offset, which is a time in microseconds. */
async function allFollowed(tx: Tx, part: number, off: number): Promise<DueMonths[]> {
  const rows = await tx.rows<{ meter_id: string }>(
    sql`select meter_id from calculation where part = ${part}`,
  );
  const to = monthAt("UTC", off / 1000 + dayMs);
  return rows.map((row) => ({ meterId: row.meter_id, from: 0, to }));
}

/** The months of followed meters that changes are about. */
async function changedMonths(tx: Tx, part: number, changes: readonly Change[]): Promise<DueMonths[]> {
  const series = await seriesById(tx, part, [...new Set(changes.map((change) => change.seriesId))]);
  const zones = await zonesOfFollowed(tx, [...new Set([...series.values()].map((each) => each.meterId))]);
  return changes.flatMap((change) => {
    const about = series.get(change.seriesId);
    const zone = about === undefined ? undefined : zones.get(about.meterId);
    if (about === undefined || zone === undefined) return [];
    // Costs that were added are what is written here; those that an invoice gave back must be looked at.
    if (metrics.get(about.metric)?.cost === true && !change.replaced) return [];
    const startOf = startsOf(change, zone);
    const [first, last] = [startOf(change.slot), startOf(change.slot + change.n - 1)];
    return [{ meterId: about.meterId, from: monthAt(zone, first), to: monthAt(zone, last) }];
  });
}

async function zonesOfFollowed(tx: Tx, ids: readonly string[]): Promise<Map<string, string>> {
  const followed = await tx.rows<{ meter_id: string }>(
    sql`select meter_id from calculation where meter_id = ${any(ids)}`,
  );
  const roots = await rootMeters(
    tx,
    followed.map((row) => row.meter_id),
  );
  return new Map(roots.map((root) => [root.id, root.timezone]));
}

/** Marks the months that ended since: a fee is due without any consumption. */
export async function markEndedMonths({ db, clock }: Deps, signal: AbortSignal): Promise<void> {
  for (let more = true; more; ) {
    signal.throwIfAborted();
    const now = clock.now();
    more = await db.transaction(async (tx) => {
      const rows = await tx.rows<{ meter_id: string; month_ends: number }>(sql`
        select meter_id, (extract(epoch from month_ends) * 1000)::float8 as month_ends from calculation
        where month_ends <= ${new Date(now)} order by meter_id limit ${metersAtOnce} for update`);
      const roots = await rootMeters(
        tx,
        rows.map((row) => row.meter_id),
      );
      const zones = new Map(roots.map((root) => [root.id, root.timezone]));
      const ended = rows.map((row) => {
        const zone = zones.get(row.meter_id)!;
        const running = monthAt(zone, now);
        const from = monthAt(zone, row.month_ends - 1);
        return { meterId: row.meter_id, from, to: running - 1, ends: monthStart(zone, running + 1) };
      });
      await markDue(tx, ended);
      await tx.run(sql`
        update calculation c set month_ends = d.ends
        from unnest(${ended.map((each) => each.meterId)}::text[],
                    ${ended.map((each) => new Date(each.ends).toISOString())}::timestamptz[]) as d (id, ends)
        where c.meter_id = d.id`);
      return rows.length === metersAtOnce;
    });
  }
}
