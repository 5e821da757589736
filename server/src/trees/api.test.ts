import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newAccount, newToken, type TestAccount } from "../../../test/harness/accounts.ts";
import { type TestApi, testApi } from "../../../test/harness/api.ts";
import { newMeter, newMeters } from "../../../test/harness/meters.ts";
import { authenticate } from "../accounts/accounts.ts";
import { sql } from "../platform/db.ts";
import type { Caller } from "../platform/http/endpoint.ts";
import { newId } from "../platform/id.ts";
import { treeEndpoints } from "./api.ts";
import { metersBelow } from "./trees.ts";

let api: TestApi;
let anna: TestAccount;
let stranger: TestAccount;
/** OAuth clients by token; other tokens are private ones. */
const clients = new Map<string, Caller>();

beforeAll(async () => {
  api = await testApi({
    endpoints: treeEndpoints,
    authenticate: async (credential, deps) => {
      const client = clients.get(credential.authorization?.slice("Bearer ".length) ?? "");
      return client ?? authenticate(credential, deps);
    },
  });
  anna = await newAccount(api.deps, { name: "Anna" });
  stranger = await newAccount(api.deps, { name: "Stranger" });
  for (const clientId of ["app1", "app2"]) {
    clients.set(clientId, {
      kind: "oauth",
      accountId: anna.id,
      ownAccountId: anna.id,
      actorId: null,
      clientId,
      credentialId: clientId,
      scopes: new Set(["basic", "write_trees"]),
      role: "reader",
    });
  }
});
afterAll(() => api.close());

const send = (who: TestAccount | string, method: string, path: string, body?: unknown) =>
  api.call(method, path, {
    token: typeof who === "string" ? who : who.token,
    ...(body === undefined ? {} : { body }),
  });

async function node(body: object = {}, who: TestAccount | string = anna): Promise<string> {
  const answer = await send(who, "POST", "/trees", { name: "Node", ...body });
  expect(answer.status, answer.text).toBe(200);
  return answer.json.data._id;
}
const place = async (nodeId: string, meter: string, factor = 1) =>
  expect((await send(anna, "POST", `/trees/${nodeId}/meters`, { _id: meter, factor })).status).toBe(200);
const idsOf = (answer: { json: { data: { _id: string }[] } }) => answer.json.data.map((one) => one._id);

describe("a node", () => {
  test("has every field of the contract, and children when it is made", async () => {
    const answer = await send(anna, "POST", "/trees", {
      parent: null,
      name: " House ",
      custom_identifier: "H1",
      factor: 0.5,
      location: [18, 59.5],
      custom_fields: { energyClass: "B", nested: { a: [1, null] } },
      app_custom_fields: [],
      meters: [{ _id: newId(0) }],
      open_channel_ids: [newId(0)],
    });
    expect(answer.status).toBe(200);
    const { _id } = answer.json.data;
    const shown = {
      _id,
      name: "House",
      custom_identifier: "H1",
      factor: 0.5,
      app_custom_fields: {},
      custom_fields: { energyClass: "B", nested: { a: [1, null] } },
      parent: null,
      location: [18, 59.5],
      meters: [],
      open_channel_ids: [],
    };
    expect(answer.json.data).toEqual({ ...shown, children: [] });
    const read = await send(anna, "GET", `/trees/${_id}`);
    expect(read.json.data).toEqual(shown);
    const changed = await send(anna, "PUT", `/trees/${_id}`, { name: "Hus", custom_fields: { a: 1 } });
    expect(changed.json).toMatchObject({ code: 200, message: "OK" });
    expect(changed.json).not.toHaveProperty("count");
    expect(changed.json.data).toEqual({ ...shown, name: "Hus", custom_fields: { a: 1 } });
    const deleted = await send(anna, "DELETE", `/trees/${_id}`);
    expect(deleted.json).toEqual({ code: 200, message: "Deleted tree.", data: changed.json.data });
    expect((await send(anna, "GET", `/trees/${_id}`)).status).toBe(404);
  });

  test.each([
    [{ name: "" }, "name"],
    [{ name: undefined }, "name"],
    [{ name: "a\u0000b" }, "name"],
    [{ factor: 1e308 }, "factor"],
    [{ factor: "many" }, "factor"],
    [{ factor: null }, "factor"],
    [{ location: [181, 0] }, "location.0"],
    [{ location: [1] }, "location"],
    [{ custom_fields: "text" }, "custom_fields"],
    [{ custom_fields: { x: "y".repeat(16_400) } }, "custom_fields"],
    [{ custom_fields: { x: "a\u0000" } }, "custom_fields"],
    [{ app_custom_fields: { "\ud800": 1 } }, "app_custom_fields"],
    [{ custom_identifier: "x".repeat(201) }, "custom_identifier"],
    [{ parent: 5 }, "parent"],
  ])("%j is refused", async (body, field) => {
    const answer = await send(anna, "POST", "/trees", { name: "Node", ...body });
    expect(answer.status).toBe(400);
    expect(Object.keys(answer.json.errors)).toEqual([field]);
  });

  test("__proto__ in custom fields pollutes nothing", async () => {
    const body =
      '{"name":"N","custom_fields":{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}}';
    const answer = await send(anna, "POST", "/trees", body);
    expect(answer.status).toBe(400);
    const id = await node({ custom_fields: { constructor: { prototype: { polluted: 1 } } } });
    expect((await send(anna, "GET", `/trees/${id}`)).json.data.custom_fields.constructor.prototype).toEqual({
      polluted: 1,
    });
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
    const list = await send(
      anna,
      "GET",
      "/trees?custom_fields.__proto__.polluted=1&custom_fields.constructor.prototype.polluted=1",
    );
    expect(idsOf(list)).toEqual([]);
  });

  test("of another account, and ids of nothing, answer the same 404", async () => {
    const id = await node({ name: "secret" });
    const mine = await node({}, stranger);
    const meter = await newMeter(api, anna);
    const before = await fingerprint();
    for (const wrong of [id, newId(0), "x", "%00"]) {
      for (const [method, path, body] of [
        ["GET", `/trees/${wrong}`, undefined],
        ["PUT", `/trees/${wrong}`, { name: "taken" }],
        ["DELETE", `/trees/${wrong}`, undefined],
        ["POST", `/trees/${wrong}/meters`, { _id: meter.id }],
        ["DELETE", `/trees/${wrong}/meters/${meter.id}`, undefined],
      ] as const) {
        const answer = await send(stranger, method, path, body);
        expect(answer.status, `${method} ${path}`).toBe(404);
        expect(answer.json.message).toBe("Resource not found");
      }
    }
    expect((await send(stranger, "PUT", `/trees/${mine}`, { parent: id })).status).toBe(404);
    expect((await send(stranger, "POST", "/trees", { name: "x", parent: id })).status).toBe(404);
    expect((await send(stranger, "POST", `/trees/${mine}/meters`, { _id: meter.id })).status).toBe(404);
    expect((await send(stranger, "GET", `/trees?parent=${id}`)).json.count).toBe(0);
    expect((await send(stranger, "GET", `/meters?tree_structure_ids=${id}`)).json.count).toBe(0);
    expect(await fingerprint()).toBe(before);
    await expect(metersBelow(api.db, stranger.id, id)).rejects.toMatchObject({ code: "not_found" });
  });

  test("is written only with the scope write_trees", async () => {
    const reader = await newToken(api.deps, anna.id, ["basic"]);
    const id = await node();
    const meter = await newMeter(api, anna);
    for (const [method, path, body] of [
      ["POST", "/trees", { name: "x" }],
      ["PUT", `/trees/${id}`, { name: "x" }],
      ["DELETE", `/trees/${id}`, undefined],
      ["POST", `/trees/${id}/meters`, { _id: meter.id }],
      ["DELETE", `/trees/${id}/meters/${meter.id}`, undefined],
    ] as const) {
      expect((await send(reader, method, path, body)).status).toBe(403);
    }
    expect((await send(reader, "GET", `/trees/${id}`)).status).toBe(200);
    expect((await api.call("GET", "/trees")).status).toBe(401);
  });
});

async function fingerprint(): Promise<string> {
  const { hash } = await api.db.one<{ hash: string }>(sql`
    select md5(coalesce((select string_agg(n::text, '' order by id) from tree_node n), '') ||
               coalesce((select string_agg(t::text, '' order by node_id, meter_id) from tree_meter t), '')) as hash`);
  return hash;
}

describe("custom fields", () => {
  test("of a client are its own; those of the account are hidden from clients", async () => {
    const id = await node({ custom_fields: { secret: "s" }, app_custom_fields: { who: "account" } });
    await send("app1", "PUT", `/trees/${id}`, { app_custom_fields: { who: "one" } });
    await send("app2", "PUT", `/trees/${id}`, { app_custom_fields: { who: "two" } });
    const shown = async (who: TestAccount | string) => {
      const { app_custom_fields, custom_fields } = (await send(who, "GET", `/trees/${id}`)).json.data;
      return [app_custom_fields, custom_fields];
    };
    expect(await shown(anna)).toEqual([{ who: "account" }, { secret: "s" }]);
    expect(await shown("app1")).toEqual([{ who: "one" }, {}]);
    expect(await shown("app2")).toEqual([{ who: "two" }, {}]);
    const refused = await send("app1", "PUT", `/trees/${id}`, { custom_fields: { secret: "t" } });
    expect(refused.status).toBe(403);
    expect(refused.json.errors.custom_fields[0]).toContain("app_custom_fields");
    // Sending back what was read changes nothing.
    expect((await send("app1", "PUT", `/trees/${id}`, { custom_fields: {}, name: "N" })).status).toBe(200);
    expect(await shown(anna)).toEqual([{ who: "account" }, { secret: "s" }]);
    for (const [who, query, found] of [
      [anna, "app_custom_fields.who=account", 1],
      [anna, "app_custom_fields.who=one", 0],
      [anna, "custom_fields.secret=s", 1],
      ["app1", "app_custom_fields.who=one", 1],
      ["app1", "app_custom_fields.who=two", 0],
    ] as const) {
      expect((await send(who, "GET", `/trees?${query}`)).json.count, query).toBe(found);
    }
    const hidden = await send("app1", "GET", "/trees?custom_fields.secret=s&limit=1");
    expect(hidden.headers["x-ignored-parameters"]).toBe("custom_fields.secret");
    expect(hidden.json.count).toBe((await send("app1", "GET", "/trees?limit=1")).json.count);
  });
});

describe("the list", () => {
  test("descends from the roots, filtered and paged", async () => {
    const owner = await newAccount(api.deps);
    const roots = [
      await node({ name: "Äpple", custom_identifier: "R1" }, owner),
      await node({ name: "Beta" }, owner),
    ];
    const children = [];
    for (let n = 0; n < 3; n++) children.push(await node({ name: `Child ${n}`, parent: roots[0] }, owner));
    const list = async (query: string) => idsOf(await send(owner, "GET", `/trees?${query}`));
    expect(await list("parent=null")).toEqual(roots);
    expect(await list(`parent=${roots[0]}`)).toEqual(children);
    expect(await list(`parent=${roots[1]}`)).toEqual([]);
    expect(await list("")).toEqual([...roots, ...children]);
    expect(await list("name=%C3%84PP")).toEqual([roots[0]]);
    expect(await list("custom_identifier=R1")).toEqual([roots[0]]);
    expect(await list("custom_identifier=null&sort=-name&limit=2")).toEqual([children[2], children[1]]);
    expect(await list("q=child AND 2")).toEqual([children[2]]);
    expect((await send(owner, "GET", "/trees?skip=1&limit=2")).json).toMatchObject({
      count: 5,
      skip: 1,
      limit: 2,
    });
    expect((await send(owner, "GET", "/trees?parent=oops")).status).toBe(400);
  });
});

describe("meters at nodes", () => {
  test("are put by own id or root id, once, with a factor, and taken away", async () => {
    const id = await node();
    const [one, two, three] = await newMeters(api, anna, [{}, {}, { box: "inbox" }]);
    const foreign = await newMeter(api, stranger);
    const first = await send(anna, "POST", `/trees/${id}/meters`, { _id: one!.id });
    expect(first.json.data.meters).toEqual([{ _id: one!.id, root_id: one!.id, factor: 1 }]);
    const more = await send(anna, "POST", `/trees/${id}/meters`, [
      { _id: two!.id, factor: -0.25 },
      { _id: three!.id },
      { _id: one!.id, factor: "0.5" },
    ]);
    expect(more.json.data.meters).toEqual([
      { _id: one!.id, root_id: one!.id, factor: 0.5 },
      { _id: two!.id, root_id: two!.id, factor: -0.25 },
      { _id: three!.id, root_id: three!.id, factor: 1 },
    ]);
    const refused = await send(anna, "POST", `/trees/${id}/meters`, [
      { _id: two!.id, factor: 7 },
      { _id: foreign.id },
    ]);
    expect(refused.status).toBe(404);
    for (const factor of [1e308, "x", null, 10_001]) {
      const wrong = await send(anna, "POST", `/trees/${id}/meters`, { _id: two!.id, factor });
      expect(wrong.status).toBe(400);
      expect(Object.keys(wrong.json.errors)).toEqual(["0.factor"]);
    }
    expect((await send(anna, "GET", `/trees/${id}`)).json.data).toEqual(more.json.data);
    const taken = await send(anna, "DELETE", `/trees/${id}/meters/${two!.id}`);
    expect(taken.status).toBe(200);
    expect(taken.json.data.meters).toHaveLength(2);
    expect((await send(anna, "DELETE", `/trees/${id}/meters/${two!.id}`)).status).toBe(404);
  });

  test("show their paths only while they are active", async () => {
    const root = await node({ name: "Region" });
    const house = await node({ name: "House", parent: root });
    const flat = await node({ name: "Flat", parent: house });
    const meter = await newMeter(api, anna, { box: "inbox" });
    await place(flat, meter.id);
    await place(root, meter.id);
    const shown = async () =>
      (await send(anna, "GET", `/meters/${meter.id}`)).json.data.active_box_tree_paths;
    expect(await shown()).toEqual([]);
    await send(anna, "PUT", `/meters/${meter.id}`, { box: "active" });
    const steps = [
      { _id: root, name: "Region" },
      { _id: house, name: "House" },
      { _id: flat, name: "Flat" },
    ];
    expect(await shown()).toEqual([steps, steps.slice(0, 1)]);
    await send(anna, "PUT", `/trees/${house}`, { name: "Villa", parent: null });
    expect(await shown()).toEqual([[{ _id: house, name: "Villa" }, steps[2]], steps.slice(0, 1)]);
    for (const [query, count] of [
      [`tree_structure_ids=${house}`, 1],
      [`tree_structure_ids=${root}`, 1],
      [`tree_structure_ids=${newId(0)}`, 0],
      [`tree_structure_ids=${newId(0)},${flat}`, 1],
      [`tree_structure_ids=${flat}&tree_structure_ids=${root}&box=inbox`, 0],
    ] as const) {
      expect((await send(anna, "GET", `/meters?${query}`)).json.count, query).toBe(count);
    }
    await send(anna, "DELETE", `/trees/${house}`);
    expect((await send(anna, "GET", `/trees/${flat}`)).status).toBe(404);
    expect(await shown()).toEqual([steps.slice(0, 1)]);
    expect((await send(anna, "GET", `/meters/${meter.id}`)).status).toBe(200);
  });

  test("that are revoked leave the node, and come back to their place", async () => {
    const manager = await newAccount(api.deps);
    const sub = await newAccount(api.deps, { managerId: manager.id });
    const meter = await newMeter(api, sub);
    const copy = (await send(manager, "GET", `/meters/${meter.id}`)).json.data._id;
    const id = await node({}, manager);
    const added = await send(manager, "POST", `/trees/${id}/meters`, { _id: meter.id, factor: 2 });
    expect(added.json.data.meters).toEqual([{ _id: copy, root_id: meter.id, factor: 2 }]);
    const set = (revoked: boolean) =>
      api.db.run(sql`update meter set revoked = ${revoked} where id = ${copy}`);
    await set(true);
    expect((await send(manager, "GET", `/trees/${id}`)).json.data.meters).toEqual([]);
    expect((await send(manager, "POST", `/trees/${id}/meters`, { _id: copy })).status).toBe(403);
    await set(false);
    expect((await send(manager, "GET", `/trees/${id}`)).json.data.meters).toEqual(added.json.data.meters);
  });
});

describe("meters below a node", () => {
  test("count once each, with the factors of their place", async () => {
    const owner = await newAccount(api.deps);
    const put = (id: string, meter: string, factor: number) =>
      send(owner, "POST", `/trees/${id}/meters`, { _id: meter, factor });
    const top = await node({ factor: 100 }, owner);
    const left = await node({ parent: top, factor: 0.5 }, owner);
    const right = await node({ parent: top, factor: 2 }, owner);
    const leaf = await node({ parent: left, factor: 3 }, owner);
    const [a, b, c] = await newMeters(api, owner, [{}, {}, { box: "inbox" }]);
    await put(leaf, a!.id, 7);
    await put(right, a!.id, 11);
    await put(leaf, b!.id, 1);
    await put(top, c!.id, 5);
    const factors = async (id: string) =>
      Object.fromEntries((await metersBelow(api.db, owner.id, id)).map((meter) => [meter.id, meter.factor]));
    expect(await factors(top)).toEqual({ [a!.id]: 22, [b!.id]: 1.5, [c!.id]: 5 });
    expect(await factors(left)).toEqual({ [a!.id]: 21, [b!.id]: 3 });
    expect(await factors(leaf)).toEqual({ [a!.id]: 7, [b!.id]: 1 });
    expect((await metersBelow(api.db, owner.id, top)).find((meter) => meter.id === c!.id)).toMatchObject({
      rootId: c!.id,
      box: "inbox",
      revoked: false,
      type: "electricity",
      metrics: ["energy"],
      timezone: "Etc/GMT-1",
      part: c!.part,
    });
  });

  test("a metering point with two references counts once, by the readable one", async () => {
    const manager = await newAccount(api.deps);
    const subs = [
      await newAccount(api.deps, { managerId: manager.id }),
      await newAccount(api.deps, { managerId: manager.id }),
    ];
    const root = await newMeter(api, subs[0]!);
    const first = (await send(manager, "GET", `/meters/${root.id}`)).json.data._id;
    // A second reference to the same root, further away.
    const second = newId(api.clock.now());
    await api.db.run(sql`
      insert into meter (id, root_id, parent_id, holder_id, root_holder_id, assigner_id, generation, control_level, box,
        created, updated, part, type, timezone, metrics)
      select ${second}, root_id, id, holder_id, root_holder_id, ${subs[1]!.id}, 3, 'shared', 'active', created, updated,
        part, type, timezone, metrics from meter where id = ${first}`);
    const top = await node({}, manager);
    const deep = await node({ parent: top, factor: 2 }, manager);
    await send(manager, "POST", `/trees/${top}/meters`, { _id: first, factor: 3 });
    await send(manager, "POST", `/trees/${deep}/meters`, { _id: second, factor: 5 });
    const chosen = async () =>
      (await metersBelow(api.db, manager.id, top)).map(({ id, factor }) => [id, factor]);
    expect(await chosen()).toEqual([[first, 3]]);
    await api.db.run(sql`update meter set revoked = true where id = ${first}`);
    expect(await chosen()).toEqual([[second, 10]]);
  });
});

describe("the shape of trees", () => {
  test("has 64 levels at most, also by a move", async () => {
    const owner = await newAccount(api.deps);
    const chain: string[] = [];
    for (let n = 0; n < 64; n++) chain.push(await node(n === 0 ? {} : { parent: chain[n - 1] }, owner));
    expect((await send(owner, "POST", "/trees", { name: "x", parent: chain[63] })).status).toBe(400);
    const other = await node({}, owner);
    const below = await node({ parent: other }, owner);
    const refused = await send(owner, "PUT", `/trees/${other}`, { parent: chain[62] });
    expect(refused.status).toBe(400);
    expect(refused.json.errors.parent[0]).toContain("64 levels");
    expect((await send(owner, "PUT", `/trees/${below}`, { parent: chain[62] })).status).toBe(200);
  });

  test("a node cannot go into itself or below itself", async () => {
    const top = await node();
    const middle = await node({ parent: top });
    const low = await node({ parent: middle });
    for (const parent of [top, middle, low]) {
      const answer = await send(anna, "PUT", `/trees/${top}`, { parent });
      expect(answer.status).toBe(400);
      expect(Object.keys(answer.json.errors)).toEqual(["parent"]);
    }
    expect((await send(anna, "PUT", `/trees/${low}`, { parent: top })).json.data.parent).toBe(top);
    expect((await send(anna, "PUT", `/trees/${low}`, { parent: null })).json.data.parent).toBeNull();
  });

  test("stays a forest under 1,000 racing moves, and every path is true", async () => {
    const owner = await newAccount(api.deps);
    const nodes: string[] = [];
    for (let n = 0; n < 12; n++) nodes.push(await node({}, owner));
    const moves = fc.sample(
      fc.record({ id: fc.constantFrom(...nodes), parent: fc.constantFrom(null, ...nodes) }),
      1000,
    );
    const statuses = new Map<number, number>();
    for (let from = 0; from < moves.length; from += 20) {
      const answers = await Promise.all(
        moves.slice(from, from + 20).map(({ id, parent }) => send(owner, "PUT", `/trees/${id}`, { parent })),
      );
      for (const { status } of answers) statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
    expect([...statuses.keys()].sort()).toEqual([200, 400]);
    // What hangs together with a root by `parent_id`, with the path that follows from it.
    const wrong = await api.db.rows(sql`
      with recursive reached as (
        select id, id as path from tree_node where account_id = ${owner.id} and parent_id is null
        union all
        select n.id, reached.path || n.id from reached join tree_node n on n.parent_id = reached.id)
      select n.id from tree_node n left join reached r on r.id = n.id
      where n.account_id = ${owner.id} and r.path is distinct from n.path`);
    expect(wrong).toEqual([]);
  });
});

test("generated queries of /trees and /meters give no 5xx", async () => {
  const names = fc.oneof(
    fc.constantFrom(
      "parent",
      "name",
      "custom_fields.a",
      "app_custom_fields.a.b",
      "factor",
      "sort",
      "q",
      "tree_structure_ids",
    ),
    fc.string({ maxLength: 8, unit: "binary" }),
  );
  const values = fc.oneof(
    fc.constantFrom("null", "<5", ">", "a,b", "-name", "app_custom_fields.a"),
    fc.string({ unit: "binary" }),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(names, values), { maxLength: 4 }),
      fc.boolean(),
      async (pairs, trees) => {
        const query = new URLSearchParams(
          pairs.map(([name, value]): [string, string] => [name.toWellFormed(), value.toWellFormed()]),
        );
        const path = trees ? "/trees" : "/meters";
        const answer = await api.call("GET", path, {
          token: anna.token,
          query: query.toString(),
          mayFail: true,
        });
        expect(answer.status, query.toString()).toBeLessThan(500);
      },
    ),
    { numRuns: 300 },
  );
});
