import { lockPart } from "../changes/changes.ts";
import { eraseRoots } from "../erasure/erasure.ts";
import { ownMeter } from "../meters/meters.ts";
import { any, type Db, type Queryable, sql, type Tx } from "../platform/db.ts";
import { type Granularity, granularities } from "../platform/granularity.ts";
import { earliest, latest } from "../platform/time/zone.ts";
import { type Grid, gridOf, metrics, pointsAtMost, query } from "../series/series.ts";
import { type Import, lockImport } from "./import.ts";

/** Meters in one transaction. */
const metersAtOnce = 10;
/** Values looked at in one question: bounds its memory. */
const pointsMax = 200_000;

interface MadeMeter {
  n: number;
  id: string;
  part: number;
  name: string | null;
  address: string | null;
}

/**
 * Takes away some of the meters that an undone import had made; returns whether there were any to look at. A meter
 * stays when it holds values, when its holder has changed anything about it, or when another import names it.
 */
export async function removeSome(db: Db, importId: string): Promise<boolean> {
  return db.transaction(async (tx) => {
    const about = await lockImport(tx, importId);
    const waiting = await tx.rows<MadeMeter>(sql`
      select n, meter_id as id, part, name, address from import_meter
      where import_id = ${importId} and created and not checked order by part, n limit ${metersAtOnce}`);
    const part = waiting[0]?.part;
    if (part === undefined || about.status !== "undoing") return false;
    const some = waiting.filter((meter) => meter.part === part);
    // From here on nobody stores values of these meters.
    await lockPart(tx, part);
    const going = await withoutValues(tx, part, await untouched(tx, about, some));
    await eraseRoots(tx, part, going);
    const numbers = some.map(({ n }) => n);
    await tx.run(
      sql`update import_meter set checked = true where import_id = ${importId} and n = ${any(numbers, "int4")}`,
    );
    await tx.run(sql`
      update import set undone = undone || jsonb_build_object(
        'meters_removed', (undone ->> 'meters_removed')::int + ${going.length}::int,
        'meters_kept', (undone ->> 'meters_kept')::int + ${some.length - going.length}::int)
      where id = ${importId}`);
    return true;
  });
}

/** Ids of the meters that are as the import made them. */
async function untouched(tx: Tx, about: Import, made: readonly MadeMeter[]): Promise<string[]> {
  const ids = made.map(({ id }) => id);
  const named = await tx.rows<{ id: string }>(sql`
    select distinct o.meter_id as id from import_meter o join import i on i.id = o.import_id
    where o.meter_id = ${any(ids)} and o.import_id <> ${about.id} and i.status in ('storing', 'completed', 'undoing')`);
  const others = new Set(named.map(({ id }) => id));
  const found: string[] = [];
  for (const each of made) if (!others.has(each.id) && (await isAsMade(tx, about, each))) found.push(each.id);
  return found;
}

async function isAsMade(db: Queryable, about: Import, made: MadeMeter): Promise<boolean> {
  const meter = await ownMeter(db, about.account_id, made.id).catch(() => undefined);
  if (meter === undefined || meter.id !== made.id || meter.parent_id !== null) return false;
  const { name, address, tags, box, on_hold, location, open_channel_ids } = meter;
  const isPlain = tags.length === 0 && !on_hold && location === null && open_channel_ids.length === 0;
  const boxThen = about.options.active ? "active" : "inbox";
  return isPlain && box === boxThen && name === made.name && address === made.address;
}

/** Those of the meters that no value is stored of. Statistics do not tell: they belong to another folder. */
async function withoutValues(db: Queryable, part: number, ids: readonly string[]): Promise<string[]> {
  const empty = new Set(ids);
  for (const granularity of granularities) {
    for (const grid of gridsOf(granularity)) {
      if (empty.size === 0) return [];
      const meters = [...empty].map((rootId) => ({ rootId, part }));
      for (const { rootId, values } of await query(db, {
        meters,
        metrics: [...metrics.keys()],
        grids: [grid],
      })) {
        if (values[0]!.some((value) => !Number.isNaN(value))) empty.delete(rootId);
      }
    }
  }
  return [...empty];
}

/** All of time in pieces. UTC serves for every zone: a piece has the blocks of neighbouring granules too. */
function gridsOf(granularity: Granularity): Grid[] {
  const all = pointsAtMost(granularity, "UTC", { from: earliest, to: latest });
  const step = (latest - earliest) / Math.ceil(all / pointsMax);
  const grids: Grid[] = [];
  for (let from = earliest; from < latest; from += step) {
    const grid = gridOf(granularity, "UTC", { from, to: Math.min(latest, from + step) });
    if (grid !== null) grids.push(grid);
  }
  return grids;
}
