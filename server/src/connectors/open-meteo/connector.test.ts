import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type ProviderWorld, providerWorld } from "../../../../test/harness/provider.ts";
import { granuleEnd, granuleStarts } from "../../platform/time/granule.ts";
import { openMeteoAt } from "./connector.ts";
import { type EmulatedArchive, emulateArchive } from "./harness.ts";

const zone = "Europe/Stockholm";
/** A week after the night in which the clocks go back. */
const now = Date.parse("2026-11-01T12:00:00Z");
const period = { from: Date.parse("2026-10-21T22:00:00Z"), to: now };
const hour = 3_600_000;
const day = 24 * hour;

let archive: EmulatedArchive;
let world: ProviderWorld;
beforeAll(async () => {
  archive = await emulateArchive(now);
  world = await providerWorld(openMeteoAt({ free: archive.url, paid: archive.url }), now);
});
afterAll(async () => {
  await world.close();
  await archive.close();
});
/** Each test has a place of its own: the account is the same. */
let place = { latitude: 0, longitude: 18.07 };
beforeEach(async () => {
  await world.rest();
  world.connector.historyDays = 60;
  place = { ...place, latitude: place.latitude + 0.01 };
  archive.mend();
  archive.corrections.clear();
  archive.missing.clear();
  archive.distort = undefined;
  archive.timezone = zone;
  archive.lastDay = Math.floor(now / day) - 1;
});

const only = <Value>(found: Map<string, Value>): Value => [...found.values()][0]!;

async function temperaturesOf(id: string, of = period) {
  const question = { metric: "temperature", granularity: "hour" as const, zone, ...of };
  return world.stored(only(await world.sourcesOf(id)), question);
}

async function degreeDaysOf(id: string, of = period) {
  const question = { metric: "degree_days", granularity: "day" as const, zone, ...of };
  return world.stored(only(await world.sourcesOf(id)), question);
}

const hoursIn = ({ from, to }: { from: number; to: number }) =>
  granuleStarts("hour", zone, { from, to }).flatMap((at): [number, number][] => {
    const temperature = archive.temperature(at);
    return temperature === undefined ? [] : [[at, temperature]];
  });

const daysIn = ({ from, to }: { from: number; to: number }, base: number, limit = base) =>
  granuleStarts("day", zone, { from, to }).flatMap((start): [number, number][] => {
    const end = granuleEnd("day", zone, start);
    const hours = hoursIn({ from: start, to: end });
    if (hours.length * hour < end - start) return [];
    const mean = hours.reduce((sum, [, each]) => sum + each, 0) / hours.length;
    return [[start, mean >= limit ? 0 : Math.max(0, base - mean)]];
  });

const close = (expected: [number, number][]) => expected.map(([at, value]) => [at, expect.closeTo(value, 1)]);

describe("what is stored is what the archive has", () => {
  test("hours and degree days over the night in October", async () => {
    const id = await world.collecting({ ...place, name: "Stockholm" });
    expect(await world.connection(id)).toMatchObject({ state: "collecting", failure: null });
    const hours = hoursIn(period);
    // The archive ends with yesterday: two hours of today's local day lie in it.
    expect(hours.length).toBe(10 * 24 + 1 + 1);
    expect(await temperaturesOf(id)).toEqual(hours);
    const days = daysIn(period, 17);
    expect(days.length).toBe(10);
    expect(await degreeDaysOf(id)).toEqual(close(days));
    const meter = await world.ask("GET", `/meters/${only(await world.sourcesOf(id))}`);
    expect(meter).toMatchObject({
      name: "Stockholm",
      type: "sensor",
      timezone: zone,
      representation: "sensor",
    });
  });

  test("ten years", async () => {
    world.connector.historyDays = 3_653;
    const id = await world.collecting(place);
    const years = { from: Date.parse("2016-12-31T23:00:00Z"), to: now };
    expect(await temperaturesOf(id, years)).toEqual(hoursIn(years));
    const days = await degreeDaysOf(id, years);
    expect(days).toEqual(close(daysIn(years, 17)));
    expect(days.length).toBeGreaterThan(3_500);
  });

  test("with a base and a limit of one's own", async () => {
    const means = daysIn(period, 40).map(([, value]) => 40 - value);
    const limit = Math.round(means.toSorted((a, b) => a - b)[5]! * 10) / 10;
    const id = await world.collecting({ ...place, base: 20, limit });
    const days = daysIn(period, 20, limit);
    expect(new Set(days.map(([, value]) => value === 0)).size).toBe(2);
    expect(await degreeDaysOf(id)).toEqual(close(days));
  });

  test("when an analysis replaces what was forecast, and an hour is not there yet", async () => {
    archive.missing.add(Date.parse("2026-10-30T05:00:00Z"));
    const id = await world.collecting(place);
    expect(await temperaturesOf(id)).toEqual(hoursIn(period));
    expect((await degreeDaysOf(id)).length).toBe(9);
    archive.missing.clear();
    archive.corrections.set(Date.parse("2026-10-29T05:00:00Z"), 240);
    await world.runAgain(id);
    expect(await temperaturesOf(id)).toEqual(hoursIn(period));
    expect(await degreeDaysOf(id)).toEqual(close(daysIn(period, 17)));
  });

  test("when the archive ends before yesterday", async () => {
    archive.lastDay -= 4;
    const id = await world.collecting(place);
    expect(await world.connection(id)).toMatchObject({ state: "collecting", failure: null });
    expect(await temperaturesOf(id)).toEqual(hoursIn(period));
  });

  test("by days of UTC where the clock differs by half an hour", async () => {
    archive.timezone = "Asia/Kolkata";
    const id = await world.collecting(place);
    expect(await world.connection(id)).toMatchObject({ state: "collecting", failure: null });
    const meterId = only(await world.sourcesOf(id));
    expect(await world.ask("GET", `/meters/${meterId}`)).toMatchObject({ timezone: "UTC" });
    const question = { metric: "temperature", granularity: "hour" as const, zone: "UTC", ...period };
    expect(await world.stored(meterId, question)).toEqual(hoursIn(period));
  });
});

describe("a key", () => {
  test("is sent where there is one", async () => {
    const id = await world.collecting({ ...place, api_key: "hidden-key" });
    expect(await world.connection(id)).toMatchObject({ state: "collecting", failure: null });
    expect(archive.heard.every(({ query }) => query.get("apikey") === "hidden-key")).toBe(true);
  });

  test("that is refused is sent once", async () => {
    const id = await world.begin({ ...place, api_key: "wrong" });
    await world.runAll();
    expect(await world.connection(id)).toMatchObject({
      state: "credentials_refused",
      failure: "credentials",
    });
    await world.runAgain(id);
    expect(archive.heard.length).toBe(1);
  });
});

test.each([{ latitude: 91 }, { longitude: "east" }, { base: 100 }])("%o is not taken", async (wrong) => {
  await expect(world.begin({ ...place, ...wrong })).rejects.toThrow(Object.keys(wrong)[0]!);
});

describe("what stands in the way", () => {
  const limit = (reason: string) => ({ status: 429, json: { error: true, reason } });
  test.each([
    [
      "the limit of an hour",
      limit("Hourly API request limit exceeded. Please try again in the next hour."),
      "busy",
    ],
    ["the limit of a day", limit("Daily API request limit exceeded. Please try again tomorrow."), "busy"],
    ["502", { status: 502 }, "unreachable"],
    ["another refusal", { status: 400, json: { error: true, reason: "Cannot do that" } }, "changed"],
    ["another page", { text: "<!doctype html>" }, "changed"],
  ])("%s", async (_, told, failure) => {
    archive.fail(/archive/, told, 10);
    const id = await world.begin(place);
    await world.runAll();
    expect(await world.connection(id)).toMatchObject({ failure });
  });

  test.each([
    ["another unit", (text: string) => text.replace('"°C"', '"°F"')],
    ["times as texts", (text: string) => text.replace(/"time":\[(\d+)/, '"time":["$1"')],
    ["a time too few", (text: string) => text.replace(/"time":\[\d+,/, '"time":[')],
    ["an hour that is left out", (text: string) => text.replace(/(\d{10}),\d{10},/, "$1,")],
    ["a temperature as a text", (text: string) => text.replace(/m":\[([-\d.]+)/, 'm":["$1"')],
    ["another name", (text: string) => text.replaceAll("temperature_2m", "t2m")],
  ])("%s: nothing of that run is stored", async (_, change) => {
    const id = await world.begin(place);
    await world.runAll();
    await world.ask("PUT", `/meters/${only(await world.sourcesOf(id))}`, { box: "active" });
    archive.distort = change;
    await world.runAll();
    expect(await world.connection(id)).toMatchObject({ failure: "changed", state: "page_changed" });
    expect(await temperaturesOf(id)).toEqual([]);
  });
});
