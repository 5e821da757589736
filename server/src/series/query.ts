import type { Queryable } from "../platform/db.ts";
import { roundTo } from "../platform/decimal.ts";
import { decodeRuns, decodeValues } from "./block-codec.ts";
import { runsWithin } from "./block-planes.ts";
import { type Grid, overlap, withoutHoles } from "./grid.ts";
import { restoreAsOf } from "./history.ts";
import { metrics } from "./metric.ts";
import { codeOf } from "./slot.ts";
import { SlotSums } from "./slot-sums.ts";

/** A root meter in the store. */
export interface StoredMeter {
  rootId: string;
  part: number;
}

/** What to read: some metrics of some meters on some grids, all of one granularity. */
export interface Question {
  meters: readonly StoredMeter[];
  metrics: readonly string[];
  grids: readonly (Grid | null)[];
  /** Values as they were known at this instant (epoch ms); absent: as they are known now. */
  asOf?: number;
  /** Also tell origin and quality of each value. */
  flags?: boolean;
}

/** Values of one metric and currency of a meter, per grid; NaN where nothing is known. */
export interface Answer {
  rootId: string;
  metric: string;
  currency: string;
  values: Float64Array[];
  /** Flags per value when they were asked for, see block-planes.ts. */
  flags: Uint8Array[];
}

interface BlockRow {
  series_id: number;
  meter_id: string;
  metric: string;
  currency: string;
  period: number;
  data: Buffer;
}

/** Routed by part; `series` and `block` live together. */
const readBlocks = `
  select s.series_id, s.meter_id, s.metric, s.currency, b.period, b.data
  from series s join block b on b.part = s.part and b.series_id = s.series_id
  where s.part = $1 and b.part = $1 and s.meter_id = any($2::text[]) and s.metric = any($3::text[])
    and b.gran = $4 and b.period between $5 and $6`;

/** The blocks that a question needs, part by part. */
async function blocksFor(
  db: Queryable,
  question: Omit<Question, "flags">,
  each: (row: BlockRow, part: number) => void,
): Promise<void> {
  const grids = question.grids.filter((grid) => grid !== null);
  if (grids.length === 0) return;
  const byPart = Map.groupBy(question.meters, (meter) => meter.part);
  for (const [part, meters] of byPart) {
    const ids = [...new Set(meters.map((meter) => meter.rootId))];
    // Overlapping or neighbouring periods share a statement; a block is read once for all of them.
    for (const span of spansOf(grids)) {
      const rows = await db.rows<BlockRow>({
        name: "series-read",
        text: readBlocks,
        values: [part, ids, question.metrics, codeOf[grids[0]!.granularity], span.first, span.last],
      });
      if (question.asOf !== undefined) {
        const gran = codeOf[grids[0]!.granularity];
        await restoreAsOf(db, { part, gran, rows, asOf: question.asOf });
      }
      for (const row of rows) each(row, part);
    }
  }
}

/** Runs of blocks that grids need: neighbouring ones together. */
export function spansOf(grids: readonly Grid[]): { first: number; last: number }[] {
  const spans: { first: number; last: number }[] = [];
  for (const grid of grids.toSorted((a, b) => a.firstPeriod - b.firstPeriod)) {
    const last = spans.at(-1);
    if (last !== undefined && grid.firstPeriod <= last.last + 1)
      last.last = Math.max(last.last, grid.lastPeriod);
    else spans.push({ first: grid.firstPeriod, last: grid.lastPeriod });
  }
  return spans;
}

/** Slots [from, to) of a block and where they belong in the answer of one of the grids. */
interface GridPart {
  grid: number;
  from: number;
  to: number;
  at: number;
}

/** What each block has to give; found once per period, as thousands of blocks have the same one. */
export function partsByPeriod(grids: Question["grids"]): (period: number) => readonly GridPart[] {
  const known = new Map<number, GridPart[]>();
  return (period) => {
    let parts = known.get(period);
    if (parts !== undefined) return parts;
    known.set(period, (parts = []));
    for (const [grid, each] of grids.entries()) {
      const part = each === null ? null : overlap(each, period);
      if (part !== null) parts.push({ grid, ...part });
    }
    return parts;
  };
}

/** Values per granule of each period, NaN where we know nothing. Only series that exist are answered. */
export async function query(db: Queryable, question: Question): Promise<Answer[]> {
  const answers = new Map<string, Answer>();
  const wantFlags = question.flags === true;
  const partsOf = partsByPeriod(question.grids);
  await blocksFor(db, question, (row) => {
    const key = `${row.meter_id}/${row.metric}/${row.currency}`;
    let answer = answers.get(key);
    if (answer === undefined) answers.set(key, (answer = emptyAnswer(row, question.grids, wantFlags)));
    for (const part of partsOf(row.period)) {
      decodeValues(row.data, answer.values[part.grid]!, part.at, part);
      if (wantFlags) spreadFlags(row.data, answer.flags[part.grid]!, part);
    }
  });
  for (const answer of answers.values()) {
    for (const [i, grid] of question.grids.entries()) {
      if (grid === null || grid.holes.length === 0) continue;
      answer.values[i] = withoutHoles(grid, answer.values[i]!);
      if (wantFlags) answer.flags[i] = withoutHoles(grid, answer.flags[i]!);
    }
  }
  return [...answers.values()];
}

function emptyAnswer(row: BlockRow, grids: Question["grids"], flags: boolean): Answer {
  return {
    rootId: row.meter_id,
    metric: row.metric,
    currency: row.currency,
    values: grids.map((grid) => new Float64Array(grid?.length ?? 0).fill(Number.NaN)),
    flags: flags ? grids.map((grid) => new Uint8Array(grid?.length ?? 0)) : [],
  };
}

function spreadFlags(
  block: Uint8Array,
  out: Uint8Array,
  part: { from: number; to: number; at: number },
): void {
  for (const run of runsWithin(decodeRuns(block), part.from, part.to)) {
    out.fill(run.source.flags, run.from - part.from + part.at, run.to - part.from + part.at);
  }
}

/** A meter that is part of a sum. */
export interface Member extends StoredMeter {
  factor: number;
}

/** A sum over meters, per grid. */
export interface SumAnswer {
  metric: string;
  currency: string;
  /** Sum of value × factor of those that have a value (mean for averaged metrics); NaN when none has one. */
  values: Float64Array[];
  /** How many members have a value. */
  present: Int32Array[];
}

/**
 * Sums a metric over meters, exactly and straight from the packed blocks. Values of a meter without a value are
 * left out, and `present` says so. Currencies are never mixed: one answer for each.
 */
export async function querySum(
  db: Queryable,
  question: Omit<Question, "meters" | "flags" | "metrics"> & { members: readonly Member[]; metric: string },
): Promise<SumAnswer[]> {
  const mean = metrics.get(question.metric)?.aggregate === "mean";
  const factors = new Map(question.members.map((member) => [member.rootId, mean ? 1 : member.factor]));
  const byCurrency = new Map<string, SlotSums[]>();
  const partsOf = partsByPeriod(question.grids);
  await blocksFor(db, { ...question, meters: question.members, metrics: [question.metric] }, (row) => {
    let sums = byCurrency.get(row.currency);
    if (sums === undefined) {
      sums = question.grids.map((grid) => new SlotSums(grid?.length ?? 0));
      byCurrency.set(row.currency, sums);
    }
    const factor = factors.get(row.meter_id)!;
    for (const { grid, from, to, at } of partsOf(row.period))
      sums[grid]!.add(row.data, { from, to, at, factor });
  });
  return [...byCurrency].map(([currency, sums]) =>
    sumAnswer({ metric: question.metric, currency, mean }, sums, question.grids),
  );
}

function sumAnswer(
  about: { metric: string; currency: string; mean: boolean },
  sums: readonly SlotSums[],
  grids: Question["grids"],
): SumAnswer {
  const present = sums.map((sum) => sum.counts());
  const values = sums.map((sum, i) => (about.mean ? meansOf(sum.values(), present[i]!) : sum.values()));
  return {
    metric: about.metric,
    currency: about.currency,
    values: values.map((each, i) => (grids[i] == null ? each : withoutHoles(grids[i]!, each))),
    present: present.map((each, i) => (grids[i] == null ? each : withoutHoles(grids[i]!, each))),
  };
}

/** Means of decimals need not be decimals: six places are more than any sensor has. */
function meansOf(sums: Float64Array, counts: Int32Array): Float64Array {
  return sums.map((sum, i) => (counts[i]! > 1 && Number.isFinite(sum) ? roundTo(sum / counts[i]!, 6) : sum));
}
