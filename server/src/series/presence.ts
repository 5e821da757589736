import type { Queryable } from "../platform/db.ts";
import { decodeValues } from "./block-codec.ts";
import type { Grid } from "./grid.ts";
import { partsByPeriod, type StoredMeter, spansOf } from "./query.ts";
import { type SeriesInfo, seriesOfRoots } from "./replay.ts";
import { codeOf, slotsOf } from "./slot.ts";

/** Places [from, to) among the granules of a grid, in their order. */
export interface Range {
  from: number;
  to: number;
}

/** Which granules of a series have a value, per grid. */
export interface Presence {
  rootId: string;
  metric: string;
  /** How many have one. */
  received: number[];
  /** Those that have none: ascending, neighbours together. */
  missing: Range[][];
}

/** What to look at: some metrics of some meters on some grids, all of one granularity. */
export interface PresenceQuestion {
  meters: readonly StoredMeter[];
  /** Not those of costs, which have a series per currency. */
  metrics: readonly string[];
  grids: readonly (Grid | null)[];
}

interface Row {
  series_id: number;
  period: number;
  first: number | null;
  last: number | null;
  /** Null when all slots from `first` to `last` have a value: nearly always. */
  data: Buffer | null;
}

/**
 * A block without gaps between its first and its last value needs not be read. Each series is looked up by itself, with
 * `offset 0` to make sure: for a thousand of many, the planner has read the blocks of all. Routed by part.
 */
const readPresence = `
  select k.series_id, b.* from unnest($2::int8[]) as k (series_id)
  cross join lateral (
    select period, first, last, case when n <> last - first + 1 then data end as data
    from block where part = $1 and series_id = k.series_id and gran = $3 and period between $4 and $5 offset 0
  ) as b`;

/**
 * Which granules have a value, derived ones too, without the values themselves. One answer for each meter and metric
 * that was asked for, in that order; a series that does not exist has none at all.
 */
export async function missingIn(db: Queryable, question: PresenceQuestion): Promise<Presence[]> {
  const { meters, metrics, grids } = question;
  const present = new Map<string, Range[][]>();
  const partsOf = partsByPeriod(grids);
  await eachBlock(db, question, ({ meterId, metric }, row) => {
    const key = `${meterId}/${metric}`;
    let ranges = present.get(key);
    if (ranges === undefined) present.set(key, (ranges = grids.map(() => [])));
    for (const { grid, from, to, at } of partsOf(row.period)) {
      addPresent(ranges[grid]!, row, { from, to, at, slots: slotsOf(grids[grid]!.granularity) });
    }
  });
  return meters.flatMap(({ rootId }) =>
    metrics.map((metric) => {
      const ranges = present.get(`${rootId}/${metric}`);
      const missing = grids.map((grid, i) => (grid === null ? [] : gapsBetween(ranges?.[i] ?? [], grid)));
      const received = grids.map((grid, i) =>
        grid === null
          ? 0
          : grid.length - grid.holes.length - missing[i]!.reduce((sum, { from, to }) => sum + to - from, 0),
      );
      return { rootId, metric, received, missing };
    }),
  );
}

/** Hands over the blocks of the series, part by part. */
async function eachBlock(
  db: Queryable,
  { meters, metrics, grids }: PresenceQuestion,
  each: (series: SeriesInfo, row: Row) => void,
): Promise<void> {
  const some = grids.filter((grid) => grid !== null);
  if (some.length === 0) return;
  for (const [part, ofPart] of Map.groupBy(meters, (meter) => meter.part)) {
    const ids = [...new Set(ofPart.map((meter) => meter.rootId))];
    const series = new Map(
      (await seriesOfRoots(db, part, ids))
        .filter(({ metric, currency }) => currency === "" && metrics.includes(metric))
        .map((info) => [info.seriesId, info]),
    );
    for (const { first, last } of spansOf(some)) {
      const values = [part, [...series.keys()], codeOf[some[0]!.granularity], first, last];
      const rows = await db.rows<Row>({ name: "series-presence", text: readPresence, values });
      for (const row of rows) each(series.get(row.series_id)!, row);
    }
  }
}

/** Adds the present slots [from, to) of a block to the ranges of a grid, where they begin at `at`. */
function addPresent(
  ranges: Range[],
  { first, last, data }: Row,
  { from, to, at, slots }: { from: number; to: number; at: number; slots: number },
): void {
  if (first === null || last === null) return;
  const start = Math.max(from, first);
  const end = Math.min(to, last + 1);
  const shift = at - from;
  if (start >= end) return;
  if (data === null) {
    ranges.push({ from: start + shift, to: end + shift });
    return;
  }
  const values = new Float64Array(slots);
  decodeValues(data, values);
  for (let slot = start; slot < end; slot++) {
    if (Number.isNaN(values[slot]!)) continue;
    const begin = slot;
    while (slot < end && !Number.isNaN(values[slot]!)) slot++;
    ranges.push({ from: begin + shift, to: slot + shift });
  }
}

/** What lies between ranges that came in any order, counted without the numbers that no granule has. */
function gapsBetween(ranges: Range[], grid: Grid): Range[] {
  const gaps: Range[] = [];
  let at = 0;
  for (const { from, to } of ranges.sort((a, b) => a.from - b.from)) {
    if (from > at) addGap(gaps, { from: at, to: from }, grid);
    at = Math.max(at, to);
  }
  if (at < grid.length) addGap(gaps, { from: at, to: grid.length }, grid);
  return gaps;
}

function addGap(gaps: Range[], { from, to }: Range, { holes }: Grid): void {
  const before = (place: number) => holes.reduce((count, hole) => count + (hole < place ? 1 : 0), 0);
  const gap = holes.length === 0 ? { from, to } : { from: from - before(from), to: to - before(to) };
  if (gap.from === gap.to) return;
  const last = gaps.at(-1);
  if (last?.to === gap.from) last.to = gap.to;
  else gaps.push(gap);
}
