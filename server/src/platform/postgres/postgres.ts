import { mkdirSync, realpathSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { Problem } from "../problem.ts";
import { chooseAccount } from "./account.ts";
import { findBinaries, installedPackage } from "./binaries.ts";
import { names, placeCluster, prepareCluster, readSecrets, type Secrets } from "./cluster.ts";
import { type FolderLock, folderOwner, takeFolder } from "./lock.ts";
import { limitLog, rotateLog } from "./log-file.ts";
import {
  type Endpoint,
  livePostmaster,
  type Postmaster,
  readPidFile,
  type Start,
  startPostmaster,
  stopPostmaster,
} from "./postmaster.ts";

export { waitForServer } from "./wait.ts";

/** How to open the database of a data folder. */
export interface PostgresOptions {
  /** Made when it does not exist. */
  dataDir: string;
  /**
   * `serve`: this process owns the database until it stops. `beside`: a command that uses the database of the
   * server that runs, or runs it for as long as the command takes.
   */
  mode: "serve" | "beside";
  /** Told what an operator wants to know: places, recoveries, restarts. Never a password. */
  log: (message: string) => void;
  /** Epoch milliseconds. */
  now: () => number;
  /** Settings of PostgreSQL that go before ours (but for where it listens), such as `{ fsync: "off" }` in tests. */
  settings?: Record<string, string>;
  /** User that the database runs as when we are root. */
  dbUser?: string;
  /** Folder `native` of a binary package; the installed one otherwise. */
  native?: string;
  /**
   * For what cannot stay where it is: a copy of the programs, and as root clusters whose data folder is closed
   * to the database's user. `/var/lib/metertree` for root, `~/.cache/metertree` otherwise.
   */
  sharedDir?: string;
}

/** A database that accepts connections. */
export interface RunningPostgres {
  /** Connection string of the role that owns the database: migrations, backups. */
  readonly ownerUrl: string;
  /** Connection string of the role of the server, which owns nothing. */
  readonly runtimeUrl: string;
  /** Version as the server prints it, such as `18.4`. */
  readonly version: string;
  /** Milliseconds that opening took. */
  readonly startedMs: number;
  /** `false`: another Metertree process runs it, and `stop` leaves it running. */
  readonly owned: boolean;
  /** Folder with the files of the database. */
  readonly cluster: string;
  /** Stops what this call started and frees the folder; returns when the database is gone. Repeating is harmless. */
  stop(): Promise<void>;
}

/**
 * Sizes measured for the block store on a small machine. Parallel plans are off: queries here are short, and
 * containers have too little /dev/shm for them. Nothing of a statement's text or parameters reaches the log.
 */
const ourSettings = {
  cluster_name: "metertree",
  shared_buffers: "256MB",
  max_connections: "100",
  max_wal_size: "2GB",
  min_wal_size: "160MB",
  checkpoint_timeout: "15min",
  wal_compression: "off", // these programs only have pglz, which costs more than it saves
  fsync: "on",
  jit: "off",
  max_parallel_workers_per_gather: "0",
  random_page_cost: "1.1",
  timezone: "UTC",
  log_timezone: "UTC",
  log_checkpoints: "off",
  log_min_messages: "error",
  log_min_error_statement: "panic",
  log_error_verbosity: "terse",
  unix_socket_permissions: "0700",
};

/** A command holds the folder for a short time: others wait so long for it. */
const commandWaitMs = 10_000;
/** A server that has the folder but is not ready yet, as after a crash, is waited for so long. */
const serverWaitMs = 120_000;

/**
 * Starts the database below `dataDir`, or attaches to it. Safe against what a crash leaves behind: an orphaned
 * database is stopped cleanly and started again, nothing acknowledged is lost. Throws a `Problem` that names the
 * reason and the remedy; among them that another server uses the folder, with its pid.
 */
export async function openPostgres(options: PostgresOptions): Promise<RunningPostgres> {
  const begun = performance.now();
  const dataDir = makeFolder(options.dataDir);
  for (;;) {
    const lock = takeFolder(dataDir, { mode: options.mode, now: options.now() });
    if (lock !== undefined) return own(options, { dataDir, lock, begun });
    const owner = folderOwner(dataDir);
    if (owner?.mode === "serve" && options.mode === "beside") {
      const attached = await attach(dataDir, begun);
      if (attached !== undefined) return attached;
    }
    const serving = owner?.mode === "serve";
    const waited = performance.now() - begun;
    if (serving ? options.mode === "serve" || waited > serverWaitMs : waited > commandWaitMs) {
      throw busy(dataDir, serving ? "server" : "command", owner);
    }
    await delay(50);
  }
}

function busy(dataDir: string, what: string, owner: { pid: number; since: string } | undefined): Problem {
  const who =
    owner === undefined ? "another Metertree process" : `the Metertree ${what} with process id ${owner.pid}`;
  const since = owner === undefined ? "" : ` since ${owner.since}`;
  return new Problem(
    "unavailable",
    `The data folder ${dataDir} is in use by ${who}${since}. Stop that process, or use another data folder.`,
  );
}

function makeFolder(path: string): string {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return realpathSync(path);
  } catch (error) {
    throw new Problem("unavailable", `The data folder ${path} cannot be used: ${(error as Error).message}`);
  }
}

async function own(
  options: PostgresOptions,
  held: { dataDir: string; lock: FolderLock; begun: number },
): Promise<RunningPostgres> {
  const locks = [held.lock];
  try {
    const { start, secrets } = await prepare(options, held.dataDir, locks);
    const server = await supervise(start, options.log);
    return {
      ...urls(server.endpoint, secrets),
      version: start.binaries.version,
      startedMs: performance.now() - held.begun,
      owned: true,
      cluster: start.cluster,
      async stop() {
        await server.stop();
        for (const lock of locks) lock.release();
      },
    };
  } catch (error) {
    for (const lock of locks) lock.release();
    throw error;
  }
}

async function prepare(
  options: PostgresOptions,
  dataDir: string,
  locks: FolderLock[],
): Promise<{ start: Start; secrets: Secrets }> {
  const { log } = options;
  const isRoot = process.geteuid?.() === 0;
  const sharedDir =
    options.sharedDir ?? (isRoot ? "/var/lib/metertree" : join(homedir(), ".cache", "metertree"));
  const owners = [join(dataDir, "postgres"), dataDir].flatMap(
    (path) => statSync(path, { throwIfNoEntry: false })?.uid ?? [],
  );
  const account = chooseAccount({ wanted: options.dbUser, owners, log });
  const cluster = placeCluster({ dataDir, sharedDir, account, log });
  if (dirname(cluster) !== dataDir) {
    // Two copies of a data folder point to one cluster.
    const lock = takeFolder(dirname(cluster), { mode: options.mode, now: options.now() });
    if (lock === undefined) throw busy(dirname(cluster), "process", folderOwner(dirname(cluster)));
    locks.push(lock);
  }
  const native = options.native ?? installedPackage();
  const binaries = findBinaries({ native, cacheDir: sharedDir, account, log });
  const orphan = livePostmaster(cluster);
  if (orphan !== undefined) {
    log(`the database was still running (process ${orphan}) after its server had ended: it is started anew`);
    await stopPostmaster(orphan, cluster);
  }
  const settings = { ...ourSettings, ...options.settings };
  const secrets = prepareCluster({
    cluster,
    dataDir,
    binaries,
    account,
    unsafe: settings.fsync === "off",
    log,
  });
  const logPath = join(dataDir, "postgres.log");
  rotateLog(logPath);
  return { start: { cluster, binaries, account, logPath, settings }, secrets };
}

/** Keeps the server running until `stop`: one that dies is started again where clients expect it. */
async function supervise(
  start: Start,
  log: (message: string) => void,
): Promise<{ endpoint: Endpoint; stop(): Promise<void> }> {
  let current: Postmaster | undefined = await startPostmaster(start);
  const { endpoint } = current;
  log(`the database listens at ${endpoint.host}, port ${endpoint.port}`);
  const stopping = new AbortController();
  const watch = async () => {
    while (!stopping.signal.aborted) {
      const end = await current!.exited;
      current = undefined;
      if (stopping.signal.aborted) return;
      log(`the database ended unexpectedly (${end}); it is started again`);
      current = await restart({ ...start, endpoint }, stopping.signal, log);
    }
  };
  const watching = watch();
  const onExit = () => {
    const pid = livePostmaster(start.cluster);
    if (pid !== undefined) process.kill(pid, "SIGINT");
  };
  process.on("exit", onExit);
  const limiting = setInterval(() => limitLog(start.logPath), 60_000).unref();
  return {
    endpoint,
    async stop() {
      stopping.abort();
      clearInterval(limiting);
      current?.hold();
      const pid = current?.pid ?? livePostmaster(start.cluster);
      if (pid !== undefined) await stopPostmaster(pid, start.cluster);
      await watching;
      process.off("exit", onExit);
    },
  };
}

/** Tries until it works or is no longer wanted, every 5 s at last: a full disk may be cleared meanwhile. */
async function restart(
  start: Start,
  stopped: AbortSignal,
  log: (message: string) => void,
): Promise<Postmaster | undefined> {
  for (let waitMs = 100; !stopped.aborted; waitMs = Math.min(waitMs * 2, 5000)) {
    try {
      const server = await startPostmaster(start);
      if (stopped.aborted) await stopPostmaster(server.pid, start.cluster);
      else log("the database accepts connections again");
      return stopped.aborted ? undefined : server;
    } catch (error) {
      log((error as Error).message);
      await delay(waitMs, undefined, { signal: stopped }).catch(() => undefined);
    }
  }
  return undefined;
}

/** Connects to the server that another process runs; `undefined` while it is not ready. */
async function attach(dataDir: string, begun: number): Promise<RunningPostgres | undefined> {
  const secrets = readSecrets(dataDir);
  const cluster = join(dataDir, "postgres");
  const file = readPidFile(cluster);
  if (secrets === undefined || file?.status !== "ready") return undefined;
  const addresses = urls(file.endpoint, secrets);
  const client = new pg.Client({ connectionString: addresses.runtimeUrl, connectionTimeoutMillis: 5000 });
  try {
    await client.connect();
    const { rows } = await client.query<{ version: string }>(
      "select current_setting('server_version') as version",
    );
    return {
      ...addresses,
      version: rows[0]!.version,
      startedMs: performance.now() - begun,
      owned: false,
      cluster: realpathSync(cluster),
      stop: async () => undefined,
    };
  } catch {
    return undefined; // it is about to stop, or the file is left from an earlier run: the caller looks again
  } finally {
    await client.end().catch(() => undefined);
  }
}

function urls(endpoint: Endpoint, secrets: Secrets): { ownerUrl: string; runtimeUrl: string } {
  const url = (role: string, password: string) =>
    endpoint.host.startsWith("/")
      ? `postgresql://${role}:${password}@localhost/${names.database}?host=${encodeURIComponent(endpoint.host)}&port=${endpoint.port}`
      : `postgresql://${role}:${password}@${endpoint.host}:${endpoint.port}/${names.database}`;
  return { ownerUrl: url(names.owner, secrets.owner), runtimeUrl: url(names.runtime, secrets.runtime) };
}
