import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newAccount } from "../../../test/harness/accounts.ts";
import { newMeter } from "../../../test/harness/meters.ts";
import { fee, modelOf, type PriceWorld, priceWorld, use } from "./harness.ts";

let world: PriceWorld;
beforeAll(async () => {
  world = await priceWorld();
});
afterAll(() => world.api.close());

describe("price models", () => {
  test("are created, read, listed, changed and deleted", async () => {
    const made = await world.ok(
      "POST",
      "/price_models",
      modelOf([fee, { ...use, price: { param: "transfer_fee" } }]),
    );
    expect(made).toMatchObject({
      name: "Model",
      holder: { _id: world.owner.id },
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
    expect(await world.ok("GET", `/metric_models/${made._id}`)).toEqual(made);
    const list = async (query: string) =>
      (await world.ok("GET", `/metric_models?${query}`)).map((each: { _id: string }) => each._id);
    expect(await list(`holder=${world.owner.id}&applicable_types=electricity&group=cost&key=grid`)).toContain(
      made._id,
    );
    expect(await list("applicable_types=heat")).not.toContain(made._id);
    expect(await list("holder=null&key=retail")).toEqual(["000000000000000000000e02"]);
    const changed = await world.ok("PUT", `/price_models/${made._id}`, { name: "Renamed" });
    expect(changed).toMatchObject({ name: "Renamed", components: made.components });
    // What is shown can be sent back as it came.
    expect(await world.ok("PUT", `/price_models/${made._id}`, changed)).toMatchObject({
      components: made.components,
    });
    await world.ok("DELETE", `/price_models/${made._id}`);
    expect((await world.ask("GET", `/price_models/${made._id}`)).status).toBe(404);
  });

  test("built-in ones are for all and cannot be changed", async () => {
    const [grid] = await world.ok("GET", "/price_models?holder=null&key=grid&applicable_types=electricity");
    expect(grid).toMatchObject({
      holder: null,
      currency: null,
      params: [
        { name: "annual_fee", unit: "year" },
        { name: "transfer_fee", unit: "kWh" },
      ],
    });
    expect((await world.ask("PUT", `/price_models/${grid._id}`, { name: "x" })).status).toBe(403);
    expect((await world.ask("DELETE", `/price_models/${grid._id}`)).status).toBe(403);
  });

  test("those of others are not found", async () => {
    const id = await world.newModel([fee]);
    const stranger = await newAccount(world.api.deps, {});
    for (const [method, path] of [
      ["GET", `/price_models/${id}`],
      ["PUT", `/price_models/${id}`],
      ["DELETE", `/price_models/${id}`],
    ] as const)
      expect((await world.ask(method, path, method === "PUT" ? {} : undefined, stranger)).status).toBe(404);
    const all = await world.ok("GET", "/price_models", undefined, stranger);
    expect(all.map((each: { holder: unknown }) => each.holder)).toEqual([null, null, null]);
    expect(
      (await world.ask("GET", `/price_models?holder=${world.owner.id}`, undefined, stranger)).json.count,
    ).toBe(0);
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
    const answer = await world.ask("POST", "/price_models", modelOf([fee], change));
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
    const series = await world.ok("POST", "/price_series", { name: "SE3", currency: "SEK" });
    expect(series).toMatchObject({ granularity: "hour", first: null, last: null });
    const path = `/price_series/${series._id}/prices`;
    const body = { start: "2025-01-01T00:00:00+0100", prices: [250.55, "-10", null, 1000], per: "MWh" };
    expect(await world.ok("POST", path, body)).toEqual({ added: 3, replaced: 0, removed: 0, unchanged: 1 });
    expect(await world.ok("POST", path, body)).toEqual({ added: 0, replaced: 0, removed: 0, unchanged: 4 });
    const starts = ["2025-01-01T00:00:00+0100", "2025-01-01T03:00:00+0100"];
    expect(await world.ok("POST", path, { starts, prices: [0.3, null] })).toMatchObject({
      replaced: 1,
      removed: 1,
    });
    const [period] = await world.ok("GET", `${path}/2025010100-2025010103`);
    expect(period.price).toEqual([0.3, -0.01, null, null]);
    expect(await world.ok("GET", `/price_series/${series._id}`)).toMatchObject({
      first: "2024-12-31T23:00:00+0000",
      last: "2025-01-01T00:00:00+0000",
    });
    expect(await world.ok("PUT", `/price_series/${series._id}`, { name: "SE4" })).toMatchObject({
      name: "SE4",
    });
    expect((await world.ask("GET", "/price_series?name=se4")).json.count).toBe(1);
    expect((await world.ask("GET", `${path}/2000-2025`)).status).toBe(400);
  });

  test("refuse what is no price, all or none", async () => {
    const { _id } = await world.ok("POST", "/price_series", { name: "SE1", currency: "SEK" });
    const path = `/price_series/${_id}/prices`;
    for (const [body, field] of [
      [{ start: "2025-01-01T00:30:00+0100", prices: [1] }, "start"],
      [{ start: "tomorrow", prices: [1] }, "start"],
      [{ prices: [1] }, "start"],
      [{ starts: ["2025-01-01T00:00:00+0100"], prices: [1, 2] }, "starts"],
      [{ starts: ["2025-01-01T00:00:00Z", "2025-01-01T01:00:00+0100"], prices: [1, 2] }, "starts.1"],
      [{ start: "2025-01-01T00:00:00Z", prices: [1, "x"] }, "prices.1"],
    ] as const) {
      const answer = await world.ask("POST", path, body);
      expect(answer.status, answer.text).toBe(400);
      expect(Object.keys(answer.json.errors)).toContain(field);
    }
    expect((await world.ok("GET", `/price_series/${_id}`)).first).toBeNull();
  });

  test("are of the account, in the currency of the model, and stay while a model names them", async () => {
    const { _id } = await world.ok("POST", "/price_series", { name: "SE2", currency: "SEK" });
    const stranger = await newAccount(world.api.deps, {});
    const foreign = await world.ask(
      "POST",
      "/price_models",
      modelOf([spot(_id)], { key: "retail" }),
      stranger,
    );
    expect(foreign.status).toBe(404);
    const euro = await world.ask(
      "POST",
      "/price_models",
      modelOf([spot(_id)], { key: "retail", currency: "EUR" }),
    );
    expect(euro.json.errors).toHaveProperty(["components.0.series"]);
    const id = await world.newModel([spot(_id)], { key: "retail" });
    expect((await world.ask("DELETE", `/price_series/${_id}`)).status).toBe(409);
    await world.ok("DELETE", `/price_models/${id}`);
    await world.ok("DELETE", `/price_series/${_id}`);
  });
});

describe("calculate", () => {
  test("answers per meter, month and component, and stores nothing", async () => {
    const meter = await world.newOne();
    await world.months(meter, [100, 200, null]);
    const id = await world.newModel([fee, use, { kind: "vat", percent: 25 }]);
    const before = await world.traces();
    const body = { meters: [meter], period: "202501-202502" };
    const [answer] = await world.ok("POST", `/price_models/${id}/calculate`, body);
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
    const [lacking] = await world.ok("POST", `/price_models/${id}/calculate`, { ...body, period: "202503" });
    expect(lacking.periods[0]).toMatchObject({
      metrics: { grid_subscription: 101.92, grid_usage: null, grid_total: null },
      net: null,
      vat: null,
      months: [{ missing: [{ component: "Use" }] }],
    });
    expect(await world.traces()).toEqual(before);
  });

  test("gives parts of months, several periods and built-in models with their parameters", async () => {
    const meter = await world.newOne();
    await world.months(meter, [100]);
    const path = "/price_models/000000000000000000000e01/calculate";
    const params = { annual_fee: 365, transfer_fee: "0.1" };
    const [answer] = await world.ok("POST", path, {
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
    const [plain] = await world.ok("POST", path, { meters: [meter], period: "202501", params });
    expect(plain.currency).toBe("SEK");
    for (const [body, field] of [
      [{ params: { annual_fee: 365 } }, "params.transfer_fee"],
      [{ params: { ...params, more: 1 } }, "params.more"],
      [{ params, period: "2025010112" }, "period"],
      [{ params, period: "1970-2099+1970-2099" }, "period"],
      [{ params, period: "soon" }, "period"],
      [{ params, meters: [] }, "meters"],
    ] as const) {
      const refused = await world.ask("POST", path, { meters: [meter], period: "202501", ...body });
      expect(refused.status, refused.text).toBe(400);
      expect(Object.keys(refused.json.errors)).toEqual([field]);
    }
  });

  test("counts before it works", async () => {
    const windows = [{ name: "all", price: 1 }];
    const id = await world.newModel([{ kind: "time_of_use", name: "T", metric: "grid_usage", windows }]);
    const meter = await world.newOne();
    const answer = await world.ask("POST", `/price_models/${id}/calculate`, {
      meters: [meter],
      period: "2000-2025",
    });
    expect(answer.status).toBe(400);
    expect(answer.json.errors.period[0]).toContain("231048");
  });

  test("is for meters that the caller reads and the model is for", async () => {
    const id = await world.newModel([fee]);
    const heat = await world.newOne({ type: "heat" });
    const resting = await world.newOne({ box: "inbox" });
    const calculate = (meters: string[], who = world.owner) =>
      world.ask("POST", `/price_models/${id}/calculate`, { meters, period: "202501" }, who);
    expect((await calculate([heat])).json.errors).toHaveProperty(["meters.0"]);
    expect((await calculate([resting])).status).toBe(403);
    const stranger = await newAccount(world.api.deps, {});
    const theirs = await newMeter(world.api, stranger);
    expect((await calculate([theirs.id])).status).toBe(404);
    expect((await calculate([theirs.id], stranger)).status).toBe(404);
  });
});
