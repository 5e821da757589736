import type { AddressInfo } from "node:net";
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type TestApi, testApi } from "../../../test/harness/api.ts";
import { endpoints } from "../app.ts";
import { sql } from "../platform/db.ts";
import type { RootMeter } from "../series/series.ts";
import {
  type Batch,
  consume,
  hoursFrom,
  newConsumer,
  newRoot,
  newStream,
  store,
  valuesOf,
} from "./harness.ts";
import { nextCut } from "./streams.ts";

/** Consumers that wait, over real connections. */

let t: TestApi;
let base: string;
beforeAll(async () => {
  t = await testApi({ endpoints });
  await t.server.listen({ port: 0, host: "127.0.0.1" });
  base = `http://127.0.0.1:${(t.server.server.address() as AddressInfo).port}/api/v2`;
});
afterAll(() => t.close());

const midnight = Date.UTC(2024, 11, 31, 23);

interface Setting {
  token: string;
  accountId: string;
  meter: RootMeter;
  stream: string;
  write(...values: number[]): Promise<void>;
  ask(path: string, init?: RequestInit): Promise<Response>;
}

let settings = 0;

/** An account with a meter without values and a stream of its hours. */
async function setting(): Promise<Setting> {
  const token = `waiter${++settings}`;
  const account = await newConsumer(t, token);
  const meter = await newRoot(t, account);
  const stream = await newStream(t, token, { granularity: "hour" });
  return {
    token,
    accountId: account.id,
    meter,
    stream,
    write: (...values) => store(t, meter, { starts: hoursFrom(midnight, values.length), values }),
    ask: (path, init) =>
      fetch(`${base}/streams/${stream}${path}`, {
        ...init,
        headers: { authorization: `Bearer ${token}`, ...init?.headers },
      }),
  };
}

async function* eventsOf(response: Response): AsyncGenerator<EventSourceMessage> {
  const found: EventSourceMessage[] = [];
  const parser = createParser({ onEvent: (event) => void found.push(event) });
  const decoder = new TextDecoder();
  for await (const chunk of response.body!) {
    parser.feed(decoder.decode(chunk, { stream: true }));
    while (found.length > 0) yield found.shift()!;
  }
}

const isFree = async (stream: string) =>
  (await t.db.one<{ free: boolean }>(sql`select lease is null as free from stream where id = ${stream}`))
    .free;
const isTaken = (stream: string) => vi.waitUntil(async () => !(await isFree(stream)), { timeout: 10_000 });
const numbersOf = (batch: Batch) => valuesOf(batch).map((one) => one.value);

describe("a long poll", () => {
  test("ends with the first change", async () => {
    const { ask, write, stream } = await setting();
    const waiting = ask("/consume?wait=50", { method: "POST" });
    await isTaken(stream);
    await write(5);
    const answer = (await (await waiting).json()) as { data: Batch };
    expect(numbersOf(answer.data)).toEqual([5]);
  });

  test("ends when a meter with history comes", async () => {
    const { ask, write, token, meter, stream } = await setting();
    const put = (box: string) => t.call("PUT", `/meters/${meter.id}`, { token, body: { box } });
    await put("inbox");
    await write(6);
    const waiting = ask("/consume?wait=50", { method: "POST" });
    await isTaken(stream);
    await put("active");
    expect(numbersOf(((await (await waiting).json()) as { data: Batch }).data)).toEqual([6]);
  });

  test("ends empty after the time that it was given", async () => {
    const { ask } = await setting();
    const answer = await ask("/consume", { method: "POST", body: JSON.stringify({ wait: 1 }) });
    expect(((await answer.json()) as { data: Batch }).data).toEqual({
      offset: null,
      resource: "consumption",
      records: [],
    });
    expect((await ask("/consume?wait=61", { method: "POST" })).status).toBe(400);
  });

  test("gives the stream free when the client goes away", async () => {
    const { ask, stream } = await setting();
    const client = new AbortController();
    const waiting = ask("/consume?wait=50", { method: "POST", signal: client.signal });
    await isTaken(stream);
    client.abort();
    await expect(waiting).rejects.toThrow();
    await vi.waitUntil(() => isFree(stream), { timeout: 10_000 });
  });
});

describe("one consumer at a time", () => {
  test("the second is told when to come again, and the door throws the same", async () => {
    const { ask, stream } = await setting();
    await t.db.run(
      sql`update stream set lease = 'dead', lease_until = now() + interval '5 s' where id = ${stream}`,
    );
    const second = await ask("/consume", { method: "POST" });
    expect([second.status, second.headers.get("retry-after")]).toEqual([429, "5"]);
    expect((await ask("/events")).status).toBe(429);
    expect((await ask("/reset", { method: "POST" })).status).toBe(429);
    await expect(nextCut(t.deps, { id: stream }, { after: null, limit: 1 })).rejects.toMatchObject({
      status: 429,
    });
    // It was killed: its time runs out.
    await t.db.run(sql`update stream set lease_until = now() - interval '1 ms' where id = ${stream}`);
    expect((await ask("/consume", { method: "POST" })).status).toBe(200);
  });
});

describe("events", () => {
  test("come as they happen, with the offset as their id; the last one is confirmed by connecting again", async () => {
    const { ask, write, token, stream } = await setting();
    await write(1, 2);
    const client = new AbortController();
    const response = await ask("/events", {
      signal: client.signal,
      headers: { "accept-encoding": "gzip, br" },
    });
    expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    expect(response.headers.get("content-encoding")).toBe(null);
    const events = eventsOf(response);
    const next = async () => (await events.next()).value as EventSourceMessage;
    const first = await next();
    expect(numbersOf(JSON.parse(first.data))).toEqual([1, 2]);
    await write(1, 3);
    const second = await next();
    expect(numbersOf(JSON.parse(second.data))).toEqual([3]);
    expect(Number(second.id)).toBe(JSON.parse(second.data).offset);
    client.abort();
    await vi.waitUntil(() => isFree(stream), { timeout: 10_000 });
    expect((await t.call("GET", `/streams/${stream}`, { token })).json.data.last_offset).toBe(null);
    const again = await ask("/events?wait=0", { headers: { "Last-Event-ID": first.id! } });
    const rest: EventSourceMessage[] = [];
    for await (const event of eventsOf(again)) rest.push(event);
    expect(rest).toEqual([second]);
    expect((await t.call("GET", `/streams/${stream}`, { token })).json.data.last_offset).toBe(
      Number(first.id),
    );
  });

  test("as JSON Lines, one batch a line, until nothing is left", async () => {
    const { ask, write } = await setting();
    await write(1, 2, 3);
    const response = await ask("/events?wait=0&limit=2", { headers: { accept: "application/x-ndjson" } });
    expect(response.headers.get("content-type")).toBe("application/x-ndjson");
    const lines = (await response.text()).split("\n").filter((line) => line !== "");
    expect(lines.map((line) => numbersOf(JSON.parse(line)))).toEqual([[1, 2], [3]]);
    const last = JSON.parse(lines.at(-1)!).offset;
    expect(await (await ask(`/events?wait=0&offset=${last}`)).text()).toBe("retry: 2000\n\n");
    for (const [query, id] of [
      ["?offset=5", ""],
      ["", "x"],
      ["", "99"],
      ["", "9".repeat(16)],
    ]) {
      const refused = await ask(`/events${query}`, { headers: id === "" ? {} : { "Last-Event-ID": id! } });
      expect(refused.status).toBe(400);
    }
  });

  test("end when the right to them ends, without the value that came after", async () => {
    const { ask, write, accountId, token, stream } = await setting();
    const response = await ask("/events");
    const events = eventsOf(response);
    await write(1);
    expect(numbersOf(JSON.parse(((await events.next()).value as EventSourceMessage).data))).toEqual([1]);
    t.addCaller(token, { accountId, scopes: new Set() });
    await write(2);
    const end = (await events.next()).value as EventSourceMessage;
    expect([end.event, JSON.parse(end.data).code]).toEqual(["end", 403]);
    expect((await events.next()).done).toBe(true);
    await vi.waitUntil(() => isFree(stream), { timeout: 10_000 });
  });

  test("end, as long polls do, when the server stops", async () => {
    const other = await testApi({ endpoints });
    await other.server.listen({ port: 0, host: "127.0.0.1" });
    const url = `http://127.0.0.1:${(other.server.server.address() as AddressInfo).port}/api/v2/streams`;
    await newConsumer(other, "stopped");
    const streams = [await newStream(other, "stopped"), await newStream(other, "stopped")];
    const headers = { authorization: "Bearer stopped" };
    const pushed = await fetch(`${url}/${streams[0]}/events`, { headers });
    const polled = fetch(`${url}/${streams[1]}/consume?wait=60`, { method: "POST", headers });
    const held = () => other.db.rows(sql`select from stream where lease is not null`);
    await vi.waitUntil(async () => (await held()).length === 2, { timeout: 10_000 });
    const closing = other.close();
    expect(await pushed.text()).toBe("retry: 2000\n\n");
    expect((await polled).status).toBe(200);
    await closing;
  });

  test("end when the stream is deleted", async () => {
    const { ask, stream, token } = await setting();
    const events = eventsOf(await ask("/events"));
    await t.call("DELETE", `/streams/${stream}`, { token });
    const end = (await events.next()).value as EventSourceMessage;
    expect([end.event, JSON.parse(end.data).code]).toEqual(["end", 404]);
  });
});

test("8 writers on several parts and a consumer that is killed again and again: nothing is lost", async () => {
  const token = "storm";
  const account = await newConsumer(t, token);
  const meters: RootMeter[] = [];
  for (let i = 0; i < 4; i++) {
    const friend = await newConsumer(t, `storm friend ${i}`);
    const meter = await newRoot(t, friend);
    const shared = await t.call("POST", "/meters/many/share_with", {
      token: `storm friend ${i}`,
      body: [{ _id: meter.id, holder: account.id }],
    });
    await t.call("PUT", `/meters/${shared.json.data[0]._id}`, { token, body: { box: "active" } });
    meters.push(meter, await newRoot(t, account));
  }
  expect(new Set(meters.map((meter) => meter.part)).size).toBe(5);
  const stream = await newStream(t, token, { granularity: "hour" });
  let writing = true;
  const writer = async (number: number) => {
    for (let i = 0; i < 40; i++) {
      const meter = meters[(number * 3 + i) % meters.length]!;
      await store(t, meter, {
        starts: hoursFrom(midnight + ((i % 20) * 3 + (number % 3)) * 3_600_000, 2),
        values: [number * 1e6 + i, i],
      });
    }
  };
  const held = new Map<string, number | null>();
  let [offset, last]: [number | null, number] = [null, 0];
  const reader = async () => {
    for (let i = 0, done = false; !done; i++) {
      done = !writing;
      for (;;) {
        const batch = await consume(t, token, stream, { offset, limit: 1 + (i % 37) });
        if (batch.records.length === 0) break;
        done = false;
        for (const { meter, values } of batch.records)
          for (const one of values) held.set(`${meter.root_id}/${one.start}`, one.value);
        // Every third time it dies before it keeps the offset.
        if (i++ % 3 === 0) continue;
        expect(batch.offset).toBeGreaterThan(last);
        offset = last = batch.offset!;
      }
    }
  };
  const reading = reader();
  await Promise.all(Array.from({ length: 8 }, (_, number) => writer(number)));
  writing = false;
  await reading;
  for (const meter of meters) {
    const answer = await t.call("GET", `/consumptions/${meter.id}/hour/20250101-20250103`, { token });
    const values = answer.json.data[0].periods[0].energy as (number | null)[];
    const got = hoursFrom(midnight, values.length).map(
      (at) => held.get(`${meter.id}/${new Date(at).toISOString().replace(".000Z", "+0000")}`) ?? null,
    );
    expect(got).toEqual(values);
  }
}, 60_000);
