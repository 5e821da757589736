import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { createAccount } from "../server/src/accounts/accounts.ts";
import { createMeters, type MeterType } from "../server/src/meters/meters.ts";
import { type Db, openDb, sql } from "../server/src/platform/db.ts";
import { migrate } from "../server/src/platform/migrate.ts";
import { openPostgres } from "../server/src/platform/postgres/postgres.ts";
import type { RootMeter, Run } from "../server/src/series/series.ts";
import { dice } from "./dice.ts";

/** The year that is measured: hours in UTC, so that a peer without time zones holds the same. */
export const yearStart = Date.UTC(2025, 0, 1);
export const hours = 8_760;
const hour = 3_600_000;

/** A server of its own with durable settings, and the meters of one account spread over parts. */
export interface World {
  db: Db;
  runtimeUrl: string;
  ownerUrl: string;
  /** Folder that goes with the world. */
  dataDir: string;
  accountId: string;
  meters: RootMeter[];
  /** Lets the planner know the tables, as autovacuum does. */
  analyze(): Promise<void>;
  stop(): Promise<void>;
}

/** Opens a fresh database with fsync on and makes `count` meters in `parts` parts. */
export async function openWorld(count: number, parts: number): Promise<World> {
  const dataDir = mkdtempSync(join(tmpdir(), "metertree-bench-"));
  const postgres = await openPostgres({ dataDir, mode: "serve", log: () => undefined, now: Date.now });
  const folder = new URL("../server/migrations/", import.meta.url);
  await migrate({ url: postgres.ownerUrl, folder, runtimeRole: "metertree_runtime" });
  const db = openDb({
    url: postgres.runtimeUrl,
    connectionsMax: 12,
    statementTimeoutMs: 600_000,
    applicationName: "bench",
  });
  const { account, meters } = await db.transaction(async (tx) => {
    const account = await createAccount(tx, { name: "Bench", timezone: "UTC", now: Date.now() });
    await tx.run(sql`update account set part = 1000, parts = ${parts} where id = ${account.id}`);
    const specs = Array.from({ length: count }, (_, i) => ({
      type: typeOf(i),
      ean: `735999${String(i).padStart(12, "0")}`,
      timezone: "UTC",
      box: "active" as const,
    }));
    return {
      account,
      meters: await createMeters(tx, { holderId: account.id, now: Date.now(), actorId: null }, specs),
    };
  });
  return {
    db,
    runtimeUrl: postgres.runtimeUrl,
    ownerUrl: postgres.ownerUrl,
    dataDir,
    accountId: account.id,
    meters: meters.map(({ id, part, timezone }) => ({ id, part, timezone })),
    async analyze() {
      const owner = openDb({
        url: postgres.ownerUrl,
        connectionsMax: 1,
        statementTimeoutMs: 600_000,
        applicationName: "bench",
      });
      await owner.run(sql`analyze`);
      await owner.close();
    },
    async stop() {
      await db.close();
      await postgres.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

export const silent = pino({ level: "silent" });

const kinds: MeterType[] = ["electricity", "electricity", "heat", "water", "sensor"];

function typeOf(meter: number): MeterType {
  return kinds[meter % kinds.length]!;
}

/** The metric that is loaded: energy for all, so that sums over all meters have one. */
export const metric = "energy";

/** A year of hours of a meter: thousandths, 1 % gaps (NaN). */
export function yearOf(meter: number): Float64Array {
  const random = dice(meter + 1);
  const level = 0.3 + 5 * random() ** 3;
  const kind = typeOf(meter);
  return Float64Array.from({ length: hours }, (_, i) => {
    const noise = random();
    if (random() < 0.01) return Number.NaN;
    const use = level * (1 + 0.6 * Math.sin((i / 24) * 2 * Math.PI)) * (0.5 + noise);
    const value = kind === "heat" ? Math.round(200 * use) / 10 : kind === "water" && noise < 0.6 ? 0 : use;
    return Math.round(1000 * value) / 1000;
  });
}

/** A day of hours without gaps; cheap, so that making it is no part of what is measured. */
export function dayOf(seed: number): Float64Array {
  const random = dice(seed + 1);
  return Float64Array.from({ length: 24 }, () => Math.round(2000 * random()) / 1000);
}

/** The values of a meter as a run, gaps left out. */
export function runOf(meter: RootMeter, values: Float64Array, firstHour = 0): Run {
  const present = [...values.keys()].filter((i) => !Number.isNaN(values[i]!));
  return {
    meter,
    metric,
    granularity: "hour",
    starts: Float64Array.from(present, (i) => yearStart + (firstHour + i) * hour),
    values: Float64Array.from(present, (i) => values[i]!),
    quality: "measured",
  };
}

/** Median of a list. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** Median milliseconds of a piece of work over rounds, after a warm-up. */
export async function timed(
  rounds: number,
  work: (round: number) => Promise<unknown> | unknown,
): Promise<number> {
  for (let i = 0; i < Math.min(3, rounds); i++) await work(i);
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const start = performance.now();
    await work(i);
    times.push(performance.now() - start);
  }
  return median(times);
}
