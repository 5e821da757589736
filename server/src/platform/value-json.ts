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
/** Longest text of a double: "-1.2345678901234567e-300", and a comma. */
const numberBytesMax = 26;
/** Numbers for which room is made at once. */
const batch = 512;

const [zero, minus, point, comma, open, close] = [48, 45, 46, 44, 91, 93];
const nullText = Buffer.from("null");

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

  /** Writes `values[from … to)` as an array, NaN as null: the text of JSON.stringify. */
  values(values: ArrayLike<number>, from = 0, to = values.length): this {
    this.#exponent = 0;
    this.#reserve(2);
    this.#bytes[this.#at++] = open!;
    for (let start = from; start < to; start += batch) {
      const end = Math.min(to, start + batch);
      this.#reserve(batch * numberBytesMax + 1);
      let at = this.#at;
      for (let i = start; i < end; i++) {
        at = this.#write(values[i]!, at);
        this.#bytes[at++] = comma!;
      }
      this.#at = at;
    }
    if (from < to) this.#at--;
    this.#bytes[this.#at++] = close!;
    return this;
  }

  /** What was written. The object must not be used afterwards. */
  finish(): Buffer {
    return this.#bytes.subarray(0, this.#at);
  }

  /** Writes one number at `at`, where there is room; returns the position behind it. */
  #write(value: number, at: number): number {
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
      if (integer < 0) this.#bytes[at++] = minus!;
      at = writeWhole(this.#bytes, at, whole);
      return fraction === 0 ? at : writeFraction(this.#bytes, at, fraction, exponent);
    }
    return this.#writeSlowly(value, at);
  }

  #writeSlowly(value: number, at: number): number {
    if (!Number.isFinite(value)) return at + nullText.copy(this.#bytes, at);
    return at + this.#bytes.write(String(value), at, "latin1");
  }
}

function digitsOf(value: number): number {
  if (value < 1000) return value < 10 ? 1 : value < 100 ? 2 : 3;
  if (value < 1_000_000) return value < 10_000 ? 4 : value < 100_000 ? 5 : 6;
  if (value < 1_000_000_000) return value < 10_000_000 ? 7 : value < 100_000_000 ? 8 : 9;
  return 10;
}

/** Writes an integer below 2^31. */
function writeWhole(bytes: Buffer, at: number, value: number): number {
  const end = at + digitsOf(value);
  let rest = value | 0;
  for (let i = end - 1; i >= at; i--) {
    const next = (rest / 10) | 0;
    bytes[i] = zero! + rest - next * 10;
    rest = next;
  }
  return end;
}

/** Writes the decimal mark and `fraction` × 10^-exponent without zeros at its end. */
function writeFraction(bytes: Buffer, at: number, fraction: number, exponent: number): number {
  bytes[at++] = point!;
  let end = at + exponent;
  let rest = fraction | 0;
  if (exponent === 3) {
    bytes[at] = triples[3 * rest]!;
    bytes[at + 1] = triples[3 * rest + 1]!;
    bytes[at + 2] = triples[3 * rest + 2]!;
  } else {
    for (let i = end - 1; i >= at; i--) {
      const next = (rest / 10) | 0;
      bytes[i] = zero! + rest - next * 10;
      rest = next;
    }
  }
  while (bytes[end - 1] === zero) end--;
  return end;
}
