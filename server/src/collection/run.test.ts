import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sql } from "../platform/db.ts";
import { gridOf, query } from "../series/series.ts";
import { claimDue, keepLease } from "./claim.ts";
import { type FailureKind, failureKinds, ProviderFailure } from "./connector.ts";
import { consequences, stateMeanings } from "./consequence.ts";
import { type CollectionWorld, collectionWorld, meterFound, type ScriptStep } from "./harness.ts";

let world: CollectionWorld;
beforeAll(async () => {
  world = await collectionWorld();
});
afterAll(() => world.close());

const hour = 3_600_000;
const day = 24 * hour;
let count = 0;
const hourOf = (at: number) => at - (at % hour);

/** A connection with one meter in the box active, which has values of the last days. */
async function collecting() {
  const { script, ask, connect, run, api } = world;
  await api.db.run(sql`delete from refused_credentials`);
  const key = `${++count}`;
  script.password = "right";
  script.fail = {};
  script.asked = [];
  script.meters = [meterFound(key)];
  const values = new Map<number, number>();
  const now = hourOf(api.clock.now());
  for (let at = now - 10 * day; at < now - day; at += hour) values.set(at, (at / hour) % 100);
  script.values.set(`${key} energy hour`, values);
  const { _id } = await connect();
  await run();
  const found = await api.db.one<{ meter_id: string }>(
    sql`select meter_id from meter_source where connection_id = ${_id}`,
  );
  await ask("PUT", `/meters/${found.meter_id}`, { box: "active" });
  return { id: _id as string, key, meterId: found.meter_id, values };
}

const stateOf = (id: string) => world.ask("GET", `/connections/${id}`);

/** Stored hours of a meter between two instants. */
async function storedOf(meterId: string, from: number, to: number): Promise<(number | null)[]> {
  const { db } = world.api;
  const { part } = await db.one<{ part: number }>(sql`select part from meter where id = ${meterId}`);
  const grids = [gridOf("hour", "Europe/Stockholm", { from, to })];
  const [answer] = await query(db, { meters: [{ rootId: meterId, part }], metrics: ["energy"], grids });
  return [...(answer?.values[0] ?? [])].map((value) => (Number.isNaN(value) ? null : value));
}

/** Runs until nothing is due at this instant any more. */
async function runAll(): Promise<void> {
  while ((await world.collector.step()) > 0) await world.collector.idle();
}

describe("a run", () => {
  test("checks the credentials, finds meters, and collects those that somebody accepts", async () => {
    const { id, meterId, values } = await collecting();
    expect(await stateOf(id)).toMatchObject({
      state: "collecting",
      who_acts: "nobody",
      is_customer_action_required: false,
      credentials: { username: "anna", password: "********" },
      running: null,
    });
    await runAll();
    const now = hourOf(world.api.clock.now());
    const stored = await storedOf(meterId, now - 10 * day, now);
    expect(stored.filter((value) => value !== null)).toEqual([...values.values()]);
    const runs = await world.ask("GET", `/connections/${id}/runs?sort=-began`);
    expect(runs[0]).toMatchObject({
      outcome: "complete",
      reason: "activated",
      counts: { added: values.size },
    });
    expect(runs.at(-1)).toMatchObject({ reason: "created", counts: { meters: 1, meters_new: 1 } });
    expect(runs[0].steps.map((step: { name: string }) => step.name)).toEqual([
      "collect",
      "read",
      "collected",
    ]);
  });

  test("asks again for all that the provider refused of one meter, and not without a pause", async () => {
    const { id, key, meterId, values } = await collecting();
    const { script, api, ask } = world;
    const other = `${++count}`;
    script.meters = [meterFound(key), meterFound(other)];
    await runAll();
    script.refused.add(other);
    await ask("POST", `/connections/${id}/run`);
    await runAll();
    const source = await api.db.one<{ meter_id: string }>(
      sql`select meter_id from meter_source where connection_id = ${id} and key = ${other}`,
    );
    await ask("PUT", `/meters/${source.meter_id}`, { box: "active" });
    script.asked = [];
    await runAll();
    const first = script.asked.filter((each) => each.key === other);
    expect(first.map(({ reason }) => reason)).toEqual(["new"]);
    expect((await stateOf(id)).state).toBe("collecting");
    script.refused.clear();
    script.values.set(`${other} energy hour`, values);
    script.asked = [];
    await ask("POST", `/connections/${id}/run`);
    await runAll();
    const again = script.asked.filter((each) => each.key === other);
    expect(again.find(({ reason }) => reason === "new")).toEqual(first[0]);
    const now = hourOf(api.clock.now());
    expect(await storedOf(source.meter_id, now - 10 * day, now)).toEqual(
      await storedOf(meterId, now - 10 * day, now),
    );
  });

  test("reads what is corrected again, asks for gaps exactly, and takes each value once", async () => {
    const { id, key, meterId, values } = await collecting();
    const { script, api, ask } = world;
    const now = hourOf(api.clock.now());
    const hole = [now - 8 * day, now - 8 * day + hour, now - 6 * day];
    const kept = hole.map((at) => values.get(at)!);
    for (const at of hole) values.delete(at);
    await runAll();
    script.asked = [];
    for (const [i, at] of hole.entries()) values.set(at, kept[i]!);
    values.set(now - 2 * day, 77.5);
    await ask("POST", `/connections/${id}/run`);
    await runAll();
    const mine = script.asked.filter((each) => each.key === key);
    expect(mine.map(({ from, to, reason }) => [reason, from - now, to - now])).toEqual([
      ["correction", -4 * day, -day],
      ["new", -day, 0],
      ["gap", -30 * day, -10 * day],
      ["gap", -8 * day, -8 * day + 2 * hour],
      ["gap", -6 * day, -6 * day + hour],
    ]);
    const stored = await storedOf(meterId, now - 10 * day, now - day);
    const wanted = Array.from({ length: stored.length }, (_, i) => values.get(now - 10 * day + i * hour));
    expect(stored).toEqual(wanted);
    const [last] = await ask("GET", `/connections/${id}/runs?sort=-began`);
    expect(last.counts).toMatchObject({ added: 3, replaced: 1 });
  });

  test.each(failureKinds)("ends in the state of the table when it fails: %s", async (kind: FailureKind) => {
    const { id } = await collecting();
    const { script, api, ask } = world;
    await runAll();
    const page = "<p>the password is right, says the page</p>";
    script.fail.login = () => new ProviderFailure(kind, "not today, with right", { page });
    await ask("POST", `/connections/${id}/run`);
    await runAll();
    const { state, retry, issueAfterHours } = consequences[kind];
    const now = await stateOf(id);
    const expected = state ?? "collecting";
    expect(now).toMatchObject({
      state: expected,
      failure: kind,
      failures: 1,
      who_acts: stateMeanings[expected].who,
    });
    expect(now.next_run === null).toBe(retry === "never");
    const issues = await ask("GET", `/issues?connection._id=${id}&state=open`);
    expect(issues.length).toBe(issueAfterHours === 0 ? 1 : 0);
    const [run] = await ask("GET", `/connections/${id}/runs?sort=-began`);
    expect(run).toMatchObject({ outcome: "failed", failure: kind, message: "not today, with ********" });
    const kept = await api.call("GET", `/connections/${id}/runs/${run._id}/page`, {
      token: world.owner.token,
    });
    expect(kept.text).toBe("<p>the password is ********, says the page</p>");

    script.fail = {};
    if (kind === "credentials") {
      await ask("PUT", `/connections/${id}`, { credentials: { username: "anna2", password: "********" } });
    } else {
      await ask("POST", `/connections/${id}/run`);
    }
    await api.db.run(sql`update provider_state set closed_until = null, failures = 0`);
    await runAll();
    expect(await stateOf(id)).toMatchObject({ state: "collecting", failures: 0, failure: null });
    const after = await ask("GET", `/issues?connection._id=${id}&state=open`);
    expect(after).toEqual([]);
  });

  test.each<ScriptStep>(["login", "discover", "collect", "collected"])(
    "that is killed at %s is repeated, and changes nothing twice",
    async (step) => {
      const { id, meterId, values } = await collecting();
      const { script, api, ask } = world;
      script.fail[step] = () => Object.assign(new Error("killed"), { code: "57P01" });
      await ask("POST", `/connections/${id}/run`);
      await runAll();
      const before = await stateOf(id);
      expect(before).toMatchObject({ failures: 0, failure: null });
      expect((await ask("GET", `/connections/${id}/runs?sort=-began`))[0].outcome).toBe("interrupted");
      script.fail = {};
      api.clock.advance(120_000);
      await runAll();
      expect(await stateOf(id)).toMatchObject({ state: "collecting" });
      const now = hourOf(api.clock.now());
      const stored = await storedOf(meterId, now - 11 * day, now);
      expect(stored.filter((value) => value !== null)).toEqual([...values.values()]);
    },
  );

  test("that fails by this server's own browser is repeated, and told when it fails again", async () => {
    const { id } = await collecting();
    const { script, api, ask } = world;
    await runAll();
    const latest = async () => (await ask("GET", `/connections/${id}/runs?sort=-began`))[0];
    script.fail.login = () => new ProviderFailure("unreachable", "no browser for right", { isOwn: true });
    await ask("POST", `/connections/${id}/run`);
    await runAll();
    const message = "no browser for ********";
    expect(await latest()).toMatchObject({ outcome: "interrupted", failure: null, message });
    expect(await stateOf(id)).toMatchObject({ state: "collecting", failures: 0 });
    api.clock.advance(61_000);
    // It fails wherever it is asked: discovery is due again.
    await api.db.run(sql`update connection set discovered = null where id = ${id}`);
    await runAll();
    expect(await latest()).toMatchObject({ outcome: "failed", failure: "unreachable", message });
    expect(await stateOf(id)).toMatchObject({ state: "provider_unreachable", failures: 1 });
    const state = await api.db.one<{ failures: number }>(
      sql`select coalesce(max(failures), 0)::int as failures from provider_state where provider = 'scripted'`,
    );
    expect(state.failures).toBe(0);
    script.fail = {};
    await ask("POST", `/connections/${id}/run`);
    await runAll();
    expect(await stateOf(id)).toMatchObject({ state: "collecting", failures: 0 });
  });

  test("of a worker that died is repeated by another when its lease has ended", async () => {
    const { id } = await collecting();
    const { api, ask } = world;
    await runAll();
    await ask("POST", `/connections/${id}/run`);
    const [dead] = await claimDue(api.db, [world.connector], { free: 1, now: api.clock.now() });
    expect(dead?.id).toBe(id);
    await runAll();
    expect((await stateOf(id)).running).toMatchObject({ _id: dead!.runId });
    expect(await keepLease(api.db, dead!, api.clock.now())).toBe(true);
    api.clock.advance(61_000);
    await runAll();
    const runs = await ask("GET", `/connections/${id}/runs?sort=-began`);
    expect(runs.slice(0, 2)).toMatchObject([
      { outcome: "complete", reason: "repeated" },
      { outcome: "interrupted", _id: dead!.runId },
    ]);
    expect(await keepLease(api.db, dead!, api.clock.now())).toBe(false);
  });

  test("of a customer whose contract begins later finds it by itself", async () => {
    const { script, api, ask, connect } = world;
    script.fail.login = () => new ProviderFailure("ended", "no contract");
    const { _id: id } = await connect();
    await runAll();
    expect(await stateOf(id)).toMatchObject({ state: "contract_ended", failure: "ended" });
    api.clock.advance(6 * day);
    await runAll();
    expect((await stateOf(id)).failures).toBe(1);
    script.fail = {};
    script.meters = [meterFound(`${++count}`)];
    api.clock.advance(3 * day);
    await runAll();
    expect(await stateOf(id)).toMatchObject({ state: "collecting", failure: null });
    const { counts } = (await ask("GET", `/connections/${id}/runs?sort=-began`))[0];
    expect(counts).toMatchObject({ meters: 1, meters_new: 1 });
  });

  test("that does not reach the provider for a day is an issue of the operator, and passes by itself", async () => {
    const { id } = await collecting();
    const { script, api, ask } = world;
    await runAll();
    script.fail.login = () => new ProviderFailure("unreachable", "away");
    const attempt = async () => {
      await api.db.run(sql`update provider_state set closed_until = null, failures = 0`);
      await api.db.run(sql`update connection set discovered = null where id = ${id}`);
      await runAll();
    };
    const open = () => ask("GET", `/issues?connection._id=${id}&state=open`);
    await ask("POST", `/connections/${id}/run`);
    await attempt();
    const { next_run } = await stateOf(id);
    expect(Date.parse(next_run) - api.clock.now()).toBeLessThanOrEqual(361_000);
    expect(await open()).toEqual([]);
    api.clock.advance(day + hour);
    await attempt();
    expect(await open()).toMatchObject([
      { kind: "provider_unreachable", owner: { role: "operator", account: null } },
    ]);
    script.fail = {};
    api.clock.advance(day);
    await attempt();
    expect(await stateOf(id)).toMatchObject({ state: "collecting" });
    expect(await open()).toEqual([]);
  });

  test("learns how late values come from the newest of them alone", async () => {
    const { id, key, values } = await collecting();
    const { script, api, ask } = world;
    await runAll();
    const usual = await latenessOf(id);
    const now = hourOf(api.clock.now());
    api.clock.advance(5 * day);
    for (let at = now - day; at < now + 5 * day - 8 * hour; at += hour) values.set(at, 1);
    await ask("POST", `/connections/${id}/run`);
    await runAll();
    expect(script.asked.some((each) => each.key === key && each.reason === "new")).toBe(true);
    expect(usual).toBe(12 * hour);
    const seen = 8 * hour + (api.clock.now() % hour);
    expect(await latenessOf(id)).toBeCloseTo((usual + seen) / 2, -4);
  });

  async function latenessOf(id: string): Promise<number> {
    const { ms } = await world.api.db.one<{ ms: number }>(sql`
      select lateness_ms as ms from source_cursor
      where source_id in (select id from meter_source where connection_id = ${id})`);
    return ms;
  }

  test("goes on when the provider's words hold what a database does not take", async () => {
    const { id, key } = await collecting();
    const { script, ask } = world;
    const odd = `${key}\0\ud800`;
    script.meters = [meterFound(key)];
    script.odd = odd;
    await runAll();
    script.odd = "";
    expect(await stateOf(id)).toMatchObject({ state: "collecting", failures: 0 });
    const runs = await ask("GET", `/connections/${id}/runs?reason=activated`);
    expect(runs).toMatchObject([{ outcome: "complete", counts: { added: 216 } }]);
  });

  test("stores nothing of an answer that cannot be meant", async () => {
    const { id, key, meterId } = await collecting();
    const { script, api } = world;
    const half = hourOf(api.clock.now()) - 3 * day + 1_800_000;
    script.values.set(`${key} energy hour`, new Map([[half, 5]]));
    await runAll();
    expect(await stateOf(id)).toMatchObject({ state: "page_changed", who_acts: "operator" });
    const now = hourOf(api.clock.now());
    expect((await storedOf(meterId, now - 10 * day, now)).every((value) => value === null)).toBe(true);
  });
});
