import { accountRefs } from "../accounts/accounts.ts";
import { any, empty, type Queryable, sql, type Tx } from "../platform/db.ts";
import { granularities, isGranularity } from "../platform/granularity.ts";
import { Page } from "../platform/http/endpoint.ts";
import { type Fields, fieldsOf, fold, readList } from "../platform/http/filter.ts";
import { newId } from "../platform/id.ts";
import { invalid, notFound } from "../platform/problem.ts";
import { meterFields } from "./list.ts";
import { type Meter, meterColumns } from "./meter.ts";
import { granularitiesOf, shownStats, statsOf } from "./stats.ts";

/** Open channels: meters whose values anybody may read. The holder of the root meter puts it in. */
interface Channel {
  id: string;
  name: string;
}

/** Meters in open channels, under the name `m`: root meters whose values their holder can read. */
const openMeters = sql`from meter m
  where m.parent_id is null and m.open_channel_ids <> '{}' and m.box in ('active', 'temporary')`;

const channelFields: Fields = fieldsOf({
  _id: { kind: "id", column: sql`c.id` },
  created: { kind: "timestamp", column: sql`c.created` },
  name: { kind: "text-contains", column: sql`c.search`, sort: sql`c.name` },
});

const openMeterFields: Fields = meterFields([
  "_id",
  "created",
  "name",
  "address",
  "generation",
  "type",
  "metrics",
  "representation",
]);

export interface OpenList {
  search: URLSearchParams;
  ignored: (name: string) => void;
  pageMax: number;
}

const envelope = { next_page: null, previous_page: null, additional_meta: [] };

/** A page of open channels; `granularities` and `metrics` keep those that have one of them. */
export async function listChannels(db: Queryable, list: OpenList): Promise<Page> {
  const search = new URLSearchParams(list.search);
  const wanted = { granularities: take(search, "granularities"), metrics: take(search, "metrics") };
  for (const name of wanted.granularities) {
    if (!isGranularity(name)) throw invalid("granularities", `must be of ${granularities.join(", ")}`);
  }
  const query = readList(search, { ...list, fields: channelFields });
  const chosen = await channelsWith(db, wanted);
  const from = sql`from open_channel c where true${chosen === null ? empty : sql` and c.id = ${any(chosen)}`}${query.where}`;
  const { count } = await db.one<{ count: number }>(sql`select count(*) as count ${from}`);
  const channels = await db.rows<Channel>(
    sql`select c.id, c.name ${from} order by ${query.orderBy} offset ${query.skip} limit ${query.limit}`,
  );
  return new Page(
    await showChannels(db, channels),
    { count, skip: query.skip, limit: query.limit },
    envelope,
  );
}

function take(search: URLSearchParams, name: string): string[] {
  const values = search.getAll(name).flatMap((value) => value.split(","));
  search.delete(name);
  return values.map((value) => value.trim()).filter((value) => value !== "");
}

interface OpenMeter {
  rootId: string;
  part: number;
  metrics: string[];
  channels: string[];
}

/** Ids of the channels that hold a meter with one of the metrics and values in one of the granularities; null for all. */
async function channelsWith(
  db: Queryable,
  wanted: { granularities: string[]; metrics: string[] },
): Promise<string[] | null> {
  if (wanted.granularities.length === 0 && wanted.metrics.length === 0) return null;
  const metric = wanted.metrics.length === 0 ? empty : sql` and m.metrics && ${wanted.metrics}::text[]`;
  let meters = await db.rows<OpenMeter>(sql`
    select m.id as "rootId", m.part, m.metrics, m.open_channel_ids as channels ${openMeters}${metric}`);
  if (wanted.granularities.length > 0) {
    const held = await granularitiesOf(db, meters);
    meters = meters.filter(({ rootId }) =>
      held.get(rootId)?.some((name) => wanted.granularities.includes(name)),
    );
  }
  return [...new Set(meters.flatMap((meter) => meter.channels))];
}

async function showChannels(db: Queryable, channels: readonly Channel[]): Promise<object[]> {
  const ids = channels.map((channel) => channel.id);
  const meters = await db.rows<OpenMeter>(sql`
    select m.id as "rootId", m.part, m.metrics, m.open_channel_ids as channels
    ${openMeters} and m.open_channel_ids && ${ids}::text[]`);
  const stats = await statsOf(db, meters);
  return channels.map(({ id, name }) => {
    const inside = meters.filter((meter) => meter.channels.includes(id));
    const known = inside.flatMap((meter) => Object.values(stats.get(meter.rootId) ?? {}));
    const held = known
      .flatMap((byGranularity) => Object.entries(byGranularity))
      .filter(([, stat]) => stat.count > 0);
    const years = held.map(([, stat]) => Number(String(stat.first).slice(0, 4)));
    return {
      _id: id,
      name,
      granularities: granularities.filter((granularity) => held.some(([name]) => name === granularity)),
      periods: years.length === 0 ? [] : [`${Math.min(...years)}-`],
      metrics: [...new Set(inside.flatMap((meter) => meter.metrics))].sort(),
    };
  });
}

/** A page of the meters of a channel, as anybody sees them: no holder, assigner, box or ean. */
export async function listOpenMeters(db: Queryable, id: string, list: OpenList): Promise<Page> {
  const channel = await db.maybe<Channel>(sql`select id, name from open_channel where id = ${id}`);
  if (channel === undefined) throw notFound(`open channel ${id}`);
  const query = readList(list.search, { ...list, fields: openMeterFields });
  const from = sql`${openMeters} and m.open_channel_ids @> ${[id]}::text[]${query.where}`;
  const { count } = await db.one<{ count: number }>(sql`select count(*) as count ${from}`);
  const meters = await db.rows<Meter>(sql`
    select ${meterColumns} ${from} order by ${query.orderBy} offset ${query.skip} limit ${query.limit}`);
  const [owners, stats] = await Promise.all([
    accountRefs(
      db,
      meters.map((meter) => meter.holder_id),
    ),
    statsOf(
      db,
      meters.map((meter) => ({ rootId: meter.id, part: meter.part })),
    ),
  ]);
  const shown = meters.map((meter) => {
    const owner = owners.get(meter.holder_id);
    return {
      _id: meter.id,
      owner: owner === undefined ? null : { _id: owner._id, name: owner.name },
      name: meter.name,
      timezone: meter.timezone,
      address: meter.address,
      location: meter.location,
      generation: meter.generation,
      metrics: meter.metrics,
      type: meter.type,
      consumption_stats: shownStats(meter.metrics, stats.get(meter.id)),
      open_channel_ids: meter.open_channel_ids,
      representation: meter.representation,
    };
  });
  return new Page(shown, { count, skip: query.skip, limit: query.limit }, envelope);
}

/** Opens a channel; meters are put in by their `open_channel_ids`. */
export async function openChannel(
  tx: Tx,
  options: { accountId: string; name: string; now: number },
): Promise<object> {
  const id = newId(options.now);
  await tx.run(sql`
    insert into open_channel (id, account_id, name, search, created)
    values (${id}, ${options.accountId}, ${options.name}, ${fold(options.name)}, ${new Date(options.now)})`);
  return (await showChannels(tx, [{ id, name: options.name }]))[0]!;
}

/** Closes a channel of an account at once: its meters are open no more, unless another channel holds them. */
export async function closeChannel(tx: Tx, accountId: string, id: string): Promise<void> {
  const closed = await tx.run(sql`delete from open_channel where id = ${id} and account_id = ${accountId}`);
  if (closed === 0) throw notFound(`open channel ${id} of account ${accountId}`);
  await tx.run(sql`
    update meter set open_channel_ids = array_remove(open_channel_ids, ${id})
    where root_id in (select m.id from meter m where m.parent_id is null and m.open_channel_ids <> '{}'
                      and m.open_channel_ids @> ${[id]}::text[])`);
}
