import { any, join, type Queryable, type Sql, sql, type Tx } from "../platform/db.ts";
import { type Granularity, granularities, isGranularity } from "../platform/granularity.ts";

/** What is known of all values of one metric and granularity; all null and count 0 without values. */
export interface Stat {
  /** YYYYMM, YYYYMMDD, YYYYMMDDHH or YYYYMMDDHHmm in the zone of the meter. */
  first: number | null;
  last: number | null;
  min: number | null;
  max: number | null;
  sum: number | null;
  count: number;
}

/** `{energy: {month: {first, last, …}, day: …, hour: …}}`. */
export type ConsumptionStats = Record<string, Partial<Record<Granularity, Stat>>>;

/** A statistic to store. */
export interface StatRow extends Stat {
  part: number;
  /** Id of the root meter. */
  meterId: string;
  metric: string;
  granularity: Granularity;
  /** Offset of the change that led to it. */
  version: number;
}

/** A root meter and where its statistics lie. */
export interface StatKey {
  rootId: string;
  part: number;
}

const rowsAtOnce = 1000;

/** Stores statistics in place of earlier ones; the series store calls it in the transaction of the values. */
export async function setStats(tx: Tx, rows: readonly StatRow[]): Promise<void> {
  for (let from = 0; from < rows.length; from += rowsAtOnce) {
    const values = rows.slice(from, from + rowsAtOnce).map(
      (row) => sql`(${row.part}::int4, ${row.meterId}, ${row.metric}, ${row.granularity}, ${row.first}::int8,
        ${row.last}::int8, ${row.min}::float8, ${row.max}::float8, ${row.sum}::numeric, ${row.count}::int8,
        ${row.version}::int8)`,
    );
    await tx.run(sql`
      insert into meter_stat (part, meter_id, metric, gran, first, last, min, max, sum, count, version)
      values ${join(values)}
      on conflict (part, meter_id, metric, gran) do update set
        first = excluded.first, last = excluded.last, min = excluded.min, max = excluded.max, sum = excluded.sum,
        count = excluded.count, version = excluded.version`);
  }
}

interface StoredStat extends Stat {
  id: string;
  metric: string;
  gran: Granularity;
}

/** Statistics per root meter. Metrics of `metricsOf` without values have their empty entries. */
export async function statsOf(
  db: Queryable,
  keys: readonly StatKey[],
): Promise<Map<string, ConsumptionStats>> {
  if (keys.length === 0) return new Map();
  const rows = await db.rows<StoredStat>(sql`
    select meter_id as id, metric, gran, first, last, min, max, sum::float8 as sum, count from meter_stat
    where part = ${any([...new Set(keys.map((key) => key.part))], "int4")}
      and meter_id = ${any([...new Set(keys.map((key) => key.rootId))])}`);
  const found = new Map<string, ConsumptionStats>();
  for (const { id, metric, gran, ...stat } of rows) {
    const ofMeter = found.get(id) ?? {};
    ofMeter[metric] = { ...ofMeter[metric], [gran]: stat };
    found.set(id, ofMeter);
  }
  return found;
}

/**
 * Versions of the values of root meters of one part, in the order of the ids, by `metric/granularity`: equal
 * versions, equal values.
 */
export async function statVersions(
  db: Queryable,
  part: number,
  rootIds: readonly string[],
): Promise<ReadonlyMap<string, number>[]> {
  const rows = await db.rows<{ id: string; metric: string; gran: string; version: number }>({
    name: "meters-stat-versions",
    text: `select meter_id as id, metric, gran, version from meter_stat
           where part = $1 and meter_id = any($2::text[])`,
    values: [part, [...new Set(rootIds)]],
  });
  const found = Map.groupBy(rows, (row) => row.id);
  return rootIds.map(
    (id) => new Map((found.get(id) ?? []).map((row) => [`${row.metric}/${row.gran}`, row.version])),
  );
}

const nothing: Stat = { first: null, last: null, min: null, max: null, sum: null, count: 0 };

/** Statistics as answers show them: every metric of the meter with month, day and hour, finer ones when there are values. */
export function shownStats(
  metrics: readonly string[],
  stored: ConsumptionStats | undefined,
): ConsumptionStats {
  const shown: ConsumptionStats = {};
  for (const metric of metrics) {
    shown[metric] = { month: nothing, day: nothing, hour: nothing, ...stored?.[metric] };
  }
  return shown;
}

/** A path such as `consumption_stats.energy.month.last`. */
export interface StatPath {
  metric: string;
  granularity: Granularity;
  column: Sql;
}

const statColumns: Readonly<Record<string, Sql>> = {
  first: sql`first`,
  last: sql`last`,
  min: sql`min`,
  max: sql`max`,
  sum: sql`sum`,
  count: sql`count`,
};

/** Reads the path of a statistic; `undefined` when it is none. */
export function statPath(path: string): StatPath | undefined {
  const [head, metric = "", granularity = "", column = "", ...rest] = path.split(".");
  if (head !== "consumption_stats" || rest.length > 0 || !/^[a-z][a-z0-9_]{0,60}$/.test(metric))
    return undefined;
  if (!isGranularity(granularity) || !Object.hasOwn(statColumns, column)) return undefined;
  return { metric, granularity, column: statColumns[column]! };
}

/** One column of the statistics of all root meters in some parts, for filters and sorting. */
export async function statColumn(
  db: Queryable,
  { metric, granularity, column }: StatPath,
  parts: readonly number[],
): Promise<{ ids: string[]; values: number[] }> {
  const rows = await db.rows<{ id: string; value: number }>(sql`
    select meter_id as id, ${column}::float8 as value from meter_stat
    where part = ${any(parts, "int4")} and metric = ${metric} and gran = ${granularity} and ${column} is not null`);
  return { ids: rows.map((row) => row.id), values: rows.map((row) => row.value) };
}

/** Statistics over many meters: the earliest, latest, least and most of all, sums of sums and counts. */
export async function statsOverAll(db: Queryable, keys: readonly StatKey[]): Promise<ConsumptionStats> {
  const totals = new Map<string, Stat>();
  for (const [part, ids] of Map.groupBy(keys, (key) => key.part)) {
    const rows = await db.rows<StoredStat>(sql`
      select metric, gran, min(first) as first, max(last) as last, min(min) as min, max(max) as max,
             sum(sum)::float8 as sum, sum(count)::int8 as count
      from meter_stat where part = ${part} and meter_id = ${any(ids.map((key) => key.rootId))}
      group by metric, gran order by metric, gran`);
    for (const row of rows) {
      const key = `${row.metric} ${row.gran}`;
      totals.set(key, merged(totals.get(key) ?? nothing, row));
    }
  }
  const all: ConsumptionStats = {};
  for (const [key, stat] of totals) {
    const [metric = "", gran = ""] = key.split(" ");
    all[metric] = { ...all[metric], [gran]: stat };
  }
  return all;
}

function merged(one: Stat, other: Stat): Stat {
  const best = (choose: (a: number, b: number) => number, a: number | null, b: number | null) =>
    a === null ? b : b === null ? a : choose(a, b);
  return {
    first: best(Math.min, one.first, other.first),
    last: best(Math.max, one.last, other.last),
    min: best(Math.min, one.min, other.min),
    max: best(Math.max, one.max, other.max),
    sum: best((a, b) => a + b, one.sum, other.sum),
    count: one.count + other.count,
  };
}

/** Which granularities have values, per root meter. */
export async function granularitiesOf(
  db: Queryable,
  keys: readonly StatKey[],
): Promise<Map<string, Granularity[]>> {
  const stats = await statsOf(db, keys);
  const found = new Map<string, Granularity[]>();
  for (const [id, ofMeter] of stats) {
    const held = Object.values(ofMeter).flatMap((byGran) => Object.entries(byGran));
    found.set(
      id,
      granularities.filter((name) => held.some(([gran, stat]) => gran === name && stat.count > 0)),
    );
  }
  return found;
}
