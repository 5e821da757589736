import { afterAll, beforeAll, expect, test } from "vitest";
import { newAccount } from "../../../test/harness/accounts.ts";
import { type TestApi, testApi } from "../../../test/harness/api.ts";
import { endpoints } from "../app.ts";
import type { RootMeter } from "../series/series.ts";
import {
  type Batch,
  consume,
  drain,
  hoursFrom,
  newConsumer,
  newRoot,
  newStream,
  store,
  valuesOf,
} from "./harness.ts";

/** Which meters a stream carries, as they come and go. */

let t: TestApi;
beforeAll(async () => {
  t = await testApi({ endpoints });
});
afterAll(() => t.close());

const midnight = Date.UTC(2024, 11, 31, 23);
const write = (meter: RootMeter, values: number[]) =>
  store(t, meter, { starts: hoursFrom(midnight, values.length), values });
const move = (token: string, meter: string, box: string) =>
  t.call("PUT", `/meters/${meter}`, { token, body: { box } });
const numbersOf = (batch: Batch) => valuesOf(batch).map((one) => one.value);

async function shareTo(from: string, meter: string, to: { id: string; token: string }): Promise<string> {
  const answer = await t.call("POST", "/meters/many/share_with", {
    token: from,
    body: [{ _id: meter, holder: to.id }],
  });
  const copy = answer.json.data[0]._id;
  await move(to.token, copy, "active");
  return copy;
}
const revoke = (token: string, copy: string) => t.call("PUT", "/meters/many/revoke", { token, body: [copy] });

async function consumer(name: string): Promise<{ id: string; token: string }> {
  return { id: (await newConsumer(t, name)).id, token: name };
}

test("a meter that leaves active stops at once, and brings its history when it comes back", async () => {
  const account = await newConsumer(t, "mover");
  const meter = await newRoot(t, account);
  await write(meter, [1, 2]);
  const stream = await newStream(t, "mover", { granularity: "hour" });
  let { offset } = await drain(t, "mover", stream);
  await move("mover", meter.id, "inbox");
  await write(meter, [1, 3]);
  expect((await drain(t, "mover", stream, { offset })).values).toEqual([]);
  await move("mover", meter.id, "active");
  const back = await drain(t, "mover", stream, { offset });
  expect(back.values.map((one) => one.value)).toEqual([1, 3]);
  offset = back.offset;
  // Out and in again between two looks.
  await move("mover", meter.id, "ignored");
  await move("mover", meter.id, "active");
  expect((await drain(t, "mover", stream, { offset })).values.map((one) => one.value)).toEqual([1, 3]);
});

test("revoked: nothing more, also not of a batch that is given again; shared again: its history", async () => {
  const friend = await consumer("friend");
  const own = await consumer("own");
  const shared = await newRoot(t, friend);
  const mine = await newRoot(t, own);
  await write(shared, [1, 2]);
  await write(mine, [10, 20]);
  const copy = await shareTo("friend", shared.id, own);
  const stream = await newStream(t, "own", { granularity: "hour" });
  const first = await consume(t, "own", stream);
  expect(first.records.map((record) => record.meter._id).sort()).toEqual([copy, mine.id].sort());
  await revoke("friend", copy);
  const again = await consume(t, "own", stream);
  expect([again.offset, numbersOf(again)]).toEqual([first.offset, [10, 20]]);
  await write(shared, [5, 6]);
  expect((await consume(t, "own", stream, { offset: first.offset })).records).toEqual([]);
  await shareTo("friend", shared.id, own);
  const back = await consume(t, "own", stream, { offset: first.offset });
  expect(numbersOf(back)).toEqual([5, 6]);
});

test("a batch that holds only what may no longer be read is passed over", async () => {
  const account = await newConsumer(t, "passed");
  const [a, b] = [await newRoot(t, account), await newRoot(t, account)];
  const stream = await newStream(t, "passed", { granularity: "hour" });
  const start = await drain(t, "passed", stream);
  await write(a, [1]);
  const first = await consume(t, "passed", stream, { offset: start.offset });
  await write(b, [2]);
  await consume(t, "passed", stream, { offset: first.offset });
  await move("passed", a.id, "inbox");
  expect(numbersOf(await consume(t, "passed", stream, { offset: start.offset }))).toEqual([2]);
});

test("one record of a meter that came from two, by the reference nearest to its root; it stays while one of them does", async () => {
  const owner = await consumer("owner of one");
  const middle = await consumer("middle");
  const reader = await consumer("reader of one");
  const meter = await newRoot(t, owner);
  await write(meter, [1]);
  const far = await shareTo("middle", await shareTo("owner of one", meter.id, middle), reader);
  const stream = await newStream(t, reader.token, { granularity: "hour" });
  const one = await drain(t, reader.token, stream);
  expect(one.batches[0]!.records.map((record) => record.meter._id)).toEqual([far]);
  const near = await shareTo("owner of one", meter.id, reader);
  await write(meter, [2]);
  const two = await drain(t, reader.token, stream, { offset: one.offset });
  expect(two.batches.flatMap((batch) => batch.records.map((record) => record.meter._id))).toEqual([near]);
  expect(two.values.at(-1)!.value).toBe(2);
  await revoke("owner of one", near);
  await write(meter, [3]);
  const three = await drain(t, reader.token, stream, { offset: two.offset });
  expect(three.values.at(-1)!.value).toBe(3);
  expect(new Set(three.batches.flatMap((batch) => batch.records.map((record) => record.meter._id)))).toEqual(
    new Set([far]),
  );
});

test("the meters of a subaccount are in its manager's stream, and in its own", async () => {
  const manager = await newConsumer(t, "manager");
  const sub = await newAccount(t.deps, { managerId: manager.id });
  t.addCaller("sub", { accountId: sub.id });
  const meter = await newRoot(t, sub);
  await write(meter, [4]);
  for (const token of ["manager", "sub"]) {
    const { values } = await drain(t, token, await newStream(t, token, { granularity: "hour" }));
    expect(values.map((one) => one.value)).toEqual([4]);
  }
});

test("a deleted meter is gone, and so are its entries", async () => {
  const account = await newConsumer(t, "eraser");
  const [a, b] = [await newRoot(t, account), await newRoot(t, account)];
  const stream = await newStream(t, "eraser", { granularity: "hour" });
  await drain(t, "eraser", stream);
  await write(a, [1]);
  await write(b, [2]);
  const gone = await t.call("DELETE", `/meters/${a.id}`, { token: "eraser" });
  expect(gone.status).toBe(200);
  expect((await drain(t, "eraser", stream)).values.map((one) => one.value)).toEqual([2]);
});

test("a new meter with much history does not keep the changes of the others waiting", async () => {
  const account = await newConsumer(t, "fair");
  const old = await newRoot(t, account);
  const stream = await newStream(t, "fair", { granularity: "hour" });
  const { offset } = await drain(t, "fair", stream);
  const late = await newRoot(t, account);
  await write(
    late,
    Array.from({ length: 600 }, (_, i) => i),
  );
  await move("fair", late.id, "inbox");
  await drain(t, "fair", stream, { offset });
  await move("fair", late.id, "active");
  await write(
    old,
    Array.from({ length: 20 }, (_, i) => 1_000 + i),
  );
  const batch = await consume(t, "fair", stream, { offset, limit: 50 });
  const [changes, history] = [
    numbersOf(batch).filter((n) => n! >= 1_000),
    numbersOf(batch).filter((n) => n! < 1_000),
  ];
  expect([changes.length, history.length]).toEqual([20, 30]);
});

test("values that were imported with their meter are given out once", async () => {
  const account = await newConsumer(t, "once");
  const stream = await newStream(t, "once", { granularity: "hour" });
  const { offset } = await drain(t, "once", stream);
  const meter = await newRoot(t, account);
  await write(
    meter,
    Array.from({ length: 100 }, (_, i) => i),
  );
  const { values } = await drain(t, "once", stream, { offset, limit: 30 });
  expect(values.map((one) => one.value)).toEqual(Array.from({ length: 100 }, (_, i) => i));
});
