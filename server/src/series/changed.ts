import type { Change } from "../changes/changes.ts";
import { any, type Queryable, sql } from "../platform/db.ts";
import type { Granularity } from "../platform/granularity.ts";
import { granuleEnd } from "../platform/time/granule.ts";
import { granularityOf, startAt } from "./slot.ts";

/** What a series of a part holds. */
export interface SeriesOf {
  seriesId: number;
  /** The root meter. */
  meterId: string;
  metric: string;
  /** ISO 4217 code of cost series, '' for all others. */
  currency: string;
}

/** What series of a part hold, by id; those of erased meters are absent. */
export async function seriesOf(
  db: Queryable,
  part: number,
  seriesIds: readonly number[],
): Promise<Map<number, SeriesOf>> {
  const rows = await db.rows<SeriesOf>(sql`
    select series_id as "seriesId", meter_id as "meterId", metric, currency from series
    where part = ${part} and series_id = ${any(seriesIds, "int8")}`);
  return new Map(rows.map((row) => [row.seriesId, row]));
}

/** The granules that an entry of the log of changes names: their granularity and the instants [from, to), epoch ms. */
export function periodOf(
  { gran, period, slot, n }: Pick<Change, "gran" | "period" | "slot" | "n">,
  zone: string,
): { granularity: Granularity; from: number; to: number } {
  const granularity = granularityOf(gran);
  const last = startAt(granularity, zone, { period, slot: slot + n - 1 });
  return {
    granularity,
    from: startAt(granularity, zone, { period, slot }),
    to: granuleEnd(granularity, zone, last),
  };
}
