import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newAccount } from "../../../test/harness/accounts.ts";
import type { Answer } from "../../../test/harness/api.ts";
import { newMeter } from "../../../test/harness/meters.ts";
import { sql } from "../platform/db.ts";
import { fee, type PriceWorld, priceWorld, use } from "./harness.ts";

let world: PriceWorld;
beforeAll(async () => {
  world = await priceWorld();
});
afterAll(() => world.api.close());

describe("calculated metrics", () => {
  const builtIn = "000000000000000000000e01";
  const params = { annual_fee: 365, transfer_fee: 0.5 };
  const attach = (meter: string, body: object) =>
    world.ok("POST", `/meters/${meter}/calculated_metrics`, body);

  test("are created, read, listed, changed and deleted; their costs come and go", async () => {
    const meter = await world.newOne();
    await world.months(meter, [100, 200]);
    const made = await attach(meter, { metric_model: builtIn, period: "20250101-", params });
    expect(made).toMatchObject({
      metric_model: builtIn,
      key: "grid",
      period: "20250101-",
      params,
      currency: "SEK",
    });
    await world.run();
    expect(await world.costs(meter, "202501-202503")).toMatchObject({
      currency: "SEK",
      grid_subscription: [31, 28, 31],
      grid_usage: [50, 100, null],
      grid_total: [81, 128, null],
    });
    const one = `/meters/${meter}/calculated_metrics/${made._id}`;
    expect(await world.ok("GET", one)).toEqual(made);
    expect((await world.ask("GET", `/meters/${meter}/calculated_metrics`)).json).toMatchObject({
      count: 1,
      data: [made],
    });
    await world.ok("PUT", one, { params: { ...params, transfer_fee: 1 }, period: "20250201-20250331" });
    await world.run();
    expect(await world.costs(meter, "202501-202503")).toMatchObject({
      grid_subscription: [null, 28, 31],
      grid_usage: [null, 200, null],
      grid_total: [null, 228, null],
    });
    await world.ok("DELETE", one);
    await world.run();
    expect(await world.costs(meter, "202501-202503")).toMatchObject({ grid_total: [null, null, null] });
    expect((await world.ask("GET", one)).status).toBe(404);
  });

  test("repeating changes nothing, in the log and in the documents", async () => {
    const meter = await world.newOne();
    await world.months(meter, [10, 20]);
    const made = await attach(meter, { metric_model: builtIn, period: "20250101-20250430", params });
    await world.run();
    const before = await world.traces();
    await world.ok("PUT", `/meters/${meter}/calculated_metrics/${made._id}`, {});
    await world.run();
    await world.run();
    expect(await world.traces()).toEqual(before);
  });

  test("follow consumption, its corrections and its removal", async () => {
    const meter = await world.newOne();
    await attach(meter, { metric_model: builtIn, period: "20250101-", params });
    await world.run();
    expect(await world.costs(meter, "202501")).toMatchObject({ grid_usage: [null], grid_total: [null] });
    await world.months(meter, [100]);
    await world.run();
    expect(await world.costs(meter, "202501")).toMatchObject({ grid_usage: [50], grid_total: [81] });
    await world.months(meter, [110]);
    await world.run();
    expect(await world.costs(meter, "202501")).toMatchObject({ grid_usage: [55], grid_total: [86] });
    await world.months(meter, [null]);
    await world.run();
    expect(await world.costs(meter, "202501")).toMatchObject({ grid_usage: [null], grid_total: [null] });
  });

  test("say where a cost is from", async () => {
    const meter = await world.newOne();
    await attach(meter, { metric_model: builtIn, period: "20250101-20250131", params });
    await world.run();
    const [element] = await world.ok(
      "GET",
      `/costs/${meter}/month/202501?metrics=grid_subscription&include=origin,status`,
    );
    expect(element.periods[0]).toMatchObject({
      grid_subscription: [31],
      grid_subscription_origin: ["derived"],
      grid_subscription_status: ["calculated"],
    });
    const sources = await world.api.db.rows(
      sql`select 1 as one from document where source = ${`price model ${builtIn}`}`,
    );
    expect(sources.length).toBeGreaterThan(0);
  });

  test("a delivered cost goes before a calculated one, whichever came first", async () => {
    const meter = await world.newOne();
    const deliver = async (values: (number | null)[]) =>
      world.months(meter, values, { metric: "cost_grid_subscription", currency: "SEK" });
    await deliver([7]);
    const made = await attach(meter, { metric_model: builtIn, period: "20250101-20250228", params });
    await world.run();
    expect(await world.costs(meter, "202501-202502")).toMatchObject({ grid_subscription: [7, 28] });
    await deliver([7, 9]);
    await world.run();
    expect(await world.costs(meter, "202501-202502")).toMatchObject({ grid_subscription: [7, 9] });
    await world.ok("DELETE", `/meters/${meter}/calculated_metrics/${made._id}`);
    await world.run();
    expect(await world.costs(meter, "202501-202502")).toMatchObject({ grid_subscription: [7, 9] });
  });

  test("a model that changes takes the months along, also to another currency", async () => {
    const id = await world.newModel([use]);
    const [first, second] = [await world.newOne(), await world.newOne()];
    for (const meter of [first, second]) {
      await world.months(meter, [100]);
      await attach(meter, { metric_model: id, period: "20250101-20250131" });
    }
    await world.run();
    expect(await world.costs(first, "202501")).toMatchObject({ currency: "SEK", grid_usage: [50] });
    await world.ok("PUT", `/price_models/${id}`, { components: [{ ...use, price: 2 }] });
    await world.run();
    for (const meter of [first, second])
      expect(await world.costs(meter, "202501")).toMatchObject({ grid_usage: [200] });
    await world.ok("PUT", `/price_models/${id}`, { currency: "EUR" });
    await world.run();
    const elements = await world.ok("GET", `/costs/${first}/month/202501?metrics=grid_usage`);
    const byCurrency = elements.map((each: Answer["json"]) => [each.currency, each.periods[0].grid_usage]);
    expect(Object.fromEntries(byCurrency)).toEqual({ EUR: [200], SEK: [null] });
    expect((await world.ask("DELETE", `/price_models/${id}`)).status).toBe(409);
    const retail = { key: "retail", components: [{ ...use, metric: "retail_usage" }] };
    expect((await world.ask("PUT", `/price_models/${id}`, retail)).status).toBe(409);
    const asks = { components: [{ ...use, price: { param: "transfer_fee" } }] };
    expect((await world.ask("PUT", `/price_models/${id}`, asks)).status).toBe(409);
  });

  test("two contracts of a month add up, and those of a tree", async () => {
    const meter = await world.newOne();
    const monthly = await world.newModel([{ ...fee, price: 31, per: "month" }]);
    const double = await world.newModel([{ ...fee, price: 62, per: "month" }]);
    await attach(meter, { metric_model: monthly, period: "20250101-20250110" });
    await attach(meter, { metric_model: double, period: "20250111-20250131" });
    await world.run();
    // 10 days of 1 and 21 of 2.
    expect(await world.costs(meter, "202501")).toMatchObject({ grid_subscription: [52], grid_total: [52] });
    const node = await world.ok("POST", "/trees", { name: "House" });
    await world.ok("POST", `/trees/${node._id}/meters`, { _id: meter, factor: 2 });
    expect(await world.costs(node._id, "202501")).toMatchObject({ grid_total: [104] });
  });

  test("periods of one kind of contract must not overlap", async () => {
    const meter = await world.newOne();
    const body = { metric_model: builtIn, params };
    const first = await attach(meter, { ...body, period: "20250101-20250630" });
    const path = `/meters/${meter}/calculated_metrics`;
    for (const period of ["20250630-", "20240101-", "20250201-20250202", "20240101-20250101"]) {
      const answer = await world.ask("POST", path, { ...body, period });
      expect(answer.status, answer.text).toBe(400);
      expect(answer.json.errors.calculated_metrics[0]).toContain("overlap");
      expect(answer.json.data.errors.calculated_metrics[0]).toContain("overlap");
    }
    const second = await attach(meter, { ...body, period: "20250701-" });
    expect((await world.ask("PUT", `${path}/${second._id}`, { period: "20250601-" })).status).toBe(400);
    // Its own days are no others.
    await world.ok("PUT", `${path}/${first._id}`, { period: "20250115-20250630" });
    // Grid and retail are two contracts.
    const retail = {
      metric_model: "000000000000000000000e02",
      params: { annual_fee: 1, electricity_price: 1 },
    };
    await attach(meter, { ...retail, period: "20250101-" });
  });

  test("two requests at once do not overlap either", async () => {
    const meter = await world.newOne();
    const body = { metric_model: builtIn, params, period: "20250101-" };
    const answers = await Promise.all(
      Array.from({ length: 4 }, () => world.ask("POST", `/meters/${meter}/calculated_metrics`, body)),
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
    const meter = await world.newOne();
    const body = { metric_model: builtIn, params, period: "20250101-", ...change };
    const answer = await world.ask("POST", `/meters/${meter}/calculated_metrics`, body);
    expect(answer.status, answer.text).toBe(400);
    expect(Object.keys(answer.json.errors)).toEqual([field]);
  });

  test("belong to the holder of the root meter and the account that manages it", async () => {
    const child = await newAccount(world.api.deps, { name: "Child", managerId: world.owner.id });
    const stranger = await newAccount(world.api.deps, {});
    const { id: root } = await newMeter(world.api, child, { timezone: "Europe/Stockholm" });
    const body = { metric_model: builtIn, params, period: "20250101-20250131" };
    const made = await world.ok("POST", `/meters/${root}/calculated_metrics`, body);
    expect(await world.ok("GET", `/meters/${root}/calculated_metrics`, undefined, child)).toEqual([made]);
    await world.run();
    const [element] = await world.ok(
      "GET",
      `/costs/${root}/month/202501?metrics=grid_total`,
      undefined,
      child,
    );
    expect(element.periods[0].grid_total).toEqual([null]);
    const [copy] = await world.ok(
      "POST",
      "/meters/many/share_with",
      [{ _id: root, holder: stranger.id }],
      child,
    );
    const path = `/meters/${copy._id}/calculated_metrics`;
    for (const [method, sent] of [
      ["GET", undefined],
      ["POST", body],
    ] as const)
      expect((await world.ask(method, path, sent, stranger)).status).toBe(403);
    expect((await world.ask("PUT", `${path}/${made._id}`, {}, stranger)).status).toBe(403);
    expect((await world.ask("DELETE", `${path}/${made._id}`, undefined, stranger)).status).toBe(403);
    const other = await world.newOne();
    expect((await world.ask("GET", `/meters/${other}/calculated_metrics/${made._id}`)).status).toBe(404);
    expect((await world.ask("GET", `/meters/${other}/calculated_metrics`, undefined, stranger)).status).toBe(
      404,
    );
  });
});
