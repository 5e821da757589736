import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { newAccount, type TestAccount } from "../../../test/harness/accounts.ts";
import { type TestApi, testApi, testClock } from "../../../test/harness/api.ts";
import { newMeter } from "../../../test/harness/meters.ts";
import { authenticate } from "../accounts/accounts.ts";
import { meterEndpoints } from "../meters/api.ts";
import { sql } from "../platform/db.ts";
import { newId } from "../platform/id.ts";
import { treeEndpoints } from "../trees/api.ts";
import { collectionEndpoints } from "./api.ts";
import type { FoundMeter } from "./connector.ts";
import { type Finder, takeIn } from "./intake.ts";
import { sourcesToCollect } from "./source.ts";

let api: TestApi;
/** Two customers of a manager, and somebody else. */
let manager: TestAccount;
let customer: TestAccount;
let other: TestAccount;
let stranger: TestAccount;

beforeAll(async () => {
  api = await testApi({
    endpoints: [...meterEndpoints, ...treeEndpoints, ...collectionEndpoints([])],
    authenticate,
    clock: testClock(Date.UTC(2026, 5, 15, 12)),
  });
});
afterAll(() => api.close());
beforeEach(async () => {
  manager = await newAccount(api.deps, { name: "Manager" });
  customer = await newAccount(api.deps, { name: "Customer", managerId: manager.id });
  other = await newAccount(api.deps, { name: "Other customer", managerId: manager.id });
  stranger = await newAccount(api.deps, { name: "Stranger" });
});

let count = 0;
const found = (more: Partial<FoundMeter> = {}): FoundMeter => ({
  key: `key ${++count}`,
  ean: `7359990${++count}`,
  name: "Huset",
  address: "Storgatan 1",
  type: "electricity",
  metrics: [{ metric: "energy", granularities: ["day", "hour"] }],
  ...more,
});
const finder = (who: TestAccount, provider = "scripted"): Finder => ({
  id: newId(api.clock.now()),
  accountId: who.id,
  provider,
});
const take = (connection: Finder, meters: readonly FoundMeter[]) =>
  api.db.transaction((tx) => takeIn(tx, { connection, found: meters, now: api.clock.now() }));
/** The connection is deleted. */
const forget = (connection: Finder) =>
  api.db.run(sql`update meter_source set connection_id = null where connection_id = ${connection.id}`);

const send = (who: TestAccount, method: string, path: string, body?: unknown) =>
  api.call(method, path, { token: who.token, ...(body === undefined ? {} : { body }) });
async function ask(who: TestAccount, method: string, path: string, body?: unknown) {
  const answer = await send(who, method, path, body);
  expect(answer.status, answer.text).toBe(200);
  return answer.json.data;
}
const metersOf = (who: TestAccount, query = "") => ask(who, "GET", `/meters?limit=300${query}`);
const keysOf = async (connection: Finder) =>
  (await sourcesToCollect(api.db, connection.id)).map((source) => source.key);

describe("what a connection finds", () => {
  test("lies in the inbox, and with the manager at once, assigned by the customer", async () => {
    const one = found({ representation: "production", timezone: "Europe/Stockholm" });
    const taken = await take(finder(customer), [one, found()]);
    expect(taken.created).toHaveLength(2);
    const own = await metersOf(customer);
    expect(own).toHaveLength(2);
    expect(own[0]).toMatchObject({
      ean: one.ean,
      name: "Huset",
      address: "Storgatan 1",
      box: "inbox",
      control_level: "owned",
      generation: 0,
      representation: "production",
      timezone: "Europe/Stockholm",
      metrics: ["energy"],
      expected_granularity: "hour",
    });
    const shared = await metersOf(manager, `&assigner._id=${customer.id}`);
    expect(shared.map((meter: { ean: string }) => meter.ean)).toEqual(
      own.map((meter: { ean: string }) => meter.ean),
    );
    expect(await metersOf(stranger)).toEqual([]);
  });

  test("is known again: repeating it changes nothing, what a person changed stays", async () => {
    const connection = finder(customer);
    const meters = [found(), found({ ean: null })];
    const [first] = (await take(connection, meters)).created;
    await ask(customer, "PUT", `/meters/${first}`, { name: "Mine", box: "ignored" });
    const before = await metersOf(customer);
    const again = await take(connection, [...meters].reverse());
    expect(again).toEqual({ created: [], missing: [], conflicting: [] });
    expect(await metersOf(customer)).toEqual(before);
  });

  test("two connections at the same moment make one meter with two sources", async () => {
    const ean = `7359991${++count}`;
    const finders = Array.from({ length: 6 }, (_, i) => finder(customer, `provider-${i}`));
    const takeAll = (some: Finder[]) =>
      Promise.all(some.map((connection) => take(connection, [found({ ean })])));
    await takeAll(finders.slice(0, 2));
    await takeAll(finders.slice(2));
    const own = await metersOf(customer);
    expect(own).toHaveLength(1);
    const sources = await ask(customer, "GET", `/meters/${own[0]._id}/sources`);
    expect(new Set(sources.map((source: { provider: string }) => source.provider)).size).toBe(6);
    const ranks = await api.db.rows<{ rank: number }>(
      sql`select rank from meter_source where meter_id = ${own[0]._id} order by rank desc`,
    );
    expect(ranks.map(({ rank }) => rank)).toEqual([0, -1, -2, -3, -4, -5]);
  });

  test("joins a meter that was there, with its channel apart when the type differs", async () => {
    const ean = `7359992${++count}`;
    const { id } = await newMeter(api, customer, { ean });
    const heat = found({ ean, type: "heat" });
    const taken = await take(finder(customer), [found({ ean }), heat]);
    expect(taken.created).toHaveLength(1);
    const meters = await metersOf(customer);
    expect(meters.map(({ _id, type }: { _id: string; type: string }) => [_id, type])).toEqual([
      [id, "electricity"],
      [taken.created[0], "heat"],
    ]);
    expect((await take(finder(customer, "second"), [heat])).created).toEqual([]);
  });

  test("registers of one point that deliver the same metric are meters of their own", async () => {
    const ean = `7359993${++count}`;
    const flow = [{ metric: "flow", granularities: ["hour" as const] }];
    const meters = [found({ ean }), found({ ean }), found({ ean, metrics: flow })];
    const connection = finder(customer);
    expect((await take(connection, meters)).created).toHaveLength(2);
    const sources = await api.db.rows<{ key: string; meter_id: string }>(
      sql`select key, meter_id from meter_source where connection_id = ${connection.id} order by key`,
    );
    const meterOf = new Map(sources.map(({ key, meter_id }) => [key, meter_id]));
    expect(meterOf.get(meters[0]!.key)).toBe(meterOf.get(meters[2]!.key));
    expect(meterOf.get(meters[0]!.key)).not.toBe(meterOf.get(meters[1]!.key));
  });

  test("holds characters that a database does not take", async () => {
    const odd = found({ name: "a\0b\ud800", text: "\0" });
    expect((await take(finder(customer), [odd])).created).toHaveLength(1);
  });

  test("comes back after the connection was deleted and made again, also without a number", async () => {
    const meters = [found(), found({ ean: null })];
    const first = finder(customer);
    const { created } = await take(first, meters);
    await forget(first);
    const second = finder(customer);
    expect((await take(second, meters)).created).toEqual([]);
    const sources = await api.db.rows<{ meter_id: string; rank: number }>(
      sql`select meter_id, rank from meter_source where connection_id = ${second.id} order by meter_id`,
    );
    expect(sources.map((source) => source.meter_id)).toEqual(created);
    expect((await take(finder(other), meters)).created).toHaveLength(2);
  });

  test("a new connection to another provider goes as high as what a deleted one left", async () => {
    const ean = `7359994${++count}`;
    const [first, second] = [finder(customer, "first"), finder(customer, "second")];
    await take(first, [found({ ean })]);
    const shown = found({ ean });
    await take(second, [shown]);
    await forget(first);
    await take(second, [shown]);
    expect(await rankOf(second)).toBe(0);
  });
});

async function rankOf(connection: Finder): Promise<number> {
  const row = await api.db.one<{ rank: number }>(
    sql`select rank from meter_source where connection_id = ${connection.id}`,
  );
  return row.rank;
}

describe("what is collected", () => {
  test("only what somebody keeps active and the holder has not put away", async () => {
    const connection = finder(customer);
    const meter = found();
    const [root] = (await take(connection, [meter])).created;
    expect(await keysOf(connection)).toEqual([]);
    const [copy] = await metersOf(manager);
    await ask(manager, "PUT", "/meters", [{ _id: copy._id, box: "active" }]);
    expect(await keysOf(connection)).toEqual([meter.key]);
    await ask(customer, "PUT", "/meters", [{ _id: root, box: "ignored" }]);
    expect(await keysOf(connection)).toEqual([]);
    await ask(customer, "PUT", "/meters", [{ _id: root, box: "active" }]);
    expect(await keysOf(connection)).toEqual([meter.key]);
  });

  test("a meter that the provider does not show is kept and marked, and goes on when it is back", async () => {
    const connection = finder(customer);
    const [stays, goes] = [found(), found()];
    const { created } = await take(connection, [stays, goes]);
    await ask(
      customer,
      "PUT",
      "/meters",
      created.map((_id) => ({ _id, box: "active" })),
    );
    const gone = await take(connection, [stays]);
    expect(gone.missing.map((source) => source.key)).toEqual([goes.key]);
    expect((await take(connection, [stays])).missing).toHaveLength(1);
    expect(await keysOf(connection)).toEqual([stays.key]);
    expect(await metersOf(customer)).toHaveLength(2);
    const [source] = await ask(customer, "GET", `/meters/${created[1]}/sources`);
    expect(source.vanished).toBe("2026-06-15T12:00:00+0000");
    const back = await take(connection, [stays, goes]);
    expect(back).toMatchObject({ created: [], missing: [] });
    expect(await keysOf(connection)).toHaveLength(2);
  });

  test("a meter that goes when its contract has ended is missed by nobody", async () => {
    const connection = finder(customer);
    const meter = found();
    await take(connection, [{ ...meter, ended: "2026-06-01" }]);
    expect((await take(connection, [])).missing).toEqual([]);
    expect(await keysOf(connection)).toEqual([]);
  });

  test("a meter that goes is missed until it is put away, or a person says that its holder has left", async () => {
    const connection = finder(customer);
    const { created } = await take(connection, [found(), found(), found()]);
    expect((await take(connection, [])).missing).toHaveLength(3);
    await ask(customer, "PUT", `/meters/${created[0]}`, { box: "ignored" });
    await ask(customer, "POST", `/meters/${created[1]}/events`, { kind: "moved_out", day: "2026-06-01" });
    expect((await take(connection, [])).missing.map((source) => source.meterId)).toEqual([created[2]]);
  });

  test("a new key for the same point is the same source, not one that vanished", async () => {
    const connection = finder(customer);
    const meter = found();
    await take(connection, [meter]);
    const taken = await take(connection, [{ ...meter, key: "renumbered" }]);
    expect(taken).toEqual({ created: [], missing: [], conflicting: [] });
    expect(await metersOf(customer)).toHaveLength(1);
    expect(await rankOf(connection)).toBe(0);
  });
});

describe("the order of sources", () => {
  test("says which one wins from then on; its ranks only grow", async () => {
    const ean = `7359995${++count}`;
    const [first, second] = [finder(customer, "first"), finder(customer, "second")];
    const [root] = (await take(first, [found({ ean })])).created;
    await take(second, [found({ ean })]);
    const path = `/meters/${root}/sources`;
    const order = async () => (await ask(customer, "GET", path)).map((one: { _id: string }) => one._id);
    const [a, b] = await order();
    await ask(manager, "PUT", path, [b, a]);
    expect(await order()).toEqual([b, a]);
    expect([await rankOf(first), await rankOf(second)]).toEqual([0, 1]);
    await ask(customer, "PUT", path, [a, b]);
    expect([await rankOf(first), await rankOf(second)]).toEqual([2, 1]);
    expect((await send(customer, "PUT", path, [a])).status).toBe(400);
    expect((await send(customer, "PUT", path, [a, a])).status).toBe(400);
    expect((await send(customer, "PUT", path, [a, b, newId(0)])).status).toBe(404);
    expect((await send(stranger, "GET", path)).status).toBe(404);
  });

  test("is not for those that a meter was only shared with", async () => {
    const [root] = (await take(finder(customer), [found()])).created;
    await ask(customer, "POST", "/meters/many/share_with", [{ _id: root, holder: stranger.id }]);
    expect((await send(stranger, "GET", `/meters/${root}/sources`)).status).toBe(403);
    expect((await send(stranger, "GET", `/meters/${root}/events`)).status).toBe(403);
  });
});

describe("events", () => {
  const active = async (who: TestAccount, connection: Finder, meter: FoundMeter) => {
    const [root] = (await take(connection, [meter])).created;
    await ask(who, "PUT", "/meters", [{ _id: root, box: "active" }]);
    return root!;
  };
  const bounds = async (connection: Finder) => {
    const [source] = await sourcesToCollect(api.db, connection.id);
    return [source!.from, source!.to];
  };
  const kinds = async (who: TestAccount, root: string) =>
    (await ask(who, "GET", `/meters/${root}/events`)).map(
      ({ kind, day }: { kind: string; day: string }) => `${kind} ${day}`,
    );

  test("an end by hand bounds what is collected, in the zone of the meter, until it is taken back", async () => {
    const connection = finder(customer);
    const root = await active(customer, connection, found({ timezone: "Europe/Stockholm" }));
    const path = `/meters/${root}/events`;
    const { _id, actor } = await ask(manager, "POST", path, {
      kind: "moved_out",
      day: "2026-03-30",
      note: "keys",
    });
    expect(actor.name).toBe("Manager");
    expect(await bounds(connection)).toEqual([null, Date.UTC(2026, 2, 29, 22)]);
    expect((await send(stranger, "DELETE", `${path}/${_id}`)).status).toBe(404);
    await ask(customer, "DELETE", `${path}/${_id}`);
    expect(await bounds(connection)).toEqual([null, null]);
    expect((await send(customer, "POST", path, { kind: "moved_out", day: "2026-02-30" })).status).toBe(400);
    expect(
      (await send(customer, "POST", path, { kind: "moved_out", day: "2026-02-20", ean: "1" })).status,
    ).toBe(400);
  });

  test("what the provider says of a contract follows it, and cannot be deleted by hand", async () => {
    const connection = finder(customer);
    const meter = found({ from: "2025-02-01", ended: "2026-04-01" });
    const root = await active(customer, connection, meter);
    expect(await kinds(customer, root)).toEqual(["moved_in 2025-02-01", "contract_ended 2026-04-01"]);
    const [event] = await ask(customer, "GET", `/meters/${root}/events`);
    expect((await send(customer, "DELETE", `/meters/${root}/events/${event._id}`)).status).toBe(403);
    await take(connection, [{ ...meter, ended: "2026-05-01" }]);
    expect(await kinds(customer, root)).toEqual(["moved_in 2025-02-01", "contract_ended 2026-05-01"]);
    const { ended: _, ...open } = meter;
    await take(connection, [open]);
    expect(await kinds(customer, root)).toEqual(["moved_in 2025-02-01"]);
    await take(connection, [{ ...open, from: "soon", ended: "2026-02-30" }]);
    expect(await kinds(customer, root)).toEqual([]);
  });

  test("whoever moves in sees values from then on, whatever the provider shows", async () => {
    const meter = found();
    const root = await active(customer, finder(customer), meter);
    await ask(customer, "POST", `/meters/${root}/events`, { kind: "moved_out", day: "2026-04-01" });
    const connection = finder(other);
    const next = await active(other, connection, meter);
    expect(next).not.toBe(root);
    expect(await bounds(connection)).toEqual([Date.UTC(2026, 2, 31, 23), null]);
    expect((await send(other, "GET", `/meters/${root}`)).status).toBe(404);
    const outside = finder(stranger);
    await active(stranger, outside, meter);
    expect(await bounds(outside)).toEqual([null, null]);
  });

  test("who moves in where the manager itself was sees nothing from before either", async () => {
    const meter = found();
    const root = await active(manager, finder(manager), meter);
    await ask(manager, "POST", `/meters/${root}/events`, { kind: "contract_ended", day: "2026-05-01" });
    const connection = finder(customer);
    await active(customer, connection, meter);
    expect(await bounds(connection)).toEqual([Date.UTC(2026, 3, 30, 23), null]);
  });

  test("a changed number stays the same meter, under the old and the new one", async () => {
    const connection = finder(customer);
    const meter = found();
    const root = await active(customer, connection, meter);
    const renumbered = { ...meter, ean: `7359996${++count}` };
    await take(connection, [renumbered]);
    expect(await metersOf(customer)).toMatchObject([{ _id: root, ean: renumbered.ean }]);
    const [event] = await ask(customer, "GET", `/meters/${root}/events`);
    expect(event).toMatchObject({
      kind: "id_changed",
      day: "2026-06-15",
      detail: { old: meter.ean, new: renumbered.ean, automatic: true },
    });
    expect((await take(finder(customer, "slow"), [found({ ean: meter.ean })])).created).toEqual([]);
    await take(connection, [renumbered]);
    expect(await kinds(customer, root)).toHaveLength(1);
    await ask(customer, "DELETE", `/meters/${root}/events/${event._id}`);
    expect(await metersOf(customer)).toMatchObject([{ ean: meter.ean }]);
  });

  test("a number that another meter has is told, each time, and taken from nobody", async () => {
    const connection = finder(customer);
    const [one, two] = [found(), found()];
    const { created } = await take(connection, [one, two]);
    const clash = [{ ...one, ean: two.ean }, two];
    for (let time = 0; time < 2; time++) {
      const { conflicting } = await take(connection, clash);
      expect(conflicting.map((source) => source.meterId)).toEqual([created[0]]);
    }
    expect(await metersOf(customer)).toMatchObject([{ ean: one.ean }, { ean: two.ean }]);
    const path = `/meters/${created[0]}/events`;
    const body = { kind: "id_changed", day: "2026-06-01" };
    expect((await send(customer, "POST", path, { ...body, ean: two.ean })).status).toBe(409);
    expect((await send(customer, "POST", path, { ...body, ean: one.ean })).status).toBe(400);
    expect((await send(customer, "POST", path, body)).status).toBe(400);
  });

  test("a number that comes later is given; one that a person gave stays", async () => {
    const connection = finder(customer);
    const meter = found({ ean: null });
    const [root] = (await take(connection, [meter])).created;
    await take(connection, [{ ...meter, ean: "4711" }]);
    expect(await metersOf(customer)).toMatchObject([{ _id: root, ean: "4711" }]);
    await ask(customer, "PUT", `/meters/${root}`, { ean: "by hand" });
    await take(connection, [{ ...meter, ean: "4712" }]);
    expect(await metersOf(customer)).toMatchObject([{ _id: root, ean: "by hand" }]);
  });
});

test("three thousand meters are taken in at once", async () => {
  const connection = finder(stranger);
  const meters = Array.from({ length: 3_000 }, () => found());
  expect((await take(connection, meters)).created).toHaveLength(3_000);
  expect(await take(connection, meters)).toMatchObject({ created: [], missing: [] });
  const kept = await api.db.one<{ count: number }>(
    sql`select count(*) as count from meter_source where connection_id = ${connection.id}`,
  );
  expect(kept.count).toBe(3_000);
});
