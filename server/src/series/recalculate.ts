import { append, lockPart } from "../changes/changes.ts";
import { setStats } from "../meters/meters.ts";
import { type Db, sql } from "../platform/db.ts";
import { granularities } from "../platform/granularity.ts";
import type { RootMeter } from "./batch.ts";
import { statsAfter } from "./stats.ts";

/** Computes the statistics of a meter from its stored values, whatever they were before. */
export async function recalculateStats(db: Db, meter: RootMeter, now: number): Promise<void> {
  const { part } = meter;
  await db.transaction(async (tx) => {
    const head = await lockPart(tx, part);
    const rows = await tx.rows<{ series_id: number; metric: string }>(
      sql`select series_id, metric from series where part = ${part} and meter_id = ${meter.id}`,
    );
    const series = new Map(rows.map((row) => [row.series_id, { meter, metric: row.metric }]));
    const keys = rows.flatMap((row) =>
      granularities.map((granularity) => ({ seriesId: row.series_id, granularity })),
    );
    const version = await append(tx, { part, head, now }, []);
    await setStats(tx, await statsAfter(tx, part, { keys, series, version }));
  });
}
