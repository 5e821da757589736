import type { Row } from "../csv.ts";
import type { Item, Quality } from "../item.ts";
import type { Problems } from "../problems.ts";
import type { Resolution } from "../resolution.ts";
import { type Label, type RepeatedHour, spanOf, WallClock } from "../wall-clock.ts";
import { halvesOf } from "./frame.ts";
import { AmbiguousNumber, NumberReader } from "./numbers.ts";
import type { Plan, ValuePlan } from "./plan.ts";
import { MappedSeries, type RowKind, type Target } from "./targets.ts";
import { labelText } from "./times.ts";
import { isMissing, plain, qualityOf, says, totalWords } from "./words.ts";

const day = 86_400_000;
/** Rows without a date that wait for what follows: a header (they were a heading) or a row (they were wrong). */
const waitingMax = 100;

/** An interval, or the instant of a reading. */
interface Span {
  start: number;
  seconds: number;
  resolution: Resolution | "register";
}

/** Turns the rows of a table into items, by a plan. */
export class RowReader {
  readonly series: MappedSeries;
  /** Values and readings so far. */
  values = 0;
  readonly #plan: Plan;
  readonly #problems: Problems;
  readonly #clock: WallClock | undefined;
  readonly #numbers: NumberReader;
  readonly #qualities = new Map<string, Quality>();
  readonly #padded: boolean;
  #header: string | undefined;
  #waiting: Row[] = [];

  /** @param options.padded rows may lack empty cells at their end, as those of a workbook do */
  constructor(plan: Plan, problems: Problems, options: { padded: boolean }) {
    this.#plan = plan;
    this.#problems = problems;
    this.#padded = options.padded;
    const zone = plan.mapping.timezone;
    this.#clock = zone === undefined ? undefined : new WallClock(zone);
    this.#numbers = new NumberReader({ decimal: plan.mapping.decimal, thousands: plan.mapping.thousands });
    this.series = new MappedSeries(plan, problems);
    for (const [word, quality] of Object.entries(plan.mapping.qualities ?? {}))
      this.#qualities.set(word, quality);
  }

  /** The header as it stands in the file, so that its repetition is known as the beginning of a new block. */
  set header(cells: string[]) {
    this.#header = cells.join("\n");
  }

  /** Reads one row below the header. */
  take(row: Row, items: Item[]): void {
    const { cells } = row;
    if (cells.length < 3 && cells.every((cell) => cell.trim() === "")) return;
    if (this.#header !== undefined && cells.join("\n") === this.#header) {
      this.#waiting = [];
      this.series.nextBlock();
      return;
    }
    const label = this.#labelOf(row);
    if (label === undefined) {
      this.#withoutDate(row);
      return;
    }
    if (this.#waiting.length > 0) this.#refuseWaiting();
    if (!this.#sound(row)) return;
    if (this.#plan.mapping.layout === "wide") this.#wide(row, items);
    else this.#long(row, label.end, items);
  }

  /** The end of the file: rows that still wait were remarks, or wrong. */
  end(): void {
    if (this.#waiting.length > 0) this.#refuseWaiting();
  }

  /** The texts of the label; undefined when the main one is no date. */
  #labelOf({ cells }: Row): { main: string; end: string | undefined } | undefined {
    const plan = this.#plan;
    if (plan.period !== undefined) {
      const halves = halvesOf(cells[plan.period] ?? "");
      return halves !== undefined && plan.pattern.parse(halves[0])
        ? { main: halves[0], end: halves[1] }
        : undefined;
    }
    const main = labelText(cells, plan.start!);
    if (!plan.pattern.parse(main)) return undefined;
    return { main, end: plan.end === undefined ? undefined : labelText(cells, plan.end) };
  }

  /** Are there as many cells as columns? */
  #sound({ cells, line }: Row): boolean {
    const { width } = this.#plan;
    if (cells.length === width) return true;
    if (cells.length > width) {
      const extra = cells.findIndex((cell, at) => at >= width && cell.trim() !== "");
      if (extra === -1) return true;
      const message =
        `This row has more cells than the ${width} columns of the table ("${cells[extra]!.slice(0, 40)}" is left over). ` +
        "A decimal comma between cells without quotation marks shifts a row like this.";
      this.#problems.error(message, { line });
      return false;
    }
    if (this.#padded) {
      while (cells.length < width) cells.push("");
      return true;
    }
    this.#problems.error(
      `This row has ${cells.length} cells, the table ${width} columns. It may be cut off.`,
      { line },
    );
    return false;
  }

  #withoutDate(row: Row): void {
    if (row.cells.every((cell) => cell.trim() === "")) return;
    if (this.#waiting.length < waitingMax) this.#waiting.push(row);
    else this.#refuse(row);
  }

  #refuseWaiting(): void {
    for (const row of this.#waiting) this.#refuse(row);
    this.#waiting = [];
  }

  /** A remark is told, a total is left out, anything else is refused. */
  #refuse({ cells, line }: Row): void {
    const texts = cells.map((cell) => cell.trim()).filter((cell) => cell !== "");
    const first = texts[0] ?? "";
    if (says(first, totalWords) && this.#plan.mapping.totals !== "refuse") {
      this.#problems.info("This row of totals is left out.", { line });
    } else if (texts.length === 1 && !/^[\d"=]/.test(first)) {
      this.#problems.warning(`This row holds no value and is left out: "${first.slice(0, 80)}".`, { line });
    } else {
      const printed = labelText(cells, this.#plan.start ?? [this.#plan.period!]).slice(0, 60);
      this.#problems.error(`"${printed}" is no date like ${this.#plan.pattern.text}.`, {
        line,
        field: "date",
      });
    }
  }

  #long(row: Row, end: string | undefined, items: Item[]): void {
    const { pattern } = this.#plan;
    const kind = this.series.kindOf(row);
    if (kind === undefined) return;
    const main = this.#instant(row, kind.main);
    if (main === undefined) return;
    let span: Span | undefined;
    if (end !== undefined && !this.series.allRegisters) {
      if (!pattern.parse(end)) {
        this.#problems.error(`"${end.slice(0, 60)}" is no date like ${pattern.text}.`, {
          line: row.line,
          field: "end",
        });
        return;
      }
      span = this.#between(row, kind, main, pattern.local);
      if (span === undefined) return;
    }
    for (const value of this.#plan.values) {
      const register = value.told.values === "register";
      if (!register) span ??= this.#single(row, main);
      if (!register && span === undefined) return;
      const at = register ? { start: main.utc, seconds: 0, resolution: "register" as const } : span!;
      this.#value(row, { value, kind, span: at, text: row.cells[value.at]!, line: row.line }, items);
    }
  }

  /** The instant of the label that the pattern has just read; a problem and undefined when it does not exist. */
  #instant(row: Row, repeated: RepeatedHour): Label | undefined {
    const { pattern, descending, endLabel } = this.#plan;
    const { local } = pattern;
    if (!Number.isNaN(pattern.offset)) return { local, utc: local - pattern.offset };
    const clock = this.#clock!;
    const utc = repeated.utc(local, clock, descending);
    if (clock.fit !== "skipped" || (endLabel && clock.utc(local) === clock.utc(local - 1) + 1))
      return { local, utc };
    this.#problems.error(
      `This time does not exist in ${this.#plan.mapping.timezone}: the clocks went forward. If the file keeps standard time all ` +
        'year, state "timezone" as Etc/GMT-1 or the like.',
      { line: row.line, field: "timezone" },
    );
    return undefined;
  }

  /** The interval of a row that prints start and end. */
  #between(row: Row, kind: RowKind, main: Label, endLocal: number): Span | undefined {
    const { pattern } = this.#plan;
    let resolution: Resolution | undefined;
    if (!Number.isNaN(pattern.offset)) {
      const seconds = (endLocal - pattern.offset - main.utc) / 1000;
      resolution = [300, 600, 900, 1800, 3600].includes(seconds)
        ? seconds
        : this.#calendarSpan(main, endLocal);
    } else resolution = spanOf(main, endLocal, this.#clock!);
    const usual = this.#plan.mapping.interval;
    if (resolution !== usual && this.#isTotal(row, kind, main.local, endLocal)) return undefined;
    kind.firstLocal ??= main.local;
    kind.lastLocal = Math.max(kind.lastLocal, endLocal);
    if (resolution === undefined) {
      this.#problems.error(
        "From start to end is no interval that we keep (5, 10, 15 or 30 minutes, an hour, a day, a month).",
        { line: row.line, field: "end" },
      );
      return undefined;
    }
    return this.#span(row, main.utc, main.local, resolution);
  }

  /** Local midnights with offsets: a day or a month in a zone that is known. */
  #calendarSpan(main: Label, endLocal: number): Resolution | undefined {
    return this.#clock === undefined ? undefined : spanOf(main, endLocal, this.#clock);
  }

  /** A row that covers all rows before it: a total, not a value. */
  #isTotal({ line }: Row, kind: RowKind, start: number, end: number): boolean {
    if (kind.firstLocal === undefined || this.#plan.mapping.totals === "refuse") return false;
    const least = Math.min(kind.firstLocal, kind.lastLocal);
    if (start > least || end < kind.lastLocal) return false;
    this.#problems.info("This row sums up all rows before it and is left out.", { line });
    return true;
  }

  /** The interval of a row with a single label. */
  #single(row: Row, main: Label): Span | undefined {
    const { endLabel, mapping } = this.#plan;
    const resolution = mapping.interval!;
    if (!endLabel) return this.#span(row, main.utc, main.local, resolution);
    if (typeof resolution === "number") {
      return this.#span(row, main.utc - resolution * 1000, main.local - resolution * 1000, resolution);
    }
    const before = new Date(main.local);
    const local =
      resolution === "day"
        ? main.local - day
        : Date.UTC(before.getUTCFullYear(), before.getUTCMonth() - 1, 1);
    const utc = this.#clock === undefined ? Number.NaN : this.#clock.utc(local);
    return this.#span(row, utc, local, resolution);
  }

  #span(row: Row, utc: number, local: number, resolution: Resolution): Span | undefined {
    if (typeof resolution === "number") {
      if (local % (resolution * 1000) === 0) return { start: utc, seconds: resolution, resolution };
    } else if (this.#clock === undefined) {
      const message = "Days and months have their length by a time zone, and the file names none.";
      this.#problems.error(`${message} State "timezone".`, { line: row.line, field: "timezone" });
      return undefined;
    } else {
      const seconds = this.#clock.calendarSeconds(utc, resolution);
      if (seconds !== undefined) return { start: utc, seconds, resolution };
    }
    const length = typeof resolution === "number" ? `${resolution / 60} minutes` : `a ${resolution}`;
    this.#problems.error(`No interval of ${length} begins or ends at this label.`, {
      line: row.line,
      field: "interval",
    });
    return undefined;
  }

  /** One row holds a day: a run of columns for each quantity. */
  #wide(row: Row, items: Item[]): void {
    const { pattern, values, mapping } = this.#plan;
    const local = pattern.local;
    const step = mapping.interval as number;
    if (local % day !== 0) {
      this.#problems.error("A row that holds a day must be labelled with a date alone, or with midnight.", {
        line: row.line,
        field: "date",
      });
      return;
    }
    const kind = this.series.kindOf(row);
    if (kind === undefined) return;
    const clock = this.#clock;
    if (clock === undefined) {
      this.#problems.error('Days of a table need a time zone. State "timezone".', {
        line: row.line,
        field: "timezone",
      });
      return;
    }
    const dayStart = clock.utc(local);
    const dayEnd = clock.utc(local + day);
    for (const value of values) this.#dayOf(row, { value, kind, local, dayStart, dayEnd, step }, items);
  }

  #dayOf(
    row: Row,
    at: { value: ValuePlan; kind: RowKind; local: number; dayStart: number; dayEnd: number; step: number },
    items: Item[],
  ): void {
    const { value, kind, local, dayStart, dayEnd, step } = at;
    const { cells, line } = row;
    const slots = (dayEnd - dayStart) / (step * 1000);
    const columns = value.to - value.at + 1;
    const usual = dayEnd - dayStart === day;
    const clock = this.#clock!;
    if (!usual && columns < slots) {
      const message = `${columns} columns cannot hold a day of ${slots} values (the clocks went back): the last hour of the change is not in the file.`;
      this.#problems.warning(message, { line, field: value.header });
    }
    for (let column = 0; column < columns; column++) {
      const text = cells[value.at + column]!;
      let start = dayStart + column * step * 1000;
      let exists = column < slots;
      // Columns that are labelled with times follow the clock; a count through the day follows the hours that pass.
      if (!usual && value.byClock && columns * step === 86_400) {
        start = clock.utc(local + column * step * 1000);
        exists = clock.fit !== "skipped";
      }
      if (!exists) {
        this.#notThere(text, line, value.at + column);
        continue;
      }
      this.#value(row, { value, kind, span: { start, seconds: step, resolution: step }, text, line }, items);
    }
  }

  /** A column for a time that the day does not have must be empty, or zero. */
  #notThere(text: string, line: number, at: number): void {
    if (isMissing(text.trim()) || /^[0.,]+$/.test(text.trim().slice(0, 40))) return;
    this.#problems.error(
      "There is a value for a time that this day does not have: the zone may be wrong, or the file keeps standard time all " +
        'year (state "timezone" as Etc/GMT or the like).',
      { line, field: this.#plan.headers[at] || `column ${at + 1}` },
    );
  }

  #value(
    row: Row,
    at: { value: ValuePlan; kind: RowKind; span: Span; text: string; line: number },
    items: Item[],
  ): void {
    const { value, kind, span, text, line } = at;
    const target = this.series.targetOf(kind, value, { resolution: span.resolution, line }, items);
    if (target === undefined) return;
    const printed = this.#numberOf(text, { line, field: value.header || `column ${value.at + 1}` });
    if (printed === undefined) return;
    const codeAt = value.qualityAt ?? this.#plan.qualityAt;
    const code = codeAt === undefined ? "" : row.cells[codeAt]!.trim();
    let quality = code === "" ? "measured" : this.#qualityOf(code);
    if (codeAt === undefined) quality = "unknown";
    const missing = printed === null || quality === "missing";
    const number = missing ? null : this.#scaled(printed, target);
    if (missing) quality = "missing";
    this.values++;
    if (span.resolution === "register") {
      items.push({
        kind: "reading",
        series: target.series,
        time: span.start,
        value: number,
        quality,
        code,
        line,
      });
    } else {
      const { start, seconds } = span;
      items.push({
        kind: "interval",
        series: target.series,
        start,
        seconds,
        value: number,
        quality,
        code,
        line,
      });
    }
  }

  #scaled(printed: number, target: Target): number {
    return target.plain ? printed : target.toBase(printed);
  }

  /** The printed number, null where the text says that there is none, undefined (and a problem) where it is wrong. */
  #numberOf(text: string, place: { line: number; field: string }): number | null | undefined {
    if (text === "") return null;
    try {
      const number = this.#numbers.read(text);
      if (number !== undefined) return number;
      const trimmed = text.trim();
      if (isMissing(trimmed) || this.#plan.missing.has(plain(trimmed))) return null;
      const why = `"${trimmed.slice(0, 80)}" is no number`;
      const mark = this.#plan.mapping.decimal;
      const known = mark === undefined ? "" : ` with "${mark}" as decimal mark`;
      this.#problems.error(
        `${why}${known}. If it means "no value", list it under "missing" in the mapping.`,
        place,
      );
    } catch (ambiguous) {
      if (!(ambiguous instanceof AmbiguousNumber)) throw ambiguous;
      this.#problems.error(`${ambiguous.message} State "${ambiguous.key}" in the mapping.`, place);
    }
    return undefined;
  }

  #qualityOf(code: string): Quality {
    let quality = this.#qualities.get(code);
    if (quality === undefined) {
      quality = qualityOf(code) ?? "unknown";
      if (this.#qualities.size < 1000) this.#qualities.set(code, quality);
    }
    return quality;
  }
}
