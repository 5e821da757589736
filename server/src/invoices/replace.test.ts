import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newMeter } from "../../../test/harness/meters.ts";
import { type InvoiceWorld, invoiceWorld, type TestInvoice } from "./harness.ts";

let world: InvoiceWorld;
beforeAll(async () => {
  world = await invoiceWorld();
});
afterAll(() => world.close());

const january: [string, string] = ["2025-01-01", "2025-01-31"];
let points = 735_100;
/** A meter, and a way to invoice it. */
async function point() {
  const ean = String(++points);
  const { id } = await newMeter(world.api, world.owner, { ean });
  const invoice = (number: string, amount: string, more: Partial<TestInvoice> = {}) =>
    world.settle({
      number: `${ean}-${number}`,
      ean,
      period: january,
      rows: [{ name: "Elnät elöverföring", amount }],
      ...more,
      ...(more.replaces === undefined ? {} : { replaces: more.replaces.map((each) => `${ean}-${each}`) }),
    });
  const cost = async () => (await world.costs(id, "grid_usage", "202501"))[0];
  const refetch = async ({ _id }: { _id: string }) => (await world.get(`/invoices/${_id}`)).json.data;
  return { ean, id, invoice, cost, refetch };
}

describe("invoices of one meter and month", () => {
  test("add up: the network's and the supplier's, each in its own costs", async () => {
    const { id, invoice, cost } = await point();
    await invoice("1", "100.10");
    await invoice("2", "20.20");
    await invoice("3", "77", {
      seller: { name: "Elhandel AB", id: "556000-0002" },
      rows: [{ name: "Elhandel förbrukning", amount: "77" }],
    });
    expect(await cost()).toBe(120.3);
    expect(await world.costs(id, "retail_total", "202501")).toEqual([77]);
  });

  test("a credit note over all of it cancels it; deleting the credit note brings it back", async () => {
    const { invoice, cost, refetch } = await point();
    const first = await invoice("1", "100");
    const credit = await invoice("2", "100", { kind: "credit", replaces: ["1"] });
    expect(credit.results[0]).toMatchObject({ kind: "credit", counts: false, metrics: { grid_usage: -100 } });
    expect(await cost()).toBe(null);
    expect((await refetch(first)).results[0]).toMatchObject({ counts: false, replaced_by: credit._id });
    await world.api.call("DELETE", `/invoices/${credit._id}`, { token: world.owner.token });
    expect(await cost()).toBe(100);
    expect((await refetch(first)).results[0]).toMatchObject({ counts: true, replaced_by: null });
  });

  test("a credit note over less subtracts", async () => {
    const { invoice, cost } = await point();
    await invoice("1", "100");
    await invoice("2", "30.55", { kind: "credit", replaces: ["1"] });
    expect(await cost()).toBe(69.45);
  });

  test("a correction replaces and never adds, also when it comes first or again", async () => {
    const { invoice, cost, refetch } = await point();
    const correction = await invoice("2", "90", {
      kind: "correction",
      replaces: ["1"],
      issued: "2026-01-12",
    });
    expect(await cost()).toBe(90);
    const first = await invoice("1", "100");
    expect(await cost()).toBe(90);
    expect((await refetch(first)).results[0]).toMatchObject({ counts: false, replaced_by: correction._id });
    await invoice("2", "90", { kind: "correction", replaces: ["1"], issued: "2026-01-12" });
    expect(await cost()).toBe(90);
  });

  test("the same invoice in another file counts once", async () => {
    const { invoice, cost } = await point();
    await invoice("1", "100");
    await invoice("1", "100", { rows: [{ name: "Elnät  elöverföring", amount: "100" }] });
    expect(await cost()).toBe(100);
  });

  test("a correction that covers other months takes the old months back", async () => {
    const { id, invoice } = await point();
    await invoice("1", "100");
    await invoice("2", "100", { kind: "correction", replaces: ["1"], period: ["2025-02-01", "2025-02-28"] });
    expect(await world.costs(id, "grid_usage", "202501-202502")).toEqual([null, 100]);
  });

  test("currencies are never summed", async () => {
    const { id, invoice } = await point();
    await invoice("1", "100");
    await invoice("2", "9.90", { currency: "EUR" });
    const { data } = (await world.get(`/costs/${id}/month/202501?metrics=grid_usage`)).json;
    expect(
      data.map((each: { currency: string; periods: { grid_usage: number[] }[] }) => [
        each.currency,
        each.periods[0]!.grid_usage,
      ]),
    ).toEqual([
      ["EUR", [9.9]],
      ["SEK", [100]],
    ]);
  });
});

describe("a tree node", () => {
  test("sums costs of its meters, each currency by itself", async () => {
    const [a, b] = [await point(), await point()];
    const { token } = world.owner;
    const node = (await world.api.call("POST", "/trees", { token, body: { name: "House" } })).json.data;
    await world.api.call("POST", `/trees/${node._id}/meters`, { token, body: { _id: a.id } });
    await world.api.call("POST", `/trees/${node._id}/meters`, { token, body: { _id: b.id, factor: 0.5 } });
    await a.invoice("1", "100.10");
    await b.invoice("1", "20.20");
    await b.invoice("2", "5", { currency: "EUR" });
    const { data } = (await world.get(`/costs/${node._id}/month/202501?metrics=grid_usage`)).json;
    expect(
      data.map((each: { currency: string; periods: { grid_usage: number[] }[] }) => [
        each.currency,
        each.periods[0]!.grid_usage,
      ]),
    ).toEqual([
      ["EUR", [2.5]],
      ["SEK", [110.2]],
    ]);
  });
});
