import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, chownSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import pg from "pg";
import type { Account } from "./account.ts";
import type { PostgresOptions } from "./postgres.ts";

/** For tests: a database whose loss does not matter. The log is collected. */
export function testOptions(dataDir: string, log: string[] = []): PostgresOptions {
  return {
    dataDir,
    mode: "serve",
    log: (message) => void log.push(message),
    now: Date.now,
    settings: { fsync: "off", shared_buffers: "16MB" },
  };
}

/** For tests: a short folder that every user may enter, owned by `account` when given. */
export function temporaryFolder(account?: Account): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "mt-pg-"));
  chmodSync(path, 0o755);
  if (account !== undefined) chownSync(path, account.uid, account.gid);
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** What a child process tells once its `openPostgres` has ended. */
export interface Opened {
  error?: string;
  ownerUrl: string;
  runtimeUrl: string;
  owned: boolean;
  cluster: string;
  startedMs: number;
  log: string[];
}

/** For tests: another Node process that opens a database. */
export interface OtherProcess {
  process: ChildProcess;
  opened: Promise<Opened>;
  /** Tells it to `stop` cleanly, or to `fail` by an exception that nobody catches. */
  tell(word: "stop" | "fail"): void;
  /** Fulfilled with the exit code, or the signal that ended it. */
  ended: Promise<number | string>;
  /** Everything that it printed on stderr. */
  errors(): string;
}

const program = `
import { openPostgres } from ${JSON.stringify(new URL("./postgres.ts", import.meta.url).href)};
const log = [];
const options = { ...JSON.parse(process.argv[1]), now: Date.now, log: (message) => log.push(message) };
const tell = (fact) => process.stdout.write(JSON.stringify(fact) + "\\n");
let database;
// A server drains first: it still needs the database when the terminal has sent Ctrl-C to everybody.
process.on("SIGINT", async () => {
  const { default: pg } = await import("pg");
  const client = new pg.Client({ connectionString: database.ownerUrl });
  await client.connect();
  await client.query("create table drained as select 1 as one");
  await client.end();
  await database.stop();
  process.exit(7);
});
try {
  database = await openPostgres(options);
  tell({ ...database, log });
  process.stdin.on("data", async (word) => {
    if (String(word).startsWith("fail")) throw new Error("nobody catches this");
    await database.stop();
    process.exit(0);
  });
} catch (error) {
  tell({ error: error.message, log });
}
`;

/** Opens a database in another process, as another user and in another process group when asked. */
export function openInChild(
  options: Partial<PostgresOptions> & { dataDir: string },
  as: { account?: { uid: number; gid: number }; ownGroup?: boolean; home?: string } = {},
): OtherProcess {
  const { log: _log, now: _now, ...plain } = { ...testOptions(options.dataDir), ...options };
  const child = spawn(process.execPath, ["--input-type=module", "-e", program, JSON.stringify(plain)], {
    stdio: ["pipe", "pipe", "pipe"],
    cwd: import.meta.dirname,
    env: { PATH: process.env.PATH, HOME: as.home ?? "/nonexistent" },
    detached: as.ownGroup ?? false,
    ...as.account,
  });
  let errors = "";
  child.stderr.on("data", (bytes: Buffer) => (errors += bytes.toString("utf8")));
  const ended = new Promise<number | string>((resolve) => {
    child.once("close", (code, signal) => resolve(code ?? signal ?? "unknown"));
  });
  const opened = new Promise<Opened>((resolve, reject) => {
    createInterface(child.stdout).once("line", (line) => resolve(JSON.parse(line) as Opened));
    void ended.then((end) => reject(new Error(`ended with ${end}: ${errors}`)));
  });
  opened.catch(() => undefined); // a test that only looks at the end has no use for it
  return {
    process: child,
    opened,
    tell: (word) => void child.stdin.write(`${word}\n`),
    ended,
    errors: () => errors,
  };
}

/** For tests: runs one statement on a connection of its own. */
export async function ask<Row extends pg.QueryResultRow>(url: string, text: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  // A test that kills the server hears of it from the statement; the connection's own report has no listener else.
  client.on("error", () => undefined);
  await client.connect();
  try {
    return (await client.query<Row>(text)).rows;
  } finally {
    await client.end();
  }
}
