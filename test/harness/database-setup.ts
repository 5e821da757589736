import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import type { TestProject } from "vitest/node";
import { distributedTables } from "../../server/src/distributed-tables.ts";
import { migrate, readMigrations } from "../../server/src/platform/migrate.ts";
import { distributeForTests, freeze, joinNodes, workersOf } from "./citus.ts";
import { adminQuery, databaseUrl } from "./database-admin.ts";

export const migrationsFolder = new URL("../../server/migrations/", import.meta.url);
export const runtimeRole = "metertree_test_runtime";
const runtimePassword = "only-for-tests";

declare module "vitest" {
  interface ProvidedContext {
    /** Servers with rights to create databases. Every database is made on all of them; the first one is asked. */
    adminUrls: string[];
    /** Migrated database that tests clone. */
    templateName: string;
    runtimePassword: string;
  }
}

/**
 * One database server for the whole run: `TEST_CITUS_URL`, else `TEST_DATABASE_URL`, else an embedded one that
 * forgets to sync. With Citus the tables are spread over the workers that the database of the URL knows.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const citus = process.env.TEST_CITUS_URL;
  const external = citus ?? process.env.TEST_DATABASE_URL;
  const server =
    external === undefined ? await startEmbedded() : { url: external, stop: async () => undefined };
  const adminUrls = [server.url, ...(citus === undefined ? [] : await workersOf(citus))];
  project.provide("adminUrls", adminUrls);
  project.provide("templateName", await ensureTemplate(adminUrls));
  project.provide("runtimePassword", runtimePassword);
  return server.stop;
}

async function startEmbedded(): Promise<{ url: string; stop: () => Promise<void> }> {
  const { openPostgres } = await import("../../server/src/platform/postgres/postgres.ts");
  const dataDir = mkdtempSync(join(tmpdir(), "metertree-test-"));
  const postgres = await openPostgres({
    dataDir,
    mode: "serve",
    log: () => undefined,
    now: Date.now,
    settings: { fsync: "off", synchronous_commit: "off", full_page_writes: "off" },
  });
  const stop = async () => {
    await postgres.stop();
    rmSync(dataDir, { recursive: true, force: true });
  };
  return { url: postgres.ownerUrl, stop };
}

/** The template is named after the migrations and machines, so that runs beside each other share it. */
async function ensureTemplate(adminUrls: readonly string[]): Promise<string> {
  const hash = createHash("sha256");
  for (const migration of readMigrations(migrationsFolder)) hash.update(migration.sha256);
  if (adminUrls.length > 1) hash.update([...distributedTables, ...adminUrls].join());
  const name = `metertree_template_${hash.digest("hex").slice(0, 12)}`;
  const admin = new pg.Client({ connectionString: adminUrls[0] });
  await admin.connect();
  try {
    await admin.query("select pg_advisory_lock(7262002)");
    await admin.query(
      `do $$ begin
         create role ${runtimeRole} login password '${runtimePassword}' nosuperuser nobypassrls;
       exception when duplicate_object then null; end $$`,
    );
    const found = await admin.query("select 1 from pg_database where datname = $1", [name]);
    if (found.rowCount === 0) await makeTemplate(adminUrls, name);
  } finally {
    await admin.end();
  }
  return name;
}

async function makeTemplate(adminUrls: readonly string[], name: string): Promise<void> {
  const draft = `${name}_new`;
  for (const url of adminUrls) {
    await adminQuery(url, `drop database if exists ${draft} with (force)`);
    await adminQuery(url, `create database ${draft}`);
  }
  const urls = adminUrls.map((url) => databaseUrl(url, draft));
  const owner = urls[0]!;
  const isSpread = urls.length > 1;
  if (isSpread) await joinNodes(urls);
  await migrate({ url: owner, folder: migrationsFolder, runtimeRole });
  if (isSpread) {
    const url = databaseUrl(owner, draft, { name: runtimeRole, password: runtimePassword });
    await distributeForTests(owner, { url, role: runtimeRole });
  }
  // The first server last: what it has tells whether the template is whole.
  for (const url of adminUrls.toReversed()) {
    if (isSpread) await freeze(url, draft);
    if (url !== adminUrls[0]) await adminQuery(url, `drop database if exists ${name}`);
    await adminQuery(url, `alter database ${draft} rename to ${name}`);
  }
}
