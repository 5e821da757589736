import { afterAll, beforeAll, expect, test } from "vitest";
import { type InvoiceWorld, invoiceWorld } from "../../server/src/invoices/harness.ts";
import { type Cut, createStream, nextCut, type Resource } from "../../server/src/streams/streams.ts";
import { newMeter } from "../harness/meters.ts";

/** Invoices and their costs on the way from the upload to the consumer of a stream. */

let world: InvoiceWorld;
beforeAll(async () => {
  world = await invoiceWorld();
});
afterAll(() => world.close());

function make(accountId: string, resource: Resource) {
  const { api } = world;
  const options = { accountId, clientId: null, resource, granularity: null, now: api.clock.now() };
  return api.db.transaction((tx) => createStream(tx, options));
}

/** All batches from an offset on. */
async function drain(id: string, after: number | null, limit = 100): Promise<Cut[]> {
  const cuts: Cut[] = [];
  for (let from = after; ; ) {
    const cut = await nextCut(world.api.deps, { id }, { after: from, limit });
    if (cut === null) return cuts;
    cuts.push(cut);
    from = cut.offset;
  }
}

const numbersOf = (cuts: readonly Cut[]) =>
  cuts.flatMap((cut) =>
    (cut.invoices as { results: { invoice_number: string }[] }[]).map(
      (one) => one.results[0]?.invoice_number ?? null,
    ),
  );

const rows = [{ name: "Elnät abonnemang", amount: "100" }];

test("invoices come with their history, then as they change, also those of subaccounts, and as gone at last", async () => {
  const { api, owner, child, stranger } = world;
  for (const number of ["1", "2", "3"]) await world.settle({ number, rows });
  await world.settle({ number: "foreign", rows }, { token: stranger.token });
  const [gone] = [await world.settle({ number: "gone", rows })];
  const remove = (id: string) => api.call("DELETE", `/invoices/${id}`, { token: owner.token });
  expect((await remove(gone._id)).status).toBe(200);
  const stream = await make(owner.id, "invoices");
  const first = await drain(stream.id, null, 2);
  expect(first.map((cut) => cut.count)).toEqual([2, 1]);
  expect(numbersOf(first)).toEqual(["1", "2", "3"]);
  const last = first.at(-1)!.offset;
  api.clock.advance(5_000);
  const of = await world.settle({ number: "of child", rows }, { token: child.token });
  const second = await drain(stream.id, last);
  expect(numbersOf(second)).toEqual(["of child"]);
  const shown = (await api.call("GET", `/invoices/${of._id}`, { token: child.token })).json.data;
  expect(second[0]!.invoices).toEqual([shown]);
  // The same offset finds the same invoices, although there are more by now, as they are now.
  await world.settle({ number: "later", rows });
  expect(numbersOf([(await nextCut(api.deps, stream, { after: second[0]!.offset, limit: 1 }))!])).toEqual([
    "later",
  ]);
  expect(numbersOf([(await nextCut(api.deps, stream, { after: first[0]!.offset, limit: 100 }))!])).toEqual([
    "3",
  ]);
  await remove((first[0]!.invoices[0] as { _id: string })._id);
  const third = await drain(stream.id, second[0]!.offset);
  expect(third.flatMap((cut) => cut.invoices).at(-1)).toEqual({
    _id: (first[0]!.invoices[0] as { _id: string })._id,
    status: "deleted",
    results: [],
  });
});

test("the costs of an invoice come in the stream of values, with their currency, and go with it", async () => {
  const { api, owner } = world;
  const { id } = await newMeter(api, owner, { ean: "735999000", timezone: "Europe/Stockholm" });
  const stream = await make(owner.id, "consumption");
  const before = await drain(stream.id, null);
  const invoice = await world.settle({
    number: "costly",
    ean: "735999000",
    period: ["2025-05-01", "2025-05-31"],
    rows,
  });
  const costs = await drain(stream.id, before.at(-1)?.offset ?? null);
  const runs = costs.flatMap((cut) => cut.runs).filter((run) => run.meterId === id);
  expect(
    runs.map((run) => [run.metric, run.currency, run.granularity, [...run.values], run.updated]),
  ).toEqual(expect.arrayContaining([["cost_grid_subscription", "SEK", "month", [100], false]]));
  await api.call("DELETE", `/invoices/${invoice._id}`, { token: owner.token });
  await world.work();
  const gone = (await drain(stream.id, costs.at(-1)!.offset)).flatMap((cut) => cut.runs);
  expect(gone.map((run) => [run.metric, run.updated])).toEqual(
    expect.arrayContaining([["cost_grid_subscription", true]]),
  );
  expect(gone.every((run) => run.values.every(Number.isNaN))).toBe(true);
});
