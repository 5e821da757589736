import { accessSync, constants, existsSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { allAccounts, brokenAudit } from "../accounts/accounts.ts";
import { tryBrowser } from "../collection/collection.ts";
import type { Config } from "../config.ts";
import { checkRole, type Database, migrateDatabase, openDatabase, openPool } from "../database.ts";
import { distributedTables } from "../distributed-tables.ts";
import { oddWorker, readCitus } from "../platform/citus.ts";
import { systemClock } from "../platform/clock.ts";
import { type Db, raw, sql } from "../platform/db.ts";
import { jobLag } from "../platform/jobs.ts";
import { loadKeys } from "../platform/secrets.ts";
import { isZone } from "../platform/time/zone.ts";
import { keySource, settingsOf } from "../settings.ts";
import type { Outcome } from "./context.ts";

/** One thing that was looked at. */
interface Finding {
  name: string;
  /** `warning`: it works, but should not stay so. */
  state: "ok" | "warning" | "failed";
  /** What was found, and for everything but `ok` the remedy. */
  message: string;
}

const ok = (name: string, message: string): Finding => ({ name, state: "ok", message });
const warning = (name: string, message: string): Finding => ({ name, state: "warning", message });
const failed = (name: string, message: string): Finding => ({ name, state: "failed", message });

/** Findings for people and for programs; exit code 1 when one failed. */
export function outcomeOf(findings: Finding[]): Outcome {
  const isHealthy = findings.every((finding) => finding.state !== "failed");
  const mark = { ok: "ok     ", warning: "warning", failed: "FAILED " };
  const lines = findings.map(({ name, state, message }) => `${mark[state]}  ${name.padEnd(12)}  ${message}`);
  return { json: { healthy: isHealthy, checks: findings }, text: lines.join("\n"), code: isHealthy ? 0 : 1 };
}

/** Looks at everything that a server of this configuration needs, without changing anything. */
export async function examine(config: Config): Promise<Finding[]> {
  const findings = [zones(), ...(await folder(config)), await tried("browser", () => browser(config))];
  let database: Database | undefined;
  try {
    database = await openDatabase(config, { mode: "beside", log: () => undefined });
    findings.push(ok("database", database.place));
    findings.push(...(await insideOf(database, config)));
  } catch (error) {
    findings.push(failed("database", (error as Error).message));
  } finally {
    await database?.stop();
  }
  return findings;
}

/** Local days and months are cut by the zone rules of this Node.js. */
function zones(): Finding {
  const { tz } = process.versions;
  // Kazakhstan has had one zone since March 2024: rules from before put its days in the wrong place.
  const isCurrent = new Intl.DateTimeFormat("en", {
    timeZone: "Asia/Almaty",
    hour: "numeric",
    hourCycle: "h23",
  })
    .format(Date.UTC(2025, 0, 1))
    .startsWith("05");
  const message = `time zone rules ${tz ?? "unknown"}`;
  return isCurrent
    ? ok("zones", message)
    : warning("zones", `${message} are older than 2024: update Node.js.`);
}

const freeBytesMin = 1_000_000_000;
const freeBytesWarn = 10_000_000_000;

async function folder({ dataDir }: Config): Promise<Finding[]> {
  const existing = existsSync(dataDir) ? dataDir : dirname(dataDir);
  try {
    accessSync(existing, constants.W_OK);
  } catch {
    return [failed("folder", `${existing} cannot be written. Change its owner, or use another --data-dir.`)];
  }
  const { bavail, bsize } = await statfs(existing);
  const free = bavail * bsize;
  const message = `${(free / 1e9).toFixed(1)} GB free at ${dataDir}`;
  if (free < freeBytesMin)
    return [failed("disk", `${message}. Free space before the database stops writing.`)];
  return [free < freeBytesWarn ? warning("disk", `${message}. Plan for more space.`) : ok("disk", message)];
}

/** One is only needed for providers that are asked through a browser. */
async function browser(config: Config): Promise<Finding> {
  const { isInstalled, trouble } = await tryBrowser(settingsOf(config).browser);
  if (trouble === undefined) return ok("browser", "a browser starts");
  if (isInstalled) return warning("browser", trouble);
  return config.chromiumPath === null
    ? ok("browser", `${trouble} Only some providers need one.`)
    : warning("browser", trouble);
}

async function insideOf(database: Database, config: Config): Promise<Finding[]> {
  const schema = await tried("schema", async () => {
    const { before, after, applied, jobs } = await migrateDatabase(database, { dryRun: true });
    if (applied.length === 0 && !jobs) return ok("schema", `schema ${after}`);
    return before === 0
      ? warning("schema", "the database is empty; the first start makes the tables.")
      : warning(
          "schema",
          `schema ${before}, this program needs ${after}: start it, or run \`metertree migrate\`.`,
        );
  });
  // Without tables there is nothing more to look at.
  if (schema.state !== "ok") return [schema];
  const db = openPool(database, config, "metertree doctor");
  try {
    const checks: [string, () => Promise<Finding>][] = [
      ["role", () => role(db, config)],
      ["clock", () => clock(db)],
      ["durability", () => durability(db)],
      ["machines", () => machines(db)],
      ["keys", () => keys(db, config)],
      ["jobs", () => jobs(db)],
      ["accounts", () => accounts(db)],
    ];
    const findings = [schema];
    for (const [name, check] of checks) findings.push(await tried(name, check));
    return findings;
  } finally {
    await db.close();
  }
}

async function tried(name: string, check: () => Promise<Finding>): Promise<Finding> {
  try {
    return await check();
  } catch (error) {
    return failed(name, (error as Error).message);
  }
}

async function role(db: Db, config: Config): Promise<Finding> {
  await checkRole(db, { ...config, allowPrivilegedDatabaseRole: false });
  const { name } = await db.one<{ name: string }>(sql`select current_user as name`);
  return ok("role", `the server acts as ${name}, which owns nothing`);
}

const skewSecondsMax = 5;

async function clock(db: Db): Promise<Finding> {
  const { at } = await db.one<{ at: number }>(
    sql`select (extract(epoch from clock_timestamp()) * 1000)::float8 as at`,
  );
  const seconds = Math.abs(at - systemClock.now()) / 1000;
  const message = `the clocks of server and database differ by ${seconds.toFixed(1)} s`;
  return seconds < skewSecondsMax ? ok("clock", message) : warning("clock", `${message}: set both by NTP.`);
}

async function durability(db: Db): Promise<Finding> {
  const found = await db.one<{ fsync: string; pages: string; commit: string }>(
    sql`select current_setting('fsync') as fsync, current_setting('full_page_writes') as pages,
               current_setting('synchronous_commit') as commit`,
  );
  if (found.fsync === "off" || found.pages === "off") {
    return failed(
      "durability",
      "fsync or full_page_writes is off: a power failure destroys the database. Turn both on.",
    );
  }
  return found.commit === "off"
    ? warning("durability", "synchronous_commit is off: a crash loses the last moments. Turn it on.")
    : ok("durability", "what is acknowledged is on disk");
}

/** Where the values lie: here, or spread over machines that all answer and keep what they acknowledge. */
async function machines(db: Db): Promise<Finding> {
  const ask = async (text: string) => ({ rows: await db.rows(raw(text)) });
  const state = await readCitus(ask);
  const missing = distributedTables.filter((table) => state?.tables.has(table) !== true);
  if (state === null || missing.length === distributedTables.length) {
    return ok("machines", "all values are on one database server");
  }
  const silent = state.nodes.find((node) => !node.isActive);
  if (silent !== undefined)
    return failed("machines", `${silent.name}:${silent.port} is not active. Start it.`);
  const odd = await oddWorker(ask, {
    statement: "select current_setting('fsync') || ' ' || current_setting('full_page_writes')",
    expected: "on on",
  });
  if (odd !== undefined) {
    return failed(
      "machines",
      `${odd.worker} does not answer, or forgets after a power failure (fsync, full_page_writes): ${odd.said}.`,
    );
  }
  if (missing.length > 0) {
    return warning("machines", `not spread yet: ${missing.join(", ")}. Run \`metertree distribute\`.`);
  }
  const holders = state.nodes.filter((node) => node.shards > 0).length;
  const { shards } = state.tables.get("block")!;
  return ok("machines", `values are spread over ${holders} machines in ${shards} shards; all answer`);
}

async function keys(db: Db, config: Config): Promise<Finding> {
  const { masterId } = await loadKeys({ db, clock: systemClock, source: keySource(config, false) });
  return ok("keys", `key ${masterId} fits the database`);
}

const lagSecondsMax = 600;

async function jobs(db: Db): Promise<Finding> {
  const lags = await jobLag(db);
  const late = lags.filter((lag) => lag.oldestSeconds > lagSecondsMax);
  const dead = lags.filter((lag) => lag.dead > 0);
  if (late.length > 0) {
    const names = late.map((lag) => `${lag.waiting} ${lag.kind}`).join(", ");
    return failed(
      "jobs",
      `waiting for more than 10 minutes: ${names}. Start a server with the role all or worker.`,
    );
  }
  if (dead.length > 0) {
    const names = dead.map((lag) => `${lag.dead} ${lag.kind}`).join(", ");
    return warning("jobs", `given up after all attempts: ${names}. The log of the server says why.`);
  }
  const waiting = lags.reduce((sum, lag) => sum + lag.waiting, 0);
  return ok("jobs", `${waiting} waiting, none late`);
}

/** Zones of accounts are known here, and nobody changed the audit log behind the server's back. */
async function accounts(db: Db): Promise<Finding> {
  const all = await allAccounts(db);
  const lost = all.filter((account) => !isZone(account.timezone));
  if (lost.length > 0) {
    const names = [...new Set(lost.map((account) => account.timezone))].join(", ");
    return failed("accounts", `this Node.js does not know the zones ${names}: update it.`);
  }
  for (const account of all) {
    const line = await brokenAudit(db, account.id);
    if (line !== null) {
      return failed(
        "accounts",
        `line ${line} of the audit log of account ${account.id} was changed or removed by somebody with access to the database.`,
      );
    }
  }
  return ok("accounts", `${all.length} accounts, audit log whole`);
}
