import type { StatRow as MeterStat } from "../meters/meters.ts";
import type { Tx } from "../platform/db.ts";
import type { Granularity } from "../platform/granularity.ts";
import { granuleLabel } from "../platform/time/granule.ts";
import type { SeriesOwner } from "./ingest.ts";
import { metrics } from "./metric.ts";
import type { BlockKey } from "./open-block.ts";
import { codeOf, granularityOf, startAt } from "./slot.ts";

interface SummaryRow {
  series_id: number;
  gran: number;
  n: number;
  sum: string | null;
  min: number | null;
  max: number | null;
  first_period: number | null;
  first: number | null;
  last_period: number | null;
  last: number | null;
}

/**
 * Statistics of every series and granularity that a transaction wrote, from the summaries of its blocks. Call it
 * after the blocks are written. Costs are left out: the contract's statistics are of consumption.
 */
export async function statsAfter(
  tx: Tx,
  part: number,
  written: {
    keys: readonly Pick<BlockKey, "seriesId" | "granularity">[];
    series: ReadonlyMap<number, SeriesOwner>;
    version: number;
  },
): Promise<MeterStat[]> {
  const wanted = new Map<string, { seriesId: number; gran: number }>();
  for (const { seriesId, granularity } of written.keys) {
    wanted.set(`${seriesId}/${granularity}`, { seriesId, gran: codeOf[granularity] });
  }
  const rows = await tx.rows<SummaryRow>({
    name: "series-stats",
    text: `select b.series_id, b.gran, sum(b.n)::int8 as n, sum(b.sum)::text as sum, min(b.min) as min, max(b.max) as max,
             min(b.period) filter (where b.n > 0) as first_period,
             (array_agg(b.first order by b.period) filter (where b.n > 0))[1] as first,
             max(b.period) filter (where b.n > 0) as last_period,
             (array_agg(b.last order by b.period desc) filter (where b.n > 0))[1] as last
           from unnest($2::int8[], $3::int2[]) as k (series_id, gran)
           join block b on b.series_id = k.series_id and b.gran = k.gran
           where b.part = $1
           group by b.series_id, b.gran`,
    values: [
      part,
      [...wanted.values()].map((key) => key.seriesId),
      [...wanted.values()].map((key) => key.gran),
    ],
  });
  return rows
    .filter((row) => !metrics.get(written.series.get(row.series_id)!.metric)!.cost)
    .map((row) => statOf(row, part, written));
}

function statOf(
  row: SummaryRow,
  part: number,
  { series, version }: { series: ReadonlyMap<number, SeriesOwner>; version: number },
): MeterStat {
  const owner = series.get(row.series_id)!;
  const granularity = granularityOf(row.gran);
  const label = (period: number | null, slot: number | null) =>
    period === null || slot === null ? null : labelAt(granularity, owner.meter.timezone, { period, slot });
  return {
    part,
    meterId: owner.meter.id,
    metric: owner.metric,
    granularity,
    first: label(row.first_period, row.first),
    last: label(row.last_period, row.last),
    min: row.min,
    max: row.max,
    // Temperatures are averaged, never added: their sum says nothing.
    sum: metrics.get(owner.metric)!.aggregate === "mean" ? null : sumOf(row),
    count: row.n,
    version,
  };
}

/** Null without values, and beyond the doubles. */
function sumOf({ sum }: SummaryRow): number | null {
  return sum === null || !Number.isFinite(Number(sum)) ? null : Number(sum);
}

function labelAt(granularity: Granularity, zone: string, place: { period: number; slot: number }): number {
  return Number(granuleLabel(granularity, zone, startAt(granularity, zone, place)));
}
