import { parseDecimal } from "../../platform/decimal.ts";
import { CsvScanner, csvRows, peek, type Row } from "../csv.ts";
import { dateMs, digits, timeMs } from "../instant.ts";
import type { Format, Item, Quality, ReadOptions } from "../item.ts";
import { lostDigits } from "../meter-number.ts";
import { Problems } from "../problems.ts";
import { SeriesBook } from "../series-book.ts";
import { detectEncoding, texts } from "../text.ts";
import { type Unit, unitOf } from "../units.ts";
import { RepeatedHour, spanOf, WallClock } from "../wall-clock.ts";
import { danishZone } from "./json.ts";

type Role = "meter" | "from" | "to" | "quantity" | "unit" | "quality";

const roles: Record<string, Role> = {
  målepunktsid: "meter",
  fra_dato: "from",
  til_dato: "to",
  mængde: "quantity",
  måleenhed: "unit",
  kvalitet: "quality",
};
const needed: Role[] = ["meter", "from", "to", "quantity"];

const qualities: Record<string, Quality> = {
  målt: "measured",
  estimeret: "estimated",
  beregnet: "calculated",
  manglende: "missing",
  mangler: "missing",
};

/**
 * The CSV export of Eloverblik (Denmark): start and end by the wall clock of Copenhagen, decimal comma. The hour
 * that the autumn repeats is printed twice with the same labels and told apart by its order.
 */
export const eloverblikCsv: Format = {
  name: "eloverblik-csv",
  title: "Eloverblik CSV",
  detect(head) {
    const { encoding, markBytes } = detectEncoding(head);
    const text = new TextDecoder(encoding).decode(head.subarray(markBytes, 4096));
    return beginning(text) === undefined ? 0 : 0.98;
  },
  read,
};

interface Beginning {
  delimiter: string;
  columns: Partial<Record<Role, number>> & Record<"meter" | "from" | "to" | "quantity", number>;
  width: number;
}

function beginning(head: string): Beginning | undefined {
  const line = head.slice(0, 1024).split(/\r\n|\n|\r/, 1)[0]!;
  for (const delimiter of [";", "\t", ","]) {
    const names = line.split(delimiter).map((cell) => cell.replaceAll('"', "").trim().toLowerCase());
    const columns: Partial<Record<Role, number>> = {};
    names.forEach((name, at) => {
      if (Object.hasOwn(roles, name)) columns[roles[name]!] ??= at;
    });
    if (needed.every((role) => columns[role] !== undefined)) {
      return { delimiter, columns: columns as Beginning["columns"], width: names.length };
    }
  }
  return undefined;
}

async function* read(
  source: AsyncIterable<Uint8Array>,
  options: ReadOptions,
): AsyncGenerator<Item[], void, undefined> {
  const problems = new Problems();
  const { head, all, close } = await peek(texts(source), 65_536);
  const start = beginning(head);
  if (start === undefined) {
    problems.error(
      "This is not a CSV export of Eloverblik: the first line must name MålepunktsID, Fra_dato, Til_dato and Mængde.",
      { line: 1 },
    );
    await close();
    yield problems.end();
    return;
  }
  const reader = new Reader(start, options, problems);
  let first = true;
  for await (const rows of csvRows(all, new CsvScanner(start.delimiter, problems), problems)) {
    const items: Item[] = [];
    if (first && rows.length > 0) {
      rows.shift();
      reader.lookAhead(rows);
      first = false;
    }
    for (const row of rows) reader.take(row, items);
    if (problems.waiting) items.push(...problems.take());
    if (items.length > 0) yield items;
    if (reader.book.full) break;
  }
  if (reader.book.size === 0 && problems.errors === 0) {
    problems.error("The file has no rows below its header. Export a period that has values.");
  }
  yield problems.end();
}

interface Kind {
  series: number;
  unit: Unit;
}

class Reader {
  readonly book: SeriesBook;
  readonly #columns: Beginning["columns"];
  readonly #width: number;
  readonly #options: ReadOptions;
  readonly #zone: string;
  readonly #clock: WallClock;
  readonly #problems: Problems;
  readonly #kinds: Kind[] = [];
  readonly #repeated = new Map<string, RepeatedHour>();
  #descending = false;

  constructor(start: Beginning, options: ReadOptions, problems: Problems) {
    this.#columns = start.columns;
    this.#width = start.width;
    this.#options = options;
    this.#zone = options.timezone ?? danishZone;
    this.#clock = new WallClock(this.#zone);
    this.#problems = problems;
    this.book = new SeriesBook(problems);
  }

  /** Finds out from the first rows whether the newest value stands first. */
  lookAhead(rows: Row[]): void {
    let previous = Number.NaN;
    let down = 0;
    for (const { cells } of rows.slice(0, 1000)) {
      const local = localOf((cells[this.#columns.from] ?? "").trim());
      if (local < previous) down++;
      if (local > previous) down--;
      previous = local;
    }
    this.#descending = down > 0;
  }

  /** Reads one row; what is wrong with it becomes a problem. */
  take(row: Row, items: Item[]): void {
    const { cells, line } = row;
    if (cells.length !== this.#width) {
      if (cells.every((cell) => cell.trim() === "")) return;
      if (cells.length < this.#width || cells.slice(this.#width).some((cell) => cell.trim() !== "")) {
        this.#problems.error(
          `This row has ${cells.length} cells, the header ${this.#width}. The file may be cut off: export it again.`,
          { line },
        );
        return;
      }
    }
    const from = this.#local(row, "from");
    const to = this.#local(row, "to");
    if (from === undefined || to === undefined) return;
    const meter = cells[this.#columns.meter]!.trim();
    const utc = this.#repeatedOf(meter).utc(from, this.#clock, this.#descending);
    if (this.#clock.fit === "skipped") {
      this.#problems.error(
        `${cells[this.#columns.from]} does not exist in ${this.#zone}: the clocks went forward. State the zone of the file.`,
        { line, field: "Fra_dato" },
      );
      return;
    }
    const resolution = spanOf({ local: from, utc }, to, this.#clock);
    const seconds = typeof resolution === "number" ? resolution : this.#calendarSeconds(utc, resolution);
    if (
      resolution === undefined ||
      seconds === undefined ||
      from % (typeof resolution === "number" ? seconds * 1000 : 1)
    ) {
      this.#problems.error(
        `${cells[this.#columns.from]} to ${cells[this.#columns.to]} is no quarter, hour, day or month.`,
        { line, field: "Til_dato" },
      );
      return;
    }
    const kind = this.#kind(row, `${resolution}`, items);
    if (kind !== undefined) this.#value(row, { kind, start: utc, seconds }, items);
  }

  #calendarSeconds(utc: number, resolution: "day" | "month" | undefined): number | undefined {
    return resolution === undefined ? undefined : this.#clock.calendarSeconds(utc, resolution);
  }

  #repeatedOf(meter: string): RepeatedHour {
    let repeated = this.#repeated.get(meter);
    if (repeated === undefined) {
      repeated = new RepeatedHour();
      // As many meters as series; beyond that the file is refused anyway.
      if (this.#repeated.size < 10_000) this.#repeated.set(meter, repeated);
    }
    return repeated;
  }

  #local({ cells, line }: Row, role: "from" | "to"): number | undefined {
    const printed = cells[this.#columns[role]]!.trim();
    const local = localOf(printed);
    if (!Number.isNaN(local)) return local;
    this.#problems.error(`"${printed.slice(0, 100)}" is not a time like 31-12-2024 23:00:00.`, {
      line,
      field: role === "from" ? "Fra_dato" : "Til_dato",
    });
    return undefined;
  }

  #value(row: Row, at: { kind: Kind; start: number; seconds: number }, items: Item[]): void {
    const { cells, line } = row;
    const { kind, start, seconds } = at;
    const code = this.#columns.quality === undefined ? "" : cells[this.#columns.quality]!.trim();
    const printed = cells[this.#columns.quantity]!.trim();
    const word = code.toLowerCase();
    let quality: Quality = Object.hasOwn(qualities, word) ? qualities[word]! : "unknown";
    let value: number | null = null;
    if (printed === "") quality = "missing";
    else {
      const parsed = parseDecimal(printed, { mark: ",", shift: kind.unit.shift });
      if (parsed === undefined) {
        const message = `"${printed.slice(0, 100)}" is not a number with a decimal comma.`;
        this.#problems.error(message, { line, field: "Mængde" });
        return;
      }
      if (quality !== "missing") value = parsed.value;
    }
    items.push({ kind: "interval", series: kind.series, start, seconds, value, quality, code, line });
  }

  #kind({ cells, line }: Row, resolution: string, items: Item[]): Kind | undefined {
    const meter = cells[this.#columns.meter]!.trim();
    const unitCell = this.#columns.unit === undefined ? "" : cells[this.#columns.unit]!.trim();
    const printedUnit = unitCell === "" ? (this.#options.unit ?? "") : unitCell;
    const key = `${meter}\n${printedUnit}\n${resolution}`;
    const known = this.book.find(key);
    if (known !== undefined) return this.#kinds[known];
    const lost = lostDigits(meter);
    if (lost !== undefined) {
      this.#problems.error(lost, { line, field: "MålepunktsID" });
      return undefined;
    }
    const unit = unitOf(printedUnit);
    if (unit === undefined || unit.over !== undefined || unit.times !== undefined) {
      const message =
        printedUnit === ""
          ? "The file names no unit: state it (kWh)."
          : `Unknown unit "${printedUnit}", expected KWH.`;
      this.#problems.error(message, { line, field: "Måleenhed" });
      return undefined;
    }
    const opened = this.book.open(
      key,
      {
        meter,
        channel: "",
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
    this.#kinds.push({ series: opened, unit });
    return this.#kinds[opened];
  }
}

/** `31-12-2024 23:00:00`, with or without seconds, as the same reading in UTC; NaN when it is none. */
function localOf(text: string): number {
  if (text.charCodeAt(2) !== 45 || text.charCodeAt(5) !== 45 || text.charCodeAt(10) !== 32) return Number.NaN;
  if (text.charCodeAt(13) !== 58 || (text.length !== 16 && text.length !== 19)) return Number.NaN;
  const seconds = text.length === 19 && text.charCodeAt(16) === 58 ? digits(text, 17, 2) : 0;
  if (text.length === 19 && text.charCodeAt(16) !== 58) return Number.NaN;
  return (
    dateMs(digits(text, 6, 4), digits(text, 3, 2), digits(text, 0, 2)) +
    timeMs(digits(text, 11, 2), digits(text, 14, 2), seconds)
  );
}
