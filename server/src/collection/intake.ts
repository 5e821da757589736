import {
  createMeters,
  metersById,
  type NewMeter,
  type Representation,
  rootMeters,
} from "../meters/meters.ts";
import { any, sql, type Tx } from "../platform/db.ts";
import { granularities } from "../platform/granularity.ts";
import { newId } from "../platform/id.ts";
import type { FoundMeter } from "./connector.ts";
import { ruleNewMeters } from "./inbox.ts";
import { noteMovedIn, noteNewIds, noteStays } from "./intake-events.ts";
import { boundsOf, eventsOf, holdsEan, metersByOldEan } from "./meter-event.ts";
import { leastRanks, liftRanks, type Source, sourceColumns } from "./source.ts";

/** A connection, as far as its findings are concerned. */
export interface Finder {
  id: string;
  accountId: string;
  provider: string;
}

/** What became of the meters that a connection has found. */
export interface TakenIn {
  /** Root meters that were made. */
  created: string[];
  /** Sources that the provider does not show, though nothing says that their holder has left or put them away. */
  missing: Source[];
  /** Sources whose metering point has a new id that another meter of the account holds already. */
  conflicting: Source[];
}

/**
 * Takes in everything that a connection sees at its provider, in one transaction. A meter is known again by the
 * provider's key, else by ean and representation within the account, also by an ean that it had before: so two
 * connections that find it are two sources of one meter. What is not known is made in the inbox, copies for the
 * account's manager included, and rules are applied. What is not shown any more is kept and marked. Repeating it
 * changes nothing.
 *
 * @param found all meters that the provider shows; with `isPart` some of them, and nothing is said about the others
 */
export async function takeIn(
  tx: Tx,
  {
    connection,
    found,
    isPart = false,
    now,
  }: { connection: Finder; found: readonly FoundMeter[]; isPart?: boolean; now: number },
): Promise<TakenIn> {
  // Two connections of an account that find the same meter at once take turns.
  await tx.run(
    sql`select pg_advisory_xact_lock(hashtextextended(${`intake of ${connection.accountId}`}, 0))`,
  );
  const shown = new Map(found.map((meter) => [meter.key, meter]));
  const known = await knownSources(tx, connection, [...shown.keys()]);
  const others = known.filter((source) => !shown.has(source.key));
  const gone = isPart ? [] : others;
  const byKey = new Map(known.filter((source) => shown.has(source.key)).map((one) => [one.key, one]));
  renewKeys({ gone, byKey, shown });
  const fresh = [...shown.values()].filter(({ key }) => !byKey.has(key));
  const present = [...byKey.values(), ...(isPart ? others : [])];
  const created = await addSources(tx, { connection, fresh, present, now });
  const conflicting = await noteNewIds(tx, { sources: byKey, shown, now });
  await renewSources(tx, { connection, sources: byKey, shown, now });
  await liftRanks(tx, connection.id);
  await noteStays(tx, connection.id, now);
  await noteMovedIn(tx, { accountId: connection.accountId, rootIds: created, now });
  await markVanished(tx, gone, now);
  await ruleNewMeters(tx, { holderId: connection.accountId, rootIds: created, now, actorId: null });
  return { created, missing: await missed(tx, gone), conflicting };
}

/** Sources of the connection, and those with a key of now that a deleted connection to the same provider left. */
async function knownSources(tx: Tx, { id, accountId, provider }: Finder, keys: string[]): Promise<Source[]> {
  const rows = await tx.rows<Source>(sql`
    select ${sourceColumns} from meter_source
    where connection_id = ${id}
       or (connection_id is null and account_id = ${accountId} and provider = ${provider} and key = ${any(keys)})
    order by connection_id nulls first, last_found, id`);
  // Later ones replace earlier ones: the connection's own goes before the one that was left, a newer before an older.
  const byKey = new Map(rows.map((source) => [source.key, source]));
  return [...byKey.values()];
}

interface Matched {
  gone: Source[];
  byKey: Map<string, Source>;
  shown: ReadonlyMap<string, FoundMeter>;
}

/** A meter that is shown under a new key while its old key is gone: the provider renumbered it. */
function renewKeys({ gone, byKey, shown }: Matched): void {
  for (const meter of shown.values()) {
    if (byKey.has(meter.key) || meter.ean === null) continue;
    const at = gone.findIndex(({ found }) => isSamePoint(found, meter));
    if (at === -1) continue;
    const [source] = gone.splice(at, 1);
    byKey.set(meter.key, source!);
  }
}

function isSamePoint(one: FoundMeter, other: FoundMeter): boolean {
  return (
    one.ean === other.ean &&
    one.representation === other.representation &&
    one.type === other.type &&
    one.channel === other.channel
  );
}

/** Do both deliver a metric? Then they are different registers of a metering point, not parts of one. */
function overlaps(one: FoundMeter, other: FoundMeter): boolean {
  const metrics = new Set(one.metrics.map(({ metric }) => metric));
  return other.metrics.some(({ metric }) => metrics.has(metric));
}

interface Adding {
  connection: Finder;
  fresh: readonly FoundMeter[];
  /** Sources of the connection that are shown now. */
  present: readonly Source[];
  now: number;
}

/** Finds or makes the meters of new sources; returns the root meters that were made. */
async function addSources(tx: Tx, { connection, fresh, present, now }: Adding): Promise<string[]> {
  if (fresh.length === 0) return [];
  const beside = present.map(({ found }) => found);
  const specs = fresh.map((meter) => {
    const hasTwin = beside.some(
      (other) => meter.ean !== null && isSamePoint(other, meter) && overlaps(other, meter),
    );
    beside.push(meter);
    return specOf(meter, meter.channel ?? (hasTwin ? meter.key.slice(0, 100) : ""));
  });
  const renamed = await formerIds(tx, connection.accountId, specs);
  const options = { holderId: connection.accountId, now, actorId: null };
  const made = await createMeters(
    tx,
    options,
    specs.map((spec) => ({ ...spec, ean: renamed.get(spec.ean ?? "") ?? spec.ean ?? null })),
  );
  // Numbers of different grids may be equal: heat does not flow into the meter of electricity.
  const others = made.flatMap((meter, i) => (meter.type === specs[i]!.type ? [] : [i]));
  const apart = await createMeters(
    tx,
    options,
    others.map((i) => ({ ...specs[i]!, channel: `${specs[i]!.type} ${specs[i]!.channel}`.trim() })),
  );
  for (const [n, i] of others.entries()) made[i] = apart[n]!;
  await insertSources(tx, { connection, fresh, meterIds: made.map((meter) => meter.id), now });
  return made.filter((meter) => meter.created).map((meter) => meter.id);
}

/** The present numbers of meters of the account that had other ones before, by the number before. */
async function formerIds(
  tx: Tx,
  accountId: string,
  specs: readonly NewMeter[],
): Promise<Map<string, string>> {
  const former = await metersByOldEan(
    tx,
    specs.flatMap(({ ean }) => ean ?? []),
  );
  const meters = await rootMeters(tx, [...new Set(former.map(({ meterId }) => meterId))]);
  const present = new Map(
    meters.flatMap(({ id, holderId, ean }) => (holderId === accountId && ean !== null ? [[id, ean]] : [])),
  );
  const renamed = new Map<string, string>();
  for (const { meterId, ean } of former) {
    const now = present.get(meterId);
    // A number that was given to another meter since is that one's.
    if (now !== undefined && !(await holdsEan(tx, accountId, ean))) renamed.set(ean, now);
  }
  return renamed;
}

function specOf(meter: FoundMeter, channel: string): NewMeter {
  const offered = new Set(meter.metrics.flatMap((metric) => metric.granularities));
  // The list goes from fine to coarse.
  const finest = granularities.find((granularity) => offered.has(granularity));
  return {
    type: meter.type,
    ean: meter.ean,
    channel,
    representation: representationOf(meter),
    name: meter.name ?? null,
    address: meter.address ?? null,
    timezone: meter.timezone ?? null,
    ...(meter.metrics.length === 0 ? {} : { metrics: meter.metrics.map(({ metric }) => metric) }),
    expectedGranularity: finest ?? null,
    box: "inbox",
    controlLevel: "owned",
  };
}

function representationOf({ representation }: FoundMeter): Representation | null {
  return representation === "temperature" ? "sensor" : (representation ?? null);
}

async function insertSources(
  tx: Tx,
  { connection, fresh, meterIds, now }: Omit<Adding, "present"> & { meterIds: readonly string[] },
): Promise<void> {
  const ranks = await leastRanks(tx, meterIds);
  const rows = fresh.map((found, i) => {
    const meterId = meterIds[i]!;
    const least = ranks.get(meterId);
    const rank = least === undefined ? 0 : least - 1;
    ranks.set(meterId, rank);
    return { id: newId(now), key: found.key, meter_id: meterId, rank, found };
  });
  const at = new Date(now);
  await tx.run(sql`
    insert into meter_source (id, account_id, provider, key, connection_id, meter_id, rank, found, first_found,
      last_found)
    select id, ${connection.accountId}, ${connection.provider}, key, ${connection.id}, meter_id, rank, found,
      ${at}::timestamptz, ${at}::timestamptz
    from jsonb_to_recordset(${JSON.stringify(rows, storable)}::jsonb)
      as new (id text, key text, meter_id text, rank int2, found jsonb)`);
}

/** Text of a provider as the database takes it: without NUL and half characters. */
function storable(_name: string, value: unknown): unknown {
  return typeof value === "string" ? value.toWellFormed().replaceAll("\0", "") : value;
}

interface Renewing {
  connection: Finder;
  sources: ReadonlyMap<string, Source>;
  shown: ReadonlyMap<string, FoundMeter>;
  now: number;
}

/** Keeps what the provider shows now; the source is this connection's from here on. */
async function renewSources(tx: Tx, { connection, sources, shown, now }: Renewing): Promise<void> {
  if (sources.size === 0) return;
  const rows = [...sources].map(([key, { id }]) => ({ id, key, found: shown.get(key)! }));
  await tx.run(sql`
    update meter_source s set key = new.key, found = new.found, connection_id = ${connection.id},
      last_found = ${new Date(now)}, vanished = null
    from jsonb_to_recordset(${JSON.stringify(rows, storable)}::jsonb) as new (id text, key text, found jsonb)
    where s.id = new.id`);
}

async function markVanished(tx: Tx, gone: readonly Source[], now: number): Promise<void> {
  await tx.run(sql`
    update meter_source set vanished = ${new Date(now)}
    where id = ${any(gone.map((source) => source.id))} and meter_source.vanished is null`);
}

/** Nobody misses a meter that was put away, or whose holder has left: that it is gone is how that ends. */
async function missed(tx: Tx, gone: readonly Source[]): Promise<Source[]> {
  const ids = gone.map((source) => source.meterId);
  const events = Map.groupBy(await eventsOf(tx, ids), (event) => event.meterId);
  const boxes = new Map((await metersById(tx, ids)).map(({ id, box }) => [id, box]));
  return gone.filter(
    ({ id, meterId }) =>
      boxes.get(meterId) !== "ignored" && boundsOf(events.get(meterId) ?? [], id).to === null,
  );
}
