/**
 * Pages of meters at size. The world: a manager with 100,000 meters, half of them its own and
 * half copies from 200 subaccounts; a tree of 10,000 nodes on 12 levels with every meter in it; a neighbour of 20,000
 * meters with the same names. Prints milliseconds (p50, p95) of whole pages of 50 as the endpoint answers them, exact
 * count and JSON included, beside a bare `select count(*)` of the account's meters in the same run.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { createAccount } from "../server/src/accounts/accounts.ts";
import { createMeters, type NewMeter } from "../server/src/meters/meters.ts";
import { type Db, openDb, sql, type Tx } from "../server/src/platform/db.ts";
import type { Endpoint } from "../server/src/platform/http/endpoint.ts";
import { newId } from "../server/src/platform/id.ts";
import { migrate } from "../server/src/platform/migrate.ts";
import { openPostgres } from "../server/src/platform/postgres/postgres.ts";
import { treeEndpoints } from "../server/src/trees/api.ts";
import { metersBelow } from "../server/src/trees/trees.ts";
import { dice } from "./dice.ts";
import { median } from "./world.ts";

const meterCount = 100_000;
const subaccountCount = 200;
const nodeCount = 10_000;
const levels = 12;

export interface Place {
  db: Db;
  stop(): Promise<void>;
}

/** A database of the bench's own: embedded, or one on the server at `url`. */
export async function openPlace(url: string | undefined): Promise<Place> {
  const folder = new URL("../server/migrations/", import.meta.url);
  const options = { connectionsMax: 4, statementTimeoutMs: 600_000, applicationName: "bench" };
  if (url === undefined) {
    const dataDir = mkdtempSync(join(tmpdir(), "metertree-bench-"));
    const postgres = await openPostgres({ dataDir, mode: "serve", log: () => undefined, now: Date.now });
    await migrate({ url: postgres.ownerUrl, folder, runtimeRole: "metertree_runtime" });
    const db = openDb({ ...options, url: postgres.ownerUrl });
    const stop = async () => {
      await db.close();
      await postgres.stop();
      rmSync(dataDir, { recursive: true, force: true });
    };
    return { db, stop };
  }
  const name = `metertree_bench_${newId(Date.now())}`;
  const asAdmin = async (text: string) => {
    const admin = new pg.Client({ connectionString: url });
    await admin.connect();
    await admin.query(text).finally(() => admin.end());
  };
  await asAdmin(`create database ${name}`);
  const own = new URL(url);
  own.pathname = `/${name}`;
  await migrate({ url: own.href, folder, runtimeRole: null });
  const db = openDb({ ...options, url: own.href });
  const stop = async () => {
    await db.close();
    await asAdmin(`drop database ${name} with (force)`);
  };
  return { db, stop };
}

const streets = [
  "Storgatan",
  "Ängsvägen",
  "Kyrkogatan",
  "Skolgatan",
  "Hamngatan",
  "Åsgatan",
  "Parkvägen",
  "Nygatan",
];

function specs(count: number, prefix: string): NewMeter[] {
  const random = dice(7);
  const pick = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)]!;
  return Array.from({ length: count }, (_, n) => ({
    type: pick(["electricity", "electricity", "heat", "water"] as const),
    ean: `735999${prefix}${String(n).padStart(9, "0")}`,
    name: `${pick(streets)} ${1 + Math.floor(random() * 400)}`,
    address: `${pick(streets)} ${n}, ${pick(["Lund", "Malmö", "Göteborg", "Umeå"])}`,
    tags: [pick(["roof", "cellar", "flat"]), pick(["a", "b"])],
    box: pick(["active", "active", "active", "inbox"] as const),
  }));
}

interface World {
  manager: string;
  subaccount: string;
  /** One node per level, root first. */
  chain: string[];
}

async function makeWorld(db: Db): Promise<World> {
  const now = Date.now();
  const account = (name: string, managerId?: string) =>
    db.transaction((tx) =>
      createAccount(tx, { name, now, ...(managerId === undefined ? {} : { managerId }) }),
    );
  const make = (holderId: string, list: NewMeter[]) =>
    db.transaction((tx) => createMeters(tx, { holderId, now, actorId: null }, list));
  const manager = (await account("Manager")).id;
  await make((await account("Neighbour")).id, specs(20_000, "999"));
  await make(manager, specs(meterCount / 2, "000"));
  let subaccount = "";
  const each = meterCount / 2 / subaccountCount;
  for (let n = 0; n < subaccountCount; n++) {
    subaccount = (await account(`Customer ${n}`, manager)).id;
    await make(subaccount, specs(each, String(100 + n)));
  }
  const chain = await db.transaction((tx) => makeTree(tx, manager));
  await db.run(sql`vacuum analyze`);
  return { manager, subaccount, chain };
}

/** Nodes hang below a random one of the level above; meters go to random nodes. */
async function makeTree(tx: Tx, accountId: string): Promise<string[]> {
  const random = dice(11);
  const rows: { id: string; parent: string | null; path: string; name: string }[] = [];
  const byLevel: (typeof rows)[] = [];
  for (let level = 0; level < levels; level++) {
    const count = level === 0 ? 10 : Math.ceil((nodeCount - 10) / (levels - 1));
    const above = byLevel[level - 1];
    const nodes = Array.from({ length: count }, (_, n) => {
      const parent = above?.[Math.floor(random() * above.length)] ?? null;
      const id = newId(Date.now());
      return {
        id,
        parent: parent?.id ?? null,
        path: `${parent?.path ?? ""}${id}`,
        name: `node ${level}.${n}`,
      };
    });
    byLevel.push(nodes);
    rows.push(...nodes);
  }
  await tx.run(sql`
    insert into tree_node (id, account_id, parent_id, path, name, search, created)
    select id, ${accountId}, parent, path, name, name, now()
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as node (id text, parent text, path text, name text)`);
  await tx.run(sql`
    insert into tree_meter (node_id, meter_id)
    select (${rows.map((row) => row.id)}::text[])[1 + abs(hashtext(m.id)) % ${rows.length}::int4], m.id
    from meter m where m.holder_id = ${accountId}`);
  const deepest = byLevel.at(-1)![0]!.path;
  return Array.from({ length: levels }, (_, level) => deepest.slice(level * 24, level * 24 + 24));
}

function pageReader(db: Db, accountId: string): (path: string, query: string) => Promise<number> {
  const list = (path: string): Endpoint =>
    treeEndpoints.find((endpoint) => endpoint.method === "GET" && endpoint.path === path)!;
  return async (path, query) => {
    const call = {
      who: { accountId, clientId: null },
      search: new URLSearchParams(query),
      ignored: () => undefined,
    };
    const page = await list(path).handle(call as never, { db, settings: { pageMax: 300 } } as never);
    JSON.stringify(page);
    return (page as { count: number }).count;
  };
}

export interface ListsOptions {
  /** How often each query is asked. */
  rounds: number;
  /** A server where this role may create databases; the embedded one when absent. */
  url: string | undefined;
}

/** Makes the world, asks every query and prints the table. */
export async function lists({ rounds, url }: ListsOptions): Promise<void> {
  const place = await openPlace(url);
  try {
    const started = performance.now();
    const world = await makeWorld(place.db);
    console.log(`world made in ${((performance.now() - started) / 1000).toFixed(1)} s`);
    const read = pageReader(place.db, world.manager);
    const { chain, subaccount } = world;
    const page = (query: string) => () => read("/meters", query);
    await report(rounds, [
      ["select count(*)", () => countOf(place.db, world.manager)],
      ["plain", page("")],
      ["box=active", page("box=active")],
      ["name=storgatan", page("name=storgatan")],
      ["name=ängsvägen 77", page("name=%C3%84ngsv%C3%A4gen%2077")],
      ["name=st (two letters)", page("name=st")],
      ["address=lund", page("address=lund")],
      ["q=umeå AND heat (free words)", page("q=ume%C3%A5 AND cellar")],
      ["assigner._id", page(`assigner._id=${subaccount}`)],
      ["tags=roof,a", page("tags=roof,a")],
      ["type=heat", page("type=heat")],
      ...chain.map((node, level): [string, () => Promise<number>] => [
        `tree, level ${level + 1}`,
        page(`tree_structure_ids=${node}`),
      ]),
      ["sort=name", page("sort=name")],
      ["sort=-name", page("sort=-name")],
      ["sort=name, skip 90,000", page("sort=name&skip=90000")],
      ["skip 99,950", page("skip=99950")],
      ["box=active&sort=-name&name=gatan", page("box=active&sort=-name&name=gatan")],
      ["/trees, roots", () => read("/trees", "parent=null")],
      ["/trees, all, skip 9,900", () => read("/trees", "skip=9900")],
      [
        "meters below a root (consumption)",
        async () => (await metersBelow(place.db, world.manager, chain[0]!)).length,
      ],
    ]);
  } finally {
    await place.stop();
  }
}

async function countOf(db: Db, accountId: string): Promise<number> {
  const counted = sql`select count(*) as count from meter where holder_id = ${accountId} and not revoked`;
  return (await db.one<{ count: number }>(counted)).count;
}

/** Rounds go over all queries, so that what else the machine does meets all of them alike. */
async function report(rounds: number, queries: [string, () => Promise<number>][]): Promise<void> {
  const times = queries.map((): number[] => []);
  const found: number[] = [];
  for (let round = -2; round < rounds; round++) {
    for (const [index, [, work]] of queries.entries()) {
      const start = performance.now();
      found[index] = await work();
      if (round >= 0) times[index]!.push(performance.now() - start);
    }
  }
  console.log(`${"query".padEnd(36)} ${"found".padStart(8)} ${"p50 ms".padStart(8)} ${"p95 ms".padStart(8)}`);
  for (const [index, [name]] of queries.entries()) {
    const sorted = times[index]!.toSorted((a, b) => a - b);
    const p95 = sorted[Math.ceil(rounds * 0.95) - 1]!;
    const cells = [String(found[index]), median(sorted).toFixed(1), p95.toFixed(1)];
    console.log(`${name.padEnd(36)} ${cells.map((text) => text.padStart(8)).join(" ")}`);
  }
}
