import { join, type Queryable, type Sql, sql } from "../platform/db.ts";
import type { Granularity } from "../platform/granularity.ts";
import { decodeRuns, decodeValues, encodeBlock } from "./block-codec.ts";
import { RunsBuilder, type Source, sourceAt } from "./block-planes.ts";
import { codeOf, granularityOf, slotsOf, startAt } from "./slot.ts";
import { describeFlags } from "./workspace.ts";

interface RevisionRow {
  series_id: number;
  gran: number;
  period: number;
  doc: number;
  stored: Date;
  n: number;
  data: Buffer;
}

/** One block that was read, and may be taken back in time. */
export interface ReadBlock {
  series_id: number;
  period: number;
  data: Buffer;
}

/**
 * Takes blocks back to what they held at an instant: replaced values return, newest replacement first, and values
 * of documents that arrived later go. What was written, replaced and removed after `asOf` leaves no trace.
 */
export async function restoreAsOf(
  db: Queryable,
  about: { part: number; gran: number; rows: readonly ReadBlock[]; asOf: number },
): Promise<void> {
  if (about.rows.length === 0) return;
  const { part, gran, rows } = about;
  const asOf = new Date(about.asOf);
  const ids = [...new Set(rows.map((row) => row.series_id))];
  const revisions = await db.rows<RevisionRow>(
    sql`select series_id, gran, period, doc, stored, n, data from revision
        where part = ${part} and series_id = any(${ids}::int8[]) and gran = ${gran} and stored > ${asOf}
        order by doc desc`,
  );
  const docs = new Set([...rows, ...revisions].flatMap((row) => decodeRuns(row.data).doc));
  const later = await db.rows<{ doc: number }>(
    sql`select doc from document
        where part = ${part} and doc = any(${[...docs]}::int4[]) and stored > ${asOf}`,
  );
  const laterDocs = new Set(later.map((row) => row.doc));
  const byBlock = Map.groupBy(revisions, (row) => `${row.series_id}/${row.period}`);
  const slots = slotsOf(granularityOf(gran));
  for (const row of rows) {
    row.data = blockAsOf(row.data, byBlock.get(`${row.series_id}/${row.period}`) ?? [], { laterDocs, slots });
  }
}

function blockAsOf(
  block: Buffer,
  newestFirst: readonly RevisionRow[],
  about: { laterDocs: ReadonlySet<number>; slots: number },
): Buffer {
  const values = new Float64Array(about.slots);
  decodeValues(block, values);
  const runs = decodeRuns(block);
  const sources: Readonly<Source>[] = Array.from(values, (_, slot) => sourceAt(runs, slot));
  const old = new Float64Array(about.slots);
  for (const revision of newestFirst) {
    decodeValues(revision.data, old);
    const oldRuns = decodeRuns(revision.data);
    for (let slot = 0; slot < about.slots; slot++) {
      if (Number.isNaN(old[slot]!)) continue;
      values[slot] = old[slot]!;
      sources[slot] = sourceAt(oldRuns, slot);
    }
  }
  const builder = new RunsBuilder();
  for (let slot = 0; slot < about.slots; slot++) {
    if (about.laterDocs.has(sources[slot]!.doc)) values[slot] = Number.NaN;
    builder.append(1, sources[slot]!);
  }
  return encodeBlock(values, builder.finish());
}

/** A value that was replaced or removed. */
export interface Revision {
  metric: string;
  currency: string;
  granularity: Granularity;
  /** Start of the granule, epoch ms. */
  start: number;
  old: { value: number; document: string; origin: string; quality: string };
  /** What stands there instead, `null` when it was removed; later replacements are revisions of their own. */
  value: number | null;
  /** When it was replaced, epoch ms, and by which document. */
  replacedAt: number;
  document: string;
}

/** Which revisions to list. */
export interface RevisionQuestion {
  part: number;
  rootId: string;
  timezone: string;
  metric?: string;
  granularity?: Granularity;
  skip: number;
  limit: number;
}

interface SeriesRow {
  series_id: number;
  metric: string;
  currency: string;
}

/** Replaced values of a meter, newest first, with their exact number. */
export async function revisionsOf(
  db: Queryable,
  question: RevisionQuestion,
): Promise<{ count: number; revisions: Revision[] }> {
  const { part, rootId, skip, limit } = question;
  const series = await db.rows<SeriesRow>(
    sql`select series_id, metric, currency from series where part = ${part} and meter_id = ${rootId}`,
  );
  const wanted = series.filter((row) => question.metric === undefined || row.metric === question.metric);
  const ids = wanted.map((row) => row.series_id);
  const headers = await db.rows<Omit<RevisionRow, "data">>(
    sql`select series_id, gran, period, doc, stored, n from revision
        where part = ${part} and series_id = any(${ids}::int8[]) ${granularityFilter(question.granularity)}
        order by stored desc, doc desc, series_id, gran, period`,
  );
  const count = headers.reduce((sum, row) => sum + row.n, 0);
  const revisions: Revision[] = [];
  let before = 0;
  for (const header of headers) {
    const from = Math.max(0, skip - before);
    const to = Math.min(header.n, skip + limit - before);
    before += header.n;
    if (from >= to) continue;
    const about = wanted.find((row) => row.series_id === header.series_id)!;
    revisions.push(...(await openRevision(db, question, { ...header, ...about })).slice(from, to));
  }
  return { count, revisions };
}

function granularityFilter(granularity: Granularity | undefined): Sql {
  return granularity === undefined ? sql`` : sql`and gran = ${codeOf[granularity]}`;
}

async function openRevision(
  db: Queryable,
  { part, timezone }: RevisionQuestion,
  header: Omit<RevisionRow, "data"> & SeriesRow,
): Promise<Revision[]> {
  const { series_id, gran, period, doc } = header;
  const granularity = granularityOf(gran);
  const slots = slotsOf(granularity);
  const chain = await db.rows<{ doc: number; data: Buffer }>(
    sql`select doc, data from revision
        where part = ${part} and series_id = ${series_id} and gran = ${gran} and period = ${period} and doc >= ${doc}
        order by doc`,
  );
  const current = await db.maybe<{ data: Buffer }>(
    sql`select data from block
        where part = ${part} and series_id = ${series_id} and gran = ${gran} and period = ${period}`,
  );
  const [own, ...later] = chain;
  if (own === undefined) return [];
  const old = decoded(own.data, slots);
  const next = [...later, ...(current === undefined ? [] : [current])].map((row) => ({
    values: decoded(row.data, slots),
    runs: decodeRuns(row.data),
  }));
  const runs = decodeRuns(own.data);
  const present = Array.from({ length: slots }, (_, slot) => slot).filter(
    (slot) => !Number.isNaN(old[slot]!),
  );
  const docs = new Set([doc, ...present.map((slot) => sourceAt(runs, slot).doc)]);
  const sources = await documentNames(db, part, [...docs]);
  return present.map((slot): Revision => {
    const source = sourceAt(runs, slot);
    const following = next.find(({ values }) => !Number.isNaN(values[slot]!));
    // A value that a later document wrote stands there after a time without one.
    const removed = following === undefined || sourceAt(following.runs, slot).doc > doc;
    return {
      metric: header.metric,
      currency: header.currency,
      granularity,
      start: startAt(granularity, timezone, { period, slot }),
      old: { value: old[slot]!, document: sources.get(source.doc) ?? "", ...describeFlags(source.flags) },
      value: removed ? null : following.values[slot]!,
      replacedAt: header.stored.getTime(),
      document: sources.get(doc) ?? "",
    };
  });
}

function decoded(block: Uint8Array, slots: number): Float64Array {
  const values = new Float64Array(slots);
  decodeValues(block, values);
  return values;
}

async function documentNames(
  db: Queryable,
  part: number,
  docs: readonly number[],
): Promise<Map<number, string>> {
  const rows = await db.rows<{ doc: number; source: string }>(
    sql`select doc, source from document where part = ${part} and doc in (${join(docs)})`,
  );
  return new Map(rows.map((row) => [row.doc, row.source]));
}
