import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { sql } from "../platform/db.ts";
import { claimDue } from "./claim.ts";
import type { Connector } from "./connector.ts";
import { storedSettings } from "./credentials.ts";
import { type CollectionWorld, collectionWorld } from "./harness.ts";
import { makeCollector } from "./worker.ts";

let world: CollectionWorld;
beforeAll(async () => {
  world = await collectionWorld();
});
afterAll(() => world.close());
beforeEach(() => world.api.db.run(sql`delete from connection`));

/** Connections of a provider that are due, the first of them the longest. */
async function due(provider: string, count: number, reason = "schedule"): Promise<void> {
  const { api, owner } = world;
  const now = new Date(api.clock.now());
  const box = Buffer.from("opens nowhere");
  await api.db.run(sql`
    insert into connection (id, account_id, provider, settings, sealed, state, state_since, next_run, next_reason,
      created, updated)
    select ${`${provider} ${reason} `} || n, ${owner.id}, ${provider}, '{}', ${box}, 'collecting', ${now}::timestamptz,
      ${now}::timestamptz - make_interval(hours => ${count}) + make_interval(mins => n), ${reason},
      ${now}::timestamptz, ${now}::timestamptz
    from generate_series(1, ${count}::int) as n`);
}

/** Gives the connections of a provider credentials that can be opened. */
async function sealAll(connector: Connector): Promise<void> {
  const { db, keys } = world.api.deps;
  const rows = await db.rows<{ id: string }>(
    sql`select id from connection where provider = ${connector.name}`,
  );
  for (const { id } of rows) {
    const of = { id, accountId: world.owner.id };
    const { sealed } = await storedSettings(
      db,
      { keys, of, connector },
      { username: "anna", password: "right" },
    );
    await db.run(sql`update connection set sealed = ${sealed} where id = ${id}`);
  }
}

const provider = (name: string, atOnce: number): Connector => ({
  ...world.connector,
  name,
  limits: { perMinute: 1_000, atOnce },
});
const names = (claimed: readonly { id: string }[]) => claimed.map(({ id }) => id);

test("a provider that hangs leaves places to the others, in one process", async () => {
  const begun: string[] = [];
  const hung = Promise.withResolvers<void>();
  const connectors = ["hangs", "quick"].map((name): Connector => {
    const each = provider(name, 1_000);
    return {
      ...each,
      async *discover() {
        begun.push(name);
        if (name === "hangs") await hung.promise;
        yield* [];
      },
    };
  });
  const { api } = world;
  const collector = makeCollector(api.deps, connectors);
  await due("hangs", 40);
  await sealAll(connectors[0]!);
  for (let looks = 0; looks < 4; looks++) await collector.step();
  await due("quick", 30);
  await sealAll(connectors[1]!);
  for (let looks = 0; looks < 4; looks++) await collector.step();
  const { running } = await api.db.one<{ running: number }>(sql`
    select count(*) as running from connection where provider = 'hangs' and run_id is not null`);
  expect(running).toBe(16);
  const { taken } = await api.db.one<{ taken: number }>(sql`
    select count(*) as taken from connection_run where connection_id like 'quick%'`);
  expect(taken).toBeGreaterThanOrEqual(16);
  hung.resolve();
  await collector.stop();
});

test("providers that are due share the places, and the longest due begin first", async () => {
  const { api } = world;
  await due("one", 50);
  await due("two", 50);
  const now = api.clock.now();
  const claimed = await claimDue(api.db, [provider("one", 100), provider("two", 100)], { free: 6, now });
  expect(names(claimed)).toEqual(
    ["one", "two"].flatMap((name) => [1, 2, 3].map((n) => `${name} schedule ${n}`)),
  );
});

test("whoever is waited for does not stand behind a backlog, and does not hold it up either", async () => {
  const { api } = world;
  await due("one", 50);
  await due("one", 10, "created");
  const connectors = [provider("one", 100)];
  const now = api.clock.now();
  expect(names(await claimDue(api.db, connectors, { free: 4, now }))).toEqual([
    "one created 1",
    "one created 2",
    "one schedule 1",
    "one schedule 2",
  ]);
  await api.db.run(sql`delete from connection where next_reason = 'created'`);
  expect(names(await claimDue(api.db, connectors, { free: 2, now }))).toEqual([
    "one schedule 3",
    "one schedule 4",
  ]);
});

test("what is due is found with indexes", async () => {
  const { api } = world;
  await due("one", 3_000);
  await api.db.run(sql`update connection set next_run = next_run + interval '1 year'`);
  await api.db.run(sql`analyze connection`);
  const plans = await Promise.all(
    [sql`true`, sql`c.next_reason in ('created', 'by_hand', 'credentials', 'activated')`].map((also) =>
      api.db.rows<{ "QUERY PLAN": string }>(sql`
        explain select c.id from connection c where c.provider = 'one' and c.next_run <= now() and ${also}
        order by c.next_run limit 10 for no key update skip locked`),
    ),
  );
  for (const plan of plans) {
    const text = plan.map((row) => row["QUERY PLAN"]).join("\n");
    expect(text).toMatch(/Index Scan using connection_(due|waited_for)/);
    expect(text).not.toMatch(/Seq Scan|Sort/);
  }
});
