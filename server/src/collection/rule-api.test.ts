import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { newAccount, type TestAccount } from "../../../test/harness/accounts.ts";
import { type TestApi, testApi } from "../../../test/harness/api.ts";
import { newMeter } from "../../../test/harness/meters.ts";
import { authenticate } from "../accounts/accounts.ts";
import { newId } from "../platform/id.ts";
import { treeEndpoints } from "../trees/api.ts";
import { collectionEndpoints } from "./api.ts";
import type { FoundMeter } from "./connector.ts";
import { takeIn } from "./intake.ts";

let api: TestApi;
let manager: TestAccount;
let customer: TestAccount;
let stranger: TestAccount;

beforeAll(async () => {
  api = await testApi({ endpoints: [...treeEndpoints, ...collectionEndpoints([])], authenticate });
});
afterAll(() => api.close());
beforeEach(async () => {
  manager = await newAccount(api.deps, { name: "Manager" });
  customer = await newAccount(api.deps, { name: "Customer", managerId: manager.id });
  stranger = await newAccount(api.deps, { name: "Stranger" });
});

const send = (who: TestAccount, method: string, path: string, body?: unknown) =>
  api.call(method, path, { token: who.token, ...(body === undefined ? {} : { body }) });
async function ask(who: TestAccount, method: string, path: string, body?: unknown) {
  const answer = await send(who, method, path, body);
  expect(answer.status, answer.text).toBe(200);
  return answer.json.data;
}

let count = 0;
const found = (more: Partial<FoundMeter> = {}): FoundMeter => ({
  key: `key ${++count}`,
  ean: `7358880${++count}`,
  name: "At the provider",
  address: "Storgatan 1",
  customer: { number: "1002", name: "Brf Ängen" },
  text: "Gatubelysning",
  type: "electricity",
  metrics: [{ metric: "energy", granularities: ["hour"] }],
  ...more,
});
const take = (who: TestAccount, ...meters: FoundMeter[]) =>
  api.db.transaction((tx) =>
    takeIn(tx, {
      connection: { id: newId(api.clock.now()), accountId: who.id, provider: "scripted" },
      found: meters,
      now: api.clock.now(),
    }),
  );
const rule = (who: TestAccount, actions: object, conditions: object = {}) =>
  ask(who, "POST", "/inbox_rules", { name: `Rule ${++count}`, conditions, actions });
const metersOf = (who: TestAccount, query = "") => ask(who, "GET", `/meters?limit=300${query}`);

describe("rules", () => {
  test("are read, changed, ordered and deleted by their account alone", async () => {
    const first = await rule(customer, { box: "active" });
    const second = await rule(customer, { tags: ["a"] }, { type: "heat", account: "me" });
    expect(second.conditions).toEqual({ type: "heat", account: customer.id });
    const path = `/inbox_rules/${second._id}`;
    expect(await ask(customer, "PUT", path, { position: 1, enabled: "false" })).toMatchObject({
      name: second.name,
      position: 1,
      enabled: false,
      actions: { tags: ["a"] },
    });
    const order = (await ask(customer, "GET", "/inbox_rules")).map((one: { _id: string }) => one._id);
    expect(order).toEqual([second._id, first._id]);
    for (const [method, body] of [["GET"], ["PUT", { name: "x" }], ["DELETE"]] as const) {
      expect((await send(stranger, method, path, body)).status).toBe(404);
    }
    await ask(customer, "DELETE", path);
    expect(await ask(customer, "GET", `/inbox_rules/${first._id}`)).toMatchObject({ position: 1 });
    expect((await send(customer, "GET", path)).status).toBe(404);
  });

  test("refuse what they cannot do, and say why", async () => {
    const tree = await ask(stranger, "POST", "/trees", { name: "Theirs" });
    const body = (more: object) => ({ name: "n", actions: { box: "active" }, ...more });
    const refused = async (sent: object) => (await send(customer, "POST", "/inbox_rules", sent)).status;
    expect(await refused(body({ actions: { tree_id: tree._id } }))).toBe(404);
    expect(await refused(body({ conditions: { account: stranger.id } }))).toBe(404);
    expect(await refused(body({ conditions: { account: manager.id } }))).toBe(404);
    expect(await refused(body({ actions: {} }))).toBe(400);
    expect(await refused(body({ actions: { name: "{nothing}" } }))).toBe(400);
    expect(await refused(body({ conditions: { type: "steam" } }))).toBe(400);
  });

  test("a place whose tree node is deleted is gone from the rule", async () => {
    const tree = await ask(customer, "POST", "/trees", { name: "Site" });
    const made = await rule(customer, { box: "active", tree_id: tree._id, tree_child: "{address}" });
    await ask(customer, "DELETE", `/trees/${tree._id}`);
    expect(await ask(customer, "GET", `/inbox_rules/${made._id}`)).toMatchObject({
      actions: { box: "active" },
    });
    await take(customer, found());
    expect(await metersOf(customer, "&box=active")).toHaveLength(1);
  });
});

describe("what is found", () => {
  test("is accepted, named, tagged and placed at once", async () => {
    const tree = await ask(customer, "POST", "/trees", { name: "Houses" });
    await rule(customer, { box: "active", tags: ["el"] }, { type: "electricity" });
    await rule(
      customer,
      { name: "{customer.name}, {address}", tree_id: tree._id, tree_child: "{address}", factor: 0.5 },
      { provider: "scripted", ean_prefix: "735", customer: "1002", text: "belysning", address: "storg" },
    );
    await rule(customer, { box: "ignored" }, { type: "heat" });
    await take(customer, found(), found(), found({ type: "heat", address: "Lillgatan 2" }));
    const meters = await metersOf(customer);
    expect(
      meters.map(({ box, name, tags }: { box: string; name: string; tags: string[] }) => [box, name, tags]),
    ).toEqual([
      ["active", "Brf Ängen, Storgatan 1", ["el"]],
      ["active", "Brf Ängen, Storgatan 1", ["el"]],
      ["ignored", "At the provider", []],
    ]);
    expect(meters[0].active_box_tree_paths).toMatchObject([[{ name: "Houses" }, { name: "Storgatan 1" }]]);
    const below = await metersOf(customer, `&tree_structure_ids=${tree._id}`);
    expect(below).toHaveLength(2);
    const [child, ...more] = await ask(customer, "GET", `/trees?parent=${tree._id}`);
    expect(more).toEqual([]);
    expect(child.meters[0].factor).toBe(0.5);
  });

  test("follows the manager's rules where the customer has none: its box, the manager's own name and place", async () => {
    const tree = await ask(manager, "POST", "/trees", { name: "Portfolio" });
    await rule(manager, { box: "active", name: "{ean}", tree_id: tree._id }, { account: customer.id });
    const [meter, away] = [found(), found({ type: "heat" })];
    await rule(customer, { box: "ignored" }, { type: "heat" });
    await take(customer, meter, away);
    expect(await metersOf(customer)).toMatchObject([
      { box: "active", name: "At the provider", ean: meter.ean },
      { box: "ignored", ean: away.ean },
    ]);
    expect(await metersOf(manager, `&assigner._id=${customer.id}`)).toMatchObject([
      { box: "active", name: meter.ean },
      { box: "ignored", name: "At the provider" },
    ]);
    expect(await metersOf(manager, `&tree_structure_ids=${tree._id}`)).toMatchObject([{ ean: meter.ean }]);
  });

  test("is left alone by rules that are turned off", async () => {
    const { _id } = await rule(customer, { box: "active" });
    await ask(customer, "PUT", `/inbox_rules/${_id}`, { enabled: false });
    await take(customer, found());
    expect(await metersOf(customer)).toMatchObject([{ box: "inbox" }]);
  });
});

describe("meters that lie in the inbox", () => {
  test("are shown what would become of them before a rule is saved or applied", async () => {
    const meter = found();
    await take(customer, meter, found({ type: "heat" }));
    const tree = await ask(customer, "POST", "/trees", { name: "Site" });
    const body = {
      name: "Try",
      conditions: { type: "electricity" },
      actions: { box: "active", tree_id: tree._id, tree_child: "{address}" },
    };
    expect(await ask(customer, "POST", "/inbox_rules/preview", body)).toMatchObject({
      count: 1,
      active: 1,
      ignored: 0,
      placed: 1,
      changed: false,
      meters: [{ ean: meter.ean, rules: ["Try"], becomes: { box: "active", tree_child: "Storgatan 1" } }],
    });
    expect(await ask(customer, "GET", `/trees?parent=${tree._id}`)).toEqual([]);
    expect(await metersOf(customer, "&box=inbox")).toHaveLength(2);
    expect((await send(stranger, "POST", "/inbox_rules/preview", body)).status).toBe(404);
  });

  test("follow rules that are applied, all or one; what a person has moved stays", async () => {
    await take(customer, found(), found(), found());
    const meters = await metersOf(customer);
    await ask(customer, "PUT", `/meters/${meters[0]._id}`, { box: "ignored" });
    await newMeter(api, customer, { box: "inbox" });
    await rule(customer, { tags: ["b"] });
    const { _id } = await rule(customer, { box: "active", tags: ["a"] });
    expect(await ask(customer, "POST", "/inbox_rules/apply", { preview: true })).toMatchObject({
      count: 2,
      changed: false,
    });
    expect(await ask(customer, "POST", "/inbox_rules/apply", { rule: _id })).toMatchObject({
      count: 2,
      active: 2,
      changed: true,
    });
    const after = await metersOf(customer);
    expect(after.map(({ box, tags }: { box: string; tags: string[] }) => `${box} ${tags}`)).toEqual([
      "ignored ",
      "active a",
      "active a",
      "inbox ",
    ]);
    expect(await ask(customer, "POST", "/inbox_rules/apply", {})).toMatchObject({ count: 0 });
    expect((await send(stranger, "POST", "/inbox_rules/apply", { rule: _id })).status).toBe(404);
    expect((await send(stranger, "POST", "/inbox_rules/apply", {})).status).toBe(400);
  });

  test("become active for a manager that had put its copy back by hand", async () => {
    await take(customer, found());
    const [copy] = await metersOf(manager);
    await ask(manager, "PUT", `/meters/${copy._id}`, { box: "inbox" });
    await rule(manager, { box: "active" });
    await ask(manager, "POST", "/inbox_rules/apply", {});
    expect(await metersOf(manager)).toMatchObject([{ box: "active" }]);
    expect(await metersOf(customer)).toMatchObject([{ box: "active" }]);
  });
});
