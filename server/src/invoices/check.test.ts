import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newMeter } from "../../../test/harness/meters.ts";
import { type InvoiceWorld, invoiceWorld, type TestInvoice } from "./harness.ts";

let world: InvoiceWorld;
let model: string;
beforeAll(async () => {
  world = await invoiceWorld();
  model = await newModel([
    { kind: "fixed", name: "Abonnemang", metric: "grid_subscription", price: 100, per: "month" },
    { kind: "energy", name: "Elöverföring", metric: "grid_usage", price: 0.3 },
    { kind: "energy", name: "Energiskatt", metric: "grid_usage", price: 0.4 },
    { kind: "vat", percent: 25 },
  ]);
});
afterAll(() => world.close());

const ask = (path: string, body: unknown, token = world.owner.token) =>
  world.api.call("POST", path, { token, body });

async function newModel(components: readonly object[], more: object = {}): Promise<string> {
  const body = {
    name: "Grid",
    key: "grid",
    currency: "SEK",
    applicable_types: ["electricity"],
    components,
    ...more,
  };
  const answer = await ask("/price_models", body);
  expect(answer.status, answer.text).toBe(200);
  return answer.json.data._id;
}

let number = 0;

/** An invoice of January for a meter that used 500 kWh then. */
async function invoiceOf(rows: TestInvoice["rows"], more: Partial<TestInvoice> = {}) {
  number++;
  const ean = `7350000000001${String(number).padStart(5, "0")}`;
  const { id } = await newMeter(world.api, world.owner, { ean, timezone: "Etc/GMT-1" });
  world.api.clock.advance(1000);
  const run = {
    meter: id,
    metric: "energy",
    granularity: "month",
    start: "2025-01-01T00:00:00+0100",
    values: [500, 300],
  };
  expect((await ask("/batches", { runs: [run] })).status).toBe(200);
  const invoice = await world.settle({
    number: `C${number}`,
    ean,
    period: ["2025-01-01", "2025-01-31"],
    rows,
    ...more,
  });
  expect(invoice.status, JSON.stringify(invoice.reason)).toBe("completed");
  return { invoice, ean, meter: id };
}

async function check(invoiceId: string, body: object = { price_model: model }) {
  const answer = await ask(`/invoices/${invoiceId}/check`, body);
  expect(answer.status, answer.text).toBe(200);
  return answer.json.data;
}

const right = [
  { name: "Elnät elöverföring", amount: "150.00", quantity: "500" },
  { name: "Elnät energiskatt", amount: "200.00", quantity: "500" },
  { name: "Elnät abonnemang", amount: "100.00" },
];

describe("an invoice against a price model", () => {
  test("agrees row by row", async () => {
    const { invoice, meter, ean } = await invoiceOf(right);
    const [result] = await check(invoice._id);
    expect(result).toMatchObject({
      ean,
      meter_id: meter,
      currency: "SEK",
      problem: null,
      agrees: true,
      unbilled: [],
    });
    expect(result.rows).toHaveLength(3);
    expect(result.rows[0]).toMatchObject({
      row: invoice.results[0].invoice_rows[0]._id,
      description: "Elnät elöverföring",
      result: "agrees",
      message: "Agrees with Elöverföring.",
      expected: {
        component: "Elöverföring",
        metric: "grid_usage",
        quantity: 500,
        unit: "kWh",
        price: 0.3,
        amount: 150,
      },
      difference: { quantity: 0, amount: 0 },
    });
    expect(result.rows[1].expected.component).toBe("Energiskatt");
    expect(result.rows[2].expected).toMatchObject({
      component: "Abonnemang",
      amount: 100,
      price_unit: "SEK/month",
    });
  });

  test("tells what differs, what is not in the model and what is not billed", async () => {
    const { invoice } = await invoiceOf([
      { name: "Elnät elöverföring", amount: "165.00", quantity: "550" },
      { name: "Elnät abonnemang", amount: "100.01" },
      { name: "Elnät abonnemang extra", amount: "12.00" },
    ]);
    const [result] = await check(invoice._id);
    expect(result.agrees).toBe(false);
    expect(result.rows[0]).toMatchObject({
      result: "differs",
      difference: { quantity: 50, amount: 15 },
      message:
        "Against Elöverföring: the quantity is 550 kWh, 50 more than 500; the amount is 165 SEK, 15 more than 150.",
    });
    // A cent is a matter of rounding.
    expect(result.rows[1].result).toBe("agrees");
    expect(result.rows[2]).toMatchObject({
      result: "not_in_model",
      expected: null,
      message: "The price model has no component of grid_subscription that is left for it.",
    });
    expect(result.unbilled).toEqual([
      { component: "Energiskatt", label: null, metric: "grid_usage", amount: 200 },
    ]);
  });

  test("rows over several months are held against all of them", async () => {
    const { invoice } = await invoiceOf(
      [
        { name: "Elnät elöverföring", amount: "240.00", quantity: "800" },
        { name: "Elnät energiskatt", amount: "320.00", quantity: "800" },
        { name: "Elnät abonnemang", amount: "200.00", quantity: "2" },
      ],
      { period: ["2025-01-01", "2025-02-28"] },
    );
    const [result] = await check(invoice._id);
    expect(result.rows.map((row: { message: string }) => row.message)).toEqual([
      "Agrees with Elöverföring.",
      "Agrees with Energiskatt.",
      "Agrees with Abonnemang.",
    ]);
    expect(result.agrees).toBe(true);
  });

  test("what cannot be calculated is said, and nothing is guessed", async () => {
    const { invoice } = await invoiceOf(right, { period: ["2025-03-01", "2025-03-31"] });
    const [result] = await check(invoice._id);
    expect(result.rows.map((row: { result: string }) => row.result)).toEqual([
      "not_known",
      "not_known",
      "agrees",
    ]);
    expect(result.rows[0].message).toContain("31 of 31 days of energy are missing");
    expect(result.unbilled).toEqual([]);
  });

  test("currencies, types and meters that do not fit are said", async () => {
    const { invoice } = await invoiceOf(right, { currency: "EUR" });
    const [result] = await check(invoice._id);
    expect(result).toMatchObject({
      problem: "The invoice is in EUR, the price model in SEK.",
      rows: [],
      agrees: false,
    });
    const builtIn = {
      price_model: "000000000000000000000e01",
      params: { annual_fee: 1200, transfer_fee: 0.7 },
    };
    const [other] = await check(invoice._id, builtIn);
    expect(other.problem).toBeNull();
    const heat = await newModel(
      [{ kind: "fixed", name: "Fee", metric: "grid_subscription", price: 1, per: "month" }],
      { applicable_types: ["heat"] },
    );
    const { invoice: mine } = await invoiceOf(right);
    expect((await check(mine._id, { price_model: heat }))[0].problem).toContain("type electricity");
    const unknown = await world.settle({ number: "X1", period: ["2025-01-01", "2025-01-31"], rows: right });
    expect((await check(unknown._id))[0].problem).toContain("No meter is known");
  });

  test("is for those who see both, of a completed invoice, and stores nothing", async () => {
    const { invoice } = await invoiceOf(right);
    const path = `/invoices/${invoice._id}/check`;
    const body = { price_model: model };
    expect((await ask(path, body, world.stranger.token)).status).toBe(404);
    expect((await ask(path, { price_model: invoice._id })).status).toBe(404);
    expect((await ask(path, { ...body, params: { annual_fee: 1 } })).status).toBe(400);
    const uploaded = await world.upload([{ file: "x.xml", content: "<nothing/>" }]);
    const waiting = await ask(`/invoices/${uploaded.json.data[0]._id}/check`, body);
    expect(waiting.status).toBe(409);
  });
});
