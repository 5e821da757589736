import type { FastifyInstance } from "fastify";
import type { Logger } from "pino";
import type { Connector } from "./collection/connector.ts";
import type { Config } from "./config.ts";
import { checkRole, type Database, migrateDatabase, openDatabase, openPool, portsOf } from "./database.ts";
import { type Clock, systemClock } from "./platform/clock.ts";
import type { Deps } from "./platform/deps.ts";
import { makeEgress } from "./platform/egress/egress.ts";
import { openJobs } from "./platform/jobs.ts";
import { makeLog } from "./platform/log.ts";
import { loadKeys } from "./platform/secrets.ts";
import { keySource, settingsOf, version } from "./settings.ts";

/** A server that answers. */
export interface RunningServer {
  /** Where this machine reaches it, without a trailing slash. */
  url: string;
  deps: Deps;
  /** What answers, for requests without a network. */
  app: FastifyInstance;
  database: Database;
  /** Nobody can log in yet. */
  isEmpty: boolean;
  /** Begins to collect, with `isCollectionHeld`. */
  collect(): void;
  /** How many runs of connections are on in this process. */
  running(): number;
  /** Something to end before all that was started until now. */
  atEnd(end: () => Promise<void>): void;
  /** Ends it in order: requests, jobs, connections, the embedded database. Repeating waits for the same end. */
  stop(): Promise<void>;
}

export interface StartOptions {
  /** Take the next free port when the configured one is taken, of so many. */
  portsTried?: number;
  /** Collect only when told to: the provider is started later. */
  isCollectionHeld?: boolean;
  /** The time that the server lives in, when it is not that of the machine. */
  clock?: Clock;
  /** Connectors to collect with, when they are not those of this program. */
  connectors?: readonly Connector[];
}

const drainMs = 10_000;

/**
 * Starts a server: database, tables, role, keys, HTTP, jobs. What was started is stopped again when a later step fails.
 * Throws a `Problem` with the remedy for everything that an operator can put right.
 */
export async function start(config: Config, options: StartOptions = {}): Promise<RunningServer> {
  const log = makeLog({ level: config.logLevel, destination: process.stderr });
  const clock = options.clock ?? systemClock;
  const ends: (() => Promise<void>)[] = [];
  const stop = once(() => endAll(ends, log));
  try {
    const opening = openDatabase(config, { mode: "serve", log: (message) => log.info(message) });
    ends.push(async () => (await opening.catch(() => undefined))?.stop());
    // Loading what answers requests takes as long as starting the database, which is another process.
    const [
      { makeApp, listen },
      { connectors, jobKinds },
      { hasNoAccounts },
      { checkSetups, startCollecting },
    ] = await Promise.all([
      import("./web.ts"),
      import("./app.ts"),
      import("./accounts/accounts.ts"),
      import("./collection/collection.ts"),
    ]);
    checkSetups(options.connectors ?? connectors, config.providers);
    const database = await opening;
    const migrated = await migrateDatabase(database);
    if (migrated.applied.length > 0) {
      log.info({ migrations: migrated.applied }, "the schema is up to date now");
    }
    const db = openPool(database, config, "metertree");
    ends.push(() => db.close());
    await checkRole(db, config);
    const keys = await loadKeys({ db, clock, source: keySource(config, true) });
    const jobs = openJobs({ ...database.runtime, db, log });
    ends.push(() => jobs.stop(drainMs));
    const settings = settingsOf(config);
    const egress = makeEgress({ allow: settings.egressAllow, portsNever: portsOf(database) });
    ends.push(() => egress.close());
    const deps: Deps = { db, clock, log, keys, jobs, settings, egress };
    const app = makeApp(config, deps);
    ends.push(() => app.close());
    const url = await listen(app, config, options.portsTried ?? 1);
    settings.publicUrl = config.publicUrl ?? url;
    let collector: ReturnType<typeof startCollecting> | undefined;
    const collect = () => {
      collector = startCollecting(deps, options.connectors ?? connectors);
      ends.push(collector.stop);
    };
    const running = () => collector?.running() ?? 0;
    if (config.role !== "web") {
      await jobs.work(jobKinds, deps);
      if (options.isCollectionHeld !== true) collect();
    }
    log.info({ url, version, role: config.role, database: database.place }, "listening");
    const atEnd = (end: () => Promise<void>) => void ends.push(end);
    return { url, deps, app, database, isEmpty: await hasNoAccounts(db), collect, running, atEnd, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function once(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return () => (running ??= work());
}

/** Last started, first ended. An end that fails is told and must not keep the others from theirs. */
async function endAll(ends: (() => Promise<void>)[], log: Logger): Promise<void> {
  for (const end of ends.reverse()) {
    await end().catch((error: unknown) =>
      log.error({ err: error }, "a part of the server did not stop cleanly"),
    );
  }
}
