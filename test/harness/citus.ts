import { randomBytes } from "node:crypto";
import pg from "pg";
import { distribute } from "../../server/src/distribution.ts";
import { adminQuery, databaseUrl } from "./database-admin.ts";

/** Few pieces: a database with them is cloned for every test file. */
const shards = 8;

interface Address {
  nodename: string;
  nodeport: number;
}

/** Databases of the same name as that of `url`, on the workers that it knows. */
export async function workersOf(url: string): Promise<string[]> {
  const { rows } = await query<Address>(
    url,
    "select nodename, nodeport from pg_dist_node where groupid <> 0 and isactive order by groupid",
  );
  if (rows.length === 0) throw new Error("TEST_CITUS_URL must name a database that knows its workers");
  return rows.map((node) => atNode(url, node));
}

function atNode(url: string, { nodename, nodeport }: Address): string {
  const node = new URL(url);
  node.hostname = nodename;
  node.port = String(nodeport);
  return node.href;
}

/** Makes a database of many out of empty ones of the same name: the first of `urls` becomes the coordinator. */
export async function joinNodes(urls: readonly string[]): Promise<void> {
  await Promise.all(urls.map((url) => query(url, "create extension citus")));
  const [coordinator, ...workers] = urls;
  const host = (url: string) => [new URL(url).hostname, Number(new URL(url).port || 5432)];
  await query(coordinator!, "select citus_set_coordinator_host($1, $2)", host(coordinator!));
  for (const worker of workers) await query(coordinator!, "select citus_add_node($1, $2)", host(worker));
}

/** A database on all machines of `adminUrls` that know each other, without tables. */
export async function emptyDatabase(
  adminUrls: readonly string[],
): Promise<{ urls: string[]; drop: () => Promise<void> }> {
  const name = `metertree_test_${randomBytes(6).toString("hex")}`;
  for (const url of adminUrls) await adminQuery(url, `create database ${name}`);
  const urls = adminUrls.map((url) => databaseUrl(url, name));
  await joinNodes(urls);
  return {
    urls,
    async drop() {
      for (const url of adminUrls) await adminQuery(url, `drop database ${name} with (force)`);
    },
  };
}

/** What the command does, for the migrated database of `ownerUrl`. */
export async function distributeForTests(
  ownerUrl: string,
  runtime: { url: string; role: string },
): Promise<void> {
  await distribute(
    { ownerUrl, runtime: { url: runtime.url }, runtimeRole: runtime.role },
    { shards, say: () => undefined },
  );
}

/**
 * Closes a database for good, so that it can be cloned: on every machine it is cloned under the same name, and what
 * one machine knows of the others names machines, never databases. The daemon of Citus would stay connected.
 */
export async function freeze(adminUrl: string, name: string): Promise<void> {
  await query(adminUrl, `alter database ${name} allow_connections false`);
  await query(adminUrl, "select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = $1", [
    name,
  ]);
}

async function query<Row extends pg.QueryResultRow>(url: string, text: string, values: unknown[] = []) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await client.query<Row>(text, values);
  } finally {
    await client.end();
  }
}
