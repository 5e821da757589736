import { closeSync, openSync, readSync, rmSync, writeSync } from "node:fs";

/**
 * Values of an import between reading and storing: a file of runs, and in memory only where the runs of each series
 * are. Files list values by meter, by time or in no order at all; from here they come back series by series.
 * Runs on the thread that reads files, so all input and output waits.
 *
 * A run: header of 40 bytes (number of values, file, start of the first value, step to the next, version; see
 * `headerBytes`), then `n` values (float64), `n` lines (uint32), `n` qualities (uint8).
 */
export class Spool {
  readonly #path: string;
  readonly #file: number;
  readonly #series: (SpooledSeries | undefined)[] = [];
  #size = 0;
  /** Bytes that wait to be written; between writing and reading also those that were read. */
  readonly #waiting: Buffer = Buffer.allocUnsafe(writeBytes);
  #waitingBytes = 0;
  /** Values that there is room for in the runs of all series. */
  #held = 0;
  #columns = newColumns(0);

  constructor(path: string) {
    this.#path = path;
    this.#file = openSync(path, "w+", 0o600);
  }

  /** Adds a value to a series; a NaN says that the source states none. */
  add(series: number, value: SpooledValue): void {
    const into = (this.#series[series] ??= new SpooledSeries());
    into.total++;
    const before = into.run.capacity;
    if (!into.run.takes(value)) {
      this.#writeRun(into);
      into.run.begin(value);
    }
    this.#held += into.run.capacity - before;
    if (this.#held > heldMax) this.#writeAll();
  }

  /** Number of values of a series. */
  countOf(series: number): number {
    return this.#series[series]?.total ?? 0;
  }

  /** All values of a series in the order in which they were added; overwritten by the next call. */
  read(series: number): SpooledColumns {
    const from = this.#series[series];
    const total = from?.total ?? 0;
    // Memory of columns lies outside of the heap, where garbage piles up unseen: one set serves for all series.
    if (total > this.#columns.starts.length) this.#columns = newColumns(Math.ceil(total * 1.25));
    if (from !== undefined) {
      this.#writeAll();
      this.#flush();
      let at = 0;
      for (const [index, offset] of from.offsets.entries()) {
        const bytes = this.#waiting.subarray(0, from.lengths[index]!);
        readSync(this.#file, bytes, 0, bytes.length, offset);
        at = decodeRun(bytes, this.#columns, at);
      }
    }
    return firstOf(this.#columns, total);
  }

  /** Lets go of the file. */
  close(): void {
    closeSync(this.#file);
    rmSync(this.#path, { force: true });
  }

  /** Writes what all series hold, and gives its memory back. */
  #writeAll(): void {
    for (const series of this.#series) {
      if (series === undefined) continue;
      this.#writeRun(series);
      series.run.release();
    }
    this.#held = 0;
  }

  #writeRun(series: SpooledSeries): void {
    const { run } = series;
    if (run.n === 0) return;
    const length = headerBytes + run.n * valueBytes;
    if (this.#waitingBytes + length > this.#waiting.length) this.#flush();
    encodeRun(run, this.#waiting, this.#waitingBytes);
    this.#waitingBytes += length;
    series.offsets.push(this.#size);
    series.lengths.push(length);
    this.#size += length;
    run.n = 0;
  }

  #flush(): void {
    let written = 0;
    while (written < this.#waitingBytes) {
      const at = this.#size - this.#waitingBytes + written;
      written += writeSync(this.#file, this.#waiting, written, this.#waitingBytes - written, at);
    }
    this.#waitingBytes = 0;
  }
}

/** One value on its way. */
export interface SpooledValue {
  /** Epoch milliseconds. */
  start: number;
  value: number;
  /** Index into the qualities of the series store. */
  quality: number;
  line: number;
  /** Number of the file. */
  file: number;
  /** Epoch milliseconds; NaN when the source states none. */
  version: number;
}

/** Values of one series, column by column. */
export interface SpooledColumns {
  starts: Float64Array;
  values: Float64Array;
  versions: Float64Array;
  lines: Uint32Array;
  files: Uint16Array;
  qualities: Uint8Array;
}

const headerBytes = 40;
const valueBytes = 13;
/** More than the largest run. */
const writeBytes = 1024 * 1024;
const runValuesMax = 4096;
/** So many values may wait in runs, of 13 bytes each; then all are written, however short they are. */
const heldMax = 1_000_000;

class SpooledSeries {
  total = 0;
  /** Where the written runs are, in bytes. */
  readonly offsets: number[] = [];
  readonly lengths: number[] = [];
  readonly run = new Run();
}

/** Values whose starts are one step apart, of one file and version. */
class Run {
  n = 0;
  first = 0;
  step = 0;
  version = Number.NaN;
  file = 0;
  values = new Float64Array(0);
  lines = new Uint32Array(0);
  qualities = new Uint8Array(0);

  /** Values that there is room for. */
  get capacity(): number {
    return this.values.length;
  }

  begin(value: SpooledValue): void {
    this.n = 0;
    this.first = value.start;
    this.step = 0;
    this.version = value.version;
    this.file = value.file;
    this.#put(value);
  }

  /** Takes the value when it continues the run. */
  takes(value: SpooledValue): boolean {
    const { n } = this;
    if (n === 0 || n >= runValuesMax || value.file !== this.file || !Object.is(value.version, this.version))
      return false;
    if (n === 1) this.step = value.start - this.first;
    else if (value.start !== this.first + n * this.step) return false;
    this.#put(value);
    return true;
  }

  /** Gives its memory back. */
  release(): void {
    this.values = new Float64Array(0);
    this.lines = new Uint32Array(0);
    this.qualities = new Uint8Array(0);
  }

  #put({ value, line, quality }: SpooledValue): void {
    if (this.n === this.values.length) this.#grow();
    this.values[this.n] = value;
    this.lines[this.n] = line;
    this.qualities[this.n] = quality;
    this.n++;
  }

  #grow(): void {
    const { values, lines, qualities } = this;
    const room = Math.max(16, values.length * 2);
    this.values = new Float64Array(room);
    this.lines = new Uint32Array(room);
    this.qualities = new Uint8Array(room);
    this.values.set(values);
    this.lines.set(lines);
    this.qualities.set(qualities);
  }
}

function newColumns(n: number): SpooledColumns {
  return {
    starts: new Float64Array(n),
    values: new Float64Array(n),
    versions: new Float64Array(n),
    lines: new Uint32Array(n),
    files: new Uint16Array(n),
    qualities: new Uint8Array(n),
  };
}

function firstOf(columns: SpooledColumns, n: number): SpooledColumns {
  return {
    starts: columns.starts.subarray(0, n),
    values: columns.values.subarray(0, n),
    versions: columns.versions.subarray(0, n),
    lines: columns.lines.subarray(0, n),
    files: columns.files.subarray(0, n),
    qualities: columns.qualities.subarray(0, n),
  };
}

function encodeRun(run: Run, into: Buffer, at: number): void {
  into.writeUInt32LE(run.n, at);
  into.writeUInt32LE(run.file, at + 4);
  into.writeDoubleLE(run.first, at + 8);
  into.writeDoubleLE(run.step, at + 16);
  into.writeDoubleLE(run.version, at + 24);
  let to = at + headerBytes;
  to = putBytes(run.values.subarray(0, run.n), into, to);
  to = putBytes(run.lines.subarray(0, run.n), into, to);
  putBytes(run.qualities.subarray(0, run.n), into, to);
}

function putBytes(from: Float64Array | Uint32Array | Uint8Array, into: Buffer, at: number): number {
  into.set(new Uint8Array(from.buffer, from.byteOffset, from.byteLength), at);
  return at + from.byteLength;
}

function decodeRun(bytes: Buffer, into: SpooledColumns, at: number): number {
  const n = bytes.readUInt32LE(0);
  const first = bytes.readDoubleLE(8);
  const step = bytes.readDoubleLE(16);
  let from = headerBytes;
  for (const column of [into.values, into.lines, into.qualities]) {
    const to = new Uint8Array(column.buffer, at * column.BYTES_PER_ELEMENT, n * column.BYTES_PER_ELEMENT);
    to.set(bytes.subarray(from, from + to.length));
    from += to.length;
  }
  for (let i = 0; i < n; i++) into.starts[at + i] = first + i * step;
  into.versions.fill(bytes.readDoubleLE(24), at, at + n);
  into.files.fill(bytes.readUInt32LE(4), at, at + n);
  return at + n;
}
