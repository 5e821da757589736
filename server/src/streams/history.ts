import {
  type BlockPlace,
  blocksFrom,
  comparePlaces,
  type SeriesInfo,
  type StoredBlock,
  seriesOfRoots,
  slotCount,
  valuesOfBlock,
  writtenSlots,
} from "../series/series.ts";
import type { Gathering } from "./gather.ts";
import type { HistoryPosition } from "./position.ts";
import { metersAfter, type StreamMeter } from "./take-up.ts";

/** Meters whose blocks are read together. */
const metersAtOnce = 100;
/** Blocks of one statement: about a megabyte of packed values at most. */
const blocksMax = 256;
/** A block of hours holds at most so many values; most hold fewer. */
const blockValues = 700;

/** Values of the block that is at work: they are copied at once. */
const scratch = new Float64Array(1_024);

type Place = NonNullable<HistoryPosition["from"]>;

/**
 * Gathers the history from where the gathering stands: the present values of the stream's meters, in the order in
 * which those were taken up. Ends when there is no more, no more room, or where it has to end.
 */
export async function gatherHistory(gathering: Gathering, pushedAt: number): Promise<void> {
  const { db, stream, end, position } = gathering;
  const { history } = position;
  while (gathering.room > 0 && !isAt(history, end?.history)) {
    if (history.from === null) {
      const upTo =
        end === null ? stream.seq : history.done < end.history.done ? end.history.done : end.history.upTo;
      const found = await metersAfter(db, stream.id, { after: history.done, upTo, limit: metersAtOnce });
      const chunk = ofOnePart(found);
      if (chunk.length === 0) {
        // Nothing is left up to there: meters that were there once have gone, or were taken up anew.
        history.done = history.upTo = upTo;
        if (end === null) return;
        continue;
      }
      const isWhole = chunk.length === found.length && found.length < metersAtOnce;
      history.upTo = end !== null && isWhole ? upTo : chunk.at(-1)!.seq;
      history.from = { seriesId: 0, gran: 0, period: 0, slot: 0 };
      await gatherMeters(gathering, chunk, pushedAt);
    } else {
      const bounds = { after: history.done, upTo: history.upTo, limit: history.upTo - history.done };
      await gatherMeters(gathering, await metersAfter(db, stream.id, bounds), pushedAt);
    }
  }
}

/** Meters of one statement lie in one part. */
function ofOnePart(meters: StreamMeter[]): StreamMeter[] {
  const other = meters.findIndex((meter) => meter.part !== meters[0]!.part);
  return other < 0 ? meters : meters.slice(0, other);
}

function isAt(history: HistoryPosition, end: HistoryPosition | undefined): boolean {
  if (end === undefined || history.done < end.done) return false;
  if (history.done > end.done || end.from === null) return true;
  return history.from !== null && comparePositions(history.from, end.from) >= 0;
}

function comparePositions(a: Place, b: Place): number {
  return comparePlaces(a, b) || a.slot - b.slot;
}

/** Gathers the meters that are under way, from `history.from` on. */
async function gatherMeters(
  gathering: Gathering,
  meters: readonly StreamMeter[],
  pushedAt: number,
): Promise<void> {
  const { db, position, end, grans } = gathering;
  const { history } = position;
  const part = meters[0]?.part ?? 0;
  const seen = await gathering.seen(meters.map((meter) => meter.rootId));
  const visible = meters.filter((meter) => seen.get(meter.rootId) !== null);
  const series = new Map(
    (
      await seriesOfRoots(
        db,
        part,
        visible.map((meter) => meter.rootId),
      )
    ).map((info) => [info.seriesId, info]),
  );
  // Where a batch that was issued before ended within these meters.
  const stop = end !== null && end.history.done === history.done ? end.history.from : null;
  let isPast = false;
  while (gathering.room > 0) {
    const limit = Math.min(blocksMax, Math.ceil(gathering.room / blockValues) + 1);
    const from = history.from!;
    const blocks =
      series.size === 0 ? [] : await blocksFrom(db, part, { series: [...series.keys()], grans, from, limit });
    for (const block of blocks) {
      isPast = stop !== null && comparePlaces(block, stop) > 0;
      if (isPast) break;
      history.from = gatherBlock(gathering, block, { series: series.get(block.seriesId)!, stop, pushedAt });
      if (gathering.room <= 0) break;
    }
    if (blocks.length < limit && gathering.room > 0) isPast = true;
    if (!isPast) continue;
    if (stop !== null) history.from = stop;
    else {
      history.done = history.upTo;
      history.from = null;
    }
    return;
  }
}

/** Gathers one block as far as there is room; returns the place behind. */
function gatherBlock(
  gathering: Gathering,
  block: StoredBlock,
  { series, stop, pushedAt }: { series: SeriesInfo; stop: Place | null; pushedAt: number },
): Place {
  const { history } = gathering.position;
  const isSame = (place: BlockPlace | null) => place !== null && comparePlaces(block, place) === 0;
  const from = isSame(history.from) ? history.from!.slot : 0;
  const slots = slotCount(block.gran);
  const to = isSame(stop) ? stop!.slot : slots;
  // Whoever gets everything once more may hold values that were removed since.
  const written = gathering.start.phase === "first" ? undefined : writtenSlots(block);
  const slot = gathering.add(
    { gran: block.gran, period: block.period, values: valuesOfBlock(block, scratch) },
    { from, to, isTold: (at) => written?.[at] === 1 },
    { root: gathering.root(series.meterId), series, updated: false, pushedAt },
  );
  const { seriesId, gran, period } = block;
  return slot < slots ? { seriesId, gran, period, slot } : { seriesId, gran, period: period + 1, slot: 0 };
}
