import { existsSync } from "node:fs";
import { open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { to as copyTo } from "pg-copy-streams";
import { holdWriters } from "../changes/changes.ts";
import { type ArchiveEntry, writeArchive } from "../platform/archive.ts";
import { readCitus } from "../platform/citus.ts";
import { openDb, raw } from "../platform/db.ts";
import { schemaVersion } from "../platform/migrate.ts";
import { Problem } from "../platform/problem.ts";
import { usedMasterIds } from "../platform/secrets.ts";
import { version } from "../settings.ts";
import {
  type BackupHeader,
  type BackupManifest,
  filePiece,
  headerName,
  keptFolders,
  manifestName,
  Tally,
  tablePiece,
} from "./backup-file.ts";
import type { Context, Outcome } from "./context.ts";

const pieceBytes = 4 * 1024 * 1024;

/** Writes everything but the keys to a new file, as of one instant, beside a running server or without one. */
export async function backup(context: Context, path: string): Promise<Outcome> {
  const { database, config, clock, keySource } = context;
  if (existsSync(path))
    throw new Problem("conflict", `${path} exists. Choose another name, or move it away.`);
  if (database.ownerUrl === null) {
    throw new Problem(
      "unavailable",
      "A backup reads every table: set DATABASE_MIGRATION_URL to their owner.",
    );
  }
  const { ownerUrl } = database;
  const created = new Date(clock.now()).toISOString();
  const manifest = await whileNothingIsTorn(ownerUrl, () =>
    write(ownerUrl, { path, created, dataDir: config.dataDir }),
  );
  const { size } = await stat(path);
  const rows = Object.values(manifest.tables).reduce((sum, entry) => sum + entry.rows, 0);
  const keys =
    "file" in keySource ? ` The keys are not in it: keep a copy of ${keySource.file} elsewhere.` : "";
  return {
    json: { file: path, bytes: size, rows, tables: manifest.tables },
    text: `Wrote ${path}: ${rows} rows, ${(size / 1e6).toFixed(1)} MB.${keys}`,
  };
}

/**
 * One machine shows one instant by its snapshot. Several have none in common, so their writers wait meanwhile: each
 * of them needs the head of its part.
 */
async function whileNothingIsTorn<T>(ownerUrl: string, work: () => Promise<T>): Promise<T> {
  const db = openDb({
    url: ownerUrl,
    connectionsMax: 1,
    statementTimeoutMs: 0,
    applicationName: "metertree backup",
  });
  try {
    const state = await readCitus(async (text) => ({ rows: await db.rows(raw(text)) }));
    if (state === null || state.tables.size === 0) return await work();
    return await db.transaction(async (tx) => {
      await holdWriters(tx);
      return work();
    });
  } finally {
    await db.close();
  }
}

async function write(
  ownerUrl: string,
  { path, ...around }: { path: string; created: string; dataDir: string },
): Promise<BackupManifest> {
  let manifest: BackupManifest | undefined;
  const client = new pg.Client({ connectionString: ownerUrl, application_name: "metertree backup" });
  await client.connect();
  try {
    await client.query("set timezone = 'UTC'; set datestyle = 'ISO'; set bytea_output = 'hex'");
    await client.query("begin isolation level repeatable read, read only");
    await writeArchive(path, contentOf(client, { ...around, done: (found) => (manifest = found) }));
    await client.query("commit");
  } finally {
    await client.end();
  }
  return manifest!;
}

interface Surroundings {
  created: string;
  dataDir: string;
  done: (manifest: BackupManifest) => void;
}

async function* contentOf(client: pg.Client, around: Surroundings): AsyncGenerator<ArchiveEntry> {
  const tables = await tablesOf(client);
  const header: BackupHeader = {
    format: "metertree-backup",
    version: 1,
    schema: await schemaVersion((text) => client.query(text)),
    created: around.created,
    program: version,
    keys: await usedMasterIds((text) => client.query(text)),
    tables,
  };
  yield jsonEntry(headerName, header);
  const manifest: BackupManifest = { tables: {}, files: [], sequences: [], jobs: [] };
  for (const table of tables) manifest.tables[table.name] = yield* tableContent(client, table);
  for (const folder of keptFolders) yield* fileContent(around.dataDir, folder, manifest);
  // After the rows: a sequence may be ahead of them, never behind.
  manifest.sequences = await sequencesOf(client);
  manifest.jobs = await openJobsOf(client);
  yield jsonEntry(manifestName, manifest);
  around.done(manifest);
}

function jsonEntry(name: string, value: unknown): ArchiveEntry {
  return { name, data: Buffer.from(`${JSON.stringify(value, null, 1)}\n`) };
}

async function* tableContent(
  client: pg.Client,
  { name, columns }: BackupHeader["tables"][number],
): AsyncGenerator<ArchiveEntry, BackupManifest["tables"][string]> {
  const list = columns.map((column) => pg.escapeIdentifier(column)).join(", ");
  const rows = client.query(copyTo(`copy ${pg.escapeIdentifier(name)} (${list}) to stdout`));
  const tally = new Tally();
  let piece = 0;
  for await (const data of inPieces(rows)) {
    tally.add(data);
    yield { name: tablePiece(name, ++piece), data };
  }
  return { rows: rows.rowCount, ...tally.result() };
}

async function* inPieces(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let held: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    held.push(chunk);
    bytes += chunk.length;
    if (bytes < pieceBytes) continue;
    yield Buffer.concat(held);
    held = [];
    bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(held);
}

/** Uploads that wait to be imported: their jobs are in the backup too. */
async function* fileContent(
  dataDir: string,
  folder: string,
  manifest: BackupManifest,
): AsyncGenerator<ArchiveEntry> {
  const names = await readdir(join(dataDir, folder), { recursive: true }).catch(() => []);
  for (const name of names.sort()) {
    const path = join(folder, name);
    const file = await open(join(dataDir, path)).catch(() => undefined);
    if (file === undefined) continue; // it was done with meanwhile
    const isFile = (await file.stat()).isFile();
    const tally = new Tally();
    let piece = 0;
    if (isFile) {
      for await (const data of inPieces(file.createReadStream())) {
        tally.add(data);
        yield { name: filePiece(manifest.files.length, ++piece), data };
      }
      manifest.files.push({ path, ...tally.result() });
    }
    await file.close().catch(() => undefined);
  }
}

/** Tables of the schema with the columns that can be written, those that others refer to first. */
async function tablesOf(client: pg.Client): Promise<BackupHeader["tables"]> {
  const { rows } = await client.query<{ name: string; columns: string[]; refers_to: string[] }>(
    `select c.relname as name,
            (select array_agg(a.attname::text order by a.attnum) from pg_attribute a
             where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '') as columns,
            (select coalesce(array_agg(distinct p.relname::text), '{}') from pg_constraint k
             join pg_class p on p.oid = k.confrelid
             where k.conrelid = c.oid and k.contype = 'f' and k.confrelid <> c.oid) as refers_to
     from pg_class c
     where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
       and c.relname <> 'schema_migration'
       and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
     order by c.relname`,
  );
  const sorted: BackupHeader["tables"] = [];
  let waiting = rows;
  while (waiting.length > 0) {
    const names = new Set(waiting.map((table) => table.name));
    const free = waiting.filter((table) => !table.refers_to.some((name) => names.has(name)));
    if (free.length === 0)
      throw new Error(`tables refer to each other in a circle: ${[...names].join(", ")}`);
    sorted.push(...free.map(({ name, columns }) => ({ name, columns })));
    waiting = waiting.filter((table) => !free.includes(table));
  }
  return sorted;
}

async function sequencesOf(client: pg.Client): Promise<BackupManifest["sequences"]> {
  const { rows } = await client.query<{ name: string }>(
    "select sequencename as name from pg_sequences where schemaname = 'public' order by 1",
  );
  const found: BackupManifest["sequences"] = [];
  for (const { name } of rows) {
    const state = await client.query<{ last: number; is_called: boolean }>(
      `select last_value as last, is_called from public.${pg.escapeIdentifier(name)}`,
    );
    found.push({ name, last: Number(state.rows[0]!.last), is_called: state.rows[0]!.is_called });
  }
  return found;
}

async function openJobsOf(client: pg.Client): Promise<BackupManifest["jobs"]> {
  const { rows } = await client.query<BackupManifest["jobs"][number]>(
    `select name, data from pgboss.job where state <= 'active' and name not like '\\_\\_pgboss%'
     order by created_on, id`,
  );
  return rows;
}
