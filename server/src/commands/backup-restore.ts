import { createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import type { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import pg from "pg";
import { from as copyFrom } from "pg-copy-streams";
import { allParts, hasNoAccounts } from "../accounts/accounts.ts";
import { jobKinds } from "../app.ts";
import { liftHeads } from "../changes/changes.ts";
import type { Config } from "../config.ts";
import {
  type Database,
  knownSchema,
  migrateDatabase,
  migrateTables,
  openDatabase,
  openPool,
} from "../database.ts";
import { readArchive } from "../platform/archive.ts";
import { systemClock } from "../platform/clock.ts";
import { openDb, sql, type Tx } from "../platform/db.ts";
import { openJobs } from "../platform/jobs.ts";
import { makeLog } from "../platform/log.ts";
import { schemaVersion } from "../platform/migrate.ts";
import { Problem } from "../platform/problem.ts";
import { masterIds } from "../platform/secrets.ts";
import { keySource } from "../settings.ts";
import { type BackupHeader, type BackupManifest, keptFolders, verifyBackup, wholeOf } from "./backup-file.ts";
import type { Outcome } from "./context.ts";

interface Backup {
  path: string;
  header: BackupHeader;
  manifest: BackupManifest;
}

/** Fills an empty database from a backup; with `force`, whatever it holds is thrown away first. */
export async function restore(
  config: Config,
  { path, force }: { path: string; force: boolean },
): Promise<Outcome> {
  const backup: Backup = { path, ...(await verifyBackup(path)) };
  await assertKeys(config, backup.header);
  const { schema } = backup.header;
  if (schema > knownSchema()) {
    throw new Problem(
      "invalid",
      `${path} has schema ${schema}, this program knows ${knownSchema()}. Restore it with a newer Metertree.`,
    );
  }
  const database = await openDatabase(config, { mode: "beside", log: () => undefined });
  try {
    const ownerUrl = await assertFree(database);
    await makeRoom(ownerUrl, { schema, force });
    await migrateTables(database, { upTo: schema });
    await load(ownerUrl, backup);
    await migrateDatabase(database);
    await sendJobs(database, config, backup.manifest);
    await restoreFiles(config.dataDir, backup);
  } finally {
    await database.stop();
  }
  const rows = Object.values(backup.manifest.tables).reduce((sum, entry) => sum + entry.rows, 0);
  return {
    json: { file: path, created: backup.header.created, rows, jobs: backup.manifest.jobs.length },
    text:
      `Restored ${rows} rows of ${backup.header.created}. ` +
      "Tokens, sessions and passwords are those of that time: revoke again what was revoked since.",
  };
}

/** Without its keys, a restored database would refuse to start: that is told before anything is changed. */
async function assertKeys(config: Config, { keys }: BackupHeader): Promise<void> {
  const source = keySource(config, false);
  const ours = await masterIds(source);
  const missing = keys.filter((id) => !ours.includes(id));
  if (missing.length === 0) return;
  const place = "file" in source ? `in ${source.file}` : "in METERTREE_KEYS";
  throw new Problem(
    "invalid",
    `The secrets in the backup are under key ${missing.join(", ")}, which is not ${place}. Put the keys that belong to the backup there first.`,
  );
}

/** The owner's connection string, when nobody else is at work in the database. */
async function assertFree({ kind, isShared, ownerUrl }: Database): Promise<string> {
  if (ownerUrl === null) {
    throw new Problem(
      "unavailable",
      "A restore writes every table: set DATABASE_MIGRATION_URL to their owner.",
    );
  }
  if (kind === "embedded") {
    if (!isShared) return ownerUrl;
    throw new Problem("conflict", "A server runs on this data folder. Stop it first.");
  }
  const others = await connected(ownerUrl, (client) =>
    client.query(
      `select from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
       and application_name like 'metertree%'`,
    ),
  );
  if (others.rowCount === 0) return ownerUrl;
  throw new Problem("conflict", "A Metertree process is connected to this database. Stop it first.");
}

async function connected<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, application_name: "metertree restore" });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Removes tables of another schema, or with `force` everything; refuses to do that to data otherwise. */
async function makeRoom(
  ownerUrl: string,
  { schema, force }: { schema: number; force: boolean },
): Promise<void> {
  const db = openDb({
    url: ownerUrl,
    connectionsMax: 1,
    statementTimeoutMs: 0,
    applicationName: "metertree restore",
  });
  try {
    const found = await db.borrow((connection) => schemaVersion((text) => connection.query(text)));
    if (found === 0) return;
    const isEmpty = await hasNoAccounts(db);
    if (!isEmpty && !force) {
      throw new Problem(
        "conflict",
        "The database holds accounts. Restore into an empty one (another data folder), or add --force to throw them away.",
      );
    }
    if (isEmpty && found === schema && !force) return;
    await db.transaction(dropAll);
  } finally {
    await db.close();
  }
}

async function dropAll(tx: Tx): Promise<void> {
  const relations = await tx.rows<{ name: string; kind: string }>(
    sql`select c.relname as name, c.relkind as kind from pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'S') and not c.relispartition
          and not exists (select from pg_depend d where d.objid = c.oid and d.deptype in ('e', 'i'))`,
  );
  for (const { name, kind } of relations) {
    await tx.connection.query(
      `drop ${kind === "S" ? "sequence" : "table"} if exists public.${pg.escapeIdentifier(name)} cascade`,
    );
  }
  await tx.connection.query("drop schema if exists pgboss cascade");
}

/** All rows in one transaction: a restore that fails leaves no half database behind. */
async function load(ownerUrl: string, backup: Backup): Promise<void> {
  const db = openDb({
    url: ownerUrl,
    connectionsMax: 1,
    statementTimeoutMs: 0,
    applicationName: "metertree restore",
  });
  try {
    await db.transaction(async (tx) => {
      // What migrations fill in is in the backup too.
      const names = backup.header.tables.map(({ name }) => pg.escapeIdentifier(name));
      await tx.connection.query(`truncate ${names.join(", ")}`);
      await loadTables(tx, backup);
      for (const { name, last, is_called } of backup.manifest.sequences) {
        await tx.run(
          sql`select setval(${`public.${pg.escapeIdentifier(name)}`}::regclass, ${last}, ${is_called})`,
        );
      }
      await liftHeads(tx, await allParts(tx), systemClock.now());
    });
    await db.borrow((connection) => connection.query("analyze"));
  } finally {
    await db.close();
  }
}

async function loadTables(tx: Tx, { path, header, manifest }: Backup): Promise<void> {
  const tables = new Map(header.tables.map((table) => [`tables/${table.name}`, table]));
  let whole: string | undefined;
  let finish = async () => {};
  let stream: Writable | undefined;
  for await (const entry of readArchive(path)) {
    const table = tables.get(wholeOf(entry) ?? "");
    if (table === undefined) continue;
    if (whole !== wholeOf(entry)) {
      await finish();
      whole = wholeOf(entry);
      const rows = openTable(tx, table);
      stream = rows;
      finish = () => closeTable(rows, table.name, manifest.tables[table.name]!.rows);
    }
    await written(stream!, entry.data);
  }
  await finish();
}

function openTable(tx: Tx, { name, columns }: BackupHeader["tables"][number]): ReturnType<typeof copyFrom> {
  const list = columns.map((column) => pg.escapeIdentifier(column)).join(", ");
  return tx.connection.query(copyFrom(`copy ${pg.escapeIdentifier(name)} (${list}) from stdin`));
}

async function closeTable(rows: ReturnType<typeof copyFrom>, name: string, expected: number): Promise<void> {
  await ended(rows);
  if (rows.rowCount === expected) return;
  throw new Error(`table ${name}: ${rows.rowCount} rows came in, ${expected} were written`);
}

function written(stream: Writable, data: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.once("error", reject);
    stream.write(data, (error) => {
      stream.off("error", reject);
      if (error) reject(error);
      else resolve();
    });
  });
}

function ended(stream: Writable): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.once("error", reject).once("finish", resolve).end();
  });
}

async function sendJobs(database: Database, config: Config, { jobs }: BackupManifest): Promise<void> {
  const known = new Set(jobKinds.map((kind) => kind.name));
  const wanted = jobs.filter((job) => known.has(job.name));
  if (wanted.length === 0) return;
  const db = openPool(database, config, "metertree restore");
  const queue = openJobs({ ...database.runtime, db, log: makeLog({ level: "silent" }) });
  try {
    await db.transaction(async (tx) => {
      for (const { name, data } of wanted) await queue.send(tx, name, data ?? {});
    });
  } finally {
    await queue.stop(1000);
    await db.close();
  }
}

async function restoreFiles(dataDir: string, { path, manifest }: Backup): Promise<void> {
  if (manifest.files.length === 0) return;
  const paths = new Map(manifest.files.map((file, i) => [`files/${i}`, pathBelow(dataDir, file.path)]));
  let last: string | undefined;
  for await (const entry of readArchive(path)) {
    const target = paths.get(wholeOf(entry) ?? "");
    if (target === undefined) continue;
    await mkdir(dirname(target), { recursive: true, mode: 0o700 });
    const flags = target === last ? "a" : "w";
    await pipeline([entry.data], createWriteStream(target, { flags, mode: 0o600 }));
    last = target;
  }
}

/** A backup is input: its names must not lead out of the data folder. */
function pathBelow(dataDir: string, name: string): string {
  const path = join(dataDir, name);
  if (keptFolders.every((folder) => relative(join(dataDir, folder), path).startsWith(".."))) {
    throw new Problem("invalid", `The backup holds a file outside of the data folder: ${name}`);
  }
  return path;
}
