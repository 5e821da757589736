import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { FastifyInstance } from "fastify";
import { authenticate, hasNoAccounts } from "./accounts/accounts.ts";
import { endpoints, jobKinds } from "./app.ts";
import type { Config } from "./config.ts";
import {
  checkRole,
  type Database,
  knownSchema,
  migrateDatabase,
  openDatabase,
  openPool,
} from "./database.ts";
import { systemClock } from "./platform/clock.ts";
import type { Db } from "./platform/db.ts";
import type { Deps, Settings } from "./platform/deps.ts";
import type { Ready } from "./platform/http/health.ts";
import { buildServer } from "./platform/http/server.ts";
import { watchJobs } from "./platform/job-metrics.ts";
import { jobLag, type OpenJobs, openJobs } from "./platform/jobs.ts";
import { makeLog } from "./platform/log.ts";
import { makeMetrics } from "./platform/metrics.ts";
import { schemaVersion } from "./platform/migrate.ts";
import { Problem } from "./platform/problem.ts";
import { type KeySource, loadKeys } from "./platform/secrets.ts";

/** A server that answers. */
export interface RunningServer {
  /** Where this machine reaches it, without a trailing slash. */
  url: string;
  deps: Deps;
  database: Database;
  /** Nobody can log in yet. */
  isEmpty: boolean;
  /** Ends it in order: requests, jobs, connections, the embedded database. Repeating waits for the same end. */
  stop(): Promise<void>;
}

export interface StartOptions {
  /** Take the next free port when the configured one is taken, of so many. */
  portsTried?: number;
}

const drainMs = 10_000;
/** Waiting jobs older than this make the server not ready: workers are missing or stuck. */
const lagSecondsMax = 600;

/** Version of the product. */
export const version = (
  JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string }
).version;

/**
 * Starts a server: database, tables, role, keys, jobs, HTTP. What was started is stopped again when a later step fails.
 * Throws a `Problem` with the remedy for everything that an operator can put right.
 */
export async function start(config: Config, options: StartOptions = {}): Promise<RunningServer> {
  const log = makeLog({ level: config.logLevel, destination: process.stderr });
  const ends: (() => Promise<void>)[] = [];
  const stop = once(async () => {
    for (const end of ends.reverse()) await end();
  });
  try {
    const database = await openDatabase(config, { mode: "serve", log: (message) => log.info(message) });
    ends.push(() => database.stop());
    const migrated = await migrateDatabase(database);
    if (migrated.applied.length > 0)
      log.info({ migrations: migrated.applied }, "the schema is up to date now");
    const db = openPool(database, config, "metertree");
    ends.push(() => db.close());
    await checkRole(db, config);
    const keys = await loadKeys({ db, clock: systemClock, source: keySource(config, true) });
    const jobs = openJobs({ ...database.runtime, db, log });
    ends.push(() => jobs.stop(drainMs));
    const settings = settingsOf(config);
    const deps: Deps = { db, clock: systemClock, log, keys, jobs, settings };
    const app = makeApp(config, deps);
    ends.push(() => app.close());
    const url = await listen(app, config, options.portsTried ?? 1);
    settings.publicUrl = config.publicUrl ?? url;
    if (config.role !== "web") await work(jobs, deps);
    log.info({ url, version, role: config.role, database: database.place }, "listening");
    return { url, deps, database, isEmpty: await hasNoAccounts(db), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Jobs begin after the first requests can be answered: loading the queue takes longer than everything before. */
async function work(jobs: OpenJobs, deps: Deps): Promise<void> {
  await jobs.work(jobKinds, deps);
}

function once(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return () => (running ??= work());
}

/** Where the master keys of this configuration are; `make` lets the first start make the file. */
export function keySource(config: Config, make: boolean): KeySource {
  if (config.keys !== null) return { text: config.keys };
  return { file: config.keyFile ?? join(config.dataDir, "keys.json"), make };
}

/** The part of the configuration that handlers see. */
export function settingsOf(config: Config): Settings {
  return {
    dataDir: config.dataDir,
    publicUrl: config.publicUrl ?? `http://localhost:${config.port}`,
    timezone: config.timezone,
    valuesMax: config.valuesMax,
    pageMax: config.pageMax,
    uploadBytesMax: config.uploadBytesMax,
    expandedBytesMax: config.expandedBytesMax,
    tokenInQuery: config.tokenInQuery,
  };
}

function makeApp(config: Config, deps: Deps): FastifyInstance {
  const metrics = makeMetrics({ version, process: true });
  watchJobs(metrics, () => jobLag(deps.db));
  const { ratePerSecond, rateBurst, trustedProxies } = config;
  return buildServer({
    // A worker answers only for its health.
    endpoints: config.role === "worker" ? [] : endpoints,
    deps,
    authenticate,
    version,
    ready: readiness(deps.db),
    rate: ratePerSecond === 0 ? null : { perSecond: ratePerSecond, burst: rateBurst },
    origins: config.origins,
    ...(trustedProxies.length === 0 ? {} : { trustedProxies }),
    metrics,
    metricsToken: config.metricsToken,
  });
}

function readiness(db: Db): Ready {
  const schema = knownSchema();
  return async () => {
    const found = await db.borrow((connection) => schemaVersion((text) => connection.query(text)));
    const late = (await jobLag(db)).filter((lag) => lag.oldestSeconds > lagSecondsMax);
    return {
      database: { ok: true },
      schema: {
        ok: found === schema,
        message: `schema ${found}, this program knows ${schema}`,
      },
      jobs: { ok: late.length === 0, message: late.map((lag) => `${lag.kind} is late`).join(", ") },
    };
  };
}

async function listen(app: FastifyInstance, config: Config, portsTried: number): Promise<string> {
  for (let port = config.port; ; port++) {
    try {
      await app.listen({ host: config.host, port });
      return `http://${shownHost(config.host)}:${(app.server.address() as AddressInfo).port}`;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const isTaken = code === "EADDRINUSE";
      if (isTaken && port < config.port + portsTried - 1) continue;
      throw new Problem(
        "unavailable",
        `Cannot listen on ${config.host}, port ${port}: ${reason(code, message)}`,
      );
    }
  }
}

function reason(code: string | undefined, message: string): string {
  if (code === "EADDRINUSE") {
    return "another program has it. Stop that one, or choose another port with --port or METERTREE_PORT.";
  }
  if (code === "EACCES") return "ports below 1024 need more rights. Choose another one with --port.";
  return `${message}. Correct --host or METERTREE_HOST.`;
}

/** Addresses that mean "all of this machine's" are no place to send a browser to. */
function shownHost(host: string): string {
  if (["0.0.0.0", "::", "127.0.0.1", "::1"].includes(host)) return "localhost";
  return host.includes(":") ? `[${host}]` : host;
}
