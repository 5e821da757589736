import { afterAll, beforeAll, expect, test } from "vitest";
import { sql } from "../platform/db.ts";
import { claimDue, failuresToClose } from "./claim.ts";
import { type Connector, ProviderFailure } from "./connector.ts";
import { type CollectionWorld, collectionWorld } from "./harness.ts";
import { type Limit, limitsOf, mayAsk, takeSlot } from "./limits.ts";
import { makeCollector } from "./worker.ts";

let world: CollectionWorld;
beforeAll(async () => {
  world = await collectionWorld();
});
afterAll(() => world.close());

test("dozens of runs in two workers with one wrong password send it once", async () => {
  const { script, connect, api, connector, collector } = world;
  const { _id } = await connect("wrong for ever");
  const before = script.wrongLogins;
  for (let n = 0; n < 60; n++) {
    await api.db.run(sql`update connection set next_run = 'epoch' where id = ${_id}`);
    await Promise.all([collector.step(), makeCollector(api.deps, [connector]).step()]);
    await collector.idle();
  }
  expect(script.wrongLogins - before).toBe(1);
});

test("workers of several processes never run more of a provider at once than it bears", async () => {
  const { connect, api, connector } = world;
  for (let n = 0; n < 6; n++) await connect();
  const narrow = { ...connector, limits: { perMinute: 60, atOnce: 3 } };
  const now = api.clock.now();
  const claims = () => claimDue(api.db, [narrow], { free: 10, now });
  const claimed = (await Promise.all([claims(), claims(), claims(), claims()])).flat();
  claimed.push(...(await claims()));
  expect(claimed.length).toBe(3);
  expect(new Set(claimed.map(({ id }) => id)).size).toBe(3);
});

test("requests of all processes share the places of a provider", async () => {
  const { api, connector } = world;
  const limits = { perMinute: 60, atOnce: 1, named: { token: 2 } };
  const [narrow] = limitsOf({ ...connector, name: "narrow", limits }, undefined) as [Limit];
  expect(limitsOf({ ...connector, name: "narrow", limits }, "token")).toEqual([
    { name: "narrow token", perMinute: 2 },
    narrow,
  ]);
  const now = api.clock.now();
  const waits = await Promise.all(Array.from({ length: 30 }, () => takeSlot(api.db, narrow, now)));
  // Ten seconds' worth may go together, then one a second.
  expect(waits.toSorted((a, b) => a - b)).toEqual(
    Array.from({ length: 30 }, (_, n) => Math.max(0, (n - 10) * 1000)).map((ms) => expect.closeTo(ms, -1)),
  );
  await api.db.run(
    sql`update provider_state set next_slot = ${new Date(now + 600_000)} where provider = 'narrow'`,
  );
  await expect(takeSlot(api.db, narrow, now)).rejects.toThrow(ProviderFailure);
});

test("a provider that is away for many is asked by one at a time, and by all when it is back", async () => {
  const { script, connect, api, collector, run } = world;
  await api.db.run(sql`delete from connection`);
  script.password = "right";
  script.fail.login = () => new ProviderFailure("unreachable", "away");
  for (let n = 0; n < failuresToClose + 3; n++) await connect();
  await run();
  const { failures } = await api.db.one<{ failures: number }>(
    sql`select failures from provider_state where provider = 'scripted'`,
  );
  expect(failures).toBeGreaterThanOrEqual(failuresToClose);
  await api.db.run(sql`update connection set next_run = 'epoch'`);
  expect(await collector.step()).toBe(0);
  api.clock.advance(3_600_000);
  script.fail = {};
  expect(await collector.step()).toBe(1);
  await collector.idle();
  expect(await collector.step()).toBeGreaterThan(1);
  await collector.idle();
});

test("a question that the provider refuses to hear again is asked once in its hours", async () => {
  const { connect, api, connector } = world;
  const { _id } = await connect();
  const strict = { ...connector, limits: { ...connector.limits, repeatHours: 24 } };
  const now = api.clock.now();
  const ask = (question: string, at = now, of: Connector = strict) =>
    mayAsk(api.db, of, { connectionId: _id, question, now: at });
  expect([await ask("2026-01"), await ask("2026-01"), await ask("2026-02")]).toEqual([true, false, true]);
  expect([await ask("2026-01", now + 23 * 3_600_000), await ask("2026-01", now + 24 * 3_600_000)]).toEqual([
    false,
    true,
  ]);
  expect([await ask("2026-01", now, connector), await ask("2026-01", now, connector)]).toEqual([true, true]);
});
