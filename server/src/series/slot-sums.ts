/**
 * Sums of many series slot by slot: 2,000 meters × 720 hours. Blocks are added as scaled integers at one common
 * exponent, so sums are exact, no array of values is built, and nothing is rounded before the end.
 */
import { DecimalSum, decimalOf, nearest, powersOfTen } from "../platform/decimal.ts";
import { type BlockPart, decodeValues, type ScaledPart, scaledPart } from "./block-codec.ts";

const exponentMax = 22;

/** How a block joins the sums. */
export interface Addition extends BlockPart {
  /** Slot of the sums that slot `from` of the block is added to; 0 unless stated. */
  at?: number;
  /** Each value is multiplied by this, exactly; 1 unless stated. */
  factor?: number;
}

export class SlotSums {
  readonly slots: number;
  // The sum of a slot is #sums × 10^-#exponent plus what is in #beyond.
  readonly #sums: Float64Array;
  readonly #beyond: (DecimalSum | undefined)[] = [];
  #exponent = 0;
  /** No entry of #sums is larger in magnitude; at most 2^53. */
  #bound = 0;
  // Values per slot, kept as the difference to the slot before: a block without gaps costs two additions.
  readonly #counts: Int32Array;

  constructor(slots: number) {
    this.slots = slots;
    this.#sums = new Float64Array(slots);
    this.#counts = new Int32Array(slots + 1);
  }

  /** Adds slots [from, to) of a block. @throws CorruptBlock */
  add(block: Uint8Array, { from = 0, to, at = 0, factor = 1 }: Addition): void {
    if (from < 0 || at < 0 || at + to - from > this.slots)
      throw new RangeError("the part does not fit the sums");
    const part = scaledPart(block, { from, to });
    if (part === undefined) this.#addRaw(block, { from, to, at, factor });
    else if (part.from < part.to) this.#addScaled(part, at - from, factor);
  }

  #addScaled(part: ScaledPart, shift: number, factor: number): void {
    const { m, e } = decimalOf(factor);
    const exponent = part.exponent + e;
    if (exponent > this.#exponent && exponent <= exponentMax) this.#rescale(exponent);
    const scale =
      exponent <= this.#exponent ? Number(m) * powersOfTen[this.#exponent - exponent]! : Number.NaN;
    const bound = part.bound * Math.abs(scale);
    // Also false for NaN: an exponent beyond the exact powers of ten.
    if (!(bound <= Number.MAX_SAFE_INTEGER)) {
      this.#addOneByOne(part, shift, { m, e: exponent });
      return;
    }
    if (this.#bound + bound > Number.MAX_SAFE_INTEGER) this.#spill();
    this.#bound += bound;
    const first = part.from + shift;
    const count = part.to - part.from;
    if (part.gaps) this.#addPresent(part, first, scale);
    else {
      const { integers, offset } = part;
      const sums = this.#sums;
      for (let i = 0; i < count; i++) sums[first + i]! += integers[offset + i]! * scale;
    }
    this.#counts[first]! += 1;
    this.#counts[first + count]! -= 1;
  }

  /** Adds a part with gaps; counts the gaps, the caller counts the part. */
  #addPresent({ integers, offset, from, to }: ScaledPart, first: number, scale: number): void {
    const sums = this.#sums;
    for (let i = 0; i < to - from; i++) {
      const integer = integers[offset + i]!;
      if (Number.isNaN(integer)) {
        this.#counts[first + i]! -= 1;
        this.#counts[first + i + 1]! += 1;
      } else sums[first + i]! += integer * scale;
    }
  }

  /** For integers that leave the safe range when they are scaled. */
  #addOneByOne(part: ScaledPart, shift: number, factor: { m: number | bigint; e: number }): void {
    for (let i = 0; i < part.to - part.from; i++) {
      const integer = part.integers[part.offset + i]!;
      if (Number.isNaN(integer)) continue;
      const slot = part.from + shift + i;
      this.#beyondOf(slot).addScaled(BigInt(integer) * BigInt(factor.m), factor.e, 0);
      this.#countOne(slot);
    }
  }

  #addRaw(block: Uint8Array, { from, to, at, factor }: Required<Addition>): void {
    const values = new Float64Array(to - from);
    decodeValues(block, values, 0, { from, to });
    for (let i = 0; i < values.length; i++) {
      if (!Number.isNaN(values[i]!)) this.addValue(at + i, values[i]!, factor);
    }
  }

  /** Adds one value to one slot. @throws RangeError unless finite */
  addValue(slot: number, value: number, factor = 1): void {
    const { m, e } = decimalOf(value);
    const by = decimalOf(factor);
    this.#beyondOf(slot).addScaled(BigInt(m) * BigInt(by.m), e + by.e, 0);
    this.#countOne(slot);
  }

  #countOne(slot: number): void {
    this.#counts[slot]! += 1;
    this.#counts[slot + 1]! -= 1;
  }

  #beyondOf(slot: number): DecimalSum {
    return (this.#beyond[slot] ??= new DecimalSum());
  }

  #rescale(exponent: number): void {
    const power = powersOfTen[exponent - this.#exponent]!;
    if (this.#bound * power > Number.MAX_SAFE_INTEGER) this.#spill();
    if (this.#bound > 0) for (let slot = 0; slot < this.slots; slot++) this.#sums[slot]! *= power;
    this.#bound *= power;
    this.#exponent = exponent;
  }

  /** Moves the sums out of the way before they leave the safe integers. */
  #spill(): void {
    for (let slot = 0; slot < this.slots; slot++) {
      if (this.#sums[slot] !== 0) this.#beyondOf(slot).addScaled(this.#sums[slot]!, this.#exponent, 0);
    }
    this.#sums.fill(0);
    this.#bound = 0;
  }

  /** The sum of each slot, rounded once; NaN where nothing was added. */
  values(): Float64Array {
    const counts = this.counts();
    const out = new Float64Array(this.slots);
    for (let slot = 0; slot < this.slots; slot++) {
      if (counts[slot] === 0) out[slot] = Number.NaN;
      else if (this.#beyond[slot] === undefined) out[slot] = nearest(this.#sums[slot]!, this.#exponent) + 0;
      else out[slot] = this.#exactly(slot, counts[slot]!).toNumber();
    }
    return out;
  }

  /** The exact sum of one slot, with the number of its values. */
  sumOf(slot: number): DecimalSum {
    return this.#exactly(slot, this.counts()[slot]!);
  }

  #exactly(slot: number, count: number): DecimalSum {
    const sum = new DecimalSum();
    sum.addScaled(this.#sums[slot]!, this.#exponent, count);
    const beyond = this.#beyond[slot];
    if (beyond !== undefined) sum.addSum(beyond);
    return sum;
  }

  /** Values that were added to each slot. */
  counts(): Int32Array {
    const counts = new Int32Array(this.slots);
    let count = 0;
    for (let slot = 0; slot < this.slots; slot++) counts[slot] = count += this.#counts[slot]!;
    return counts;
  }
}
