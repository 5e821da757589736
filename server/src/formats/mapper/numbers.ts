import { parseDecimal } from "../../platform/decimal.ts";

/** Marks of a notation of numbers; `undefined` where nothing has been decided. */
export interface Marks {
  decimal: "." | "," | undefined;
  /** Character between groups of three digits, `""` for none. */
  thousands: string | undefined;
}

/** The number is printed in a way that could mean two numbers; the message names both. */
export class AmbiguousNumber extends Error {
  /** The mapping key that decides. */
  readonly key: "decimal" | "thousands";
  constructor(key: "decimal" | "thousands", message: string) {
    super(message);
    this.key = key;
  }
}

type Shape = { decimal: "." | "," | undefined; group: string | undefined };

/**
 * What the marks in one number prove. `undefined` when the text is no number at all; `decimal` and `group` stay
 * undefined where the text proves nothing. `both` forms such as 1.234 (one mark, three digits behind it, up to three
 * before it that are not zero) prove nothing.
 */
export function shapeOf(text: string): (Shape & { ambiguous: boolean }) | undefined {
  const body = text.trim().replace(/^[+\-\u2212]\s?/, "");
  if (body.length > 64 || !/^[\d.,'\u2019 \u00a0\u2009\u202f]+(?:[eE][+-]?\d{1,3})?$/.test(body))
    return undefined;
  if (!/\d/.test(body)) return undefined;
  const dots = count(body, ".");
  const commas = count(body, ",");
  const group = /['\u2019]/.test(body) ? "'" : /[ \u00a0\u2009\u202f]/.test(body) ? " " : undefined;
  if (dots === 0 && commas === 0) return { decimal: undefined, group, ambiguous: false };
  if (dots > 0 && commas > 0) {
    const decimal = body.lastIndexOf(".") > body.lastIndexOf(",") ? "." : ",";
    return { decimal, group: decimal === "." ? "," : ".", ambiguous: false };
  }
  const mark = dots > 0 ? "." : ",";
  if (dots + commas > 1) return { decimal: mark === "." ? "," : ".", group: mark, ambiguous: false };
  const [whole = "", fraction = ""] = body.split(/[eE]/)[0]!.split(mark);
  const grouped = fraction.length === 3 && /^[1-9]\d{0,2}$/.test(whole) && group === undefined;
  if (grouped) return { decimal: undefined, group: undefined, ambiguous: true };
  return { decimal: mark, group, ambiguous: false };
}

function count(text: string, mark: string): number {
  return text.split(mark).length - 1;
}

/** What a set of printed numbers proves together. */
export interface MarksFound {
  decimal: "." | "," | undefined;
  thousands: string | undefined;
  /** A number that could be read in two ways, when nothing else decides. */
  ambiguous: string | undefined;
  /** Two numbers that contradict each other. */
  conflict: [string, string] | undefined;
}

/** Decides decimal mark and group separator of a column by its printed numbers. */
export function marksOf(printed: Iterable<string>): MarksFound {
  const found: MarksFound = {
    decimal: undefined,
    thousands: undefined,
    ambiguous: undefined,
    conflict: undefined,
  };
  let proof = "";
  let doubtful: string | undefined;
  for (const text of printed) {
    const shape = shapeOf(text);
    if (shape === undefined) continue;
    if (shape.ambiguous) doubtful ??= text;
    if (shape.decimal !== undefined) {
      if (found.decimal !== undefined && found.decimal !== shape.decimal) found.conflict ??= [proof, text];
      found.decimal ??= shape.decimal;
      proof ||= text;
    }
    found.thousands ??= shape.group;
  }
  if (found.decimal === undefined && doubtful !== undefined) found.ambiguous = doubtful;
  return found;
}

/**
 * Reads printed numbers. A mark that the mapping leaves open is settled by the first number that proves it; a number
 * that could mean two things is never guessed at.
 */
export class NumberReader {
  #decimal: "." | "," | undefined;
  readonly #thousands: string | undefined;

  constructor({ decimal, thousands }: Marks) {
    this.#decimal = decimal;
    this.#thousands = thousands;
  }

  /**
   * The number as printed; undefined when the text is none.
   * @throws AmbiguousNumber
   */
  read(text: string): number | undefined {
    const mark = this.#decimal;
    if (mark !== undefined && this.#thousands !== undefined) {
      const group = this.#thousands;
      return parseDecimal(text, group === "" ? { mark } : { mark, group })?.value;
    }
    if (mark !== undefined || (!text.includes(".") && !text.includes(","))) {
      const plain = parseDecimal(text, { mark: mark ?? "." });
      if (plain !== undefined) return plain.value;
    }
    return this.#carefully(text);
  }

  #carefully(text: string): number | undefined {
    const shape = shapeOf(text);
    if (shape === undefined) return undefined;
    if (this.#decimal === undefined) {
      if (shape.ambiguous) throw new AmbiguousNumber("decimal", twoWays(text));
      this.#decimal = shape.decimal;
    }
    const mark = this.#decimal ?? ".";
    const other = mark === "." ? "," : ".";
    const group = this.#thousands ?? this.#provenGroup(text, shape, other);
    if (group === mark) return undefined;
    return parseDecimal(text, group === "" ? { mark } : { mark, group })?.value;
  }

  /** The separator that the number itself proves; never a lone mark such as the dot in 1.234. */
  #provenGroup(text: string, shape: Shape & { ambiguous: boolean }, other: string): string {
    if (shape.group === undefined && shape.ambiguous && text.includes(other)) {
      throw new AmbiguousNumber("thousands", twoWays(text));
    }
    return shape.group ?? "";
  }
}

function twoWays(text: string): string {
  const digits = text.trim();
  return `"${digits}" could be ${digits.replace(/[.,]/, "")} or ${digits.replace(",", ".")}.`;
}
