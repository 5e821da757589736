import { managerOf, subaccountsOf } from "../accounts/accounts.ts";
import { metersAtPoints, type RootMeter, rootMeters, updateMeters } from "../meters/meters.ts";
import { any, sql, type Tx } from "../platform/db.ts";
import { newId } from "../platform/id.ts";
import { calendarIndex } from "../platform/time/granule.ts";
import type { FoundMeter } from "./connector.ts";
import { addEvent, eventsOf, holdsEan, metersByOldEan } from "./meter-event.ts";
import type { Source } from "./source.ts";

/** What the findings of a connection say about metering points: new numbers, begins and ends, moves. */

const dayMs = 86_400_000;
const dayOf = (index: number) => new Date(index * dayMs).toISOString().slice(0, 10);

/**
 * Metering points that the provider shows under another number: the meter gets it, with an event. A number that a
 * person gave stays. Returns the sources whose new number another meter of the account holds.
 */
export async function noteNewIds(
  tx: Tx,
  { sources, shown, now }: { sources: Map<string, Source>; shown: Map<string, FoundMeter>; now: number },
): Promise<Source[]> {
  const roots = await rootMeters(tx, [...new Set([...sources.values()].map((source) => source.meterId))]);
  const meters = new Map(roots.map((meter) => [meter.id, meter]));
  const other = [...sources].flatMap(([key, source]) => {
    const { ean } = shown.get(key)!;
    const meter = meters.get(source.meterId);
    return meter === undefined || ean === null || ean === meter.ean ? [] : [{ source, meter, ean }];
  });
  const former = await metersByOldEan(
    tx,
    other.map(({ ean }) => ean),
  );
  const isFormer = new Set(former.map(({ meterId, ean }) => `${meterId} ${ean}`));
  const conflicting: Source[] = [];
  for (const { source, meter, ean } of other) {
    if (isFormer.has(`${meter.id} ${ean}`)) continue;
    if (await holdsEan(tx, meter.holderId, ean)) conflicting.push(source);
    else if (meter.ean === null) await giveNumber(tx, { meter, ean, now });
    else if (meter.ean === source.found.ean) await changeNumber(tx, { meter, ean, now });
  }
  return conflicting;
}

interface Numbering {
  meter: RootMeter;
  ean: string;
  now: number;
}

async function giveNumber(tx: Tx, { meter, ean, now }: Numbering): Promise<void> {
  await updateMeters(tx, { accountId: meter.holderId, now, actorId: null }, [{ _id: meter.id, ean }]);
}

async function changeNumber(tx: Tx, { meter, ean, now }: Numbering): Promise<void> {
  const day = dayOf(calendarIndex("day", meter.timezone, now));
  const detail = { automatic: true };
  await addEvent(tx, { meter, kind: "id_changed", day, ean, detail, now, actorId: null });
}

/**
 * From when to when the provider says that its customer is at a metering point, as events of the source. What it does
 * not say any more is taken back.
 */
export async function noteStays(tx: Tx, connectionId: string, now: number): Promise<void> {
  const sources = await tx.rows<{ id: string; meterId: string; from: unknown; ended: unknown }>(sql`
    select id, meter_id as "meterId", found -> 'from' as "from", found -> 'ended' as ended
    from meter_source where connection_id = ${connectionId}`);
  const stays = sources.flatMap(({ id, meterId, from, ended }) => [
    ...(isDay(from) ? [{ id: newId(now), source: id, meterId, kind: "moved_in", day: from }] : []),
    ...(isDay(ended) ? [{ id: newId(now), source: id, meterId, kind: "contract_ended", day: ended }] : []),
  ]);
  await tx.run(sql`
    delete from meter_event where source_id = ${any(sources.map((source) => source.id))}
      and not (source_id || ' ' || kind) = ${any(stays.map(({ source, kind }) => `${source} ${kind}`))}`);
  await tx.run(sql`
    insert into meter_event (id, meter_id, source_id, kind, day, detail, created)
    select id, "meterId", source, kind, day::date, '{"automatic": true}', ${new Date(now)}
    from jsonb_to_recordset(${JSON.stringify(stays)}::jsonb)
      as stay (id text, "meterId" text, source text, kind text, day text)
    on conflict (source_id, kind) where source_id is not null do update set day = excluded.day
      where meter_event.day <> excluded.day`);
}

function isDay(text: unknown): text is string {
  if (typeof text !== "string" || !/^\d{4}-\d\d-\d\d$/.test(text)) return false;
  const at = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(at) && dayOf(at / dayMs) === text;
}

/**
 * New meters at metering points that another customer of the same manager, or the manager itself, has left: what was
 * measured before belongs to whoever was there, whatever the provider shows.
 */
export async function noteMovedIn(
  tx: Tx,
  { accountId, rootIds, now }: { accountId: string; rootIds: readonly string[]; now: number },
): Promise<void> {
  const manager = await managerOf(tx, accountId);
  if (manager === null || rootIds.length === 0) return;
  const meters = (await rootMeters(tx, rootIds)).filter((meter) => meter.ean !== null);
  const others = [manager, ...(await subaccountsOf(tx, manager))].filter((id) => id !== accountId);
  const before = (
    await metersAtPoints(
      tx,
      others,
      meters.map((meter) => meter.ean!),
    )
  ).filter((meter) => meter.rootId === meter.id);
  const ends = (
    await eventsOf(
      tx,
      before.map((meter) => meter.id),
    )
  ).filter(({ kind }) => kind === "moved_out" || kind === "contract_ended");
  for (const meter of meters) {
    const ids = new Set(before.filter((one) => one.ean === meter.ean).map((one) => one.id));
    const days = ends.filter((event) => ids.has(event.meterId)).map((event) => event.day);
    const day = days.sort().at(-1);
    if (day === undefined) continue;
    const detail = { automatic: true };
    await addEvent(tx, { meter, kind: "moved_in", day, detail, now, actorId: null });
  }
}
