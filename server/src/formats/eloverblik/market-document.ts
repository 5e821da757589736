import { parseDecimal } from "../../platform/decimal.ts";
import { calendarIndex, calendarStart } from "../../platform/time/granule.ts";
import { instantOf } from "../instant.ts";
import type { Direction, Item, Quality } from "../item.ts";
import { lostDigits } from "../meter-number.ts";
import type { Problems } from "../problems.ts";
import { type Resolution, resolutionOf } from "../resolution.ts";
import { SeriesBook } from "../series-book.ts";
import { type Unit, unitOf } from "../units.ts";
import type { WallClock } from "../wall-clock.ts";
import type { Node } from "./json-walk.ts";

/** Values that wait for members of the document that follow them; five years of quarter-hours. */
const heldMax = 200_000;

/** Codes of the CIM market documents; D01 is the Danish code for a calculated value. */
const qualities: Record<string, Quality> = {
  A01: "substituted",
  A02: "missing",
  A03: "estimated",
  A04: "measured",
  // A part of a sum is missing: what is left of it is too small to be the value.
  A05: "missing",
  A06: "calculated",
  D01: "calculated",
  E01: "measured",
};
const directions: Record<string, Direction> = { A01: "production", A04: "consumption" };
/** ebIX codes for units, beside the plain names. */
const units: Record<string, string> = { K3: "kVArh" };

interface Point {
  position: string;
  quantity: string | null;
  quality: string;
  line: number;
}

interface Period {
  resolution: string;
  start: string;
  end: string;
  points: Point[];
  line: number;
}

interface TimeSeries {
  meter: string | undefined;
  businessType: string;
  unit: string | undefined;
}

interface Reading {
  members: Node["members"];
  line: number;
}

/** What is known of one series when it is opened. */
interface Kind {
  series: number;
  unit: Unit;
}

/**
 * Turns the objects of a `MyEnergyData_MarketDocument`, or of a list of meter readings, into items. Members may
 * stand in any order: values whose unit, meter or document time follows them wait until it is there.
 */
export class MarketDocument {
  readonly book: SeriesBook;
  /** Values and readings so far. */
  values = 0;
  readonly #problems: Problems;
  readonly #zone: string;
  readonly #clock: WallClock;
  readonly #kinds = new Map<number, Kind>();
  #items: Item[] = [];
  #points: Point[] = [];
  #interval: Node["members"] = {};
  #period: Period[] = [];
  #waiting: { series: TimeSeries; period: Period }[] = [];
  #marketPoint: string | undefined;
  #readings: Reading[] = [];
  #held = 0;

  constructor(zone: string, clock: WallClock, problems: Problems) {
    this.#zone = zone;
    this.#clock = clock;
    this.#problems = problems;
    this.book = new SeriesBook(problems);
  }

  /** Items since the last call. */
  take(): Item[] {
    const items = this.#items;
    this.#items = [];
    return items;
  }

  /** True when more waits than may be held. */
  get overfull(): boolean {
    return this.#held > heldMax;
  }

  /** An object of the document has ended. */
  object(node: Node): void {
    switch (node.name) {
      case "Point":
        this.#point(node);
        break;
      case "timeInterval":
        this.#interval = node.members;
        break;
      case "Period":
        this.#endPeriod(node);
        break;
      case "mRID":
        if (node.parent?.name === "MarketEvaluationPoint") this.#marketPoint = text(node.members.name);
        break;
      case "TimeSeries":
        this.#endTimeSeries(node);
        break;
      case "MyEnergyData_MarketDocument":
        this.#flush(node);
        break;
      case "readings":
        this.#reading(node);
        break;
      case "result":
        this.#endResult(node);
        break;
      default:
    }
  }

  #point({ members, line }: Node): void {
    const quantity = members["out_Quantity.quantity"];
    this.#points.push({
      position: text(members.position) ?? "",
      quantity: quantity === null || quantity === undefined ? null : String(quantity),
      quality: text(members["out_Quantity.quality"]) ?? "",
      line,
    });
    this.#held++;
  }

  #endPeriod(node: Node): void {
    const { members, line } = node;
    this.#period.push({
      resolution: text(members.resolution) ?? "",
      start: text(this.#interval.start) ?? "",
      end: text(this.#interval.end) ?? "",
      points: this.#points,
      line,
    });
    this.#points = [];
    this.#interval = {};
    // The usual order of members: everything is known here, so nothing has to wait.
    const timeSeries = above(node, "TimeSeries");
    if (timeSeries === undefined) return;
    const document = above(timeSeries, "MyEnergyData_MarketDocument");
    const series = this.#timeSeries(timeSeries);
    if (this.#marketPoint === undefined || series.unit === undefined) return;
    if (document?.members.createdDateTime === undefined) return;
    this.#emit(series, document);
  }

  #timeSeries({ members }: Node): TimeSeries {
    return {
      meter: this.#marketPoint ?? text(members.mRID),
      businessType: text(members.businessType) ?? "",
      unit: text(members["measurement_Unit.name"]),
    };
  }

  #emit(series: TimeSeries, document: Node): void {
    for (const period of this.#period) this.#values(series, period, document);
    this.#period = [];
  }

  #endTimeSeries(node: Node): void {
    const series = this.#timeSeries(node);
    for (const period of this.#period) this.#waiting.push({ series, period });
    this.#period = [];
    this.#marketPoint = undefined;
  }

  #flush(document: Node): void {
    for (const { series, period } of this.#waiting) this.#values(series, period, document);
    this.#waiting = [];
  }

  #values(series: TimeSeries, period: Period, document: Node): void {
    this.#held -= period.points.length;
    const { line } = period;
    const resolution = resolutionOf(period.resolution);
    if (resolution === undefined) {
      this.#problems.error(
        `Resolution "${period.resolution}" is not kept. Fetch quarters, hours, days or months instead.`,
        { line, field: "resolution" },
      );
      return;
    }
    const from = instantOf(period.start);
    const to = instantOf(period.end);
    if (Number.isNaN(from) || Number.isNaN(to) || to <= from) {
      this.#problems.error(`"${period.start}" to "${period.end}" is not an interval in UTC.`, {
        line,
        field: "timeInterval",
      });
      return;
    }
    const kind = this.#kind(series, period);
    if (kind === undefined) return;
    const created = instantOf(text(document.members.createdDateTime) ?? "");
    const seen = new Set<number>();
    for (const point of period.points) {
      const position = /^\d{1,6}$/.test(point.position) ? Number(point.position) : 0;
      const start = this.#startOf(from, position, resolution);
      if (position === 0 || start === undefined || start >= to || seen.has(position)) {
        const why = seen.has(position)
          ? "is there twice"
          : `does not lie between ${period.start} and ${period.end}`;
        this.#problems.error(`Position "${point.position}" ${why}.`, { line: point.line, field: "position" });
        continue;
      }
      seen.add(position);
      this.#value(point, { kind, start, resolution, created });
    }
  }

  /** Start of the `position`-th interval; undefined when `from` does not begin one. */
  #startOf(from: number, position: number, resolution: Resolution): number | undefined {
    if (typeof resolution === "number") {
      const step = resolution * 1000;
      return from % step === 0 ? from + (position - 1) * step : undefined;
    }
    const index = calendarIndex(resolution, this.#zone, from);
    if (calendarStart(this.#zone, index, resolution) !== from) return undefined;
    return calendarStart(this.#zone, index + position - 1, resolution);
  }

  #value(point: Point, at: { kind: Kind; start: number; resolution: Resolution; created: number }): void {
    const { kind, start, resolution, created } = at;
    const parsed = this.#number(point.quantity, kind.unit, point.line);
    if (parsed === undefined) return;
    const seconds =
      typeof resolution === "number" ? resolution : this.#clock.calendarSeconds(start, resolution)!;
    const said = Object.hasOwn(qualities, point.quality) ? qualities[point.quality]! : "unknown";
    const missing = parsed === null || said === "missing";
    this.values++;
    this.#items.push({
      kind: "interval",
      series: kind.series,
      start,
      seconds,
      value: missing ? null : parsed,
      quality: missing ? "missing" : said,
      code: point.quality,
      line: point.line,
      ...(Number.isNaN(created) ? {} : { version: created }),
    });
  }

  /** The value in the base unit, null when none is printed, undefined (and a problem) when it is no number. */
  #number(printed: string | null, unit: Unit, line: number): number | null | undefined {
    if (printed === null || printed.trim() === "") return null;
    const parsed = parseDecimal(printed, { mark: ".", shift: unit.shift });
    if (parsed !== undefined) return parsed.value;
    this.#problems.error(`"${printed.slice(0, 100)}" is not a number.`, { line, field: "quantity" });
    return undefined;
  }

  #kind(series: TimeSeries, period: Period): Kind | undefined {
    const { meter = "", businessType, unit: printedUnit = "" } = series;
    const key = `${meter}\n${businessType}\n${printedUnit}\n${period.resolution}`;
    const direction = Object.hasOwn(directions, businessType) ? directions[businessType]! : "unknown";
    return this.#open(key, { meter, channel: "", direction, printedUnit, line: period.line });
  }

  #open(
    key: string,
    told: {
      meter: string;
      channel: string;
      direction: Direction;
      printedUnit: string;
      line: number;
      register?: true;
    },
  ): Kind | undefined {
    const known = this.book.find(key);
    if (known !== undefined) return this.#kinds.get(known);
    const { line, ...rest } = told;
    const unit = unitOf(units[rest.printedUnit] ?? rest.printedUnit);
    const energy = unit !== undefined && unit.over === undefined && /^k(Wh|VArh)$/.test(unit.base);
    const wrong = energy
      ? lostDigits(rest.meter)
      : `Unknown unit "${rest.printedUnit}", expected KWH or MWH.`;
    if (!energy || wrong !== undefined) {
      this.#problems.error(wrong!, { line, field: energy ? "meter" : "unit" });
      return undefined;
    }
    const common = {
      type: "electricity",
      metric: unit.metric,
      unit: unit.base,
      timezone: this.#zone,
    } as const;
    const opened = this.book.open(key, { ...rest, ...common }, this.#items);
    if (opened === undefined) return undefined;
    this.#kinds.set(opened, { series: opened, unit });
    return this.#kinds.get(opened);
  }

  #reading({ members, line }: Node): void {
    this.#readings.push({ members, line });
    this.#held++;
  }

  /** One answer of the service: its readings belong to its metering point, and it may say that it failed. */
  #endResult({ members, line }: Node): void {
    const meter = text(members.meteringPointId);
    if (meter !== undefined) {
      for (const reading of this.#readings) this.#readingOf(meter, reading);
      this.#held -= this.#readings.length;
      this.#readings = [];
    }
    const { success, errorCode } = members;
    const failed =
      success === false || (errorCode !== undefined && errorCode !== null && String(errorCode) !== "10000");
    if (!failed) return;
    this.#problems.error(
      `Eloverblik answered with error ${text(errorCode) ?? "without a code"} (${text(members.errorText) ?? "no text"}) ` +
        `for metering point ${text(members.id) ?? "unknown"}. Fetch this metering point again.`,
      { line, field: "errorCode" },
    );
  }

  #readingOf(meter: string, { members, line }: Reading): void {
    const time = instantOf(text(members.readingDate) ?? "");
    if (Number.isNaN(time)) {
      this.#problems.error(`"${text(members.readingDate) ?? ""}" is not a time with an offset.`, {
        line,
        field: "readingDate",
      });
      return;
    }
    const channel = text(members.meterNumber) ?? "";
    const printedUnit = text(members.measurementUnit) ?? "";
    const key = `${meter}\n${channel}\n${printedUnit}\nregister`;
    const kind = this.#open(key, { meter, channel, direction: "unknown", printedUnit, line, register: true });
    if (kind === undefined) return;
    const value = this.#number(text(members.meterReading) ?? null, kind.unit, line);
    if (value === undefined) return;
    const version = instantOf(text(members.registrationDate) ?? "");
    this.values++;
    this.#items.push({
      kind: "reading",
      series: kind.series,
      time,
      value,
      quality: value === null ? "missing" : "measured",
      code: "",
      line,
      ...(Number.isNaN(version) ? {} : { version }),
    });
  }
}

function above(node: Node, name: string): Node | undefined {
  for (let at = node.parent; at !== undefined; at = at.parent) if (at.name === name && !at.array) return at;
  return undefined;
}

function text(value: string | number | boolean | null | undefined): string | undefined {
  return value === null || value === undefined ? undefined : String(value);
}
