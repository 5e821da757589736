import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from "vitest";
import { emptyDatabase } from "../../test/harness/citus.ts";
import { type TestDatabase, testDatabase } from "../../test/harness/database.ts";
import { databaseUrl } from "../../test/harness/database-admin.ts";
import { migrationsFolder, runtimeRole } from "../../test/harness/database-setup.ts";
import { append, entriesAfter, lockPart } from "./changes/changes.ts";
import { backup } from "./commands/backup-write.ts";
import type { Context } from "./commands/context.ts";
import { distributedTables } from "./distributed-tables.ts";
import { distribute } from "./distribution.ts";
import { readCitus } from "./platform/citus.ts";
import { type Db, openDb, sql } from "./platform/db.ts";
import { migrateJobs } from "./platform/jobs.ts";
import { migrate } from "./platform/migrate.ts";

const adminUrls = inject("adminUrls");
const hasCitus = adminUrls.length > 1;
const silent = { shards: null, say: () => undefined };

let t: TestDatabase;
beforeAll(async () => {
  t = await testDatabase();
});
afterAll(() => t.drop());

function databaseOf(ownerUrl: string): Parameters<typeof distribute>[0] {
  const user = { name: runtimeRole, password: inject("runtimePassword") };
  const name = new URL(ownerUrl).pathname.slice(1);
  return { ownerUrl, runtime: { url: databaseUrl(ownerUrl, name, user) }, runtimeRole };
}

async function connected<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

test("the tables that have a part in their key are the ones to spread", async () => {
  const keyed = await connected(t.ownerUrl, (client) =>
    client.query<{ name: string }>(
      `select c.relname as name from pg_class c
       join pg_index i on i.indrelid = c.oid and i.indisprimary
       join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
       where c.relnamespace = 'public'::regnamespace and a.attname = 'part'`,
    ),
  );
  expect(keyed.rows.map((row) => row.name).sort()).toEqual(distributedTables.toSorted());
});

test("a user that owns nothing cannot spread them", async () => {
  await expect(distribute({ ...databaseOf(t.ownerUrl), ownerUrl: null }, silent)).rejects.toThrow(
    "DATABASE_MIGRATION_URL",
  );
});

describe.skipIf(hasCitus)("a server without Citus", () => {
  test("is told apart, and what to do", async () => {
    await expect(distribute(databaseOf(t.ownerUrl), silent)).rejects.toThrow(/Citus.*restart the server/);
    expect(await connected(t.ownerUrl, (client) => readCitus((text) => client.query(text)))).toBeNull();
  });
});

/** Rows of two parts on every table, as the server would not write them: to be found again. */
const fill = `
  insert into head select part, part from generate_series(1, 40) part;
  insert into chg select part, off, 1, 1, 1, 1, 1 from generate_series(1, 40) part, generate_series(1, 25) off;
  insert into document (part, doc, version, stored, source)
    select part, doc, 1, 'epoch', 'test' from generate_series(1, 40) part, generate_series(1, 3) doc;
  insert into series select part, part * 10, 'm' || part, 'energy' from generate_series(1, 40) part;
  insert into meter_stat (part, meter_id, metric, gran, count, version)
    select part, 'm' || part, 'energy', 'hour', 24, part from generate_series(1, 40) part;
  insert into revision (part, series_id, gran, period, doc, stored, n, data)
    select part, part * 10, 1, 1, 1, 'epoch', 1, '\\x01' from generate_series(1, 40) part;
  insert into block (part, series_id, gran, period, n, sum, data)
    select part, part * 10, 1, period, 24, part + period, decode(repeat('ab', 3000), 'hex')
    from generate_series(1, 40) part, generate_series(1, 12) period`;

async function rowsOfLogAndDocuments(client: pg.Client): Promise<{ chg: number; document: number }> {
  const { rows } = await client.query(
    "select (select count(*)::int from chg) as chg, (select count(*)::int from document) as document",
  );
  return rows[0];
}

/** What all tables hold, in an order of its own. */
async function contents(client: pg.Client): Promise<unknown[]> {
  const found: unknown[] = [];
  for (const table of distributedTables) {
    const { rows } = await client.query(`select to_jsonb(x)::text as row from ${table} x`);
    found.push([table, rows.map(({ row }) => row as string).sort()]);
  }
  return found;
}

describe.skipIf(!hasCitus)("a server with Citus", () => {
  async function filled(): Promise<{ urls: string[] }> {
    const { urls, drop } = await emptyDatabase(adminUrls);
    onTestFinished(drop);
    await migrate({ url: urls[0]!, folder: migrationsFolder, runtimeRole });
    await connected(urls[0]!, (client) => client.query(fill));
    return { urls };
  }

  test("has every test's tables spread, in one group, by part; others stay", async () => {
    const state = (await connected(t.ownerUrl, (client) => readCitus((text) => client.query(text))))!;
    expect([...state.tables.keys()].sort()).toEqual(distributedTables.toSorted());
    expect(new Set([...state.tables.values()].map(({ group }) => group)).size).toBe(1);
    expect(new Set([...state.tables.values()].map(({ column }) => column))).toEqual(new Set(["part"]));
    const holders = state.nodes.filter((node) => node.shards > 0);
    expect(holders.length).toBeGreaterThan(1);
    expect(holders.every((node) => !node.isCoordinator)).toBe(true);
  });

  test("keeps what is there, and does nothing a second time", async () => {
    const { urls } = await filled();
    const lines: string[] = [];
    const before = await connected(urls[0]!, contents);
    const first = await distribute(databaseOf(urls[0]!), { shards: 6, say: (line) => void lines.push(line) });
    expect(first.tables.map(({ table }) => table)).toEqual([...distributedTables]);
    expect(first.tables.every(({ isNew, bytes }) => isNew && bytes > 0)).toBe(true);
    expect(first.shards).toBe(6);
    expect(lines).toHaveLength(1 + distributedTables.length);
    expect(lines.at(-1)).toMatch(/^block: spread, \d+\.\d MB$/);
    await connected(urls[0]!, async (client) => {
      expect(await contents(client)).toEqual(before);
      // Nothing is left where it was.
      const { rows } = await client.query(
        "select sum(pg_relation_size(c::regclass)) as bytes from unnest($1::text[]) c",
        [distributedTables],
      );
      expect(rows).toEqual([{ bytes: "0" }]);
    });
    const second = await distribute(databaseOf(urls[0]!), silent);
    expect(second.tables.map(({ isNew }) => isNew)).toEqual(distributedTables.map(() => false));
    expect(await connected(urls[0]!, contents)).toEqual(before);
    await expect(distribute(databaseOf(urls[0]!), { ...silent, shards: 7 })).rejects.toThrow(
      "over 6 shards already",
    );
  });

  test("finishes what was cut off", async () => {
    const { urls } = await filled();
    const before = await connected(urls[0]!, contents);
    await connected(urls[0]!, (client) =>
      client.query(
        `select create_distributed_table('series', 'part', colocate_with => 'none', shard_count => 5)`,
      ),
    );
    const done = await distribute(databaseOf(urls[0]!), { ...silent, shards: 5 });
    expect(done.tables.filter(({ isNew }) => !isNew).map(({ table }) => table)).toEqual(["series"]);
    await connected(urls[0]!, async (client) => {
      expect(await contents(client)).toEqual(before);
      const { rows } = await client.query("select pg_relation_size('series') as bytes");
      expect(rows).toEqual([{ bytes: 0 }]);
      const state = (await readCitus((text) => client.query(text)))!;
      expect(new Set([...state.tables.values()].map(({ group }) => group)).size).toBe(1);
    });
  });

  test.for([
    ["select create_distributed_table('chg', 'off')", "chg is spread by off"],
    [
      `select create_distributed_table('head', 'part', colocate_with => 'none', shard_count => 4);
       select create_distributed_table('series', 'part', colocate_with => 'none', shard_count => 4)`,
      "in one colocation group",
    ],
  ])("refuses tables that are spread in another way: %s", async ([statement, why]) => {
    const { urls } = await filled();
    await connected(urls[0]!, (client) => client.query(statement!));
    await expect(distribute(databaseOf(urls[0]!), silent)).rejects.toThrow(why!);
  });

  test("lets the role of the server in on its workers, or says which one refuses it", async () => {
    const role = "metertree_test_no_login";
    await connected(adminUrls[0]!, (admin) => admin.query(`create role ${role} nologin connection limit 0`));
    onTestFinished(async () => {
      await connected(adminUrls[0]!, (admin) => admin.query(`drop role ${role}`));
    });
    const { urls } = await filled();
    const database = { ownerUrl: urls[0]!, runtime: { url: urls[0]!, role }, runtimeRole: role };
    const parts = await connected(urls[0]!, async (client) => {
      await client.query(`grant select on head to ${role}`);
      await expect(distribute(database, silent)).rejects.toThrow(
        /worker .* does not let the role metertree_test_no_login in/,
      );
      await client.query(`alter role ${role} connection limit -1`);
      await distribute(database, silent);
      await client.query(`set role ${role}`);
      return (await client.query("select part from head")).rowCount;
    });
    expect(parts).toBe(40);
  });

  /** Writes one change and one document in each transaction, in four parts at once, until `stop` is called. */
  function writing(db: Db): { stop: () => Promise<Map<number, number>> } {
    let isDone = false;
    const write = async (part: number): Promise<[number, number]> => {
      let written = 0;
      while (!isDone || written < 20) {
        await db.transaction(async (tx) => {
          const head = await lockPart(tx, part);
          const entry = { seriesId: written, gran: 1, period: 1, slot: 1, n: 1, replaced: false };
          await append(tx, { part, head, now: 0 }, [entry]);
          await tx.run(sql`insert into document (part, doc, version, stored, source)
                           values (${part}, ${written}, 1, ${new Date(0)}, 'test')`);
        });
        written++;
      }
      return [part, written];
    };
    const writers = [101, 102, 103, 104].map(write);
    const stop = async () => {
      isDone = true;
      return new Map(await Promise.all(writers));
    };
    onTestFinished(async () => void (await stop()));
    return { stop };
  }

  function openRuntime(ownerUrl: string): Db {
    const { url } = databaseOf(ownerUrl).runtime;
    const db = openDb({ url, connectionsMax: 8, statementTimeoutMs: 60_000, applicationName: "test" });
    onTestFinished(() => db.close());
    return db;
  }

  test("goes on writing and reading the log meanwhile", async () => {
    const { urls } = await filled();
    const db = openRuntime(urls[0]!);
    const writers = writing(db);
    await distribute(databaseOf(urls[0]!), { ...silent, shards: 4 });
    for (const [part, count] of await writers.stop()) {
      const log = { part, after: 0, upTo: Number.MAX_SAFE_INTEGER, limit: 100_000 };
      const entries = await entriesAfter(db, log);
      expect(entries.map(({ seriesId }) => seriesId)).toEqual(Array.from({ length: count }, (_, n) => n));
      const documents = await db.one(sql`select count(*) as n from document where part = ${part}`);
      expect(documents).toEqual({ n: count });
    }
  });

  test("is backed up as of one instant, while others write", async () => {
    const { urls } = await filled();
    await distribute(databaseOf(urls[0]!), { ...silent, shards: 4 });
    const folder = mkdtempSync(join(tmpdir(), "metertree-test-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    await migrateJobs({ url: urls[0]!, runtimeRole, kinds: [] });
    const before = await connected(urls[0]!, rowsOfLogAndDocuments);
    const writers = writing(openRuntime(urls[0]!));
    const surroundings = {
      database: { ownerUrl: urls[0]! },
      config: { dataDir: folder },
      clock: { now: () => 0 },
      keySource: { text: "" },
    } as Context;
    const grown: number[] = [];
    for (let i = 0; i < 5; i++) {
      const { json } = await backup(surroundings, join(folder, String(i)));
      const { chg, document } = (json as { tables: Record<string, { rows: number }> }).tables;
      expect(chg!.rows - before.chg).toBe(document!.rows - before.document);
      grown.push(chg!.rows);
    }
    await writers.stop();
    expect(grown.at(-1)).toBeGreaterThan(grown[0]!);
  });

  test("is asked at its coordinator", async () => {
    const { urls } = await filled();
    const coordinator = new URL(urls[0]!);
    await expect(distribute(databaseOf(urls[1]!), silent)).rejects.toThrow(
      `the address of the coordinator: ${coordinator.hostname}, port ${coordinator.port}`,
    );
  });

  test("that lost a machine says which, and changes nothing", async () => {
    const { urls } = await filled();
    const worker = new URL(urls[2]!);
    await connected(urls[0]!, (client) =>
      client.query("select citus_disable_node($1, $2, synchronous => true)", [
        worker.hostname,
        Number(worker.port),
      ]),
    );
    await expect(distribute(databaseOf(urls[0]!), silent)).rejects.toThrow(`not active: ${worker.host}`);
    const state = await connected(urls[0]!, (client) => readCitus((text) => client.query(text)));
    expect(state!.tables.size).toBe(0);
  });
});
