/**
 * Bytes of a block: variable-length integers and bit-packed columns. All numbers are little endian.
 *
 * - unsigned varint: 7 bits per byte, low bits first, high bit set while more follow; 0 … 2^53 - 1
 * - signed varint: the first byte holds the sign in bit 0 and 6 bits of the magnitude, the rest is an unsigned
 *   varint. (Zigzag of ±2^53 would need 54 bits, which a double does not have.)
 * - packed column: value i takes bits [i × width, (i + 1) × width), low bits first, padded with zeros to a byte
 */

/** Most slots that a block, and so a column, may have. */
export const slotsMax = 4096;
/** Widest packed value: the safe integers. */
export const widthMax = 53;

const two24 = 2 ** 24;
const two32 = 2 ** 32;
/** Widest value that one 32-bit word holds at every bit offset 0 … 7. */
const narrowMax = 25;
/** Words are read and written whole: room behind the last one. */
const slack = 8;

/** The bytes are no block of a version that this code reads. */
export class CorruptBlock extends Error {
  override name = "CorruptBlock";
}

/** Bits that `value` (0 … 2^53) takes; 0 for 0. */
export function bitLength(value: number): number {
  return value < two32 ? 32 - Math.clz32(value) : 64 - Math.clz32(Math.floor(value / two32));
}

/** Bytes of a packed column. */
export function packedBytes(count: number, width: number): number {
  return Math.ceil((count * width) / 8);
}

/** Values of a column before they are packed or after they were unpacked. */
export interface Column {
  /** Written or read from index 0. */
  values: Float64Array;
  count: number;
  /** 0 … `widthMax` bits. */
  width: number;
  /** What is added to a packed value. */
  minimum: number;
  /** Is the packed value of all ones read as NaN, and NaN written so? */
  gaps: boolean;
}

/** Growing buffer that a block is written to; one is reused for all blocks. */
export class ByteWriter {
  #bytes = new Uint8Array(16_384);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;

  /** Forgets what was written. */
  restart(): void {
    this.#at = 0;
  }

  /** A copy of what was written. */
  finish(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, this.#at));
  }

  #reserve(count: number): void {
    if (this.#at + count <= this.#bytes.length) return;
    const grown = new Uint8Array(2 * (this.#at + count));
    grown.set(this.#bytes);
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#at++] = value;
  }

  float64(value: number): void {
    this.#reserve(8);
    this.#view.setFloat64(this.#at, value, true);
    this.#at += 8;
  }

  unsigned(value: number): void {
    while (value >= 128) {
      this.byte((value % 128) | 128);
      value = Math.floor(value / 128);
    }
    this.byte(value);
  }

  signed(value: number): void {
    const magnitude = Math.abs(value);
    const first = (value < 0 ? 1 : 0) | ((magnitude % 64) << 1);
    if (magnitude < 64) this.byte(first);
    else {
      this.byte(first | 128);
      this.unsigned(Math.floor(magnitude / 64));
    }
  }

  /** Packs `values[0 … count)` less the minimum. They must fit the width. */
  column({ values, count, width, minimum, gaps }: Column): void {
    const size = packedBytes(count, width);
    this.#reserve(size + slack);
    this.#bytes.fill(0, this.#at, this.#at + size + slack);
    const none = gaps ? 2 ** width - 1 : Number.NaN;
    if (width === 0) return;
    if (width <= narrowMax) packNarrow(this.#view, this.#at, { values, count, width, minimum, none });
    else packWide(this.#view, this.#at, { values, count, width, minimum, none });
    this.#at += size;
  }
}

interface Packing {
  values: Float64Array;
  count: number;
  width: number;
  minimum: number;
  /** Packed value of NaN. */
  none: number;
}

function packNarrow(view: DataView, at: number, { values, count, width, minimum, none }: Packing): void {
  for (let i = 0, bit = 8 * at; i < count; i++, bit += width) {
    const value = values[i]!;
    const packed = Number.isNaN(value) ? none : value - minimum;
    const byte = bit >>> 3;
    view.setUint32(byte, view.getUint32(byte, true) | (packed << (bit & 7)), true);
  }
}

function packWide(view: DataView, at: number, { values, count, width, minimum, none }: Packing): void {
  for (let i = 0; i < count; i++) {
    const value = values[i]!;
    let packed = Number.isNaN(value) ? none : value - minimum;
    let bit = 8 * at + i * width;
    for (let left = width; left > 0; left -= 24, bit += 24) {
      const byte = bit >>> 3;
      const low = packed % two24;
      view.setUint32(byte, view.getUint32(byte, true) | (low << (bit & 7)), true);
      packed = (packed - low) / two24;
    }
  }
}

const unpackBytes = new Uint8Array(slotsMax * 8 + slack);
const unpackView = new DataView(unpackBytes.buffer);

/**
 * Unpacks values [from, from + count) of the column that starts at byte `at` of `bytes` into `values[0 … count)`.
 * The caller has checked that the column lies within `bytes`.
 */
export function unpackColumn(bytes: Uint8Array, at: number, column: Column & { from: number }): void {
  const { values, count, width, minimum, from } = column;
  if (width === 0) {
    values.fill(minimum, 0, count);
    return;
  }
  const bit = from * width;
  const first = at + (bit >>> 3);
  const size = packedBytes(count, width) + 1;
  // A copy with slack, so that whole words can be read at the end too: 3 % of the time of unpacking.
  unpackBytes.set(
    new Uint8Array(bytes.buffer, bytes.byteOffset + first, Math.min(size, bytes.length - first)),
  );
  const none = column.gaps ? 2 ** width - 1 : -1;
  if (width <= narrowMax) unpackNarrow(bit & 7, { values, count, width, minimum, none });
  else unpackWide(bit & 7, { values, count, width, minimum, none });
}

function unpackNarrow(bit: number, { values, count, width, minimum, none }: Packing): void {
  const mask = (1 << width) - 1;
  for (let i = 0; i < count; i++, bit += width) {
    const packed = (unpackView.getUint32(bit >>> 3, true) >>> (bit & 7)) & mask;
    values[i] = packed === none ? Number.NaN : minimum + packed;
  }
}

function unpackWide(bit: number, { values, count, width, minimum, none }: Packing): void {
  const lowMask = width >= 32 ? -1 : (1 << width) - 1;
  const highMask = width > 32 ? (1 << (width - 32)) - 1 : 0;
  for (let i = 0; i < count; i++, bit += width) {
    const low = unpackView.getUint32(bit >>> 3, true);
    const high = unpackView.getUint32((bit >>> 3) + 4, true);
    const shift = bit & 7;
    const lower = (((low >>> shift) | ((high << 1) << (31 - shift))) & lowMask) >>> 0;
    const packed = ((high >>> shift) & highMask) * two32 + lower;
    values[i] = packed === none ? Number.NaN : minimum + packed;
  }
}

/** Reads a block from front to back; running past the end throws `CorruptBlock`. */
export class ByteReader {
  readonly bytes: Uint8Array;
  /** Next byte. */
  at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  byte(): number {
    const value = this.bytes[this.at++];
    if (value === undefined) throw new CorruptBlock(`the block ends after ${this.bytes.length} bytes`);
    return value;
  }

  unsigned(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.byte();
      value += (byte & 127) * scale;
      if (value > Number.MAX_SAFE_INTEGER) throw new CorruptBlock(`number above 2^53 before byte ${this.at}`);
      if (byte < 128) return value;
      if (scale > two32 * two24) throw new CorruptBlock(`endless number before byte ${this.at}`);
    }
  }

  signed(): number {
    const first = this.byte();
    const magnitude = ((first >>> 1) & 63) + (first >= 128 ? 64 * this.unsigned() : 0);
    if (magnitude > Number.MAX_SAFE_INTEGER)
      throw new CorruptBlock(`number above 2^53 before byte ${this.at}`);
    return (first & 1) === 1 ? -magnitude : magnitude;
  }

  /** Moves past a column; returns where it starts. */
  skip(size: number): number {
    const start = this.at;
    this.at += size;
    if (this.at > this.bytes.length) {
      throw new CorruptBlock(`the block ends after ${this.bytes.length} bytes, ${this.at} needed`);
    }
    return start;
  }
}
