import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { testUtility } from "../../../../simulator/src/harness.ts";
import { type CollectionWorld, collectionWorld } from "../../collection/harness.ts";
import { sql } from "../../platform/db.ts";
import { demoHttp } from "./connector.ts";

const page = readFileSync(new URL("../../../../docs/sandbox.md", import.meta.url), "utf8");
const table = page.slice(page.indexOf("<!-- states -->"), page.indexOf("<!-- end -->"));
const rows = [...table.matchAll(/^\| `(\w+)` \| (.*) \|$/gm)].flatMap(([, state, logins]) =>
  [...logins!.matchAll(/`(\w+)`/g)].map(([, username]) => [username!, state!] as const),
);

const now = Date.parse("2026-11-01T12:00:00Z");
let world: CollectionWorld;
let utility: Awaited<ReturnType<typeof testUtility>>;
beforeAll(async () => {
  utility = await testUtility({ now });
  // The clock stands still, and places among the requests are given out by it.
  world = await collectionWorld({ ...demoHttp, limits: { perMinute: 1_000_000, atOnce: 8 } });
  world.api.clock.set(now);
});
afterAll(async () => {
  await world.close();
  await utility.close();
});

test.each(rows)("docs/sandbox.md: the login %s leads to %s", async (username, state) => {
  const credentials = { url: utility.url, username, password: "demo" };
  const { _id } = await world.ask("POST", "/connections", { provider: "demo-http", credentials });
  await world.collector.step();
  const read = async () => (await world.ask("GET", `/connections/${_id}`)).state;
  // A login that waits for a code goes on waiting.
  await expect.poll(read, { timeout: 30_000, interval: 50 }).not.toBe("checking");
  expect(await read()).toBe(state);
});

test("docs/sandbox.md: a changed password is refused at the next login, and the new one resolves the issue", async () => {
  const { ask, collector, api } = world;
  const run = async () => {
    await api.db.run(sql`update provider_state set closed_until = null, failures = 0`);
    await collector.step();
    await expect
      .poll(async () => (await ask("GET", `/connections/${_id}`)).running, { timeout: 30_000 })
      .toBeNull();
    return (await ask("GET", `/connections/${_id}`)).state;
  };
  const credentials = { url: utility.url, username: "halves", password: "demo" };
  const { _id } = await ask("POST", "/connections", { provider: "demo-http", credentials });
  expect(await run()).toBe("collecting");
  await utility.order("POST", "/control/customers/halves", { password: "new" });
  await ask("POST", `/connections/${_id}/run`);
  expect(await run()).toBe("collecting");
  await utility.order("POST", "/control/faults", { kind: "gone", seconds: 0 });
  await ask("POST", `/connections/${_id}/run`);
  expect(await run()).toBe("credentials_refused");
  const issues = `/issues?state=open&connection._id=${_id}`;
  expect(await ask("GET", issues)).toMatchObject([{ kind: "credentials_refused" }]);
  await ask("PUT", `/connections/${_id}`, { credentials: { ...credentials, password: "new" } });
  expect(await run()).toBe("collecting");
  expect(await ask("GET", issues)).toEqual([]);
});
