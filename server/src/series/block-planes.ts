/**
 * Where the values of a block come from: for each run of slots the document that wrote it, the latest document
 * that said the same, and flags. A day's delivery is one run, so a month of hours has about 31 of them.
 */
import { slotsMax } from "./bytes.ts";

/** Origin of one slot. */
export interface Source {
  /** Number of the document that wrote the value or removed it; 0 = never written. */
  doc: number;
  /** Latest document that stated the same value, ≥ `doc`. */
  confirmed: number;
  /** `derivedFlag`, `removedFlag` and the quality code; see `flagsOf`. */
  flags: number;
}

/**
 * Runs in order of slots, one array per property. Canonical: no empty runs, neighbours differ, and the last run
 * was written; what this file and the codec return is canonical. Slots behind the last run were never written.
 */
export interface SourceRuns {
  /** Slots of each run. */
  length: number[];
  doc: number[];
  confirmed: number[];
  flags: number[];
}

/** Largest number of a document: that of a PostgreSQL integer. */
export const docMax = 2 ** 31 - 1;
const flagsMax = 255;

/** The value was computed from other values, not delivered. */
export const derivedFlag = 1;
/**
 * A document removed the delivered value. It stays the document of the slot, also while a derived value stands in
 * for what it removed: an older document must not bring the value back.
 */
export const removedFlag = 16;
/** Flags of a value: is it derived, was a delivered one removed, and its quality code 0 … 7. */
export function flagsOf(about: { derived: boolean; removed?: boolean; quality: number }): number {
  const { derived, removed = false, quality } = about;
  if (!Number.isInteger(quality) || quality < 0 || quality > 7) {
    throw new RangeError(`quality code ${quality} is not 0 … 7`);
  }
  return (derived ? derivedFlag : 0) | (removed ? removedFlag : 0) | (quality << 1);
}
/** The quality code 0 … 7 in `flags`. */
export function qualityOf(flags: number): number {
  return (flags >>> 1) & 7;
}

/** A slot that nothing ever wrote. */
export const neverWritten: Readonly<Source> = { doc: 0, confirmed: 0, flags: 0 };

/** Appends runs and keeps them canonical. */
export class RunsBuilder {
  readonly #runs: SourceRuns = { length: [], doc: [], confirmed: [], flags: [] };
  #slots = 0;

  /**
   * Adds `length` slots (0 adds nothing).
   * @throws RangeError for sources that cannot be: confirmed by an older document, numbers out of range
   */
  append(length: number, source: Readonly<Source>): void {
    const { doc, confirmed, flags } = source;
    assertWhole("run length", length, slotsMax - this.#slots);
    assertWhole("document", doc, docMax);
    assertWhole("confirming document", confirmed, docMax);
    assertWhole("flags", flags, flagsMax);
    if (confirmed < doc) throw new RangeError(`document ${doc} is confirmed by the older ${confirmed}`);
    if (length === 0) return;
    this.#slots += length;
    const runs = this.#runs;
    const last = runs.length.length - 1;
    if (last >= 0 && isSame(runs, last, source)) {
      runs.length[last]! += length;
      return;
    }
    runs.length.push(length);
    runs.doc.push(doc);
    runs.confirmed.push(confirmed);
    runs.flags.push(flags);
  }

  /** The runs so far; the builder must not be used afterwards. */
  finish(): SourceRuns {
    const runs = this.#runs;
    const last = runs.length.length - 1;
    if (last >= 0 && isSame(runs, last, neverWritten)) {
      for (const column of [runs.length, runs.doc, runs.confirmed, runs.flags]) column.pop();
    }
    return runs;
  }
}

function isSame(runs: SourceRuns, run: number, { doc, confirmed, flags }: Readonly<Source>): boolean {
  return runs.doc[run] === doc && runs.confirmed[run] === confirmed && runs.flags[run] === flags;
}

function assertWhole(what: string, value: number, max: number): void {
  if (!Number.isInteger(value) || value < 0 || value > max) {
    throw new RangeError(`${what} ${value} is not 0 … ${max}`);
  }
}

/** The same runs, canonical. @throws RangeError for sources that cannot be */
export function canonicalRuns({ length, doc, confirmed, flags }: SourceRuns): SourceRuns {
  const builder = new RunsBuilder();
  for (let run = 0; run < length.length; run++) {
    builder.append(length[run]!, { doc: doc[run]!, confirmed: confirmed[run]!, flags: flags[run]! });
  }
  return builder.finish();
}

/** Origin of `slot`. */
export function sourceAt(runs: SourceRuns, slot: number): Readonly<Source> {
  for (const { source } of runsWithin(runs, slot, slot + 1)) return source;
  return neverWritten;
}

/** A run of slots [from, to) of one origin. */
export interface SourceRun {
  from: number;
  to: number;
  source: Readonly<Source>;
}

/** The runs that touch slots [from, to), cut to it; together they cover it, never written slots included. */
export function* runsWithin(runs: SourceRuns, from: number, to: number): Generator<SourceRun> {
  let start = 0;
  for (let run = 0; run < runs.length.length && start < to; run++) {
    const end = start + runs.length[run]!;
    const source = { doc: runs.doc[run]!, confirmed: runs.confirmed[run]!, flags: runs.flags[run]! };
    if (end > from && from < to) yield { from: Math.max(start, from), to: Math.min(end, to), source };
    start = end;
  }
  if (Math.max(start, from) < to) yield { from: Math.max(start, from), to, source: neverWritten };
}

/** Origin of each of the first `slots` slots: for those who look at all of them. */
export function sourcesOf(runs: SourceRuns, slots: number): Readonly<Source>[] {
  const sources: Readonly<Source>[] = new Array(slots);
  for (const { from, to, source } of runsWithin(runs, 0, slots)) sources.fill(source, from, to);
  return sources;
}

/** Slots [from, to). */
export interface SlotRange {
  from: number;
  to: number;
}

/** The runs with the origin of slots [from, to) replaced by what `change` makes of it. */
export function changeRuns(
  runs: SourceRuns,
  { from, to }: SlotRange,
  change: (source: Readonly<Source>) => Readonly<Source>,
): SourceRuns {
  if (from >= to) return canonicalRuns(runs);
  const builder = new RunsBuilder();
  for (const run of runsWithin(runs, 0, from)) builder.append(run.to - run.from, run.source);
  for (const run of runsWithin(runs, from, to)) builder.append(run.to - run.from, change(run.source));
  for (const run of runsWithin(runs, to, slotsMax)) builder.append(run.to - run.from, run.source);
  return builder.finish();
}

/** The runs with slots [from, to) written by `source`. */
export function writeRuns(runs: SourceRuns, range: SlotRange, source: Readonly<Source>): SourceRuns {
  return changeRuns(runs, range, () => source);
}

/** The runs after document `doc` stated the same values for slots [from, to). */
export function confirmRuns(runs: SourceRuns, range: SlotRange, doc: number): SourceRuns {
  return changeRuns(runs, range, (source) => ({ ...source, confirmed: Math.max(source.confirmed, doc) }));
}
