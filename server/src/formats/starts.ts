/** Arithmetic progressions that are kept before a bitmap takes over. */
const runsMax = 64;
const chunkMinutes = 32_768;

/** Starts first + k * step, k < count. */
interface Run {
  first: number;
  step: number;
  count: number;
}

/**
 * Counts the starts that occur again. Meter data is regular, so a whole year usually is one run of
 * three numbers; disordered data falls back to a bitmap of minutes (4 KB for 23 days) and, for starts
 * within a minute, to a set.
 */
export class Starts {
  /** Starts that had been added before. */
  duplicates = 0;
  #runs: Run[] = [];
  #minutes: Map<number, Uint32Array> | undefined;
  #others = new Set<number>();

  /** Adds a start, in epoch milliseconds. */
  add(start: number): void {
    if (this.#minutes !== undefined) {
      if (this.#mark(start)) this.duplicates += 1;
      return;
    }
    for (const run of this.#runs) {
      if (holds(run, start)) {
        this.duplicates += 1;
        return;
      }
    }
    const last = this.#runs.at(-1);
    if (last?.count === 1) {
      last.step = start - last.first;
      last.count = 2;
    } else if (last !== undefined && start === last.first + last.step * last.count) last.count += 1;
    else if (this.#runs.length < runsMax) this.#runs.push({ first: start, step: 0, count: 1 });
    else {
      this.#startMarking();
      this.#mark(start);
    }
  }

  #startMarking(): void {
    this.#minutes = new Map();
    for (const { first, step, count } of this.#runs) {
      for (let k = 0; k < count; k++) this.#mark(first + k * step);
    }
    this.#runs = [];
  }

  /** True when it was marked before. */
  #mark(start: number): boolean {
    const minute = start / 60_000;
    if (!Number.isInteger(minute)) {
      if (this.#others.has(start)) return true;
      this.#others.add(start);
      return false;
    }
    const number = Math.floor(minute / chunkMinutes);
    let chunk = this.#minutes!.get(number);
    if (chunk === undefined) {
      chunk = new Uint32Array(chunkMinutes / 32);
      this.#minutes!.set(number, chunk);
    }
    const at = minute - number * chunkMinutes;
    const bit = 1 << (at & 31);
    const known = (chunk[at >>> 5]! & bit) !== 0;
    chunk[at >>> 5]! |= bit;
    return known;
  }
}

function holds({ first, step, count }: Run, start: number): boolean {
  if (count === 1) return start === first;
  const k = (start - first) / step;
  return k >= 0 && k < count && Number.isInteger(k);
}
