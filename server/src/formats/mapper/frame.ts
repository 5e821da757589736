import type { Row } from "../csv.ts";
import { DatePattern, patternsOf, timeOfDayPattern } from "./date-pattern.ts";
import type { ColumnName, Mapping } from "./mapping.ts";
import { plain } from "./words.ts";

/** Where the table lies in the file, found in its first rows. */
export interface Frame {
  /** One text per column, `""` without header; rows of a header are put together. */
  headers: string[];
  /** Cells of a whole row. */
  width: number;
  skipLines: number;
  headerRows: number;
  /** The text above the header. */
  preamble: string;
  /** Rows of the sample that hold a date where the first one does. */
  data: Row[];
  /** The column of dates that was found first. */
  dateColumn: number;
}

/** What a cell says about time. */
export type TimeShape = "date" | "time" | "period" | undefined;

const periodSeparators = [" to ", " tot ", " bis ", " til ", " till ", " - ", " – ", "/", " au "];

/** The two halves of `2024-01-01 00:00 to 2024-01-01 01:00`; undefined when the cell is no period. */
export function halvesOf(cell: string): [string, string] | undefined {
  if (cell.length > 100) return undefined;
  const text = cell.replace(/[\u00a0\u202f\u2009]/g, " ").trim();
  for (const separator of periodSeparators) {
    const at = text.indexOf(separator);
    if (at < 6 || text.indexOf(separator, at + separator.length) !== -1) continue;
    const halves: [string, string] = [text.slice(0, at).trim(), text.slice(at + separator.length).trim()];
    if (halves.every((half) => patternsOf(half).length > 0)) return halves;
  }
  return undefined;
}

/** What a cell says about time, by its shape, or by the pattern that was told. */
export function timeShapeOf(cell: string, told: DatePattern | undefined): TimeShape {
  if (cell.length < 4 || cell.length > 100) return undefined;
  if (told?.parse(cell)) return "date";
  // Nearly all cells are plain numbers: they are sorted out before the expensive look.
  if (/^[+-]?\d*[.,]?\d*$/.test(cell) && !/^(19|20)\d{6}(\d{4}|\d{6})?$/.test(cell)) return undefined;
  if (patternsOf(cell).length > 0) return "date";
  if (timeOfDayPattern(cell) !== undefined) return "time";
  return halvesOf(cell) === undefined ? undefined : "period";
}

/** The frame of the table; undefined when no column holds dates. */
export function frameOf(rows: Row[], told: Mapping): Frame | undefined {
  const pattern = told.date === undefined ? undefined : new DatePattern(told.date);
  const skipped = rows.filter((row) => row.line > (told.skipLines ?? 0));
  const candidates = told.headerRows === undefined ? skipped : skipped.slice(told.headerRows);
  const dateColumn = told.columns === undefined ? undefined : toldDateColumn(told, skipped);
  const column = dateColumn ?? busiestColumn(candidates, pattern);
  if (column === undefined) return undefined;
  const dated = (row: Row): boolean => {
    const shape = timeShapeOf(row.cells[column]?.trim() ?? "", pattern);
    return shape === "date" || shape === "period";
  };
  const first = candidates.findIndex(dated);
  if (first === -1) return undefined;
  const at = skipped.indexOf(candidates[first]!);
  const headerRows = told.headerRows ?? headerRowsAbove(skipped, at, column);
  const headerStart = told.headerRows === undefined ? at - headerRows : 0;
  const headers = headersOf(skipped.slice(headerStart, headerStart + headerRows));
  const data = firstBlock(candidates.slice(first), skipped[at - 1]).filter(dated);
  const preambleRows = rows.slice(0, rows.indexOf(skipped[headerStart]!));
  return {
    headers,
    width: widthOf(headers, data),
    skipLines: told.skipLines ?? Math.max(0, skipped[headerStart]!.line - 1),
    headerRows,
    preamble: preambleRows
      .map((row) => row.cells.join(" "))
      .join(" ")
      .slice(0, 2000),
    data,
    dateColumn: column,
  };
}

/** The rows up to where the header stands there again. */
function firstBlock(rows: Row[], header: Row | undefined): Row[] {
  const wanted = header?.cells.join("\n");
  const again = rows.findIndex((row) => row.cells.join("\n") === wanted);
  return again === -1 ? rows : rows.slice(0, again);
}

/** The index of a column that is named in the mapping, when the name can be found in the first rows. */
function toldDateColumn(told: Mapping, rows: Row[]): number | undefined {
  const name = told.columns?.start ?? told.columns?.end ?? told.columns?.period;
  const first: ColumnName | undefined = Array.isArray(name) ? name[0] : name;
  if (first === undefined) return undefined;
  if (typeof first === "number") return first - 1;
  for (const row of rows.slice(0, 50)) {
    const at = row.cells.findIndex((cell) => plain(cell) === plain(first));
    if (at !== -1) return at;
  }
  return undefined;
}

/** The column with most dates among the first forty; the leftmost of several. */
function busiestColumn(rows: Row[], pattern: DatePattern | undefined): number | undefined {
  const counts: number[] = [];
  for (const { cells } of rows.slice(0, 120)) {
    for (let at = 0; at < Math.min(cells.length, 40); at++) {
      const shape = timeShapeOf(cells[at]!.trim(), pattern);
      if (shape === "date" || shape === "period") counts[at] = (counts[at] ?? 0) + 1;
    }
  }
  let best: number | undefined;
  counts.forEach((count, at) => {
    if (count > (best === undefined ? 0 : counts[best]!)) best = at;
  });
  return best;
}

function headerRowsAbove(rows: Row[], first: number, dateColumn: number): number {
  const header = rows[first - 1];
  if (header === undefined) return 0;
  const named = header.cells.filter((cell) => cell.trim() !== "").length;
  if (named < Math.min(2, rows[first]!.cells.length)) return 0;
  const above = rows[first - 2];
  if (above === undefined || above.cells.length !== header.cells.length) return 1;
  // A row of group titles leaves the column of dates empty and names some of the others.
  const titles = above.cells.filter((cell) => cell.trim() !== "").length;
  return above.cells[dateColumn]?.trim() === "" && titles > 0 && titles < named ? 2 : 1;
}

function headersOf(rows: Row[]): string[] {
  const [upper, lower] = rows.length === 2 ? [rows[0]!.cells, rows[1]!.cells] : [[], rows[0]?.cells ?? []];
  let title = "";
  return lower.map((cell, at) => {
    const above = upper[at]?.trim() ?? "";
    if (above !== "") title = above;
    return `${title} ${cell}`.replace(/[\s\u00a0]+/g, " ").trim();
  });
}

/** Headers that end in empty cells are cut; without header the usual length of a row counts. */
function widthOf(headers: string[], data: Row[]): number {
  let width = headers.length;
  while (width > 0 && headers[width - 1] === "") width--;
  if (width > 0) return width;
  const counts = new Map<number, number>();
  for (const { cells } of data) counts.set(cells.length, (counts.get(cells.length) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || b[0] - a[0])[0]?.[0] ?? 0;
}

/** The index of a column by number or header: the whole header, else its last part, when only one fits. */
export function columnIndex(headers: string[], name: ColumnName): number | undefined {
  if (typeof name === "number") return name - 1;
  const wanted = plain(name);
  const whole = headers.findIndex((header) => plain(header) === wanted);
  if (whole !== -1) return whole;
  const ends = headers.flatMap((header, at) => (plain(header).endsWith(` ${wanted}`) ? [at] : []));
  return ends.length === 1 ? ends[0] : undefined;
}
