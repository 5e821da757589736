import { metersById, type RootMeter, rootMeters, wantedRoots } from "../meters/meters.ts";
import { any, type Queryable, sql, type Tx } from "../platform/db.ts";
import { invalid, notFound } from "../platform/problem.ts";
import { calendarStart } from "../platform/time/granule.ts";
import type { FoundMeter } from "./connector.ts";
import { type Bounds, boundsOf, eventsOf } from "./meter-event.ts";

/** One connection's view of one meter. */
export interface Source {
  id: string;
  /** The account of the connection, which holds the root meter. */
  accountId: string;
  provider: string;
  /** The provider's own key of the meter. */
  key: string;
  /** Null when the connection was deleted. */
  connectionId: string | null;
  /** The root meter. */
  meterId: string;
  /** Rank of the documents that it delivers. */
  rank: number;
  /** The meter as the provider last showed it. */
  found: FoundMeter;
  /** Epoch milliseconds. */
  firstFound: number;
  lastFound: number;
  /** Since when the provider does not show it any more. */
  vanished: number | null;
}

const at = (column: "first_found" | "last_found" | "vanished") => {
  const instants = { first_found: sql`first_found`, last_found: sql`last_found`, vanished: sql`vanished` };
  return sql`(extract(epoch from ${instants[column]}) * 1000)::float8`;
};

/** The columns of `Source`. */
export const sourceColumns = sql`id, account_id as "accountId", provider, key, connection_id as "connectionId",
  meter_id as "meterId", rank, found, ${at("first_found")} as "firstFound", ${at("last_found")} as "lastFound",
  ${at("vanished")} as vanished`;

/** A source that a run asks for. */
export interface CollectedSource {
  id: string;
  key: string;
  meter: RootMeter;
  /** For the documents of its deliveries. */
  rank: number;
  found: FoundMeter;
  /** Values belong to the meter's holder within `[from, to)`, epoch ms; null where there is no bound. */
  from: number | null;
  to: number | null;
}

/**
 * What a run of a connection asks its provider for: meters that somebody keeps in the box active and that the provider
 * still shows. Values outside of `from` and `to` are not the holder's: neither asked for nor taken.
 */
export async function sourcesToCollect(db: Queryable, connectionId: string): Promise<CollectedSource[]> {
  const sources = await db.rows<Source>(sql`
    select ${sourceColumns} from meter_source
    where connection_id = ${connectionId} and meter_source.vanished is null order by key`);
  return collected(db, sources, await wantedRoots(db, meterIdsOf(sources)));
}

/** Sources of a connection whose values are stored when a file brings them: of all meters that were not put away. */
export async function sourcesToReceive(
  db: Queryable,
  connectionId: string,
  keys: readonly string[],
): Promise<CollectedSource[]> {
  const sources = await db.rows<Source>(sql`
    select ${sourceColumns} from meter_source where connection_id = ${connectionId} and key = ${any(keys)}`);
  const meters = await metersById(db, meterIdsOf(sources));
  const kept = meters.filter(({ box }) => box !== "ignored").map(({ id }) => id);
  return collected(db, sources, new Set(kept));
}

const meterIdsOf = (sources: readonly Source[]) => [...new Set(sources.map((source) => source.meterId))];

async function collected(
  db: Queryable,
  sources: readonly Source[],
  wanted: ReadonlySet<string>,
): Promise<CollectedSource[]> {
  const meters = new Map((await rootMeters(db, [...wanted])).map((meter) => [meter.id, meter]));
  const events = Map.groupBy(await eventsOf(db, [...wanted]), (event) => event.meterId);
  return sources.flatMap(({ id, key, meterId, rank, found }) => {
    const meter = meters.get(meterId);
    if (meter === undefined) return [];
    const bounds = boundsOf(events.get(meterId) ?? [], id);
    return [{ id, key, meter, rank, found, ...instantsOf(bounds, meter.timezone) }];
  });
}

const dayMs = 86_400_000;

/** The days of a holder as instants. */
export function instantsOf({ from, to }: Bounds, zone: string): { from: number | null; to: number | null } {
  const start = (day: string | null) =>
    day === null ? null : calendarStart(zone, Date.parse(`${day}T00:00:00Z`) / dayMs, "day");
  return { from: start(from), to: start(to) };
}

/** The sources of a meter, the one that wins first. */
export async function sourcesOfMeter(db: Queryable, meterId: string): Promise<Source[]> {
  return db.rows(sql`
    select ${sourceColumns} from meter_source where meter_id = ${meterId} order by rank desc, id`);
}

/** The least rank that sources of these meters have. */
export async function leastRanks(db: Queryable, meterIds: readonly string[]): Promise<Map<string, number>> {
  const rows = await db.rows<{ meter_id: string; least: number }>(sql`
    select meter_id, min(rank)::int4 as least from meter_source
    where meter_id = ${any(meterIds)} group by meter_id`);
  return new Map(rows.map(({ meter_id, least }) => [meter_id, least]));
}

/**
 * Sources of meters of this connection go as high as those that deleted connections left: what these delivered must
 * not stand against corrections for ever.
 */
export async function liftRanks(tx: Tx, connectionId: string): Promise<void> {
  await tx.run(sql`
    update meter_source s set rank = s.rank + behind.lift
    from (select meter_id, max(rank) filter (where connection_id is null)
                         - max(rank) filter (where connection_id is not null) as lift
          from meter_source
          where meter_id in (select meter_id from meter_source where connection_id = ${connectionId})
          group by meter_id) as behind
    where s.meter_id = behind.meter_id and s.connection_id is not null and behind.lift > 0`);
}

/**
 * Puts the sources of a meter in another order. Ranks only grow: documents that a source delivered before keep the
 * rank they had, so what it corrects later must never rank below them. The last source keeps its rank, and each one
 * before it goes above the next. Throws 400 unless all sources are named once.
 */
export async function orderSources(tx: Tx, meterId: string, order: readonly string[]): Promise<void> {
  await tx.run(sql`select from meter_source where meter_id = ${meterId} order by id for update`);
  const known = new Map((await sourcesOfMeter(tx, meterId)).map((source) => [source.id, source.rank]));
  for (const id of order) if (!known.has(id)) throw notFound(`source ${id} of meter ${meterId}`);
  if (new Set(order).size < known.size || order.length > known.size)
    throw invalid("body", "name each source of the meter once, the one that wins first");
  const ranks = growingRanks(order.map((id) => known.get(id)!));
  if (ranks[0]! > 32_000) throw invalid("body", "the order of these sources was changed too often");
  await tx.run(sql`
    update meter_source s set rank = new.rank
    from unnest(${[...order]}::text[], ${ranks}::int4[]) as new (id, rank) where s.id = new.id`);
}

/** The least ranks that stand in this order, none of them below what it was. */
export function growingRanks(ranks: readonly number[]): number[] {
  const grown = [...ranks];
  for (let i = grown.length - 2; i >= 0; i--) grown[i] = Math.max(grown[i]!, grown[i + 1]! + 1);
  return grown;
}
