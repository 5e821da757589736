import { append, lockPart, type NewChange } from "../changes/changes.ts";
import { addMetrics, rootMeters, setStats } from "../meters/meters.ts";
import type { Db, Tx } from "../platform/db.ts";
import { Problem } from "../platform/problem.ts";
import { type Batch, nothingStored, type Refusal, type RootMeter, type Run, type Stored } from "./batch.ts";
import { refusals } from "./check.ts";
import { blocksToDerive, derive, Touched } from "./derive.ts";
import { metrics } from "./metric.ts";
import type { BlockKey, OpenBlock } from "./open-block.ts";
import { boundsOf, codeOf, endWithin, placeOf } from "./slot.ts";
import { statsAfter } from "./stats.ts";
import {
  type DocumentRow,
  ensureSeries,
  insertDocuments,
  insertRevisions,
  lastDocument,
  loadBlocks,
  loadStandings,
  seriesKey,
  writeBlocks,
} from "./store.ts";
import { blockName, type SeriesRun, type Standing, Workspace } from "./workspace.ts";

/** A batch was refused: nothing of it was stored. The message of each field says which value and why. */
export function refused(reasons: readonly Refusal[]): Problem {
  const errors: Record<string, string[]> = {};
  for (const reason of reasons) (errors[reason.where] ??= []).push(reason.message);
  const first = reasons[0]!;
  return new Problem("invalid", `Nothing was stored. ${first.where}: ${first.message}`, { errors });
}

/**
 * Stores batches, each whole or not at all, in one transaction: values, days and months that follow from them,
 * replaced values, statistics and the change log. Repeating a batch changes nothing; an older document never
 * overwrites a newer one; a delivered value beats a derived one.
 *
 * @param now epoch ms; the version of documents that state none
 * @throws Problem `invalid` with a reason per value when any batch cannot be stored
 */
export async function ingestIn(tx: Tx, batches: readonly Batch[], now: number): Promise<Stored[]> {
  for (const batch of batches) {
    const reasons = refusals(batch, now);
    if (reasons.length > 0) throw refused(reasons);
  }
  const results = batches.map(() => nothingStored());
  const parts = new Set(batches.flatMap((batch) => batch.runs.map((run) => run.meter.part)));
  // Ascending, as every other transaction over several parts: no deadlocks.
  for (const part of [...parts].sort((a, b) => a - b)) await ingestPart(tx, { part, batches, results, now });
  return results;
}

/** `ingestIn` in a transaction of its own. */
export async function ingest(db: Db, batches: readonly Batch[], now: number): Promise<Stored[]> {
  return db.transaction((tx) => ingestIn(tx, batches, now));
}

interface PartWork {
  part: number;
  batches: readonly Batch[];
  results: Stored[];
  now: number;
}

async function ingestPart(tx: Tx, { part, batches, results, now }: PartWork): Promise<void> {
  const head = await lockPart(tx, part);
  const wanted = batches.map((batch) => batch.runs.filter((run) => run.meter.part === part));
  const known = await rootMeters(tx, [...new Set(wanted.flat().map((run) => run.meter.id))]);
  // A meter may have been erased while this transaction waited for the part: its values have no place any more.
  const alive = new Set(known.map((root) => root.id));
  const mine = wanted.map((each) => each.filter((run) => alive.has(run.meter.id)));
  const ids = await ensureSeries(tx, part, mine.flat().map(nameOf));
  const runs = mine.map((each) =>
    each.map(
      (run): SeriesRun => ({
        ...run,
        seriesId: ids.get(seriesKey(nameOf(run)))!,
        starts: doubles(run.starts),
        values: doubles(run.values),
      }),
    ),
  );
  const work = await openWorkspace(tx, part, keysOf(runs.flat()));
  const first = (await lastDocument(tx, part)) + 1;
  const documents = batches.map(
    ({ document }, i): DocumentRow => ({
      doc: first + i,
      // A document that claims to come from the future would keep corrections out until then.
      version: Math.min(document.version ?? now, now),
      rank: document.rank ?? 0,
      source: document.source,
      importId: document.importId ?? null,
    }),
  );
  for (const [i, each] of runs.entries()) applyBatch(work, each, documents[i]!, results[i]!);
  const used = documents.filter((row) => work.usedDocs.has(row.doc));
  await flush(tx, { part, head, now, work, documents: used, series: meterOfSeries(runs.flat()) });
}

/** The blocks of the keys and the standings of the documents in them. */
export async function openWorkspace(tx: Tx, part: number, keys: readonly BlockKey[]): Promise<Workspace> {
  const blocks = await loadBlocks(tx, part, keys);
  const docs = new Set<number>();
  for (const block of blocks.values()) for (const doc of block.confirmed) if (doc !== 0) docs.add(doc);
  return new Workspace(blocks, await loadStandings(tx, part, docs));
}

function applyBatch(
  work: Workspace,
  runs: readonly SeriesRun[],
  document: DocumentRow,
  stored: Stored,
): void {
  const standing: Standing = document;
  const touched = new Map<number, { run: SeriesRun; touched: Touched }>();
  for (const run of runs) {
    work.apply(run, document.doc, standing, stored);
    // Costs are stored per month, and nothing is longer: a month that is empty does not follow from days.
    if (metrics.get(run.metric)!.cost) continue;
    let entry = touched.get(run.seriesId);
    if (entry === undefined) touched.set(run.seriesId, (entry = { run, touched: new Touched() }));
    entry.touched.addRun(run);
  }
  for (const { run, touched: instants } of touched.values()) {
    stored.derived += derive(work, derivable(run), instants, document.doc);
  }
  work.finish(document.doc);
}

function derivable(run: SeriesRun) {
  return { seriesId: run.seriesId, meter: run.meter, aggregate: metrics.get(run.metric)!.aggregate };
}

/** Every block that a transaction on these runs may touch, those of derived values included. */
function keysOf(runs: readonly SeriesRun[]): BlockKey[] {
  const keys = new Map<string, BlockKey>();
  for (const run of runs) {
    const { seriesId } = run;
    const zone = run.meter.timezone;
    const need = (granularity: BlockKey["granularity"], period: number) =>
      keys.set(blockName(seriesId, granularity, period), { seriesId, granularity, period });
    for (let from = 0; from < run.starts.length; ) {
      const { period } = placeOf(run.granularity, zone, run.starts[from]!);
      need(run.granularity, period);
      const bounds = boundsOf(run.granularity, period);
      from = bounds === null ? from + 1 : endWithin(run.starts, from, bounds);
    }
    const touched = new Touched();
    touched.addRun(run);
    blocksToDerive(touched, zone, need);
  }
  return [...keys.values()];
}

/** Which meter and metric a series is; statistics and the meter's list of metrics are kept by them. */
export interface SeriesOwner {
  meter: RootMeter;
  metric: string;
}

function meterOfSeries(runs: readonly SeriesRun[]): Map<number, SeriesOwner> {
  return new Map(runs.map((run) => [run.seriesId, { meter: run.meter, metric: run.metric }]));
}

/** What a transaction on one part has to write at its end. */
export interface Flush {
  part: number;
  /** The locked head. */
  head: number;
  now: number;
  work: Workspace;
  documents: readonly DocumentRow[];
  series: ReadonlyMap<number, SeriesOwner>;
}

/** Writes everything that a workspace holds: documents, revisions, blocks, the change log, statistics. */
export async function flush(tx: Tx, { part, head, now, work, documents, series }: Flush): Promise<void> {
  const dirty = [...work.blocks.values()].filter((block) => block.dirty);
  if (dirty.length === 0) return;
  const stored = new Date(now);
  await insertDocuments(tx, part, documents, stored);
  await insertRevisions(tx, part, work.overwritten, stored);
  const packed = dirty.map((block) => ({ block, ...block.pack() }));
  await writeBlocks(tx, part, packed);
  const changes = dirty.flatMap((block) =>
    block.changes().map(
      (run): NewChange => ({
        ...run,
        seriesId: block.key.seriesId,
        gran: codeOf[block.key.granularity],
        period: block.key.period,
      }),
    ),
  );
  if (changes.length === 0) return;
  const version = await append(tx, { part, head, now }, changes);
  await setStats(tx, await statsAfter(tx, part, { keys: dirty.map((block) => block.key), series, version }));
  for (const [metric, meters] of newMetrics(dirty, series)) await addMetrics(tx, [...meters], [metric]);
}

/** Metrics of meters that may have got their first value. */
function newMetrics(
  blocks: readonly OpenBlock[],
  series: ReadonlyMap<number, SeriesOwner>,
): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const block of blocks) {
    if (!block.isNew) continue;
    const { meter, metric } = series.get(block.key.seriesId)!;
    if (metrics.get(metric)!.cost) continue;
    const meters = found.get(metric);
    if (meters === undefined) found.set(metric, new Set([meter.id]));
    else meters.add(meter.id);
  }
  return found;
}

function doubles(numbers: ArrayLike<number>): Float64Array {
  return numbers instanceof Float64Array ? numbers : Float64Array.from(numbers);
}

function nameOf(run: Run) {
  return { meterId: run.meter.id, metric: run.metric, currency: run.currency ?? "" };
}
