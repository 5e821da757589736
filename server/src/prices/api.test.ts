import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newAccount, type TestAccount } from "../../../test/harness/accounts.ts";
import { type Answer, type TestApi, testApi } from "../../../test/harness/api.ts";
import { newMeter } from "../../../test/harness/meters.ts";
import { authenticate } from "../accounts/accounts.ts";
import { meterEndpoints } from "../meters/api.ts";
import { sql } from "../platform/db.ts";
import { seriesEndpoints } from "../series/api.ts";
import { treeEndpoints } from "../trees/api.ts";
import { priceEndpoints } from "./api.ts";
import { calculateCostsJob } from "./prices.ts";

let api: TestApi;
let owner: TestAccount;
beforeAll(async () => {
  api = await testApi({
    endpoints: [...priceEndpoints, ...seriesEndpoints, ...meterEndpoints, ...treeEndpoints],
    authenticate,
  });
  owner = await newAccount(api.deps, { name: "Owner" });
});
afterAll(() => api.close());

const ask = (method: string, path: string, body?: unknown, who = owner) =>
  api.call(method, path, { token: who.token, ...(body === undefined ? {} : { body }) });
async function ok(method: string, path: string, body?: unknown, who = owner): Promise<Answer["json"]> {
  const answer = await ask(method, path, body, who);
  expect(answer.status, answer.text).toBe(200);
  return answer.json.data;
}
const run = () => calculateCostsJob.run({}, api.deps, new AbortController().signal);

const fee = { kind: "fixed", name: "Fee", metric: "grid_subscription", price: 1200, per: "year" };
const use = { kind: "energy", name: "Use", metric: "grid_usage", price: 0.5 };
const model = (components: readonly object[], more: object = {}) => ({
  name: "Model",
  key: "grid",
  currency: "SEK",
  applicable_types: ["electricity"],
  components,
  ...more,
});
const newModel = async (components: readonly object[], more: object = {}) =>
  (await ok("POST", "/price_models", model(components, more)))._id as string;
const newOne = async (more = {}) =>
  (await newMeter(api, owner, { timezone: "Europe/Stockholm", ...more })).id;

/** Delivers months of energy from 2025-01 on. */
const months = async (meter: string, values: (number | null)[], more: object = {}) => {
  api.clock.advance(1000);
  const starts = values.map(
    (_, i) => `2025-${String(i + 1).padStart(2, "0")}-01T00:00:00${i >= 3 ? "+0200" : "+0100"}`,
  );
  const run = { meter, metric: "energy", granularity: "month", starts, values, null_removes: true, ...more };
  await ok("POST", "/batches", { runs: [run] });
};
const costs = async (meter: string, period: string, metrics = "grid_subscription,grid_usage,grid_total") => {
  const [element, ...others] = await ok("GET", `/costs/${meter}/month/${period}?metrics=${metrics}`);
  expect(others).toEqual([]);
  return { currency: element.currency, ...element.periods[0], start_date: undefined, end_date: undefined };
};
/** How often something was written to the log, and the documents. */
const traces = () =>
  api.db.one<{ changes: number; documents: number }>(
    sql`select (select count(*) from chg) as changes, (select count(*) from document) as documents`,
  );

describe("price models", () => {
  test("are created, read, listed, changed and deleted", async () => {
    const made = await ok(
      "POST",
      "/price_models",
      model([fee, { ...use, price: { param: "transfer_fee" } }]),
    );
    expect(made).toMatchObject({
      name: "Model",
      holder: { _id: owner.id },
      group: "cost",
      key: "grid",
      currency: "SEK",
      timezone: null,
      period: null,
      params: [{ name: "transfer_fee", unit: "kWh" }],
      components: [
        { ...fee, price: 1200 },
        { ...use, of: "energy", price: { param: "transfer_fee" } },
      ],
    });
    expect(await ok("GET", `/metric_models/${made._id}`)).toEqual(made);
    const list = async (query: string) =>
      (await ok("GET", `/metric_models?${query}`)).map((each: { _id: string }) => each._id);
    expect(await list(`holder=${owner.id}&applicable_types=electricity&group=cost&key=grid`)).toContain(
      made._id,
    );
    expect(await list("applicable_types=heat")).not.toContain(made._id);
    expect(await list("holder=null&key=retail")).toEqual(["000000000000000000000e02"]);
    const changed = await ok("PUT", `/price_models/${made._id}`, { name: "Renamed" });
    expect(changed).toMatchObject({ name: "Renamed", components: made.components });
    // What is shown can be sent back as it came.
    expect(await ok("PUT", `/price_models/${made._id}`, changed)).toMatchObject({
      components: made.components,
    });
    await ok("DELETE", `/price_models/${made._id}`);
    expect((await ask("GET", `/price_models/${made._id}`)).status).toBe(404);
  });

  test("built-in ones are for all and cannot be changed", async () => {
    const [grid] = await ok("GET", "/price_models?holder=null&key=grid&applicable_types=electricity");
    expect(grid).toMatchObject({
      holder: null,
      currency: null,
      params: [
        { name: "annual_fee", unit: "year" },
        { name: "transfer_fee", unit: "kWh" },
      ],
    });
    expect((await ask("PUT", `/price_models/${grid._id}`, { name: "x" })).status).toBe(403);
    expect((await ask("DELETE", `/price_models/${grid._id}`)).status).toBe(403);
  });

  test("those of others are not found", async () => {
    const id = await newModel([fee]);
    const stranger = await newAccount(api.deps, {});
    for (const [method, path] of [
      ["GET", `/price_models/${id}`],
      ["PUT", `/price_models/${id}`],
      ["DELETE", `/price_models/${id}`],
    ] as const)
      expect((await ask(method, path, method === "PUT" ? {} : undefined, stranger)).status).toBe(404);
    const all = await ok("GET", "/price_models", undefined, stranger);
    expect(all.map((each: { holder: unknown }) => each.holder)).toEqual([null, null, null]);
    expect((await ask("GET", `/price_models?holder=${owner.id}`, undefined, stranger)).json.count).toBe(0);
  });

  const vat = { kind: "vat", percent: 25 };
  const window = { name: "all", price: 1 };
  test.for<[string, object, string]>([
    ["no components", { components: [] }, "components"],
    ["only VAT", { components: [vat] }, "components"],
    [
      "a metric of the other contract",
      { components: [{ ...use, metric: "retail_usage" }] },
      "components.0.metric",
    ],
    ["a total", { components: [{ ...use, metric: "grid_total" }] }, "components.0.metric"],
    ["one name twice", { components: [fee, fee] }, "components.1.name"],
    ["an unknown kind", { components: [{ ...fee, kind: "gift" }] }, "components.0.kind"],
    ["a price that is not exact", { components: [{ ...fee, price: 0.1234567 }] }, "components.0.price"],
    ["a price in words", { components: [{ ...fee, price: "12,5" }] }, "components.0.price"],
    ["no price", { components: [{ ...use, price: undefined }] }, "components.0.price"],
    ["price and tiers", { components: [{ ...use, tiers: [{ price: 1 }] }] }, "components.0.price"],
    [
      "tiers that do not ascend",
      {
        components: [
          { ...use, price: undefined, tiers: [{ up_to: 5, price: 1 }, { up_to: 5, price: 1 }, { price: 1 }] },
        ],
      },
      "components.0.tiers.1.up_to",
    ],
    [
      "a last tier with a limit",
      { components: [{ ...use, price: undefined, tiers: [{ up_to: 5, price: 1 }] }] },
      "components.0.tiers.0.up_to",
    ],
    [
      "windows without a rest",
      { components: [{ ...use, kind: "time_of_use", windows: [{ ...window, hours: ["06-22"] }] }] },
      "components.0.windows.0",
    ],
    [
      "a window that leaves nothing",
      { components: [{ ...use, kind: "time_of_use", windows: [window, { ...window, name: "rest" }] }] },
      "components.0.windows.0",
    ],
    [
      "hours that are none",
      {
        components: [
          { ...use, kind: "time_of_use", windows: [{ ...window, name: "w", hours: ["25-26"] }, window] },
        ],
      },
      "components.0.windows.0.hours.0",
    ],
    [
      "empty hours",
      { components: [{ ...fee, kind: "peak", per: "month", windows: [{ hours: ["06-06"] }] }] },
      "components.0.windows.0.hours.0",
    ],
    [
      "a period that ends before it starts",
      { components: [{ ...fee, period: "20250201-20250101" }] },
      "components.0.period",
    ],
    ["a day that is none", { period: "20250230-" }, "period"],
    ["a holiday that is none", { holidays: ["20250101", "christmas"] }, "holidays.1"],
    ["an unknown zone", { timezone: "Mars/Base" }, "timezone"],
    ["an unknown currency", { currency: "kr" }, "currency"],
    [
      "VAT for part of a month",
      { components: [fee, { ...vat, period: "20250115-" }] },
      "components.1.period",
    ],
    ["two rates of VAT at once", { components: [fee, vat, { ...vat, name: "More" }] }, "components.2"],
    [
      "a discount of what comes later",
      {
        components: [
          { kind: "percentage", name: "D", metric: "grid_usage", percent: -1, base: ["Fee"] },
          fee,
        ],
      },
      "components.0.base.0",
    ],
  ])("%s is refused", async ([, change, field]) => {
    const answer = await ask("POST", "/price_models", model([fee], change));
    expect(answer.status, answer.text).toBe(400);
    expect(Object.keys(answer.json.errors)).toContain(field);
  });
});

describe("price series", () => {
  const spot = (series: string) => ({
    kind: "spot",
    name: "Spot",
    metric: "retail_usage",
    series,
    margin: 0.05,
  });

  test("keep prices, and tell what became of an upload", async () => {
    const series = await ok("POST", "/price_series", { name: "SE3", currency: "SEK" });
    expect(series).toMatchObject({ granularity: "hour", first: null, last: null });
    const path = `/price_series/${series._id}/prices`;
    const body = { start: "2025-01-01T00:00:00+0100", prices: [250.55, "-10", null, 1000], per: "MWh" };
    expect(await ok("POST", path, body)).toEqual({ added: 3, replaced: 0, removed: 0, unchanged: 1 });
    expect(await ok("POST", path, body)).toEqual({ added: 0, replaced: 0, removed: 0, unchanged: 4 });
    const starts = ["2025-01-01T00:00:00+0100", "2025-01-01T03:00:00+0100"];
    expect(await ok("POST", path, { starts, prices: [0.3, null] })).toMatchObject({
      replaced: 1,
      removed: 1,
    });
    const [period] = await ok("GET", `${path}/2025010100-2025010103`);
    expect(period.price).toEqual([0.3, -0.01, null, null]);
    expect(await ok("GET", `/price_series/${series._id}`)).toMatchObject({
      first: "2024-12-31T23:00:00+0000",
      last: "2025-01-01T00:00:00+0000",
    });
    expect(await ok("PUT", `/price_series/${series._id}`, { name: "SE4" })).toMatchObject({ name: "SE4" });
    expect((await ask("GET", "/price_series?name=se4")).json.count).toBe(1);
    expect((await ask("GET", `${path}/2000-2025`)).status).toBe(400);
  });

  test("refuse what is no price, all or none", async () => {
    const { _id } = await ok("POST", "/price_series", { name: "SE1", currency: "SEK" });
    const path = `/price_series/${_id}/prices`;
    for (const [body, field] of [
      [{ start: "2025-01-01T00:30:00+0100", prices: [1] }, "start"],
      [{ start: "tomorrow", prices: [1] }, "start"],
      [{ prices: [1] }, "start"],
      [{ starts: ["2025-01-01T00:00:00+0100"], prices: [1, 2] }, "starts"],
      [{ starts: ["2025-01-01T00:00:00Z", "2025-01-01T01:00:00+0100"], prices: [1, 2] }, "starts.1"],
      [{ start: "2025-01-01T00:00:00Z", prices: [1, "x"] }, "prices.1"],
    ] as const) {
      const answer = await ask("POST", path, body);
      expect(answer.status, answer.text).toBe(400);
      expect(Object.keys(answer.json.errors)).toContain(field);
    }
    expect((await ok("GET", `/price_series/${_id}`)).first).toBeNull();
  });

  test("are of the account, in the currency of the model, and stay while a model names them", async () => {
    const { _id } = await ok("POST", "/price_series", { name: "SE2", currency: "SEK" });
    const stranger = await newAccount(api.deps, {});
    const foreign = await ask("POST", "/price_models", model([spot(_id)], { key: "retail" }), stranger);
    expect(foreign.status).toBe(404);
    const euro = await ask("POST", "/price_models", model([spot(_id)], { key: "retail", currency: "EUR" }));
    expect(euro.json.errors).toHaveProperty(["components.0.series"]);
    const id = await newModel([spot(_id)], { key: "retail" });
    expect((await ask("DELETE", `/price_series/${_id}`)).status).toBe(409);
    await ok("DELETE", `/price_models/${id}`);
    await ok("DELETE", `/price_series/${_id}`);
  });
});

describe("calculate", () => {
  test("answers per meter, month and component, and stores nothing", async () => {
    const meter = await newOne();
    await months(meter, [100, 200, null]);
    const id = await newModel([fee, use, { kind: "vat", percent: 25 }]);
    const before = await traces();
    const body = { meters: [meter], period: "202501-202502" };
    const [answer] = await ok("POST", `/price_models/${id}/calculate`, body);
    expect(answer).toMatchObject({
      meter_id: meter,
      currency: "SEK",
      periods: [
        {
          start_date: "2024-12-31T23:00:00+0000",
          end_date: "2025-02-28T22:59:59+0000",
          metrics: { grid_subscription: 193.97, grid_usage: 150, grid_total: 343.97 },
          net: 343.97,
          vat: 85.99,
          gross: 429.96,
          months: [
            {
              period: "202501",
              components: [
                {
                  name: "Fee",
                  kind: "fixed",
                  metric: "grid_subscription",
                  amount: 101.92,
                  rows: [
                    {
                      label: null,
                      quantity: 31,
                      unit: "day",
                      price: 1200,
                      price_unit: "SEK/year",
                      amount: 101.92,
                    },
                  ],
                },
                {
                  name: "Use",
                  amount: 50,
                  rows: [{ quantity: 100, unit: "kWh", price: 0.5, price_unit: "SEK/kWh" }],
                },
              ],
              net: 151.92,
              vat_percent: 25,
              vat: 37.98,
              gross: 189.9,
              missing: [],
            },
            { period: "202502", net: 192.05 },
          ],
        },
      ],
    });
    const [lacking] = await ok("POST", `/price_models/${id}/calculate`, { ...body, period: "202503" });
    expect(lacking.periods[0]).toMatchObject({
      metrics: { grid_subscription: 101.92, grid_usage: null, grid_total: null },
      net: null,
      vat: null,
      months: [{ missing: [{ component: "Use" }] }],
    });
    expect(await traces()).toEqual(before);
  });

  test("gives parts of months, several periods and built-in models with their parameters", async () => {
    const meter = await newOne();
    await months(meter, [100]);
    const path = "/price_models/000000000000000000000e01/calculate";
    const params = { annual_fee: 365, transfer_fee: "0.1" };
    const [answer] = await ok("POST", path, {
      meters: [meter],
      period: "20250101-20250110+202501",
      params,
      currency: "EUR",
    });
    expect(answer.currency).toBe("EUR");
    expect(answer.periods.map((each: { metrics: object }) => each.metrics)).toEqual([
      { grid_subscription: 10, grid_usage: null, grid_total: null },
      { grid_subscription: 31, grid_usage: 10, grid_total: 41 },
    ]);
    const [plain] = await ok("POST", path, { meters: [meter], period: "202501", params });
    expect(plain.currency).toBe("SEK");
    for (const [body, field] of [
      [{ params: { annual_fee: 365 } }, "params.transfer_fee"],
      [{ params: { ...params, more: 1 } }, "params.more"],
      [{ params, period: "2025010112" }, "period"],
      [{ params, period: "1970-2099+1970-2099+1970-2099" }, "period"],
      [{ params, period: "soon" }, "period"],
      [{ params, meters: [] }, "meters"],
    ] as const) {
      const refused = await ask("POST", path, { meters: [meter], period: "202501", ...body });
      expect(refused.status, refused.text).toBe(400);
      expect(Object.keys(refused.json.errors)).toEqual([field]);
    }
  });

  test("counts before it works", async () => {
    const windows = [{ name: "all", price: 1 }];
    const id = await newModel([{ kind: "time_of_use", name: "T", metric: "grid_usage", windows }]);
    const meter = await newOne();
    const answer = await ask("POST", `/price_models/${id}/calculate`, {
      meters: [meter],
      period: "2000-2025",
    });
    expect(answer.status).toBe(400);
    expect(answer.json.errors.period[0]).toContain("228240");
  });

  test("is for meters that the caller reads and the model is for", async () => {
    const id = await newModel([fee]);
    const heat = await newOne({ type: "heat" });
    const resting = await newOne({ box: "inbox" });
    const calculate = (meters: string[], who = owner) =>
      ask("POST", `/price_models/${id}/calculate`, { meters, period: "202501" }, who);
    expect((await calculate([heat])).json.errors).toHaveProperty(["meters.0"]);
    expect((await calculate([resting])).status).toBe(403);
    const stranger = await newAccount(api.deps, {});
    const theirs = await newMeter(api, stranger);
    expect((await calculate([theirs.id])).status).toBe(404);
    expect((await calculate([theirs.id], stranger)).status).toBe(404);
  });
});

describe("calculated metrics", () => {
  const builtIn = "000000000000000000000e01";
  const params = { annual_fee: 365, transfer_fee: 0.5 };
  const attach = (meter: string, body: object) => ok("POST", `/meters/${meter}/calculated_metrics`, body);

  test("are created, read, listed, changed and deleted; their costs come and go", async () => {
    const meter = await newOne();
    await months(meter, [100, 200]);
    const made = await attach(meter, { metric_model: builtIn, period: "20250101-", params });
    expect(made).toMatchObject({
      metric_model: builtIn,
      key: "grid",
      period: "20250101-",
      params,
      currency: "SEK",
    });
    await run();
    expect(await costs(meter, "202501-202503")).toMatchObject({
      currency: "SEK",
      grid_subscription: [31, 28, 31],
      grid_usage: [50, 100, null],
      grid_total: [81, 128, null],
    });
    const one = `/meters/${meter}/calculated_metrics/${made._id}`;
    expect(await ok("GET", one)).toEqual(made);
    expect((await ask("GET", `/meters/${meter}/calculated_metrics`)).json).toMatchObject({
      count: 1,
      data: [made],
    });
    await ok("PUT", one, { params: { ...params, transfer_fee: 1 }, period: "20250201-20250331" });
    await run();
    expect(await costs(meter, "202501-202503")).toMatchObject({
      grid_subscription: [null, 28, 31],
      grid_usage: [null, 200, null],
      grid_total: [null, 228, null],
    });
    await ok("DELETE", one);
    await run();
    expect(await costs(meter, "202501-202503")).toMatchObject({ grid_total: [null, null, null] });
    expect((await ask("GET", one)).status).toBe(404);
  });

  test("repeating changes nothing, in the log and in the documents", async () => {
    const meter = await newOne();
    await months(meter, [10, 20]);
    const made = await attach(meter, { metric_model: builtIn, period: "20250101-20250430", params });
    await run();
    const before = await traces();
    await ok("PUT", `/meters/${meter}/calculated_metrics/${made._id}`, {});
    await run();
    await run();
    expect(await traces()).toEqual(before);
  });

  test("follow consumption, its corrections and its removal", async () => {
    const meter = await newOne();
    await attach(meter, { metric_model: builtIn, period: "20250101-", params });
    await run();
    expect(await costs(meter, "202501")).toMatchObject({ grid_usage: [null], grid_total: [null] });
    await months(meter, [100]);
    await run();
    expect(await costs(meter, "202501")).toMatchObject({ grid_usage: [50], grid_total: [81] });
    await months(meter, [110]);
    await run();
    expect(await costs(meter, "202501")).toMatchObject({ grid_usage: [55], grid_total: [86] });
    await months(meter, [null]);
    await run();
    expect(await costs(meter, "202501")).toMatchObject({ grid_usage: [null], grid_total: [null] });
  });

  test("say where a cost is from", async () => {
    const meter = await newOne();
    await attach(meter, { metric_model: builtIn, period: "20250101-20250131", params });
    await run();
    const [element] = await ok(
      "GET",
      `/costs/${meter}/month/202501?metrics=grid_subscription&include=origin,status`,
    );
    expect(element.periods[0]).toMatchObject({
      grid_subscription: [31],
      grid_subscription_origin: ["delivered"],
      grid_subscription_status: ["calculated"],
    });
    const sources = await api.db.rows(
      sql`select 1 as one from document where source = ${`price model ${builtIn}`} and rank = -1`,
    );
    expect(sources.length).toBeGreaterThan(0);
  });

  test("a delivered cost goes before a calculated one, whichever came first", async () => {
    const meter = await newOne();
    const deliver = async (values: (number | null)[]) =>
      months(meter, values, { metric: "cost_grid_subscription", currency: "SEK" });
    await deliver([7]);
    const made = await attach(meter, { metric_model: builtIn, period: "20250101-20250228", params });
    await run();
    expect(await costs(meter, "202501-202502")).toMatchObject({ grid_subscription: [7, 28] });
    await deliver([7, 9]);
    await run();
    expect(await costs(meter, "202501-202502")).toMatchObject({ grid_subscription: [7, 9] });
    await ok("DELETE", `/meters/${meter}/calculated_metrics/${made._id}`);
    await run();
    expect(await costs(meter, "202501-202502")).toMatchObject({ grid_subscription: [7, 9] });
  });

  test("a model that changes takes the months along, also to another currency", async () => {
    const id = await newModel([use]);
    const [first, second] = [await newOne(), await newOne()];
    for (const meter of [first, second]) {
      await months(meter, [100]);
      await attach(meter, { metric_model: id, period: "20250101-20250131" });
    }
    await run();
    expect(await costs(first, "202501")).toMatchObject({ currency: "SEK", grid_usage: [50] });
    await ok("PUT", `/price_models/${id}`, { components: [{ ...use, price: 2 }] });
    await run();
    for (const meter of [first, second])
      expect(await costs(meter, "202501")).toMatchObject({ grid_usage: [200] });
    await ok("PUT", `/price_models/${id}`, { currency: "EUR" });
    await run();
    const elements = await ok("GET", `/costs/${first}/month/202501?metrics=grid_usage`);
    const byCurrency = elements.map((each: Answer["json"]) => [each.currency, each.periods[0].grid_usage]);
    expect(Object.fromEntries(byCurrency)).toEqual({ EUR: [200], SEK: [null] });
    expect((await ask("DELETE", `/price_models/${id}`)).status).toBe(409);
    const retail = { key: "retail", components: [{ ...use, metric: "retail_usage" }] };
    expect((await ask("PUT", `/price_models/${id}`, retail)).status).toBe(409);
    const asks = { components: [{ ...use, price: { param: "transfer_fee" } }] };
    expect((await ask("PUT", `/price_models/${id}`, asks)).status).toBe(409);
  });

  test("two contracts of a month add up, and those of a tree", async () => {
    const meter = await newOne();
    const monthly = await newModel([{ ...fee, price: 31, per: "month" }]);
    const double = await newModel([{ ...fee, price: 62, per: "month" }]);
    await attach(meter, { metric_model: monthly, period: "20250101-20250110" });
    await attach(meter, { metric_model: double, period: "20250111-20250131" });
    await run();
    // 10 days of 1 and 21 of 2.
    expect(await costs(meter, "202501")).toMatchObject({ grid_subscription: [52], grid_total: [52] });
    const node = await ok("POST", "/trees", { name: "House" });
    await ok("POST", `/trees/${node._id}/meters`, { _id: meter, factor: 2 });
    expect(await costs(node._id, "202501")).toMatchObject({ grid_total: [104] });
  });

  test("periods of one kind of contract must not overlap", async () => {
    const meter = await newOne();
    const body = { metric_model: builtIn, params };
    const first = await attach(meter, { ...body, period: "20250101-20250630" });
    const path = `/meters/${meter}/calculated_metrics`;
    for (const period of ["20250630-", "20240101-", "20250201-20250202", "20240101-20250101"]) {
      const answer = await ask("POST", path, { ...body, period });
      expect(answer.status, answer.text).toBe(400);
      expect(answer.json.errors.calculated_metrics[0]).toContain("overlap");
      expect(answer.json.data.errors.calculated_metrics[0]).toContain("overlap");
    }
    const second = await attach(meter, { ...body, period: "20250701-" });
    expect((await ask("PUT", `${path}/${second._id}`, { period: "20250601-" })).status).toBe(400);
    // Its own days are no others.
    await ok("PUT", `${path}/${first._id}`, { period: "20250115-20250630" });
    // Grid and retail are two contracts.
    const retail = {
      metric_model: "000000000000000000000e02",
      params: { annual_fee: 1, electricity_price: 1 },
    };
    await attach(meter, { ...retail, period: "20250101-" });
  });

  test("two requests at once do not overlap either", async () => {
    const meter = await newOne();
    const body = { metric_model: builtIn, params, period: "20250101-" };
    const answers = await Promise.all(
      Array.from({ length: 4 }, () => ask("POST", `/meters/${meter}/calculated_metrics`, body)),
    );
    expect(answers.map((each) => each.status).sort()).toEqual([200, 400, 400, 400]);
  });

  test.for<[string, object, string]>([
    ["a period without start", { period: "-20250101" }, "period"],
    ["a period in months", { period: "202501-" }, "period"],
    ["a lacking parameter", { params: { annual_fee: 1 } }, "params.transfer_fee"],
    ["another parameter", { params: { ...params, heat_price: 1 } }, "params.heat_price"],
    ["a parameter in words", { params: { ...params, annual_fee: "much" } }, "params.annual_fee"],
    ["an unknown currency", { currency: "kronor" }, "currency"],
    ["a model for other meters", { metric_model: "000000000000000000000e03" }, "metric_model"],
  ])("%s is refused", async ([, change, field]) => {
    const meter = await newOne();
    const body = { metric_model: builtIn, params, period: "20250101-", ...change };
    const answer = await ask("POST", `/meters/${meter}/calculated_metrics`, body);
    expect(answer.status, answer.text).toBe(400);
    expect(Object.keys(answer.json.errors)).toEqual([field]);
  });

  test("belong to the holder of the root meter and the account that manages it", async () => {
    const child = await newAccount(api.deps, { name: "Child", managerId: owner.id });
    const stranger = await newAccount(api.deps, {});
    const { id: root } = await newMeter(api, child, { timezone: "Europe/Stockholm" });
    const body = { metric_model: builtIn, params, period: "20250101-20250131" };
    const made = await ok("POST", `/meters/${root}/calculated_metrics`, body);
    expect(await ok("GET", `/meters/${root}/calculated_metrics`, undefined, child)).toEqual([made]);
    await run();
    const [element] = await ok("GET", `/costs/${root}/month/202501?metrics=grid_total`, undefined, child);
    expect(element.periods[0].grid_total).toEqual([null]);
    const [copy] = await ok("POST", "/meters/many/share_with", [{ _id: root, holder: stranger.id }], child);
    const path = `/meters/${copy._id}/calculated_metrics`;
    for (const [method, sent] of [
      ["GET", undefined],
      ["POST", body],
    ] as const)
      expect((await ask(method, path, sent, stranger)).status).toBe(403);
    expect((await ask("PUT", `${path}/${made._id}`, {}, stranger)).status).toBe(403);
    expect((await ask("DELETE", `${path}/${made._id}`, undefined, stranger)).status).toBe(403);
    const other = await newOne();
    expect((await ask("GET", `/meters/${other}/calculated_metrics/${made._id}`)).status).toBe(404);
    expect((await ask("GET", `/meters/${other}/calculated_metrics`, undefined, stranger)).status).toBe(404);
  });
});
