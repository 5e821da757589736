import { type Queryable, type Sql, sql } from "../platform/db.ts";
import type { Granularity } from "../platform/granularity.ts";
import { decodeRuns, decodeValues, encodeBlock } from "./block-codec.ts";
import { docMax, RunsBuilder, runsWithin, type Source, sourcesOf } from "./block-planes.ts";
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
  let [first, last] = [rows[0]!.period, rows[0]!.period];
  for (const { period } of rows) [first, last] = [Math.min(first, period), Math.max(last, period)];
  const revisions = await db.rows<RevisionRow>(
    sql`select series_id, gran, period, doc, stored, n, data from revision
        where part = ${part} and series_id = any(${ids}::int8[]) and gran = ${gran}
          and period between ${first} and ${last} and stored > ${asOf}
        order by doc desc`,
  );
  const docs = new Set([...rows, ...revisions].flatMap((row) => decodeRuns(row.data).doc));
  const later = await db.rows<{ doc: number }>(
    sql`select doc from document
        where part = ${part} and doc = any(${[...docs]}::int4[]) and stored > ${asOf}`,
  );
  if (later.length === 0 && revisions.length === 0) return;
  const laterDocs = new Set(later.map((row) => row.doc));
  const byBlock = Map.groupBy(revisions, (row) => `${row.series_id}/${row.period}`);
  const slots = slotsOf(granularityOf(gran));
  for (const row of rows) {
    const newestFirst = byBlock.get(`${row.series_id}/${row.period}`) ?? [];
    if (newestFirst.length === 0 && !decodeRuns(row.data).doc.some((doc) => laterDocs.has(doc))) continue;
    row.data = blockAsOf(row.data, newestFirst, { laterDocs, slots });
  }
}

function blockAsOf(
  block: Buffer,
  newestFirst: readonly RevisionRow[],
  about: { laterDocs: ReadonlySet<number>; slots: number },
): Buffer {
  const values = new Float64Array(about.slots);
  decodeValues(block, values);
  const sources = sourcesOf(decodeRuns(block), about.slots);
  const old = new Float64Array(about.slots);
  for (const revision of newestFirst) {
    decodeValues(revision.data, old);
    // A source without a value: what was replaced was a removal.
    for (const { from, to, source } of runsWithin(decodeRuns(revision.data), 0, about.slots)) {
      if (source.doc === 0) continue;
      values.set(old.subarray(from, to), from);
      sources.fill(source, from, to);
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
  const which = sql`series_id = any(${ids}::int8[]) and n > 0 ${granularityFilter(question.granularity)}`;
  const { count } = await db.one<{ count: number }>(
    sql`select coalesce(sum(n), 0)::int8 as count from revision where part = ${part} and ${which}`,
  );
  // A row holds the `n` values that one document replaced in one block; `upto` counts values, newest first.
  const headers = await db.rows<Header>(
    sql`select series_id, gran, period, doc, stored, n, upto from (
          select series_id, gran, period, doc, stored, n,
            sum(n) over (order by stored desc, doc desc, series_id, gran, period)::int8 as upto
          from revision where part = ${part} and ${which}
        ) as counted
        where upto > ${skip}::int8 and upto - n < ${skip + limit}::int8
        order by upto`,
  );
  const chains = await chainsOf(db, part, headers);
  const found = headers.flatMap((header) => {
    const before = header.upto - header.n;
    return replacedBy(header, chains.get(blockOf(header))!).slice(
      Math.max(0, skip - before),
      skip + limit - before,
    );
  });
  const names = await documentNames(
    db,
    part,
    new Set(found.flatMap(({ header, source }) => [header.doc, source.doc])),
  );
  const about = new Map(wanted.map((row) => [row.series_id, row]));
  const revisions = found.map((each) =>
    revisionOf(each, about.get(each.header.series_id)!, names, question.timezone),
  );
  return { count, revisions };
}

interface Header extends Omit<RevisionRow, "data"> {
  upto: number;
}

/** What a block held until a document replaced it; the last one is what it holds now. */
interface Version {
  doc: number;
  values: Float64Array;
  sources: readonly Readonly<Source>[];
}

function granularityFilter(granularity: Granularity | undefined): Sql {
  return granularity === undefined ? sql`` : sql`and gran = ${codeOf[granularity]}`;
}

function blockOf({ series_id, gran, period }: Pick<Header, "series_id" | "gran" | "period">): string {
  return `${series_id}/${gran}/${period}`;
}

/** Per block of the revisions all that it held from the oldest of them on, oldest first. */
async function chainsOf(
  db: Queryable,
  part: number,
  headers: readonly Header[],
): Promise<Map<string, Version[]>> {
  const chains = new Map<string, Version[]>();
  for (const [name, group] of Map.groupBy(headers, blockOf)) {
    const { series_id, gran, period } = group[0]!;
    const slots = slotsOf(granularityOf(gran));
    const oldest = Math.min(...group.map((header) => header.doc));
    const rows = await db.rows<{ doc: number; data: Buffer }>(
      sql`select doc, data from revision
          where part = ${part} and series_id = ${series_id} and gran = ${gran} and period = ${period} and doc >= ${oldest}
          order by doc`,
    );
    const current = await db.rows<{ doc: number; data: Buffer }>(
      sql`select ${docMax}::int4 as doc, data from block
          where part = ${part} and series_id = ${series_id} and gran = ${gran} and period = ${period}`,
    );
    chains.set(
      name,
      [...rows, ...current].map(({ doc, data }) => {
        const values = new Float64Array(slots);
        decodeValues(data, values);
        return { doc, values, sources: sourcesOf(decodeRuns(data), slots) };
      }),
    );
  }
  return chains;
}

/** A value that a document replaced, and what stood there after it. */
interface Replaced {
  header: Header;
  slot: number;
  old: number;
  source: Readonly<Source>;
  value: number | null;
}

function replacedBy(header: Header, chain: readonly Version[]): Replaced[] {
  const at = chain.findIndex((version) => version.doc === header.doc);
  const own = chain[at]!;
  const found: Replaced[] = [];
  for (const [slot, old] of own.values.entries()) {
    if (Number.isNaN(old)) continue;
    let next = at + 1;
    while (next < chain.length && chain[next]!.sources[slot]!.doc === 0) next++;
    const following = chain[next];
    const value = following?.values[slot] ?? Number.NaN;
    // A value that a later document wrote stands there after a time without one.
    const removed = Number.isNaN(value) || following!.sources[slot]!.doc > header.doc;
    found.push({ header, slot, old, source: own.sources[slot]!, value: removed ? null : value });
  }
  return found;
}

function revisionOf(
  { header, slot, old, source, value }: Replaced,
  series: SeriesRow,
  names: ReadonlyMap<number, string>,
  timezone: string,
): Revision {
  const granularity = granularityOf(header.gran);
  return {
    metric: series.metric,
    currency: series.currency,
    granularity,
    start: startAt(granularity, timezone, { period: header.period, slot }),
    old: { value: old, document: names.get(source.doc) ?? "", ...describeFlags(source.flags) },
    value,
    replacedAt: header.stored.getTime(),
    document: names.get(header.doc) ?? "",
  };
}

async function documentNames(
  db: Queryable,
  part: number,
  docs: ReadonlySet<number>,
): Promise<Map<number, string>> {
  const rows = await db.rows<{ doc: number; source: string }>(
    sql`select doc, source from document where part = ${part} and doc = any(${[...docs]}::int4[])`,
  );
  return new Map(rows.map((row) => [row.doc, row.source]));
}
