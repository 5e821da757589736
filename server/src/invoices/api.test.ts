import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newMeter } from "../../../test/harness/meters.ts";
import { type InvoiceWorld, invoiceWorld, ubl } from "./harness.ts";

let world: InvoiceWorld;
beforeAll(async () => {
  world = await invoiceWorld();
});
afterAll(() => world.close());

const january: [string, string] = ["2025-01-01", "2025-01-31"];

describe("an invoice", () => {
  test("is acknowledged at once, read later, and its costs are there", async () => {
    const { id } = await newMeter(world.api, world.owner, { ean: "735000000000000001" });
    const content = ubl({
      number: "1001",
      ean: "735000000000000001",
      period: january,
      rows: [
        { name: "Elnät elöverföring", amount: "150.25", quantity: "500" },
        { name: "Elnät abonnemang", amount: "99.50" },
      ],
    });
    const answer = await world.upload([{ file: "a.xml", content }]);
    expect(answer.status).toBe(200);
    expect(answer.json.data).toHaveLength(1);
    expect(answer.json.data[0]).toMatchObject({ status: "pending", results: [], owner: null, reason: null });
    await world.work();
    const { data } = (await world.get(`/invoices/${answer.json.data[0]._id}`)).json;
    expect(data).toMatchObject({
      status: "completed",
      account: { _id: world.owner.id, name: world.owner.name },
      owner: { name: "Elnät Exempel AB" },
      format: "ubl",
      file: { name: "a.xml", bytes: Buffer.byteLength(content) },
      unresolved: [],
    });
    expect(data.results).toHaveLength(1);
    expect(data.results[0]).toMatchObject({
      ean: "735000000000000001",
      meter: { _id: id, root_id: id },
      period: "20250101-20250131",
      invoice_number: "1001",
      due_date: "2026-02-09T00:00:00+0000",
      metrics: { grid_usage: 150.25, grid_subscription: 99.5, grid_total: 249.75 },
      total_vat: 62.44,
      total_amount_excl_vat: 249.75,
      total_amount_due: 312.19,
      currency: "SEK",
      counts: true,
    });
    expect(data.results[0].invoice_rows[0]).toMatchObject({
      description: "Elnät elöverföring",
      amount: 150.25,
      contract_type: "grid",
      metric: "grid_usage",
      quantity: 500,
      quantity_unit: "KWH",
      period: "20250101-20250131",
      spread: "month",
    });
    expect(await world.costs(id, "grid_usage", "202412-202502")).toEqual([null, 150.25, null]);
    expect(await world.costs(id, "grid_total", "202501")).toEqual([249.75]);
  });

  test("is the same when it comes again, and nothing is doubled", async () => {
    const { id } = await newMeter(world.api, world.owner, { ean: "735000000000000002" });
    const document = {
      number: "1002",
      ean: "735000000000000002",
      period: january,
      rows: [{ name: "Elnät elöverföring", amount: "10.00" }],
    };
    const first = await world.settle(document);
    const again = await world.settle(document);
    expect(again._id).toBe(first._id);
    expect(await world.costs(id, "grid_usage", "202501")).toEqual([10]);
    expect(world.documents().filter((name) => name === first._id)).toHaveLength(1);
    const parts = [ubl(document), ubl(document)].map((content) => ({ file: "twice.xml", content }));
    expect((await world.upload(parts)).json.data).toHaveLength(1);
    expect((await world.get("/invoices?results.invoice_number=1002")).json.count).toBe(1);
  });

  test("is kept as it came, and given out as a download", async () => {
    const content = ubl({
      number: "1003",
      period: january,
      rows: [{ name: "Elnät abonnemang", amount: "1" }],
    });
    const answer = await world.upload([{ file: "../../fäktura '1'.xml", content }]);
    const { _id, file } = answer.json.data[0];
    expect(file.name).toBe("fäktura '1'.xml");
    const download = await world.get(`/invoices/${_id}/file`);
    expect(download.text).toBe(content);
    expect(download.headers).toMatchObject({
      "content-type": "application/octet-stream",
      "content-disposition": "attachment; filename*=UTF-8''f%C3%A4ktura%20%271%27.xml",
      "x-content-type-options": "nosniff",
    });
  });

  test("whose totals do not tie fails with the difference, and stores nothing", async () => {
    const { id } = await newMeter(world.api, world.owner, { ean: "735000000000000004" });
    const failed = await world.settle({
      number: "1004",
      ean: "735000000000000004",
      period: january,
      rows: [{ name: "Elnät elöverföring", amount: "10.00" }],
      net: "10.01",
    });
    expect(failed).toMatchObject({
      status: "failed",
      results: [],
      reason: { difference: 0.01, field: "totals" },
    });
    expect(failed.reason.message).toContain("1004");
    expect(await world.costs(id, "grid_usage", "202501")).toEqual([null]);
  });

  test("that was only tried is shown, and stores nothing until it is uploaded in earnest", async () => {
    const { id } = await newMeter(world.api, world.owner, { ean: "735000000000000005" });
    const document = {
      number: "1005",
      ean: "735000000000000005",
      period: january,
      rows: [{ name: "Elnät elöverföring", amount: "10.00" }],
    };
    const tried = await world.settle(document, { parts: [["dry_run", "true"]] });
    expect(tried).toMatchObject({
      status: "completed",
      dry_run: true,
      results: [{ counts: false, metrics: { grid_usage: 10 } }],
    });
    expect(await world.costs(id, "grid_usage", "202501")).toEqual([null]);
    const stored = await world.settle(document);
    expect(stored._id).not.toBe(tried._id);
    expect(await world.costs(id, "grid_usage", "202501")).toEqual([10]);
    await world.api.call("DELETE", `/invoices/${tried._id}`, { token: world.owner.token });
    expect(await world.costs(id, "grid_usage", "202501")).toEqual([10]);
  });

  test("takes its costs back when it is deleted, and only its own", async () => {
    const { id } = await newMeter(world.api, world.owner, { ean: "735000000000000006" });
    const one = (number: string, amount: string) =>
      world.settle({
        number,
        ean: "735000000000000006",
        period: ["2025-01-01", "2025-02-28"],
        rows: [{ name: "Elnät abonnemang", amount }],
      });
    const first = await one("1006", "59.00");
    await one("1007", "118.00");
    expect(await world.costs(id, "grid_subscription", "202501-202502")).toEqual([93, 84]);
    // Somebody else says what February really was.
    world.api.clock.advance(1000);
    await world.api.call("POST", "/batches", {
      token: world.owner.token,
      body: {
        document: { source: "by hand" },
        runs: [
          {
            meter: id,
            metric: "cost_grid_subscription",
            currency: "SEK",
            granularity: "month",
            start: "2025-02-01T00:00:00+0100",
            values: [5],
          },
        ],
      },
    });
    world.api.clock.advance(1000);
    const deleted = await world.api.call("DELETE", `/invoices/${first._id}`, { token: world.owner.token });
    expect(deleted.json).toMatchObject({ code: 200, message: "Deleted invoice." });
    expect(await world.costs(id, "grid_subscription", "202501-202502")).toEqual([62, 56]);
    expect(world.documents()).not.toContain(first._id);
    expect((await world.get(`/invoices/${first._id}`)).status).toBe(404);
  });

  test("gives back what stood there before it", async () => {
    const { id } = await newMeter(world.api, world.owner, { ean: "735000000000000009" });
    const deliver = (value: number) =>
      world.api.call("POST", "/batches", {
        token: world.owner.token,
        body: {
          document: { source: "feed" },
          runs: [
            {
              meter: id,
              metric: "cost_grid_usage",
              currency: "SEK",
              granularity: "month",
              start: "2025-01-01T00:00:00+0100",
              values: [value],
            },
          ],
        },
      });
    await deliver(7);
    world.api.clock.advance(1000);
    const invoice = (number: string, amount: string) =>
      world.settle({
        number,
        ean: "735000000000000009",
        period: january,
        rows: [{ name: "Elnät elöverföring", amount }],
      });
    const [first, second] = [await invoice("1009", "10"), await invoice("1010", "20")];
    expect(await world.costs(id, "grid_usage", "202501")).toEqual([30]);
    const remove = async ({ _id }: { _id: string }) => {
      world.api.clock.advance(1000);
      await world.api.call("DELETE", `/invoices/${_id}`, { token: world.owner.token });
    };
    await remove(first);
    expect(await world.costs(id, "grid_usage", "202501")).toEqual([20]);
    await remove(second);
    expect(await world.costs(id, "grid_usage", "202501")).toEqual([7]);
  });

  test("does not take away what somebody else has delivered since", async () => {
    const { id } = await newMeter(world.api, world.owner, { ean: "735000000000000007" });
    const { _id } = await world.settle({
      number: "1008",
      ean: "735000000000000007",
      period: ["2025-01-01", "2025-02-28"],
      rows: [{ name: "Elnät abonnemang", amount: "59.00" }],
    });
    world.api.clock.advance(1000);
    await world.api.call("POST", "/batches", {
      token: world.owner.token,
      body: {
        document: { source: "by hand" },
        runs: [
          {
            meter: id,
            metric: "cost_grid_subscription",
            currency: "SEK",
            granularity: "month",
            start: "2025-02-01T00:00:00+0100",
            values: [5],
          },
        ],
      },
    });
    world.api.clock.advance(1000);
    await world.api.call("DELETE", `/invoices/${_id}`, { token: world.owner.token });
    expect(await world.costs(id, "grid_subscription", "202501-202502")).toEqual([null, 5]);
    expect(await world.costs(id, "grid_total", "202501-202502")).toEqual([null, null]);
  });
});
