import { afterAll, beforeAll, expect, test } from "vitest";
import { newAccount, type TestAccount } from "../../../test/harness/accounts.ts";
import { type TestApi, testApi } from "../../../test/harness/api.ts";
import { newMeter } from "../../../test/harness/meters.ts";
import { authenticate } from "../accounts/accounts.ts";
import { sql } from "../platform/db.ts";
import { meterEndpoints } from "./api.ts";
import type { Places } from "./meter.ts";
import { meterObjectEndpoints, resolveForReading } from "./meters.ts";

/** Trees are above meters; here no meter has a place. */
const nowhere: Places = { pathsOf: async () => new Map(), below: async () => null };

let api: TestApi;
let grid: TestAccount;
let agent: TestAccount;
/** A root meter in the channel, its copy at the agent, and the channel. */
let root: string;
let copy: string;
let channel: string;

beforeAll(async () => {
  api = await testApi({ endpoints: [...meterEndpoints, ...meterObjectEndpoints(nowhere)], authenticate });
  grid = await newAccount(api.deps, { name: "Grid" });
  agent = await newAccount(api.deps, { name: "Agent" });
  root = (await newMeter(api, grid, { name: "Library", ean: "secret ean" })).id;
  await newMeter(api, grid, { name: "Not open" });
  copy = (await send(grid, "POST", "/meters/many/share_with", [{ _id: root, holder: agent.id }])).json.data[0]
    ._id;
});
afterAll(() => api.close());

const send = (who: TestAccount, method: string, path: string, body?: unknown) =>
  api.call(method, path, { token: who.token, ...(body === undefined ? {} : { body }) });
const anybody = (path: string) => api.call("GET", path);
const meterOf = async (who: TestAccount, id: string) => (await send(who, "GET", `/meters/${id}`)).json.data;

test("a channel is opened empty", async () => {
  const opened = await send(grid, "POST", "/open_channels", { name: "City Öpen" });
  channel = opened.json.data._id;
  expect(opened.json.data).toEqual({
    _id: channel,
    name: "City Öpen",
    granularities: [],
    periods: [],
    metrics: [],
  });
  expect((await send(grid, "POST", "/open_channels", { name: " " })).status).toBe(400);
});

test("only the holder of a root meter puts it in, and only into an own channel", async () => {
  expect((await send(agent, "PUT", `/meters/${copy}`, { open_channel_ids: [channel] })).status).toBe(403);
  const foreign = await newMeter(api, agent);
  expect((await send(agent, "PUT", `/meters/${foreign.id}`, { open_channel_ids: [channel] })).status).toBe(
    400,
  );
  const changed = await send(grid, "PUT", `/meters/${root}`, { open_channel_ids: [channel] });
  expect(changed.json.data.open_channel_ids).toEqual([channel]);
  expect((await meterOf(agent, copy)).open_channel_ids).toEqual([channel]);
});

test("anybody lists channels, with what their meters have", async () => {
  await api.db.run(sql`
    insert into meter_stat (part, meter_id, metric, gran, first, last, count, version)
    select part, id, 'energy', 'month', 201203, 201304, 14, 1 from meter where id = ${root}`);
  const list = await anybody("/open_channels?name=%C3%B6pen&granularities=month,day&metrics=energy");
  expect(list.json).toMatchObject({
    count: 1,
    skip: 0,
    limit: 50,
    next_page: null,
    previous_page: null,
    additional_meta: [],
    data: [
      { _id: channel, name: "City Öpen", granularities: ["month"], periods: ["2012-"], metrics: ["energy"] },
    ],
  });
  for (const query of ["name=other", "granularities=hour", "metrics=flow"]) {
    expect((await anybody(`/open_channels?${query}`)).json.count, query).toBe(0);
  }
  expect((await anybody("/open_channels?granularities=week")).status).toBe(400);
});

test("anybody lists the meters of a channel, without holder, box and ean", async () => {
  const meters = await anybody(`/open_channels/${channel}/meters/?type=electricity&name=lib`);
  expect(meters.json.data).toEqual([
    {
      _id: root,
      owner: { _id: grid.id, name: "Grid" },
      name: "Library",
      timezone: "Etc/GMT-1",
      address: null,
      location: null,
      generation: 0,
      metrics: ["energy"],
      type: "electricity",
      consumption_stats: (await meterOf(grid, root)).consumption_stats,
      open_channel_ids: [channel],
      representation: null,
    },
  ]);
  expect(meters.text).not.toContain("secret");
  const hidden = await anybody(`/open_channels/${channel}/meters?ean=other`);
  expect(hidden.headers["x-ignored-parameters"]).toBe("ean");
  expect(hidden.json.count).toBe(1);
  expect((await anybody(`/open_channels/${"0".repeat(24)}/meters`)).status).toBe(404);
});

test("anybody may read the values of its meters, by the root id alone, while the meter is active", async () => {
  const outcomes = async (caller: { accountId: string } | null) =>
    (await resolveForReading(api.db, caller, [root, copy])).map((one) => one.outcome);
  expect(await outcomes(null)).toEqual(["found", "not_found"]);
  const stranger = await newAccount(api.deps);
  expect(await outcomes({ accountId: stranger.id })).toEqual(["found", "not_found"]);
  await send(grid, "PUT", `/meters/${root}`, { box: "ignored" });
  expect(await outcomes(null)).toEqual(["not_found", "not_found"]);
  expect((await anybody(`/open_channels/${channel}/meters`)).json.count).toBe(0);
  await send(grid, "PUT", `/meters/${root}`, { box: "active" });
});

test("a closed channel is gone at once, with the rights that it gave", async () => {
  expect((await send(agent, "DELETE", `/open_channels/${channel}`)).status).toBe(404);
  expect((await send(grid, "DELETE", `/open_channels/${channel}`)).json).toEqual({
    code: 200,
    message: "Deleted open channel.",
  });
  expect((await anybody(`/open_channels/${channel}/meters`)).status).toBe(404);
  expect((await meterOf(agent, copy)).open_channel_ids).toBeNull();
  expect(await resolveForReading(api.db, null, [root])).toEqual([{ outcome: "not_found" }]);
});
