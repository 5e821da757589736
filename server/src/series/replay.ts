import type { Queryable } from "../platform/db.ts";
import type { Granularity } from "../platform/granularity.ts";
import { stretchAt } from "../platform/time/zone.ts";
import { decodeRuns, decodeValues } from "./block-codec.ts";
import { runsWithin } from "./block-planes.ts";
import { boundsOf, codeOf, granularityOf, slotsOf, startAt } from "./slot.ts";

/**
 * Reading stored values in the order in which they lie, and by the places that the log of changes names: for those
 * who hand on everything, not a period.
 */
export interface SeriesInfo {
  seriesId: number;
  /** Root meter. */
  meterId: string;
  metric: string;
  /** ISO 4217 code of costs, '' for all others. */
  currency: string;
}

/** Which block; blocks of a part are in the order of these three. */
export interface BlockPlace {
  seriesId: number;
  /** Code of the granularity, as in the log. */
  gran: number;
  period: number;
}

/** A block as it is stored. */
export interface StoredBlock extends BlockPlace {
  data: Buffer;
}

const infoColumns = `series_id as "seriesId", meter_id as "meterId", metric, currency`;
const blockColumns = `b.series_id as "seriesId", b.gran, b.period, b.data`;

/** Negative when `a` lies before `b`. */
export function comparePlaces(a: BlockPlace, b: BlockPlace): number {
  return a.seriesId - b.seriesId || a.gran - b.gran || a.period - b.period;
}

/** Codes of granularities in the log and in places. */
export function codesOf(granularities: readonly Granularity[]): number[] {
  return granularities.map((granularity) => codeOf[granularity]);
}

/** Slots of a block of a granularity code, at most. */
export function slotCount(gran: number): number {
  return slotsOf(granularityOf(gran));
}

/** All series of root meters of a part, in order. */
export async function seriesOfRoots(
  db: Queryable,
  part: number,
  rootIds: readonly string[],
): Promise<SeriesInfo[]> {
  return db.rows({
    name: "series-of-roots",
    text: `select ${infoColumns} from series where part = $1 and meter_id = any($2::text[]) order by series_id`,
    values: [part, rootIds],
  });
}

/** Series of a part by id; erased ones are left out. */
export async function seriesById(
  db: Queryable,
  part: number,
  ids: readonly number[],
): Promise<Map<number, SeriesInfo>> {
  const rows = await db.rows<SeriesInfo>({
    name: "series-by-id",
    text: `select ${infoColumns} from series where part = $1 and series_id = any($2::int8[])`,
    values: [part, ids],
  });
  return new Map(rows.map((row) => [row.seriesId, row]));
}

/** Blocks of these series and granularities from a place on, in order, at most `limit`. */
export async function blocksFrom(
  db: Queryable,
  part: number,
  question: { series: readonly number[]; grans: readonly number[]; from: BlockPlace; limit: number },
): Promise<StoredBlock[]> {
  const { series, grans, from, limit } = question;
  return db.rows({
    name: "series-blocks-from",
    text: `select ${blockColumns} from block b
           where b.part = $1 and b.series_id = any($2::int8[]) and b.gran = any($3::int2[])
             and (b.series_id, b.gran, b.period) >= ($4::int8, $5::int2, $6::int4)
           order by b.series_id, b.gran, b.period limit $7`,
    values: [part, series, grans, from.seriesId, from.gran, from.period, limit],
  });
}

/** The stored ones of the named blocks of a part, in any order. */
export async function blocksAt(
  db: Queryable,
  part: number,
  places: readonly BlockPlace[],
): Promise<StoredBlock[]> {
  if (places.length === 0) return [];
  return db.rows({
    name: "series-blocks-at",
    text: `select ${blockColumns}
           from unnest($2::int8[], $3::int2[], $4::int4[]) as k (series_id, gran, period)
           join block b on b.series_id = k.series_id and b.gran = k.gran and b.period = k.period
           where b.part = $1`,
    values: [
      part,
      places.map((place) => place.seriesId),
      places.map((place) => place.gran),
      places.map((place) => place.period),
    ],
  });
}

/** Values of a block: all its slots, NaN where there is none. Written to `out` when it is given, from its beginning. */
export function valuesOfBlock(block: StoredBlock, out?: Float64Array): Float64Array {
  const slots = slotCount(block.gran);
  const values = out === undefined ? new Float64Array(slots) : out.subarray(0, slots);
  decodeValues(block.data, values);
  return values;
}

/** Which slots of a block were ever written, whether a value is there now or not. */
export function writtenSlots(block: StoredBlock): Uint8Array {
  const written = new Uint8Array(slotCount(block.gran));
  for (const { from, to, source } of runsWithin(decodeRuns(block.data), 0, written.length)) {
    if (source.doc !== 0) written.fill(1, from, to);
  }
  return written;
}

/** Where the granules of a block begin: the start of each slot, epoch ms. */
export function startsOf({ gran, period }: Omit<BlockPlace, "seriesId">, zone: string): SlotStarts {
  const granularity = granularityOf(gran);
  const bounds = boundsOf(granularity, period);
  // Nearly always the granules of the zone begin with the slots.
  if (bounds !== null && beginWithSlots(zone, bounds)) {
    const { from, step } = bounds;
    return (slot) => from + slot * step;
  }
  return (slot) => startAt(granularity, zone, { period, slot });
}

/** Start of a slot, epoch ms. */
export type SlotStarts = (slot: number) => number;

function beginWithSlots(
  zone: string,
  { from, to, step }: { from: number; to: number; step: number },
): boolean {
  for (let at = from; at < to; ) {
    const stretch = stretchAt(zone, at);
    if ((from + stretch.offset) % step !== 0) return false;
    at = stretch.to;
  }
  return true;
}
