import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type ProviderWorld, providerWorld } from "../../../../test/harness/provider.ts";
import { elviaAt } from "./connector.ts";
import { type EmulatedElvia, emulateElvia } from "./harness.ts";

const zone = "Europe/Oslo";
/** A week after the night in which the clocks go back. */
const now = Date.parse("2026-11-01T12:00:00Z");
const period = { from: Date.parse("2026-10-21T22:00:00Z"), to: now };
const since = Date.parse("2020-01-01T00:00:00Z");

let provider: EmulatedElvia;
let world: ProviderWorld;
beforeAll(async () => {
  provider = await emulateElvia(now);
  world = await providerWorld(elviaAt(provider.url), now);
});
afterAll(async () => {
  await world.close();
  await provider.close();
});
/** Each test has metering points and a token of its own: the account is the same, and remembers what was refused. */
let ids: string[] = [];
let count = 0;
beforeEach(async () => {
  await world.rest();
  world.connector.historyDays = 60;
  count++;
  ids = Array.from({ length: 12 }, (_, i) => `7070575000${String(count * 100 + i).padStart(8, "0")}`);
  provider.token = `token-${count}`;
  provider.mend();
  for (const each of [provider.corrections, provider.missing]) each.clear();
  provider.points = [{ id: ids[0]!, contract: { startTime: since } }];
  provider.publishedUntil = provider.verifiedUntil = now;
  provider.distort = undefined;
});

const credentials = () => ({ token: provider.token });

async function storedOf(connectionId: string, key: string, of = period) {
  const meterId = (await world.sourcesOf(connectionId)).get(key)!;
  return world.stored(meterId, { metric: "energy", granularity: "hour", zone, ...of });
}

describe("what is stored is what Elvia publishes", () => {
  test("hours of a dozen metering points over the night in October", async () => {
    provider.points = ids.map((id) => ({ id, contract: { startTime: since } }));
    const id = await world.collecting(credentials());
    expect(await world.connection(id)).toMatchObject({ state: "collecting", failure: null });
    for (const key of ids) {
      const truth = provider.truth(key, period);
      expect(truth.length).toBe(10 * 24 + 1 + 13);
      expect(await storedOf(id, key)).toEqual(truth);
    }
  });

  test("what is consumed and what is produced, each as its own, also when nothing is produced any more", async () => {
    provider.points = [{ id: ids[0]!, contract: { startTime: since }, produces: true }];
    const id = await world.collecting(credentials());
    expect(await storedOf(id, ids[0]!)).toEqual(provider.truth(ids[0]!, period));
    const produced = provider.truth(ids[0]!, { ...period, production: true });
    expect(await storedOf(id, `${ids[0]}-production`)).toEqual(produced);
    provider.points[0]!.produces = false;
    await world.runAgain(id);
    expect((await world.lastRun(id)).counts.meters).toBe(2);
  });

  test("three years of history, and none before the contract", async () => {
    world.connector.historyDays = 1_090;
    provider.points[0]!.contract.startTime = Date.parse("2025-05-01T12:00:00Z");
    const id = await world.collecting(credentials());
    expect(await world.connection(id)).toMatchObject({ state: "collecting", failure: null });
    const years = { from: Date.parse("2024-01-01T00:00:00Z"), to: now };
    const truth = provider.truth(ids[0]!, years);
    expect(truth.length).toBeGreaterThan(500 * 24);
    expect(await storedOf(id, ids[0]!, years)).toEqual(truth);
  });

  test("history of one metering point, when another one of the same question has none", async () => {
    world.connector.historyDays = 300;
    const [old, young] = [ids[0]!, ids[1]!];
    provider.points = [
      { id: old, contract: { startTime: since } },
      { id: young, contract: { startTime: Date.parse("2026-08-20T22:00:00Z") }, hidesContract: true },
    ];
    const id = await world.collecting(credentials());
    expect(await world.connection(id)).toMatchObject({ state: "collecting", failure: null });
    const months = { from: Date.parse("2026-02-01T00:00:00Z"), to: now };
    for (const key of [old, young])
      expect(await storedOf(id, key, months)).toEqual(provider.truth(key, months));
  });

  test("hours that come late, are corrected, or have no value yet", async () => {
    const hole = Date.parse("2026-10-25T01:00:00Z");
    provider.publishedUntil = now - 30 * 3_600_000;
    provider.verifiedUntil = now - 60 * 3_600_000;
    provider.missing.add(hole);
    const id = await world.collecting(credentials());
    expect(await storedOf(id, ids[0]!)).toEqual(provider.truth(ids[0]!, period));
    provider.publishedUntil = provider.verifiedUntil = now;
    provider.missing.clear();
    provider.corrections.set(Date.parse("2026-10-30T05:00:00Z"), 2_000);
    await world.runAgain(id);
    expect(await storedOf(id, ids[0]!)).toEqual(provider.truth(ids[0]!, period));
    expect((await world.lastRun(id)).counts.replaced).toBe(1);
  });

  test("until the customer moves out", async () => {
    provider.points[0]!.contract.endTime = Date.parse("2026-10-27T23:00:00Z");
    const id = await world.collecting(credentials());
    const truth = provider.truth(ids[0]!, period);
    expect(truth.length).toBe(6 * 24 + 1);
    expect(await storedOf(id, ids[0]!)).toEqual(truth);
  });
});

test("a token that is refused is sent once", async () => {
  const id = await world.begin({ token: "wrong" });
  await world.runAll();
  expect(await world.connection(id)).toMatchObject({ state: "credentials_refused", failure: "credentials" });
  await world.runAgain(id);
  expect(provider.heard.length).toBe(1);
});

test("a token that is deleted half-way is told", async () => {
  const id = await world.begin(credentials());
  await world.runAll();
  for (const meter of (await world.sourcesOf(id)).values())
    await world.ask("PUT", `/meters/${meter}`, { box: "active" });
  provider.fail(/metervalues/, { status: 403 });
  await world.runAll();
  expect(await world.connection(id)).toMatchObject({ state: "credentials_refused", failure: "credentials" });
});

describe("what stands in the way", () => {
  test.each([
    ["429 for long", { status: 429, headers: { "retry-after": "900" } }, "busy"],
    ["502", { status: 502 }, "unreachable"],
    ["400 for a usual question", { status: 400, json: { message: "Bad" } }, "changed"],
    ["another page", { text: "<!doctype html>" }, "changed"],
    ["another list", { json: { points: [] } }, "changed"],
  ])("%s", async (_, told, failure) => {
    provider.fail(/metervalues/, told, 10);
    const id = await world.begin(credentials());
    await world.runAll();
    expect(await world.connection(id)).toMatchObject({ failure });
    expect((await world.sourcesOf(id)).size).toBe(0);
  });

  test.each([
    ["another unit", (text: string) => text.replace("kWh", "MWh")],
    ["another resolution", (text: string) => text.replace(":60", ":30")],
    ["an interval of another length", (text: string) => text.replace("T03:00:00+01:00", "T03:30:00+01:00")],
    ["a time without an offset", (text: string) => text.replace("T03:00:00+01:00", "T03:00:00")],
    ["a value that is a text", (text: string) => text.replace(/"value":([\d.]+)/, '"value":"$1"')],
    ["no word on verification", (text: string) => text.replace('"verified":true', '"checked":true')],
    ["a metering point of others", (text: string) => text.replaceAll(ids[1]!, "9".repeat(18))],
  ])("%s: nothing of that answer is stored", async (_, change) => {
    provider.points = ids.slice(0, 2).map((id) => ({ id, contract: { startTime: since } }));
    const id = await world.begin(credentials());
    await world.runAll();
    for (const meter of (await world.sourcesOf(id)).values())
      await world.ask("PUT", `/meters/${meter}`, { box: "active" });
    provider.distort = change;
    await world.runAll();
    expect(await world.connection(id)).toMatchObject({ failure: "changed", state: "page_changed" });
    for (const key of ids.slice(0, 2)) expect(await storedOf(id, key)).toEqual([]);
  });
});
