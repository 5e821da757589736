import { afterAll, beforeAll, expect, test } from "vitest";
import yauzl from "yauzl";
import { newAccount, type TestAccount } from "../../../test/harness/accounts.ts";
import { type TestApi, testApi } from "../../../test/harness/api.ts";
import { newMeter } from "../../../test/harness/meters.ts";
import { authenticate } from "../accounts/accounts.ts";
import { meterEndpoints } from "../meters/api.ts";
import { granuleStarts } from "../platform/time/granule.ts";
import { ingest } from "../series/series.ts";
import { treeEndpoints } from "../trees/api.ts";
import { completenessEndpoints } from "./api.ts";

let api: TestApi;
let manager: TestAccount;
let customer: TestAccount;
let meter: { id: string; part: number };
let copy: string;
let complaint: string;

beforeAll(async () => {
  api = await testApi({
    endpoints: [...meterEndpoints, ...treeEndpoints, ...completenessEndpoints([])],
    authenticate,
  });
  api.clock.set(Date.UTC(2026, 10, 15, 12));
  manager = await newAccount(api.deps, { language: "sv" });
  customer = await newAccount(api.deps, { name: "Anna; Ek", managerId: manager.id });
  meter = await newMeter(api, customer, {
    timezone: "Etc/GMT-1",
    name: "=1+1",
    address: "Vägen 3",
    ean: "735000001",
  });
  [{ _id: copy }] = await ask(manager, "/meters");
  await api.call("PUT", `/meters/${copy}`, { token: manager.token, body: { box: "active", name: "=2+2" } });
  const all = granuleStarts("month", "Etc/GMT-1", {
    from: Date.UTC(2025, 11, 31, 23),
    to: Date.UTC(2026, 10, 1),
  });
  const starts = all.filter((_, i) => i !== 2 && i !== 5 && i !== 6 && i !== 9);
  const run = {
    meter: { ...meter, timezone: "Etc/GMT-1" },
    metric: "energy",
    granularity: "month" as const,
    starts: Float64Array.from(starts),
    values: Float64Array.from(starts, () => 1),
    quality: "measured" as const,
  };
  await ingest(api.db, [{ document: { source: "months" }, runs: [run] }], api.clock.now());
  const made = await api.call("POST", "/complaints", {
    token: customer.token,
    body: { meter: meter.id, period: "202606" },
  });
  complaint = made.json.data._id;
});
afterAll(() => api.close());

async function ask(who: TestAccount, path: string) {
  const answer = await api.call("GET", path, { token: who.token });
  if (answer.status !== 200) throw new Error(`${path}: ${answer.text}`);
  return answer.json.data;
}

test("has a row for each run of missing months, for who manages the customer", async () => {
  const rows = await ask(manager, "/completeness/report?period=2026");
  expect(rows.map(({ period, missing }: { period: string; missing: number }) => [period, missing])).toEqual([
    ["202603", 1],
    ["202606-202607", 2],
    ["202610", 1],
  ]);
  expect(rows[1]).toEqual({
    customer: { _id: customer.id, name: "Anna; Ek" },
    meter: {
      _id: copy,
      root_id: meter.id,
      ean: "735000001",
      name: "=2+2",
      address: "Vägen 3",
      type: "electricity",
      timezone: "Etc/GMT-1",
    },
    metric: "energy",
    granularity: "month",
    from: "2026-05-31T23:00:00+0000",
    to: "2026-07-31T23:00:00+0000",
    period: "202606-202607",
    missing: 2,
    reason: "not_uploaded",
    who_acts: "customer",
    what_to_do: "Ingen koppling hämtar värdena. Ladda upp dem, eller koppla till leverantören.",
    next_try: null,
    connection: null,
    complaint: { _id: complaint },
  });
  expect(rows[0].complaint).toBe(null);
  // The last whole month, when nobody says which.
  expect(
    (await ask(manager, "/completeness/report")).map(({ period }: { period: string }) => period),
  ).toEqual(["202610"]);
});

test("as CSV, in which no name is a formula", async () => {
  const answer = await api.call("GET", "/completeness/report?period=202603&format=csv", {
    token: manager.token,
  });
  expect(answer.headers).toMatchObject({
    "content-type": "text/csv; charset=utf-8",
    "content-disposition": 'attachment; filename="missing-values.csv"',
  });
  expect(answer.text).toBe(
    "Customer;Meter ID;Root ID;EAN;Name;Address;Type;Metric;Granularity;From;To;Missing;Reason;Who acts;What to do;" +
      "Next try (UTC);Provider;Connection;Complaint\n" +
      `"Anna; Ek";${copy};${meter.id};735000001;'=2+2;Vägen 3;electricity;energy;month;202603;202603;1;not_uploaded;customer;` +
      '"Ingen koppling hämtar värdena. Ladda upp dem, eller koppla till leverantören.";;;;\n'.replaceAll(
        '"',
        "",
      ),
  );
});

test("as a workbook, in which no name is a formula", async () => {
  const answer = await api.server.inject({
    url: "/api/v2/completeness/report?period=2026&format=xlsx",
    headers: { authorization: `Bearer ${manager.token}` },
  });
  const zip = await yauzl.fromBufferPromise(answer.rawPayload);
  const texts = new Map<string, string>();
  for await (const entry of zip.eachEntry()) {
    const chunks: Buffer[] = [];
    for await (const chunk of await zip.openReadStreamPromise(entry)) chunks.push(chunk as Buffer);
    texts.set(entry.fileName, Buffer.concat(chunks).toString());
  }
  const sheet = texts.get("xl/worksheets/sheet1.xml")!;
  expect(sheet.match(/<row/g)).toHaveLength(4);
  expect(sheet).not.toContain("<f>");
  expect(texts.get("xl/sharedStrings.xml") ?? sheet).toContain("=2+2");
});

test("of others there is nothing", async () => {
  const stranger = await newAccount(api.deps);
  expect(await ask(stranger, "/completeness/report?period=2026")).toEqual([]);
  for (const query of [`account=${customer.id}`, `meters=${copy}`, `meters=${meter.id}`]) {
    const answer = await api.call("GET", `/completeness/report?${query}`, { token: stranger.token });
    expect(answer.status).toBe(404);
  }
  const answer = await api.call("GET", "/completeness/report?format=pdf", { token: manager.token });
  expect([answer.status, answer.json.message]).toEqual([400, expect.stringContaining("format")]);
});
