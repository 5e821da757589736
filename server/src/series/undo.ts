import { lockPart } from "../changes/changes.ts";
import { sql, type Tx } from "../platform/db.ts";
import { nothingStored, type RootMeter, type Stored } from "./batch.ts";
import { decodeRuns, decodeValues } from "./block-codec.ts";
import { type Source, sourceAt } from "./block-planes.ts";
import { derive, Touched } from "./derive.ts";
import { flush, openWorkspace, type SeriesOwner } from "./ingest.ts";
import { metrics } from "./metric.ts";
import type { BlockKey, OpenBlock } from "./open-block.ts";
import { granularityOf, slotsOf, startAt } from "./slot.ts";
import { lastDocument } from "./store.ts";
import { blockName, type Workspace } from "./workspace.ts";

interface SeriesOfMeter extends SeriesOwner {
  seriesId: number;
}

interface OldBlock {
  series_id: number;
  gran: number;
  period: number;
  data: Buffer;
}

/**
 * Takes back what an import stored for some meters of one part: values that stood there before return with their
 * old source, others go; values that somebody else has written since stay. Days and months follow. Kept as
 * revisions like any other change, so an undo can be seen. Safe to repeat.
 */
export async function undoImport(
  tx: Tx,
  what: { part: number; importId: string; meters: readonly RootMeter[]; now: number },
): Promise<Stored> {
  const { part, importId, meters, now } = what;
  const head = await lockPart(tx, part);
  const docs = new Set(
    (
      await tx.rows<{ doc: number }>(
        sql`select doc from document where part = ${part} and import_id = ${importId}`,
      )
    ).map((row) => row.doc),
  );
  const stored = nothingStored();
  if (docs.size === 0) return stored;
  const series = await seriesOf(tx, part, meters);
  const work = await openWorkspace(tx, part, await storedKeys(tx, part, [...series.keys()]));
  const before = await overwrittenBy(tx, part, { docs, series: [...series.keys()] });
  const doc = (await lastDocument(tx, part)) + 1;
  for (const each of series.values()) {
    const touched = restoreSeries(work, each, { docs, before, stored });
    const derivable = {
      seriesId: each.seriesId,
      meter: each.meter,
      aggregate: metrics.get(each.metric)!.aggregate,
    };
    stored.derived += derive(work, derivable, touched, doc);
  }
  work.usedDocs.add(doc);
  work.finish(doc);
  const source = `undo of import ${importId}`;
  await flush(tx, {
    part,
    head,
    now,
    work,
    series,
    documents: [{ doc, version: now, rank: 0, source, importId: null }],
  });
  return stored;
}

async function seriesOf(
  tx: Tx,
  part: number,
  meters: readonly RootMeter[],
): Promise<Map<number, SeriesOfMeter>> {
  const byId = new Map(meters.map((meter) => [meter.id, meter]));
  const rows = await tx.rows<{ series_id: number; meter_id: string; metric: string }>(
    sql`select series_id, meter_id, metric from series
        where part = ${part} and meter_id = any(${[...byId.keys()]}::text[])`,
  );
  return new Map(
    rows.map((row) => [
      row.series_id,
      { seriesId: row.series_id, metric: row.metric, meter: byId.get(row.meter_id)! },
    ]),
  );
}

async function storedKeys(tx: Tx, part: number, series: readonly number[]): Promise<BlockKey[]> {
  const rows = await tx.rows<{ series_id: number; gran: number; period: number }>(
    sql`select series_id, gran, period from block where part = ${part} and series_id = any(${series}::int8[])`,
  );
  return rows.map((row) => ({
    seriesId: row.series_id,
    granularity: granularityOf(row.gran),
    period: row.period,
  }));
}

/** What the documents replaced, newest first, per block. */
async function overwrittenBy(
  tx: Tx,
  part: number,
  { docs, series }: { docs: ReadonlySet<number>; series: readonly number[] },
): Promise<Map<string, OldBlock[]>> {
  const rows = await tx.rows<OldBlock>(
    sql`select series_id, gran, period, data from revision
        where part = ${part} and doc = any(${[...docs]}::int4[]) and series_id = any(${series}::int8[])
        order by doc desc`,
  );
  return Map.groupBy(rows, (row) => blockName(row.series_id, granularityOf(row.gran), row.period));
}

function restoreSeries(
  work: Workspace,
  series: SeriesOfMeter,
  about: { docs: ReadonlySet<number>; before: ReadonlyMap<string, OldBlock[]>; stored: Stored },
): Touched {
  const touched = new Touched();
  const zone = series.meter.timezone;
  for (const block of work.blocks.values()) {
    if (block.key.seriesId !== series.seriesId) continue;
    const { granularity, period } = block.key;
    for (const slot of restoreBlock(block, about)) {
      const start = startAt(granularity, zone, { period, slot });
      touched.add(granularity, zone, start);
      if (Number.isNaN(block.values[slot]!)) touched.addRemoved(granularity, zone, start);
    }
  }
  return touched;
}

/** Restores the slots that the documents wrote; returns them. */
function restoreBlock(
  block: OpenBlock,
  about: { docs: ReadonlySet<number>; before: ReadonlyMap<string, OldBlock[]>; stored: Stored },
): number[] {
  const { docs, stored } = about;
  const { seriesId, granularity, period } = block.key;
  const old = about.before.get(blockName(seriesId, granularity, period)) ?? [];
  const slots: number[] = [];
  for (let slot = 0; slot < block.values.length; slot++) {
    if (block.doc[slot] === 0 || block.isDerived(slot)) continue;
    if (!docs.has(block.doc[slot]!)) {
      if (docs.has(block.confirmed[slot]!)) block.confirm(slot, block.doc[slot]!);
      continue;
    }
    const previous = previousOf(old, slot, docs);
    if (previous === undefined) {
      if (Number.isNaN(block.values[slot]!)) continue;
      block.restore(slot, Number.NaN, { doc: 0, confirmed: 0, flags: 0 });
      stored.removed++;
    } else {
      block.restore(slot, previous.value, previous.source);
      stored.replaced++;
    }
    slots.push(slot);
  }
  return slots;
}

/** The newest value of a slot that is not of the documents themselves. */
function previousOf(
  newestFirst: readonly OldBlock[],
  slot: number,
  docs: ReadonlySet<number>,
): { value: number; source: Readonly<Source> } | undefined {
  for (const row of newestFirst) {
    const values = new Float64Array(slotsOf(granularityOf(row.gran)));
    decodeValues(row.data, values);
    if (Number.isNaN(values[slot]!)) continue;
    const source = sourceAt(decodeRuns(row.data), slot);
    if (!docs.has(source.doc)) return { value: values[slot]!, source };
  }
  return undefined;
}

/** Deletes the values of some root meters of one part, replaced ones included; their statistics go with the meters. */
export async function eraseMeters(tx: Tx, part: number, meters: readonly string[]): Promise<void> {
  await lockPart(tx, part);
  const rows = await tx.rows<{ series_id: number }>(
    sql`select series_id from series where part = ${part} and meter_id = any(${meters}::text[])`,
  );
  const ids = rows.map((row) => row.series_id);
  await tx.run(sql`delete from block where part = ${part} and series_id = any(${ids}::int8[])`);
  await tx.run(sql`delete from revision where part = ${part} and series_id = any(${ids}::int8[])`);
  await tx.run(sql`delete from series where part = ${part} and series_id = any(${ids}::int8[])`);
}
