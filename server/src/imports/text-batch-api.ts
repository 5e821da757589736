import { z } from "zod";
import { reach } from "../accounts/accounts.ts";
import { lockPart } from "../changes/changes.ts";
import { heldRoots, type RootMeter } from "../meters/meters.ts";
import type { Tx } from "../platform/db.ts";
import { granularities } from "../platform/granularity.ts";
import { type Endpoint, endpoint } from "../platform/http/endpoint.ts";
import { accountId, boolean } from "../platform/http/schema.ts";
import { Problem } from "../platform/problem.ts";
import { granuleEnd, granuleStart } from "../platform/time/granule.ts";
import {
  type Batch,
  defaultMetric,
  describeFlags,
  gridOf,
  ingestIn,
  metrics,
  pointsAtMost,
  query,
  refusals,
  refused,
} from "../series/series.ts";
import { readRows, type TextRow } from "./text-batch.ts";

const metricNames = [...metrics.values()].filter(({ cost }) => !cost).map(({ name }) => name);

const body = z.object({
  granularity: z.enum(granularities),
  values: z
    .string()
    .min(1)
    .meta({ description: "Rows of EAN, period and value.", example: "735999\t2014-04\t12,5\n" }),
  delimeter: z
    .enum(["\t", ";", ",", "|"])
    .default("\t")
    .meta({ description: "Between the columns; spelt as in the Metry API." }),
  overwrite: boolean().default(false).meta({ description: "Replace values that are stored already." }),
  preview: boolean().default(false).meta({ description: "Only tell what would happen." }),
  metric: z
    .enum(metricNames)
    .optional()
    .meta({ description: "The default metric of each meter when left out." }),
});

const rowView = z.object({
  ean: z.string(),
  range: z.int().meta({ description: "The granule as a number: 201404, 20140401, 2014040113." }),
  value: z.number(),
  replaced_value: z.union([z.literal(false), z.number()]).meta({
    description: "The value that was, or would be, replaced; false when there was none.",
  }),
  saved: z.boolean(),
  meter_id: z.string(),
});

/** A row and the value that is stored at its place. */
interface PlacedRow extends TextRow {
  metric: string;
  /** Undefined when nothing was delivered there. */
  before: number | undefined;
}

const putConsumptions = endpoint({
  method: "PUT",
  path: "/accounts/:id/consumptions",
  access: "write_meters",
  summary: "Stores a text of values, all rows or none",
  description:
    "Rows are `EAN, period, value`; periods are `yyyy-mm`, `yyyy-mm-dd` or `yyyy-mm-dd hh:00` in the time zone of the meter. " +
    "A decimal comma and spaces between digits are understood. Instead of an EAN, the id of a meter that the account holds " +
    "may stand. A value that is stored already stays, unless `overwrite` is true. Errors name their line.",
  ids: { id: "account" },
  params: z.object({ id: accountId() }),
  body,
  bodyBytesMax: 4 * 1024 * 1024,
  reply: z.array(rowView),
  async handle({ params, body: asked, who }, { db, clock, settings }) {
    const account = await reach(db, who, params.id);
    const { granularity, overwrite, preview } = asked;
    const named = metersByName(await heldRoots(db, account.id));
    const { rows, errors } = readRows(asked.values, {
      granularity,
      delimiter: asked.delimeter,
      metersOf: (ean) => named.get(ean) ?? [],
    });
    const wrong = Object.entries(errors)[0];
    if (wrong !== undefined)
      throw new Problem("invalid", `Nothing was stored. ${wrong[0]}: ${wrong[1][0]}`, { errors });
    const withMetric = rows.map((row) => ({ ...row, metric: asked.metric ?? defaultMetric(row.meter.type) }));
    const now = clock.now();
    return db.transaction(async (tx) => {
      const placed = await place(tx, withMetric, { granularity, valuesMax: settings.valuesMax });
      const saved = placed.filter((row) => overwrite || row.before === undefined);
      const batch = batchOf(saved, { source: `consumptions of ${account.id}`, granularity });
      const reasons = refusals(batch, now);
      if (reasons.length > 0) throw refused(reasons);
      if (!preview && saved.length > 0) await ingestIn(tx, [batch], now);
      const isSaved = new Set(preview ? [] : saved);
      return placed.map((row) => ({
        ean: row.ean,
        range: row.range,
        value: row.value,
        replaced_value: overwrite && row.before !== undefined ? row.before : (false as const),
        saved: isSaved.has(row),
        meter_id: row.meter.id,
      }));
    });
  },
});

/** Root meters by EAN and by id. */
function metersByName(roots: readonly RootMeter[]): Map<string, RootMeter[]> {
  const named = new Map<string, RootMeter[]>();
  for (const root of roots) {
    for (const name of root.ean === null ? [root.id] : [root.id, root.ean]) {
      const same = named.get(name);
      if (same === undefined) named.set(name, [root]);
      else same.push(root);
    }
  }
  return named;
}

/** Finds the values that are stored at the places of the rows; holds the parts, so that they stay until the commit. */
async function place(
  tx: Tx,
  rows: readonly (TextRow & { metric: string })[],
  { granularity, valuesMax }: { granularity: PlaceGranularity; valuesMax: number },
): Promise<PlacedRow[]> {
  const parts = [...new Set(rows.map((row) => row.meter.part))].sort((a, b) => a - b);
  for (const part of parts) await lockPart(tx, part);
  const placed: PlacedRow[] = [];
  let points = 0;
  for (const [, some] of Map.groupBy(rows, (row) => `${row.meter.id} ${row.metric}`)) {
    const { meter, metric } = some[0]!;
    const zone = meter.timezone;
    let [from, last] = [Number.POSITIVE_INFINITY, 0];
    for (const { start } of some) [from, last] = [Math.min(from, start), Math.max(last, start)];
    const period = { from, to: granuleEnd(granularity, zone, last) };
    points += pointsAtMost(granularity, zone, period);
    if (points > valuesMax) {
      const message = `the rows span more than ${valuesMax} values; send them in several requests`;
      throw new Problem("invalid", `values: ${message}`, { errors: { values: [message] } });
    }
    const grid = gridOf(granularity, zone, period);
    const question = {
      meters: [{ rootId: meter.id, part: meter.part }],
      metrics: [metric],
      grids: [grid],
      flags: true,
    };
    const [found] = await query(tx, question);
    const at = indexOfStarts(granularity, zone, period);
    for (const row of some) placed.push({ ...row, before: delivered(found, at(row.start)) });
  }
  return placed.sort((a, b) => a.line - b.line);
}

type PlaceGranularity = (typeof granularities)[number];

/** Numbers the granules of a period by their starts. */
function indexOfStarts(
  granularity: PlaceGranularity,
  zone: string,
  period: { from: number; to: number },
): (start: number) => number {
  const numbers = new Map<number, number>();
  for (let start = granuleStart(granularity, zone, period.from); start < period.to; ) {
    numbers.set(start, numbers.size);
    start = granuleEnd(granularity, zone, start);
  }
  return (start) => numbers.get(start)!;
}

function delivered(
  found: { values: Float64Array[]; flags: Uint8Array[] } | undefined,
  index: number,
): number | undefined {
  const value = found?.values[0]?.[index];
  if (value === undefined || Number.isNaN(value)) return undefined;
  return describeFlags(found!.flags[0]![index]!).origin === "delivered" ? value : undefined;
}

function batchOf(
  rows: readonly PlacedRow[],
  { source, granularity }: { source: string; granularity: PlaceGranularity },
): Batch {
  const bySeries = Map.groupBy(rows, (row) => `${row.meter.id} ${row.metric}`);
  const runs = [...bySeries.values()].map((some) => ({
    meter: { id: some[0]!.meter.id, part: some[0]!.meter.part, timezone: some[0]!.meter.timezone },
    metric: some[0]!.metric,
    granularity,
    starts: some.map((row) => row.start),
    values: some.map((row) => row.value),
    where: (index: number) => `line ${some[index]!.line}`,
  }));
  return { document: { source }, runs };
}

/** Endpoints that take in values as text, as old clients send them. */
export const textBatchEndpoints: Endpoint[] = [putConsumptions];
