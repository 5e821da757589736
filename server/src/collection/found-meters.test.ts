import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { newAccount, type TestAccount } from "../../../test/harness/accounts.ts";
import { rootMeters } from "../meters/meters.ts";
import { sql } from "../platform/db.ts";
import { gridOf, query } from "../series/series.ts";
import { type CollectionWorld, collectionWorld, meterFound } from "./harness.ts";

/** Found meters from the first run to the values that stand. */

let world: CollectionWorld;
beforeAll(async () => {
  world = await collectionWorld();
});
afterAll(() => world.close());
beforeEach(() => {
  world.script.meters = [];
  world.script.values.clear();
});

const hour = 3_600_000;
/** 2026-01-10 00:00 in Stockholm; the clock of the world stands at the 15th. */
const first = Date.UTC(2026, 0, 9, 23);
const hours = Array.from({ length: 120 }, (_, i) => first + i * hour);
const publish = (key: string, value: number, starts = hours) =>
  world.script.values.set(`${key} energy hour`, new Map(starts.map((start) => [start, value])));
const runAll = async () => {
  while ((await world.collector.step()) > 0) await world.collector.idle();
};
const connectIn = (account: string) =>
  world.ask("POST", "/connections", {
    provider: "scripted",
    account,
    credentials: { username: "anna", password: "right" },
  });
async function rootOf(connectionId: string): Promise<string> {
  const row = await world.api.db.one<{ meter_id: string }>(
    sql`select meter_id from meter_source where connection_id = ${connectionId}`,
  );
  return row.meter_id;
}
async function valuesOf(rootId: string): Promise<number[]> {
  const [root] = await rootMeters(world.api.db, [rootId]);
  const grid = gridOf("hour", root!.timezone, { from: first, to: first + 120 * hour })!;
  const meters = [{ rootId, part: root!.part }];
  const answer = await query(world.api.db, { meters, metrics: ["energy"], grids: [grid] });
  return [...(answer[0]?.values[0] ?? [])];
}

test("of two connections the first source wins, value by value, until their order is changed", async () => {
  const { ask, script } = world;
  script.meters = [meterFound("951")];
  publish("951", 1, hours.slice(0, 60));
  const one = await connectIn("me");
  await world.run();
  const root = await rootOf(one._id);
  await ask("PUT", `/meters/${root}`, { box: "active" });
  await runAll();
  publish("951", 2);
  const two = await connectIn("me");
  await ask("POST", `/connections/${one._id}/pause`);
  await runAll();
  expect(await rootOf(two._id)).toBe(root);
  expect(await valuesOf(root)).toEqual(hours.map((_, i) => (i < 60 ? 1 : 2)));
  const order = (await ask("GET", `/meters/${root}/sources`)).map((source: { _id: string }) => source._id);
  await ask("PUT", `/meters/${root}/sources`, order.reverse());
  await ask("POST", `/connections/${two._id}/backfill`, { period: "20260110-20260114" });
  await runAll();
  expect(await valuesOf(root)).toEqual(hours.map(() => 2));
});

test("a property manager's rule accepts what a customer's connection finds, and whoever moves in sees values from then on", async () => {
  const { ask, script, api, owner } = world;
  await ask("POST", "/accounts/me/structure", { structure: "property_manager" });
  const [leaves, comes]: TestAccount[] = [
    await newAccount(api.deps, { managerId: owner.id }),
    await newAccount(api.deps, { managerId: owner.id }),
  ];
  await ask("POST", "/inbox_rules", { name: "All", actions: { box: "active" } });
  script.meters = [meterFound("952")];
  publish("952", 7);
  const before = await connectIn(leaves.id);
  await runAll();
  const left = await rootOf(before._id);
  expect(await valuesOf(left)).toEqual(hours.map(() => 7));
  await ask("POST", `/meters/${left}/events`, { kind: "moved_out", day: "2026-01-13" });
  const after = await connectIn(comes.id);
  await runAll();
  const next = await rootOf(after._id);
  expect(await valuesOf(next)).toEqual(hours.map((_, i) => (i < 72 ? Number.NaN : 7)));
  const shared = await ask("GET", `/meters?assigner._id=${comes.id}`);
  expect(shared).toMatchObject([{ root: { _id: next }, box: "active" }]);
  expect((await ask("GET", "/accounts/me/structure")).subaccounts).toEqual({ connections: 2, meters: 2 });
});

test("nobody is asked about a vanished meter any more once somebody has said why", async () => {
  const { ask, script, api, owner } = world;
  const customer = await newAccount(api.deps, { managerId: owner.id });
  script.meters = [meterFound("953"), meterFound("954"), meterFound("955")];
  const { _id } = await connectIn(customer.id);
  await runAll();
  script.meters = [meterFound("955")];
  const again = async () => {
    await ask("POST", `/connections/${_id}/run`);
    await runAll();
  };
  await again();
  const open = () => ask("GET", `/issues?state=open&connection._id=${_id}`);
  const [one, two] = await open();
  await ask("POST", `/meters/${one.meter._id}/events`, { kind: "contract_ended", day: "2026-01-10" });
  expect(await open()).toMatchObject([{ _id: two._id }]);
  await api.db.run(sql`update meter set box = 'ignored' where id = ${two.meter._id}`);
  await again();
  expect(await open()).toEqual([]);
});
