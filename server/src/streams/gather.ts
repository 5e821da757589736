import type { Head } from "../changes/changes.ts";
import { type SeenRoot, seenRoots } from "../meters/meters.ts";
import type { Db } from "../platform/db.ts";
import type { Granularity } from "../platform/granularity.ts";
import { codesOf, granularityOf, type SeriesInfo, startsOf } from "../series/series.ts";
import type { Position } from "./position.ts";
import { granularitiesOf, type Stream } from "./stream.ts";

/** Values of one series that go out together. */
export interface StreamRun {
  /** The account's own reference. */
  meterId: string;
  rootId: string;
  ean: string | null;
  timezone: string;
  /** Costs have the prefix `cost_`. */
  metric: string;
  /** ISO 4217 code of costs, '' for all others. */
  currency: string;
  granularity: Granularity;
  /** Starts of the granules, epoch ms. */
  starts: Float64Array;
  /** NaN where a value was removed. */
  values: Float64Array;
  /** Earlier values were replaced or removed. */
  updated: boolean;
  /** Epoch ms; never falls within a stream. */
  pushedAt: number;
}

/** Values that space is made for at once, at most: 1 MB. */
const spaceMax = 65_536;

/** Values between two positions, as they are gathered. */
export class Gathering {
  readonly db: Db;
  readonly stream: Stream;
  /** Where it begins. */
  readonly start: Position;
  /** Where it has to end: a batch that was issued before. `null`: where the room ends. */
  readonly end: Position | null;
  /** Codes of the granularities that the stream carries. */
  readonly grans: readonly number[];
  /** Heads of the parts, read before any value. */
  readonly heads: ReadonlyMap<number, Head>;
  /** Values that there is room for. */
  room: number;
  /** How far it has come. */
  position: Position;
  readonly runs: StreamRun[] = [];
  count = 0;
  #starts = new Float64Array(0);
  #values = new Float64Array(0);
  /** Of both. */
  #used = 0;
  readonly #seen = new Map<string, SeenRoot | null>();

  constructor(about: {
    db: Db;
    stream: Stream;
    start: Position;
    end: Position | null;
    heads: ReadonlyMap<number, Head>;
    limit: number;
  }) {
    this.db = about.db;
    this.stream = about.stream;
    this.start = about.start;
    this.end = about.end;
    this.heads = about.heads;
    this.room = about.end === null ? about.limit : Number.POSITIVE_INFINITY;
    this.position = structuredClone(about.start);
    this.grans = codesOf(granularitiesOf(about.stream));
  }

  /** Which of these meters the account may read, asked once for each. */
  async seen(rootIds: Iterable<string>): Promise<ReadonlyMap<string, SeenRoot | null>> {
    const unknown = [...new Set(rootIds)].filter((id) => !this.#seen.has(id));
    if (unknown.length > 0) {
      const found = await seenRoots(this.db, this.stream.accountId, unknown);
      for (const id of unknown) this.#seen.set(id, found.get(id) ?? null);
    }
    return this.#seen;
  }

  /** A meter that `seen` found readable. */
  root(rootId: string): SeenRoot {
    return this.#seen.get(rootId)!;
  }

  /**
   * Adds the values of slots [from, to) of a block, as many as there is room for; returns the first slot that was not
   * looked at. A slot without a value is left out, or `isTold` says that its absence is news.
   */
  add(
    block: { gran: number; period: number; values: Float64Array },
    { from, to, isTold }: { from: number; to: number; isTold: (slot: number) => boolean },
    about: { root: SeenRoot; series: SeriesInfo; updated: boolean; pushedAt: number },
  ): number {
    const startOf = startsOf(block, about.root.timezone);
    let slot = from;
    while (slot < to && this.room > 0) {
      const most = Math.min(this.room, to - slot);
      const { starts, values } = this.#space(most);
      let n = 0;
      let updated = false;
      for (; slot < to && n < most; slot++) {
        const value = block.values[slot]!;
        const isNull = Number.isNaN(value);
        if (isNull && !isTold(slot)) continue;
        const isUpdated = isNull || about.updated;
        // A run is updated or not as a whole.
        if (n > 0 && isUpdated !== updated) break;
        updated = isUpdated;
        starts[n] = startOf(slot);
        values[n++] = value;
      }
      if (n > 0) this.#push(block.gran, n, { ...about, updated });
    }
    return slot;
  }

  /** Room for so many values. Few large arrays, of which runs take parts, are cheaper than an array for each run. */
  #space(most: number): { starts: Float64Array; values: Float64Array } {
    if (this.#used + most > this.#values.length) {
      const length = Math.max(most, Math.min(this.room, spaceMax));
      this.#starts = new Float64Array(length);
      this.#values = new Float64Array(length);
      this.#used = 0;
    }
    return { starts: this.#starts.subarray(this.#used), values: this.#values.subarray(this.#used) };
  }

  #push(
    gran: number,
    n: number,
    about: { root: SeenRoot; series: SeriesInfo; updated: boolean; pushedAt: number },
  ): void {
    const { root, series, updated, pushedAt } = about;
    const from = this.#used;
    this.#used += n;
    this.room -= n;
    this.count += n;
    this.position.pushed = Math.max(this.position.pushed, pushedAt);
    this.runs.push({
      meterId: root.id,
      rootId: root.rootId,
      ean: root.ean,
      timezone: root.timezone,
      metric: series.metric,
      currency: series.currency,
      granularity: granularityOf(gran),
      starts: this.#starts.subarray(from, this.#used),
      values: this.#values.subarray(from, this.#used),
      updated,
      pushedAt: this.position.pushed,
    });
  }
}
