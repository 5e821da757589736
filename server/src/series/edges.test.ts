import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestApi, testApi } from "../../../test/harness/api.ts";
import { createAccount } from "../accounts/accounts.ts";
import { createMeters } from "../meters/meters.ts";
import { granuleStarts } from "../platform/time/granule.ts";
import { parsePeriods, periodIn } from "../platform/time/period.ts";
import { JsonBytes } from "../platform/value-json.ts";
import { writeElements } from "./answer-json.ts";
import { seriesEndpoints } from "./api.ts";
import { estimates } from "./estimate.ts";
import { gridOf, pointsOf } from "./grid.ts";

let t: TestApi;
let meter: string;

beforeAll(async () => {
  t = await testApi({ endpoints: seriesEndpoints, settings: { valuesMax: 1000 } });
  const now = t.clock.now();
  await t.db.transaction(async (tx) => {
    const holderId = (await createAccount(tx, { name: "Holder", now })).id;
    const spec = { type: "electricity", ean: "1", timezone: "Etc/GMT-1", box: "active" } as const;
    meter = (await createMeters(tx, { holderId, now, actorId: null }, [spec]))[0]!.id;
    t.addCaller("holder", { accountId: holderId, scopes: new Set(["basic", "write_meters"]) });
  });
});
afterAll(() => t.close());

const get = (path: string) => t.call("GET", path, { token: "holder" });
const post = (run: object) =>
  t.call("POST", "/batches", { token: "holder", body: { runs: [{ meter, ...run }] } });
const periodOf = async (path: string) => (await get(path)).json.data[0].periods[0];

describe("the limit of values", () => {
  test.each([
    ["day", "20230101-20250926", 1000],
    ["hour", "2025010100-2025021115", 1000],
    ["month", "1971-2053", 996],
  ])("counts what is given: %s of %s", async (granularity, period, count) => {
    expect((await periodOf(`/consumptions/${meter}/${granularity}/${period}`)).energy).toHaveLength(count);
  });

  test.each([
    ["day", "20230101-20250927", 1001],
    ["hour", "2025010100-2025021116", 1001],
    ["month", "1971-2054", 1008],
  ])("refuses one more and says how many: %s of %s", async (granularity, period, count) => {
    const answer = await get(`/consumptions/${meter}/${granularity}/${period}`);
    expect([answer.status, answer.json.message]).toEqual([400, expect.stringContaining(` ${count} values`)]);
  });
});

describe("estimates", () => {
  test("say what they are, next to what was delivered", async () => {
    const starts = ["2025-06-01T00:00:00+0100", "2025-06-03T00:00:00+0100"];
    await post({ granularity: "day", starts, values: [4, 6], quality: "measured" });
    const found = await periodOf(
      `/consumptions/${meter}/day/20250601-20250603?metrics=estimated_energy&include=origin,status`,
    );
    expect(found).toMatchObject({
      estimated_energy: [4, 5, 6],
      estimated_energy_origin: ["delivered", "derived", "delivered"],
      estimated_energy_status: ["measured", "estimated", "measured"],
    });
  });

  test("of a past instant are made of what was known then", async () => {
    await post({ granularity: "month", starts: ["2024-03-01T00:00:00+0100"], values: [30] });
    const then = new Date(t.clock.now()).toISOString();
    t.clock.advance(60_000);
    await post({ granularity: "month", starts: ["2024-03-01T00:00:00+0100"], values: [70] });
    const path = `/consumptions/${meter}/month/202503?metrics=estimated_energy`;
    expect((await periodOf(path)).estimated_energy).toEqual([70]);
    expect((await periodOf(`${path}&as_of=${then}`)).estimated_energy).toEqual([30]);
  });

  test("of a hundred thousand values with one gap take one pass", () => {
    const grid = gridOf("5min", "UTC", { from: 0, to: 100_000 * 300_000 })!;
    const values = new Float64Array(grid.length).fill(Number.NaN);
    values[0] = 0;
    values[grid.length - 1] = grid.length - 1;
    const current = { rootId: "", metric: "energy", currency: "", values: [values], flags: [] };
    const made = estimates({
      grids: [grid],
      zone: "UTC",
      now: Date.UTC(2026, 0),
      current,
      earlier: undefined,
    });
    expect(made.values[0]!.every((value, i) => value === i)).toBe(true);
  }, 3_000);
});

test("a share of values is 1 only when none is missing, and 0 only when all are", () => {
  const present = Int32Array.of(0, 1, 19_999, 20_000);
  const json = new JsonBytes();
  const period = { from: 0, to: 4 * 3_600_000 };
  const column = { name: "energy", values: [new Float64Array(4)], present: [present], expected: 20_000 };
  const grids = [gridOf("hour", "UTC", period)];
  writeElements(json, [
    { ids: {}, grids, periods: [period], columns: [column], origin: false, status: false },
  ]);
  expect(JSON.parse(json.finish().toString())[0].periods[0].energy_quality).toEqual([0, 0.0001, 0.9999, 1]);
});

test.each([
  ["Pacific/Norfolk", "20151004"],
  ["Pacific/Norfolk", "2014-2016"],
  ["Australia/Lord_Howe", "1978-1986"],
  ["America/Caracas", "2007-2016"],
])("an answer has one place per hour where a zone moved by half an hour: %s in %s", (zone, text) => {
  const period = periodIn(zone, parsePeriods(text)[0]!, 0);
  expect(pointsOf(gridOf("hour", zone, period))).toBe(granuleStarts("hour", zone, period).length);
});

describe("values that follow a start", () => {
  test("end with the century, however many they are", async () => {
    const body = `{"runs":[{"meter":"${meter}","granularity":"month","start":"2025-01-01T00:00:00+0100","values":[1${",null".repeat(3_400_000)}]}]}`;
    const answer = await t.call("POST", "/batches", { token: "holder", body });
    expect(answer.json.data).toMatchObject({ added: 1 });
  });

  test("that cannot be read are named, a hundred of them at most", async () => {
    const starts = Array.from({ length: 5_000 }, () => "yesterday");
    const answer = await post({ granularity: "hour", starts, values: starts.map(() => 1) });
    expect(Object.keys(answer.json.errors)).toHaveLength(100);
  });
});
