import pg from "pg";
import type { Config } from "./config.ts";
import { type Db, openDb, sql, sqlState } from "./platform/db.ts";
import { migrateJobs } from "./platform/jobs.ts";
import { type Migrated, migrate, readMigrations, schemaVersion } from "./platform/migrate.ts";
import { openPostgres, waitForServer } from "./platform/postgres/postgres.ts";
import { Problem } from "./platform/problem.ts";

/** The database of this configuration, accepting connections. */
export interface Database {
  /** For people: what it is and where. */
  place: string;
  kind: "embedded" | "external";
  /** Connection string of the role that owns the tables; `null` when this configuration has none. */
  ownerUrl: string | null;
  /** How the server connects: never as the owner or a superuser, unless the configuration allows it. */
  runtime: { url: string; role?: string };
  /** Name of the role that the server acts as. */
  runtimeRole: string;
  /** Another process runs the embedded database and goes on when this one ends. */
  isShared: boolean;
  stop(): Promise<void>;
}

export interface OpenOptions {
  /** A server that keeps the embedded database for itself, or a command that also works beside one. */
  mode: "serve" | "beside";
  /** What an operator wants to know of the embedded database. */
  log: (message: string) => void;
}

const migrationsFolder = new URL("../migrations/", import.meta.url);
const oldestVersion = 150_000;
const sharedRole = "metertree_server";

/** Starts the embedded database, or waits for that of `DATABASE_URL`, and finds out whom the server acts as. */
export async function openDatabase(config: Config, options: OpenOptions): Promise<Database> {
  if (config.databaseUrl !== null) return openExternal(config, config.databaseUrl);
  const postgres = await openPostgres({
    dataDir: config.dataDir,
    mode: options.mode,
    log: options.log,
    now: Date.now,
    ...(config.databaseUser === null ? {} : { dbUser: config.databaseUser }),
  });
  return {
    place: `embedded PostgreSQL ${postgres.version} in ${config.dataDir}`,
    kind: "embedded",
    ownerUrl: postgres.ownerUrl,
    runtime: { url: postgres.runtimeUrl },
    runtimeRole: decodeURIComponent(new URL(postgres.runtimeUrl).username),
    isShared: !postgres.owned,
    stop: () => postgres.stop(),
  };
}

async function openExternal(config: Config, url: string): Promise<Database> {
  const timeoutMs = config.databaseWaitSeconds * 1000;
  const version = await waitForServer(url, { timeoutMs });
  if (version < oldestVersion) {
    throw new Problem(
      "unavailable",
      `The database is PostgreSQL ${Math.floor(version / 10_000)}; Metertree needs 15 or newer. Upgrade it, or leave DATABASE_URL out to use the embedded one.`,
    );
  }
  if (config.databaseMigrationUrl !== null) await waitForServer(config.databaseMigrationUrl, { timeoutMs });
  const roles = await rolesOf(config, url);
  return {
    place: `PostgreSQL ${Math.floor(version / 10_000)} at ${placeOf(url)}`,
    kind: "external",
    ...roles,
    isShared: true,
    stop: async () => undefined,
  };
}

/** Host, port and name of a database; never user or password. */
function placeOf(url: string): string {
  const { host, port, database } = new pg.Client({ connectionString: url });
  return `${host}:${port}/${database ?? ""}`;
}

/** Ports of the database: nothing that a tenant names is ever reached at them. */
export function portsOf({ runtime, ownerUrl }: Database): number[] {
  const urls = ownerUrl === null ? [runtime.url] : [runtime.url, ownerUrl];
  return urls.map((connectionString) => new pg.Client({ connectionString }).port);
}

type Roles = Pick<Database, "ownerUrl" | "runtime" | "runtimeRole">;

async function rolesOf(config: Config, url: string): Promise<Roles> {
  return connected(url, async (client) => {
    const facts = await factsOf(client);
    if (config.databaseMigrationUrl !== null) {
      return { ownerUrl: config.databaseMigrationUrl, runtime: { url }, runtimeRole: facts.name };
    }
    if (facts.is_foreign && !facts.is_super)
      return { ownerUrl: null, runtime: { url }, runtimeRole: facts.name };
    if (await canActAs(client, sharedRole)) {
      return { ownerUrl: url, runtime: { url, role: sharedRole }, runtimeRole: sharedRole };
    }
    if (config.allowPrivilegedDatabaseRole)
      return { ownerUrl: url, runtime: { url }, runtimeRole: facts.name };
    throw new Problem(
      "unavailable",
      `The server must not act as the owner of its tables, and the database user ${facts.name} may not create a role for it. ` +
        "Run this as a superuser of the database, once:\n" +
        `  create role ${sharedRole} nologin;\n` +
        `  grant ${sharedRole} to ${pg.escapeIdentifier(facts.name)};\n` +
        "or give the server a login of its own: DATABASE_URL for it, DATABASE_MIGRATION_URL for the owner.",
    );
  });
}

interface RoleFacts {
  name: string;
  is_super: boolean;
  /** The tables are there and belong to somebody whom this role is no member of. */
  is_foreign: boolean;
}

async function factsOf(client: pg.Client): Promise<RoleFacts> {
  const { rows } = await client.query<RoleFacts>(
    `select current_user as name, rolsuper as is_super,
            exists (select from pg_class where oid = to_regclass('schema_migration')
                    and not pg_has_role(current_user, relowner, 'usage')) as is_foreign
     from pg_roles where rolname = current_user`,
  );
  return rows[0]!;
}

/** Makes the role and its grant when they are missing and this user may; tells whether it can act as it now. */
async function canActAs(client: pg.Client, role: string): Promise<boolean> {
  const name = pg.escapeIdentifier(role);
  const tries = [
    `create role ${name} nologin nosuperuser nobypassrls nocreatedb nocreaterole`,
    `grant ${name} to current_user`,
  ];
  for (const statement of [...tries, undefined]) {
    const acted = await succeeds(client, `set role ${name}`);
    if (acted) {
      await client.query("reset role");
      return true;
    }
    if (statement !== undefined) await succeeds(client, statement);
  }
  return false;
}

async function succeeds(client: pg.Client, statement: string): Promise<boolean> {
  try {
    await client.query(statement);
    return true;
  } catch (error) {
    if (sqlState(error) === undefined) throw error;
    return false; // not allowed, not there, or made by another server in the same moment: `set role` tells
  }
}

async function connected<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, application_name: "metertree start" });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** What a migration did or would do. */
export interface MigrationReport extends Migrated {
  /** The tables of the job queue were made or changed. */
  jobs: boolean;
}

/**
 * Brings tables and job queue up to date, as the owner. Without an owner it only checks that they are. Throws a
 * `Problem` when the schema is newer than this program, or older and nobody here may change it.
 */
export async function migrateDatabase(
  database: Database,
  options: { dryRun?: boolean } = {},
): Promise<MigrationReport> {
  const { ownerUrl, runtimeRole } = database;
  if (ownerUrl === null) return assertMigrated(database);
  const tables = await migrateTables(database, options);
  const { jobKinds } = await import("./app.ts");
  const jobs = await migrateJobs({ url: ownerUrl, runtimeRole, kinds: jobKinds, ...options });
  return { ...tables, jobs };
}

/** The tables alone, also only up to an older schema. */
export async function migrateTables(
  { ownerUrl, runtimeRole }: Database,
  options: { dryRun?: boolean; upTo?: number } = {},
): Promise<Migrated> {
  try {
    return await migrate({ url: ownerUrl!, folder: migrationsFolder, runtimeRole, ...options });
  } catch (error) {
    if (error instanceof Problem || !/permission denied/.test(String(error).slice(0, 1000))) throw error;
    throw new Problem(
      "unavailable",
      `The database user may not create the tables: ${(error as Error).message}. Make it the owner of the database (alter database … owner to …), or set DATABASE_MIGRATION_URL to a user that is.`,
      { cause: error },
    );
  }
}

async function assertMigrated({ runtime }: Database): Promise<MigrationReport> {
  const before = await connected(runtime.url, (client) => schemaVersion((text) => client.query(text)));
  const after = knownSchema();
  if (before === after) return { before, after, applied: [], jobs: false };
  throw new Problem(
    "unavailable",
    before < after
      ? `The database has schema ${before}, this program needs ${after}, and DATABASE_URL may not change it. Run \`metertree migrate\` with DATABASE_MIGRATION_URL set to the owner of the tables.`
      : `The database has schema ${before}, this program knows ${after}. Start a newer Metertree.`,
  );
}

/** Number of the newest schema that this program knows. */
export function knownSchema(): number {
  return readMigrations(migrationsFolder).length;
}

/** The pool of the server: connections act as the run-time role. */
export function openPool(database: Database, config: Config, applicationName: string): Db {
  return openDb({
    ...database.runtime,
    connectionsMax: config.databaseConnectionsMax,
    statementTimeoutMs: config.statementTimeoutSeconds * 1000,
    applicationName,
  });
}

/**
 * Refuses to go on when the server's role could change what protects the data: superusers and roles that bypass row
 * security see everything, owners can edit the audit log.
 */
export async function checkRole(db: Db, config: Config): Promise<void> {
  const role = await db.one<{ name: string; is_super: boolean; bypasses: boolean; owns: boolean }>(
    sql`select current_user as name, rolsuper as is_super, rolbypassrls as bypasses,
               exists (select from pg_class where oid = to_regclass('account')
                       and pg_has_role(current_user, relowner, 'usage')) as owns
        from pg_roles where rolname = current_user`,
  );
  if (config.allowPrivilegedDatabaseRole) return;
  const why = role.is_super
    ? "is a superuser"
    : role.bypasses
      ? "bypasses row security"
      : role.owns
        ? "owns the tables"
        : undefined;
  if (why === undefined) return;
  throw new Problem(
    "unavailable",
    `The server must not run as the database role ${role.name}, which ${why}. Give it a role that owns nothing:\n` +
      "  create role metertree_web login password '…';\n" +
      "and set DATABASE_URL to it and DATABASE_MIGRATION_URL to the owner of the tables. " +
      "(METERTREE_ALLOW_PRIVILEGED_DATABASE_ROLE=true starts nevertheless.)",
  );
}
