import type { Decimal } from "decimal.js";
import type { InvoicePeriod, InvoiceRow } from "../invoice.ts";
import { Exact } from "../invoice-fields.ts";
import { type Cells, ColumnError, type ColumnPlace, cellsOf, columnsUnder, wrapping } from "./columns.ts";
import type { FieldReader } from "./fields.ts";
import { beginsWith, labelsOn } from "./labels.ts";
import { readAmount } from "./notation.ts";
import { rowOf } from "./rows.ts";
import type { ColumnRole, TemplateField, TemplateTable } from "./template.ts";
import type { Line } from "./text.ts";

/** A table as it was found. */
export interface FoundTable {
  /** Path in the template, as in `tables[0]`. */
  table: string;
  name: string | null;
  page: number;
  y: number;
  columns: { role: ColumnRole; x0: number; x1: number }[];
  meteringPoint: string | null;
  rows: FoundRow[];
  /** The sum that the last line prints, null when the table has none. */
  sum: string | null;
}

/** A row and where it begins. */
export interface FoundRow extends Omit<InvoiceRow, "line"> {
  page: number;
  y: number;
}

/** What the section above a table says about its rows. */
export interface Section {
  meteringPoint: string | null;
  period: InvoicePeriod | null;
}

/** A row while its lines are put together. */
interface OpenRow {
  cells: Cells;
  first: Line;
  last: Line;
  section: Section;
}

const list = (told: string | readonly string[] | undefined) => [told ?? []].flat();

/** Reads all tables of a template, in the order in which they stand in the document. */
export function readTables(reader: FieldReader): FoundTable[] {
  const lines = linesOfTables(reader);
  const found = reader.template.tables.flatMap((table, i) =>
    new TableReader(table, { path: `tables[${i}]`, reader, lines }).read(),
  );
  return found.sort((a, b) => a.page - b.page || a.y - b.y);
}

/** Lines on which rows may stand: without the heads of further pages and the feet of all. */
function linesOfTables({ pages, template }: FieldReader): Line[] {
  const { top = 0, bottom = Number.POSITIVE_INFINITY } = template.body ?? {};
  return pages.flatMap(({ number, lines }) =>
    lines.filter(({ y }) => y <= bottom && (number === 1 || y >= top)),
  );
}

class TableReader {
  readonly #table: TemplateTable;
  readonly #path: string;
  readonly #reader: FieldReader;
  readonly #lines: readonly Line[];
  #places: ColumnPlace[] = [];
  #rows: FoundRow[] = [];
  #open: OpenRow | undefined;
  #section: Section = { meteringPoint: null, period: null };

  constructor(
    table: TemplateTable,
    { path, reader, lines }: { path: string; reader: FieldReader; lines: readonly Line[] },
  ) {
    this.#table = table;
    this.#path = path;
    this.#reader = reader;
    this.#lines = lines;
  }

  read(): FoundTable[] {
    const found: FoundTable[] = [];
    let from = 0;
    for (;;) {
      const header = this.#headerFrom(from);
      if (header === undefined) break;
      if (found.length > 0 && this.#table.repeat !== true) {
        const message = `the table stands again on page ${this.#lines[header]!.page}: add "repeat": true, or an "after" that only the first one has above it`;
        this.#problem("", this.#lines[header]!, message);
        break;
      }
      const end = this.#readOne(header, { above: this.#lines.slice(from, header), found });
      if (end === undefined) break;
      from = end + 1;
    }
    if (found.length === 0 && this.#table.optional !== true && !this.#hasProblem()) this.#tellMissing();
    return found;
  }

  #hasProblem(): boolean {
    return this.#reader.problems.some(({ field }) => field.startsWith(this.#path));
  }

  #problem(field: string, line: Line | null, message: string): void {
    this.#reader.problem(`${this.#path}${field}`, line?.page ?? null, message);
  }

  #tellMissing(): void {
    const headers = Object.values(this.#table.columns).flatMap((column) =>
      column?.header === undefined ? [] : [`"${column.header}"`],
    );
    const after = list(this.#table.after).map((words) => `"${words}"`);
    const below = after.length === 0 ? "" : ` below a line that begins with ${after.join(" or ")}`;
    this.#problem(".columns", null, `no line${below} holds all of ${headers.join(", ")}`);
  }

  /** Index of the next header line; with `after`, the first one below such a line. */
  #headerFrom(from: number): number | undefined {
    const after = list(this.#table.after);
    let isBelow = after.length === 0;
    for (let i = from; i < this.#lines.length; i++) {
      const line = this.#lines[i]!;
      if (!isBelow) {
        isBelow = after.some((words) => beginsWith(line, words));
        continue;
      }
      if (columnsUnder(line, this.#table.columns) !== undefined) return i;
    }
    return undefined;
  }

  /** Reads the table below a header; the index of the line that ends it. */
  #readOne(header: number, { above, found }: { above: Line[]; found: FoundTable[] }): number | undefined {
    const line = this.#lines[header]!;
    this.#rows = [];
    this.#places = columnsUnder(line, this.#table.columns)!;
    this.#section = this.#sectionAbove(above);
    const table: FoundTable = {
      table: this.#path,
      name: this.#table.name ?? null,
      page: line.page,
      y: line.y,
      columns: this.#places.map(({ role, x0, x1 }) => ({ role, x0, x1 })),
      meteringPoint: this.#section.meteringPoint,
      rows: this.#rows,
      sum: null,
    };
    found.push(table);
    const end = this.#readRows(header + 1);
    this.#close();
    if (end === undefined) {
      const words = list(this.#table.end).map((one) => `"${one}"`);
      this.#problem(".end", line, `no line below the header begins with ${words.join(" or ")}`);
      return undefined;
    }
    if (this.#rows.length === 0) this.#problem("", line, "the table has no rows");
    this.#checkSection();
    if (this.#table.sum === true) table.sum = this.#sumOn(this.#lines[end]!);
    return end;
  }

  #readRows(from: number): number | undefined {
    let page = this.#lines[from - 1]!.page;
    for (let i = from; i < this.#lines.length; i++) {
      const line = this.#lines[i]!;
      if (line.page !== page) {
        page = line.page;
        const again = this.#headerOnPage(i);
        if (again !== undefined) {
          this.#places = columnsUnder(this.#lines[again]!, this.#table.columns)!;
          i = again;
          continue;
        }
      }
      if (list(this.#table.end).some((words) => beginsWith(line, words))) return i;
      this.#take(line);
    }
    return undefined;
  }

  /** The header, when the page repeats it before the table ends. */
  #headerOnPage(from: number): number | undefined {
    const { page } = this.#lines[from]!;
    for (let i = from; this.#lines[i]?.page === page; i++) {
      const line = this.#lines[i]!;
      if (list(this.#table.end).some((words) => beginsWith(line, words))) return undefined;
      if (columnsUnder(line, this.#table.columns) !== undefined) return i;
    }
    return undefined;
  }

  #take(line: Line): void {
    if (this.#table.skip?.some((words) => beginsWith(line, words)) === true) return;
    let cells: Cells;
    try {
      cells = cellsOf(line, this.#places);
    } catch (error) {
      if (!(error instanceof ColumnError)) throw error;
      if (!this.#takeSection(line)) this.#problem("", line, `${lineText(line)}: ${error.message}`);
      return;
    }
    if (cells.amount !== undefined) {
      this.#close();
      this.#open = { cells, first: line, last: line, section: { ...this.#section } };
      return;
    }
    if (this.#takeSection(line)) return;
    if (this.#isContinued(line, cells)) this.#continue(line, cells);
    else {
      const message = "is no row, as it has no amount, and does not go on with the row above it";
      this.#problem("", line, `${lineText(line)} ${message}: add its first words to "skip" or "end"`);
    }
  }

  /** Does a line without amount go on with the texts of the row right above it? */
  #isContinued(line: Line, cells: Cells): boolean {
    const row = this.#open;
    if (row === undefined || !Object.keys(cells).every((role) => wrapping.has(role as ColumnRole)))
      return false;
    return row.last.page === line.page && line.y - row.last.y <= 1.7 * line.size;
  }

  #continue(line: Line, cells: Cells): void {
    const row = this.#open!;
    for (const [role, text] of Object.entries(cells) as [ColumnRole, string][]) {
      const before = row.cells[role];
      row.cells[role] = before === undefined ? text : `${before} ${text}`;
    }
    row.last = line;
  }

  #close(): void {
    const row = this.#open;
    this.#open = undefined;
    if (row === undefined) return;
    const { first: line, section } = row;
    const read = rowOf(row.cells, { table: this.#table, reader: this.#reader, section });
    for (const { role, message } of read.mistakes) {
      this.#problem(`.columns.${role}`, line, `${lineText(line)}: ${message}`);
    }
    if (read.row !== undefined) this.#rows.push({ ...read.row, page: line.page, y: line.y });
  }

  /** What the lines above the header say: those nearest to it. */
  #sectionAbove(above: readonly Line[]): Section {
    const section: Section = { meteringPoint: null, period: null };
    const fields = this.#table.section ?? {};
    for (const [key, told] of Object.entries(fields) as [keyof Section, (typeof fields)[keyof Section]][]) {
      if (told === undefined) continue;
      const nearest = above.findLast((line) =>
        list(told.label).some((words) => labelsOn(line, words).length > 0),
      );
      // Without one above, the first line of the table has to say it.
      if (nearest !== undefined || told.label === undefined) {
        this.#readSection(key, nearest === undefined ? [...above] : [nearest], section);
      }
    }
    return section;
  }

  /** Rows without what a section has to say would go to the wrong meter. */
  #checkSection(): void {
    const fields = this.#table.section ?? {};
    for (const [key, told] of Object.entries(fields) as [keyof Section, (typeof fields)[keyof Section]][]) {
      const row = this.#rows.find((one) => one[key] === null);
      if (row === undefined || (told as TemplateField).optional === true || this.#hasProblem()) continue;
      const labels = list(told?.label).map((words) => `"${words}"`);
      const message = `no text above the header or the rows begins with ${labels.join(" or ")}`;
      this.#reader.problem(`${this.#path}.section.${key}`, row.page, message);
    }
  }

  #takeSection(line: Line): boolean {
    const fields = this.#table.section ?? {};
    let isSection = false;
    for (const [key, told] of Object.entries(fields) as [keyof Section, (typeof fields)[keyof Section]][]) {
      if (!list(told?.label).some((words) => labelsOn(line, words).length > 0)) continue;
      this.#close();
      this.#readSection(key, [line], this.#section);
      isSection = true;
    }
    return isSection;
  }

  #readSection(key: keyof Section, lines: readonly Line[], section: Section): void {
    const told = this.#table.section?.[key];
    const path = `${this.#path}.section.${key}`;
    if (key === "period") section.period = this.#reader.period(path, told, lines);
    else section.meteringPoint = this.#reader.meteringPoint(path, told, lines);
  }

  /** The printed sum, which the amounts of the rows must give. */
  #sumOn(line: Line): string | null {
    const { numbers, currency } = this.#reader.template;
    const sums = line.chunks.flatMap(({ text }) => readAmount(text, numbers, currency) ?? []);
    const sum = sums.at(-1);
    if (sum === undefined) {
      this.#problem(".sum", line, `${lineText(line)} prints no sum: leave "sum" out, or mend "end"`);
      return null;
    }
    const total = this.#rows.reduce((all, { amount }) => all.plus(amount), new Exact(0) as Decimal);
    if (!total.eq(sum) && !this.#hasProblem()) {
      const message = `the rows add up to ${total.toFixed()}, and ${lineText(line)} prints ${sum}: rows are missing or read wrongly`;
      this.#problem(".sum", line, message);
    }
    return sum;
  }
}

function lineText({ text, y }: Line): string {
  return `the line "${text.slice(0, 100)}" (y ${Math.round(y)})`;
}
