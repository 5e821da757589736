import { closeSync, fdatasyncSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "../server/src/platform/db.ts";
import { Deliveries } from "../server/src/series/deliver.ts";
import { type Batch, gridOf, ingest, query, querySum } from "../server/src/series/series.ts";
import { perSecond } from "./clients.ts";
import { serialSyncs } from "./flat.ts";
import { dayOf, hours, metric, runOf, timed, type World, yearStart } from "./world.ts";

/** One line of the table: what was measured, and the bound of the same run beside it. */
export interface Row {
  name: string;
  value: number;
  unit: string;
  /** The physical limit or peer, in the same unit. */
  bound?: number;
  boundName?: string;
  /** Better is more, or less. */
  more: boolean;
}

/** Far enough behind what is delivered, also when few meters get many days. */
const now = yearStart + 2_000 * 86_400_000;

/** Loads a year of hours per meter; returns values a second. */
export async function load(world: World, years: readonly Float64Array[]): Promise<Row[]> {
  const flat = flatFile(years);
  let values = 0;
  const group = 40;
  const queue = Array.from({ length: Math.ceil(world.meters.length / group) }, (_, i) => i * group);
  const byPart = world.meters.map((meter, i) => ({ meter, i })).sort((a, b) => a.meter.part - b.meter.part);
  const prepared = byPart.map(({ meter, i }) => runOf(meter, years[i]!));
  const start = performance.now();
  const worker = async () => {
    for (let from = queue.shift(); from !== undefined; from = queue.shift()) {
      const runs = prepared.slice(from, from + group);
      values += runs.reduce((sum, run) => sum + run.values.length, 0);
      await ingest(world.db, [{ document: { source: "bench" }, runs }], now);
    }
  };
  await Promise.all([worker(), worker(), worker()]);
  const seconds = (performance.now() - start) / 1000;
  // What the server does by itself a minute later: plans are made for tables of this size.
  await world.analyze();
  const [size] = await world.db.rows<{ bytes: number }>(sql`select pg_total_relation_size('block') as bytes`);
  return [
    {
      name: "bulk store write, with days, months, statistics and log",
      value: values / seconds / 1e6,
      unit: "M values/s",
      bound: flat.writePerSecond / 1e6,
      boundName: "flat file, fsynced",
      more: true,
    },
    {
      name: "disk: blocks of hours, days and months",
      value: size!.bytes / values,
      unit: "bytes/value",
      bound: 8,
      boundName: "doubles",
      more: false,
    },
  ];
}

/** R1, R2, R3 at the store. */
export async function reads(world: World, years: readonly Float64Array[]): Promise<Row[]> {
  const file = flatReads(years);
  const year = gridOf("hour", "UTC", { from: yearStart, to: yearStart + hours * 3_600_000 });
  const month = gridOf("hour", "UTC", { from: yearStart, to: yearStart + 720 * 3_600_000 });
  const months = gridOf("month", "UTC", { from: yearStart, to: yearStart + hours * 3_600_000 });
  const members = world.meters.map((meter) => ({ rootId: meter.id, part: meter.part, factor: 1 }));
  const one = (i: number) => members[(i * 37) % members.length]!;
  const r1 = await timed(200, (i) => query(world.db, { meters: [one(i)], metrics: [metric], grids: [year] }));
  const r3 = await timed(9, () => querySum(world.db, { members, metric, grids: [month] }));
  const r2 = await timed(15, () => query(world.db, { meters: members, metrics: [metric], grids: [months] }));
  const r2hourly = await timed(5, () => querySum(world.db, { members, metric, grids: [year] }));
  return [
    {
      name: "R1: a year of hours of one meter",
      value: r1,
      unit: "ms",
      bound: file.r1,
      boundName: "pread of doubles",
      more: false,
    },
    {
      name: `R3: ${members.length} meters summed over 720 hours`,
      value: r3,
      unit: "ms",
      bound: file.r3,
      boundName: "preads and a loop",
      more: false,
    },
    {
      name: `R2: 12 stored months of ${members.length} meters`,
      value: r2,
      unit: "ms",
      bound: file.r2,
      boundName: "loop over doubles",
      more: false,
    },
    {
      name: `R2 from hours: ${members.length} meters summed over a year`,
      value: r2hourly,
      unit: "ms",
      bound: file.r2hourly,
      boundName: "preads and a loop",
      more: false,
    },
  ];
}

/** Durable deliveries of a day of hours. */
export async function deliveries(world: World): Promise<Row[]> {
  const fsyncs = serialSyncs();
  const day = (meter: number, which: number): Batch => ({
    document: { source: "day" },
    runs: [runOf(world.meters[meter]!, dayOf(meter + 7 * which), hours + 24 * which)],
  });
  const own = await perSecond({ count: 1_200, clients: 8 }, (i) =>
    ingest(world.db, [day(i % world.meters.length, 0)], now),
  );
  const queue = new Deliveries(world.db);
  const together = await perSecond({ count: 8_000, clients: 400 }, (i) =>
    queue.deliver(day(i % world.meters.length, 1 + Math.floor(i / world.meters.length)), now),
  );
  const batched = await perSecond({ count: 120, clients: 3 }, (i) => {
    const runs = Array.from({ length: 64 }, (_, k) => (i * 64 + k) % world.meters.length).map(
      (meter) => day(meter, 10 + Math.floor((i * 64) / world.meters.length)).runs[0]!,
    );
    return ingest(world.db, [{ document: { source: "batch" }, runs }], now);
  });
  const bound = { bound: fsyncs, boundName: "write + fdatasync, one after another" };
  return [
    { name: "deliveries, own transaction, 8 clients", value: own, unit: "meters/s", ...bound, more: true },
    { name: "deliveries, coalesced, 400 clients", value: together, unit: "meters/s", ...bound, more: true },
    { name: "deliveries, 64 meters a batch", value: batched * 64, unit: "meters/s", ...bound, more: true },
  ];
}

/** Corrections and the log. */
export async function corrections(world: World): Promise<Row[]> {
  const one = await timed(100, (i) => {
    const run = runOf(world.meters[(i * 13) % world.meters.length]!, Float64Array.of(i + 0.5), 5_000);
    return ingest(world.db, [{ document: { source: "correction" }, runs: [run] }], now + i);
  });
  return [{ name: "correction of one hour, day and month recomputed", value: one, unit: "ms", more: false }];
}

function flatFile(years: readonly Float64Array[]): { writePerSecond: number } {
  const folder = mkdtempSync(join(tmpdir(), "metertree-flat-"));
  const file = openSync(join(folder, "values"), "w");
  const start = performance.now();
  for (const year of years) writeSync(file, new Uint8Array(year.buffer));
  fdatasyncSync(file);
  const seconds = (performance.now() - start) / 1000;
  closeSync(file);
  rmSync(folder, { recursive: true });
  return { writePerSecond: (years.length * hours) / seconds };
}

function flatReads(years: readonly Float64Array[]) {
  const folder = mkdtempSync(join(tmpdir(), "metertree-flat-"));
  const name = join(folder, "values");
  const out = openSync(name, "w");
  for (const year of years) writeSync(out, new Uint8Array(year.buffer));
  closeSync(out);
  const file = openSync(name, "r");
  const buffer = new Float64Array(hours);
  const bytes = new Uint8Array(buffer.buffer);
  const read = (meter: number, count: number) => readSync(file, bytes, 0, count * 8, meter * hours * 8);
  const sum = (count: number) => {
    const total = new Float64Array(count);
    for (let meter = 0; meter < years.length; meter++) {
      read(meter, count);
      for (let i = 0; i < count; i++) if (!Number.isNaN(buffer[i]!)) total[i]! += buffer[i]!;
    }
    return total;
  };
  const best = (rounds: number, work: (i: number) => unknown) => {
    const times = [];
    for (let i = 0; i < rounds + 2; i++) {
      const start = performance.now();
      work(i);
      times.push(performance.now() - start);
    }
    return times.slice(2).toSorted((a, b) => a - b)[Math.floor(rounds / 2)]!;
  };
  const months = new Float64Array(12 * years.length);
  const result = {
    r1: best(100, (i) => read((i * 37) % years.length, hours)),
    r3: best(9, () => sum(720)),
    r2: best(15, () => months.reduce((total, value) => total + value, 0)),
    r2hourly: best(5, () => sum(hours)),
  };
  closeSync(file);
  rmSync(folder, { recursive: true });
  return result;
}
