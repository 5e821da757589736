/**
 * Exact decimal arithmetic on JavaScript numbers.
 *
 * A value here is the decimal that a double prints as (its shortest text): 0.1 means one tenth. A decimal of at
 * most 15 significant digits survives text → double → text unchanged, so sums, differences and changes of unit
 * are done on scaled integers (`m` × 10^-`e`) and only the answer becomes a double again. Adding floats would
 * print 0.30000000000000004 on a customer's invoice.
 *
 * The fast paths rest on two facts: every integer up to 2^53 and every power of ten up to 10^22 is an exact
 * double, so one multiplication or division of such a pair is correctly rounded; and two different decimals of at
 * most 15 digits never share a double, so `m / 10^e === value` with |m| < 10^15 proves that `m` is the decimal.
 */

/** 10^0 … 10^22: the powers of ten that a double holds exactly. */
export const powersOfTen: readonly number[] = Array.from({ length: 23 }, (_, e) => Number(`1e${e}`));

/** Integers below this have at most 15 digits: their decimals map one to one onto doubles. */
const uniqueBelow = 1e15;

/** A decimal as a scaled integer: `m` × 10^-`e`, with `e` ≥ 0; `m` is a bigint beyond 2^53. */
export interface Scaled {
  m: number | bigint;
  e: number;
}

/** How a source writes its decimals. */
export interface DecimalNotation {
  /** The decimal mark. */
  mark: "." | ",";
  /**
   * Character between groups of three digits; none unless stated. A space stands for every kind of space (no-break,
   * thin), an apostrophe also for its typographic form.
   */
  group?: string;
  /** Multiplies by 10^shift, on the digits: -3 makes kWh of Wh. */
  shift?: number;
}

/** A parsed decimal. */
export interface ParsedDecimal {
  /** Nearest double; never -0, NaN or infinite. */
  value: number;
  /** Significant digits, without zeros at either end (at least 1). Above 15, `value` may differ from the text. */
  digits: number;
}

/** Longest text read as a number; everything longer is no number that a meter wrote. */
const lengthMax = 512;
const spaces = " \u00a0\u2009\u202f";

/**
 * Reads a decimal: optional sign (+, -, U+2212), digits in groups of three when `group` is stated, decimal mark,
 * exponent. Spaces around it are ignored. `undefined` for everything else: no digits, wrong grouping, other
 * text, and magnitudes beyond the doubles (1e309).
 */
export function parseDecimal(text: string, notation: DecimalNotation): ParsedDecimal | undefined {
  if (text.length > lengthMax) return undefined;
  let end = text.length;
  let at = 0;
  while (at < end && spaces.includes(text[at]!)) at++;
  while (end > at && spaces.includes(text[end - 1]!)) end--;
  const negative = text[at] === "-" || text[at] === "\u2212";
  if (negative || text[at] === "+") at++;
  const number = readDigits(text, { at, end, mark: notation.mark, groups: groupsOf(notation) });
  if (number === undefined) return undefined;
  const { m, long, digits } = number;
  const e = number.e - (notation.shift ?? 0);
  const magnitude = long === undefined ? nearest(m, e) : Number(`${long}e${-e}`);
  if (!Number.isFinite(magnitude)) return undefined;
  return { value: negative && magnitude !== 0 ? -magnitude : magnitude, digits: Math.max(1, digits) };
}

function groupsOf({ mark, group }: DecimalNotation): string {
  if (group === undefined || group === "") return "";
  if (group === mark) throw new RangeError(`"${mark}" cannot be both decimal mark and group separator`);
  if (spaces.includes(group)) return spaces;
  return group === "'" || group === "\u2019" ? "'\u2019" : group;
}

interface Digits {
  /** The digits as an integer, when there are at most 15 significant ones. */
  m: number;
  /** All digits as text, when there are more. */
  long: string | undefined;
  /** The value is the digits × 10^-e. */
  e: number;
  /** Significant digits, without zeros at either end. */
  digits: number;
}

/** Scans unsigned digits, groups, mark and exponent in one pass. */
function readDigits(
  text: string,
  { at, end, mark, groups }: { at: number; end: number; mark: string; groups: string },
): Digits | undefined {
  let m = 0;
  let all = "";
  let zeros = 0; // zeros seen since the last digit that counts
  let digits = 0;
  let e = 0;
  let inGroup = 0; // digits since the last separator
  let grouped = false;
  let fraction = false;
  let seen = 0;
  for (; at < end; at++) {
    const code = text.charCodeAt(at) - 48;
    if (code >= 0 && code <= 9) {
      seen++;
      inGroup++;
      if (fraction) e++;
      if (code === 0) {
        if (digits > 0) zeros++;
        continue;
      }
      if (zeros > 0) all += "0".repeat(zeros);
      m = m * (powersOfTen[zeros + 1] ?? Number.POSITIVE_INFINITY) + code;
      all += text[at];
      digits += zeros + 1;
      zeros = 0;
    } else if (text[at] === mark && !fraction) {
      if (grouped && inGroup !== 3) return undefined;
      fraction = true;
    } else if (groups.includes(text[at]!) && !fraction) {
      if (grouped ? inGroup !== 3 : inGroup < 1 || inGroup > 3) return undefined;
      grouped = true;
      inGroup = 0;
    } else break;
  }
  if (seen === 0 || (grouped && !fraction && inGroup !== 3)) return undefined;
  const exponent = at < end ? exponentOf(text.slice(at, end)) : 0;
  if (exponent === undefined) return undefined;
  return { m, long: digits > 15 ? all : undefined, e: e - zeros - exponent, digits };
}

/** The number behind "e" or "E", -9999 … 9999. */
function exponentOf(text: string): number | undefined {
  const match = /^[eE]([+\-\u2212]?)(\d{1,4})$/.exec(text);
  if (match === null) return undefined;
  return match[1] === "" || match[1] === "+" ? Number(match[2]) : -Number(match[2]);
}

/** The double nearest to `m` × 10^-`e`; infinite beyond the largest double. `e` may be negative. */
export function nearest(m: number | bigint, e: number): number {
  if (typeof m === "number") {
    if (e >= 0 && e <= 22) return m / powersOfTen[e]!;
    if (e < 0 && e >= -22) return m * powersOfTen[-e]!;
  }
  return Number(`${m}e${-e}`);
}

/**
 * The decimal that `value` prints as, with the smallest `e` ≥ 0. -0 gives 0.
 * @throws RangeError for NaN and infinities
 */
export function decimalOf(value: number): Scaled {
  for (let e = 0; e <= 9; e++) {
    const m = Math.round(value * powersOfTen[e]!);
    if (m / powersOfTen[e]! === value && Math.abs(m) < uniqueBelow) return { m: m + 0, e };
  }
  return decimalOfText(value);
}

/** The slow way of `decimalOf`: over the shortest text. */
function decimalOfText(value: number): Scaled {
  if (!Number.isFinite(value)) throw new RangeError(`${value} is not a decimal`);
  const [mantissa, exponent] = value.toExponential().split("e") as [string, string];
  const digits = mantissa.replace(".", "");
  const e = mantissa.includes(".") ? mantissa.length - mantissa.indexOf(".") - 1 : 0;
  const scale = e - Number(exponent);
  const m = BigInt(digits) * (scale < 0 ? 10n ** BigInt(-scale) : 1n);
  return { m: small(m), e: Math.max(0, scale) };
}

/** A number when exact, else the bigint. */
function small(m: bigint): number | bigint {
  const number = Number(m);
  return Number.isSafeInteger(number) ? number : m;
}

/** `m` × 10^`by`, exactly. */
function raise(m: number | bigint, by: number): number | bigint {
  if (by === 0) return m;
  if (typeof m === "number" && by <= 22) {
    const raised = m * powersOfTen[by]!;
    if (Number.isSafeInteger(raised)) return raised;
  }
  return BigInt(m) * 10n ** BigInt(by);
}

/**
 * Exact sum of decimals. Runs on safe integers at one common exponent and spills into a bigint when they
 * overflow, so the result never depends on order or number of the values.
 */
export class DecimalSum {
  /** Number of values added. */
  count = 0;
  // The sum is (#low + #high) × 10^-#e; #low stays a safe integer.
  #low = 0;
  #high = 0n;
  #e = 0;

  /**
   * Adds one value.
   * @throws RangeError for NaN and infinities
   */
  add(value: number): void {
    if (this.#e <= 22) {
      const power = powersOfTen[this.#e]!;
      const m = Math.round(value * power);
      if (m / power === value && Math.abs(m) < uniqueBelow) {
        this.count++;
        this.#include(m);
        return;
      }
    }
    const { m, e } = decimalOf(value);
    this.addScaled(m, e);
  }

  /** Adds `m` × 10^-`e` (a number `m` must be a safe integer, `e` ≥ 0) as the total of `count` values. */
  addScaled(m: number | bigint, e: number, count = 1): void {
    this.count += count;
    if (e > this.#e) this.#rescale(e);
    this.#include(raise(m, this.#e - e));
  }

  /** Adds another sum. */
  addSum(other: DecimalSum): void {
    const { m, e } = other.toScaled();
    this.addScaled(m, e, other.count);
  }

  #include(m: number | bigint): void {
    if (typeof m === "bigint") {
      this.#high += m;
      return;
    }
    const low = this.#low + m;
    if (Number.isSafeInteger(low)) this.#low = low;
    else {
      this.#high += BigInt(this.#low);
      this.#low = m;
    }
  }

  #rescale(e: number): void {
    const by = e - this.#e;
    const low = raise(this.#low, by);
    this.#high *= 10n ** BigInt(by);
    this.#low = 0;
    this.#e = e;
    this.#include(low);
  }

  /** The exact sum as a scaled integer; `e` is the largest exponent that was added. */
  toScaled(): Scaled {
    return { m: this.#high === 0n ? this.#low : small(this.#high + BigInt(this.#low)), e: this.#e };
  }

  /** The double nearest to the exact sum; infinite when the sum is beyond the doubles. */
  toNumber(): number {
    const { m, e } = this.toScaled();
    return nearest(m, e) + 0;
  }

  /** The exact sum as a plain decimal without exponent: "-12.5". */
  toString(): string {
    const { m, e } = this.toScaled();
    return plain(m, e);
  }
}

/** `m` × 10^-`e` written out, without trailing zeros of the fraction. */
function plain(m: number | bigint, e: number): string {
  const sign = m < 0 ? "-" : "";
  const digits = BigInt(m < 0 ? -m : m)
    .toString()
    .padStart(e + 1, "0");
  let end = digits.length;
  const point = digits.length - e;
  while (end > point && digits[end - 1] === "0") end--;
  const fraction = digits.slice(point, end);
  return sign + digits.slice(0, point) + (fraction === "" ? "" : `.${fraction}`);
}

/** The exact sum of `values[from … to)`, rounded once; NaN (no value) is left out. */
export function sumExact(values: ArrayLike<number>, from = 0, to = values.length): number {
  const sum = new DecimalSum();
  for (let i = from; i < to; i++) {
    const value = values[i]!;
    if (!Number.isNaN(value)) sum.add(value);
  }
  return sum.toNumber();
}

/** a − b of the decimals, rounded once: difference(0.3, 0.1) is 0.2. */
export function difference(a: number, b: number): number {
  const sum = new DecimalSum();
  sum.add(a);
  sum.add(-b);
  return sum.toNumber();
}

/** a × b of the decimals, rounded once: multiplyExact(1.1, 1.1) is 1.21. */
export function multiplyExact(a: number, b: number): number {
  const x = decimalOf(a);
  const y = decimalOf(b);
  const e = x.e + y.e;
  if (typeof x.m === "number" && typeof y.m === "number") {
    const m = x.m * y.m;
    if (Number.isSafeInteger(m)) return nearest(m + 0, e);
  }
  return nearest(small(BigInt(x.m) * BigInt(y.m)), e);
}

/**
 * Rounds the decimal to `decimals` places (≥ 0), half to even: roundTo(2.675, 2) is 2.68, roundTo(0.125, 2) is
 * 0.12. Never -0.
 */
export function roundTo(value: number, decimals: number): number {
  const { m, e } = decimalOf(value);
  if (e <= decimals) return value + 0;
  const unit = 10n ** BigInt(e - decimals);
  const whole = BigInt(m);
  const rest = whole % unit;
  const twice = (rest < 0n ? -rest : rest) * 2n;
  let rounded = whole / unit;
  if (twice > unit || (twice === unit && rounded % 2n !== 0n)) rounded += whole < 0n ? -1n : 1n;
  return nearest(small(rounded), decimals);
}
