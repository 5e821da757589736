import { Fault } from "../problems.ts";
import { detached } from "../text.ts";

/** One reading as printed, before its unit is known. */
export interface RawReading {
  /** Epoch milliseconds. */
  start: number;
  /** Seconds; -1 when not printed. */
  seconds: number;
  /** As printed, not scaled; null when absent. */
  value: number | null;
  /** Quality codes as printed, joined with a comma. */
  code: string;
  line: number;
}

/** Readings that may wait for their unit: 26 bytes each, so at most 130 MB. */
export const waitingMax = 5_000_000;
const columnRows = 65_536;

interface Column {
  start: Float64Array;
  value: Float64Array;
  seconds: Int32Array;
  line: Uint32Array;
  code: Uint16Array;
}

/** Keeps readings in typed columns: an object each would take five times the memory. */
export class ReadingColumns {
  #columns: Column[] = [];
  #codes: string[] = [];
  #numberOfCode = new Map<string, number>();
  /** Number of readings kept. */
  length = 0;

  /**
   * Keeps a reading.
   * @throws Fault when there are too many different quality codes
   */
  push(reading: RawReading): void {
    const row = this.length % columnRows;
    if (row === 0) this.#columns.push(newColumn());
    const column = this.#columns.at(-1)!;
    column.start[row] = reading.start;
    column.value[row] = reading.value ?? Number.NaN;
    column.seconds[row] = reading.seconds;
    column.line[row] = reading.line;
    column.code[row] = this.#number(reading);
    this.length += 1;
  }

  /** The reading at an index below `length`. */
  at(index: number): RawReading {
    const column = this.#columns[Math.floor(index / columnRows)]!;
    const row = index % columnRows;
    const value = column.value[row]!;
    return {
      start: column.start[row]!,
      seconds: column.seconds[row]!,
      value: Number.isNaN(value) ? null : value,
      code: this.#codes[column.code[row]!]!,
      line: column.line[row]!,
    };
  }

  #number({ code, line }: RawReading): number {
    const known = this.#numberOfCode.get(code);
    if (known !== undefined) return known;
    const kept = detached(code);
    const number = this.#codes.push(kept) - 1;
    if (number > 0xffff) throw new Fault("The file has too many different quality codes.", { line });
    this.#numberOfCode.set(kept, number);
    return number;
  }
}

function newColumn(): Column {
  return {
    start: new Float64Array(columnRows),
    value: new Float64Array(columnRows),
    seconds: new Int32Array(columnRows),
    line: new Uint32Array(columnRows),
    code: new Uint16Array(columnRows),
  };
}
