import { CsvScanner, csvRows, peek, type Row } from "../csv.ts";
import type { Format, Item, ProblemItem, ReadOptions } from "../item.ts";
import { Fault, Problems } from "../problems.ts";
import { detectEncoding, texts } from "../text.ts";
import { headDelimiter } from "./delimiter.ts";
import { type Detection, detectMapping, sampleRows } from "./detect.ts";
import { type Mapping, parseMapping } from "./mapping.ts";
import { planOf } from "./plan.ts";
import { RowReader } from "./rows.ts";
import { isZip, workbookRows } from "./workbook.ts";

/**
 * Any table of meter values, as CSV or as a workbook. What the file does not show about itself is asked for by the name of the
 * mapping's key; see `mappingSchema`.
 */
export const mapper: Format = {
  name: "mapper",
  title: "Table (CSV, XLSX)",
  detect,
  read,
};

/** Low, so that every format that knows its files by name comes first. */
function detect(head: Uint8Array, fileName: string): number {
  if (isZip(head)) return /\.xlsx$/i.test(fileName) || Buffer.from(head).includes("xl/") ? 0.5 : 0;
  const { encoding, markBytes } = detectEncoding(head);
  const text = new TextDecoder(encoding).decode(head.subarray(markBytes)).replaceAll("\0", "");
  if (/^\s*[<{[]/.test(text.slice(0, 200)) && !/^\s*\[\d/.test(text.slice(0, 200))) return 0;
  const rows = headRows(text);
  if (rows.length === 0) return 0;
  const { frame, confidence } = detectMapping({ rows, fileName }, { version: 1 });
  if (frame === undefined || frame.width < 2)
    return /\.(csv|tsv|txt)$/i.test(fileName) && rows[0]!.cells.length > 1 ? 0.1 : 0;
  return 0.2 + 0.3 * confidence;
}

/** The whole rows of a head of text. */
function headRows(text: string): Row[] {
  const scanner = new CsvScanner(headDelimiter(text), new Problems());
  const rows = scanner.push(text);
  if (rows.length < 2) rows.push(...scanner.end());
  return rows.slice(0, sampleRows);
}

async function* read(
  source: AsyncIterable<Uint8Array>,
  options: ReadOptions,
): AsyncGenerator<Item[], void, undefined> {
  const problems = new Problems();
  try {
    const opened = await openTable(source, options, problems);
    if (opened !== undefined) yield* table(opened, problems);
  } catch (fault) {
    if (!(fault instanceof Fault)) throw fault;
    problems.error(fault.message, fault.place);
  }
  yield problems.end();
}

/** How a table would be read. */
export interface Proposal {
  /** The mapping with every key that the file shows; whole unless a problem is an error. */
  mapping: Mapping;
  /** What was seen and assumed, and an error for each key that the caller has to state. */
  problems: ProblemItem[];
  /** 0 when a key is open, else up to 1. */
  confidence: number;
}

/**
 * Proposes a mapping for a table, to be saved and used again, from its first rows. Keys of `options.mapping` stay as they are.
 * Reads no further than it has to and closes the source.
 */
export async function proposeMapping(
  source: AsyncIterable<Uint8Array>,
  options: ReadOptions,
): Promise<Proposal> {
  const problems = new Problems();
  let mapping: Mapping = { version: 1 };
  let confidence = 0;
  try {
    const opened = await openTable(source, options, problems);
    if (opened !== undefined) {
      mapping = opened.detection.mapping;
      confidence = opened.detection.confidence;
      await opened.rows.return();
    }
  } catch (fault) {
    if (!(fault instanceof Fault)) throw fault;
    problems.error(fault.message, fault.place);
  }
  return { mapping, problems: problems.end(), confidence };
}

/** The first bytes of a source, and all of it again. */
async function firstBytes(
  source: AsyncIterable<Uint8Array>,
): Promise<{ first: Uint8Array; all: AsyncIterable<Uint8Array> }> {
  const iterator = source[Symbol.asyncIterator]();
  let first = Buffer.alloc(0);
  let done = false;
  while (first.length < 4 && !done) {
    const step = await iterator.next();
    done = step.done === true;
    if (!step.done) first = Buffer.concat([first, step.value]);
  }
  async function* all(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield first;
      for (
        let step = done ? undefined : await iterator.next();
        step && !step.done;
        step = await iterator.next()
      ) {
        yield step.value;
      }
    } finally {
      await iterator.return?.();
    }
  }
  return { first, all: all() };
}

async function* textRows(
  source: AsyncIterable<Uint8Array>,
  { told, problems }: { told: Mapping; problems: Problems },
): AsyncGenerator<Row[], void, undefined> {
  const decoded = texts(source, {
    encoding: told.encoding,
    onNul: () => problems.info("NUL characters in the file were left out."),
  });
  const { head, all } = await peek(decoded, 65_536);
  const separator = /^sep=(.)\r?[\n\r]/.exec(head);
  const delimiter = told.delimiter ?? separator?.[1] ?? headDelimiter(head);
  let first = separator !== null;
  for await (const rows of csvRows(all, new CsvScanner(delimiter, problems), problems)) {
    if (first && rows.length > 0) {
      first = false;
      rows.shift();
    }
    yield rows;
  }
}

/** A table of which the first rows were looked at. */
interface OpenTable {
  detection: Detection;
  /** The rows that were looked at, and those that follow. */
  first: Row[];
  rows: AsyncGenerator<Row[], void, undefined>;
  workbook: boolean;
}

/** Looks at the first rows and decides how to read them; undefined, with problems, when there are none to look at. */
async function openTable(
  source: AsyncIterable<Uint8Array>,
  options: ReadOptions,
  problems: Problems,
): Promise<OpenTable | undefined> {
  const checked = parseMapping(options.mapping);
  if ("errors" in checked) {
    for (const error of checked.errors)
      problems.error(`The mapping is not sound: ${error}.`, { field: "mapping" });
    return undefined;
  }
  const told = checked.mapping;
  const bytes = await firstBytes(source);
  const workbook = isZip(bytes.first);
  const rows = workbook ? workbookRows(bytes.all, told.sheet) : textRows(bytes.all, { told, problems });
  let first: Row[] = [];
  while (first.length < sampleRows) {
    const step = await rows.next();
    if (step.done) break;
    first = first.length === 0 ? step.value : first.concat(step.value);
  }
  if (problems.errors > 0 && first.length === 0) return undefined;
  const { fileName, timezone, defaultTimezone, unit } = options;
  const detection = detectMapping(
    { rows: first.slice(0, sampleRows), fileName, timezone, defaultTimezone, unit, workbook },
    told,
  );
  detection.decisions.tell(problems);
  return { detection, first, rows, workbook };
}

/** Reads the rows that were looked at, and the rest. */
async function* table(
  { detection, first, rows, workbook }: OpenTable,
  problems: Problems,
): AsyncGenerator<Item[], void, undefined> {
  const { mapping, decisions, frame } = detection;
  if (frame === undefined || decisions.openKeys.length > 0) {
    await rows.return();
    return;
  }
  const plan = planOf(mapping, frame);
  if (typeof plan === "string") {
    problems.error(`The mapping names columns that the file does not have: ${plan}.`, { field: "columns" });
    await rows.return();
    return;
  }
  const reader = new RowReader(plan, problems, { padded: workbook });
  let headers = frame.headerRows;
  let batch: Row[] | undefined = first;
  while (batch !== undefined && !reader.series.book.full) {
    const items: Item[] = [];
    for (const row of batch) {
      if (row.line <= frame.skipLines) continue;
      if (headers > 0) {
        headers--;
        if (headers === 0) reader.header = row.cells;
      } else reader.take(row, items);
    }
    if (problems.waiting) items.push(...problems.take());
    if (items.length > 0) yield items;
    const step = await rows.next();
    batch = step.done ? undefined : step.value;
  }
  await rows.return();
  reader.end();
  if (reader.values === 0 && problems.errors === 0) problems.error("The table holds no values.");
}
