import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type TestDatabase, testDatabase } from "../../../test/harness/database.ts";
import { runtimeRole } from "../../../test/harness/database-setup.ts";
import { sql } from "./db.ts";
import type { Deps } from "./deps.ts";
import { type JobKind, jobLag, migrateJobs, openJobs } from "./jobs.ts";
import { makeLog } from "./log.ts";

const log = makeLog({ level: "silent" });
const deps = {} as Deps;
let t: TestDatabase;

const nameless = { retries: 0, secondsMax: 60, atOnce: 1, run: async () => {} };
const kinds: JobKind[] = ["plain", "many", "shared", "failing", "long", "killed"].map((name) => ({
  ...nameless,
  name,
}));

beforeAll(async () => {
  t = await testDatabase();
  expect(await migrateJobs({ url: t.ownerUrl, runtimeRole, kinds })).toBe(true);
});
afterAll(() => t.drop());

function open() {
  const jobs = openJobs({ url: t.runtimeUrl, db: t.db, log });
  onTestFinished(() => jobs.stop(1000));
  return jobs;
}

const kind = (name: string, more: Partial<JobKind>): JobKind => ({ ...nameless, name, ...more });

async function stateOf(name: string) {
  return t.db.rows<{ state: string; retry_count: number; retry_limit: number }>(
    sql`select state::text, retry_count, retry_limit from pgboss.job where name = ${name} order by created_on`,
  );
}

describe("jobs", () => {
  test("the tables are made once; a changed list of kinds is seen", async () => {
    const same = { url: t.ownerUrl, runtimeRole, kinds };
    expect(await migrateJobs(same)).toBe(false);
    const more = { ...same, kinds: [...kinds, kind("new", {})] };
    expect(await migrateJobs({ ...more, dryRun: true })).toBe(true);
    expect(await migrateJobs(more)).toBe(true);
    expect(await migrateJobs(more)).toBe(false);
  });

  test("a job exists when its transaction commits, and never otherwise", async () => {
    const ran: object[] = [];
    const jobs = open();
    const { promise, resolve } = Promise.withResolvers<void>();
    const run = async (data: object) => {
      ran.push(data);
      resolve();
    };
    const failed = t.db.transaction(async (tx) => {
      await jobs.send(tx, "plain", { n: 1 });
      throw new Error("no");
    });
    await expect(failed).rejects.toThrow("no");
    await jobs.work([kind("plain", { run })], deps);
    await t.db.transaction((tx) => jobs.send(tx, "plain", { n: 2 }));
    await promise;
    expect(ran).toEqual([{ n: 2 }]);
  });

  test("the work of one account leaves room for that of others", async () => {
    const jobs = open();
    const begun: string[] = [];
    const [other, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const run = async (data: object) => {
      const { of } = data as { of: string };
      begun.push(of);
      if (of === "other") other.resolve();
      else await released.promise;
    };
    await t.db.transaction(async (tx) => {
      for (const of of ["busy", "busy", "busy", "other"])
        await jobs.send(tx, "shared", { of }, { account: of });
    });
    await jobs.work([kind("shared", { atOnce: 2, oneByAccount: true, run })], deps);
    await other.promise;
    expect(begun).toEqual(["busy", "other"]);
    released.resolve();
    await expect.poll(() => begun, { timeout: 5_000 }).toEqual(["busy", "other", "busy", "busy"]);
  });

  test("what runs at the start runs without being sent", async () => {
    const jobs = open();
    const { promise, resolve } = Promise.withResolvers<object>();
    await jobs.work([kind("plain", { atStart: true, run: async (data) => resolve(data) })], deps);
    expect(await promise).toEqual({});
  });

  test("jobs that wait together run one right after the other, as many at once as the kind says", async () => {
    const jobs = open();
    const ran: object[] = [];
    let atOnce = 0;
    let most = 0;
    const run = async (data: object) => {
      most = Math.max(most, ++atOnce);
      await t.db.one(sql`select pg_sleep(0.05)`);
      ran.push(data);
      atOnce--;
    };
    await t.db.transaction(async (tx) => {
      for (let n = 0; n < 12; n++) await jobs.send(tx, "many", { n });
    });
    await jobs.work([kind("many", { atOnce: 2, run })], deps);
    await expect.poll(() => ran.length, { timeout: 5000 }).toBe(12);
    expect(most).toBe(2);
  });

  test("a job that fails is tried again, and ends among the dead letters", async () => {
    const jobs = open();
    await t.db.transaction((tx) => jobs.send(tx, "failing", {}));
    const failing = kind("failing", { run: () => Promise.reject(new Error("always")) });
    await jobs.work([failing], deps);
    await expect.poll(async () => (await stateOf("failing"))[0]?.state, { timeout: 10_000 }).toBe("failed");
    const [lag] = (await jobLag(t.db)).filter((row) => row.kind === "failing");
    expect(lag).toMatchObject({ waiting: 0, running: 0, dead: 1 });
  });

  test("stop tells a running job, waits for it, and costs it no attempt", async () => {
    const jobs = openJobs({ url: t.runtimeUrl, db: t.db, log });
    const started = Promise.withResolvers<void>();
    const ends: string[] = [];
    const long = kind("long", {
      run: async (_data, _deps, signal) => {
        started.resolve();
        await once(signal, "abort");
        ends.push("told");
        throw signal.reason;
      },
    });
    await t.db.transaction((tx) => jobs.send(tx, "long", {}));
    await jobs.work([long], deps);
    await started.promise;
    await jobs.stop(5000);
    expect(ends).toEqual(["told"]);
    // Without the spared attempt it would have failed: the kind has no retries.
    expect(await stateOf("long")).toMatchObject([{ state: "retry", retry_count: 0, retry_limit: 1 }]);
  });

  test("a job survives kill -9 of its server and runs again at once", async () => {
    const jobs = open();
    await t.db.transaction((tx) => jobs.send(tx, "killed", { n: 7 }));
    const child = spawn(process.execPath, ["--input-type=module", "-e", worker(t.runtimeUrl)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    expect(await stateOf("killed")).toMatchObject([{ state: "active", retry_limit: 0 }]);
    child.kill("SIGKILL");
    await once(child, "exit");
    const { promise, resolve } = Promise.withResolvers<object>();
    await jobs.work([kind("killed", { run: async (data) => resolve(data) })], deps);
    expect(await promise).toEqual({ n: 7 });
  });
});

/** A server that begins a job and never ends it. */
const worker = (url: string) => `
import { openDb } from ${JSON.stringify(new URL("./db.ts", import.meta.url).href)};
import { openJobs } from ${JSON.stringify(new URL("./jobs.ts", import.meta.url).href)};
const url = ${JSON.stringify(url)};
const db = openDb({ url, connectionsMax: 2, statementTimeoutMs: 10000, applicationName: "test" });
const log = { info() {}, warn() {}, error: console.error };
const run = () => new Promise(() => { console.log("running"); setInterval(() => {}, 1000); });
const kind = { name: "killed", retries: 0, secondsMax: 60, atOnce: 1, run };
await openJobs({ url, db, log }).work([kind], {});
`;
