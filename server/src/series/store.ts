import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { from as copyFrom } from "pg-copy-streams";
import { join, type Queryable, type Sql, sql, type Tx } from "../platform/db.ts";
import type { BlockSummary } from "./block-codec.ts";
import { type BlockKey, OpenBlock, type Overwritten } from "./open-block.ts";
import { codeOf, granularityOf } from "./slot.ts";
import { blockName, type Standing } from "./workspace.ts";

/** Rows of one multi-row statement: enough to save round trips, few enough to plan quickly. */
const rowsPerStatement = 64;
/** From so many new blocks on, COPY is faster than inserts. */
const copyFromRows = 200;

interface BlockRow extends BlockSummary {
  series_id: number;
  gran: number;
  period: number;
  data: Buffer;
}

/** A metric of a meter, as the series table names it. */
export interface SeriesName {
  meterId: string;
  metric: string;
  currency: string;
}

/** Key of a series name in maps. */
export function seriesKey(name: SeriesName): string {
  return `${name.meterId}/${name.metric}/${name.currency}`;
}

/** Ids of the named series of a part; the ones that do not exist are made. Call it with the part locked. */
export async function ensureSeries(
  tx: Tx,
  part: number,
  names: readonly SeriesName[],
): Promise<Map<string, number>> {
  const wanted = new Map(names.map((name) => [seriesKey(name), name]));
  const meters = [...new Set(names.map((name) => name.meterId))];
  const known = await seriesOfMeters(tx, part, meters);
  const missing = [...wanted].filter(([key]) => !known.has(key)).map(([, name]) => name);
  if (missing.length === 0) return known;
  const ids = await tx.rows<{ id: number }>(
    sql`select nextval('series_seq') as id from generate_series(1, ${missing.length}::int)`,
  );
  for (let from = 0; from < missing.length; from += rowsPerStatement) {
    const rows = missing
      .slice(from, from + rowsPerStatement)
      .map(
        (name, i) => sql`(${part}, ${ids[from + i]!.id}, ${name.meterId}, ${name.metric}, ${name.currency})`,
      );
    await tx.run(sql`insert into series (part, series_id, meter_id, metric, currency) values ${join(rows)}`);
  }
  for (const [i, name] of missing.entries()) known.set(seriesKey(name), ids[i]!.id);
  return known;
}

/** Ids of all series of some root meters of a part. */
export async function seriesOfMeters(
  db: Queryable,
  part: number,
  meters: readonly string[],
): Promise<Map<string, number>> {
  const rows = await db.rows<{ series_id: number; meter_id: string; metric: string; currency: string }>({
    name: "series-of-meters",
    text: "select series_id, meter_id, metric, currency from series where part = $1 and meter_id = any($2::text[])",
    values: [part, meters],
  });
  return new Map(
    rows.map((row) => [
      seriesKey({ meterId: row.meter_id, metric: row.metric, currency: row.currency }),
      row.series_id,
    ]),
  );
}

/** Opens the stored ones of the named blocks. */
export async function loadBlocks(
  tx: Queryable,
  part: number,
  keys: readonly BlockKey[],
): Promise<Map<string, OpenBlock>> {
  const rows = await tx.rows<BlockRow>({
    name: "series-load-blocks",
    text: `select b.series_id, b.gran, b.period, b.n, b.sum::text as sum, b.min, b.max, b.first, b.last, b.data
           from unnest($2::int8[], $3::int2[], $4::int4[]) as k (series_id, gran, period)
           join block b on b.series_id = k.series_id and b.gran = k.gran and b.period = k.period
           where b.part = $1`,
    values: [
      part,
      keys.map((key) => key.seriesId),
      keys.map((key) => codeOf[key.granularity]),
      keys.map((key) => key.period),
    ],
  });
  return new Map(
    rows.map((row) => {
      const granularity = granularityOf(row.gran);
      const key = { seriesId: row.series_id, granularity, period: row.period };
      const { n, sum, min, max, first, last } = row;
      const block = new OpenBlock(key, { data: row.data, summary: { n, sum, min, max, first, last } });
      return [blockName(row.series_id, granularity, row.period), block];
    }),
  );
}

/** Standings of documents of a part. */
export async function loadStandings(
  db: Queryable,
  part: number,
  docs: ReadonlySet<number>,
): Promise<Map<number, Standing>> {
  if (docs.size === 0) return new Map();
  const rows = await db.rows<{ doc: number; version: number; rank: number }>({
    name: "series-standings",
    text: "select doc, version, rank from document where part = $1 and doc = any($2::int4[])",
    values: [part, [...docs]],
  });
  return new Map(rows.map((row) => [row.doc, { version: row.version, rank: row.rank }]));
}

/** The highest document number of a part; call it with the part locked. */
export async function lastDocument(tx: Queryable, part: number): Promise<number> {
  const row = await tx.one<{ doc: number }>({
    name: "series-last-document",
    text: "select coalesce(max(doc), 0) as doc from document where part = $1",
    values: [part],
  });
  return row.doc;
}

/** A document as it is kept. */
export interface DocumentRow extends Standing {
  doc: number;
  source: string;
  importId: string | null;
}

/** Keeps documents: what wrote values, and when it arrived. */
export async function insertDocuments(
  tx: Tx,
  part: number,
  rows: readonly DocumentRow[],
  stored: Date,
): Promise<void> {
  await insertRows(rows, (chunk) => {
    const values = chunk.map(
      (row) =>
        sql`(${part}, ${row.doc}, ${row.version}, ${row.rank}, ${stored}, ${row.source}, ${row.importId})`,
    );
    return tx.run(
      sql`insert into document (part, doc, version, rank, stored, source, import_id) values ${join(values)}`,
    );
  });
}

/** Keeps what documents replaced. */
export async function insertRevisions(
  tx: Tx,
  part: number,
  rows: readonly Overwritten[],
  stored: Date,
): Promise<void> {
  await insertRows(rows, (chunk) => {
    const values = chunk.map(
      ({ key, doc, n, data }) =>
        sql`(${part}, ${key.seriesId}, ${codeOf[key.granularity]}, ${key.period}, ${doc}, ${stored}, ${n}, ${Buffer.from(data)})`,
    );
    return tx.run(
      sql`insert into revision (part, series_id, gran, period, doc, stored, n, data) values ${join(values)}`,
    );
  });
}

/** A block ready to be written. */
export interface PackedBlock {
  block: OpenBlock;
  data: Uint8Array;
  summary: BlockSummary;
}

/** Writes blocks: many new ones by COPY, all others by multi-row statements. */
export async function writeBlocks(tx: Tx, part: number, packed: readonly PackedBlock[]): Promise<void> {
  const fresh = packed.filter(({ block }) => block.isNew);
  const rest = fresh.length >= copyFromRows ? packed.filter(({ block }) => !block.isNew) : packed;
  if (fresh.length >= copyFromRows) await copyBlocks(tx, part, fresh);
  await insertRows(rest, (chunk) => {
    const values = chunk.map(({ block, data, summary }): Sql => {
      const { key } = block;
      return sql`(${part}::int, ${key.seriesId}::int8, ${codeOf[key.granularity]}::int2, ${key.period}::int, ${summary.n}::int2,
        ${summary.sum}::numeric, ${summary.min}::float8, ${summary.max}::float8, ${summary.first}::int2,
        ${summary.last}::int2, ${Buffer.from(data.buffer, data.byteOffset, data.length)}::bytea)`;
    });
    return tx.run(
      sql`insert into block (part, series_id, gran, period, n, sum, min, max, first, last, data)
          values ${join(values)}
          on conflict (part, series_id, gran, period) do update
          set n = excluded.n, sum = excluded.sum, min = excluded.min, max = excluded.max,
              first = excluded.first, last = excluded.last, data = excluded.data`,
    );
  });
}

async function copyBlocks(tx: Tx, part: number, packed: readonly PackedBlock[]): Promise<void> {
  const stream = tx.connection.query(
    copyFrom("copy block (part, series_id, gran, period, n, sum, min, max, first, last, data) from stdin"),
  );
  await pipeline(Readable.from(copyLines(part, packed)), stream);
}

/** COPY's text form: tabs between fields, `\N` for null, bytea in hex behind an escaped backslash. */
function* copyLines(part: number, packed: readonly PackedBlock[]): Generator<string> {
  let lines = "";
  for (const { block, data, summary } of packed) {
    const { key } = block;
    const { n, sum, min, max, first, last } = summary;
    const fields = [part, key.seriesId, codeOf[key.granularity], key.period, n, sum, min, max, first, last];
    const hex = Buffer.from(data.buffer, data.byteOffset, data.length).toString("hex");
    lines += `${fields.map((field) => field ?? "\\N").join("\t")}\t\\\\x${hex}\n`;
    if (lines.length > 65_536) {
      yield lines;
      lines = "";
    }
  }
  if (lines !== "") yield lines;
}

async function insertRows<Row>(
  rows: readonly Row[],
  insert: (chunk: Row[]) => Promise<unknown>,
): Promise<void> {
  for (let from = 0; from < rows.length; from += rowsPerStatement) {
    await insert(rows.slice(from, from + rowsPerStatement));
  }
}
