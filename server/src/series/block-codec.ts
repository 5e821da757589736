/**
 * The block codec: up to 4,096 values of one series, granularity and period in about 1.7 bytes each, with the
 * origin of every value behind them.
 *
 * Version 1 is frozen: data in this layout exists. A change of layout is a new version byte beside it.
 *
 *   byte      version       1
 *   byte      mode          bits 0–4: exponent e, 0 … 22, or 31 = raw
 *                           bit 5: steps, bit 6: gaps, bit 7: 0
 *   byte      width         bits per packed value, 0 … 53; 64 when raw
 *   unsigned  start         slots without a value before the first one; 0 in a block without values
 *   unsigned  slots         slots from the first to the last value
 *   signed    base          the smallest integer; with steps the first one. Not when raw or slots = 0
 *   signed    step          the smallest step. Only with steps
 *   packed    values        `slots` values of `width` bits; with steps `slots` - 1
 *   unsigned  runs          number of source runs, then four columns, each of one entry per run:
 *                           length in slots; document, as difference from the one before, 2d or -2d - 1;
 *                           confirmed less document; flags
 *             column        byte width, unsigned minimum, packed entries less the minimum; absent without runs
 *
 * Varints and packing: see bytes.ts. The integer of a slot is base + packed value, and its value the double
 * nearest to integer × 10^-e. With steps an integer is the one of the present slot before + step + packed value.
 * With gaps a packed value of all ones is a slot without a value. Raw values are float64, NaN = no value.
 * A constant block has width 0 and no packed bytes.
 *
 * Why not more: entropy coding behind it gained 9 % and cost four times the decoding; XOR of doubles is the wrong
 * tool for decimals. Values come first so that reading them never touches the origins.
 */
import { DecimalSum, powersOfTen } from "../platform/decimal.ts";
import { canonicalRuns, RunsBuilder, type SourceRuns } from "./block-planes.ts";
import {
  ByteReader,
  ByteWriter,
  bitLength,
  CorruptBlock,
  packedBytes,
  slotsMax,
  unpackColumn,
  widthMax,
} from "./bytes.ts";

const version = 1;
const rawMode = 31;
const exponentMax = 22;
const stepsBit = 32;
const gapsBit = 64;
const rawWidth = 64;
/** Steps unpack slower than values, so they must save at least this many bits per value. */
const stepsGain = 2;
/** Integers below this stand for one decimal only (15 digits); see platform/decimal.ts. */
const uniqueBelow = 1e15;

// One block at a time is worked on, so the scratch space is shared.
const writer = new ByteWriter();
const integers = new Float64Array(slotsMax);
/** The integers behind the first one. */
const steppedIntegers = integers.subarray(1);

/**
 * Packs values and their origins; equal input gives equal bytes.
 * @param values one per slot, NaN = no value; at most `slotsMax`. Any finite double comes back unchanged.
 * @param runs origins, canonical or not; none = no slot was ever written
 * @throws RangeError for infinities, too many slots, and origins that cannot be
 */
export function encodeBlock(values: Float64Array, runs?: SourceRuns): Buffer {
  if (values.length > slotsMax)
    throw new RangeError(`${values.length} slots, a block has at most ${slotsMax}`);
  let start = 0;
  let end = values.length;
  while (end > 0 && Number.isNaN(values[end - 1]!)) end--;
  while (start < end && Number.isNaN(values[start]!)) start++;
  if (start === end) start = end = 0;
  writer.restart();
  writer.byte(version);
  const fit = findFit(values, start, end);
  if (fit === undefined) writeRaw(values, start, end);
  else writePacked(fit, start, end - start);
  if (runs === undefined) writer.unsigned(0);
  else writePlane(canonicalRuns(runs));
  return writer.finish();
}

interface Fit {
  exponent: number;
  minimum: number;
  maximum: number;
  gaps: boolean;
}

/** Leaves the integers of `values[start … end)` in `integers` at the smallest exponent that fits all of them. */
function findFit(values: Float64Array, start: number, end: number): Fit | undefined {
  const fit: Fit = { exponent: 0, minimum: 0, maximum: 0, gaps: false };
  for (;;) {
    const odd = scaleAll(values, { from: start, to: end }, fit);
    if (odd === end) break;
    // The next exponent to try is one that at least fits the value that did not.
    do fit.exponent++;
    while (fit.exponent <= exponentMax && !fits(values[odd]!, fit.exponent));
    if (fit.exponent > exponentMax) return undefined;
  }
  const range = fit.maximum - fit.minimum + (fit.gaps ? 1 : 0);
  return range <= Number.MAX_SAFE_INTEGER ? fit : undefined;
}

/** Scales slots [from, to) with `fit.exponent`; returns the first slot whose value does not fit, or `to`. */
function scaleAll(values: Float64Array, { from, to }: { from: number; to: number }, fit: Fit): number {
  const power = powersOfTen[fit.exponent]!;
  const limit = fit.exponent === 0 ? 2 ** 53 : uniqueBelow;
  let minimum = Number.POSITIVE_INFINITY;
  let maximum = Number.NEGATIVE_INFINITY;
  let gaps = false;
  for (let slot = from; slot < to; slot++) {
    const value = values[slot]!;
    if (Number.isNaN(value)) {
      gaps = true;
      integers[slot - from] = Number.NaN;
      continue;
    }
    const integer = Math.round(value * power);
    if (integer / power !== value || Math.abs(integer) >= limit || Object.is(value, -0)) return slot;
    if (integer < minimum) minimum = integer;
    if (integer > maximum) maximum = integer;
    integers[slot - from] = integer;
  }
  fit.minimum = from < to ? minimum : 0;
  fit.maximum = from < to ? maximum : 0;
  fit.gaps = gaps;
  return to;
}

function fits(value: number, exponent: number): boolean {
  const integer = Math.round(value * powersOfTen[exponent]!);
  return (
    integer / powersOfTen[exponent]! === value && Math.abs(integer) < uniqueBelow && !Object.is(value, -0)
  );
}

/** Writes `integers[0 … slots)`. */
function writePacked({ exponent, minimum, maximum, gaps }: Fit, start: number, slots: number): void {
  const width = bitLength(maximum - minimum + (gaps ? 1 : 0));
  const steps = findSteps(slots, gaps);
  const stepWidth = bitLength(steps.maximum - steps.minimum + (gaps ? 1 : 0));
  const useSteps = stepWidth + stepsGain <= width;
  writer.byte(exponent | (useSteps ? stepsBit : 0) | (gaps ? gapsBit : 0));
  writer.byte(useSteps ? stepWidth : width);
  writer.unsigned(start);
  writer.unsigned(slots);
  if (slots === 0) return;
  if (!useSteps) {
    writer.signed(minimum);
    writer.column({ values: integers, count: slots, width, minimum, gaps });
    return;
  }
  writer.signed(integers[0]!);
  writer.signed(steps.minimum);
  toSteps(slots);
  writer.column({ values: integers, count: slots - 1, width: stepWidth, minimum: steps.minimum, gaps });
}

/** Smallest and largest step between present integers. */
function findSteps(slots: number, gaps: boolean): { minimum: number; maximum: number } {
  let minimum = Number.POSITIVE_INFINITY;
  let maximum = Number.NEGATIVE_INFINITY;
  let before = integers[0]!;
  for (let i = 1; i < slots; i++) {
    const integer = integers[i]!;
    if (gaps && Number.isNaN(integer)) continue;
    const step = integer - before;
    if (step < minimum) minimum = step;
    if (step > maximum) maximum = step;
    before = integer;
  }
  return slots > 1 ? { minimum, maximum } : { minimum: 0, maximum: 0 };
}

/** Turns `integers` into the `slots` - 1 steps between them; NaN stays NaN. */
function toSteps(slots: number): void {
  let before = integers[0]!;
  for (let i = 1; i < slots; i++) {
    const integer = integers[i]!;
    integers[i - 1] = integer - before;
    if (!Number.isNaN(integer)) before = integer;
  }
}

function writeRaw(values: Float64Array, start: number, end: number): void {
  writer.byte(rawMode);
  writer.byte(rawWidth);
  writer.unsigned(start);
  writer.unsigned(end - start);
  for (let slot = start; slot < end; slot++) {
    const value = values[slot]!;
    if (value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY) {
      throw new RangeError(`slot ${slot} is infinite: a value is a finite number`);
    }
    writer.float64(Number.isNaN(value) ? Number.NaN : value);
  }
}

function writePlane({ length, doc, confirmed, flags }: SourceRuns): void {
  writer.unsigned(length.length);
  if (length.length === 0) return;
  writeColumn(length);
  writeColumn(doc.map((number, run) => fold(number - (doc[run - 1] ?? 0))));
  writeColumn(confirmed.map((number, run) => number - doc[run]!));
  writeColumn(flags);
}

/** Integers of both signs as small unsigned ones: 0, -1, 1, -2 … become 0, 1, 2, 3 … */
function fold(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}

function unfold(folded: number): number {
  return folded % 2 === 0 ? folded / 2 : -(folded + 1) / 2;
}

function writeColumn(entries: number[]): void {
  let minimum = entries[0]!;
  let maximum = minimum;
  for (let i = 0; i < entries.length; i++) {
    const entry = (integers[i] = entries[i]!);
    if (entry < minimum) minimum = entry;
    if (entry > maximum) maximum = entry;
  }
  const width = bitLength(maximum - minimum);
  writer.byte(width);
  writer.unsigned(minimum);
  writer.column({ values: integers, count: entries.length, width, minimum, gaps: false });
}

interface Header {
  /** Not when `raw`. */
  exponent: number;
  raw: boolean;
  steps: boolean;
  gaps: boolean;
  width: number;
  start: number;
  slots: number;
  base: number;
  step: number;
  /** First byte of the packed values. */
  at: number;
}

/** Reads and checks what stands before the source plane; leaves `reader` at the plane. */
function readHeader(reader: ByteReader): Header {
  const found = reader.byte();
  if (found !== version) throw new CorruptBlock(`block version ${found}, only ${version} is known`);
  const mode = reader.byte();
  const exponent = mode & 31;
  const raw = exponent === rawMode;
  const steps = (mode & stepsBit) !== 0;
  const gaps = (mode & gapsBit) !== 0;
  const width = reader.byte();
  if (mode >= 128 || (raw ? mode !== rawMode : exponent > exponentMax)) {
    throw new CorruptBlock(`unknown mode ${mode}`);
  }
  if (raw ? width !== rawWidth : width > widthMax) throw new CorruptBlock(`impossible width ${width}`);
  const start = reader.unsigned();
  const slots = reader.unsigned();
  if (start + slots > slotsMax) throw new CorruptBlock(`${start + slots} slots`);
  const packed = !raw && slots > 0;
  const base = packed ? reader.signed() : 0;
  const step = packed && steps ? reader.signed() : 0;
  const at = reader.skip(packedBytes(packed && steps ? slots - 1 : slots, width));
  return { exponent, raw, steps, gaps, width, start, slots, base, step, at };
}

/** Slots of a block. */
export interface BlockPart {
  /** First slot; 0 unless stated. */
  from?: number;
  /** First slot behind the part. */
  to: number;
}

/**
 * Writes the values of slots [from, to) to `out` from index `at` on, NaN where there is none, also behind the
 * slots that the block stores. The part is as much as `out` has room for unless stated.
 * @throws CorruptBlock
 */
export function decodeValues(
  block: Uint8Array,
  out: Float64Array,
  at = 0,
  { from = 0, to }: BlockPart = { to: out.length - at },
): void {
  if (from < 0 || at < 0 || at + to - from > out.length)
    throw new RangeError("the part does not fit the array");
  const header = readHeader(new ByteReader(block));
  const { first, last } = storedWithin(header, from, to);
  const shift = at - from;
  if (first > from) out.fill(Number.NaN, at, first + shift);
  if (last < to) out.fill(Number.NaN, last + shift, to + shift);
  if (first === last) return;
  if (header.raw) {
    const raw = new DataView(block.buffer, block.byteOffset + header.at, 8 * header.slots);
    for (let slot = first; slot < last; slot++)
      out[slot + shift] = raw.getFloat64(8 * (slot - header.start), true);
    return;
  }
  const offset = unpackIntegers(block, header, { from: first, to: last });
  divide(out.subarray(first + shift, last + shift), offset, powersOfTen[header.exponent]!);
}

/** Which of the slots [from, to) the block stores. */
function storedWithin({ start, slots }: Header, from: number, to: number): { first: number; last: number } {
  const first = Math.min(Math.max(from, start), to);
  return { first, last: Math.max(Math.min(to, start + slots), first) };
}

function divide(out: Float64Array, offset: number, power: number): void {
  if (power === 1) out.set(integers.subarray(offset, offset + out.length));
  else for (let i = 0; i < out.length; i++) out[i] = integers[offset + i]! / power;
}

/** Unpacks stored slots [from, to) into `integers`, NaN where there is no value; returns the index of `from`. */
function unpackIntegers(
  block: Uint8Array,
  { steps, gaps, width, start, base, step, at }: Header,
  { from, to }: { from: number; to: number },
): number {
  if (!steps) {
    const column = { values: integers, count: to - from, width, minimum: base, gaps, from: from - start };
    unpackColumn(block, at, column);
    return 0;
  }
  // Steps are read from the first slot on: 1 value more than steps.
  const count = to - start;
  integers[0] = base;
  unpackColumn(block, at, { values: steppedIntegers, count: count - 1, width, minimum: step, gaps, from: 0 });
  accumulate(count);
  return from - start;
}

/** Turns the first integer and the steps behind it into integers. */
function accumulate(count: number): void {
  let integer = integers[0]!;
  for (let i = 1; i < count; i++) {
    const next = integer + integers[i]!;
    integers[i] = next;
    if (!Number.isNaN(next)) integer = next;
  }
}

/** Origins of the values. @throws CorruptBlock */
export function decodeRuns(block: Uint8Array): SourceRuns {
  const reader = new ByteReader(block);
  readHeader(reader);
  const count = reader.unsigned();
  if (count > slotsMax) throw new CorruptBlock(`${count} source runs`);
  const lengths = readColumn(reader, count);
  const docs = readColumn(reader, count);
  const confirmed = readColumn(reader, count);
  const flags = readColumn(reader, count);
  if (reader.at !== block.length) throw new CorruptBlock(`${block.length - reader.at} bytes too many`);
  const builder = new RunsBuilder();
  let doc = 0;
  try {
    for (let i = 0; i < count; i++) {
      doc += unfold(docs[i]!);
      builder.append(lengths[i]!, { doc, confirmed: doc + confirmed[i]!, flags: flags[i]! });
    }
  } catch (cause) {
    throw new CorruptBlock("impossible source runs", { cause });
  }
  return builder.finish();
}

function readColumn(reader: ByteReader, count: number): number[] {
  if (count === 0) return [];
  const width = reader.byte();
  if (width > widthMax) throw new CorruptBlock(`impossible width ${width}`);
  const minimum = reader.unsigned();
  const at = reader.skip(packedBytes(count, width));
  unpackColumn(reader.bytes, at, { values: integers, count, width, minimum, gaps: false, from: 0 });
  return Array.from(integers.subarray(0, count));
}

/** Present values of a part of a block, not yet divided. */
export interface ScaledPart {
  /** Shared space, overwritten by the next call: integers of the slots from index `offset`, NaN = no value. */
  integers: Float64Array;
  offset: number;
  /** First slot with a stored value, and first slot behind the last. */
  from: number;
  to: number;
  /** Value = integer × 10^-exponent. */
  exponent: number;
  /** No integer is larger in magnitude. */
  bound: number;
  gaps: boolean;
}

/**
 * The scaled integers of slots [from, to), for sums that never become doubles on the way; `undefined` for a raw
 * block, whose values must be added one by one. @throws CorruptBlock
 */
export function scaledPart(block: Uint8Array, { from = 0, to }: BlockPart): ScaledPart | undefined {
  const header = readHeader(new ByteReader(block));
  if (header.raw) return undefined;
  const { exponent, slots, base, step, steps, width, gaps } = header;
  const { first, last } = storedWithin(header, from, to);
  const offset = first < last ? unpackIntegers(block, header, { from: first, to: last }) : 0;
  const bound = steps ? Math.abs(base) + slots * (Math.abs(step) + 2 ** width) : Math.abs(base) + 2 ** width;
  return { integers, offset, from: first, to: last, exponent, bound, gaps };
}

/** Adds the values of slots [from, to) to `sum`, exactly. @throws CorruptBlock */
export function addTotal(block: Uint8Array, part: BlockPart, sum: DecimalSum): void {
  const scaled = scaledPart(block, part);
  if (scaled === undefined) {
    const values = new Float64Array(part.to - (part.from ?? 0));
    decodeValues(block, values, 0, part);
    for (const value of values) if (!Number.isNaN(value)) sum.add(value);
    return;
  }
  const { integers, offset, from, to, exponent, bound } = scaled;
  const safe = bound * (to - from) <= Number.MAX_SAFE_INTEGER;
  let total = 0;
  let count = 0;
  for (let i = offset; i < offset + to - from; i++) {
    const integer = integers[i]!;
    if (Number.isNaN(integer)) continue;
    count++;
    if (safe) total += integer;
    else sum.addScaled(integer, exponent, 0);
  }
  sum.addScaled(total, exponent, count);
}

/** What is stored beside a block, so that totals and completeness need no decoding. */
export interface BlockSummary {
  /** Slots with a value. */
  n: number;
  /** Exact sum as a plain decimal; null without values, like all that follow. */
  sum: string | null;
  min: number | null;
  max: number | null;
  /** First and last slot with a value. */
  first: number | null;
  last: number | null;
}

/** Summary of the values of a block, NaN = no value. @throws RangeError for infinities */
export function summarize(values: Float64Array): BlockSummary {
  const sum = new DecimalSum();
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let first = -1;
  let last = -1;
  for (let slot = 0; slot < values.length; slot++) {
    const value = values[slot]!;
    if (Number.isNaN(value)) continue;
    sum.add(value);
    if (value < min) min = value;
    if (value > max) max = value;
    if (first < 0) first = slot;
    last = slot;
  }
  if (first < 0) return { n: 0, sum: null, min: null, max: null, first: null, last: null };
  return { n: sum.count, sum: sum.toString(), min, max, first, last };
}
