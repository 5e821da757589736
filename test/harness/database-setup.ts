import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import type { TestProject } from "vitest/node";
import { migrate, readMigrations } from "../../server/src/platform/migrate.ts";

export const migrationsFolder = new URL("../../server/migrations/", import.meta.url);
export const runtimeRole = "metertree_test_runtime";
const runtimePassword = "only-for-tests";

declare module "vitest" {
  interface ProvidedContext {
    /** Server with rights to create databases. */
    adminUrl: string;
    /** Migrated database that tests clone. */
    templateName: string;
    runtimePassword: string;
  }
}

/** One database server for the whole run: `TEST_DATABASE_URL`, else an embedded one that forgets to sync. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const external = process.env.TEST_DATABASE_URL;
  const server =
    external === undefined ? await startEmbedded() : { url: external, stop: async () => undefined };
  const templateName = await ensureTemplate(server.url);
  project.provide("adminUrl", server.url);
  project.provide("templateName", templateName);
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

/** The template is named after the migrations, so that runs beside each other share it. */
async function ensureTemplate(adminUrl: string): Promise<string> {
  const hash = createHash("sha256");
  for (const migration of readMigrations(migrationsFolder)) hash.update(migration.sha256);
  const name = `metertree_template_${hash.digest("hex").slice(0, 12)}`;
  const admin = new pg.Client({ connectionString: adminUrl });
  await admin.connect();
  try {
    await admin.query("select pg_advisory_lock(7262002)");
    await admin.query(
      `do $$ begin
         create role ${runtimeRole} login password '${runtimePassword}' nosuperuser nobypassrls;
       exception when duplicate_object then null; end $$`,
    );
    const found = await admin.query("select 1 from pg_database where datname = $1", [name]);
    if (found.rowCount === 0) {
      await admin.query(`create database ${name}_new`);
      const url = new URL(adminUrl);
      url.pathname = `/${name}_new`;
      await migrate({ url: url.href, folder: migrationsFolder, runtimeRole });
      await admin.query(`alter database ${name}_new rename to ${name}`);
    }
  } finally {
    await admin.end();
  }
  return name;
}
