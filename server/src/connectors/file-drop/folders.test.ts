import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type ProviderWorld, providerWorld } from "../../../../test/harness/provider.ts";
import { sql } from "../../platform/db.ts";
import { betweenTimes, type DropServer, dropServers, hourTable } from "./harness.ts";

const zone = "Europe/Stockholm";
const now = Date.parse("2026-01-15T12:00:00Z");
const day = { from: Date.parse("2026-01-09T23:00:00Z"), to: Date.parse("2026-01-10T23:00:00Z") };
const minute = 60_000;

describe.each(Object.entries(dropServers))("a folder over %s", (name, start) => {
  let server: DropServer;
  let world: ProviderWorld;
  let isThere = true;
  let count = 0;
  let ean: string;

  beforeAll(async () => {
    const started = await start();
    isThere = started !== null;
    if (started === null) return;
    server = started;
    world = await providerWorld(server.connector, now);
  });
  afterAll(async () => {
    await world?.close();
    await server?.close();
  });
  beforeEach(async (context) => {
    context.skip(!isThere, "not installed");
    await world.api.db.run(sql`update connection set next_run = null`);
    for (const each of Object.keys(await server.files())) await server.remove(each);
    ean = `73599${name.length}${String(++count).padStart(6, "0")}`;
  });

  const old = () => world.api.clock.now() - 60 * minute;
  const valuesOf = async (id: string, meter = ean) => {
    const sources = await world.sourcesOf(id);
    const meterId = [...sources].find(([key]) => key.startsWith(meter))?.[1];
    if (meterId === undefined) return undefined;
    const stored = await world.stored(meterId, { metric: "energy", granularity: "hour", zone, ...day });
    return stored.map(([, value]) => value);
  };
  const later = async (minutes = 20) => {
    world.api.clock.advance(minutes * minute);
    await world.runAll();
  };

  test("files are read and stay, a changed one is read again", async () => {
    await server.put("a.csv", hourTable(ean, [1, 2.5]), old());
    await server.put("b.txt", "not wanted", old());
    const id = await world.begin({ ...server.credentials, pattern: "*.csv, *.zip" });
    await world.runAll();
    expect(await world.connection(id)).toMatchObject({ state: "collecting", failure: null });
    expect(await valuesOf(id)).toEqual([1, 2.5]);
    expect(Object.keys(await server.files())).toEqual(["a.csv", "b.txt"]);
    await later();
    expect(await world.lastRun(id)).toMatchObject({ outcome: "complete", counts: { known: 1 } });
    await server.put("a.csv", hourTable(ean, [1, 7, 8]), old() + minute);
    await later();
    expect(await valuesOf(id)).toEqual([1, 7, 8]);
  });

  test("files are archived once their values are stored, each under a name of its own", async () => {
    const id = await world.begin({ ...server.credentials, after: "archive", archive_path: "done" });
    await server.put("day.csv", hourTable(ean, [1, 2]), old());
    await world.runAll();
    await server.put("day.csv", hourTable(ean, [1, 3]), old());
    await later();
    expect(await valuesOf(id)).toEqual([1, 3]);
    expect(await server.files()).toEqual({
      "done/day.csv": hourTable(ean, [1, 2]),
      "done/day (2).csv": hourTable(ean, [1, 3]),
    });
  });

  test("files are deleted once their values are stored, and those that cannot be read stay", async () => {
    const id = await world.begin({ ...server.credentials, after: "delete" });
    await server.put("1 good.csv", hourTable(ean, [1, 2]), old());
    await server.put("2 bad.csv", hourTable(ean, [1, "oops"]), old());
    await server.put("3 good.csv", hourTable(ean, [1, 2, 3]), old());
    await world.runAll();
    expect(Object.keys(await server.files())).toEqual(["2 bad.csv"]);
    expect(await valuesOf(id)).toEqual([1, 2, 3]);
    const issues = await world.ask("GET", `/issues?connection._id=${id}&state=open`);
    expect(issues).toMatchObject([{ kind: "file_refused", file: { name: "2 bad.csv", line: 3 } }]);
    await server.remove("2 bad.csv");
    await later();
    expect(await world.ask("GET", `/issues?connection._id=${id}&state=open`)).toEqual([]);
  });

  test.each(["archive", "delete"])(
    "a file that is replaced before it is put away is read too (%s)",
    async (after) => {
      const id = await world.begin({ ...server.credentials, after, archive_path: "done" });
      await server.put("day.csv", hourTable(ean, [1, 2]), old());
      betweenTimes.happens = async () => {
        betweenTimes.happens = undefined;
        await server.put("day.csv", hourTable(ean, [1, 3]), old() + minute);
      };
      await world.runAll();
      expect(await valuesOf(id)).toEqual([1, 2]);
      expect(await server.files()).toEqual({ "day.csv": hourTable(ean, [1, 3]) });
      await later();
      expect(await valuesOf(id)).toEqual([1, 3]);
      expect(Object.keys(await server.files())).toEqual(after === "archive" ? ["done/day.csv"] : []);
    },
  );

  test("a file that could not be put away is stored once, and put away the next time", async () => {
    // Where the archive should be there is a file: nothing can be moved into it.
    const blocked = name === "S3" ? "x".repeat(1_000) : "blocked";
    if (name !== "S3") await server.put("blocked", "in the way", old());
    const id = await world.begin({
      ...{ ...server.credentials, pattern: "*.csv" },
      ...{ after: "archive", archive_path: blocked },
    });
    await server.put("a.csv", hourTable(ean, [4, 5]), old());
    await world.runAll();
    expect(await valuesOf(id)).toEqual([4, 5]);
    expect((await world.connection(id)).failure).not.toBeNull();
    expect(Object.keys(await server.files())).toContain("a.csv");
    if (name === "S3") return;
    await server.remove("blocked");
    await world.runAgain(id);
    expect(await world.lastRun(id)).toMatchObject({ outcome: "complete", counts: { known: 1 } });
    expect(await server.files()).toEqual({ "blocked/a.csv": hourTable(ean, [4, 5]) });
    expect(await valuesOf(id)).toEqual([4, 5]);
  });

  test.skipIf(name === "S3")("a file that may still grow is waited for", async () => {
    const id = await world.begin({ ...server.credentials, wait_minutes: 3 });
    const text = hourTable(ean, [1, 2, 3]);
    await server.put("a.csv", text.slice(0, 40), world.api.clock.now());
    await world.runAll();
    await server.put("a.csv", text, world.api.clock.now());
    await later(2);
    expect(await valuesOf(id)).toBeUndefined();
    await later(2);
    expect(await world.lastRun(id)).toMatchObject({ counts: {} });
    await later(2);
    expect(await valuesOf(id)).toEqual([1, 2, 3]);
  });

  test("a refused login is not tried again by itself", async () => {
    const id = await world.begin(server.wrong);
    await world.runAll();
    expect(await world.connection(id)).toMatchObject({ state: "credentials_refused", next_run: null });
    await world.runAgain(id);
    expect((await world.lastRun(id)).message).toMatch(/nothing was sent/);
  });

  test("a folder that is not there waits for a person", async () => {
    const id = await world.begin(server.nowhere);
    await world.runAll();
    expect(await world.connection(id)).toMatchObject({
      failure: "consent",
      is_customer_action_required: true,
    });
  });

  test("secrets are shown nowhere", async () => {
    const id = await world.begin(server.credentials);
    await world.runAll();
    const secret = String(
      server.credentials.password ?? server.credentials.private_key ?? server.credentials.access_key_secret,
    );
    const shown = JSON.stringify([await world.connection(id), await world.lastRun(id)]);
    if (name !== "S3") expect(shown).not.toContain(secret);
    expect(shown).toContain("********");
  });
});

test("one customer's server that is away does not keep others waiting", async () => {
  const server = (await dropServers.FTP!())!;
  const world = await providerWorld(server.connector, now);
  for (let i = 0; i < 7; i++) await world.begin({ ...server.credentials, port: 9 });
  await world.runAll();
  await server.put("a.csv", hourTable("735998000001", [1, 2]), now - 60 * minute);
  const id = await world.begin(server.credentials);
  await world.run();
  expect(await world.connection(id)).toMatchObject({ state: "collecting", failure: null });
  await world.close();
  await server.close();
});
