import type { Granularity } from "../platform/granularity.ts";
import { type BlockSummary, decodeRuns, decodeValues, encodeBlock, summarize } from "./block-codec.ts";
import {
  derivedFlag,
  flagsOf,
  RunsBuilder,
  removedFlag,
  runsWithin,
  type Source,
  type SourceRuns,
} from "./block-planes.ts";
import { slotsOf } from "./slot.ts";

/** Name of a block within its part. */
export interface BlockKey {
  seriesId: number;
  granularity: Granularity;
  period: number;
}

/** What happened to a slot since the block was opened; `same` = its source changed, its value did not. */
export const happened = { none: 0, same: 1, added: 2, replaced: 3, removed: 4 } as const;

/** Slots of a block that one document overwrote, as they were before. */
export interface Overwritten {
  key: BlockKey;
  doc: number;
  n: number;
  data: Uint8Array;
}

/** Quality code of derived values: their place in `qualities`. */
const calculated = 3;
const emptySummary: BlockSummary = { n: 0, sum: null, min: null, max: null, first: null, last: null };

/**
 * A block unpacked for writing: the value of each slot, the document that wrote it, the newest document that said
 * the same, and its flags. Remembers what it replaces.
 */
export class OpenBlock {
  readonly key: BlockKey;
  readonly values: Float64Array;
  readonly doc: Int32Array;
  readonly confirmed: Int32Array;
  readonly flags: Uint8Array;
  /** Summary as stored; all empty for a new block. */
  readonly before: BlockSummary;
  /** Not stored yet. */
  readonly isNew: boolean;
  /** Must be written. */
  dirty = false;
  /** Per slot one of `happened`: what readers of the log must be told. */
  readonly #told: Uint8Array;
  #old: { values: Float64Array; doc: Int32Array; confirmed: Int32Array; flags: Uint8Array } | null = null;

  constructor(key: BlockKey, stored?: { data: Uint8Array; summary: BlockSummary }) {
    const slots = slotsOf(key.granularity);
    this.key = key;
    this.values = new Float64Array(slots).fill(Number.NaN);
    this.doc = new Int32Array(slots);
    this.confirmed = new Int32Array(slots);
    this.flags = new Uint8Array(slots);
    this.#told = new Uint8Array(slots);
    this.before = stored?.summary ?? emptySummary;
    this.isNew = stored === undefined;
    if (stored !== undefined) this.#unpack(stored.data);
  }

  #unpack(data: Uint8Array): void {
    decodeValues(data, this.values);
    for (const { from, to, source } of runsWithin(decodeRuns(data), 0, this.values.length)) {
      this.doc.fill(source.doc, from, to);
      this.confirmed.fill(source.confirmed, from, to);
      this.flags.fill(source.flags, from, to);
    }
  }

  /** Was a value of this slot delivered (and not removed)? */
  isDelivered(slot: number): boolean {
    return !Number.isNaN(this.values[slot]!) && (this.flags[slot]! & derivedFlag) === 0;
  }

  /** Has a document the say over this slot: did it deliver a value, or remove one? */
  isClaimed(slot: number): boolean {
    const flags = this.flags[slot]!;
    return this.doc[slot] !== 0 && ((flags & derivedFlag) === 0 || (flags & removedFlag) !== 0);
  }

  /** Where the value of a slot comes from. */
  source(slot: number): Source {
    return { doc: this.doc[slot]!, confirmed: this.confirmed[slot]!, flags: this.flags[slot]! };
  }

  /**
   * Writes one slot in the name of a document. NaN removes the value. Returns what happened: a value that stays
   * the same but changes its source or quality is `same`, and is not told to readers of the log.
   */
  write(slot: number, value: number, { doc, quality }: { doc: number; quality: number }): number {
    const flags = flagsOf({ derived: false, removed: Number.isNaN(value), quality });
    return this.#set(slot, value, { source: { doc, confirmed: doc, flags }, by: doc });
  }

  /** Writes a value that document `doc` gave reason to compute; NaN when it can no longer be computed. */
  writeDerived(slot: number, value: number, doc: number): void {
    const removed = (this.flags[slot]! & removedFlag) !== 0;
    const flags = flagsOf({ derived: true, removed, quality: calculated });
    const source = removed ? { ...this.source(slot), flags } : { doc, confirmed: doc, flags };
    this.#set(slot, value, { source, by: doc });
  }

  /** Puts back what a slot held before, with its old source, in the name of document `by`. */
  restore(slot: number, value: number, { source, by }: { source: Readonly<Source>; by: number }): void {
    this.#set(slot, value, { source, by });
  }

  #set(slot: number, value: number, { source, by }: { source: Readonly<Source>; by: number }): number {
    const before = this.values[slot]!;
    const had = !Number.isNaN(before);
    const has = !Number.isNaN(value);
    if (had || (this.flags[slot]! & removedFlag) !== 0) this.#remember(slot, by);
    this.values[slot] = value;
    this.doc[slot] = source.doc;
    this.confirmed[slot] = source.confirmed;
    this.flags[slot] = source.flags;
    this.dirty = true;
    if (before === value || (!had && !has)) return happened.same;
    const what = had ? (has ? happened.replaced : happened.removed) : happened.added;
    // Removed and written again in one transaction is a replacement for those who read the log.
    this.#told[slot] = this.#told[slot]! > happened.added ? happened.replaced : what;
    return what;
  }

  /** Delivers a value to a slot that nothing ever wrote: the short way for backfills. */
  put(slot: number, value: number, doc: number, flags: number): void {
    this.values[slot] = value;
    this.doc[slot] = doc;
    this.confirmed[slot] = doc;
    this.flags[slot] = flags;
    this.#told[slot] = happened.added;
    this.dirty = true;
  }

  /** A newer document says what is stored already. */
  confirm(slot: number, doc: number): void {
    this.confirmed[slot] = doc;
    this.dirty = true;
  }

  /** Keeps what stood here before document `by`; what it writes over its own is no replacement. */
  #remember(slot: number, by: number): void {
    if (this.doc[slot] === by) return;
    if (this.#old === null) {
      const slots = this.values.length;
      this.#old = {
        values: new Float64Array(slots).fill(Number.NaN),
        doc: new Int32Array(slots),
        confirmed: new Int32Array(slots),
        flags: new Uint8Array(slots),
      };
    }
    if (this.#old.doc[slot] !== 0) return;
    this.#old.values[slot] = this.values[slot]!;
    this.#old.doc[slot] = this.doc[slot]!;
    this.#old.confirmed[slot] = this.confirmed[slot]!;
    this.#old.flags[slot] = this.flags[slot]!;
  }

  /**
   * What the document replaced, packed, values that were removed before included (as a source without a value);
   * `null` when it replaced nothing. Begins anew for the next document.
   */
  takeOverwritten(doc: number): Overwritten | null {
    if (this.#old === null) return null;
    const { values, ...planes } = this.#old;
    this.#old = null;
    let n = 0;
    for (const value of values) if (!Number.isNaN(value)) n++;
    return { key: this.key, doc, n, data: encodeBlock(values, collect(planes)) };
  }

  /**
   * Runs of changed slots, for the log. A run of new values may span slots without a value: whoever reads it finds
   * nothing there. A run of replaced values may not: an empty slot there is a removed value.
   */
  changes(): { slot: number; n: number; replaced: boolean }[] {
    const found: { slot: number; n: number; replaced: boolean }[] = [];
    let last: { slot: number; n: number; replaced: boolean } | undefined;
    for (let slot = 0; slot < this.#told.length; slot++) {
      const told = this.#told[slot]!;
      if (told <= happened.same) {
        if (!Number.isNaN(this.values[slot]!)) last = undefined;
        continue;
      }
      const replaced = told > happened.added;
      const adjacent = last !== undefined && (!replaced || last.slot + last.n === slot);
      if (last !== undefined && adjacent && last.replaced === replaced) last.n = slot - last.slot + 1;
      else found.push((last = { slot, n: 1, replaced }));
    }
    return found;
  }

  /** The block as it is stored. */
  pack(): { data: Uint8Array; summary: BlockSummary } {
    return {
      data: encodeBlock(this.values, collect(this)),
      summary: summarize(this.values),
    };
  }
}

function collect(planes: { doc: Int32Array; confirmed: Int32Array; flags: Uint8Array }): SourceRuns {
  const { doc, confirmed, flags } = planes;
  const runs = new RunsBuilder();
  for (let from = 0; from < doc.length; ) {
    const source = { doc: doc[from]!, confirmed: confirmed[from]!, flags: flags[from]! };
    let to = from + 1;
    while (
      to < doc.length &&
      doc[to] === source.doc &&
      confirmed[to] === source.confirmed &&
      flags[to] === source.flags
    ) {
      to++;
    }
    runs.append(to - from, source);
    from = to;
  }
  return runs.finish();
}
