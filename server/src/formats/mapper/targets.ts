import type { Row } from "../csv.ts";
import type { Direction, Item, MeterType } from "../item.ts";
import { lostDigits } from "../meter-number.ts";
import type { Problems } from "../problems.ts";
import type { Resolution } from "../resolution.ts";
import { SeriesBook } from "../series-book.ts";
import { detached } from "../text.ts";
import { scaleOf, type Unit, unitOf } from "../units.ts";
import { RepeatedHour } from "../wall-clock.ts";
import { unitNamed } from "./measures.ts";
import type { Plan, ValuePlan } from "./plan.ts";
import { labelText } from "./times.ts";
import { directionOf, isReactive, plain, tariffOf, typeOf } from "./words.ts";

/** Where the values of one column go for one kind of row. */
export interface Target {
  series: number;
  /** True when printed numbers are in the base unit already. */
  plain: boolean;
  toBase(printed: number): number;
}

/** Rows that share meter, register, unit, type and direction. */
export interface RowKind {
  meter: string;
  channel: string;
  unitText: string;
  type: MeterType | undefined;
  direction: Direction | undefined;
  /** Passes of the repeated hour, per label of the row. */
  main: RepeatedHour;
  /** Wall clock of the first row and of the latest end, to know a total by. */
  firstLocal: number | undefined;
  lastLocal: number;
  /** By index of the value column and resolution. */
  targets: Map<string, Target | null>;
  fast: (Target | null | undefined)[];
  fastFor: Resolution | "register" | undefined;
}

/** Finds and opens the series that rows belong to. */
export class MappedSeries {
  readonly book: SeriesBook;
  /** True when every value column holds readings of registers. */
  readonly allRegisters: boolean;
  readonly #plan: Plan;
  readonly #problems: Problems;
  readonly #kinds = new Map<string, RowKind>();
  #lastKey = "";
  #lastKind: RowKind | undefined;
  #block = 1;

  constructor(plan: Plan, problems: Problems) {
    this.#plan = plan;
    this.#problems = problems;
    this.book = new SeriesBook(problems);
    this.allRegisters = plan.values.every((value) => value.told.values === "register");
  }

  /** The header stands there again: what follows is another table with the same columns. */
  nextBlock(): void {
    this.#block++;
    this.#lastKind = undefined;
  }

  /** The kind of a row; undefined, and a problem, when its meter or type cannot be used. */
  kindOf(row: Row): RowKind | undefined {
    const { meterAt, channelAt, unitAt, typeAt, directionAt } = this.#plan;
    const { cells } = row;
    const meter = meterAt === undefined ? "" : cells[meterAt]!;
    const channel = channelAt.length === 0 ? "" : labelText(cells, channelAt);
    const unit = unitAt === undefined ? "" : cells[unitAt]!;
    const type = typeAt === undefined ? "" : cells[typeAt]!;
    const direction = directionAt === undefined ? "" : cells[directionAt]!;
    const key = `${meter}\n${channel}\n${unit}\n${type}\n${direction}`;
    if (key === this.#lastKey && this.#lastKind !== undefined) return this.#lastKind;
    const kind =
      this.#kinds.get(`${this.#block}\n${key}`) ??
      this.#newKind(key, { meter, channel, unit, type, direction }, row.line);
    if (kind === undefined) return undefined;
    this.#lastKey = key;
    this.#lastKind = kind;
    return kind;
  }

  #newKind(
    key: string,
    texts: { meter: string; channel: string; unit: string; type: string; direction: string },
    line: number,
  ): RowKind | undefined {
    const { mapping } = this.#plan;
    const meter = texts.meter.trim() === "" ? (mapping.meter ?? "") : texts.meter.trim();
    const lost = lostDigits(meter);
    if (lost !== undefined) {
      this.#problems.error(lost, { line, field: "meter" });
      return undefined;
    }
    const kind: RowKind = {
      meter: detached(meter.slice(0, 200)),
      channel: detached(texts.channel.slice(0, 200)),
      unitText: detached(texts.unit.trim().slice(0, 100)),
      type: texts.type === "" ? undefined : (named(texts.type, mapping.types) ?? typeOf(texts.type)),
      direction: this.#directionOf(texts.direction, texts.channel),
      main: new RepeatedHour(),
      firstLocal: undefined,
      lastLocal: Number.NEGATIVE_INFINITY,
      targets: new Map(),
      fast: [],
      fastFor: undefined,
    };
    if (texts.type.trim() !== "" && kind.type === undefined && mapping.type === undefined) {
      const message = `Unknown type "${texts.type.slice(0, 60)}".`;
      this.#problems.error(`${message} Say what it means under "types" in the mapping.`, {
        line,
        field: "type",
      });
      return undefined;
    }
    // More kinds than series can be: the file is refused for its number of series.
    if (this.#kinds.size < 20_000) this.#kinds.set(detached(`${this.#block}\n${key}`), kind);
    return kind;
  }

  #directionOf(printed: string, channel: string): Direction | undefined {
    const text = printed.trim() === "" ? channel : printed.trim();
    if (text === "") return undefined;
    const found = named(text, this.#plan.mapping.directions) ?? directionOf(text);
    return found === "unknown" ? undefined : found;
  }

  /** The series of a value; undefined, with one problem for all its rows, when the unit is not known. */
  targetOf(
    kind: RowKind,
    value: ValuePlan,
    { resolution, line }: { resolution: Resolution | "register"; line: number },
    items: Item[],
  ): Target | undefined {
    if (kind.fastFor !== resolution) {
      kind.fastFor = resolution;
      kind.fast = [];
    }
    const fast = kind.fast[value.at];
    if (fast !== undefined) return fast ?? undefined;
    const key = `${value.at} ${resolution}`;
    let target = kind.targets.get(key);
    if (target === undefined) {
      target = this.#open(kind, value, { resolution, line }, items) ?? null;
      kind.targets.set(key, target);
    }
    kind.fast[value.at] = target;
    return target ?? undefined;
  }

  #unknownUnit(kind: RowKind, line: number): void {
    const which = kind.unitText === "" ? "No unit is named" : `Unknown unit "${kind.unitText}"`;
    const message = `${which}, in this row and all like it. Say what it means under "unit" or "units" in the mapping.`;
    this.#problems.error(message, { line, field: "unit" });
  }

  #open(
    kind: RowKind,
    value: ValuePlan,
    { resolution, line }: { resolution: Resolution | "register"; line: number },
    items: Item[],
  ): Target | undefined {
    const { told, header, to, at } = value;
    const { mapping } = this.#plan;
    const unit = told.unit !== undefined ? unitOf(told.unit) : unitNamed(kind.unitText, mapping.units);
    if (unit === undefined) {
      this.#unknownUnit(kind, line);
      return undefined;
    }
    const mean = told.values === "mean power" && typeof resolution === "number" && unit.metric === "power";
    const used = mean ? energyOf(unit, resolution) : unit;
    const name = to > at ? "" : header;
    const own = told.channel ?? (this.#plan.values.length > 1 ? name : "");
    const parts = [kind.channel, own, this.#block > 1 ? `block ${this.#block}` : ""].filter(
      (part) => part !== "",
    );
    const type = told.type ?? kind.type ?? mapping.type ?? (used.base === "m3" ? undefined : "electricity");
    if (type === undefined) {
      const message = `m3 could be gas or water. State "type" in the mapping, or "types" for the texts of a column.`;
      this.#problems.error(message, { line, field: "type" });
      return undefined;
    }
    const series = this.book.open(
      `${kind.meter}\n${kind.channel}\n${kind.unitText}\n${kind.type}\n${kind.direction}\n${this.#block}\n${at}\n${resolution}`,
      {
        meter: kind.meter,
        channel: parts.join(" / "),
        type,
        metric: told.metric ?? mapping.metric ?? metricOf(used, `${header} ${kind.channel}`),
        direction: told.direction ?? kind.direction ?? mapping.direction ?? "unknown",
        unit: used.base,
        printedUnit: told.unit ?? kind.unitText,
        timezone: mapping.timezone ?? null,
        ...(resolution === "register" ? { register: true } : {}),
      },
      items,
    );
    if (series === undefined) return undefined;
    const plainUnit = used.shift === 0 && used.times === undefined && used.over === undefined;
    return { series, plain: plainUnit, toBase: scaleOf(used).toBase };
  }
}

/** Energy from mean power: kW times the hours of the interval. */
function energyOf(unit: Unit, seconds: number): Unit {
  const energy: Unit = { ...unit, metric: "energy", base: "kWh" };
  if (seconds === 3600) return energy;
  return { ...energy, over: 3600 / seconds };
}

function metricOf(unit: Unit, text: string): string {
  if (unit.metric !== "energy") return unit.metric;
  return isReactive(text) ? "energy_reactive" : `energy${tariffOf(text)}`;
}

/** The value of a word in a table of the mapping. */
function named<Value>(text: string, words: Record<string, Value> | undefined): Value | undefined {
  if (words === undefined) return undefined;
  const key = plain(text);
  return Object.entries(words).find(([word]) => plain(word) === key)?.[1];
}
