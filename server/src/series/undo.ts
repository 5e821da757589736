import { lockPart } from "../changes/changes.ts";
import { sql, type Tx } from "../platform/db.ts";
import { nothingStored, type RootMeter, type Stored } from "./batch.ts";
import { decodeRuns, decodeValues } from "./block-codec.ts";
import {
  derivedFlag,
  neverWritten,
  removedFlag,
  runsWithin,
  type Source,
  type SourceRuns,
  sourcesOf,
} from "./block-planes.ts";
import { blocksToDerive, derive, Touched } from "./derive.ts";
import { flush, openWorkspace, type SeriesOwner } from "./ingest.ts";
import { metrics } from "./metric.ts";
import type { BlockKey, OpenBlock } from "./open-block.ts";
import { granularityOf, slotsOf, startAt } from "./slot.ts";
import { lastDocument } from "./store.ts";
import { blockName } from "./workspace.ts";

/** Series whose blocks are read together. */
const seriesAtOnce = 20;

interface SeriesOfMeter extends SeriesOwner {
  seriesId: number;
}

interface StoredBlock {
  series_id: number;
  gran: number;
  period: number;
  data: Buffer;
}

/**
 * Takes back what an import stored for some meters of one part: values that stood there before return with their
 * old source, others go; values that somebody else has written or repeated since stay. What another import that was
 * taken back had written does not return. Days and months follow. Kept as revisions like any other change, so an
 * undo can be seen. Safe to repeat.
 */
export async function undoImport(
  tx: Tx,
  { importId, ...what }: Omit<Undo, "importIds" | "source" | "metrics"> & { importId: string },
): Promise<Stored> {
  return undoImports(tx, { ...what, importIds: [importId], source: `undo of import ${importId}` });
}

/** What is to be taken back. */
export interface Undo {
  part: number;
  importIds: readonly string[];
  meters: readonly RootMeter[];
  /** Only values of these; of all metrics when absent. */
  metrics?: readonly string[];
  /** What the document of the undo is called. */
  source: string;
  /** Epoch ms. */
  now: number;
}

/** `undoImport` for several imports at once. */
export async function undoImports(tx: Tx, what: Undo): Promise<Stored> {
  const { part, meters, now, source } = what;
  const importIds = new Set(what.importIds);
  const head = await lockPart(tx, part);
  await tx.run(sql`
    update document set undone = true
    where part = ${part} and import_id = any(${[...importIds]}::text[]) and not undone`);
  const stored = nothingStored();
  const series = await seriesOf(tx, part, { meters, metrics: what.metrics ?? null });
  const written = await writtenBlocks(tx, part, [...series.keys()]);
  const own = await undoneAmong(tx, part, { docs: documentsIn(written.map(({ runs }) => runs)), importIds });
  if (own.size === 0) return stored;
  const work = await openWorkspace(tx, part, keysToUndo(written, own, series));
  const before = await overwrittenByUndone(tx, part, [...series.keys()]);
  const sources = [...before.values()].flat().map(({ data }) => decodeRuns(data));
  const undone = await undoneAmong(tx, part, { docs: documentsIn(sources) });
  const docs = new Set([...own, ...undone]);
  const doc = (await lastDocument(tx, part)) + 1;
  const blocks = Map.groupBy(work.blocks.values(), ({ key }) => key.seriesId);
  for (const each of series.values()) {
    const its = blocks.get(each.seriesId) ?? [];
    const touched = restoreSeries(its, each, { own, docs, before, stored, doc });
    const derivable = {
      seriesId: each.seriesId,
      meter: each.meter,
      aggregate: metrics.get(each.metric)!.aggregate,
    };
    stored.derived += derive(work, derivable, touched, doc);
  }
  work.usedDocs.add(doc);
  work.finish(doc);
  const document = { doc, version: now, rank: 0, source, importId: null };
  await flush(tx, { part, head, now, work, series, documents: [document] });
  return stored;
}

async function seriesOf(
  tx: Tx,
  part: number,
  { meters, metrics: names }: { meters: readonly RootMeter[]; metrics: readonly string[] | null },
): Promise<Map<number, SeriesOfMeter>> {
  const byId = new Map(meters.map((meter) => [meter.id, meter]));
  const rows = await tx.rows<{ series_id: number; meter_id: string; metric: string }>(
    sql`select series_id, meter_id, metric from series
        where part = ${part} and meter_id = any(${[...byId.keys()]}::text[])
          and (${names}::text[] is null or metric = any(${names}::text[]))`,
  );
  return new Map(
    rows.map((row) => [
      row.series_id,
      { seriesId: row.series_id, metric: row.metric, meter: byId.get(row.meter_id)! },
    ]),
  );
}

/** A block and who wrote it. */
interface Written {
  key: BlockKey;
  runs: SourceRuns;
}

async function writtenBlocks(tx: Tx, part: number, series: readonly number[]): Promise<Written[]> {
  const written: Written[] = [];
  // A few at a time: of a block only the origins are kept.
  for (let from = 0; from < series.length; from += seriesAtOnce) {
    const rows = await tx.rows<StoredBlock>(sql`
      select series_id, gran, period, data from block
      where part = ${part} and series_id = any(${series.slice(from, from + seriesAtOnce)}::int8[])`);
    for (const { series_id, gran, period, data } of rows) {
      const key = { seriesId: series_id, granularity: granularityOf(gran), period };
      written.push({ key, runs: decodeRuns(data) });
    }
  }
  return written;
}

function documentsIn(blocks: readonly SourceRuns[]): Set<number> {
  return new Set(blocks.flatMap(({ doc, confirmed }) => [...doc, ...confirmed]));
}

/** Those of the documents that belong to an import that was taken back: to these when they are named. */
async function undoneAmong(
  tx: Tx,
  part: number,
  { docs, importIds }: { docs: ReadonlySet<number>; importIds?: ReadonlySet<string> },
): Promise<Set<number>> {
  const rows = await tx.rows<{ doc: number; import_id: string }>(
    sql`select doc, import_id from document
        where part = ${part} and doc = any(${[...docs]}::int4[]) and undone`,
  );
  const wanted = rows.filter((row) => importIds === undefined || importIds.has(row.import_id));
  return new Set(wanted.map((row) => row.doc));
}

/** The blocks in which the documents have the say over a value, and those of what is derived from it. */
function keysToUndo(
  written: readonly Written[],
  docs: ReadonlySet<number>,
  series: ReadonlyMap<number, SeriesOfMeter>,
): BlockKey[] {
  const keys = new Map<string, BlockKey>();
  for (const [seriesId, blocks] of Map.groupBy(written, ({ key }) => key.seriesId)) {
    const zone = series.get(seriesId)!.meter.timezone;
    const touched = new Touched();
    const need = (granularity: BlockKey["granularity"], period: number) =>
      keys.set(blockName(seriesId, granularity, period), { seriesId, granularity, period });
    for (const { key, runs } of blocks) {
      const { granularity, period } = key;
      for (const { from, to, source } of runsWithin(runs, 0, slotsOf(granularity))) {
        if (!docs.has(source.doc) && !docs.has(source.confirmed)) continue;
        need(granularity, period);
        for (let slot = from; slot < to; slot++) {
          const start = startAt(granularity, zone, { period, slot });
          touched.add(granularity, zone, start);
          touched.addRemoved(granularity, zone, start);
        }
      }
    }
    blocksToDerive(touched, zone, need);
  }
  return [...keys.values()];
}

/** What documents of imports that were taken back replaced, newest first, per block. */
async function overwrittenByUndone(
  tx: Tx,
  part: number,
  series: readonly number[],
): Promise<Map<string, StoredBlock[]>> {
  const rows = await tx.rows<StoredBlock>(
    sql`select r.series_id, r.gran, r.period, r.data
        from revision r join document d on d.part = r.part and d.doc = r.doc
        where r.part = ${part} and d.part = ${part} and r.series_id = any(${series}::int8[]) and d.undone
        order by r.doc desc`,
  );
  return Map.groupBy(rows, (row) => blockName(row.series_id, granularityOf(row.gran), row.period));
}

/** What an undo knows while it works. */
interface Undoing {
  /** The documents of the import. */
  own: ReadonlySet<number>;
  /** They, and those of other imports that were taken back. */
  docs: ReadonlySet<number>;
  /** What they replaced. */
  before: ReadonlyMap<string, StoredBlock[]>;
  stored: Stored;
  /** The document in whose name values are restored. */
  doc: number;
}

function restoreSeries(blocks: Iterable<OpenBlock>, series: SeriesOfMeter, about: Undoing): Touched {
  const touched = new Touched();
  const zone = series.meter.timezone;
  for (const block of blocks) {
    const { granularity, period } = block.key;
    for (const slot of restoreBlock(block, about)) {
      const start = startAt(granularity, zone, { period, slot });
      touched.add(granularity, zone, start);
      if (Number.isNaN(block.values[slot]!)) touched.addRemoved(granularity, zone, start);
    }
  }
  return touched;
}

/** Restores the slots over which the documents have the say; returns them. */
function restoreBlock(block: OpenBlock, { own, docs, before, stored, doc }: Undoing): number[] {
  const { seriesId, granularity, period } = block.key;
  const replaced = before.get(blockName(seriesId, granularity, period)) ?? [];
  const old = replaced.map((row) => opened(row.data, block.values.length));
  const slots: number[] = [];
  for (let slot = 0; slot < block.values.length; slot++) {
    if (!block.isClaimed(slot)) continue;
    const source = block.source(slot);
    if (!own.has(source.doc) && !own.has(source.confirmed)) continue;
    const kept = withoutUndone(source, docs);
    if (kept?.doc === source.doc) {
      if (kept.confirmed !== source.confirmed) block.confirm(slot, kept.confirmed);
      continue;
    }
    if (kept !== undefined) {
      block.restore(slot, block.values[slot]!, { source: kept, by: doc });
      continue;
    }
    const previous = previousOf(old, slot, docs);
    if (Number.isNaN(previous.value)) stored.removed++;
    else stored.replaced++;
    block.restore(slot, previous.value, { source: previous.source, by: doc });
    slots.push(slot);
  }
  return slots;
}

/** A source without the documents that were taken back: who repeated the value has the say then. */
function withoutUndone(source: Readonly<Source>, docs: ReadonlySet<number>): Readonly<Source> | undefined {
  const { doc, confirmed } = source;
  if (!docs.has(doc)) return docs.has(confirmed) ? { ...source, confirmed: doc } : source;
  return docs.has(confirmed) ? undefined : { ...source, doc: confirmed };
}

interface OpenedBlock {
  values: Float64Array;
  sources: readonly Readonly<Source>[];
}

function opened(data: Buffer, slots: number): OpenedBlock {
  const values = new Float64Array(slots);
  decodeValues(data, values);
  return { values, sources: sourcesOf(decodeRuns(data), slots) };
}

/** The newest value or removal of a slot that is not of the documents themselves; derived values are computed anew. */
function previousOf(
  newestFirst: readonly OpenedBlock[],
  slot: number,
  docs: ReadonlySet<number>,
): { value: number; source: Readonly<Source> } {
  for (const { values, sources } of newestFirst) {
    const source = sources[slot]!;
    const isDerived = (source.flags & derivedFlag) !== 0;
    if (source.doc === 0 || (isDerived && (source.flags & removedFlag) === 0)) continue;
    const kept = withoutUndone(source, docs);
    if (kept === undefined) continue;
    if (!isDerived) return { value: values[slot]!, source: kept };
    return { value: Number.NaN, source: { ...kept, flags: removedFlag } };
  }
  return { value: Number.NaN, source: neverWritten };
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
