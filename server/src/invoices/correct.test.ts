import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newMeter } from "../../../test/harness/meters.ts";
import { type InvoiceWorld, invoiceWorld } from "./harness.ts";

let world: InvoiceWorld;
beforeAll(async () => {
  world = await invoiceWorld();
});
afterAll(() => world.close());

const january: [string, string] = ["2025-01-01", "2025-01-31"];
const correct = (id: string, body: object, token = world.owner.token) =>
  world.api.call("PUT", `/invoices/${id}`, { token, body });

describe("a metering point that nobody knows", () => {
  const document = (ean: string) => ({
    number: `p${ean}`,
    ean,
    period: january,
    rows: [{ name: "Elnät elöverföring", amount: "10.00" }],
  });

  test("is told, and linked when its meter appears", async () => {
    const waiting = await world.settle(document("735301"));
    expect(waiting).toMatchObject({
      status: "completed",
      results: [{ meter: null, invoice_rows: [{ spread: null }] }],
    });
    expect(waiting.unresolved).toEqual([
      {
        invoice_number: "p735301",
        ean: "735301",
        row: null,
        field: "meter",
        message: expect.stringContaining("735301"),
      },
    ]);
    await world.tend();
    const { id } = await newMeter(world.api, world.owner, { ean: "735301" });
    await world.tend();
    const { data } = (await world.get(`/invoices/${waiting._id}`)).json;
    expect(data).toMatchObject({ unresolved: [], results: [{ meter: { root_id: id } }] });
    expect(await world.costs(id, "grid_usage", "202501")).toEqual([10]);
    const logged = await changesOf(waiting._id);
    await world.tend();
    expect(await changesOf(waiting._id)).toBe(logged);
  });

  const changesOf = async (id: string) =>
    (
      await world.api.db.rows({
        name: "count-changes",
        text: "select 1 from invoice_change where invoice_id = $1",
        values: [id],
      })
    ).length;

  test("is linked by hand, and that survives another reading until it is taken back", async () => {
    const { id } = await newMeter(world.api, world.owner, { ean: "735302-other" });
    const { _id } = await world.settle(document("735302"));
    const answer = await correct(_id, { results: [{ ean: "735302", meter: id }] });
    expect(answer.json.data).toMatchObject({
      unresolved: [],
      results: [{ meter: { _id: id, root_id: id } }],
    });
    expect(await world.costs(id, "grid_usage", "202501")).toEqual([10]);
    await world.api.call("POST", `/invoices/${_id}/retry`, { token: world.owner.token });
    await world.work();
    expect(await world.costs(id, "grid_usage", "202501")).toEqual([10]);
    await correct(_id, { results: [{ ean: "735302", meter: null }] });
    expect(await world.costs(id, "grid_usage", "202501")).toEqual([null]);
  });

  test("with several meters is never guessed", async () => {
    await newMeter(world.api, world.owner, { ean: "735303", channel: "1" });
    await newMeter(world.api, world.owner, { ean: "735303", channel: "2" });
    const { unresolved } = await world.settle(document("735303"));
    expect(unresolved[0].message).toContain("2 meters");
    await newMeter(world.api, world.owner, { ean: "735304", representation: "production" });
    const bought = await newMeter(world.api, world.owner, { ean: "735304", representation: "consumption" });
    const { results } = await world.settle(document("735304"));
    expect(results[0].meter.root_id).toBe(bought.id);
  });

  test("that is only shared with the account gets no costs", async () => {
    const { id } = await newMeter(world.api, world.stranger, { ean: "735305" });
    await world.api.call("POST", "/meters/many/share_with", {
      token: world.stranger.token,
      body: [{ _id: id, holder: world.owner.id }],
    });
    const { _id, unresolved } = await world.settle(document("735305"));
    expect(unresolved[0].message).toContain("only shared");
    expect((await correct(_id, { results: [{ ean: "735305", meter: id }] })).status).toBe(403);
    const strange = await newMeter(world.api, world.stranger, {});
    expect((await correct(_id, { results: [{ ean: "735305", meter: strange.id }] })).status).toBe(404);
  });
});

describe("rows", () => {
  test("that no rule knows are told, and take contract type, metric and period from a person", async () => {
    const { id } = await newMeter(world.api, world.owner, { ean: "735310" });
    const made = await world.settle({
      number: "rows",
      ean: "735310",
      rows: [{ name: "Zzyzx", amount: "12.34" }],
    });
    const row = made.results[0].invoice_rows[0];
    const waiting = async () => (await world.get("/invoices?unresolved=true&results.ean=735310")).json.count;
    expect(await waiting()).toBe(1);
    expect(made.unresolved.map(({ field }: { field: string }) => field)).toContain("period");
    expect(made.unresolved[0].row).toBe(row._id);
    const answer = await correct(made._id, {
      rows: [{ row: row._id, metric: "retail_undefined", period: "20250101-20250228" }],
    });
    expect(answer.json.data).toMatchObject({
      unresolved: [],
      results: [
        {
          metrics: { retail_undefined: 12.34, retail_total: 12.34 },
          invoice_rows: [{ rule: "by hand", contract_type: "retail", spread: "days" }],
        },
      ],
    });
    expect(await waiting()).toBe(0);
    expect(await world.costs(id, "retail_undefined", "202501-202502")).toEqual([6.48, 5.86]);
    await correct(made._id, { rows: [{ row: row._id, contract_type: "grid" }] });
    expect(await world.costs(id, "retail_total", "202501-202502")).toEqual([null, null]);
    expect(await world.costs(id, "grid_total", "202501-202502")).toEqual([6.48, 5.86]);
    const audit = await world.api.db.rows<{ actor: string }>({
      name: "audit-of",
      text: "select actor from audit where action = 'invoice.correct' and subject = $1",
      values: [made._id],
    });
    expect(audit).toHaveLength(2);
  });

  test("that are wrong are refused by name", async () => {
    const made = await world.settle({
      number: "wrong",
      ean: "735311",
      period: january,
      rows: [{ name: "Elnät abonnemang", amount: "1" }],
    });
    const [row] = made.results[0].invoice_rows;
    const wrong = async (body: object) => (await correct(made._id, body)).json;
    expect(await wrong({ rows: [{ row: row._id, metric: "energy" }] })).toMatchObject({ code: 400 });
    expect(await wrong({ rows: [{ row: row._id, period: "20250231-20250301" }] })).toMatchObject({
      code: 400,
    });
    expect(
      (await wrong({ rows: [{ row: row._id, metric: "grid_usage", contract_type: "retail" }] })).errors,
    ).toHaveProperty("rows.0.metric");
    expect((await wrong({ rows: [{ row: "0".repeat(24), metric: "grid_usage" }] })).errors).toHaveProperty(
      "rows.0.row",
    );
    expect((await wrong({ results: [{ ean: "none", meter: null }] })).errors).toHaveProperty("results.0.ean");
    const failed = await world.settle("<Invoice/>");
    expect((await correct(failed._id, { rows: [] })).status).toBe(409);
  });
});

describe("a collective invoice", () => {
  const rows = [
    { name: "Elnät elöverföring", amount: "10.10", ean: "735320" },
    { name: "Elnät elöverföring", amount: "20.20", ean: "735321" },
    { name: "Elnät abonnemang", amount: "5.00", ean: "735321" },
    { name: "Elnät abonnemang", amount: "1.00" },
  ];

  test("goes to the meters of the account and of those that it manages; the rest is told", async () => {
    const own = await newMeter(world.api, world.owner, { ean: "735320" });
    const managed = await newMeter(world.api, world.child, { ean: "735321" });
    const made = await world.settle({ number: "collective", period: january, rows });
    expect(made.results.map((each: { ean: string }) => each.ean)).toEqual(["735320", "735321", null]);
    expect(made.results[1]).toMatchObject({
      metrics: { grid_usage: 20.2, grid_subscription: 5, grid_total: 25.2 },
      total_amount_excl_vat: 25.2,
      total_vat: 6.3,
      total_amount_due: 31.5,
      totals: { net: 36.3 },
    });
    expect(made.unresolved).toMatchObject([{ ean: null, field: "meter" }]);
    expect(await world.costs(own.id, "grid_total", "202501")).toEqual([10.1]);
    const seen = (await world.get(`/meters?ean=735321&box=inbox,active`)).json.data[0];
    expect(made.results[1].meter).toEqual({ _id: seen._id, root_id: managed.id });
    const childCosts = await world.get(`/costs/${managed.id}/month/202501`, world.child.token);
    expect(childCosts.json.data[0].periods[0].grid_total).toEqual([25.2]);
    const byHand = await correct(made._id, { results: [{ ean: null, meter: own.id }] });
    expect(byHand.json.data.unresolved).toEqual([]);
    expect(await world.costs(own.id, "grid_total", "202501")).toEqual([11.1]);
    for (const meter of [managed.id, seen._id])
      expect((await world.get(`/invoices?meter_ids=${meter}`)).json.count).toBe(1);
    expect((await world.get(`/invoices?results.ean=735321&status=completed`)).json.data[0]._id).toBe(
      made._id,
    );
    expect((await world.get(`/invoices?meter_ids=${managed.id}`, world.child.token)).json.count).toBe(0);
  });

  test("of a subaccount never writes into a meter of its manager", async () => {
    const { id } = await newMeter(world.api, world.owner, { ean: "735330" });
    const made = await world.settle(
      {
        number: "child",
        ean: "735330",
        period: january,
        rows: [{ name: "Elnät elöverföring", amount: "10" }],
      },
      { token: world.child.token },
    );
    expect(made.results[0].meter).toBeNull();
    expect((await correct(made._id, { results: [{ ean: "735330", meter: id }] })).status).toBe(403);
    expect(await world.costs(id, "grid_usage", "202501")).toEqual([null]);
    // The manager sees the invoice, a stranger does not.
    expect((await world.get(`/invoices/${made._id}`)).status).toBe(200);
    expect((await world.get(`/invoices?account._id=${world.child.id}`)).json.count).toBeGreaterThan(0);
    expect((await world.get(`/invoices/${made._id}`, world.stranger.token)).status).toBe(404);
    expect((await world.get(`/invoices`, world.stranger.token)).json.count).toBe(0);
  });
});

describe("a meter that is deleted", () => {
  test("takes its costs along, and the invoice says so", async () => {
    const { id } = await newMeter(world.api, world.owner, { ean: "735340" });
    const made = await world.settle({
      number: "gone",
      ean: "735340",
      period: january,
      rows: [{ name: "Elnät elöverföring", amount: "10" }],
    });
    await world.api.call("DELETE", `/meters/${id}`, { token: world.owner.token });
    const { data } = (await world.get(`/invoices/${made._id}`)).json;
    expect(data).toMatchObject({
      results: [{ meter: null }],
      unresolved: [{ field: "meter", message: expect.stringContaining("deleted") }],
    });
    expect(
      (await world.api.call("DELETE", `/invoices/${made._id}`, { token: world.owner.token })).status,
    ).toBe(200);
  });
});
