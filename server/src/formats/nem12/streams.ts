import { dateMs, digits, timeMs } from "../instant.ts";
import type { Direction, Item, Quality } from "../item.ts";
import type { Problems } from "../problems.ts";
import { SeriesBook } from "../series-book.ts";
import { type Scale, scaleOf, type Unit, unitOf } from "../units.ts";

/** NEM time is UTC+10 all year, without daylight saving. */
export const nemZone = "Etc/GMT-10";
const nemOffset = 10 * 3_600_000;

/** A data stream of a metering point as a 200 or 250 record describes it. */
export interface Stream {
  meter: string;
  channel: string;
  unit: Unit;
  printedUnit: string;
  scale: Scale;
  direction: Direction;
  register: boolean;
}

/** Units that the MDFF allows and that are no consumption: voltage, current, power factor, reactive and apparent power. */
const leftOut = new Set(["v", "kv", "a", "ka", "pf", "var", "kvar", "mvar", "va", "kva", "mva"]);
/** First letters of suffixes that do not measure energy; every other stream without a unit is an error. */
const otherSuffix = /^[GHIMOV-Z]/;

/** Gives every stream its number in the file and announces it on its first value. */
export class Streams {
  #problems: Problems;
  #statedUnit: string | undefined;
  #timezone: string;
  #book: SeriesBook;

  constructor(problems: Problems, options: { unit: string | undefined; timezone: string | undefined }) {
    this.#problems = problems;
    this.#book = new SeriesBook(problems);
    this.#statedUnit = options.unit;
    this.#timezone = options.timezone ?? nemZone;
  }

  /** The unit of a stream, undefined when the stream is not read (which is told). */
  unit(
    uom: string,
    { channel, line }: { channel: string; line: number },
  ): Pick<Stream, "unit" | "printedUnit" | "scale"> | undefined {
    const printedUnit =
      uom.trim() === "" && !otherSuffix.test(channel) ? (this.#statedUnit ?? "") : uom.trim();
    const unit = unitOf(printedUnit);
    if (unit !== undefined) return { unit, printedUnit, scale: scaleOf(unit) };
    const place = { line, field: "UOM" };
    if (leftOut.has(printedUnit.toLowerCase()) || (printedUnit === "" && otherSuffix.test(channel))) {
      const what = printedUnit === "" ? "without a unit" : `in ${printedUnit}`;
      this.#problems.warning(`Stream ${channel} ${what} is no consumption and is left out.`, place);
    } else if (printedUnit === "") {
      this.#problems.error(
        `Stream ${channel} has no unit. State it when you import the file, for example kWh.`,
        place,
      );
    } else {
      this.#problems.error(
        `The unit "${printedUnit.slice(0, 20)}" is not known. Correct it, for example kWh.`,
        place,
      );
    }
    return undefined;
  }

  /** Number of the stream's series, announced in `out` when it is new; undefined when there are too many. */
  number(stream: Stream, out: Item[]): number | undefined {
    const key = `${stream.meter} ${stream.channel} ${stream.unit.base} ${stream.register} ${stream.direction}`;
    const series = {
      meter: stream.meter,
      channel: stream.channel,
      type: "electricity",
      metric: stream.unit.metric,
      direction: stream.direction,
      unit: stream.unit.base,
      printedUnit: stream.printedUnit,
      timezone: this.#timezone,
      ...(stream.register ? { register: true } : {}),
    } as const;
    return this.#book.find(key) ?? this.#book.open(key, series, out);
  }
}

/**
 * Direction by the first letter of an NMI suffix. "Export" in the market's words is energy out of
 * the grid, to the customer: average, master and check streams are D, E, F (kWh) and P, Q, R (kVArh);
 * "import", into the grid, is A, B, C and J, K, L. N is a net stream.
 */
export function directionOfSuffix(suffix: string): Direction {
  const letter = suffix.trim().charAt(0).toUpperCase();
  if (letter === "") return "unknown";
  if ("DEFPQR".includes(letter)) return "consumption";
  if ("ABCJKL".includes(letter)) return "production";
  return letter === "N" ? "net" : "unknown";
}

const qualities: Record<string, Quality> = {
  A: "measured", // actual
  E: "estimated", // forward estimate
  F: "substituted", // final substitute
  S: "substituted", // substitute
  N: "missing", // null data
};

/** Quality of a flag with its method (`F19`), undefined when it is none. V says "see the 400 records" and is none. */
export function qualityOf(code: string): Quality | undefined {
  if (code.length !== 1 && (code.length !== 3 || Number.isNaN(digits(code, 1, 2)))) return undefined;
  return qualities[code.charAt(0)];
}

/**
 * Epoch milliseconds of a market time of 8 (date), 12 or 14 digits; undefined when it is none, as
 * 20190231. Years 1970 to 2099.
 */
export function marketTime(text: string): number | undefined {
  const { length } = text;
  if (length !== 8 && length !== 12 && length !== 14) return undefined;
  const date = dateMs(digits(text, 0, 4), digits(text, 4, 2), digits(text, 6, 2));
  const hour = length === 8 ? 0 : digits(text, 8, 2);
  const minute = length === 8 ? 0 : digits(text, 10, 2);
  const utc = date + timeMs(hour, minute, length === 14 ? digits(text, 12, 2) : 0) - nemOffset;
  return Number.isNaN(utc) ? undefined : utc;
}
