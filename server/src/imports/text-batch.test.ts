import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newToken } from "../../../test/harness/accounts.ts";
import { newMeter } from "../../../test/harness/meters.ts";
import { type ImportWorld, importWorld } from "./harness.ts";

let world: ImportWorld;
let meterId: string;
beforeAll(async () => {
  world = await importWorld();
  meterId = (await newMeter(world.api, world.owner, { ean: "735001", timezone: "Europe/Stockholm" })).id;
});
afterAll(() => world.close());

const put = (body: object, { token = world.owner.token, account = "me" } = {}) =>
  world.api.call("PUT", `/accounts/${account}/consumptions`, { token, body });
const values = async (period: string, granularity = "month") =>
  (await world.get(`/consumptions/${meterId}/${granularity}/${period}`)).json.data[0].periods[0].energy;

describe("PUT /accounts/{id}/consumptions", () => {
  test("stores months, with comma and thin spaces, and answers row by row", async () => {
    const answer = await put({
      granularity: "month",
      values: "735001\t2014-03\t1 234,5\n735001\t2014-04\t12\u2009345,25\n\n",
    });
    expect(answer.json.data).toEqual([
      { ean: "735001", range: 201403, value: 1234.5, replaced_value: false, saved: true, meter_id: meterId },
      {
        ean: "735001",
        range: 201404,
        value: 12345.25,
        replaced_value: false,
        saved: true,
        meter_id: meterId,
      },
    ]);
    expect(await values("201403-201405")).toEqual([1234.5, 12345.25, null]);
  });

  test("leaves what is stored, unless it may overwrite", async () => {
    const rows = { granularity: "month", values: "735001\t2015-01\t1\n" };
    await put(rows);
    const again = { ...rows, values: "735001\t2015-01\t2\n735001\t2015-02\t3\n" };
    expect((await put(again)).json.data).toMatchObject([
      { saved: false, replaced_value: false, value: 2 },
      { saved: true, replaced_value: false },
    ]);
    expect(await values("201501-201502")).toEqual([1, 3]);
    expect((await put({ ...again, overwrite: true })).json.data).toMatchObject([
      { saved: true, replaced_value: 1 },
      { saved: true, replaced_value: 3 },
    ]);
    expect(await values("201501-201502")).toEqual([2, 3]);
  });

  test("a preview says what would be replaced and stores nothing", async () => {
    await put({ granularity: "day", values: "735001\t2015-06-01\t5\n" });
    const preview = {
      granularity: "day",
      values: "735001\t2015-06-01\t6\n735001\t2015-06-02\t7\n",
      overwrite: true,
      preview: true,
    };
    expect((await put(preview)).json.data).toMatchObject([
      { range: 20150601, saved: false, replaced_value: 5 },
      { range: 20150602, saved: false, replaced_value: false },
    ]);
    expect(await values("20150601-20150602", "day")).toEqual([5, null]);
  });

  test("a derived value is not in the way of a delivered one", async () => {
    const hours = Array.from(
      { length: 24 },
      (_, hour) => `735001;2016-05-01 ${String(hour).padStart(2, "0")}:00;1`,
    );
    const stored = await put({ granularity: "hour", values: hours.join("\n"), delimeter: ";" });
    expect(stored.json.data[13]).toMatchObject({ range: 2016050113, saved: true });
    expect(await values("20160501", "day")).toEqual([24]);
    expect((await put({ granularity: "day", values: "735001\t2016-05-01\t25" })).json.data).toMatchObject([
      { saved: true },
    ]);
    expect(await values("20160501", "day")).toEqual([25]);
  });

  test("an hour that occurs twice may be written twice, one that does not exist is refused", async () => {
    const autumn = "735001\t2016-10-30 02:00\t1\n735001\t2016-10-30 02:00\t2\n735001\t2016-10-30 03:00\t3\n";
    expect((await put({ granularity: "hour", values: autumn })).status).toBe(200);
    expect((await values("20161030", "hour")).slice(2, 5)).toEqual([1, 2, 3]);
    const spring = await put({ granularity: "hour", values: "735001\t2016-03-27 02:00\t1\n" });
    expect(spring.json.errors["line 1"][0]).toContain("does not exist");
  });

  test("a meter can be named by its id, and its default metric is taken", async () => {
    const water = await newMeter(world.api, world.owner, { ean: null, type: "water" });
    const answer = await put({ granularity: "month", values: `${water.id}\t2017-01\t4` });
    expect(answer.json.data).toMatchObject([{ ean: water.id, meter_id: water.id, saved: true }]);
    const stored = await world.get(`/consumptions/${water.id}/month/201701`);
    expect(stored.json.data[0].periods[0].flow).toEqual([4]);
  });

  test("refuses everything when one row is wrong, and names each line", async () => {
    await newMeter(world.api, world.owner, { ean: "735002", channel: "A" });
    await newMeter(world.api, world.owner, { ean: "735002", channel: "B" });
    const rows = [
      "735001\t2018-01\t1",
      "999999\t2018-01\t1",
      "735002\t2018-01\t1",
      "735001\t2018-13\t1",
      "735001\t2018-02-01\t1",
      "735001\t2018-03\tmuch",
      "735001\t2018-04\t1.000,5",
      "735001 2018-05 1",
      "735001\t2018-06\t1",
      "735001\t2018-06\t2",
    ];
    const answer = await put({ granularity: "month", values: rows.join("\r\n") });
    expect(answer.status).toBe(400);
    expect(Object.keys(answer.json.errors)).toEqual([2, 3, 4, 5, 6, 7, 8, 10].map((line) => `line ${line}`));
    expect(answer.json.errors["line 3"][0]).toContain("names 2 meters");
    expect(await values("201801")).toEqual([null]);
    const future = await put({ granularity: "month", values: "735001\t2026-03\t1" });
    expect(future.json.errors["line 1"][0]).toContain("future");
  });

  test("bounds what it takes", async () => {
    const many = "735001\t2018-01\t1\n".repeat(20_002);
    expect((await put({ granularity: "month", values: many })).json.errors.values[0]).toContain(
      "POST /imports",
    );
    const wide = await put({
      granularity: "15min",
      values: "735001\t1990-01-01 00:00\t1\n735001\t2025-01-01 00:00\t1\n",
    });
    expect(wide.json.errors.values[0]).toContain("several requests");
    expect((await put({ granularity: "week", values: "x" })).status).toBe(400);
  });

  test("is for the holder alone, with the right to write", async () => {
    const rows = { granularity: "month", values: "735001\t2019-01\t1\n" };
    const { stranger, owner } = world;
    expect((await put(rows, { token: stranger.token, account: owner.id })).status).toBe(404);
    expect((await put(rows, { token: stranger.token })).json.errors["line 1"][0]).toContain(
      "there is no meter",
    );
    const reader = await newToken(world.api.deps, owner.id, ["basic"]);
    expect((await put(rows, { token: reader })).status).toBe(403);
  });
});
