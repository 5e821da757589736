import { multiplyExact, roundTo, sumExact } from "../platform/decimal.ts";
import type { Deps } from "../platform/deps.ts";
import { earlierGrid, type Grid, numberAt } from "./grid.ts";
import { query, type StoredMeter } from "./query.ts";

/** Decimals of an estimate: it is no better than that. */
const decimals = 3;

/**
 * Values with their gaps filled by an estimate: the same granule a year before, scaled by how both years compare
 * where both are known; else the straight line between the neighbours. Nothing is estimated for the future, for
 * gaps at the edge that no last year covers, or stored. Holes of the grid do not occur in what is estimated.
 */
export async function estimates(
  deps: Pick<Deps, "db" | "clock">,
  about: {
    meter: StoredMeter & { timezone: string };
    metric: string;
    grids: readonly (Grid | null)[];
    values: readonly Float64Array[] | undefined;
  },
): Promise<Float64Array[]> {
  const current =
    about.values ?? about.grids.map((grid) => new Float64Array(grid?.length ?? 0).fill(Number.NaN));
  const earlier = about.grids.map((grid) => (grid === null ? null : yearBefore(grid)));
  const [last] = await query(deps.db, { meters: [about.meter], metrics: [about.metric], grids: earlier });
  return current.map((values, i) => {
    const grid = about.grids[i];
    if (grid === null || grid === undefined) return values;
    const past = Math.max(
      0,
      Math.min(
        values.length,
        numberAt(grid.granularity, about.meter.timezone, deps.clock.now()) - grid.first,
      ),
    );
    return fill(values, last?.values[i], past);
  });
}

/** The grid of the same granules a year before: 52 weeks for days and shorter, so that weekdays agree; 12 months. */
function yearBefore(grid: Grid): Grid {
  const perDay = { month: 0, day: 1, hour: 24, "30min": 48, "15min": 96, "10min": 144, "5min": 288 }[
    grid.granularity
  ];
  const shift = grid.granularity === "month" ? 12 : 364 * perDay;
  return earlierGrid(grid, shift);
}

function fill(values: Float64Array, last: Float64Array | undefined, past: number): Float64Array {
  const filled = values.slice();
  const scale = last === undefined ? Number.NaN : scaleOf(values, last);
  for (let i = 0; i < past; i++) {
    if (!Number.isNaN(values[i]!)) continue;
    const before = last?.[i] ?? Number.NaN;
    const estimate =
      Number.isNaN(before) || Number.isNaN(scale) ? between(values, i) : multiplyExact(before, scale);
    filled[i] = Number.isNaN(estimate) ? Number.NaN : roundTo(estimate, decimals);
  }
  return filled;
}

/** This year against last year where both are known; 1 when they never are. */
function scaleOf(values: Float64Array, last: Float64Array): number {
  const known = Array.from(values.keys()).filter((i) => !Number.isNaN(values[i]!) && !Number.isNaN(last[i]!));
  const before = sumExact(known.map((i) => last[i]!));
  return known.length === 0 || before === 0 ? 1 : sumExact(known.map((i) => values[i]!)) / before;
}

function between(values: Float64Array, index: number): number {
  let left = index - 1;
  let right = index + 1;
  while (left >= 0 && Number.isNaN(values[left]!)) left--;
  while (right < values.length && Number.isNaN(values[right]!)) right++;
  if (left < 0 || right >= values.length) return Number.NaN;
  return values[left]! + ((values[right]! - values[left]!) * (index - left)) / (right - left);
}
