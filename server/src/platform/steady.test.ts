import { afterAll, beforeAll, expect, test } from "vitest";
import { testClock } from "../../../test/harness/api.ts";
import { type TestDatabase, testDatabase } from "../../../test/harness/database.ts";
import { sql } from "./db.ts";
import type { Deps } from "./deps.ts";
import { makeLog } from "./log.ts";
import { steadyJob } from "./steady.ts";

let t: TestDatabase;
const sent: string[] = [];
let deps: Deps;
beforeAll(async () => {
  t = await testDatabase();
  deps = {
    db: t.db,
    clock: testClock(),
    log: makeLog({ level: "silent" }),
    jobs: { send: async (_tx, name) => void sent.push(name) },
  } as Partial<Deps> as Deps;
});
afterAll(() => t.drop());

/** A kind of job whose steps are counted, and can be made to wait. */
function counted(name: string, step: () => Promise<void> = async () => undefined) {
  const counts = { steps: 0, ends: 0 };
  const first = Promise.withResolvers<void>();
  const kind = steadyJob({
    name,
    pauseMs: 1,
    begin: () => ({
      async step() {
        counts.steps++;
        await step();
        first.resolve();
      },
      end: async () => void counts.ends++,
    }),
  });
  return { kind, counts, first: first.promise };
}

const leases = async (name: string) =>
  (await t.db.rows(sql`select owner from steady_lease where name = ${name}`)).length;

test("one works until it is told to stop; who stands by takes over then", async () => {
  const stopping = new AbortController();
  const one = counted("one");
  const working = one.kind.run({}, deps, stopping.signal);
  await one.first;
  const other = counted("one");
  const stoppingOther = new AbortController();
  const standingBy = other.kind.run({}, deps, stoppingOther.signal);
  await expect.poll(() => one.counts.steps).toBeGreaterThan(100);
  expect(other.counts).toEqual({ steps: 0, ends: 0 });
  stopping.abort();
  await working;
  expect(one.counts.ends).toBe(1);
  expect(sent).toEqual(["one"]);
  await other.first;
  stoppingOther.abort();
  await standingBy;
  expect(other.counts.ends).toBe(1);
  expect(await leases("one")).toBe(0);
});

test("a step that fails ends the run, and leaves the work to the next", async () => {
  const failing = counted("failing", () => Promise.reject(new Error("no")));
  await expect(failing.kind.run({}, deps, new AbortController().signal)).rejects.toThrow("no");
  expect(failing.counts).toEqual({ steps: 1, ends: 1 });
  expect(await leases("failing")).toBe(0);
});

test("the lease of a process that died is free after its time, and no sooner", async () => {
  const lease = (seconds: number) =>
    t.db.run(sql`
      insert into steady_lease (name, owner, until)
      values ('dead', 'somebody', clock_timestamp() + make_interval(secs => ${seconds}))
      on conflict (name) do update set until = excluded.until`);
  const late = counted("dead");
  await lease(2);
  const before = performance.now();
  const stopping = new AbortController();
  const working = late.kind.run({}, deps, stopping.signal);
  await late.first;
  expect(performance.now() - before).toBeGreaterThan(1_900);
  stopping.abort();
  await working;
});

test("of many that begin at once, one works", async () => {
  const stopping = new AbortController();
  const all = Array.from({ length: 8 }, () => counted("many"));
  const working = Promise.all(all.map(({ kind }) => kind.run({}, deps, stopping.signal)));
  await Promise.race(all.map(({ first }) => first));
  await expect.poll(() => all.reduce((sum, { counts }) => sum + counts.steps, 0)).toBeGreaterThan(5);
  stopping.abort();
  await working;
  expect(all.filter(({ counts }) => counts.steps > 0)).toHaveLength(1);
});

test("who lost the lease stops", { timeout: 15_000 }, async () => {
  const robbed = counted("robbed");
  const working = robbed.kind.run({}, deps, new AbortController().signal);
  await robbed.first;
  await t.db.run(sql`update steady_lease set owner = 'thief' where name = 'robbed'`);
  await working;
  expect(await leases("robbed")).toBe(1);
});
