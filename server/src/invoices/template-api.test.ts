import pdfkit from "pdfkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newMeter } from "../../../test/harness/meters.ts";
import { type InvoiceWorld, invoiceWorld } from "./harness.ts";

let world: InvoiceWorld;
beforeAll(async () => {
  world = await invoiceWorld();
});
afterAll(() => world.close());

/** A printed invoice of one page. */
async function printed(): Promise<Uint8Array> {
  const document = new pdfkit({ size: "A4", margin: 0 });
  const chunks: Buffer[] = [];
  document.on("data", (chunk: Buffer) => chunks.push(chunk));
  const ended = new Promise((resolve) => document.on("end", resolve));
  const line = (y: number, texts: [x: number, text: string][]) => {
    for (const [x, text] of texts)
      document.font("Helvetica").fontSize(9).text(text, x, y, { lineBreak: false, baseline: "alphabetic" });
  };
  line(40, [[40, "Kvarnby Elnät AB"]]);
  line(80, [
    [40, "Faktura: K-17"],
    [300, "Datum: 2025-02-03"],
  ]);
  line(140, [
    [40, "Text"],
    [300, "Antal"],
    [420, "Belopp"],
  ]);
  line(160, [
    [40, "Elöverföring"],
    [300, "100"],
    [420, "250,00"],
  ]);
  line(200, [
    [40, "Summa"],
    [420, "250,00"],
  ]);
  line(220, [
    [40, "Moms"],
    [420, "62,50"],
  ]);
  line(240, [
    [40, "Att betala"],
    [420, "312,50"],
  ]);
  document.end();
  await ended;
  return Buffer.concat(chunks);
}

const template = {
  version: 1,
  name: "kvarnby",
  document: { all: ["Kvarnby Elnät AB"] },
  currency: "SEK",
  numbers: { decimal: ",", thousands: " " },
  dates: ["yyyy-MM-dd"],
  seller: { name: { value: "Kvarnby Elnät AB" } },
  fields: { number: "Faktura", issued: "Datum" },
  tables: [{ columns: { description: "Text", quantity: "Antal", amount: "Belopp" }, end: "Summa" }],
  totals: { net: "Summa", vat: "Moms", payable: "Att betala" },
};

describe("a template", () => {
  const call = (method: string, path: string, body?: unknown, token = world.owner.token) =>
    world.api.call(method, path, { token, body });

  test("makes a PDF readable that no other knows, also for those that the account manages", async () => {
    const content = await printed();
    const parts = [{ file: "k.pdf", content }];
    const answer = await world.upload(parts, world.child.token);
    await world.work();
    const [{ _id }] = answer.json.data;
    const failed = (await world.get(`/invoices/${_id}`)).json.data;
    expect(failed).toMatchObject({
      status: "failed",
      reason: { message: expect.stringContaining("template") },
    });
    const made = await call("POST", "/invoice_templates", { name: "Kvarnby", template });
    expect(made.json.data).toMatchObject({ name: "Kvarnby", template: { name: "kvarnby" } });
    await call("POST", `/invoices/${_id}/retry`);
    await world.work();
    const read = (await world.get(`/invoices/${_id}`)).json.data;
    expect(read).toMatchObject({
      status: "completed",
      reason: null,
      format: "pdf-template:kvarnby",
      owner: { name: "Kvarnby Elnät AB" },
      results: [
        { invoice_number: "K-17", ean: null, metrics: { grid_usage: 250, grid_total: 250 }, total_vat: 62.5 },
      ],
    });
    // What a PDF does not say is said by hand.
    const { id } = await newMeter(world.api, world.child, { ean: "735501" });
    const [row] = read.results[0].invoice_rows;
    await call("PUT", `/invoices/${_id}`, {
      results: [{ meter: id }],
      rows: [{ row: row._id, period: "20250101-20250131" }],
    });
    const costs = await world.get(`/costs/${id}/month/202501?metrics=grid_usage`, world.child.token);
    expect(costs.json.data[0].periods[0].grid_usage).toEqual([250]);
  });

  test("is listed, changed and deleted; a name is given once", async () => {
    const made = (await call("POST", "/invoice_templates", { name: "Two", template })).json.data;
    expect((await call("POST", "/invoice_templates", { name: "Two", template })).status).toBe(409);
    const changed = await call("PUT", `/invoice_templates/${made._id}`, { name: "Three" });
    expect(changed.json.data).toMatchObject({ name: "Three", template });
    expect((await call("GET", "/invoice_templates?name=Three")).json).toMatchObject({ count: 1 });
    expect(
      (await call("GET", `/invoice_templates/${made._id}`, undefined, world.stranger.token)).status,
    ).toBe(404);
    expect((await call("DELETE", `/invoice_templates/${made._id}`)).json.message).toBe("Deleted template.");
    expect((await call("GET", `/invoice_templates/${made._id}`)).status).toBe(404);
  });

  test("that cannot be used is refused with every mistake", async () => {
    const { tables, ...without } = template;
    const refused = await call("POST", "/invoice_templates", {
      name: "Bad",
      template: { ...without, extra: 1 },
    });
    expect(refused.json).toMatchObject({ code: 400, errors: { template: expect.any(Array) } });
    expect(JSON.stringify(refused.json.errors)).toContain("tables");
    expect(tables).toHaveLength(1);
  });
});
