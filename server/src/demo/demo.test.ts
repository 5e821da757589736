import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestApi, testApi } from "../../../test/harness/api.ts";
import { authenticate } from "../accounts/accounts.ts";
import { endpoints } from "../app.ts";
import { readInvoice } from "../formats/format.ts";
import { invoiceJobs } from "../invoices/invoices.ts";
import { calculateCostsJob } from "../prices/prices.ts";
import { type DemoAccess, fillDemo } from "./demo.ts";
import { demoValues } from "./values.ts";
import { demoCustomers } from "./world.ts";

const dataDir = mkdtempSync(join(tmpdir(), "mt-demo-"));
let t: TestApi;
let access: DemoAccess;

const ofBefore = join(dataDir, "demo-utility.json");

beforeAll(async () => {
  writeFileSync(ofBefore, "{}");
  t = await testApi({ endpoints, authenticate, settings: { dataDir } });
  t.clock.set(Date.UTC(2026, 10, 23, 9));
  access = await fillDemo(t.deps);
});
afterAll(async () => {
  await t.close();
  rmSync(dataDir, { recursive: true, force: true });
});

const get = async (path: string) => (await t.call("GET", path, { token: access.token })).json;

async function meterNamed(name: string): Promise<{ _id: string; root: { _id: string } }> {
  const { data } = await get(`/meters?name=${encodeURIComponent(name)}`);
  expect(data).toHaveLength(1);
  return data[0];
}

test("the manager has every meter of its customers, some of them in the inbox, tagged and in a tree", async () => {
  const all = demoCustomers().flatMap((customer) =>
    customer.buildings.flatMap((building) => building.meters),
  );
  expect((await get("/meters")).count).toBe(all.length);
  expect((await get("/meters?box=inbox")).count).toBe(4);
  expect((await get("/meters?tags=production")).count).toBe(1);
  expect((await get(`/meters?tree_structure_ids=${access.nodeId}`)).count).toBe(all.length - 5);
  expect((await get("/accounts/me/subaccounts?custom_identifier=C-1003")).data[0].name).toBe(
    "Kiinteistö Oy Satama",
  );
});

test("days on which clocks change have 23 and 25 hours", async () => {
  for (const [day, hours] of [
    ["20260329", 23],
    ["20251026", 25],
  ] as const) {
    const { data } = await get(`/consumptions/${access.meterId}/hour/${day}?metrics=energy`);
    expect(data[0].periods[0].energy).toHaveLength(hours);
    expect(data[0].periods[0].energy).not.toContain(null);
  }
});

test("values reach until yesterday, and a gap leaves its month unknown", async () => {
  const { data } = await get(`/consumptions/${access.meterId}/day/20261121-20261123?metrics=energy`);
  expect(data[0].periods[0].energy.map((value: number | null) => value !== null)).toEqual([
    true,
    true,
    false,
  ]);
  const gappy = await meterNamed("Tornet garage electricity");
  const year = (await get(`/consumptions/${gappy._id}/month/202511-202610?metrics=energy`)).data[0].periods[0]
    .energy;
  expect(year.filter((value: number | null) => value === null)).toHaveLength(1);
});

test("a correction left revisions, and the bills are there", async () => {
  const corrected = await meterNamed("Solsidan 3 A district heating");
  const { data } = await get(`/meters/${corrected._id}/revisions?metric=energy`);
  expect(JSON.stringify(data)).toContain("demo values");
  const bills = await get(`/costs/${corrected._id}/month/${access.year}`);
  expect(JSON.stringify(bills.data)).toContain("SEK");
});

test("a demo that begins anew knows nothing of the utility of another one", () => {
  expect(existsSync(ofBefore)).toBe(false);
});

test("a second start changes nothing, and the login is for the owner of the folder alone", async () => {
  const path = join(dataDir, "demo.json");
  expect(statSync(path).mode & 0o077).toBe(0);
  expect(JSON.parse(readFileSync(path, "utf8"))).toEqual(access);
  const before = await get("/meters?limit=300");
  expect(await fillDemo(t.deps)).toEqual(access);
  expect(await get("/meters?limit=300")).toEqual(before);
});

test("the generator gives the same values at every call, below zero only outdoors", () => {
  const range = { from: Date.UTC(2025, 0, 1), to: Date.UTC(2026, 0, 1) };
  for (const customer of demoCustomers()) {
    for (const meter of customer.buildings.flatMap((building) => building.meters)) {
      const { values } = demoValues(meter, customer.city, range);
      expect(values).toEqual(demoValues(structuredClone(meter), customer.city, range).values);
      expect(values.every((value) => Number.isFinite(value) && (value >= 0 || meter.use === "outdoor"))).toBe(
        true,
      );
      expect(new Set(values).size).toBeGreaterThan(100);
    }
  }
});

test("the bills of the customers lie in the data folder, can be read, and name meters of the demo", async () => {
  const folder = join(dataDir, "demo-invoices");
  const files = readdirSync(folder).sort();
  expect(files).toHaveLength(8);
  const eans = new Set(
    demoCustomers().flatMap(({ buildings }) =>
      buildings.flatMap(({ meters }) => meters.map(({ ean }) => ean)),
    ),
  );
  const read = await Promise.all(
    files.map(
      async (fileName) => (await readInvoice(readFileSync(join(folder, fileName)), { fileName }))[0]!,
    ),
  );
  for (const invoice of read) {
    const points = [...invoice.meteringPoints, ...invoice.rows.flatMap((row) => row.meteringPoint ?? [])];
    expect(points.length).toBeGreaterThan(0);
    expect(points.filter((ean) => !eans.has(ean))).toEqual([]);
  }
  const credit = read.find(({ kind }) => kind === "credit")!;
  const taken = read.find(({ number }) => number === credit.replaces[0])!;
  expect(credit.totals.net).toBe(`-${taken.totals.net}`);
  // What was billed for a month is what was measured in it.
  const meter = await get(`/meters?ean=${taken.meteringPoints[0]}`);
  const right = read.find(({ number }) => number.endsWith("10013"))!;
  const month = right.period!.from.slice(0, 7).replace("-", "");
  const { data } = await get(`/consumptions/${meter.data[0]._id}/month/${month}?metrics=energy`);
  const energy = right.rows.find(({ quantityUnit }) => quantityUnit === "kWh")!;
  expect(Number(energy.quantity)).toBeCloseTo(data[0].periods[0].energy[0], 1);
});

test("the bills are read as those that a customer uploads: every row has its cost, the wrong one is taken back", async () => {
  for (let job = t.sentJobs.shift(); job !== undefined; job = t.sentJobs.shift()) {
    const kind = [...invoiceJobs, calculateCostsJob].find(({ name }) => name === job!.name);
    await kind?.run(job.data, t.deps, new AbortController().signal);
  }
  const { data, count } = await get("/invoices?limit=100");
  expect(count).toBe(8);
  // biome-ignore lint/suspicious/noExplicitAny: a path through an answer
  const stated = data.map(({ status, reason, results }: any) => ({
    status,
    reason,
    // biome-ignore lint/suspicious/noExplicitAny: a path through an answer
    open: results.flatMap((result: any) => result.invoice_rows.filter((row: any) => row.metric === null)),
  }));
  expect(stated).toEqual(data.map(() => ({ status: "completed", reason: null, open: [] })));
  const meter = await meterNamed("Solsidan 3 A electricity");
  const months = "202609-202610";
  const costs = (
    await get(`/costs/${meter._id}/month/${months}?metrics=grid_total,retail_total,retail_usage`)
  ).data[0].periods[0];
  const energy = (await get(`/consumptions/${meter._id}/month/${months}?metrics=energy`)).data[0].periods[0]
    .energy;
  for (const [i, kWh] of energy.entries()) {
    // Price and markup of a kWh; rows are rounded to cents.
    expect(costs.retail_usage[i]).toBeCloseTo(kWh * (0.7135 + 0.045), 1);
    expect(costs.grid_total[i]).toBeGreaterThan(costs.retail_total[i] / 2);
  }
  // The months of which no bill tells are calculated, with the same prices.
  const model = (await get("/price_models?name=%C3%84lvdal")).data[0];
  const around = "grid_total,grid_usage&include=origin";
  const year = (await get(`/costs/${meter._id}/month/202411-202610?metrics=${around}`)).data[0].periods[0];
  expect(year.grid_total).not.toContain(null);
  const origins = [...Array(22).fill("derived"), "delivered", "delivered"];
  expect(year.grid_total_origin).toEqual(origins);
  const first = (await get("/invoices?results.invoice_number=202610-10014")).data[0];
  const body = { price_model: model._id };
  const { json } = await t.call("POST", `/invoices/${first._id}/check`, { token: access.token, body });
  // biome-ignore lint/suspicious/noExplicitAny: a path through an answer
  const results = json.data[0].rows.map(({ result }: any) => result);
  expect(results).toEqual([...Array(4).fill("agrees"), ...Array(3).fill("not_in_model")]);
  expect(json.data[0].unbilled).toEqual([]);
});
