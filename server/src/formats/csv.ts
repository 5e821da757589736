import { Fault, type Problems } from "./problems.ts";
import { lineLengthMax } from "./text.ts";

/** One row of a table. */
export interface Row {
  /** 1-based line on which the row begins (row of the sheet in a workbook). */
  line: number;
  cells: string[];
}

const none = Number.POSITIVE_INFINITY;

/**
 * Cuts text into rows and cells: RFC 4180 quoting, `="…"` of spreadsheets, every mix of LF, CRLF and CR, empty
 * lines left out. Lines without quotes, which is nearly all, are cut by the engine's own `split`.
 */
export class CsvScanner {
  /** True after an error from which the scanner does not recover; no more rows come. */
  failed = false;
  readonly #delimiter: string;
  readonly #problems: Problems;
  #rest = "";
  #line = 1;

  constructor(delimiter: string, problems: Problems) {
    this.#delimiter = delimiter;
    this.#problems = problems;
  }

  /** Line of the text that comes next. */
  get line(): number {
    return this.#line;
  }

  /** The rows that end in `text`. */
  push(text: string): Row[] {
    return this.#scan(this.#rest + text, false);
  }

  /** The row that ends with the file, if any. */
  end(): Row[] {
    return this.#scan(this.#rest, true);
  }

  #scan(text: string, last: boolean): Row[] {
    const rows: Row[] = [];
    let at = 0;
    let lf = next(text, "\n", 0);
    let cr = next(text, "\r", 0);
    let quote = next(text, '"', 0);
    while (!this.failed && at < text.length) {
      if (lf < at) lf = next(text, "\n", at);
      if (cr < at) cr = next(text, "\r", at);
      if (quote < at) quote = next(text, '"', at);
      let end = Math.min(lf, cr);
      // A CR at the very end may be half of a CRLF.
      if (end === none || (!last && end === text.length - 1 && end === cr)) {
        if (!last) break;
        end = Math.min(end, text.length);
      }
      if (quote < end) {
        const done = this.#quotedRow(text, at, last);
        if (done === undefined) break;
        rows.push(done.row);
        at = done.next;
        continue;
      }
      if (end > at) rows.push({ line: this.#line, cells: text.slice(at, end).split(this.#delimiter) });
      this.#line++;
      at = end + (end === cr && lf === cr + 1 ? 2 : 1);
    }
    this.#rest = at >= text.length ? "" : text.slice(at);
    if (this.#rest.length > lineLengthMax && !this.failed) {
      this.#fail(`A line is longer than ${lineLengthMax} characters, or a quotation mark is never closed.`);
    }
    return rows;
  }

  /** A row with quotes; undefined when its end is not there yet or it is broken. */
  #quotedRow(text: string, from: number, last: boolean): { row: Row; next: number } | undefined {
    const cells: string[] = [];
    let lines = 0;
    let at = from;
    for (;;) {
      const cell = text[at] === '"' ? quotedCell(text, at) : this.#plainCell(text, at);
      if (cell === undefined) {
        if (last)
          this.#fail("A quotation mark is opened on this line and never closed. Mend or remove the line.");
        return undefined;
      }
      cells.push(cell.text.startsWith('="') && cell.text.endsWith('"') ? cell.text.slice(2, -1) : cell.text);
      lines += cell.lines;
      at = cell.next;
      const mark = text[at];
      if (mark === this.#delimiter) {
        at++;
        continue;
      }
      if (mark !== undefined && mark !== "\n" && mark !== "\r") {
        this.#fail(
          `Text follows a closing quotation mark in cell ${cells.length}. Double the marks inside a cell.`,
        );
        return undefined;
      }
      if (!last && (mark === undefined || (mark === "\r" && at === text.length - 1))) return undefined;
      const row = { line: this.#line, cells };
      this.#line += lines + 1;
      return { row, next: at + (mark === "\r" && text[at + 1] === "\n" ? 2 : 1) };
    }
  }

  #plainCell(text: string, from: number): Cell {
    let at = from;
    const delimiter = this.#delimiter.charCodeAt(0);
    for (; at < text.length; at++) {
      const mark = text.charCodeAt(at);
      if (mark === delimiter || mark === 10 || mark === 13) break;
    }
    return { text: text.slice(from, at), next: at, lines: 0 };
  }

  #fail(message: string): void {
    this.failed = true;
    this.#problems.error(message, { line: this.#line });
  }
}

interface Cell {
  text: string;
  /** Position behind the cell: its delimiter, a line end or the end of the text. */
  next: number;
  /** Line ends inside the cell. */
  lines: number;
}

function next(text: string, mark: string, from: number): number {
  const at = text.indexOf(mark, from);
  return at === -1 ? none : at;
}

/** The quoted cell that begins at `from`; undefined when it is not closed. */
function quotedCell(text: string, from: number): Cell | undefined {
  let content = "";
  let at = from + 1;
  for (;;) {
    const close = text.indexOf('"', at);
    if (close === -1) return undefined;
    content += text.slice(at, close);
    if (text[close + 1] !== '"') return { text: content, next: close + 1, lines: lineEnds(content) };
    content += '"';
    at = close + 2;
  }
}

function lineEnds(text: string): number {
  let count = 0;
  for (let i = 0; i < text.length; i++) {
    const mark = text[i];
    if (mark === "\n" || (mark === "\r" && text[i + 1] !== "\n")) count++;
  }
  return count;
}

/** The beginning of a text source, and the whole of it again. */
export interface Peeked {
  head: string;
  all: AsyncIterable<string>;
  /** Lets go of the source, for a format that does not read on. */
  close(): Promise<void>;
}

/** Reads ahead until there are `length` characters, so that a format can look at the head before it scans. */
export async function peek(source: AsyncIterable<string>, length: number): Promise<Peeked> {
  const iterator = source[Symbol.asyncIterator]();
  let head = "";
  let fault: unknown;
  let done = false;
  while (!done && fault === undefined && head.length < length) {
    try {
      const step = await iterator.next();
      done = step.done === true;
      if (!step.done) head += step.value;
    } catch (thrown) {
      fault = thrown;
    }
  }
  async function* all(): AsyncGenerator<string, void, undefined> {
    try {
      yield head;
      if (fault !== undefined) throw fault;
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
  const close = async (): Promise<void> => {
    await iterator.return?.();
  };
  return { head, all: all(), close };
}

/** The rows of a text source, one array per piece; ends with an error problem where the text or a quote is broken. */
export async function* csvRows(
  source: AsyncIterable<string>,
  scanner: CsvScanner,
  problems: Problems,
): AsyncGenerator<Row[], void, undefined> {
  try {
    for await (const text of source) {
      yield scanner.push(text);
      if (scanner.failed) return;
    }
  } catch (fault) {
    if (!(fault instanceof Fault)) throw fault;
    problems.error(fault.message, { line: scanner.line });
    return;
  }
  yield scanner.end();
}
