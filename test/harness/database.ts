import { randomBytes } from "node:crypto";
import pg from "pg";
import { inject } from "vitest";
import { type Db, openDb } from "../../server/src/platform/db.ts";
import { runtimeRole } from "./database-setup.ts";

/** A migrated, empty database of its own for one test file. */
export interface TestDatabase {
  /** As the server sees it: the run-time role, which owns nothing. */
  db: Db;
  runtimeUrl: string;
  /** As the owner, for looking behind the scenes. */
  ownerUrl: string;
  drop(): Promise<void>;
}

/** Clones the template. Call it in `beforeAll`, and `drop` in `afterAll`. */
export async function testDatabase(): Promise<TestDatabase> {
  const adminUrl = inject("adminUrl");
  const name = `metertree_test_${randomBytes(6).toString("hex")}`;
  await adminQuery(adminUrl, `create database ${name} template ${inject("templateName")}`);
  const owner = new URL(adminUrl);
  owner.pathname = `/${name}`;
  const runtime = new URL(owner);
  runtime.username = runtimeRole;
  runtime.password = inject("runtimePassword");
  const db = openDb({
    url: runtime.href,
    connectionsMax: 10,
    statementTimeoutMs: 60_000,
    applicationName: "test",
  });
  return {
    db,
    runtimeUrl: runtime.href,
    ownerUrl: owner.href,
    async drop() {
      await db.close();
      // Forcing may meet a worker of the server itself, which nobody may end; without visitors it is not needed.
      await adminQuery(adminUrl, `drop database ${name}`).catch(() =>
        adminQuery(adminUrl, `drop database ${name} with (force)`),
      );
    },
  };
}

async function adminQuery(url: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    // Cloning fails while somebody else clones the same template; they take turns.
    await client.query("select pg_advisory_lock(7262003)");
    await client.query(text);
  } finally {
    await client.end();
  }
}
