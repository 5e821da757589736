import type { IntervalItem, Item, Quality, ReadOptions } from "../item.ts";
import { lostDigits } from "../meter-number.ts";
import type { Problems } from "../problems.ts";
import { detached } from "../text.ts";
import { fieldsOf } from "./lines.ts";
import { registerStates } from "./register.ts";
import { directionOfSuffix, marketTime, qualityOf, type Stream, Streams } from "./streams.ts";

interface IntervalStream extends Stream {
  minutes: number;
}

/** A day of quality V, waiting for its 400 records. */
interface VariableDay {
  items: IntervalItem[];
  line: number;
  /** Intervals that 400 records have covered so far, from the first. */
  covered: number;
}

/** Reads MDFF records one by one and collects their items. A wrong record is told and left out, the next is read. */
export class Records {
  #problems: Problems;
  #streams: Streams;
  #out: Item[] = [];
  /** Creation time of the file, when its 100 record says one. */
  #created: number | undefined;
  /** `none` before the first 200 and after a wrong one: `skip` leaves its days out without telling again. */
  #stream: IntervalStream | "none" | "skip" = "none";
  #day: VariableDay | undefined;
  /** True while the quality records of a refused day may follow. */
  #refused = false;
  #started = false;
  #ended = false;
  #values = 0;

  constructor(problems: Problems, options: ReadOptions) {
    this.#problems = problems;
    this.#streams = new Streams(problems, { unit: options.unit, timezone: options.timezone });
  }

  /** Items since the last call. */
  take(): Item[] {
    const taken = this.#out;
    this.#out = [];
    return taken;
  }

  /** Reads one record. */
  read(text: string, line: number): void {
    const fields = fieldsOf(text);
    const type = fields[0]!.trim();
    if (type === "" && text.trim() === "") return;
    if (type !== "400") {
      this.#endDay();
      this.#refused = false;
    }
    if (this.#ended && type !== "100" && type !== "900") {
      this.#wrong(line, null, "There are records after the end record (900).");
      this.#ended = false;
    }
    if (!this.#started && type !== "100") {
      this.#problems.warning("The file does not begin with a header record (100).", { line });
    }
    this.#started = true;
    if (type === "300") this.#readDay(fields, line);
    else if (type === "400") this.#readQuality(fields, line);
    else if (type === "200") this.#readStream(fields, line);
    else if (type === "250") this.#readRegister(fields, line);
    else if (type === "100") this.#readHeader(fields, line);
    else if (type === "900") this.#ended = true;
    else if (type !== "500" && type !== "550") {
      this.#refused = true;
      this.#wrong(line, "RecordIndicator", `"${type.slice(0, 20)}" is no record of this format`);
    }
  }

  /** Ends the file. */
  end(): void {
    this.#endDay();
    if (!this.#ended) {
      const message = "The end record (900) is missing: the file may have been cut off.";
      this.#problems.warning(message);
    }
    if (this.#values === 0 && this.#problems.errors === 0) {
      this.#problems.info("There is no meter data in this file.");
    }
  }

  /** Tells a wrong record; undefined, so that a caller can leave with it. */
  #wrong(line: number, field: string | null, what: string): undefined {
    this.#problems.error(`${what.replace(/\.$/, "")}. Correct the line or ask for a new file.`, {
      line,
      field,
    });
  }

  #readHeader(fields: string[], line: number): undefined {
    this.#ended = false;
    this.#stream = "none";
    const version = fields[1]?.trim() ?? "";
    if (version !== "NEM12" && version !== "NEM13") {
      this.#wrong(line, "VersionHeader", `"${version.slice(0, 20)}" is neither NEM12 nor NEM13`);
    }
    const printed = fields[2]?.trim() ?? "";
    this.#created = marketTime(printed);
    if (this.#created === undefined && printed !== "") {
      this.#problems.warning(`"${printed.slice(0, 20)}" is no date and time.`, { line, field: "DateTime" });
    }
  }

  #readStream(fields: string[], line: number): undefined {
    this.#stream = "skip";
    const meter = detached(fields[1]?.trim() ?? "");
    const suffix = fields[4]?.trim() ?? "";
    const channel = detached((suffix === "" ? (fields[3]?.trim() ?? "") : suffix).slice(0, 40));
    const minutes = Number(fields[8]?.trim());
    if (!this.#isMeter(meter, line)) return;
    if (![1, 5, 10, 15, 30, 60].includes(minutes)) {
      const printed = (fields[8] ?? "").slice(0, 20);
      return this.#wrong(
        line,
        "IntervalLength",
        `The interval length "${printed}" is not 5, 15 or 30 minutes`,
      );
    }
    const unit = this.#streams.unit(fields[7] ?? "", { channel, line });
    if (unit === undefined) return;
    const direction = directionOfSuffix(channel);
    this.#stream = { meter, channel, ...unit, direction, minutes, register: false };
  }

  #readDay(fields: string[], line: number): undefined {
    const stream = this.#stream;
    if (stream === "none")
      return this.#wrong(line, null, "An interval record (300) without a record 200 before it");
    if (stream === "skip") return;
    this.#refused = true;
    const wanted = 1440 / stream.minutes;
    const date = fields[1]?.trim() ?? "";
    const start = date.length === 8 ? marketTime(date) : undefined;
    if (start === undefined) return this.#wrong(line, "IntervalDate", `"${date.slice(0, 20)}" is no date`);
    const code = fields[2 + wanted]?.trim() ?? "";
    const quality = code.charAt(0) === "V" && code.length <= 3 ? "variable" : qualityOf(code);
    if (quality === undefined) return this.#wrongCount(fields, { wanted, stream, code, line });
    const version = this.#version(fields[2 + wanted + 3], line);
    const items = this.#values300(fields, { stream, start, line, code, quality, version });
    if (items === undefined) return;
    this.#refused = false;
    if (quality === "variable") this.#day = { items, line, covered: 0 };
    else this.#emit(items, stream);
  }

  /** Tells a wrong number of values apart from a wrong quality flag. */
  #wrongCount(
    fields: string[],
    { wanted, stream, code, line }: { wanted: number; stream: IntervalStream; code: string; line: number },
  ): undefined {
    // The values end at the first field that is neither empty nor a number: the flag, wrong as it may be.
    const flag = fields.findIndex(
      (field, at) => at >= 2 && field.trim() !== "" && stream.scale.parse(field) === undefined,
    );
    const found = (flag < 0 ? fields.findLastIndex((field) => field.trim() !== "") + 1 : flag) - 2;
    if (found !== wanted) {
      const rule = `a day of ${stream.minutes}-minute intervals has ${wanted} values`;
      return this.#wrong(line, "IntervalValue", `${rule}, this record has ${found}`);
    }
    this.#wrong(line, "QualityMethod", `"${code.slice(0, 20)}" is no quality flag`);
  }

  #values300(
    fields: string[],
    day: {
      stream: IntervalStream;
      start: number;
      line: number;
      code: string;
      quality: Quality | "variable";
      version: number | undefined;
    },
  ): IntervalItem[] | undefined {
    const { stream, line, code } = day;
    const count = 1440 / stream.minutes;
    const seconds = stream.minutes * 60;
    const items: IntervalItem[] = new Array(count);
    const quality = day.quality === "variable" ? "unknown" : day.quality;
    for (let i = 0; i < count; i++) {
      const text = fields[i + 2]!;
      const number = stream.scale.parse(text);
      if (number === undefined && text.trim() !== "") {
        this.#wrong(line, `IntervalValue ${i + 1}`, `"${text.slice(0, 40)}" is no number`);
        return undefined;
      }
      if (number !== undefined && number.digits > 15) {
        this.#problems.warning(`The value ${text.slice(0, 40)} is kept with 15 digits.`, { line });
      }
      const missing = number === undefined || quality === "missing";
      const item: IntervalItem = {
        kind: "interval",
        series: 0,
        start: day.start + i * seconds * 1_000,
        seconds,
        value: missing ? null : number.value,
        quality: missing ? "missing" : quality,
        code,
        line,
      };
      if (day.version !== undefined) item.version = day.version;
      items[i] = item;
    }
    return items;
  }

  #readQuality(fields: string[], line: number): undefined {
    const day = this.#day;
    if (day === undefined) {
      if (this.#refused || this.#stream === "skip") return;
      const message = "A quality record (400) without a day of quality V before it is left out.";
      this.#problems.warning(message, { line });
      return;
    }
    const from = Number(fields[1]?.trim());
    const to = Number(fields[2]?.trim());
    const count = day.items.length;
    if (!Number.isInteger(to) || from !== day.covered + 1 || to < from || to > count) {
      this.#refuseDay();
      const range = `${fields[1] ?? ""} to ${fields[2] ?? ""}`.slice(0, 40);
      return this.#wrong(
        line,
        "StartInterval",
        `Intervals ${range} do not go on from ${day.covered + 1} up to ${count}`,
      );
    }
    const code = fields[3]?.trim() ?? "";
    const quality = qualityOf(code);
    if (quality === undefined) {
      this.#refuseDay();
      return this.#wrong(line, "QualityMethod", `"${code.slice(0, 20)}" is no quality flag`);
    }
    for (let i = from - 1; i < to; i++) {
      const item = day.items[i]!;
      item.code = code;
      if (quality === "missing") item.value = null;
      item.quality = item.value === null ? "missing" : quality;
    }
    day.covered = to;
  }

  #isMeter(meter: string, line: number): boolean {
    const lost = lostDigits(meter);
    if (lost !== undefined) this.#problems.error(lost, { line, field: "NMI" });
    else if (meter === "" || meter.length > 40)
      this.#wrong(line, "NMI", "The metering point (NMI) is missing");
    else return true;
    return false;
  }

  #refuseDay(): void {
    this.#day = undefined;
    this.#refused = true;
  }

  #endDay(): undefined {
    const day = this.#day;
    if (day === undefined) return;
    this.#day = undefined;
    const count = day.items.length;
    if (day.covered < count) {
      const what = `Quality V: records 400 cover ${day.covered} of ${count} intervals`;
      return this.#wrong(day.line, "QualityMethod", what);
    }
    this.#emit(day.items, this.#stream as IntervalStream);
  }

  #emit(items: IntervalItem[], stream: IntervalStream): void {
    const series = this.#streams.number(stream, this.#out);
    if (series === undefined) return;
    this.#values += items.length;
    for (const item of items) {
      item.series = series;
      this.#out.push(item);
    }
  }

  #version(printed: string | undefined, line: number): number | undefined {
    const text = printed?.trim() ?? "";
    if (text === "") return this.#created;
    const version = marketTime(text);
    if (version === undefined) {
      this.#problems.warning(`"${text.slice(0, 20)}" is no date and time.`, {
        line,
        field: "UpdateDateTime",
      });
    }
    return version ?? this.#created;
  }

  #readRegister(fields: string[], line: number): undefined {
    const read = registerStates(fields, line, {
      streams: this.#streams,
      wrong: (field, what) => this.#wrong(line, field, what),
      isMeter: (text) => this.#isMeter(text, line),
      version: (printed) => this.#version(printed, line),
    });
    if (read === undefined) return;
    const series = this.#streams.number(read.stream, this.#out);
    if (series === undefined) return;
    this.#values += read.states.length;
    for (const state of read.states) this.#out.push({ kind: "reading", series, line, ...state });
  }
}
