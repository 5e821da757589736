import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestApi, testApi } from "../../../test/harness/api.ts";
import { endpoints } from "../app.ts";
import { purgePart } from "../changes/changes.ts";
import { sql } from "../platform/db.ts";
import { batchPieces } from "./batch-json.ts";
import { consume, drain, hoursFrom, newConsumer, newRoot, newStream, store, valuesOf } from "./harness.ts";
import { purgeBatches } from "./jobs.ts";
import { streamTotals } from "./streams.ts";

let t: TestApi;
beforeAll(async () => {
  t = await testApi({ endpoints });
});
afterAll(() => t.close());

const day = 86_400_000;
/** Midnight of Etc/GMT-1. */
const midnight = Date.UTC(2024, 11, 31, 23);

describe("keeping streams", () => {
  test("one is made, listed, read and deleted", async () => {
    const account = await newConsumer(t, "keeper");
    const made = await t.call("POST", "/streams", {
      token: "keeper",
      body: { resource: "consumption", granularity: "hour" },
    });
    expect(made.json.data).toEqual({
      _id: expect.stringMatching(/^[0-9a-f]{24}$/),
      created: "2026-01-15T12:00:00+0000",
      holder_id: account.id,
      client_id: null,
      resource: "consumption",
      granularity: "hour",
      last_offset: null,
      lag: { seconds: 0, entries: 0, history: true },
    });
    const id = made.json.data._id;
    await newStream(t, "keeper");
    const list = async (query: string) =>
      (await t.call("GET", `/streams?${query}`, { token: "keeper" })).json;
    expect((await list("")).count).toBe(2);
    expect((await list("granularity=hour")).data.map((one: { _id: string }) => one._id)).toEqual([id]);
    expect((await list("granularity=null")).count).toBe(1);
    expect((await list("resource=invoices")).count).toBe(0);
    expect((await t.call("GET", `/streams/${id}`, { token: "keeper" })).json.data._id).toBe(id);
    const gone = await t.call("DELETE", `/streams/${id}`, { token: "keeper" });
    expect(gone.json).toEqual({ code: 200, message: "Deleted stream." });
    for (const [method, path] of [
      ["GET", ""],
      ["DELETE", ""],
      ["POST", "/consume"],
      ["GET", "/events"],
      ["POST", "/reset"],
    ]) {
      expect((await t.call(method!, `/streams/${id}${path}`, { token: "keeper" })).status).toBe(404);
    }
  });

  test.each([
    [{}, "resource"],
    [{ resource: "readings" }, "resource"],
    [{ resource: "consumption", granularity: "year" }, "granularity"],
  ])("%j is refused, and names the field", async (body, field) => {
    const answer = await t.call("POST", "/streams", { token: "keeper", body });
    expect([answer.status, Object.keys(answer.json.errors)]).toEqual([400, [field]]);
  });

  test("another client of the same account, and another account, do not see it; a person sees all", async () => {
    const account = await newConsumer(t, "one client");
    t.addCaller("app", { kind: "oauth", accountId: account.id, clientId: "app" });
    t.addCaller("other app", { kind: "oauth", accountId: account.id, clientId: "other" });
    t.addCaller("person", { kind: "session", accountId: account.id });
    await newConsumer(t, "other account");
    const stream = await newStream(t, "app");
    for (const token of ["one client", "other app", "other account"]) {
      const statuses = await Promise.all([
        t.call("GET", `/streams/${stream}`, { token }),
        t.call("POST", `/streams/${stream}/consume`, { token }),
        t.call("POST", `/streams/${stream}/commit`, { token, body: { offset: 1 } }),
        t.call("DELETE", `/streams/${stream}`, { token }),
      ]);
      expect(statuses.map((answer) => answer.status)).toEqual([404, 404, 404, 404]);
    }
    expect((await t.call("GET", "/streams", { token: "person" })).json.data[0]).toMatchObject({
      _id: stream,
      client_id: "app",
    });
    expect((await t.call("GET", "/streams", { token: "other app" })).json.count).toBe(0);
  });

  test("an account has a hundred of a client at most", async () => {
    await newConsumer(t, "many");
    const made = await Promise.all(
      Array.from({ length: 110 }, () =>
        t.call("POST", "/streams", { token: "many", body: { resource: "consumption" } }),
      ),
    );
    expect(made.filter((answer) => answer.status === 200)).toHaveLength(100);
    expect(made.find((answer) => answer.status !== 200)!.json).toMatchObject({
      code: 409,
      message: expect.stringContaining("delete"),
    });
  });
});

describe("what a consumer gets", () => {
  /** A record in either layout. */
  interface Both {
    meter: { _id: string };
    columns: { start: number[]; value: (number | null)[] };
    values: { start: string; value: number | null; period: string }[];
  }

  test("in columns, the same batch: starts in seconds, values, removed ones as null", async () => {
    const account = await newConsumer(t, "columns");
    const meter = await newRoot(t, account);
    const put = (values: number[], more = {}) =>
      store(t, meter, { starts: hoursFrom(midnight, values.length), values, ...more });
    await put([0.1, -2, Number.NaN, 1e-7]);
    const cost = { metric: "cost_grid_usage", granularity: "month" as const, currency: "EUR" };
    await put([99.95], cost);
    const stream = await newStream(t, "columns");
    const sameInBoth = async (offset: number | null) => {
      const ask = async (layout?: string) =>
        (await t.call("POST", `/streams/${stream}/consume`, { token: "columns", body: { offset, layout } }))
          .json.data;
      const [rows, columns] = [await ask(), await ask("columns")];
      const spread = columns.records.flatMap(
        ({ meter: { _id }, columns: { start, value, ...about } }: Both) =>
          start.map((second: number, n: number) => [_id, 1000 * second, value[n], about]),
      );
      const listed = rows.records.flatMap((record: Both) =>
        record.values.map(({ start, value, period: _, ...about }) => [
          record.meter._id,
          Date.parse(start.replace("+0000", "Z")),
          value,
          about,
        ]),
      );
      expect(spread).toEqual(listed);
      expect(columns.offset).toBe(rows.offset);
      return columns;
    };
    const first = await sameInBoth(null);
    expect(first.records.at(-1).columns).toMatchObject({ currency: "EUR", value: [99.95] });
    await put([0.1, Number.NaN]);
    const second = await sameInBoth(first.offset);
    expect(second.records[0].columns).toMatchObject({ updated: true, value: [null] });
    expect(await sameInBoth(second.offset)).toEqual({ ...second, records: [] });
  });

  test("history, then changes, corrections and removals, with everything that the contract names", async () => {
    const account = await newConsumer(t, "reader");
    const meter = await newRoot(t, account);
    await store(t, meter, {
      starts: hoursFrom(midnight, 25),
      values: Array.from({ length: 25 }, (_, i) => i + 0.25),
    });
    await store(t, meter, {
      starts: [midnight],
      values: [120.5],
      metric: "cost_retail_total",
      granularity: "month",
      currency: "SEK",
    });
    const stream = await newStream(t, "reader");
    const first = await consume(t, "reader", stream);
    const {
      rows: [found],
    } = { rows: await t.db.rows<{ ean: string }>(sql`select ean from meter where id = ${meter.id}`) };
    expect(first.records.map((record) => record.meter)).toEqual([
      { _id: meter.id, ean: found!.ean, timezone: "Etc/GMT-1", root_id: meter.id },
    ]);
    expect(Object.keys(valuesOf(first)[0]!)).toEqual([
      "value",
      "granularity",
      "metric",
      "updated",
      "period",
      "pushed_at",
      "start",
    ]);
    expect(valuesOf(first)[3]).toEqual({
      value: 3.25,
      granularity: "hour",
      metric: "energy",
      updated: false,
      period: "2025010103",
      pushed_at: "2026-01-15 12:00:00",
      start: "2025-01-01T02:00:00+0000",
    });
    expect(valuesOf(first)[25]).toMatchObject({ granularity: "day", period: "20250101", value: 282 });
    expect(valuesOf(first)[26]).toEqual({
      value: 120.5,
      granularity: "month",
      metric: "cost_retail_total",
      updated: false,
      period: "202501",
      pushed_at: "2026-01-15 12:00:00",
      start: "2024-12-31T23:00:00+0000",
      currency: "SEK",
    });
    const empty = await consume(t, "reader", stream, { offset: first.offset });
    expect(empty).toEqual({ offset: first.offset, resource: "consumption", records: [] });

    t.clock.advance(10_000);
    await store(t, meter, { starts: [midnight, midnight + 3_600_000], values: [7, Number.NaN] });
    const second = await consume(t, "reader", stream, { offset: first.offset });
    expect(
      valuesOf(second).map(({ value, updated, period, pushed_at }) => [value, updated, period, pushed_at]),
    ).toEqual([
      [7, true, "2025010100", "2026-01-15 12:00:10"],
      [null, true, "2025010101", "2026-01-15 12:00:10"],
      [null, true, "20250101", "2026-01-15 12:00:10"],
    ]);
    expect(second.offset).toBeGreaterThan(first.offset!);
  });

  test("only the granularity that the stream names; a finer one only so", async () => {
    const account = await newConsumer(t, "fine");
    const meter = await newRoot(t, account);
    const quarters = Array.from({ length: 96 }, (_, i) => midnight + i * 900_000);
    await store(t, meter, { starts: quarters, values: quarters.map(() => 1), granularity: "15min" });
    const granularitiesOf = async (granularity: string | null) => {
      const { values } = await drain(t, "fine", await newStream(t, "fine", { granularity }));
      return Object.fromEntries(
        [...Map.groupBy(values, (one) => one.granularity)].map(([name, all]) => [name, all.length]),
      );
    };
    expect(await granularitiesOf("15min")).toEqual({ "15min": 96 });
    expect(await granularitiesOf("day")).toEqual({ day: 1 });
    expect(await granularitiesOf(null)).toEqual({ hour: 24, day: 1 });
    const { values } = await drain(t, "fine", await newStream(t, "fine", { granularity: "15min" }));
    expect(values.slice(0, 2).map((one) => [one.period, one.start])).toEqual([
      ["202501010000", "2024-12-31T23:00:00+0000"],
      ["202501010015", "2024-12-31T23:15:00+0000"],
    ]);
  });

  test.each([
    ["Europe/Stockholm", Date.UTC(2024, 9, 26, 22), 25],
    ["Europe/Stockholm", Date.UTC(2025, 2, 29, 23), 23],
    ["Australia/Lord_Howe", Date.UTC(2025, 3, 5, 13), 24],
    ["Asia/Kolkata", Date.UTC(2025, 3, 5, 18, 30), 24],
  ])(
    "periods of %s are those of the wall clock, and starts tell repeated hours apart",
    async (zone, from, hours) => {
      const name = `zone ${zone} ${from}`;
      const account = await newConsumer(t, name);
      const meter = await newRoot(t, account, zone);
      const { granuleLabel, granuleStarts } = await import("../platform/time/granule.ts");
      const starts = granuleStarts("hour", zone, { from, to: from + 25 * 3_600_000 }).slice(0, hours);
      await store(t, meter, { starts, values: starts.map((_, i) => i) });
      const { values } = await drain(t, name, await newStream(t, name, { granularity: "hour" }));
      expect(values.map((one) => [one.period, Date.parse(one.start.replace("+0000", "Z"))])).toEqual(
        starts.map((start) => [granuleLabel("hour", zone, start), start]),
      );
      const days = await drain(t, name, await newStream(t, name, { granularity: "day" }));
      for (const one of days.values) {
        expect(one.period).toBe(granuleLabel("day", zone, Date.parse(one.start.replace("+0000", "Z"))));
      }
    },
  );

  test("a long batch leaves in pieces that fit together, packed or not", async () => {
    const account = await newConsumer(t, "long");
    for (let i = 0; i < 2; i++) {
      const meter = await newRoot(t, account);
      await store(t, meter, {
        starts: hoursFrom(midnight, 6_000),
        values: Array.from({ length: 6_000 }, (_, n) => n / 8),
      });
    }
    const stream = await newStream(t, "long", { granularity: "hour" });
    const batch = await consume(t, "long", stream, { limit: 100_000 });
    expect(batch.records).toHaveLength(2);
    expect(valuesOf(batch).map((one) => one.value)).toEqual(
      Array.from({ length: 12_000 }, (_, n) => (n % 6_000) / 8),
    );
    const response = await t.server.inject({
      method: "POST",
      url: `/api/v2/streams/${stream}/consume`,
      headers: { authorization: "Bearer long", "accept-encoding": "gzip" },
    });
    expect(response.headers["content-encoding"]).toBe("gzip");
    expect(JSON.parse(gunzipSync(response.rawPayload).toString()).data).toEqual(batch);
  });

  test("a batch holds as many values as were asked for, also when a run of values is longer", async () => {
    const account = await newConsumer(t, "limits");
    const meter = await newRoot(t, account);
    const stream = await newStream(t, "limits", { granularity: "hour" });
    await consume(t, "limits", stream);
    await store(t, meter, {
      starts: hoursFrom(midnight, 50),
      values: Array.from({ length: 50 }, (_, i) => i),
    });
    const { batches, values } = await drain(t, "limits", stream, { limit: 7 });
    expect(batches.map((batch) => valuesOf(batch).length)).toEqual([7, 7, 7, 7, 7, 7, 7, 1]);
    expect(values.map((one) => one.value)).toEqual(Array.from({ length: 50 }, (_, i) => i));
    const again = await drain(t, "limits", stream, { offset: batches[1]!.offset, limit: 1000 });
    expect(again.values).toEqual(values.slice(14));
    const wide = await consume(t, "limits", await newStream(t, "limits", { granularity: "hour" }), {
      limit: 1e9,
    });
    expect(valuesOf(wide)).toHaveLength(50);
    for (const limit of [0, -1, 1.5, "x"]) {
      expect(
        (await t.call("POST", `/streams/${stream}/consume`, { token: "limits", body: { limit } })).json
          .errors,
      ).toHaveProperty("limit");
    }
  });
});

describe("offsets", () => {
  test("the greater one is committed; the same gives the same; one that was never issued is refused", async () => {
    const account = await newConsumer(t, "offsets");
    const meter = await newRoot(t, account);
    await store(t, meter, {
      starts: hoursFrom(midnight, 30),
      values: Array.from({ length: 30 }, (_, i) => i),
    });
    const stream = await newStream(t, "offsets", { granularity: "hour" });
    const other = await newStream(t, "offsets", { granularity: "hour" });
    t.clock.advance(1);
    const foreign = (await consume(t, "offsets", other, { limit: 5 })).offset!;
    const lastOffset = async () =>
      (await t.call("GET", `/streams/${stream}`, { token: "offsets" })).json.data.last_offset;
    t.clock.advance(1);
    const first = await consume(t, "offsets", stream, { limit: 10 });
    expect(await lastOffset()).toBe(null);
    expect(await consume(t, "offsets", stream, { limit: 20 })).toEqual(first);
    const second = await consume(t, "offsets", stream, { offset: first.offset, limit: 10 });
    expect(await lastOffset()).toBe(first.offset);
    expect(await consume(t, "offsets", stream, { limit: 1 })).toEqual(second);
    for (const offset of [
      foreign,
      second.offset! + 1,
      second.offset! + 1_000,
      2 ** 53 - 1,
      0,
      -1,
      1.5,
      "1",
      2 ** 63,
      true,
      [],
    ]) {
      const answer = await t.call("POST", `/streams/${stream}/consume`, {
        token: "offsets",
        body: { offset },
      });
      expect([answer.status, Object.keys(answer.json.errors ?? {})], String(offset)).toEqual([
        400,
        ["offset"],
      ]);
      const committed = await t.call("POST", `/streams/${stream}/commit`, {
        token: "offsets",
        body: { offset },
      });
      expect(committed.status).toBe(400);
    }
    expect(await lastOffset()).toBe(first.offset);
    const committed = await t.call("POST", `/streams/${stream}/commit`, {
      token: "offsets",
      body: { offset: second.offset },
    });
    expect(committed.json.data.last_offset).toBe(second.offset);
    expect(await consume(t, "offsets", stream, { offset: first.offset })).toEqual(second);
    expect(await lastOffset()).toBe(second.offset);
  });

  test("grow, also when the clock is set back by two hours", async () => {
    const account = await newConsumer(t, "clock");
    const meter = await newRoot(t, account);
    const stream = await newStream(t, "clock", { granularity: "hour" });
    let last: { offset: number; pushed: string } = { offset: 0, pushed: "" };
    const times = hoursFrom(midnight, 12);
    for (const [i, start] of times.entries()) {
      t.clock.advance(i === 6 ? -2 * 3_600_000 : 1_000);
      await store(t, meter, { starts: [start], values: [i] });
      const batch = await consume(t, "clock", stream, last.offset === 0 ? {} : { offset: last.offset });
      expect(valuesOf(batch).map((one) => one.value)).toEqual([i]);
      expect(batch.offset).toBeGreaterThan(last.offset);
      expect(valuesOf(batch)[0]!.pushed_at >= last.pushed).toBe(true);
      last = { offset: batch.offset!, pushed: valuesOf(batch)[0]!.pushed_at };
    }
    t.clock.advance(2 * 3_600_000);
  });
});

describe("what was purged", () => {
  test("of the log leads to the present values, never to a gap, removed ones included", async () => {
    const account = await newConsumer(t, "purged log");
    const meter = await newRoot(t, account);
    await store(t, meter, { starts: hoursFrom(midnight, 5), values: [1, 2, 3, 4, 5] });
    const stream = await newStream(t, "purged log", { granularity: "hour" });
    const before = await drain(t, "purged log", stream);
    t.clock.advance(1_000);
    await store(t, meter, { starts: hoursFrom(midnight, 2), values: [10, Number.NaN] });
    const lost = await consume(t, "purged log", stream, { offset: before.offset });
    expect(valuesOf(lost).map((one) => one.value)).toEqual([10, null]);
    expect(await purgePart(t.db, meter.part, t.clock.now() * 1000)).toBeGreaterThan(0);
    const again = await drain(t, "purged log", stream, { offset: before.offset });
    expect(again.values.map((one) => one.value)).toEqual([10, null, 3, 4, 5]);
    // What was given out after the purge, or up to it, is none of its business.
    const after = await drain(t, "purged log", stream, { offset: lost.offset });
    expect(after.values).toEqual([]);
  });

  test("of the batches: an old offset leads to the present values, and to what follows", async () => {
    const account = await newConsumer(t, "purged batches");
    const meter = await newRoot(t, account);
    await store(t, meter, { starts: hoursFrom(midnight, 5), values: [1, 2, 3, 4, 5] });
    const stream = await newStream(t, "purged batches", { granularity: "hour" });
    t.clock.advance(1_000);
    const first = await consume(t, "purged batches", stream, { limit: 2 });
    const rest = await drain(t, "purged batches", stream, { offset: first.offset, limit: 2 });
    t.clock.advance(31 * day);
    expect(await purgeBatches(t.deps)).toBeGreaterThan(0);
    const rows = await t.db.rows(sql`select from stream_batch where stream_id = ${stream}`);
    expect(rows).toHaveLength(1);
    const again = await drain(t, "purged batches", stream, { offset: first.offset });
    expect(again.values.map((one) => one.value)).toEqual([1, 2, 3, 4, 5]);
    expect(again.offset).toBeGreaterThan(rest.offset!);
    await store(t, meter, { starts: [midnight], values: [9] });
    expect(
      (await drain(t, "purged batches", stream, { offset: again.offset })).values.map((one) => one.value),
    ).toEqual([9]);
    expect(
      (await drain(t, "purged batches", stream, { offset: rest.offset })).values.map((one) => one.value),
    ).toEqual([9]);
  });

  test("and an account without values goes through it all the same", async () => {
    await newConsumer(t, "purged nothing");
    const stream = await newStream(t, "purged nothing");
    await t.db.run(sql`update stream set purged = ${t.clock.now() * 1000 + 5} where id = ${stream}`);
    const offset = t.clock.now() * 1000 + 1;
    expect(await consume(t, "purged nothing", stream, { offset })).toMatchObject({ offset, records: [] });
  });
});

describe("a reset", () => {
  test("to the start gives everything once more; to an instant, the changes since", async () => {
    const account = await newConsumer(t, "reset");
    const meter = await newRoot(t, account);
    await store(t, meter, { starts: hoursFrom(midnight, 3), values: [1, 2, 3] });
    const stream = await newStream(t, "reset", { granularity: "hour" });
    const first = await drain(t, "reset", stream);
    t.clock.advance(3_600_000);
    const since = new Date(t.clock.now()).toISOString();
    await store(t, meter, { starts: [midnight], values: [11] });
    const second = await drain(t, "reset", stream, { offset: first.offset });
    const reset = async (body?: object) => {
      const answer = await t.call("POST", `/streams/${stream}/reset`, { token: "reset", body });
      return answer.json.data.last_offset as number;
    };
    const toInstant = await reset({ from: since });
    expect(toInstant).toBeGreaterThan(second.offset!);
    expect((await drain(t, "reset", stream)).values.map((one) => one.value)).toEqual([11]);
    // A consumer that goes on with what it had comes to the same place.
    const behind = await drain(t, "reset", stream, { offset: second.offset });
    expect(behind.values.map((one) => one.value)).toEqual([11]);
    await reset();
    expect(
      (await drain(t, "reset", stream, { offset: first.offset })).values.map((one) => one.value),
    ).toEqual([11, 2, 3]);
    await purgePart(t.db, meter.part, t.clock.now() * 1000);
    await reset({ from: since });
    expect((await drain(t, "reset", stream)).values.map((one) => one.value)).toEqual([11, 2, 3]);
    const wrong = await t.call("POST", `/streams/${stream}/reset`, {
      token: "reset",
      body: { from: "yesterday" },
    });
    expect([wrong.status, Object.keys(wrong.json.errors)]).toEqual([400, ["from"]]);
  });
});

describe("lag", () => {
  test("is the age of the oldest change that was not confirmed", async () => {
    const account = await newConsumer(t, "lag");
    const meter = await newRoot(t, account);
    await store(t, meter, { starts: hoursFrom(midnight, 3), values: [1, 2, 3] });
    const stream = await newStream(t, "lag");
    const lag = async () => (await t.call("GET", `/streams/${stream}`, { token: "lag" })).json.data.lag;
    t.clock.advance(60_000);
    expect(await lag()).toEqual({ seconds: 60, entries: 0, history: true });
    const { offset } = await drain(t, "lag", stream);
    expect(await lag()).toEqual({ seconds: 0, entries: 0, history: false });
    await store(t, meter, { starts: [midnight], values: [5] });
    t.clock.advance(30_000);
    expect(await lag()).toEqual({ seconds: 30, entries: 1, history: false });
    const all = async () => (await streamTotals(t.db, t.clock.now()))[0]!;
    expect((await all()).streams).toBeGreaterThan(100);
    expect((await all()).oldestSeconds).toBeGreaterThanOrEqual(30);
    const batch = await consume(t, "lag", stream, { offset });
    expect((await lag()).seconds).toBe(30);
    await t.call("POST", `/streams/${stream}/commit`, { token: "lag", body: { offset: batch.offset } });
    expect(await lag()).toEqual({ seconds: 0, entries: 0, history: false });
  });

  test("of all streams together is that of the last one", async () => {
    const only = await testApi({ endpoints });
    const account = await newConsumer(only, "only");
    const meter = await newRoot(only, account);
    const lag = async () => (await streamTotals(only.db, only.clock.now()))[0];
    expect(await lag()).toEqual({ kind: "consumer", streams: 0, oldestSeconds: 0 });
    const [a, b] = [await newStream(only, "only"), await newStream(only, "only")];
    only.clock.advance(9_000);
    expect(await lag()).toEqual({ kind: "consumer", streams: 2, oldestSeconds: 9 });
    for (const stream of [a, b]) await drain(only, "only", stream);
    expect((await lag())!.oldestSeconds).toBe(0);
    await store(only, meter, { starts: [midnight], values: [1] });
    only.clock.advance(5_000);
    const { offset } = await drain(only, "only", a);
    await only.call("POST", `/streams/${a}/commit`, { token: "only", body: { offset } });
    expect((await lag())!.oldestSeconds).toBe(5);
    const rest = await drain(only, "only", b);
    await only.call("POST", `/streams/${b}/commit`, { token: "only", body: { offset: rest.offset } });
    expect((await lag())!.oldestSeconds).toBe(0);
    await only.close();
  });
});

describe("invoices", () => {
  test("have a stream of their own; it is empty without them", async () => {
    await newConsumer(t, "billed");
    const stream = await newStream(t, "billed", { resource: "invoices" });
    expect(await consume(t, "billed", stream)).toEqual({ offset: null, resource: "invoices", records: [] });
    const { lag } = (await t.call("GET", `/streams/${stream}`, { token: "billed" })).json.data;
    expect(lag).toEqual({ seconds: 0, entries: 0, history: false });
  });

  test("are written as the API shows them", () => {
    const batch = {
      offset: 5,
      resource: "invoices",
      runs: [],
      invoices: [{ a: 1 }, { b: 2 }],
      count: 2,
    } as const;
    const pieces = [
      ...batchPieces({ ...batch, runs: [], invoices: [...batch.invoices] }, { before: "", after: "" }),
    ];
    const data = JSON.parse(Buffer.concat(pieces).toString());
    expect(data).toEqual({ offset: 5, resource: "invoices", records: [{ a: 1 }, { b: 2 }] });
  });
});
