import { CsvScanner, csvRows, peek, type Row } from "../csv.ts";
import type { Format, Item, ReadOptions } from "../item.ts";
import { Fault, Problems } from "../problems.ts";
import { detectEncoding, texts } from "../text.ts";
import { headDelimiter } from "./delimiter.ts";
import { detectMapping, sampleRows } from "./detect.ts";
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
  const checked = parseMapping(options.mapping);
  if ("errors" in checked) {
    for (const error of checked.errors)
      problems.error(`The mapping is not sound: ${error}.`, { field: "mapping" });
    yield problems.end();
    return;
  }
  const { first, all } = await firstBytes(source);
  try {
    if (isZip(first)) {
      const rows = workbookRows(all, checked.mapping.sheet);
      yield* table(rows, { told: checked.mapping, options, problems, workbook: true });
    } else {
      const rows = textRows(all, { told: checked.mapping, problems });
      yield* table(rows, { told: checked.mapping, options, problems, workbook: false });
    }
  } catch (fault) {
    if (!(fault instanceof Fault)) throw fault;
    problems.error(fault.message, fault.place);
  }
  yield problems.end();
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

interface TableOptions {
  told: Mapping;
  options: ReadOptions;
  problems: Problems;
  workbook: boolean;
}

/** Looks at the first rows, decides how to read them, and reads them and the rest. */
async function* table(
  source: AsyncGenerator<Row[], void, undefined>,
  { told, options, problems, workbook }: TableOptions,
): AsyncGenerator<Item[], void, undefined> {
  let rows: Row[] = [];
  let ended = false;
  while (!ended && rows.length < sampleRows) {
    const step = await source.next();
    if (step.done) ended = true;
    else rows = rows.length === 0 ? step.value : rows.concat(step.value);
  }
  if (problems.errors > 0 && rows.length === 0) return;
  const { fileName, timezone, unit } = options;
  const sample = { rows: rows.slice(0, sampleRows), fileName, timezone, unit, workbook };
  const { mapping, decisions, frame } = detectMapping(sample, told);
  decisions.tell(problems);
  if (frame === undefined || decisions.openKeys.length > 0) {
    await source.return();
    return;
  }
  const plan = planOf(mapping, frame);
  if (typeof plan === "string") {
    problems.error(`The mapping names columns that the file does not have: ${plan}.`, { field: "columns" });
    await source.return();
    return;
  }
  const reader = new RowReader(plan, problems, { padded: workbook });
  let headers = frame.headerRows;
  for (;;) {
    const items: Item[] = [];
    for (const row of rows) {
      if (row.line <= frame.skipLines) continue;
      if (headers > 0) {
        headers--;
        if (headers === 0) reader.header = row.cells;
      } else reader.take(row, items);
    }
    if (problems.waiting) items.push(...problems.take());
    if (items.length > 0) yield items;
    if (ended || reader.series.book.full) break;
    const step = await source.next();
    if (step.done) ended = true;
    rows = step.done ? [] : step.value;
  }
  await source.return();
  reader.end();
  if (reader.values === 0 && problems.errors === 0) problems.error("The table holds no values.");
}
