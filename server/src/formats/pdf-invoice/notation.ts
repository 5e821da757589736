import type { DayText, DecimalText, InvoicePeriod } from "../invoice.ts";
import { DatePattern } from "../mapper/date-pattern.ts";

/** How a document writes its numbers. */
export interface NumberNotation {
  decimal: "." | ",";
  /** Between groups of three digits; "" for none. A blank stands for every kind of blank. */
  thousands: "" | "." | "," | " " | "'";
}

/** A printed number, and what stood behind it: `1 234,5 kWh`. */
export interface PrintedNumber {
  value: DecimalText;
  /** `""` when the number stood alone. */
  unit: string;
}

const blanks = /[\s\u00a0\u2009\u202f]+/g;
const digitsMax = 30;

/**
 * Reads a number with an optional sign before or behind it and an optional unit behind it. `undefined` when it is
 * none, or when it is not written in this notation: 1.234,50 is no number where the point is the decimal mark.
 */
export function readNumber(printed: string, notation: NumberNotation): PrintedNumber | undefined {
  const text = printed.replace(blanks, " ").trim();
  let at = 0;
  let negative = false;
  if ("+-\u2212\u2013".includes(text[0] ?? "x")) {
    negative = text[0] !== "+";
    at = text[1] === " " ? 2 : 1;
  }
  const number = digitsAt(text, at, notation);
  if (number === undefined) return undefined;
  at = number.end;
  if (!negative && "-\u2212".includes(text[at] ?? "x") && !/[\p{L}\p{N}]/u.test(text[at + 1] ?? "")) {
    negative = true;
    at += 1;
  }
  const unit = text.slice(at).trim();
  // Another number behind it is no unit: two cells ran together, or it is a product.
  if (/^[\d.,'+-]|^[x×*] ?\d/.test(unit)) return undefined;
  const isZero = /^[0.]*$/.test(number.digits);
  return { value: negative && !isZero ? `-${number.digits}` : number.digits, unit };
}

function digitsAt(
  text: string,
  from: number,
  { decimal, thousands }: NumberNotation,
): { digits: string; end: number } | undefined {
  const group = thousands === "" ? "" : thousands === "'" ? "['\u2019]" : `\\${thousands}`;
  const whole = group === "" ? "\\d+" : `\\d{1,3}(?:${group}\\d{3})+(?!\\d)|\\d+`;
  const found = new RegExp(`^(${whole})(?:\\${decimal}(\\d+))?`).exec(text.slice(from, from + 60));
  if (found === null) return undefined;
  const digits = found[1]!.replace(/\D/g, "");
  const fraction = found[2] ?? "";
  const next = text[from + found[0].length] ?? "";
  if (digits.length + fraction.length > digitsMax || /[\d.,'\u2019]/.test(next)) return undefined;
  const plain = digits.replace(/^0+(?=\d)/, "");
  return { digits: fraction === "" ? plain : `${plain}.${fraction}`, end: from + found[0].length };
}

/** Signs that documents print beside amounts of a currency, besides its code. */
const currencySigns: Readonly<Record<string, readonly string[]>> = {
  SEK: ["kr", "kronor"],
  NOK: ["kr"],
  DKK: ["kr"],
  ISK: ["kr"],
  EUR: ["€", "euro"],
  GBP: ["£"],
  CHF: ["Fr."],
  USD: ["$"],
  PLN: ["zł"],
};

/** Reads an amount of money: a number with nothing beside it but the currency. */
export function readAmount(
  printed: string,
  notation: NumberNotation,
  currency: string,
): DecimalText | undefined {
  const signs = [currency, ...(currencySigns[currency] ?? [])].map((sign) => sign.toLowerCase());
  let text = printed.replace(blanks, " ").trim();
  const before = signs.find((sign) => text.toLowerCase().startsWith(sign));
  if (before !== undefined) text = text.slice(before.length).replace(/^:/, "").trim();
  const number = readNumber(text, notation);
  if (number === undefined) return undefined;
  return number.unit === "" ||
    signs.includes(number.unit.toLowerCase().replace(/\.$/, "")) ||
    isSign(number, signs)
    ? number.value
    : undefined;
}

const isSign = ({ unit }: PrintedNumber, signs: readonly string[]) => signs.includes(unit.toLowerCase());

/** Reads days and periods in the notations of a document. */
export class DateReader {
  readonly #patterns: readonly DatePattern[];
  readonly #endIncluded: boolean;

  constructor(patterns: readonly string[], { endIncluded }: { endIncluded: boolean }) {
    this.#patterns = patterns.map((pattern) => new DatePattern(pattern));
    this.#endIncluded = endIncluded;
  }

  /** The day that a text names; `undefined` when it names none, or a whole month. */
  day(text: string): DayText | undefined {
    const found = this.#read(text);
    return found?.hasDay === true ? dayText(found.at) : undefined;
  }

  /**
   * A period: two days with a dash or word between them, or the name of a whole month, or two of those.
   * `undefined` when the text is none, or ends before it begins.
   */
  period(printed: string): InvoicePeriod | undefined {
    const text = printed.trim();
    const month = this.#read(text);
    if (month !== undefined) {
      return month.hasDay ? undefined : { from: dayText(month.at), to: dayText(nextMonth(month.at) - dayMs) };
    }
    for (const { index, 0: separator } of text.matchAll(
      /\s*(?:[-–—]|\s(?:bis|till|til|to|t\.o\.m\.|saakka)\s)\s*/g,
    )) {
      const from = this.#read(text.slice(0, index));
      const to = this.#read(text.slice(index + separator.length));
      if (from === undefined || to === undefined) continue;
      return this.between(from, to);
    }
    return undefined;
  }

  /** The period from one printed day to another. */
  fromTo(fromText: string, toText: string): InvoicePeriod | undefined {
    const from = this.#read(fromText);
    const to = this.#read(toText);
    return from === undefined || to === undefined ? undefined : this.between(from, to);
  }

  between(from: Read, to: Read): InvoicePeriod | undefined {
    const last = to.hasDay ? to.at - (this.#endIncluded ? 0 : dayMs) : nextMonth(to.at) - dayMs;
    return last < from.at ? undefined : { from: dayText(from.at), to: dayText(last) };
  }

  #read(text: string): Read | undefined {
    const pattern = this.#patterns.find((one) => one.parse(text.trim()));
    return pattern === undefined ? undefined : { at: pattern.local, hasDay: pattern.hasDay };
  }
}

interface Read {
  /** Midnight as if in UTC, epoch milliseconds. */
  at: number;
  hasDay: boolean;
}

const dayMs = 86_400_000;

function nextMonth(at: number): number {
  const date = new Date(at);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
}

function dayText(at: number): DayText {
  return new Date(at).toISOString().slice(0, 10);
}
