import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type ProviderWorld, providerWorld } from "../../../../test/harness/provider.ts";
import { eloverblikAt } from "./connector.ts";
import { type EmulatedEloverblik, type EmulatedPoint, emulateEloverblik } from "./harness.ts";

const zone = "Europe/Copenhagen";
/** A week after the night in which the clocks go back. */
const now = Date.parse("2026-11-01T12:00:00Z");
const today = Date.parse("2026-10-31T23:00:00Z");
const lastFive = { from: Date.parse("2026-10-21T22:00:00Z"), to: today };

/** Each test has metering points of its own: the account is the same. */
let ids: string[] = [];
let count = 0;

let provider: EmulatedEloverblik;
let world: ProviderWorld;
beforeAll(async () => {
  provider = await emulateEloverblik(now);
  const connector = eloverblikAt(provider.url);
  // Places are given out by the clock, which stands still.
  world = await providerWorld({ ...connector, limits: { perMinute: 100, atOnce: 4 } }, now);
});
afterAll(async () => {
  await world.close();
  await provider.close();
});
beforeEach(async () => {
  await world.rest();
  world.connector.historyDays = 60;
  count++;
  ids = Array.from({ length: 12 }, (_, i) => `5713131${String(count * 100 + i).padStart(11, "0")}`);
  provider.mend();
  for (const each of [provider.qualities, provider.corrections, provider.missing, provider.errors])
    each.clear();
  provider.points = [hours(ids[0]!)];
  provider.publishedUntil = today;
});

const hours = (id: string, more: Partial<EmulatedPoint> = {}): EmulatedPoint => ({
  id,
  typeOfMP: "E17",
  occurrence: "PT1H",
  ...more,
});
const credentials = () => ({ token: provider.token });

async function storedOf(
  connectionId: string,
  key: string,
  granularity: "15min" | "hour" | "month",
  period = lastFive,
) {
  const meterId = (await world.sourcesOf(connectionId)).get(key)!;
  return world.stored(meterId, { metric: "energy", granularity, zone, ...period });
}

const questions = () => provider.heard.filter(({ path }) => path.includes("gettimeseries"));

describe("what is stored is what Energinet publishes", () => {
  test("hours of more metering points than fit into one question, over the night in October", async () => {
    provider.points = ids.map((id) => hours(id));
    const id = await world.collecting(credentials());
    expect(await world.connection(id)).toMatchObject({ state: "collecting", failure: null });
    for (const key of ids) {
      const truth = provider.truth(key, "hour", lastFive);
      expect(truth.length).toBe(10 * 24 + 1);
      expect(await storedOf(id, key, "hour")).toEqual(truth);
    }
    const sizes = questions().map(({ body }) => JSON.parse(body).meteringPoints.meteringPoint.length);
    expect(Math.max(...sizes)).toBe(10);
  });

  test("years of history", async () => {
    world.connector.historyDays = 1_826;
    const id = await world.collecting(credentials());
    const years = { from: Date.parse("2021-12-01T00:00:00Z"), to: today };
    expect(await storedOf(id, ids[0]!, "hour", years)).toEqual(provider.truth(ids[0]!, "hour", years));
  });

  test("quarters since they are kept, and hours before and after", async () => {
    const quartersSince = Date.parse("2026-10-23T22:00:00Z");
    provider.points = [hours(ids[0]!, { occurrence: "PT15M", quartersSince })];
    const id = await world.collecting(credentials());
    const quarters = provider.truth(ids[0]!, "15min", lastFive);
    expect(quarters.length).toBe(8 * 96 + 4);
    expect(await storedOf(id, ids[0]!, "15min")).toEqual(quarters);
    expect(await storedOf(id, ids[0]!, "hour")).toEqual(provider.truth(ids[0]!, "hour", lastFive));
  });

  test("months of a point that is read once a month", async () => {
    provider.points = [hours(ids[0]!, { occurrence: "P1M" })];
    world.connector.historyDays = 1_826;
    const id = await world.collecting(credentials());
    const years = { from: Date.parse("2022-01-01T00:00:00Z"), to: today };
    const truth = provider.truth(ids[0]!, "month", years);
    expect(truth.length).toBe(57);
    expect(await storedOf(id, ids[0]!, "month", years)).toEqual(truth);
  });

  test("a correction, an estimate that is measured later, and a day that comes late", async () => {
    const [first, second] = [Date.parse("2026-10-25T00:00:00Z"), Date.parse("2026-10-25T01:00:00Z")];
    provider.publishedUntil = today - 3 * 86_400_000;
    provider.qualities.set(first, "A03").set(second, "A02");
    const id = await world.collecting(credentials());
    const before = await storedOf(id, ids[0]!, "hour");
    expect(before).toEqual(provider.truth(ids[0]!, "hour", lastFive));
    expect(before.map(([start]) => start)).not.toContain(second);
    provider.publishedUntil = today;
    provider.qualities.clear();
    provider.corrections.set(first, 1_234);
    await world.runAgain(id);
    const after = provider.truth(ids[0]!, "hour", lastFive);
    expect(after.length).toBe(before.length + 1 + 3 * 24);
    expect(await storedOf(id, ids[0]!, "hour")).toEqual(after);
    expect((await world.lastRun(id)).counts.replaced).toBe(1);
  });

  test("hours that are not there are no zeros", async () => {
    provider.missing.add(Date.parse("2026-10-26T05:00:00Z"));
    const id = await world.collecting(credentials());
    const truth = provider.truth(ids[0]!, "hour", lastFive);
    expect(truth.length).toBe(10 * 24);
    expect(await storedOf(id, ids[0]!, "hour")).toEqual(truth);
  });
});

describe("metering points", () => {
  test("are found with address, customer and the first day, children that hold energy included", async () => {
    const children = [
      hours(ids[1]!, { typeOfMP: "D14" }),
      hours(ids[2]!, { typeOfMP: "D06" }),
      hours(ids[3]!, { typeOfMP: "D02" }),
    ];
    provider.points = [
      hours(ids[0]!, { children, more: { roomId: null } }),
      hours(ids[4]!, { typeOfMP: "E18" }),
    ];
    const id = await world.begin(credentials());
    await world.runAll();
    const found = await world.sourcesOf(id);
    expect([...found.keys()]).toEqual([ids[0], ids[1], ids[2], ids[4]]);
    const meters = await Promise.all(
      [...found.values()].map((meter) => world.ask("GET", `/meters/${meter}`)),
    );
    expect(meters.map(({ representation, name }) => [representation, name])).toEqual([
      ["consumption", "Forbrug"],
      ["consumption", "Elvarme"],
      ["production", "Leveret til net"],
      ["production", "Produktion"],
    ]);
    expect(meters[0]).toMatchObject({
      ean: ids[0],
      address: "Vestergade 1A, 2., 1450 København K",
      timezone: zone,
    });
  });

  test("that are refused leave the others alone", async () => {
    provider.points = ids.slice(0, 3).map((id) => hours(id));
    provider.errors.set(ids[1]!, 30006);
    const id = await world.collecting(credentials());
    expect(await world.connection(id)).toMatchObject({ state: "collecting" });
    expect(await storedOf(id, ids[2]!, "hour")).toEqual(provider.truth(ids[2]!, "hour", lastFive));
    expect(await storedOf(id, ids[1]!, "hour")).toEqual([]);
  });

  test("are asked for one by one when a question for several is refused", async () => {
    provider.points = ids.slice(0, 3).map((id) => hours(id));
    const id = await world.begin(credentials());
    await world.runAll();
    for (const meter of (await world.sourcesOf(id)).values())
      await world.ask("PUT", `/meters/${meter}`, { box: "active" });
    provider.fail(/gettimeseries/, {
      status: 400,
      json: { title: "Bad Request", detail: "[30006] Access denied" },
    });
    await world.runAll();
    expect(await storedOf(id, ids[0]!, "hour")).toEqual(provider.truth(ids[0]!, "hour", lastFive));
  });
});

describe("a third party", () => {
  test("collects what customers gave it powers of attorney for, and only the days of these", async () => {
    const more = { accessFrom: "2026-10-24", accessTo: "2028-01-01" };
    provider.points = ids.slice(0, 4).map((id) => hours(id, { more }));
    provider.points[1]!.more = { accessFrom: "2026-09-01", accessTo: "2026-10-27" };
    provider.authorizations = new Map([
      ["1b2c", [ids[0]!, ids[1]!]],
      ["3d4e", [ids[1]!, ids[2]!]],
    ]);
    const id = await world.collecting({ token: provider.thirdPartyToken });
    expect(await world.connection(id)).toMatchObject({ state: "collecting", failure: null });
    expect([...(await world.sourcesOf(id)).keys()]).toEqual(ids.slice(0, 3));
    const [since, until] = [Date.parse("2026-10-23T22:00:00Z"), Date.parse("2026-10-27T23:00:00Z")];
    const truth = provider.truth(ids[0]!, "hour", lastFive);
    expect(await storedOf(id, ids[0]!, "hour")).toEqual(truth.filter(([start]) => start >= since));
    const second = provider.truth(ids[1]!, "hour", lastFive);
    expect(await storedOf(id, ids[1]!, "hour")).toEqual(second.filter(([start]) => start < until));
  });
});

describe("tokens", () => {
  test("are made once a day, and anew when one has ended half-way", async () => {
    const before = provider.tokens;
    const id = await world.collecting(credentials());
    expect(provider.tokens).toBe(before + 1);
    provider.endTokens();
    await world.runAgain(id);
    expect(await world.connection(id)).toMatchObject({ state: "collecting", failure: null });
    expect(provider.tokens).toBe(before + 2);
  });

  test("that are refused are sent once", async () => {
    const id = await world.begin({ token: "wrong" });
    await world.runAll();
    expect(await world.connection(id)).toMatchObject({
      state: "credentials_refused",
      failure: "credentials",
    });
    await world.runAgain(id);
    expect(provider.heard.length).toBe(1);
  });

  test("that have run out are not sent", async () => {
    const claims = Buffer.from(JSON.stringify({ exp: now / 1000 - 60 })).toString("base64url");
    const id = await world.begin({ token: `e30.${claims}.x` });
    await world.runAll();
    expect(await world.connection(id)).toMatchObject({ failure: "credentials" });
    expect(provider.heard).toEqual([]);
  });

  test("with blanks are not taken", async () => {
    await expect(world.begin({ token: "a b" })).rejects.toThrow("must be a token");
  });
});

describe("what stands in the way", () => {
  test.each([
    ["429 for long", { status: 429, headers: { "retry-after": "900" } }, "busy"],
    ["503", { status: 503 }, "unreachable"],
    ["500", { status: 500 }, "unreachable"],
    ["its own error", { status: 400, json: "[10003] Internal error" }, "unreachable"],
    ["another page", { text: "<!doctype html>" }, "changed"],
    ["an error that is not documented", { status: 400, json: "[12345] Something" }, "changed"],
    ["another list", { json: { result: [{ meteringPointId: "1" }] } }, "changed"],
    ["a list without a kind", { json: { result: [{ meteringPointId: "5".repeat(18) }] } }, "changed"],
  ])("%s in the place of the list", async (_, told, failure) => {
    provider.fail(/meteringpoints/, told, 10);
    const id = await world.begin(credentials());
    await world.runAll();
    expect(await world.connection(id)).toMatchObject({ failure });
    expect((await world.sourcesOf(id)).size).toBe(0);
  });

  test.each([
    ["an unknown quality", (text: string) => text.replace('"A04"}', '"A99"}')],
    ["an unknown unit", (text: string) => text.replace("KWH", "BTU")],
    ["an unknown resolution", (text: string) => text.replace("PT1H", "PT7M")],
    ["an unknown business type", (text: string) => text.replace('businessType":"A04', 'businessType":"A77')],
    ["a decimal comma", (text: string) => text.replace(/quantity":"(\d+)\./, 'quantity":"$1,')],
    ["a number in the place of a text", (text: string) => text.replace('"position":"1"', '"position":1')],
    [
      "a day that ends within an hour",
      (text: string) => text.replace(/T23:00:00Z"},"Point"/, 'T23:30:00Z"},"Point"'),
    ],
    ["a position beyond the day", (text: string) => text.replace('"position":"24"', '"position":"26"')],
    ["no time of the document", (text: string) => text.replace("createdDateTime", "created")],
    ["a metering point of others", (text: string) => text.replaceAll(ids[1]!, "9".repeat(18))],
    ["an unknown error", (text: string) => text.replace('"success":true', '"success":false')],
  ])("%s: nothing of that answer is stored", async (_, change) => {
    provider.points = ids.slice(0, 2).map((id) => hours(id));
    const id = await world.begin(credentials());
    await world.runAll();
    for (const meter of (await world.sourcesOf(id)).values())
      await world.ask("PUT", `/meters/${meter}`, { box: "active" });
    provider.distort = change;
    await world.runAll();
    provider.distort = undefined;
    expect(await world.connection(id)).toMatchObject({ failure: "changed", state: "page_changed" });
    for (const key of ids.slice(0, 2)) expect(await storedOf(id, key, "hour")).toEqual([]);
  });
});
