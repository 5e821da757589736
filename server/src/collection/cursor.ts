import { any, type Queryable, sql, type Tx } from "../platform/db.ts";
import type { Granularity } from "../platform/granularity.ts";
import type { Wanted } from "./connector.ts";
import { learnedLateness } from "./schedule.ts";

/** How far a source has delivered a metric in a granularity. Times are epoch ms. */
export interface Cursor {
  sourceId: string;
  metric: string;
  granularity: Granularity;
  firstAsked: number;
  /** End of the last value that came; where asking began while none has. */
  until: number;
  latenessMs: number;
  gapsAsked: number | null;
  oldGapsAsked: number | null;
}

/** What names a cursor. */
export type Series = Pick<Cursor, "sourceId" | "metric" | "granularity">;

/** A text for the same. */
export const seriesKey = ({ sourceId, metric, granularity }: Series) =>
  `${sourceId} ${metric} ${granularity}`;

/** Cursors of sources, by `seriesKey`. */
export async function cursorsOf(db: Queryable, sourceIds: readonly string[]): Promise<Map<string, Cursor>> {
  const rows = await db.rows<Cursor>(sql`
    select source_id as "sourceId", metric, granularity, lateness_ms as "latenessMs",
      (extract(epoch from first_asked) * 1000)::float8 as "firstAsked",
      (extract(epoch from until) * 1000)::float8 as until,
      (extract(epoch from gaps_asked) * 1000)::float8 as "gapsAsked",
      (extract(epoch from old_gaps_asked) * 1000)::float8 as "oldGapsAsked"
    from source_cursor where source_id = ${any(sourceIds)}`);
  return new Map(rows.map((row) => [seriesKey(row), row]));
}

/** What a stored delivery says about its series. */
export interface Arrival {
  series: Series;
  /** Where asking began, for a series without a cursor. */
  asked: number;
  /** End of the last value. */
  end: number;
  usualLatenessMs: number;
}

/** Moves the cursors of series, each named once, over values that came, in the transaction that stores them. */
export async function advance(tx: Tx, arrivals: readonly Arrival[]): Promise<void> {
  if (arrivals.length === 0) return;
  const rows = arrivals.map(({ series, asked, end, usualLatenessMs }) => ({
    source: series.sourceId,
    metric: series.metric,
    granularity: series.granularity,
    asked: new Date(asked).toISOString(),
    until: new Date(end).toISOString(),
    lateness: usualLatenessMs,
  }));
  await tx.run(sql`
    insert into source_cursor as c (source_id, metric, granularity, first_asked, until, lateness_ms)
    select source, metric, granularity, asked, until, lateness
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
      as new (source text, metric text, granularity text, asked timestamptz, until timestamptz, lateness float8)
    on conflict (source_id, metric, granularity) do update set until = excluded.until where c.until < excluded.until`);
}

/**
 * Learns from the newest values that a run has brought how late they are: once for all documents of the run, as the
 * older ones among them say nothing about that.
 */
export async function learnLateness(tx: Tx, before: ReadonlyMap<string, Cursor>, now: number): Promise<void> {
  const present = await cursorsOf(tx, [...new Set([...before.values()].map(({ sourceId }) => sourceId))]);
  for (const [key, { until, latenessMs }] of before) {
    const after = present.get(key);
    if (after === undefined || after.until <= until) continue;
    const learned = learnedLateness(latenessMs, Math.max(0, now - after.until));
    await tx.run(sql`
      update source_cursor set lateness_ms = ${learned}
      where source_id = ${after.sourceId} and metric = ${after.metric} and granularity = ${after.granularity}`);
  }
}

/** One question of a run, and the series that it is about. */
export interface Question extends Wanted {
  sourceId: string;
  /** A gap that lies far back. */
  isOld?: boolean;
}

/**
 * Writes down that questions were answered, whatever came: history is read from where it was asked for, and gaps are
 * left alone for a while.
 */
export async function noteAsked(
  tx: Tx,
  questions: readonly Question[],
  { usualLatenessMs, now }: { usualLatenessMs: number; now: number },
): Promise<void> {
  const at = new Date(now);
  for (const some of Map.groupBy(questions, seriesKey).values()) {
    const { sourceId, metric, granularity } = some[0]!;
    const asked = some.filter(({ reason }) => reason === "new" || reason === "backfill");
    const from = Math.min(...asked.map((question) => question.from));
    if (Number.isFinite(from)) {
      await tx.run(sql`
        insert into source_cursor as c (source_id, metric, granularity, first_asked, until, lateness_ms)
        values (${sourceId}, ${metric}, ${granularity}, ${new Date(from)}, ${new Date(from)}, ${usualLatenessMs})
        on conflict (source_id, metric, granularity) do update
          set first_asked = least(c.first_asked, excluded.first_asked)`);
    }
    const gaps = some.filter(({ reason }) => reason === "gap");
    if (gaps.length === 0) continue;
    const isOld = gaps.some((gap) => gap.isOld === true);
    await tx.run(sql`
      update source_cursor set gaps_asked = ${at}, old_gaps_asked = case when ${isOld} then ${at} else old_gaps_asked end
      where source_id = ${sourceId} and metric = ${metric} and granularity = ${granularity}`);
  }
}
