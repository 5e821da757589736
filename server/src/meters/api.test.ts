import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newAccount, newToken, type TestAccount } from "../../../test/harness/accounts.ts";
import { type TestApi, testApi } from "../../../test/harness/api.ts";
import { newMeter, newMeters } from "../../../test/harness/meters.ts";
import { authenticate } from "../accounts/accounts.ts";
import { newId } from "../platform/id.ts";
import { meterEndpoints } from "./api.ts";
import type { Places } from "./meter.ts";
import { addMetrics, meterObjectEndpoints, setStats, shareAll } from "./meters.ts";

/** Trees are above meters; here no meter has a place. */
const nowhere: Places = {
  pathsOf: async () => new Map(),
  below: async () => null,
};

let api: TestApi;
let anna: TestAccount;
let stranger: TestAccount;

beforeAll(async () => {
  api = await testApi({ endpoints: [...meterEndpoints, ...meterObjectEndpoints(nowhere)], authenticate });
  anna = await newAccount(api.deps, { name: "Anna" });
  stranger = await newAccount(api.deps, { name: "Stranger" });
});
afterAll(() => api.close());

const get = (
  path: string,
  who: TestAccount | string = anna,
  query: Record<string, string | readonly string[]> = {},
) => api.call("GET", path, { token: typeof who === "string" ? who : who.token, query });
const send = (method: string, path: string, body: unknown, who: TestAccount | string = anna) =>
  api.call(method, path, { token: typeof who === "string" ? who : who.token, body });

describe("a meter", () => {
  test("shows every field of the contract", async () => {
    const made = await newMeter(api, anna, {
      ean: "735999100000000001",
      name: "Main",
      address: "Storgatan 1",
      tags: ["roof"],
      location: [18.07, 59.33],
      expectedGranularity: "hour",
      representation: "consumption",
    });
    const answer = await get(`/meters/${made.id}`);
    expect(answer.status).toBe(200);
    const holder = { _id: anna.id, name: "Anna", username: anna.username };
    const none = { first: null, last: null, min: null, max: null, sum: null, count: 0 };
    expect(answer.json.data).toEqual({
      _id: made.id,
      ean: "735999100000000001",
      name: "Main",
      address: "Storgatan 1",
      tags: ["roof"],
      holder,
      root: { _id: made.id, holder: { _id: anna.id, name: "Anna" } },
      assigner: null,
      children: [],
      created: "2026-01-15T12:00:00+0000",
      location: [18.07, 59.33],
      timezone: "Etc/GMT-1",
      control_level: "owned",
      generation: 0,
      box: "active",
      revoked: false,
      type: "electricity",
      metrics: ["energy"],
      consumption_stats: { energy: { month: none, day: none, hour: none } },
      readings_stats: null,
      has_active_complaints: false,
      readings_blocked: false,
      on_hold: false,
      representation: "consumption",
      open_channel_ids: null,
      active_box_tree_paths: [],
      expected_granularity: "hour",
    });
  });

  test("a foreign id answers like one that does not exist", async () => {
    const { id } = await newMeter(api, anna);
    const bodies = [];
    for (const path of [`/meters/${id}`, `/meters/${newId(0)}`, "/meters/%00", "/meters/x"]) {
      for (const [method, suffix] of [
        ["GET", ""],
        ["GET", "/activity"],
        ["PUT", ""],
        ["POST", ""],
      ] as const) {
        const answer = await send(
          method,
          path + suffix,
          method === "GET" ? undefined : { name: "x" },
          stranger,
        );
        bodies.push({ status: answer.status, message: answer.json.message });
      }
    }
    expect(new Set(bodies.map((body) => JSON.stringify(body)))).toEqual(
      new Set([JSON.stringify({ status: 404, message: "Resource not found" })]),
    );
    expect((await get(`/meters/${id}`)).json.data.name).toBeNull();
  });

  test("needs a token, and a scope to be written", async () => {
    const { id } = await newMeter(api, anna);
    expect((await api.call("GET", "/meters")).status).toBe(401);
    const reader = await newToken(api.deps, anna.id, ["basic"]);
    expect((await get(`/meters/${id}`, reader)).status).toBe(200);
    for (const [method, path, body] of [
      ["PUT", `/meters/${id}`, { name: "x" }],
      ["POST", `/meters/${id}`, { name: "x" }],
      ["PUT", "/meters", [{ _id: id, name: "x" }]],
      ["POST", "/meters", { type: "water" }],
      ["POST", "/meters/many/share_with", [{ _id: id, holder: stranger.id }]],
      ["POST", "/meters/many/assign_to", [{ _id: id, holder: stranger.id }]],
      ["PUT", "/meters/many/revoke", [id]],
      ["POST", "/accounts/me/meter_subscribers", { subscriber: stranger.id }],
      ["POST", "/open_channels", { name: "x" }],
    ] as const) {
      expect((await send(method, path, body, reader)).status, `${method} ${path}`).toBe(403);
    }
    expect((await get(`/meters/${id}`)).json.data).toMatchObject({ name: null, children: [] });
  });
});

describe("making meters", () => {
  test("by hand: in the inbox, with the zone of the account", async () => {
    const answer = await send("POST", "/meters", { type: "water", name: " Sub ", ean: 17, box: "active" });
    expect(answer.status).toBe(200);
    expect(answer.json.data).toMatchObject({
      type: "water",
      name: "Sub",
      ean: "17",
      box: "active",
      control_level: "manual",
      generation: 0,
      metrics: ["flow"],
      timezone: "Etc/GMT-1",
    });
    const again = await send("POST", "/meters", { type: "water", ean: "17" });
    expect(again.status).toBe(409);
    expect(again.json.errors.ean[0]).toContain(answer.json.data._id);
    expect((await send("POST", "/meters", { type: "water", ean: "17", channel: "2" })).status).toBe(200);
  });

  test.each([
    [{}, "type"],
    [{ type: "steam" }, "type"],
    [{ type: "heat", timezone: "Mars/Base" }, "timezone"],
    [{ type: "heat", tags: "a" }, "tags"],
    [{ type: "heat", location: [200, 0] }, "location.0"],
    [{ type: "heat", name: "x".repeat(501) }, "name"],
    [{ type: "heat", name: "a\u0000b" }, "name"],
    [{ type: "heat", metrics: ["Energy; drop"] }, "metrics.0"],
  ])("%j is refused", async (body, field) => {
    const answer = await send("POST", "/meters", body);
    expect(answer.status).toBe(400);
    expect(Object.keys(answer.json.errors)).toEqual([field]);
  });

  test("thousands at once, and again: found, not made", async () => {
    const holder = await newAccount(api.deps);
    const specs = Array.from({ length: 2500 }, (_, n) => ({ ean: `bulk ${n % 2400}`, channel: "1" }));
    const first = await newMeters(api, holder, specs);
    expect(first.filter((meter) => meter.created)).toHaveLength(2400);
    expect(new Set(first.map((meter) => meter.id)).size).toBe(2400);
    expect(first[2400]).toEqual({ ...first[0]!, created: false });
    const second = await newMeters(api, holder, specs);
    expect(second).toEqual(first.map((meter) => ({ ...meter, created: false })));
    expect((await get("/meters", holder)).json.count).toBe(2400);
  });

  test("at the same time from two sides makes one", async () => {
    const holder = await newAccount(api.deps);
    const specs = Array.from({ length: 50 }, (_, n) => ({ ean: `race ${n}` }));
    const both = await Promise.all([
      newMeters(api, holder, specs),
      newMeters(api, holder, [...specs].reverse()),
    ]);
    expect(both[1].map((meter) => meter.id).reverse()).toEqual(both[0].map((meter) => meter.id));
  });

  test("text that the database cannot hold does not stop an import", async () => {
    const made = await newMeter(api, anna, { name: "a\u0000b\ud800" });
    expect((await get(`/meters/${made.id}`)).json.data.name).toBe("ab\ufffd");
  });
});

describe("changing meters", () => {
  test("by PUT and POST, what is absent stays, and what is not writable is not written", async () => {
    const { id } = await newMeter(api, anna, { name: "Old", tags: ["a"] });
    const whole = (await get(`/meters/${id}`)).json.data;
    const forged = {
      ...whole,
      name: "New",
      tags: ["b", "b", "c"],
      holder: { _id: stranger.id },
      root: { _id: newId(0) },
      assigner: { _id: stranger.id },
      generation: 5,
      control_level: "shared",
      revoked: true,
      metrics: ["co2"],
      created: "2000-01-01T00:00:00+0000",
      timezone: "UTC",
      part: 99,
    };
    const put = await send("PUT", `/meters/${id}`, forged);
    expect(put.status).toBe(200);
    expect(put.json.data).toEqual({ ...whole, name: "New", tags: ["b", "c"] });
    const post = await send("POST", `/meters/${id}`, { box: "ignored", address: "" });
    expect(post.json.data).toEqual({ ...put.json.data, box: "ignored", address: null });
  });

  test.each([
    [{ box: "trash" }, "box"],
    [{ type: "steam" }, "type"],
    [{ tags: [""] }, "tags.0"],
    [{ on_hold: "perhaps" }, "on_hold"],
    [{ expected_granularity: "week" }, "expected_granularity"],
    [{ open_channel_ids: ["0".repeat(24)] }, "open_channel_ids"],
  ])("%j is refused", async (body, field) => {
    const { id } = await newMeter(api, anna);
    const answer = await send("PUT", `/meters/${id}`, body);
    expect(answer.status).toBe(400);
    expect(Object.keys(answer.json.errors)).toEqual([field]);
  });

  test("an ean that another meter has is a 409", async () => {
    await newMeter(api, anna, { ean: "taken" });
    const { id } = await newMeter(api, anna, { ean: "free" });
    expect((await send("PUT", `/meters/${id}`, { ean: "taken" })).status).toBe(409);
    expect((await get(`/meters/${id}`)).json.data.ean).toBe("free");
  });

  test("many at once, all or none, errors by index", async () => {
    const [one, two] = await newMeters(api, anna, [{}, {}]);
    const foreign = await newMeter(api, stranger);
    const good = await send("PUT", "/meters", [
      { _id: two!.id, box: "ignored" },
      { _id: one!.id, name: "One" },
    ]);
    expect(good.status).toBe(200);
    expect(good.json).not.toHaveProperty("count");
    expect(good.json.data.map((meter: { _id: string }) => meter._id)).toEqual([two!.id, one!.id]);
    const refused = await send("PUT", "/meters", [
      { _id: one!.id, name: "Other" },
      { _id: foreign.id, name: "Mine now" },
    ]);
    expect(refused.status).toBe(404);
    expect(refused.json.errors).toEqual({ "1._id": ["Resource not found"] });
    const bad = await send("PUT", "/meters", [{ _id: one!.id }, { _id: two!.id, box: "attic" }]);
    expect(bad.status).toBe(400);
    expect(Object.keys(bad.json.errors)).toEqual(["1.box"]);
    expect((await get(`/meters/${one!.id}`)).json.data.name).toBe("One");
    expect((await get(`/meters/${foreign.id}`, stranger)).json.data.name).toBeNull();
  });

  test("is logged, newest first", async () => {
    const { id } = await newMeter(api, anna);
    await send("PUT", `/meters/${id}`, { name: "N", ean: `log ${id}` });
    await send("PUT", `/meters/${id}`, { box: "ignored" });
    await send("PUT", `/meters/${id}`, { box: "ignored", name: "N" });
    const log = await get(`/meters/${id}/activity`);
    expect(log.json).toMatchObject({ count: 3, skip: 0, limit: 50 });
    expect(log.json.data.map((event: { action: string }) => event.action)).toEqual([
      "moved",
      "updated",
      "created",
    ]);
    expect(log.json.data[0]).toMatchObject({
      actor: { _id: anna.id, name: "Anna" },
      detail: { to: "ignored" },
      created: "2026-01-15T12:00:00+0000",
    });
    expect(log.json.data[1].detail).toEqual({ fields: ["name", "ean"] });
    expect((await get(`/meters/${id}/activity`, anna, { skip: "1", limit: "1" })).json.data).toEqual([
      log.json.data[1],
    ]);
  });
});

describe("the list", () => {
  let bo: TestAccount;
  let customer: TestAccount;
  const ids: string[] = [];

  beforeAll(async () => {
    bo = await newAccount(api.deps, { name: "Bo" });
    customer = await newAccount(api.deps, { name: "Östra Bostäder", managerId: bo.id });
    const made = await newMeters(api, bo, [
      { name: "Ängsgatan 1", address: "Lund", ean: "a1", tags: ["x", "y"], representation: "consumption" },
      { name: "Storgatan 2", address: null, ean: "a2", type: "water", box: "inbox", tags: ["x"] },
      { name: null, address: "Malmö", ean: "a3", type: "heat", box: "ignored", onHold: true },
    ]);
    ids.push(...made.map((meter) => meter.id));
    await newMeters(api, customer, [
      { name: "Kund 1", ean: "k1" },
      { name: "Kund 2", ean: "k2" },
    ]);
    const all = await get("/meters", bo);
    ids.push(...all.json.data.slice(3).map((meter: { _id: string }) => meter._id));
    const stats = {
      min: 1,
      max: 2,
      sum: 3,
      count: 2,
      version: 1,
      granularity: "month" as const,
      metric: "energy",
    };
    await api.db.transaction((tx) =>
      setStats(tx, [
        { ...stats, part: made[0]!.part, meterId: ids[0]!, first: 201401, last: 201502 },
        { ...stats, part: made[1]!.part, meterId: ids[1]!, first: 201501, last: 201503 },
      ]),
    );
  });

  test.each<[Record<string, string | string[]>, number[]]>([
    [{}, [0, 1, 2, 3, 4]],
    [{ name: "gatan" }, [0, 1]],
    [{ name: "ÄNGS" }, [0]],
    [{ name: "lund" }, []],
    [{ name: "null" }, [2]],
    [{ address: "malmö,LUND" }, [0, 2]],
    [{ ean: "a1,a3" }, [0, 2]],
    [{ ean: "a" }, []],
    [{ tags: "x" }, [0, 1]],
    [{ tags: "x,y" }, [0]],
    [{ box: "active" }, [0, 3, 4]],
    [{ active: "true" }, [0, 3, 4]],
    [{ active: "false" }, [1, 2]],
    [{ box: ["inbox", "ignored"] }, [1, 2]],
    [{ type: "heat,water" }, [1, 2]],
    [{ control_level: "shared" }, [3, 4]],
    [{ generation: ">0" }, [3, 4]],
    [{ generation: "0" }, [0, 1, 2]],
    [{ metrics: "flow" }, [1]],
    [{ representation: "null" }, [1, 2, 3, 4]],
    [{ on_hold: "true" }, [2]],
    [{ "assigner._id": "null" }, [0, 1, 2]],
    [{ "assigner.name": "östra" }, [3, 4]],
    [{ "root.holder.name": "bo" }, [0, 1, 2, 3, 4]],
    [{ "root.holder.name": "BOSTÄDER" }, [3, 4]],
    [{ "root.holder.name": "nobody" }, []],
    [{ revoked: "false" }, [0, 1, 2, 3, 4]],
    [{ revoked: "true" }, []],
    [{ revoked: "true,false" }, [0, 1, 2, 3, 4]],
    [{ created: ">2026-01-01" }, [0, 1, 2, 3, 4]],
    [{ created: "<2026-01-01" }, []],
    [{ "consumption_stats.energy.month.last": "<201503" }, [0]],
    [{ "consumption_stats.energy.month.last": "201502,201503" }, [0, 1]],
    [{ "consumption_stats.energy.month.last": "null" }, [2, 3, 4]],
    [{ "consumption_stats.energy.month.count": "0" }, [2, 3, 4]],
    [{ "consumption_stats.energy.day.last": "null" }, [0, 1, 2, 3, 4]],
    [{ sort: "-consumption_stats.energy.month.last,-name", name: "gatan" }, [1, 0]],
    [{ q: "consumption_stats.energy.month.last:>201502" }, [1]],
    [{ q: "storgatan" }, [1]],
    [{ q: "östra" }, [3, 4]],
    [{ q: "gatan AND lund" }, [0]],
    [{ q: "type:heat" }, [2]],
    [{ q: "y" }, [0, 3, 4].filter((n) => n === 0)],
    [{ sort: "-ean" }, [4, 3, 2, 1, 0]],
    [{ sort: "type,-ean" }, [4, 3, 0, 2, 1]],
    [{ skip: "3" }, [3, 4]],
    [{ limit: "2" }, [0, 1]],
    [{ tree_structure_ids: "0".repeat(24) }, []],
  ])("%j", async (query, expected) => {
    const answer = await get("/meters", bo, query);
    expect(answer.status).toBe(200);
    expect(answer.json.data.map((meter: { _id: string }) => ids.indexOf(meter._id))).toEqual(expected);
    expect(answer.headers["x-ignored-parameters"]).toBeUndefined();
    if (query.skip === undefined && query.limit === undefined)
      expect(answer.json.count).toBe(expected.length);
    else expect(answer.json.count).toBe(5);
  });

  test("the manager finds the meters of a subaccount by its id", async () => {
    const answer = await get("/meters", bo, { "assigner._id": customer.id });
    expect(answer.json.count).toBe(2);
    expect(answer.json.data[0]).toMatchObject({
      assigner: { _id: customer.id, name: "Östra Bostäder" },
      holder: { _id: bo.id },
      root: { holder: { _id: customer.id, name: "Östra Bostäder" } },
    });
    const own = await get(`/accounts/${customer.id}/meters`, bo);
    expect(own.json.data.map((meter: { ean: string }) => meter.ean)).toEqual(["k1", "k2"]);
    expect(own.json.data[0].children).toEqual([
      { _id: ids[3], holder: { _id: bo.id, name: "Bo", username: bo.username } },
    ]);
    expect((await get(`/accounts/${bo.id}/meters`, customer)).status).toBe(404);
    expect((await get("/accounts/me/meters", bo)).json.count).toBe(5);
  });

  test("says what it did not understand, and refuses it when strict", async () => {
    const answer = await get("/meters", bo, { nonsense: "1", "holder.password_hash": ">m", sort: "part" });
    expect(answer.json.count).toBe(5);
    expect(answer.headers["x-ignored-parameters"]?.split(", ").sort()).toEqual([
      "holder.password_hash",
      "nonsense",
      "sort%3Dpart",
    ]);
    expect((await get("/meters", bo, { nonsense: "1", strict: "true" })).status).toBe(400);
  });

  test.each([
    [{ box: "attic" }, "box"],
    [{ "assigner._id": "me" }, "assigner._id"],
    [{ tree_structure_ids: "x" }, "tree_structure_ids"],
    [{ active: "perhaps" }, "active"],
    [{ limit: "many" }, "limit"],
    [
      Object.fromEntries(["a", "b", "c", "d"].map((metric) => [`consumption_stats.${metric}.day.sum`, "1"])),
      "consumption_stats",
    ],
  ])("%j is a 400", async (query, field) => {
    const answer = await get("/meters", bo, query as unknown as Record<string, string>);
    expect(answer.status).toBe(400);
    expect(Object.keys(answer.json.errors)).toEqual([field]);
    expect(answer.json.data.errors).toEqual(answer.json.errors);
  });

  test("10,000 parameters and whatever a fuzzer thinks of give no 5xx", async () => {
    const names = fc.oneof(
      fc.constantFrom(
        "name",
        "tags",
        "q",
        "sort%3Dpart",
        "revoked",
        "active",
        "tree_structure_ids",
        "assigner.name",
        "skip",
      ),
      fc.constantFrom(
        "consumption_stats.energy.month.last",
        "consumption_stats.__proto__.day.sum",
        "generation",
      ),
      fc.string({ maxLength: 8 }),
    );
    const values = fc.oneof(
      fc.string({ maxLength: 12, unit: "binary" }),
      fc.constantFrom("null", "<5", "true", "a,b", "-name", ">", "consumption_stats.energy.day.sum"),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(names, values), { maxLength: 5 }), async (pairs) => {
        const query = new URLSearchParams(
          pairs.map(([name, value]): [string, string] => [name.toWellFormed(), value.toWellFormed()]),
        );
        const answer = await api.call("GET", "/meters", {
          token: bo.token,
          query: query.toString(),
          mayFail: true,
        });
        expect(answer.status, query.toString()).toBeLessThan(500);
      }),
      { numRuns: 300 },
    );
    const many = Array.from({ length: 10_000 }, (_, n) => `p${n}=1`).join("&");
    expect(
      (await api.call("GET", "/meters", { token: bo.token, query: many, mayFail: true })).status,
    ).toBeLessThan(500);
  });
});

describe("summaries", () => {
  test("count each root meter once, and only what is billed", async () => {
    const cia = await newAccount(api.deps, { name: "Cia" });
    const made = await newMeters(api, cia, [
      {},
      { type: "heat" },
      { type: "heat", box: "inbox" },
      { onHold: true },
    ]);
    const other = await newAccount(api.deps, { managerId: cia.id });
    const shared = await newMeter(api, other, { type: "gas" });
    const row = { min: 1, max: 5, sum: 6, version: 1, metric: "energy", granularity: "hour" as const };
    await api.db.transaction((tx) =>
      setStats(tx, [
        { ...row, part: made[0]!.part, meterId: made[0]!.id, first: 2015010100, last: 2015010123, count: 24 },
        {
          ...row,
          part: shared.part,
          meterId: shared.id,
          first: 2014010100,
          last: 2014010123,
          count: 20,
          max: 7,
        },
        { ...row, part: made[3]!.part, meterId: made[3]!.id, first: 2000010100, last: 2000010123, count: 20 },
      ]),
    );
    expect((await get("/accounts/me/billing_summary", cia)).json.data).toEqual({
      billable_meters: 4,
      types: { electricity: 2, gas: 1, heat: 1 },
    });
    expect((await get(`/accounts/${cia.id}/consumption_stats`, cia)).json.data).toEqual({
      energy: { hour: { first: 2014010100, last: 2015010123, min: 1, max: 7, sum: 12, count: 44 } },
    });
    for (const path of ["billing_summary", "consumption_stats"]) {
      expect((await get(`/accounts/${cia.id}/${path}`, stranger)).status).toBe(404);
      expect((await get(`/accounts/${other.id}/${path}`, cia)).status).toBe(200);
    }
  });

  test("metrics that values bring reach every copy", async () => {
    const made = await newMeter(api, anna);
    await api.db.transaction((tx) =>
      shareAll(tx, { from: anna.id, to: stranger.id, now: api.clock.now(), actorId: null }),
    );
    await api.db.transaction((tx) => addMetrics(tx, [made.id], ["energy", "power"]));
    for (const who of [anna, stranger]) {
      expect((await get(`/meters/${made.id}`, who)).json.data.metrics).toEqual(["energy", "power"]);
    }
  });
});
