import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestApi, testApi } from "../../../test/harness/api.ts";
import { createAccount } from "../accounts/accounts.ts";
import { meterEndpoints } from "../meters/api.ts";
import { createMeters, type MadeMeter, type NewMeter } from "../meters/meters.ts";
import { sql } from "../platform/db.ts";
import { treeEndpoints } from "../trees/api.ts";
import { seriesEndpoints } from "./api.ts";

let t: TestApi;
let manager: string;
let customer: string;
let stranger: string;
/** Meters of the customer, active and shared to the manager. */
let power: MadeMeter;
let second: MadeMeter;
let water: MadeMeter;
let inbox: MadeMeter;

const all = ["basic", "write_meters", "write_trees"];

beforeAll(async () => {
  t = await testApi({ endpoints: [...meterEndpoints, ...treeEndpoints, ...seriesEndpoints] });
  await t.db.transaction(async (tx) => {
    const now = t.clock.now();
    manager = (await createAccount(tx, { name: "Manager", now })).id;
    customer = (await createAccount(tx, { name: "Customer", managerId: manager, now })).id;
    stranger = (await createAccount(tx, { name: "Stranger", now })).id;
    const make = (spec: NewMeter) => createMeters(tx, { holderId: customer, now, actorId: null }, [spec]);
    const zone = "Europe/Stockholm";
    [power] = (await make({ type: "electricity", ean: "1", timezone: zone, box: "active" })) as [MadeMeter];
    [second] = (await make({ type: "electricity", ean: "2", timezone: zone, box: "active" })) as [MadeMeter];
    [water] = (await make({ type: "water", ean: "3", timezone: zone, box: "active" })) as [MadeMeter];
    [inbox] = (await make({ type: "electricity", ean: "4", timezone: zone })) as [MadeMeter];
  });
  t.addCaller("customer", { accountId: customer, scopes: new Set(all) });
  t.addCaller("manager", { accountId: manager, scopes: new Set(all) });
  t.addCaller("stranger", { accountId: stranger, scopes: new Set(all) });
  t.addCaller("reader", { accountId: customer, scopes: new Set(["basic"]) });
});
afterAll(() => t.close());

const get = (path: string, token = "customer") => t.call("GET", path, { token });
const post = (body: unknown, token = "customer") => t.call("POST", "/batches", { token, body });
const batch = (meter: string, values: (number | null)[], more: object = {}) => ({
  runs: [{ meter, granularity: "hour", start: "2025-03-30T00:00:00+0100", values, ...more }],
});

describe("POST /batches", () => {
  test("stores a spring day of 23 hours, and its day", async () => {
    const answer = await post(batch(power.id, Array(23).fill(0.1)));
    expect(answer.status).toBe(200);
    expect(answer.json.data).toEqual({
      added: 23,
      replaced: 0,
      removed: 0,
      unchanged: 0,
      older: 0,
      derived: 1,
    });
    const day = await get(`/consumptions/${power.id}/day/20250330`);
    expect(day.json).toEqual({
      code: 200,
      message: "OK",
      profiling: null,
      data: [
        {
          meter_id: power.id,
          periods: [
            { start_date: "2025-03-29T23:00:00+0000", end_date: "2025-03-30T21:59:59+0000", energy: [2.3] },
          ],
        },
      ],
    });
  });

  test("refuses all of it with the reason of each value", async () => {
    const answer = await post({
      runs: [
        batch(power.id, [1]).runs[0],
        {
          meter: power.id,
          granularity: "hour",
          starts: ["2025-05-01T00:30:00+0200", "yesterday"],
          values: [1, 2],
        },
      ],
    });
    expect(answer.status).toBe(400);
    expect(answer.json.errors).toEqual({ "runs[1].starts[1]": [expect.stringContaining("not an instant")] });
    const half = await post({
      runs: [{ meter: power.id, granularity: "hour", starts: ["2025-05-01T00:30:00+0200"], values: [1] }],
    });
    expect(half.json.errors).toEqual({
      "runs[0].values[0]": [expect.stringContaining("no hour of Europe/Stockholm")],
    });
    expect((await get(`/consumptions/${power.id}/hour/20250501`)).json.data[0].periods[0].energy).toEqual(
      Array(24).fill(null),
    );
  });

  test.each([
    [{ runs: [] }, "runs"],
    [{}, "runs"],
    [
      { runs: [{ meter: "x", granularity: "week", start: "2025-01-01T00:00:00Z", values: [1] }] },
      "runs.0.granularity",
    ],
    [{ runs: [{ meter: "x", granularity: "hour", values: [1] }] }, "runs.0.start"],
    [
      { runs: [{ meter: "x", granularity: "hour", start: "2025-01-01T00:00:00Z", values: ["1"] }] },
      "runs.0.values.0",
    ],
  ])("names the field that is wrong in %j", async (body, field) => {
    const answer = await post(body);
    expect(answer.status).toBe(400);
    expect(Object.keys(answer.json.errors)).toContain(field);
  });

  test("null says nothing, unless it is to remove", async () => {
    await post(batch(second.id, [1, 2, 3]));
    await post(batch(second.id, [null, 5, null]));
    const hours = async () =>
      (await get(`/consumptions/${second.id}/hour/2025033000-2025033003`)).json.data[0].periods[0].energy;
    expect(await hours()).toEqual([1, 5, 3]);
    const removed = await post(batch(second.id, [null, 5, null], { null_removes: true }));
    expect(removed.json.data).toMatchObject({ removed: 2, unchanged: 1 });
    expect(await hours()).toEqual([null, 5, null]);
  });

  test("only the holder delivers: 404 for strangers, 403 for the manager's copy and without the scope", async () => {
    expect((await post(batch(power.id, [1]), "stranger")).status).toBe(404);
    expect((await post(batch(power.id, [1]), "manager")).status).toBe(403);
    expect((await post(batch(power.id, [1]), "reader")).status).toBe(403);
  });

  test("many at once share transactions and all are there", async () => {
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        post({
          runs: [
            {
              meter: power.id,
              granularity: "hour",
              start: `2025-06-${String(1 + (i % 20)).padStart(2, "0")}T0${Math.floor(i / 20)}:00:00+0200`,
              values: [i],
            },
          ],
        }),
      ),
    );
    expect(answers.map((answer) => answer.status)).toEqual(Array(40).fill(200));
    const hours = (await get(`/consumptions/${power.id}/hour/20250601-20250620`)).json.data[0].periods[0]
      .energy;
    expect(
      hours.filter((value: number | null) => value !== null).toSorted((a: number, b: number) => a - b),
    ).toEqual(Array.from({ length: 40 }, (_, i) => i));
  });
});

describe("GET /consumptions", () => {
  test("takes the root id and the own id, and answers by the one asked", async () => {
    const [copy] = (await t.call("GET", "/meters", { token: "manager", query: { ean: "1" } })).json.data;
    expect(copy.root._id).toBe(power.id);
    for (const id of [copy._id, power.id]) {
      const answer = await get(`/consumptions/${id}/day/20250330`, "manager");
      expect(answer.json.data[0].meter_id).toBe(id);
      expect(answer.json.data[0].periods[0].energy).toEqual([2.3]);
    }
  });

  test("gives several periods in the order asked, with gaps and the future as null", async () => {
    const answer = await get(`/consumptions/${power.id}/day/20260101-20260131+20250330`);
    const [january, march] = answer.json.data[0].periods;
    expect(january.energy).toEqual(Array(31).fill(null));
    expect(march.energy).toEqual([2.3]);
  });

  test("says where a value comes from", async () => {
    const day = (await get(`/consumptions/${power.id}/day/20250330-20250331?include=origin,status`)).json
      .data[0].periods[0];
    expect(day.energy_origin).toEqual(["derived", null]);
    expect(day.energy_status).toEqual(["calculated", null]);
    const hour = (await get(`/consumptions/${power.id}/hour/2025033000?include=origin`)).json.data[0]
      .periods[0];
    expect(hour.energy_origin).toEqual(["delivered"]);
  });

  test("has a default metric per type, and always the full array of a metric that is asked for", async () => {
    const answer = await get(`/consumptions/${water.id}/month/2025`);
    expect(answer.json.data[0].periods[0].flow).toEqual(Array(12).fill(null));
    const both = await get(`/consumptions/${power.id}/day/20250330?metrics=energy,temperature`);
    expect(both.json.data[0].periods[0].temperature).toEqual([null]);
  });

  test.each([
    ["hour/20260230", "period"],
    ["hour/2026-2025", "period"],
    ["hour/now", "period"],
    ["week/2025", "granularity"],
    ["hour/2025?metrics=enrgy", "metrics"],
    ["hour/2025?timezone=Mars", "timezone"],
    ["hour/2025?as_of=yesterday", "as_of"],
    ["5min/2025", "period"],
    ["hour/1970-2099", "period"],
  ])("refuses %s and names %s", async (path, field) => {
    const started = performance.now();
    const answer = await get(`/consumptions/${power.id}/${path}`);
    expect(answer.status).toBe(400);
    expect(Object.keys(answer.json.errors)).toEqual([field]);
    expect(answer.json.data.errors).toEqual(answer.json.errors);
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  test("answers 404 for strangers and unknown ids alike, 403 by box, 401 without a credential", async () => {
    const path = `/consumptions/${power.id}/day/2025`;
    const foreign = await get(path, "stranger");
    const unknown = await get(`/consumptions/${"0".repeat(24)}/day/2025`);
    expect([foreign.status, foreign.json.message]).toEqual([404, unknown.json.message]);
    expect((await get(`/consumptions/${inbox.id}/day/2025`)).status).toBe(403);
    expect((await t.call("GET", path)).status).toBe(401);
  });

  test("ends for the manager when the meter is revoked, and returns when it is shared again", async () => {
    const [copy] = (await t.call("GET", "/meters", { token: "manager", query: { ean: "2" } })).json.data;
    await t.call("PUT", "/meters/many/revoke", { token: "customer", body: [copy._id] });
    expect((await get(`/consumptions/${second.id}/day/2025`, "manager")).status).toBe(403);
    await t.call("POST", "/meters/many/share_with", {
      token: "customer",
      body: [{ _id: second.id, holder: manager }],
    });
    expect((await get(`/consumptions/${second.id}/day/2025`, "manager")).status).toBe(200);
  });

  test("has an entity tag that changes with the values", async () => {
    const path = `/consumptions/${power.id}/day/20250330`;
    const first = await get(path);
    const again = await t.call("GET", path, {
      token: "customer",
      headers: { "if-none-match": first.headers.etag! },
    });
    expect([again.status, again.text]).toEqual([304, ""]);
    await post({
      runs: [{ meter: power.id, granularity: "hour", start: "2025-03-30T00:00:00+0100", values: [0.6] }],
    });
    const changed = await t.call("GET", path, {
      token: "customer",
      headers: { "if-none-match": first.headers.etag! },
    });
    expect(changed.json.data[0].periods[0].energy).toEqual([2.8]);
    await post({
      runs: [{ meter: power.id, granularity: "hour", start: "2025-03-30T00:00:00+0100", values: [0.1] }],
    });
  });

  test("estimates gaps of the past between neighbours, and stores nothing", async () => {
    await post({
      runs: [
        {
          meter: power.id,
          granularity: "day",
          starts: ["2025-09-01T00:00:00+0200", "2025-09-04T00:00:00+0200"],
          values: [10, 16],
        },
      ],
    });
    const answer = await get(
      `/consumptions/${power.id}/day/20250901-20250904?metrics=energy,estimated_energy`,
    );
    expect(answer.json.data[0].periods[0].energy).toEqual([10, null, null, 16]);
    expect(answer.json.data[0].periods[0].estimated_energy).toEqual([10, 12, 14, 16]);
  });

  test("gives quarters and their hours", async () => {
    await post({
      runs: [
        {
          meter: power.id,
          granularity: "15min",
          start: "2025-10-26T02:00:00+0200",
          values: [1, 1, 1, 1, 2, 2, 2, 2],
        },
      ],
    });
    expect((await get(`/consumptions/${power.id}/15min/2025102602`)).json.data[0].periods[0].energy).toEqual([
      1, 1, 1, 1, 2, 2, 2, 2,
    ]);
    expect((await get(`/consumptions/${power.id}/hour/2025102602`)).json.data[0].periods[0].energy).toEqual([
      4, 8,
    ]);
  });
});

describe("sums", () => {
  const months = (meter: MadeMeter, values: (number | null)[]) =>
    post({ runs: [{ meter: meter.id, granularity: "month", start: "2024-01-01T00:00:00+0100", values }] });

  test("skip what is missing and say so: the numbers of the documentation", async () => {
    await months(power, [null, 57.037, 68.031]);
    await months(second, [2369.78, 2236.336, 1488.188]);
    const multi = await get(
      `/consumptions/multi/month/202401-202403?meters=${second.id},${power.id}&metrics=energy`,
    );
    expect(multi.json.data.map((each: { meter_id: string }) => each.meter_id)).toEqual([second.id, power.id]);
    expect(multi.json.data[1].periods[0].energy).toEqual([null, 57.037, 68.031]);
    const sum = await get(`/consumptions/sum/month/202401-202403?meters=${power.id},${second.id}`);
    expect(sum.json.data).toEqual([
      {
        periods: [
          {
            start_date: "2023-12-31T23:00:00+0000",
            end_date: "2024-03-31T21:59:59+0000",
            energy: [2369.78, 2293.373, 1556.219],
            energy_quality: [0.5, 1, 1],
          },
        ],
      },
    ]);
  });

  test("count a root meter once, whichever ids name it", async () => {
    const [copy] = (await t.call("GET", "/meters", { token: "manager", query: { ean: "2" } })).json.data;
    const sum = await get(`/consumptions/sum/month/202401?meters=${second.id},${copy._id}`, "manager");
    expect(sum.json.data[0].periods[0].energy).toEqual([2369.78]);
  });

  test("of an account are those of its active meters, for itself and its manager", async () => {
    for (const [id, token] of [
      ["me", "customer"],
      [customer, "manager"],
    ] as const) {
      const sum = await get(`/consumptions/account/${id}/energy/month/202401-202403`, token);
      expect(sum.json.data[0]).toMatchObject({ account_id: customer });
      expect(sum.json.data[0].periods[0].energy).toEqual([2369.78, 2293.373, 1556.219]);
    }
    expect((await get(`/consumptions/account/${customer}/energy/month/2024`, "stranger")).status).toBe(404);
    expect((await get("/consumptions/account/me/enrgy/month/2024")).status).toBe(400);
  });

  test("one foreign meter among many refuses all", async () => {
    const foreign = `${power.id},${"f".repeat(24)}`;
    for (const kind of ["sum", "multi"]) {
      expect((await get(`/consumptions/${kind}/month/2024?meters=${foreign}`)).status).toBe(404);
      expect((await get(`/consumptions/${kind}/month/2024?meters=${power.id},${inbox.id}`)).status).toBe(403);
      expect((await get(`/consumptions/${kind}/month/2024?meters=`)).status).toBe(400);
    }
    const estimate = await get(`/consumptions/sum/month/2024?meters=${power.id}&metrics=estimated_energy`);
    expect(estimate.json.errors).toEqual({ metrics: [expect.stringContaining("single meters only")] });
  });

  test("of a tree node include its descendants by their factors, only active meters, and can be limited to a type", async () => {
    const node = async (name: string, parent?: string, factor = 1) =>
      (
        await t.call("POST", "/trees", {
          token: "customer",
          body: { name, factor, ...(parent === undefined ? {} : { parent }) },
        })
      ).json.data._id;
    const region = await node("Region", undefined, 7);
    const house = await node("House", region, 0.5);
    const put = (where: string, meter: MadeMeter, factor: number) =>
      t.call("POST", `/trees/${where}/meters`, { token: "customer", body: { _id: meter.id, factor } });
    await put(region, power, 1);
    await put(house, second, 0.1);
    await put(house, water, 1);
    await put(house, inbox, 1);
    const tree = await get(`/consumptions/${region}/month/202401-202403`);
    expect(tree.json.data[0].tree_id).toBe(region);
    // Only the factors below the requested node count: 0.1 × 0.5 for the second meter.
    expect(tree.json.data[0].periods[0].energy).toEqual([118.489, 168.8538, 142.4404]);
    expect(tree.json.data[0].periods[0].energy_quality).toEqual([0.5, 1, 1]);
    const flow = await get(`/consumptions/${region}/month/202401?metrics=flow&type=water`);
    expect(flow.json.data[0].periods[0]).toMatchObject({ flow: [null], flow_quality: [0] });
    expect((await get(`/consumptions/${region}/month/202401`, "manager")).status).toBe(404);
  });
});

describe("GET /costs", () => {
  test("gives a month's costs in their currency, and never mixes currencies", async () => {
    const cost = (metric: string, currency: string, values: number[]) => ({
      meter: power.id,
      metric: `cost_${metric}`,
      currency,
      granularity: "month",
      start: "2024-01-01T00:00:00+0100",
      values,
    });
    await post({ runs: [cost("retail_total", "SEK", [100.5, 99.25]), cost("grid_total", "EUR", [7, 8])] });
    const answer = await get(`/costs/${power.id}/month/202401-202402`);
    expect(answer.json.data).toEqual([
      expect.objectContaining({
        currency: "EUR",
        periods: [expect.objectContaining({ retail_total: [null, null], grid_total: [7, 8] })],
      }),
      expect.objectContaining({
        account_id: customer,
        meter_id: power.id,
        currency: "SEK",
        periods: [expect.objectContaining({ retail_total: [100.5, 99.25], grid_total: [null, null] })],
      }),
    ]);
    const none = await get(`/costs/${second.id}/month/202401?metrics=grid_usage`);
    expect(none.json.data).toEqual([
      expect.objectContaining({ currency: null, periods: [expect.objectContaining({ grid_usage: [null] })] }),
    ]);
    expect((await get(`/costs/${power.id}/month/202401?metrics=energy`)).status).toBe(400);
    expect((await get(`/costs/${power.id}/month/202401`, "stranger")).status).toBe(404);
    expect((await post({ runs: [{ ...cost("retail_total", "", [1]), granularity: "hour" }] })).status).toBe(
      400,
    );
  });

  test("are not among the statistics of consumption", async () => {
    const rows = await t.db.rows(
      sql`select metric from meter_stat where part = ${power.part} and metric like 'cost%'`,
    );
    expect(rows).toEqual([]);
  });
});

describe("corrections", () => {
  test("are listed with what was there, when it was replaced and by what; and the past can be asked", async () => {
    const path = `/consumptions/${second.id}/month/202405`;
    const deliver = (value: number, source: string) =>
      post({
        document: { source },
        runs: [
          { meter: second.id, granularity: "month", start: "2024-05-01T00:00:00+0200", values: [value] },
        ],
      });
    await deliver(100, "first");
    t.clock.advance(60_000);
    const before = new Date(t.clock.now()).toISOString();
    t.clock.advance(60_000);
    await deliver(110, "second");
    expect((await get(path)).json.data[0].periods[0].energy).toEqual([110]);
    expect((await get(`${path}?as_of=${before}`)).json.data[0].periods[0].energy).toEqual([100]);
    const list = await get(`/meters/${second.id}/revisions?granularity=month&limit=1`);
    expect(list.json).toMatchObject({ count: 1, skip: 0, limit: 1 });
    expect(list.json.data).toEqual([
      expect.objectContaining({
        metric: "energy",
        granularity: "month",
        period: "202405",
        old_value: 100,
        old_document: "first",
        value: 110,
        document: "second",
      }),
    ]);
    expect((await get(`/meters/${second.id}/revisions`, "stranger")).status).toBe(404);
  });

  test("what a meter has is told without reading it", async () => {
    const stats = await get(`/consumptions/${second.id}?metrics=energy`);
    expect(stats.json.data.energy.month).toMatchObject({ first: 202401, last: 202405, count: 4 });
    expect((await get(`/consumptions/${second.id}`, "stranger")).status).toBe(404);
  });

  test("statistics can be computed again", async () => {
    await t.db.run(
      sql`update meter_stat set count = 99 where part = ${second.part} and meter_id = ${second.id}`,
    );
    expect((await t.call("PUT", `/meters/${second.id}/stats_recalc`, { token: "customer" })).status).toBe(
      200,
    );
    const meter = await get(`/meters/${second.id}`);
    expect(meter.json.data.consumption_stats.energy.month).toMatchObject({
      first: 202401,
      last: 202405,
      count: 4,
      max: 2369.78,
    });
    expect((await t.call("PUT", `/meters/${second.id}/stats_recalc`, { token: "stranger" })).status).toBe(
      404,
    );
  });
});
