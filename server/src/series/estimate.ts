import { multiplyExact, roundTo, sumExact } from "../platform/decimal.ts";
import { qualities } from "./batch.ts";
import { flagsOf } from "./block-planes.ts";
import { earlierGrid, type Grid, numberAt, pointsOf } from "./grid.ts";
import type { Answer } from "./query.ts";

/** Decimals of an estimate: it is no better than that. */
const decimals = 3;
const estimatedFlags = flagsOf({ derived: true, quality: qualities.indexOf("estimated") });

/**
 * Values with their gaps filled by an estimate: the same granule a year before, scaled by how both years compare
 * where both are known; else the straight line between the neighbours. Nothing is estimated for the future, for
 * gaps at the edge that no last year covers, or stored. Holes of the grid do not occur in what is estimated.
 *
 * @param about.earlier the answer for `yearBefore` of the grids
 * @param about.now epoch ms; granules that begin later are the future
 */
export function estimates(about: {
  grids: readonly (Grid | null)[];
  zone: string;
  now: number;
  current: Answer | undefined;
  earlier: Answer | undefined;
}): Pick<Answer, "values" | "flags"> {
  const { grids, zone, now, current, earlier } = about;
  const values = grids.map(
    (grid, i) => current?.values[i]?.slice() ?? new Float64Array(pointsOf(grid)).fill(Number.NaN),
  );
  const flags = values.map((each, i) => current?.flags[i]?.slice() ?? new Uint8Array(each.length));
  for (const [i, grid] of grids.entries()) {
    if (grid === null) continue;
    const past = numberAt(grid.granularity, zone, now) - grid.first;
    fill({ values: values[i]!, flags: flags[i]!, earlier: earlier?.values[i], past });
  }
  return { values, flags };
}

/** The grid of the same granules a year before: 52 weeks for days and shorter, so that weekdays agree; 12 months. */
export function yearBefore(grid: Grid): Grid {
  const perDay = { month: 0, day: 1, hour: 24, "30min": 48, "15min": 96, "10min": 144, "5min": 288 }[
    grid.granularity
  ];
  const shift = grid.granularity === "month" ? 12 : 364 * perDay;
  return earlierGrid(grid, shift);
}

/** Fills the gaps before index `past`. */
function fill(about: {
  values: Float64Array;
  flags: Uint8Array;
  earlier: Float64Array | undefined;
  past: number;
}): void {
  const { values, flags, earlier } = about;
  const past = Math.min(values.length, about.past);
  const scale = earlier === undefined ? Number.NaN : scaleOf(values, earlier);
  let left = -1;
  let right = -1;
  for (let i = 0; i < past; i++) {
    if (!Number.isNaN(values[i]!)) {
      left = i;
      continue;
    }
    if (right < i) right = nextKnown(values, i);
    const before = earlier?.[i] ?? Number.NaN;
    const estimate =
      Number.isNaN(before) || Number.isNaN(scale)
        ? between(values, { left, right, index: i })
        : multiplyExact(before, scale);
    if (!Number.isFinite(estimate)) continue;
    values[i] = roundTo(estimate, decimals);
    flags[i] = estimatedFlags;
  }
}

/** Index of the first value from `from` on; the length when there is none. */
function nextKnown(values: Float64Array, from: number): number {
  let index = from;
  while (index < values.length && Number.isNaN(values[index]!)) index++;
  return index;
}

/** This year against last year where both are known; 1 when they never are. */
function scaleOf(values: Float64Array, last: Float64Array): number {
  const known = Array.from(values.keys()).filter((i) => !Number.isNaN(values[i]!) && !Number.isNaN(last[i]!));
  const before = sumExact(known.map((i) => last[i]!));
  return known.length === 0 || before === 0 ? 1 : sumExact(known.map((i) => values[i]!)) / before;
}

function between(
  values: Float64Array,
  { left, right, index }: { left: number; right: number; index: number },
): number {
  if (left < 0 || right >= values.length) return Number.NaN;
  return values[left]! + ((values[right]! - values[left]!) * (index - left)) / (right - left);
}
