import { type Change, entriesAfter } from "../changes/changes.ts";
import {
  blocksAt,
  comparePlaces,
  type SeriesInfo,
  type StoredBlock,
  seriesById,
  valuesOfBlock,
} from "../series/series.ts";
import type { Gathering } from "./gather.ts";
import { metersOf, type StreamMeter } from "./take-up.ts";

/** Entries of one statement; each names one block at most. */
const entriesMax = 1_000;
/** Entries that one gathering looks at: most may be of meters or granularities that are not the stream's. */
const looksMax = 20_000;

/**
 * Gathers changes from where the gathering stands, part by part, those first that wait longest, until there are no
 * more, or no more room, or where it has to end. Returns whether it stopped although there are more.
 */
export async function gatherLog(gathering: Gathering): Promise<boolean> {
  const { position } = gathering;
  const log = new LogReader(gathering);
  for (const part of partsInOrder(gathering)) {
    const upTo = lastOf(gathering, part);
    while ((position.log[part] ?? 0) < upTo) {
      if (gathering.room <= 0 || log.looks >= looksMax) return true;
      if (!(await log.read(part, upTo))) return true;
    }
  }
  return false;
}

/** A part whose entry was given out in part comes first: there is only one. */
function partsInOrder({ position }: Gathering): number[] {
  const { entry, log } = position;
  return Object.keys(log)
    .map(Number)
    .sort((a, b) => Number(b === entry?.part) - Number(a === entry?.part) || log[a]! - log[b]! || a - b);
}

/** The offset to read a part up to. */
function lastOf({ end, heads }: Gathering, part: number): number {
  if (end === null) return heads.get(part)?.off ?? 0;
  return end.entry?.part === part ? end.entry.off : (end.log[part] ?? 0);
}

/** Reads entries, and remembers for the length of a gathering what they are about. */
class LogReader {
  looks = 0;
  readonly #gathering: Gathering;
  readonly #meters = new Map<string, StreamMeter | null>();

  constructor(gathering: Gathering) {
    this.#gathering = gathering;
  }

  /** Gathers the next entries of a part; returns whether it got through all that it read. */
  async read(part: number, upTo: number): Promise<boolean> {
    const gathering = this.#gathering;
    const { db, position } = gathering;
    const limit = Math.min(entriesMax, Math.max(64, gathering.room));
    const entries = await entriesAfter(db, { part, after: position.log[part]!, upTo, limit });
    this.looks += entries.length;
    const wanted = await this.#wanted(part, entries);
    const blocks = await blocksOf(gathering, part, wanted.values());
    for (const entry of entries) {
      if (gathering.room <= 0) return false;
      const series = wanted.get(entry)?.series;
      if (series !== undefined && !this.#give(entry, series, blocks)) return false;
      position.log[part] = entry.off;
      if (position.entry?.part === part) position.entry = null;
    }
    if (entries.length < limit) position.log[part] = upTo;
    return true;
  }

  /** Gives out one entry, or what is left of it; returns whether there was room for all of it. */
  #give(entry: Change, series: SeriesInfo, blocks: ReadonlyMap<string, Float64Array>): boolean {
    const gathering = this.#gathering;
    const { position, end } = gathering;
    const given =
      position.entry?.off === entry.off && position.entry.part === entry.part ? position.entry.slots : 0;
    const isLast = end !== null && end.entry?.part === entry.part && end.entry.off === entry.off;
    const to = entry.slot + (isLast ? end.entry!.slots : entry.n);
    const values = blocks.get(keyOf(entry));
    // Blocks stay, also without values; they go with their series only.
    if (values === undefined) return true;
    const slot = gathering.add(
      { gran: entry.gran, period: entry.period, values },
      { from: entry.slot + given, to, isTold: () => entry.replaced },
      {
        root: gathering.root(series.meterId),
        series,
        updated: entry.replaced,
        // The last entry of a transaction carries its time, those before it a little less.
        pushedAt: Math.ceil(entry.off / 1000),
      },
    );
    if (slot >= to) return true;
    position.entry = { part: entry.part, off: entry.off, slots: slot - entry.slot };
    return false;
  }

  /** The entries that the stream carries, with their series. */
  async #wanted(
    part: number,
    entries: readonly Change[],
  ): Promise<Map<Change, { entry: Change; series: SeriesInfo }>> {
    const gathering = this.#gathering;
    const fitting = entries.filter((entry) => gathering.grans.includes(entry.gran));
    if (fitting.length === 0) return new Map();
    const ids = new Set(fitting.map((entry) => entry.seriesId));
    const infos = await seriesById(gathering.db, part, [...ids]);
    const roots = new Set([...infos.values()].map((info) => info.meterId));
    await this.#loadMeters([...roots]);
    const carried = [...roots].filter((root) => this.#meters.get(root) !== null);
    const seen = await gathering.seen(carried);
    const found = new Map<Change, { entry: Change; series: SeriesInfo }>();
    for (const entry of fitting) {
      const series = infos.get(entry.seriesId);
      const meter = series === undefined ? null : this.#meters.get(series.meterId)!;
      if (meter === null || seen.get(meter.rootId) === null) continue;
      if (this.#isInHistory(entry, meter)) continue;
      found.set(entry, { entry, series: series! });
    }
    return found;
  }

  async #loadMeters(roots: readonly string[]): Promise<void> {
    const unknown = roots.filter((root) => !this.#meters.has(root));
    const { db, stream } = this.#gathering;
    const found = new Map((await metersOf(db, stream.id, unknown)).map((meter) => [meter.rootId, meter]));
    for (const root of unknown) this.#meters.set(root, found.get(root) ?? null);
  }

  /** Is the entry, or will it be, in the history that is given out of its meter? That is always read later than it. */
  #isInHistory(entry: Change, meter: StreamMeter): boolean {
    const { history, base } = this.#gathering.start;
    if (meter.seq > base && entry.off <= meter.covered) return true;
    if (meter.seq <= history.done) return false;
    if (meter.seq > history.upTo || history.from === null) return true;
    const order = comparePlaces(entry, history.from);
    return order > 0 || (order === 0 && entry.slot >= history.from.slot);
  }
}

function keyOf({ seriesId, gran, period }: Pick<Change, "seriesId" | "gran" | "period">): string {
  return `${seriesId}/${gran}/${period}`;
}

async function blocksOf(
  { db }: Gathering,
  part: number,
  wanted: Iterable<{ entry: Change }>,
): Promise<Map<string, Float64Array>> {
  const places = new Map([...wanted].map(({ entry }) => [keyOf(entry), entry]));
  const blocks: StoredBlock[] = await blocksAt(db, part, [...places.values()]);
  return new Map(blocks.map((block) => [keyOf(block), valuesOfBlock(block)]));
}
