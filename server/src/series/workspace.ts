import type { Granularity } from "../platform/granularity.ts";
import { qualities, type Run, type Stored } from "./batch.ts";
import { derivedFlag, qualityOf } from "./block-planes.ts";
import { happened, OpenBlock, type Overwritten } from "./open-block.ts";
import { boundsOf, endWithin, placeOf } from "./slot.ts";

/** Which document wins: rank first, then the version it states; of equals the one that arrived last. */
export interface Standing {
  version: number;
  rank: number;
}

/** A run whose series is known, with its numbers in arrays of one kind: the loops over them stay fast. */
export interface SeriesRun extends Run {
  seriesId: number;
  starts: Float64Array;
  values: Float64Array;
}

/**
 * The blocks of one part that a transaction works on. Everything is loaded before and written after; here values
 * are only compared and placed.
 */
export class Workspace {
  readonly blocks: Map<string, OpenBlock>;
  readonly overwritten: Overwritten[] = [];
  /** Documents that wrote or confirmed something: the ones that must be kept. */
  readonly usedDocs = new Set<number>();
  readonly #standings: Map<number, Standing>;

  constructor(blocks: Map<string, OpenBlock>, standings: Map<number, Standing>) {
    this.blocks = blocks;
    this.#standings = standings;
  }

  /** The block of a key; made empty when there is none. */
  open(seriesId: number, granularity: Granularity, period: number): OpenBlock {
    const key = blockName(seriesId, granularity, period);
    let block = this.blocks.get(key);
    if (block === undefined) {
      block = new OpenBlock({ seriesId, granularity, period });
      this.blocks.set(key, block);
    }
    return block;
  }

  /** The block of a key when it was stored or opened before. */
  find(seriesId: number, granularity: Granularity, period: number): OpenBlock | undefined {
    return this.blocks.get(blockName(seriesId, granularity, period));
  }

  /** Places the values of a run in the name of document `doc` and counts what became of them. */
  apply(run: SeriesRun, doc: number, standing: Standing, stored: Stored): void {
    this.#standings.set(doc, standing);
    if (run.derived === true) {
      this.#applyDerived(run, doc, stored);
      return;
    }
    const { starts, values, granularity, seriesId } = run;
    const zone = run.meter.timezone;
    const quality = qualityPerValue(run.quality);
    const addedBefore = stored.added;
    for (let from = 0; from < starts.length; ) {
      const { period, slot: first } = placeOf(granularity, zone, starts[from]!);
      const block = this.open(seriesId, granularity, period);
      const bounds = boundsOf(granularity, period);
      const to = bounds === null ? from + 1 : endWithin(starts, from, bounds);
      for (let i = from; i < to; i++) {
        const slot = bounds === null ? first : Math.floor((starts[i]! - bounds.from) / bounds.step);
        const value = values[i]!;
        if (block.doc[slot] === 0 && !Number.isNaN(value)) {
          block.put(slot, value, doc, quality(i) << 1);
          stored.added++;
        } else this.#place(block, slot, value, { doc, standing, quality: quality(i), stored });
      }
      from = to;
    }
    if (stored.added > addedBefore) this.usedDocs.add(doc);
  }

  /** Places computed values where no delivered one stands. */
  #applyDerived(
    { starts, values, granularity, seriesId, meter }: SeriesRun,
    doc: number,
    stored: Stored,
  ): void {
    for (const [i, start] of starts.entries()) {
      const { period, slot } = placeOf(granularity, meter.timezone, start);
      const block = this.open(seriesId, granularity, period);
      const before = block.values[slot]!;
      const value = values[i]!;
      if (before === value || (Number.isNaN(before) && Number.isNaN(value))) stored.unchanged++;
      else if (block.isDelivered(slot)) stored.older++;
      else {
        block.writeDerived(slot, value, doc);
        this.usedDocs.add(doc);
        stored[Number.isNaN(before) ? "added" : Number.isNaN(value) ? "removed" : "replaced"]++;
      }
    }
  }

  #place(
    block: OpenBlock,
    slot: number,
    value: number,
    by: { doc: number; standing: Standing; quality: number; stored: Stored },
  ): void {
    const { doc, stored } = by;
    if (block.isClaimed(slot)) {
      const rival = this.#standings.get(block.confirmed[slot]!);
      if (rival === undefined) throw new Error(`document ${block.confirmed[slot]} is not loaded`);
      const before = block.isDelivered(slot) ? block.values[slot]! : Number.NaN;
      const removes = Number.isNaN(value);
      const same = before === value || (removes && Number.isNaN(before));
      const order = compare(by.standing, rival);
      if (order < 0) {
        stored[same ? "unchanged" : "older"]++;
        return;
      }
      if (same && (removes || qualityOf(block.flags[slot]!) === by.quality)) {
        stored.unchanged++;
        // The same batch again changes nothing; a newer document that agrees protects the value from older ones.
        if (order > 0) {
          block.confirm(slot, doc);
          this.usedDocs.add(doc);
        }
        return;
      }
    } else if (Number.isNaN(value)) {
      // Nothing was delivered here, so there is nothing to remove: a derived value follows from others.
      stored.unchanged++;
      return;
    }
    const what = block.write(slot, value, { doc, quality: by.quality });
    this.usedDocs.add(doc);
    if (what === happened.added) stored.added++;
    else if (what === happened.replaced) stored.replaced++;
    else if (what === happened.removed) stored.removed++;
    else stored.unchanged++;
  }

  /** Ends the work of a document: what it replaced is set aside. */
  finish(doc: number): void {
    if (!this.usedDocs.has(doc)) return;
    for (const block of this.blocks.values()) {
      if (!block.dirty) continue;
      const taken = block.takeOverwritten(doc);
      if (taken !== null) this.overwritten.push(taken);
    }
  }
}

/** Name of a block in a workspace. */
export function blockName(seriesId: number, granularity: Granularity, period: number): string {
  return `${seriesId}/${granularity}/${period}`;
}

/** Below 0: `a` loses against `b`; above: it wins; 0: equal, the later arrival wins. */
function compare(a: Standing, b: Standing): number {
  return a.rank - b.rank || a.version - b.version;
}

function qualityPerValue(quality: Run["quality"]): (index: number) => number {
  if (quality instanceof Uint8Array) return (index) => quality[index]!;
  const code = qualities.indexOf(quality ?? "unknown");
  return () => code;
}

/** Quality name and origin that the flags of a value stand for. */
export function describeFlags(flags: number): { origin: "derived" | "delivered"; quality: string } {
  return {
    origin: (flags & derivedFlag) !== 0 ? "derived" : "delivered",
    quality: qualities[qualityOf(flags)] ?? "unknown",
  };
}
