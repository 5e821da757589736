import { parseDecimal } from "../../platform/decimal.ts";
import { CsvScanner, csvRows, peek, type Row } from "../csv.ts";
import { instantOf } from "../instant.ts";
import type { Format, Item, Quality, ReadOptions } from "../item.ts";
import { lostDigits } from "../meter-number.ts";
import { Problems } from "../problems.ts";
import { type Resolution, resolutionOf } from "../resolution.ts";
import { SeriesBook } from "../series-book.ts";
import { detectEncoding, texts } from "../text.ts";
import { type Unit, unitOf } from "../units.ts";
import { WallClock } from "../wall-clock.ts";
import { type Columns, columnsByName, columnsByShape } from "./header.ts";

const zone = "Europe/Helsinki";
const delimiters = [";", "\t", ","];

/**
 * The CSV export of Fingrid Datahub (Finland): starts in UTC, decimal comma, 15 minutes and hours in one file
 * since 2023. Reading type BN01 or BN02 says nothing about the direction; that belongs to the metering point.
 */
export const fingrid: Format = {
  name: "fingrid-csv",
  title: "Fingrid Datahub CSV",
  detect(head) {
    const columns = columnsOf(head);
    return columns === undefined ? 0 : columns.named ? 0.98 : 0.9;
  },
  read,
};

function columnsOf(head: Uint8Array): { named: boolean } | undefined {
  const { encoding, markBytes } = detectEncoding(head);
  const text = new TextDecoder(encoding).decode(head.subarray(markBytes, 4096));
  const start = beginning(text);
  if (start === undefined) return undefined;
  return { named: start.named };
}

interface Beginning {
  delimiter: string;
  columns: Columns;
  named: boolean;
}

/** Looks at the first two lines with every delimiter that a spreadsheet may have put in. */
function beginning(head: string): Beginning | undefined {
  const lines = head.slice(0, 4096).split(/\r\n|\n|\r/, 2);
  for (const delimiter of delimiters) {
    const [header, row] = lines.map((line) => line.split(delimiter).map((cell) => cell.replaceAll('"', "")));
    const byName = columnsByName(header!);
    if (byName !== undefined) return { delimiter, columns: byName, named: true };
    const byShape = row === undefined ? undefined : columnsByShape(row);
    if (byShape !== undefined) return { delimiter, columns: byShape, named: false };
  }
  return undefined;
}

async function* read(
  source: AsyncIterable<Uint8Array>,
  options: ReadOptions,
): AsyncGenerator<Item[], void, undefined> {
  const problems = new Problems();
  const { head, all, close } = await peek(texts(source), 4096);
  const start = beginning(head);
  if (start === undefined) {
    problems.error(
      "This is not an export of Fingrid Datahub: the first line must name the columns " +
        "(Mittauspisteen tunnus; …; Alkuaika; Määrä; Laatu). Download the file again.",
      { line: 1 },
    );
    await close();
    yield problems.end();
    return;
  }
  const reader = new Reader(start.columns, options.timezone ?? zone, problems);
  let first = true;
  for await (const rows of csvRows(all, new CsvScanner(start.delimiter, problems), problems)) {
    const items: Item[] = [];
    for (const row of rows) {
      if (first) first = false;
      else reader.take(row, items);
    }
    if (problems.waiting) items.push(...problems.take());
    if (items.length > 0) yield items;
    if (reader.book.full) break;
  }
  if (reader.book.size === 0 && problems.errors === 0) {
    problems.error("The file has no rows below its header. Export a period that has values.");
  }
  yield problems.end();
}

/** What does not change from row to row of one series. */
interface Kind {
  series: number;
  resolution: Resolution;
  unit: Unit;
}

class Reader {
  readonly book: SeriesBook;
  readonly #columns: Columns;
  readonly #width: number;
  readonly #zone: string;
  readonly #clock: WallClock;
  readonly #problems: Problems;
  readonly #kinds: Kind[] = [];

  constructor(columns: Columns, timezone: string, problems: Problems) {
    this.#columns = columns;
    this.#width = Math.max(...Object.values(columns)) + 1;
    this.#zone = timezone;
    this.#clock = new WallClock(timezone);
    this.#problems = problems;
    this.book = new SeriesBook(problems);
  }

  /** Reads one row; what is wrong with it becomes a problem. */
  take(row: Row, items: Item[]): void {
    const { cells, line } = row;
    if (cells.length !== this.#width && !paddedTo(cells, this.#width)) {
      if (cells.every((cell) => cell.trim() === "")) return;
      this.#problems.error(
        `This row has ${cells.length} cells, the header ${this.#width}. The file may be cut off: download it again.`,
        { line },
      );
      return;
    }
    const kind = this.#kind(row, items);
    if (kind === undefined) return;
    const printed = cells[this.#columns.start]!;
    const start = instantOf(printed.trim());
    if (Number.isNaN(start)) {
      this.#problems.error(`"${printed}" is not a time in UTC like 2024-12-31T22:00:00Z.`, {
        line,
        field: "start",
      });
      return;
    }
    const seconds = this.#seconds(start, kind.resolution);
    if (seconds === undefined) {
      this.#problems.error(`${printed} is not the start of an interval of its resolution.`, {
        line,
        field: "start",
      });
      return;
    }
    this.#value(row, { kind, start, seconds }, items);
  }

  #value(row: Row, at: { kind: Kind; start: number; seconds: number }, items: Item[]): void {
    const { cells, line } = row;
    const { kind, start, seconds } = at;
    const code = cells[this.#columns.quality]!.trim();
    const printed = cells[this.#columns.quantity]!.trim();
    const quality = qualityOf(code, printed);
    let value: number | null = null;
    if (printed !== "" && printed.toLowerCase() !== "null") {
      const parsed = parseDecimal(printed, { mark: ",", shift: kind.unit.shift });
      if (parsed === undefined) {
        this.#problems.error(`"${printed}" is not a number with a decimal comma.`, {
          line,
          field: "quantity",
        });
        return;
      }
      if (quality !== "missing") value = parsed.value;
    }
    items.push({ kind: "interval", series: kind.series, start, seconds, value, quality, code, line });
  }

  #kind(row: Row, items: Item[]): Kind | undefined {
    const { cells, line } = row;
    const columns = this.#columns;
    const meter = cells[columns.meter]!.trim();
    const channel = columns.readingType === undefined ? "" : cells[columns.readingType]!.trim();
    const resolutionText = cells[columns.resolution]!.trim();
    const printedUnit = cells[columns.unit]!.trim();
    const key = `${meter}\n${cells[columns.product]}\n${channel}\n${resolutionText}\n${printedUnit}`;
    const known = this.book.find(key);
    if (known !== undefined) return this.#kinds[known];
    const lost = lostDigits(meter);
    if (lost !== undefined) {
      this.#problems.error(lost, { line, field: "meter" });
      return undefined;
    }
    const resolution = resolutionOf(resolutionText);
    if (resolution === undefined) {
      this.#problems.error(`Unknown resolution "${resolutionText}", expected PT15M or PT1H.`, {
        line,
        field: "resolution",
      });
      return undefined;
    }
    const unit = unitOf(printedUnit);
    if (unit === undefined || (unit.base !== "kWh" && unit.base !== "kVArh") || unit.over !== undefined) {
      this.#problems.error(`Unknown unit "${printedUnit}", expected kWh.`, { line, field: "unit" });
      return undefined;
    }
    const opened = this.book.open(
      key,
      {
        meter,
        channel,
        type: "electricity",
        metric: unit.metric,
        direction: "unknown",
        unit: unit.base,
        printedUnit,
        timezone: this.#zone,
      },
      items,
    );
    if (opened === undefined) return undefined;
    this.#kinds.push({ series: opened, resolution, unit });
    return this.#kinds[opened];
  }

  /** Seconds of the interval that begins at `start`; undefined when none of that resolution begins there. */
  #seconds(start: number, resolution: Resolution): number | undefined {
    if (typeof resolution === "number") return start % (resolution * 1000) === 0 ? resolution : undefined;
    return this.#clock.calendarSeconds(start, resolution);
  }
}

/** Spreadsheets add empty cells at the end of a row; anything else there is a shifted row. */
function paddedTo(cells: string[], width: number): boolean {
  return cells.length > width && cells.slice(width).every((cell) => cell.trim() === "");
}

/** OK and MISSING are documented; the words for others are passed through as they are. */
function qualityOf(code: string, printed: string): Quality {
  const word = code.toUpperCase();
  if (word === "MISSING" || printed === "" || printed.toLowerCase() === "null") return "missing";
  if (word === "OK") return "measured";
  if (word === "ESTIMATED") return "estimated";
  return "unknown";
}
