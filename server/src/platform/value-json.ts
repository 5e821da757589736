/**
 * JSON written straight into a buffer. A year of hourly values is 8,760 numbers; JSON.stringify spends most of its
 * time on finding the shortest text of doubles that came from short decimals, which is known once the exponent is:
 * the digits of the scaled integer.
 */
import { powersOfTen } from "./decimal.ts";

/** Largest exponent tried; then whole part and fraction are both 32-bit integers. */
const exponentMax = 9;
/** Decimals of at most 15 digits are the shortest text of their double; see decimal.ts. */
const uniqueBelow = 1e15;
/** Below this String() writes an exponent. */
const plainFrom = 1e-6;
const wholeBelow = 2 ** 31;
/** Its magnitude is no 32-bit integer. */
const int32Min = -(2 ** 31);
/** Adding and subtracting it leaves an integer: doubles of this size have no fraction. Cheaper than Math.round. */
const roundingOffset = 1.5 * 2 ** 52;
/** Longest text of a double: "-1.2345678901234567e-300", and a comma. */
const numberBytesMax = 26;
/** Numbers for which room is made at once. */
const batch = 512;

const zero = 48;
const minus = 45;
const point = 46;
const comma = 44;
const open = 91;
const close = 93;

/** The digits 000 … 999, three bytes each. */
const triples = Buffer.from(Array.from({ length: 1000 }, (_, n) => String(n).padStart(3, "0")).join(""));

/** A growing buffer of JSON text. The caller puts commas and brackets around what it writes with `raw`. */
export class JsonBytes {
  #bytes: Buffer;
  #at = 0;
  /** Exponent that fitted the last number: the next one most likely has it too. */
  #exponent = 0;

  /** @param bytes room to start with, in bytes */
  constructor(bytes = 4096) {
    this.#bytes = Buffer.allocUnsafeSlow(bytes);
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#at;
  }

  #reserve(count: number): void {
    if (this.#at + count <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(2 * this.#bytes.length, this.#at + count));
    this.#bytes.copy(grown, 0, 0, this.#at);
    this.#bytes = grown;
  }

  /** Writes text as it is: punctuation, names, JSON made elsewhere. */
  raw(text: string): this {
    this.#reserve(3 * text.length);
    this.#at += this.#bytes.write(text, this.#at);
    return this;
  }

  /** Writes a JSON string. */
  string(text: string): this {
    return this.raw(JSON.stringify(text));
  }

  /** Writes a number, or null when it is NaN or infinite. */
  number(value: number): this {
    this.#reserve(numberBytesMax);
    this.#at = this.#write(value, this.#at);
    return this;
  }

  /**
   * Makes room for `bytesMax` bytes and lets the caller write them: `write` gets the buffer and the position, and
   * returns the position behind what it wrote. For texts that are put together faster than by `raw`.
   */
  direct(bytesMax: number, write: (bytes: Buffer, at: number) => number): this {
    this.#reserve(bytesMax);
    this.#at = write(this.#bytes, this.#at);
    return this;
  }

  /** Writes a number as `number` does into the buffer of `direct`, where there is room for 26 bytes. */
  numberAt(value: number, at: number): number {
    return this.#write(value, at);
  }

  /** Writes `values[from … to)` as an array, NaN as null: the text of JSON.stringify. */
  values(values: Float64Array, from = 0, to = values.length): this {
    this.#exponent = 0;
    this.#reserve(2);
    this.#bytes[this.#at++] = open;
    for (let start = from; start < to; start += batch) {
      this.#reserve(batch * numberBytesMax + 1);
      this.#writeBatch(values, start, Math.min(to, start + batch));
    }
    if (from < to) this.#at--;
    this.#bytes[this.#at++] = close;
    return this;
  }

  /** Writes values [from, to) and a comma behind each; there is room for them. */
  #writeBatch(values: Float64Array, from: number, to: number): void {
    const bytes = this.#bytes;
    let at = this.#at;
    let exponent = this.#exponent;
    let power = powersOfTen[exponent]!;
    for (let i = from; i < to; i++) {
      const value = values[i]!;
      if (value === 0) {
        bytes[at] = zero;
        bytes[at + 1] = comma;
        at += 2;
        continue;
      }
      const scaled = value * power + roundingOffset - roundingOffset;
      const integer = scaled | 0;
      // Nearly all numbers: the exponent of the one before fits, and whole part and fraction are small.
      if (integer === scaled && integer / power === value && integer > int32Min) {
        const whole = Math.abs(value) | 0;
        const fraction = Math.abs(integer) - whole * power;
        if (whole > 0 || Math.abs(value) >= plainFrom) {
          if (integer < 0) bytes[at++] = minus;
          at = writeWhole(bytes, at, whole);
          if (fraction !== 0) at = writeFraction(bytes, at, fraction, exponent);
          bytes[at++] = comma;
          continue;
        }
      }
      at = this.#write(value, at);
      bytes[at++] = comma;
      exponent = this.#exponent;
      power = powersOfTen[exponent]!;
    }
    this.#at = at;
  }

  /** What was written. The object must not be used afterwards. */
  finish(): Buffer {
    return this.#bytes.subarray(0, this.#at);
  }

  /** Writes one number at `at`, where there is room; returns the position behind it. */
  #write(value: number, at: number): number {
    if (!Number.isFinite(value)) return writeNull(this.#bytes, at);
    for (let exponent = this.#exponent; exponent <= exponentMax; exponent++) {
      const power = powersOfTen[exponent]!;
      const integer = Math.round(value * power);
      if (integer / power !== value) continue;
      const magnitude = Math.abs(integer);
      const whole = Math.floor(magnitude / power);
      if (magnitude >= uniqueBelow || whole >= wholeBelow) break;
      const fraction = magnitude - whole * power;
      if (whole === 0 && fraction !== 0 && Math.abs(value) < plainFrom) break;
      this.#exponent = exponent;
      if (integer < 0) this.#bytes[at++] = minus;
      at = writeWhole(this.#bytes, at, whole);
      return fraction === 0 ? at : writeFraction(this.#bytes, at, fraction, exponent);
    }
    return at + this.#bytes.write(String(value), at, "latin1");
  }
}

function writeNull(bytes: Buffer, at: number): number {
  bytes[at] = 110;
  bytes[at + 1] = 117;
  bytes[at + 2] = 108;
  bytes[at + 3] = 108;
  return at + 4;
}

/** Writes an integer below 2^31. */
function writeWhole(bytes: Buffer, at: number, value: number): number {
  if (value < 1000) return writeLeading(bytes, at, value);
  const thousands = (value / 1000) | 0;
  if (thousands < 1000) at = writeLeading(bytes, at, thousands);
  else {
    const millions = (thousands / 1000) | 0;
    const billions = (millions / 1000) | 0;
    if (billions > 0) bytes[at++] = zero + billions;
    at =
      billions > 0 ? writeTriple(bytes, at, millions - 1000 * billions) : writeLeading(bytes, at, millions);
    at = writeTriple(bytes, at, thousands - 1000 * millions);
  }
  return writeTriple(bytes, at, value - 1000 * thousands);
}

/** Writes an integer below 1000 without zeros in front. */
function writeLeading(bytes: Buffer, at: number, value: number): number {
  if (value < 10) {
    bytes[at] = zero + value;
    return at + 1;
  }
  const triple = 3 * value;
  if (value >= 100) bytes[at++] = triples[triple]!;
  bytes[at] = triples[triple + 1]!;
  bytes[at + 1] = triples[triple + 2]!;
  return at + 2;
}

/** Writes three digits. */
function writeTriple(bytes: Buffer, at: number, value: number): number {
  const triple = 3 * value;
  bytes[at] = triples[triple]!;
  bytes[at + 1] = triples[triple + 1]!;
  bytes[at + 2] = triples[triple + 2]!;
  return at + 3;
}

/** Factors that fill a fraction up to whole triples of digits, by exponent. */
const fill = [1, 100, 10, 1, 100, 10, 1, 100, 10, 1];

/** Writes the decimal mark and `fraction` × 10^-exponent without zeros at its end. */
function writeFraction(bytes: Buffer, at: number, fraction: number, exponent: number): number {
  bytes[at++] = point;
  let rest = (fraction * fill[exponent]!) | 0;
  if (exponent > 6) {
    const millions = (rest / 1_000_000) | 0;
    at = writeTriple(bytes, at, millions);
    rest -= 1_000_000 * millions;
  }
  if (exponent > 3) {
    const thousands = (rest / 1000) | 0;
    at = writeTriple(bytes, at, thousands);
    rest -= 1000 * thousands;
  }
  at = writeTriple(bytes, at, rest);
  while (bytes[at - 1] === zero) at--;
  return at;
}
