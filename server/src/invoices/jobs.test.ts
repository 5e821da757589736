import { existsSync, utimesSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newAccount } from "../../../test/harness/accounts.ts";
import { newMeter } from "../../../test/harness/meters.ts";
import type { Db } from "../platform/db.ts";
import { newId } from "../platform/id.ts";
import { type InvoiceWorld, invoiceWorld, ubl } from "./harness.ts";
import { changedInvoices, invoiceJobs } from "./invoices.ts";

let world: InvoiceWorld;
beforeAll(async () => {
  world = await invoiceWorld({ uploadBytesMax: 5_000_000 });
});
afterAll(() => world.close());

const january: [string, string] = ["2025-01-01", "2025-01-31"];
const readJob = invoiceJobs.find(({ name }) => name === "read-invoice")!;
const document = (ean: string, amount = "10.00") => ({
  number: `n${ean}`,
  ean,
  period: january,
  rows: [{ name: "Elnät elöverföring", amount }],
});

describe("a run that is killed", () => {
  /** The database, whose next transactions do their work and are then lost. */
  function losing(db: Db, times: number): Db {
    let left = times;
    return {
      ...db,
      transaction: (work) =>
        db.transaction(async (tx) => {
          const result = await work(tx);
          if (left-- > 0) throw new Error("killed");
          return result;
        }),
    };
  }

  test("has stored nothing, and the next one stores all of it once", async () => {
    const { id } = await newMeter(world.api, world.owner, { ean: "735401" });
    const answer = await world.upload([{ file: "a.xml", content: ubl(document("735401")) }]);
    const [{ _id }] = answer.json.data;
    const data = world.api.sentJobs.pop()!.data;
    const signal = new AbortController().signal;
    const deps = { ...world.api.deps, db: losing(world.api.db, 2) };
    for (let i = 0; i < 2; i++) {
      await expect(readJob.run(data, deps, signal)).rejects.toThrow("killed");
      expect((await world.get(`/invoices/${_id}`)).json.data).toMatchObject({
        status: "processing",
        results: [],
      });
      expect(await world.costs(id, "grid_usage", "202501")).toEqual([null]);
    }
    await readJob.run(data, deps, signal);
    await readJob.run(data, deps, signal);
    expect((await world.get(`/invoices/${_id}`)).json.data).toMatchObject({ status: "completed" });
    expect(await world.costs(id, "grid_usage", "202501")).toEqual([10]);
  });

  test("again and again ends the invoice with a reason that says nothing about the inside", async () => {
    const answer = await world.upload([{ file: "b.xml", content: ubl(document("735402")) }]);
    const data = world.api.sentJobs.pop()!.data;
    const deps = { ...world.api.deps, db: losing(world.api.db, 5) };
    const signal = new AbortController().signal;
    for (let i = 0; i < 4; i++) await expect(readJob.run(data, deps, signal)).rejects.toThrow("killed");
    await readJob.run(data, deps, signal);
    expect((await world.get(`/invoices/${answer.json.data[0]._id}`)).json.data).toMatchObject({
      status: "failed",
      reason: { message: "A fault of the server kept the invoice from being read. Its log says more." },
    });
  });

  test("by the end of the server is left to the next one", async () => {
    const answer = await world.upload([{ file: "c.xml", content: ubl(document("735403")) }]);
    const data = world.api.sentJobs.pop()!.data;
    const stopped = AbortSignal.abort(new Error("the server stops"));
    await expect(readJob.run(data, world.api.deps, stopped)).rejects.toThrow("the server stops");
    await readJob.run(data, world.api.deps, new AbortController().signal);
    const { data: invoice } = (await world.get(`/invoices/${answer.json.data[0]._id}`)).json;
    expect(invoice).toMatchObject({ status: "completed" });
  });

  test("that reads a completed invoice again, and cannot, takes its costs back", async () => {
    const { id } = await newMeter(world.api, world.owner, { ean: "735405" });
    const { _id } = await world.settle(document("735405"));
    await rm(join(world.dataDir, "invoices", _id));
    world.api.clock.advance(1000);
    await world.api.call("POST", `/invoices/${_id}/retry`, { token: world.owner.token });
    expect(await world.costs(id, "grid_usage", "202501")).toEqual([10]);
    await world.work();
    expect(await world.costs(id, "grid_usage", "202501")).toEqual([null]);
    const told = await changedInvoices(world.api.db, {
      accountIds: [world.owner.id],
      after: 0,
      upTo: 2 ** 53,
      limit: 1000,
    });
    expect(told.at(-1)!.invoice).toMatchObject({ _id, status: "failed", results: [] });
  });

  test("whose document is gone says so, and another upload of it mends it", async () => {
    const content = ubl(document("735404"));
    const answer = await world.upload([{ file: "d.xml", content }]);
    const [{ _id }] = answer.json.data;
    await rm(join(world.dataDir, "invoices", _id));
    await world.work();
    expect((await world.get(`/invoices/${_id}`)).json.data).toMatchObject({
      status: "failed",
      reason: { message: "The document is gone. Upload it again." },
    });
    expect((await world.get(`/invoices/${_id}/file`)).status).toBe(409);
    const mended = await world.settle(content);
    expect(mended).toMatchObject({ _id, status: "completed" });
  });
});

describe("what is no invoice", () => {
  const bomb = gzipSync(Buffer.alloc(20_000_000));
  const entities = `<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "${"c".repeat(100)}">]><Invoice xmlns="urn:oasis:names:specification:ubl:schema:xsd:Invoice-2">&b;</Invoice>`;
  const deep = `<Invoice xmlns="urn:oasis:names:specification:ubl:schema:xsd:Invoice-2">${"<a>".repeat(100_000)}`;
  const junk: [string, string | Buffer][] = [
    ["text", "hello"],
    ["zeros", Buffer.alloc(1000)],
    ["a gzip bomb", bomb],
    ["entities", entities],
    ["a deep tree", deep],
    ["a document that is cut off", ubl(document("735410")).slice(0, -300)],
    ["a broken PDF", "%PDF-1.7\n1 0 obj\n<< /Type /Catalog"],
    ["amounts beyond reason", ubl(document("735411")).replaceAll("10.00", "9".repeat(400))],
    ["a date that is none", ubl(document("735412")).replace("2026-01-10", "2026-13-45")],
  ];

  test.for(junk)("%s fails with a reason", async ([name, content]) => {
    const answer = await world.upload([{ file: `${name}.xml`, content }]);
    expect(answer.status).toBe(200);
    await world.work();
    const { data } = (await world.get(`/invoices/${answer.json.data[0]._id}`)).json;
    expect(data).toMatchObject({ status: "failed", results: [] });
    expect(data.reason.message.length).toBeGreaterThan(10);
    expect(data.reason.message).not.toContain("fault of the server");
  });

  test("an upload that is wrong leaves nothing behind", async () => {
    const before = world.documents().length;
    expect((await world.upload([["account", "me"]])).json.errors).toHaveProperty("file");
    expect((await world.upload([{ file: "a", content: "" }])).json.errors).toHaveProperty("file");
    const wrong: [string, string][] = [
      ["currency", "kronor"],
      ["contract_type", "both"],
      ["dry_run", "perhaps"],
    ];
    for (const [field, value] of wrong) {
      const answer = await world.upload([{ file: "a", content: "x" }, [field, value]]);
      expect(answer.json).toMatchObject({ code: 400, errors: { [field]: [expect.any(String)] } });
    }
    expect((await world.upload([{ file: "a", content: "x" }, ["account", world.stranger.id]])).status).toBe(
      404,
    );
    expect((await world.upload([{ file: "a", content: Buffer.alloc(5_000_001) }])).status).toBe(413);
    expect(world.documents()).toHaveLength(before);
  });
});

describe("the log of changes", () => {
  const changes = (after: number) =>
    changedInvoices(world.api.db, { accountIds: [world.owner.id], after, upTo: 2 ** 53, limit: 1000 });

  test("tells of completed invoices, again when they change, and when they are gone", async () => {
    const start = (await changes(0)).at(-1)?.off ?? 0;
    await world.settle("no invoice");
    await world.settle(document("735420"), { parts: [["dry_run", "true"]] });
    expect(await changes(start)).toEqual([]);
    const first = await world.settle(document("735421"));
    const second = await world.settle(document("735422"));
    const told = await changes(start);
    expect(told.map(({ invoice }) => invoice._id)).toEqual([first._id, second._id]);
    expect(told[0]!.invoice).toEqual(first);
    const { id } = await newMeter(world.api, world.owner, { ean: "735421" });
    await world.tend();
    const after = told.at(-1)!.off;
    const [linked, ...others] = await changes(after);
    expect(others).toEqual([]);
    expect(linked!.invoice).toMatchObject({ _id: first._id, results: [{ meter: { root_id: id } }] });
    // From the start each is told once, at its last change.
    expect((await changes(start)).map(({ invoice }) => invoice._id)).toEqual([second._id, first._id]);
    await world.api.call("DELETE", `/invoices/${second._id}`, { token: world.owner.token });
    expect((await changes(linked!.off)).map(({ invoice }) => invoice)).toEqual([
      { _id: second._id, status: "deleted", results: [] },
    ]);
    const page = await changedInvoices(world.api.db, {
      accountIds: [world.owner.id],
      after: start,
      upTo: 2 ** 53,
      limit: 1,
    });
    expect(page).toHaveLength(1);
    expect(
      await changedInvoices(world.api.db, {
        accountIds: [world.stranger.id],
        after: 0,
        upTo: 2 ** 53,
        limit: 10,
      }),
    ).toEqual([]);
  });

  test("tells of an invoice that another one replaces", async () => {
    const first = await world.settle(document("735423"));
    const start = (await changes(0)).at(-1)!.off;
    const credit = await world.settle({
      ...document("735423"),
      number: "credit",
      kind: "credit",
      replaces: ["n735423"],
    });
    expect((await changes(start)).map(({ invoice }) => invoice._id).sort()).toEqual(
      [first._id, credit._id].sort(),
    );
  });
});

describe("documents", () => {
  test("of an account that is deleted go with it, and so do those of uploads that were cut off", async () => {
    const account = await newAccount(world.api.deps);
    const answer = await world.upload([{ file: "a.xml", content: ubl(document("735430")) }], account.token);
    const [{ _id }] = answer.json.data;
    const abandoned = join(world.dataDir, "invoices", newId(world.api.clock.now()));
    writeFileSync(abandoned, "half");
    await world.api.call("DELETE", "/accounts/me", { token: account.token });
    await world.work();
    const old = new Date(world.api.clock.now() - 2 * 3_600_000);
    for (const path of [abandoned, join(world.dataDir, "invoices", _id)]) utimesSync(path, old, old);
    const kept = world.documents().length;
    await world.tend();
    expect(world.documents()).toHaveLength(kept - 2);
    expect(existsSync(abandoned)).toBe(false);
  });
});
