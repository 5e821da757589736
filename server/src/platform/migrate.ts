import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import pg from "pg";
import { Problem } from "./problem.ts";

/** One numbered SQL file. */
interface Migration {
  number: number;
  name: string;
  text: string;
  sha256: string;
}

/** What a run of the migrations did. */
export interface Migrated {
  before: number;
  after: number;
  applied: string[];
}

// Any number will do, as long as nobody else uses it in this database.
const lockKey = 7_262_001;

/** Reads `NNNN_name.sql` files in order; a gap or a double number is a mistake of ours and throws. */
export function readMigrations(folder: string | URL): Migration[] {
  const names = readdirSync(folder)
    .filter((name) => /^\d{4}_[a-z0-9-]+\.sql$/.test(name))
    .sort();
  return names.map((name, index) => {
    const number = Number(name.slice(0, 4));
    if (number !== index + 1) throw new Error(`migration ${name} does not follow number ${index}`);
    const text = readFileSync(new URL(name, `${String(folder).replace(/\/?$/, "/")}`), "utf8");
    return { number, name, text, sha256: createHash("sha256").update(text).digest("hex") };
  });
}

/**
 * Brings the schema up to date as the owner of the database, one transaction per file, under an advisory lock so
 * that many servers may start at once. Refuses a database whose schema is newer than this program, or whose
 * applied migrations are not the ones in the folder. Grants the run-time role what it needs and nothing else.
 */
export async function migrate(options: {
  url: string;
  folder: string | URL;
  runtimeRole: string | null;
  /** Only tell what would be done. */
  dryRun?: boolean;
  /** Stop after this number: an older schema, for a backup of it. */
  upTo?: number;
}): Promise<Migrated> {
  const client = new pg.Client({ connectionString: options.url, application_name: "metertree migrate" });
  await client.connect();
  try {
    await holdSchema(client);
    const migrations = readMigrations(options.folder);
    const done = await appliedIn(client);
    assertFits(done, migrations);
    const pending = migrations.slice(done.length, options.upTo);
    if (options.dryRun !== true) {
      if (done.length === 0) await makeBook(client);
      for (const migration of pending) await apply(client, migration);
      if (options.runtimeRole !== null) await grant(client, options.runtimeRole);
    }
    return {
      before: done.length,
      after: done.length + pending.length,
      applied: pending.map((migration) => migration.name),
    };
  } finally {
    await client.end();
  }
}

interface Applied {
  number: number;
  name: string;
  sha256: string;
}

async function appliedIn(client: pg.Client): Promise<Applied[]> {
  const version = await schemaVersion((text) => client.query(text));
  if (version === 0) return [];
  const { rows } = await client.query<Applied>(
    "select number, name, sha256 from schema_migration order by number",
  );
  return rows;
}

async function makeBook(client: pg.Client): Promise<void> {
  await client.query(
    `create table if not exists schema_migration
       (number int primary key, name text not null, sha256 text not null, applied timestamptz not null default now())`,
  );
}

/** Waits for everybody who changes the schema, and keeps others from doing so until the connection ends. */
export async function holdSchema(client: pg.Client): Promise<void> {
  await client.query("select pg_advisory_lock($1)", [lockKey]);
}

/** Number of the newest migration in the database, 0 when there is none. */
export async function schemaVersion(query: (text: string) => Promise<{ rows: unknown[] }>): Promise<number> {
  const found = await query("select to_regclass('schema_migration') as present");
  if ((found.rows[0] as { present: string | null }).present === null) return 0;
  const { rows } = await query("select coalesce(max(number), 0) as number from schema_migration");
  return (rows[0] as { number: number }).number;
}

function assertFits(done: Applied[], known: Migration[]): void {
  if (done.length > known.length) {
    throw new Problem(
      "unavailable",
      `The database has schema ${done.length}, this program knows ${known.length}. Start a newer Metertree, or restore a backup made before the upgrade.`,
    );
  }
  for (const [index, row] of done.entries()) {
    if (row.sha256 === known[index]!.sha256) continue;
    throw new Problem(
      "unavailable",
      `The database was migrated with another ${row.name} than this program has. Use the program that made it.`,
    );
  }
}

async function apply(client: pg.Client, migration: Migration): Promise<void> {
  await client.query("begin");
  try {
    await client.query(migration.text);
    await client.query("insert into schema_migration (number, name, sha256) values ($1, $2, $3)", [
      migration.number,
      migration.name,
      migration.sha256,
    ]);
    await client.query("commit");
  } catch (error) {
    await client.query("rollback");
    throw new Error(`migration ${migration.name} failed: ${(error as Error).message}`, { cause: error });
  }
}

/** An owner that also serves (which the configuration must allow) keeps the rights that it has anyway. */
async function grant(client: pg.Client, role: string): Promise<void> {
  const { rows } = await client.query<{ own: boolean }>("select current_user = $1 as own", [role]);
  if (rows[0]!.own) return;
  const name = pg.escapeIdentifier(role);
  await client.query(`
    grant usage on schema public to ${name};
    grant select, insert, update, delete on all tables in schema public to ${name};
    grant usage, select on all sequences in schema public to ${name};
    revoke insert, update, delete on schema_migration from ${name};
    revoke update, delete on audit from ${name}`);
}
