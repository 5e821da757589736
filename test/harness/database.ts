import { randomBytes } from "node:crypto";
import { inject } from "vitest";
import { type Db, openDb } from "../../server/src/platform/db.ts";
import { adminQuery, databaseUrl } from "./database-admin.ts";
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
  const adminUrls = inject("adminUrls");
  const name = `metertree_test_${randomBytes(6).toString("hex")}`;
  const clone = `create database ${name} template ${inject("templateName")}`;
  await Promise.all(adminUrls.map((url) => adminQuery(url, clone)));
  const ownerUrl = databaseUrl(adminUrls[0]!, name);
  const runtimeUrl = databaseUrl(ownerUrl, name, { name: runtimeRole, password: inject("runtimePassword") });
  const db = openDb({
    url: runtimeUrl,
    connectionsMax: 10,
    statementTimeoutMs: 60_000,
    applicationName: "test",
  });
  return {
    db,
    runtimeUrl,
    ownerUrl,
    async drop() {
      await db.close();
      for (const url of adminUrls) await dropDatabase(url, name, { isSpread: adminUrls.length > 1 });
    },
  };
}

/**
 * Forcing may meet a worker of the server itself, which nobody may end; without visitors it is not needed. Machines
 * of Citus always visit each other.
 */
async function dropDatabase(url: string, name: string, { isSpread }: { isSpread: boolean }): Promise<void> {
  const force = () => adminQuery(url, `drop database ${name} with (force)`);
  await (isSpread ? force() : adminQuery(url, `drop database ${name}`).catch(force));
}
