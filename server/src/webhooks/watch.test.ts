import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { newAccount, type TestAccount } from "../../../test/harness/accounts.ts";
import { newMeter, newMeters } from "../../../test/harness/meters.ts";
import { createMeters, type MadeMeter, removeMeters } from "../meters/meters.ts";
import { sql, type Tx } from "../platform/db.ts";
import { ingestIn } from "../series/series.ts";
import { openReceiver, type Receiver, type WebhookWorld, webhookWorld } from "./harness.ts";
import { watch } from "./jobs.ts";

let world: WebhookWorld;
let receiver: Receiver;
beforeAll(async () => {
  world = await webhookWorld();
});
afterAll(() => world.close());
beforeEach(async () => {
  receiver = await openReceiver();
  world.api.clock.advance(3_600_000);
  await look();
});
afterEach(async () => {
  await receiver.close();
  await world.api.db.run(sql`delete from webhook`);
});

const look = () => watch(world.api.deps, new AbortController().signal);
/** Payloads of a webhook, the oldest first. */
async function told(webhookId: string) {
  const rows = await world.api.db.rows<{ body: string }>(
    sql`select body from webhook_delivery where webhook_id = ${webhookId} order by id`,
  );
  return rows.map(({ body }) => JSON.parse(body));
}

let count = 0;
/** Stores hour values of meters from an instant on. */
async function ingest(tx: Tx, meters: MadeMeter[], values: number[], start: number): Promise<void> {
  const starts = values.map((_, n) => start + n * 3_600_000);
  const runs = meters.map((meter) => ({
    meter,
    metric: "energy",
    granularity: "hour" as const,
    starts,
    values,
  }));
  await ingestIn(
    tx,
    [{ document: { source: `test ${++count}`, version: count }, runs }],
    world.api.clock.now(),
  );
}

const store = (meter: MadeMeter, values: number[], start = Date.UTC(2026, 0, 10)): Promise<void> =>
  world.api.db.transaction((tx) => ingest(tx, [meter], values, start));

/** A second transaction that stays open until told. */
async function openTransaction(work: (tx: Tx) => Promise<unknown>) {
  const worked = Promise.withResolvers<void>();
  const commit = Promise.withResolvers<void>();
  const done = world.api.db.transaction(async (tx) => {
    await work(tx);
    worked.resolve();
    await commit.promise;
  });
  await Promise.race([worked.promise, done]);
  return async () => {
    commit.resolve();
    await done;
  };
}

const make = (holder: TestAccount) => (tx: Tx) =>
  createMeters(tx, { holderId: holder.id, now: world.api.clock.now(), actorId: null }, [
    { type: "electricity" },
  ]);

test("meters that were made and received are told once, in one event for many", async () => {
  const { api, ask, owner, stranger, webhook, watchAndSend, verify } = world;
  const { id, secret } = await webhook(receiver.url, ["meter.found"]);
  const made = await newMeters(api, owner, [{}, {}, {}]);
  const others = await newMeter(api, stranger);
  const [copy] = await ask(
    "POST",
    "/meters/many/share_with",
    [{ _id: others.id, holder: owner.id }],
    stranger.token,
  );
  await watchAndSend();
  await watchAndSend();
  expect(receiver.received).toHaveLength(1);
  const { type, data } = verify(receiver.received[0]!, secret);
  expect(type).toBe("meter.found");
  expect(data.account).toBe(owner.id);
  expect(data.meters.map(({ _id }: { _id: string }) => _id)).toEqual([
    ...made.map((meter) => meter.id),
    copy._id,
  ]);
  expect(data.meters[3]).toMatchObject({ root: others.id, type: "electricity" });
  expect(await told(id)).toHaveLength(1);
});

test("2,500 new meters are told in three events", async () => {
  const { api, owner, webhook } = world;
  const { id } = await webhook(receiver.url, ["meter.found"]);
  const made = await newMeters(
    api,
    owner,
    Array.from({ length: 2_500 }, () => ({})),
  );
  await look();
  const events = await told(id);
  expect(events.map(({ data }) => data.meters.length)).toEqual([1000, 1000, 500]);
  const named = events.flatMap(({ data }) => data.meters.map(({ _id }: { _id: string }) => _id));
  expect(new Set(named)).toEqual(new Set(made.map((meter) => meter.id)));
});

test("transactions that commit out of order: each meter is told once, and none is passed by", async () => {
  const { owner, webhook } = world;
  const { id } = await webhook(receiver.url, ["meter.found"]);
  const commitFirst = await openTransaction(make(owner));
  const commitSecond = await openTransaction(make(owner));
  await look();
  expect(await told(id)).toHaveLength(0);
  await commitSecond();
  await look();
  expect(await told(id)).toHaveLength(1);
  await commitFirst();
  await look();
  await look();
  const events = await told(id);
  expect(events).toHaveLength(2);
  expect(new Set(events.flatMap(({ data }) => data.meters.map(({ _id }: { _id: string }) => _id))).size).toBe(
    2,
  );
});

test("two that watch at once tell everything once", async () => {
  const { api, owner, webhook } = world;
  const { id } = await webhook(receiver.url, ["meter.found"]);
  await newMeters(
    api,
    owner,
    Array.from({ length: 3_000 }, () => ({})),
  );
  await Promise.all([look(), look(), look()]);
  const named = (await told(id)).flatMap(({ data }) => data.meters.map(({ _id }: { _id: string }) => _id));
  expect(named).toHaveLength(3_000);
  expect(new Set(named).size).toBe(3_000);
});

test("a meter that is revoked, deleted or erased with its root is told as lost, and never as found", async () => {
  const { api, ask, owner, stranger, webhook } = world;
  const { id } = await webhook(receiver.url, ["meter.found", "meter.revoked", "data.new"]);
  await look();
  const meters = await newMeters(api, stranger, [{}, {}, {}]);
  const copies = await ask(
    "POST",
    "/meters/many/share_with",
    meters.map((meter) => ({ _id: meter.id, holder: owner.id })),
    stranger.token,
  );
  const [revoked, erased, kept] = copies.map(({ _id }: { _id: string }) => _id);
  await ask("PUT", "/meters/many/revoke", [revoked], stranger.token);
  await look();
  await api.db.transaction((tx) => removeMeters(tx, [meters[1]!.id]));
  await look();
  const events = await told(id);
  expect(events.map(({ type, data }) => [type, data.meters.map(({ _id }: { _id: string }) => _id)])).toEqual([
    ["meter.found", [erased, kept]],
    ["meter.revoked", [revoked]],
    ["meter.revoked", [erased]],
  ]);
});

test("a meter that was revoked and shared again is told as found", async () => {
  const { api, ask, owner, stranger, webhook } = world;
  const { id } = await webhook(receiver.url, ["meter.found", "meter.revoked"]);
  const meter = await newMeter(api, stranger);
  const share = () =>
    ask("POST", "/meters/many/share_with", [{ _id: meter.id, holder: owner.id }], stranger.token);
  const [copy] = await share();
  await ask("PUT", "/meters/many/revoke", [copy._id], stranger.token);
  await share();
  await look();
  expect((await told(id)).map(({ type }) => type)).toEqual(["meter.found"]);
});

test("new and changed values are told with what changed, and at most every ten seconds", async () => {
  const { api, owner, webhook, watchAndSend, verify } = world;
  const before = await newMeter(api, owner, { timezone: "Europe/Stockholm" });
  await store(before, [1, 2, 3]);
  api.clock.advance(1000);
  const { id, secret } = await webhook(receiver.url, ["data.new"]);
  await look();
  expect(await told(id)).toEqual([]);
  await store(before, [5, 6], Date.UTC(2026, 0, 10, 2));
  await watchAndSend();
  const { type, data } = verify(receiver.received[0]!, secret);
  expect(type).toBe("data.new");
  expect(data).toEqual({
    account: owner.id,
    more: false,
    meters: [
      {
        _id: before.id,
        root: before.id,
        ean: expect.any(String),
        series: [
          {
            metric: "energy",
            currency: null,
            granularity: "hour",
            from: "2026-01-10T02:00:00+0000",
            to: "2026-01-10T04:00:00+0000",
            count: 2,
            updated: true,
          },
        ],
      },
    ],
  });
  const after = await newMeter(api, owner);
  await store(after, [1]);
  await store(after, [2], Date.UTC(2026, 0, 11));
  await look();
  expect(await told(id)).toHaveLength(1);
  api.clock.advance(10_000);
  await look();
  const [, second] = await told(id);
  expect(second.data.meters).toMatchObject([
    {
      _id: after.id,
      series: [{ from: "2026-01-10T00:00:00+0000", to: "2026-01-11T01:00:00+0000", count: 2 }],
    },
  ]);
  api.clock.advance(10_000);
  await look();
  expect(await told(id)).toHaveLength(2);
});

test("meters of others that were shared are told by the account's own reference, in whatever part they lie", async () => {
  const { api, ask, owner, webhook } = world;
  const { id } = await webhook(receiver.url, ["data.new"]);
  await look();
  const other = await newAccount(api.deps);
  const meter = await newMeter(api, other);
  await store(meter, [1]);
  api.clock.advance(3_600_000);
  const [copy] = await ask(
    "POST",
    "/meters/many/share_with",
    [{ _id: meter.id, holder: owner.id }],
    other.token,
  );
  await ask("POST", `/meters/${copy._id}`, { box: "active" });
  await store(meter, [2], Date.UTC(2026, 0, 12));
  await look();
  const events = await told(id);
  expect(events.map(({ data }) => data.meters)).toMatchObject([[{ _id: copy._id, root: meter.id }]]);
  expect(events[0].data.meters[0].series[0].from).toBe("2026-01-12T00:00:00+0000");
});

test("meters that the account may not read now are not named", async () => {
  const { api, ask, owner, stranger, webhook } = world;
  const { id } = await webhook(receiver.url, ["data.new"]);
  await look();
  const [mine, boxed, foreign, revoked] = [
    await newMeter(api, owner),
    await newMeter(api, owner, { box: "ignored" }),
    await newMeter(api, stranger),
    await newMeter(api, stranger),
  ];
  const [copy] = await ask(
    "POST",
    "/meters/many/share_with",
    [{ _id: revoked.id, holder: owner.id }],
    stranger.token,
  );
  await ask("POST", `/meters/${copy._id}`, { box: "active" });
  for (const meter of [mine, boxed, foreign, revoked]) await store(meter, [1]);
  await ask("PUT", "/meters/many/revoke", [copy._id], stranger.token);
  await look();
  const events = await told(id);
  expect(events.flatMap(({ data }) => data.meters.map(({ _id }: { _id: string }) => _id))).toEqual([mine.id]);
});

test("what changes while a webhook is paused is told when it is turned on, summed up", async () => {
  const { api, ask, owner, webhook } = world;
  const { id } = await webhook(receiver.url, ["data.new"]);
  await look();
  const meter = await newMeter(api, owner);
  await ask("PUT", `/webhooks/${id}`, { enabled: false });
  for (let day = 0; day < 3; day++) {
    await store(meter, [day], Date.UTC(2026, 0, 1 + day));
    api.clock.advance(60_000);
    await look();
  }
  expect(await told(id)).toEqual([]);
  await ask("PUT", `/webhooks/${id}`, { enabled: true });
  await look();
  const [event, ...others] = await told(id);
  expect(others).toEqual([]);
  expect(event.data.meters).toMatchObject([{ _id: meter.id, series: [{ count: 3, updated: false }] }]);
});

test("data.new that is asked for later begins then", async () => {
  const { api, ask, owner, webhook } = world;
  const meter = await newMeter(api, owner);
  const { id } = await webhook(receiver.url, ["meter.found"]);
  await store(meter, [1]);
  api.clock.advance(1000);
  await ask("PUT", `/webhooks/${id}`, { events: ["data.new"] });
  await look();
  await store(meter, [2], Date.UTC(2026, 0, 12));
  await look();
  const events = (await told(id)).filter(({ type }) => type === "data.new");
  expect(events.map(({ data }) => data.meters[0].series[0].from)).toEqual(["2026-01-12T00:00:00+0000"]);
  await ask("PUT", `/webhooks/${id}`, { events: ["meter.found"] });
  api.clock.advance(60_000);
  await store(meter, [3], Date.UTC(2026, 0, 13));
  await look();
  expect((await told(id)).filter(({ type }) => type === "data.new")).toHaveLength(1);
});

test("more than a thousand meters are told in several events, each meter in one", async () => {
  const { api, owner, webhook } = world;
  const { id } = await webhook(receiver.url, ["data.new"]);
  await look();
  const meters = await newMeters(
    api,
    owner,
    Array.from({ length: 1_200 }, () => ({})),
  );
  const start = Date.UTC(2026, 0, 10);
  await api.db.transaction((tx) => ingest(tx, meters, [1], start));
  for (let n = 0; n < 3; n++) {
    await look();
    api.clock.advance(10_000);
  }
  const events = await told(id);
  expect(events.map(({ data }) => [data.meters.length, data.more])).toEqual([
    [1000, true],
    [200, false],
  ]);
  const named = events.flatMap(({ data }) => data.meters.map(({ _id }: { _id: string }) => _id));
  expect(new Set(named).size).toBe(1_200);
});

test("values that are committed late are told late, and never passed by", async () => {
  const { api, owner, webhook } = world;
  const { id } = await webhook(receiver.url, ["data.new"]);
  await look();
  const meter = await newMeter(api, owner);
  const start = Date.UTC(2026, 0, 10);
  const commit = await openTransaction((tx) => ingest(tx, [meter], [1], start));
  const writing = store(meter, [2], start + 86_400_000);
  api.clock.advance(10_000);
  await look();
  expect(await told(id)).toEqual([]);
  await commit();
  await writing;
  await look();
  expect((await told(id)).map(({ data }) => data.meters[0].series[0].count)).toEqual([2]);
});

test("while a receiver fails, new data is told every five minutes only", async () => {
  const { api, owner, webhook, watchAndSend } = world;
  const { id } = await webhook(receiver.url, ["data.new"]);
  await look();
  receiver.answers(500);
  const meter = await newMeter(api, owner);
  for (let minute = 0; minute < 12; minute++) {
    await store(meter, [minute], Date.UTC(2026, 0, 5) + minute * 3_600_000);
    await watchAndSend();
    api.clock.advance(60_000);
  }
  expect(await told(id)).toHaveLength(3);
});
