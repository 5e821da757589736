import { afterAll, beforeAll, expect, test } from "vitest";
import { sql } from "../platform/db.ts";
import { type InvoiceDocument, ProviderFailure } from "./connector.ts";
import { type CollectionWorld, collectionWorld } from "./harness.ts";

let world: CollectionWorld;
/** What the provider shows. */
let shown: InvoiceDocument[];
let fetched: string[];
let failAfter: (() => Error) | undefined;

beforeAll(async () => {
  world = await collectionWorld({
    async *invoices(_visit, isStored) {
      for (const document of shown) {
        if (await isStored(document.key)) continue;
        fetched.push(document.key);
        yield document;
      }
      if (failAfter !== undefined) throw failAfter();
    },
  });
});
afterAll(() => world.close());

const document = (key: string): InvoiceDocument => ({
  key,
  fileName: `${key}.xml`,
  content: Buffer.from(`invoice ${key}`),
});

async function collected(): Promise<string> {
  shown = [];
  fetched = [];
  failAfter = undefined;
  const { _id } = await world.connect();
  await world.run();
  return _id;
}

async function runAgain(id: string) {
  await world.ask("POST", `/connections/${id}/run`);
  await world.run();
  return (await world.ask("GET", `/connections/${id}/runs?sort=-began`))[0];
}

const names = async () =>
  (await world.ask("GET", "/invoices")).map((each: { file: { name: string } }) => each.file.name).sort();

test("invoices come once each, and are no part of the first run", async () => {
  shown = [document("2026-1"), document("2026-2")];
  fetched = [];
  const { _id } = await world.connect();
  await world.run();
  expect(fetched).toEqual([]);
  expect((await runAgain(_id)).counts).toMatchObject({ invoices: 2 });
  expect(await names()).toEqual(["2026-1.xml", "2026-2.xml"]);
  const [first] = await world.ask("GET", "/invoices?sort=created");
  expect(first).toMatchObject({ status: "pending", account: { _id: world.owner.id } });
  expect(world.api.sentJobs.length).toBe(2);

  shown.push(document("2026-3"));
  expect((await runAgain(_id)).counts).toMatchObject({ invoices: 1 });
  expect(fetched).toEqual(["2026-1", "2026-2", "2026-3"]);

  // One that somebody has deleted does not come back.
  await world.ask("DELETE", `/invoices/${first._id}`);
  await runAgain(_id);
  expect(await names()).toEqual(["2026-2.xml", "2026-3.xml"]);

  // The same documents by another connection are the same invoices, and stay when it is deleted with its data.
  const second = (await world.connect())._id;
  await world.run();
  shown = [document("2026-2"), document("2026-4")];
  expect((await runAgain(second)).counts).toMatchObject({ invoices: 1 });
  await world.ask("DELETE", `/connections/${second}?data=delete`);
  await world.run();
  expect(await names()).toEqual(["2026-2.xml", "2026-3.xml"]);
  await world.ask("DELETE", `/connections/${_id}?data=delete`);
  await world.run();
  expect(await names()).toEqual([]);
});

test("what came before a failure or a kill is kept, and comes once", async () => {
  const id = await collected();
  shown = [document("k-1"), document("k-2")];
  failAfter = () => new ProviderFailure("unreachable", "gone");
  expect(await runAgain(id)).toMatchObject({ outcome: "failed", failure: "unreachable" });
  shown.push(document("k-3"));
  failAfter = () => Object.assign(new Error("killed"), { code: "57P01" });
  await world.api.db.run(sql`update provider_state set closed_until = null, failures = 0`);
  expect(await runAgain(id)).toMatchObject({ outcome: "interrupted" });
  failAfter = undefined;
  world.api.clock.advance(86_400_000);
  await world.run();
  expect(fetched).toEqual(["k-1", "k-2", "k-3"]);
  expect(await names()).toEqual(["k-1.xml", "k-2.xml", "k-3.xml"]);
  expect(await world.ask("GET", `/connections/${id}`)).toMatchObject({ state: "collecting" });
});

test("something without content or with an endless key is no invoice: nothing of it is kept", async () => {
  const id = await collected();
  const before = await names();
  shown = [{ ...document("empty"), content: new Uint8Array() }];
  expect(await runAgain(id)).toMatchObject({ outcome: "failed", failure: "changed" });
  shown = [document("x".repeat(201))];
  expect(await runAgain(id)).toMatchObject({ failure: "changed" });
  expect(await names()).toEqual(before);
});
