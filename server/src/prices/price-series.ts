import { any, type Queryable, sql, type Tx } from "../platform/db.ts";
import { fold } from "../platform/http/filter.ts";
import { newId } from "../platform/id.ts";
import { notFound } from "../platform/problem.ts";

/** How long a price of a series holds, in milliseconds. */
export const stepMs = { hour: 3_600_000, "15min": 900_000 } as const;
export type PriceGranularity = keyof typeof stepMs;

/** Prices that change with time, such as those of a power exchange. */
export interface PriceSeries {
  id: string;
  account_id: string;
  name: string;
  currency: string;
  granularity: PriceGranularity;
  /** Epoch milliseconds. */
  created: number;
  updated: number;
  /** Start of the first and of the last price, epoch ms. */
  first: number | null;
  last: number | null;
}

/** The columns of `PriceSeries`, of the table `price_series` under the name `s`. */
export const seriesColumns = sql`s.id, s.account_id, s.name, s.currency, s.granularity,
  (extract(epoch from s.created) * 1000)::float8 as created, (extract(epoch from s.updated) * 1000)::float8 as updated,
  (select extract(epoch from min(at)) * 1000 from price_point where series_id = s.id)::float8 as first,
  (select extract(epoch from max(at)) * 1000 from price_point where series_id = s.id)::float8 as last`;

/** One price series of an account, or the 404 of the contract. */
export async function ownSeries(db: Queryable, accountId: string, id: string): Promise<PriceSeries> {
  const found = (await seriesOfAccount(db, accountId, [id])).get(id);
  if (found === undefined) throw notFound(`price series ${id} of account ${accountId}`);
  return found;
}

/** Price series of an account by id; those of others are absent. */
export async function seriesOfAccount(
  db: Queryable,
  accountId: string,
  ids: readonly string[],
): Promise<Map<string, PriceSeries>> {
  const rows = await db.rows<PriceSeries>(
    sql`select ${seriesColumns} from price_series s where s.account_id = ${accountId} and s.id = ${any(ids)}`,
  );
  return new Map(rows.map((row) => [row.id, row]));
}

/** `seriesOfAccount`, held until the end of the transaction: none of them is deleted meanwhile. */
export async function holdSeries(
  tx: Tx,
  accountId: string,
  ids: readonly string[],
): Promise<Map<string, PriceSeries>> {
  await tx.rows(sql`select id from price_series where id = ${any(ids)} order by id for share`);
  return seriesOfAccount(tx, accountId, ids);
}

/** Lengths of the prices of some series, whoever holds them. */
export async function granularitiesOf(
  db: Queryable,
  ids: readonly string[],
): Promise<Map<string, PriceGranularity>> {
  const rows = await db.rows<Pick<PriceSeries, "id" | "granularity">>(
    sql`select id, granularity from price_series where id = ${any(ids)}`,
  );
  return new Map(rows.map((row) => [row.id, row.granularity]));
}

/** Stores a new price series; returns its id. */
export async function insertSeries(
  tx: Tx,
  accountId: string,
  about: Pick<PriceSeries, "name" | "currency" | "granularity"> & { now: number },
): Promise<string> {
  const id = newId(about.now);
  const at = new Date(about.now);
  await tx.run(sql`
    insert into price_series (id, account_id, name, search, currency, granularity, created, updated)
    values (${id}, ${accountId}, ${about.name}, ${fold(about.name)}, ${about.currency}, ${about.granularity}, ${at}, ${at})`);
  return id;
}

/** What became of uploaded prices. */
export interface StoredPrices {
  added: number;
  replaced: number;
  removed: number;
  unchanged: number;
  /** Starts of the first and the last price that changed, epoch ms; null: none did. */
  changed: { first: number; last: number } | null;
}

/** Writes prices by their starts; null removes one. Repeating it changes nothing. */
export async function writePrices(
  tx: Tx,
  seriesId: string,
  { starts, prices }: { starts: readonly number[]; prices: readonly (string | null)[] },
): Promise<StoredPrices> {
  const kept = [...starts.keys()].filter((i) => prices[i] !== null);
  const gone = [...starts.keys()].filter((i) => prices[i] === null);
  const instants = (indices: readonly number[]) => indices.map((i) => new Date(starts[i]!).toISOString());
  const written = await tx.rows<{ at: number; fresh: boolean }>(sql`
    insert into price_point (series_id, at, price)
    select ${seriesId}, * from unnest(${instants(kept)}::timestamptz[], ${kept.map((i) => prices[i])}::numeric[])
    on conflict (series_id, at) do update set price = excluded.price where price_point.price <> excluded.price
    returning (extract(epoch from at) * 1000)::float8 as at, xmax = 0 as fresh`);
  const removed = await tx.rows<{ at: number }>(sql`
    delete from price_point where series_id = ${seriesId} and at = any(${instants(gone)}::timestamptz[])
    returning (extract(epoch from at) * 1000)::float8 as at`);
  const added = written.filter((row) => row.fresh).length;
  let changed: StoredPrices["changed"] = null;
  for (const { at } of [...written, ...removed]) {
    changed ??= { first: at, last: at };
    changed = { first: Math.min(changed.first, at), last: Math.max(changed.last, at) };
  }
  return {
    added,
    replaced: written.length - added,
    removed: removed.length,
    unchanged: starts.length - written.length - removed.length,
    changed,
  };
}

/** Prices of a series from `from` until before `to` (epoch ms), by their starts; decimals as text. */
export async function pricesBetween(
  db: Queryable,
  seriesId: string,
  { from, to }: { from: number; to: number },
): Promise<Map<number, string>> {
  const rows = await db.rows<{ at: number; price: string }>(sql`
    select (extract(epoch from at) * 1000)::float8 as at, price::text as price from price_point
    where series_id = ${seriesId} and at >= ${new Date(from)} and at < ${new Date(to)}`);
  return new Map(rows.map((row) => [row.at, row.price]));
}
