import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type ProviderWorld, providerWorld } from "../../../../test/harness/provider.ts";
import { octopusAt } from "./connector.ts";
import {
  credentials,
  type EmulatedPoint,
  halfHours,
  type OctopusEmulator,
  octopusEmulator,
} from "./harness.ts";

const now = Date.parse("2026-11-01T12:00:00Z");
const from = "2026-03-20T00:00:00Z";
const to = "2026-11-01T00:00:00Z";
let octopus: OctopusEmulator;
let world: ProviderWorld;
beforeAll(async () => {
  octopus = await octopusEmulator();
  world = await providerWorld(octopusAt(octopus.url), now);
});
afterAll(async () => {
  await world.close();
  await octopus.close();
});
beforeEach(async () => {
  await world.rest();
  octopus.mend();
  Object.assign(octopus, { points: [], movedIn: from, movedOut: null, pageMax: 1_000 });
});

let count = 0;
/** A point of its own for each test: they share an account. */
function point(parts: Partial<EmulatedPoint> & Pick<EmulatedPoint, "meters">): EmulatedPoint {
  count++;
  const fuel = parts.fuel ?? "electricity";
  const number = fuel === "gas" ? String(3_000_000_000 + count) : String(1_000_000_000_000 + count);
  const made = { fuel, number, ...parts };
  octopus.points.push(made);
  return made;
}

const stored = async (id: string, { fuel, number }: EmulatedPoint, metric = "energy") =>
  world.stored((await world.sourcesOf(id)).get(`${fuel}/${number}`)!, {
    metric,
    granularity: "30min",
    zone: "Europe/London",
    from: Date.parse(from),
    to: now,
  });

describe("values are those that the company published", () => {
  test("over both nights when clocks change, over pages, of electricity, export and gas", async () => {
    const electricity = point({ meters: [{ serial: "19L0000001", values: halfHours(from, to) }] });
    const exported = point({
      isExport: true,
      meters: [{ serial: "19L0000001", values: halfHours(from, to, 2) }],
    });
    const gas = point({ fuel: "gas", meters: [{ serial: "G4A00001", values: halfHours(from, to, 3) }] });
    const id = await world.collecting(credentials);
    expect(await world.connection(id)).toMatchObject({ state: "collecting", failure: null });
    expect(await stored(id, electricity)).toEqual([...electricity.meters[0]!.values]);
    expect(await stored(id, exported)).toEqual([...exported.meters[0]!.values]);
    expect(await stored(id, gas, "flow")).toEqual([...gas.meters[0]!.values]);
    expect(await stored(id, gas, "energy")).toEqual([]);
    const paged = octopus.heard.filter(({ query }) => query.get("page") !== null);
    expect(paged.length).toBeGreaterThan(0);
    const meters = await world.ask("GET", "/meters?limit=300");
    const shown = (number: string) => meters.find(({ ean }: { ean: string }) => ean === number);
    expect(shown(exported.number)).toMatchObject({ representation: "production", type: "electricity" });
    expect(shown(gas.number)).toMatchObject({ type: "gas", address: "10 Downing Street, LONDON, SW1A 2AA" });
  });

  test("a meter is exchanged: one goes on where the other ends, in one series", async () => {
    const change = "2026-10-10T09:30:00Z";
    const before = halfHours(from, change);
    const after = halfHours(change, to, 5);
    // The new one stood still on the day before.
    const still = [...halfHours("2026-10-10T00:00:00Z", change).keys()].map((start): [number, number] => [
      start,
      0,
    ]);
    const exchanged = point({
      meters: [
        { serial: "OLD1", values: before },
        { serial: "", values: new Map() },
        { serial: "NEW1", values: new Map([...still, ...after]) },
      ],
    });
    const id = await world.collecting(credentials);
    expect(await stored(id, exchanged)).toEqual([...before, ...after]);
  });

  test("two meters that contradict each other leave a gap, which is told", async () => {
    const values = halfHours(from, to);
    const at = Date.parse("2026-10-20T10:00:00Z");
    const other = new Map([[at, 99.5]]);
    const twice = point({
      meters: [
        { serial: "A1", values },
        { serial: "B1", values: other },
      ],
    });
    const id = await world.collecting(credentials);
    expect(await stored(id, twice)).toEqual([...values].filter(([start]) => start !== at));
    const runs = await world.ask("GET", `/connections/${id}/runs`);
    const steps = runs.flatMap(({ steps }: { steps: object[] }) => steps);
    expect(steps).toContainEqual(expect.objectContaining({ name: "left out", counts: { half_hours: 1 } }));
  });

  test("the unit of gas is what the customer says, for each meter", async () => {
    const old = halfHours(from, "2026-08-01T00:00:00Z");
    const later = halfHours("2026-08-01T00:00:00Z", to, 7);
    const gas = point({
      fuel: "gas",
      meters: [
        { serial: "e6s1", values: old },
        { serial: "G4A2", values: later },
      ],
    });
    const id = await world.collecting({ ...credentials, gas_unit_by_meter: "E6S1=kWh, X=m3" });
    expect(await stored(id, gas, "energy")).toEqual([...old]);
    expect(await stored(id, gas, "flow")).toEqual([...later]);
  });

  test("gas of an unknown unit is found, and not collected", async () => {
    const gas = point({ fuel: "gas", meters: [{ serial: "G4A3", values: halfHours(from, to) }] });
    const id = await world.collecting({ ...credentials, gas_unit: "none" });
    expect((await world.sourcesOf(id)).size).toBe(1);
    expect(await stored(id, gas, "flow")).toEqual([]);
    expect(octopus.heard.some(({ path }) => path.includes("consumption"))).toBe(false);
  });

  test("late and corrected values are read again", async () => {
    const values = halfHours(from, to);
    const late = [...values.keys()].slice(-60);
    const shown = new Map([...values].filter(([start]) => !late.includes(start)));
    const corrected = point({ meters: [{ serial: "C1", values: shown }] });
    const id = await world.collecting(credentials);
    expect(await stored(id, corrected)).toEqual([...shown]);
    const wrong = [...shown.keys()].at(-100)!;
    corrected.meters[0]!.values = new Map([...values, [wrong, 12.345]]);
    await world.runAgain(id);
    expect(await stored(id, corrected)).toEqual([...corrected.meters[0]!.values]);
    expect((await world.lastRun(id)).counts.replaced).toBe(1);
  });

  test("a meter that is not theirs any more brings nothing, the others do", async () => {
    const values = halfHours(from, to);
    const gone = point({
      meters: [
        { serial: "GONE", values: new Map() },
        { serial: "HERE", values },
      ],
    });
    octopus.fail(/GONE/, { status: 404, json: { detail: "Not found." } }, 1_000);
    const id = await world.collecting(credentials);
    expect(await stored(id, gone)).toEqual([...values]);
  });

  test("nothing is asked for before the customer moved in, and after they left", async () => {
    octopus.movedIn = "2026-10-01T00:00:00+01:00";
    octopus.movedOut = "2026-10-25T00:00:00+01:00";
    const left = point({ meters: [{ serial: "L1", values: halfHours(from, to) }] });
    const id = await world.collecting(credentials);
    const values = await stored(id, left);
    expect(values).toEqual([...halfHours("2026-09-30T23:00:00Z", "2026-10-24T23:00:00Z")]);
  });
});

describe("what stands in the way is told as what it is", () => {
  test("a key that is refused is sent once", async () => {
    point({ meters: [{ serial: "K1", values: halfHours(from, to) }] });
    const id = await world.begin({ ...credentials, api_key: "sk_live_wrong" });
    await world.runAll();
    expect(await world.connection(id)).toMatchObject({
      failure: "credentials",
      state: "credentials_refused",
    });
    expect(octopus.heard.length).toBe(1);
    await world.runAgain(id);
    expect(octopus.heard.length).toBe(1);
  });

  test.each([
    ["another account", { status: 403, json: { detail: "Unauthorized." } }, "credentials"],
    ["an account that is not there", { status: 404, json: { detail: "Not found." } }, "credentials"],
    ["too many requests", { status: 429, headers: { "retry-after": "600" } }, "busy"],
    ["an error", { status: 502, text: "Bad gateway" }, "unreachable"],
    ["a page", { text: "<!doctype html>" }, "changed"],
    ["another status", { status: 418 }, "changed"],
    ["a redirect", { status: 302, headers: { location: "https://octopus.energy/" } }, "changed"],
    ["no properties", { json: { number: "A-1" } }, "changed"],
    ["a number in the place of a text", { json: { number: 1, properties: [] } }, "changed"],
  ])("%s at the account", async (_, told, failure) => {
    octopus.fail(/accounts/, told);
    const id = await world.begin(credentials);
    await world.runAll();
    expect(await world.connection(id)).toMatchObject({ failure });
    expect((await world.sourcesOf(id)).size).toBe(0);
  });

  const result = {
    consumption: 0.5,
    interval_start: "2026-10-25T01:30:00+01:00",
    interval_end: "2026-10-25T01:00:00Z",
  };
  const page = (results: unknown, next: unknown = null) => ({
    json: { count: 1, next, previous: null, results },
  });
  test.each([
    ["a value as text", page([{ ...result, consumption: "0.5" }])],
    ["a value without its end", page([{ ...result, interval_end: undefined }])],
    ["an hour", page([{ ...result, interval_end: "2026-10-25T01:30:00Z" }])],
    ["no offset", page([{ ...result, interval_start: "2026-10-25T01:30:00" }])],
    [
      "minutes that are none of a half-hour",
      page([
        { ...result, interval_start: "2026-10-25T01:31:00+01:00", interval_end: "2026-10-25T01:01:00Z" },
      ]),
    ],
    ["two values of one half-hour", page([result, { ...result, consumption: 1 }])],
    ["no results", { json: { count: 0, next: null } }],
    ["a next page elsewhere", page([], "https://example.com/v1/")],
    ["another status", { status: 400, json: { detail: "period_from" } }],
  ])("%s among the values is changed, and nothing is stored", async (_, told) => {
    const meter = point({ meters: [{ serial: "W1", values: halfHours(from, to) }] });
    octopus.fail(/consumption/, told, 1_000);
    const id = await world.collecting(credentials);
    expect(await world.connection(id)).toMatchObject({ failure: "changed", state: "page_changed" });
    expect(await stored(id, meter)).toEqual([]);
  });

  test("the key is withdrawn half-way: what came before stays", async () => {
    const meter = point({ meters: [{ serial: "H1", values: halfHours(from, to) }] });
    const id = await world.collecting(credentials);
    octopus.fail(/consumption/, { status: 401, json: { detail: "Invalid API key." } });
    await world.runAgain(id);
    expect(await world.connection(id)).toMatchObject({ failure: "credentials" });
    expect(await stored(id, meter)).toEqual([...meter.meters[0]!.values]);
  });

  test("a customer who left is over, a while after that was seen", async () => {
    octopus.movedOut = "2026-10-25T00:00:00+01:00";
    point({ meters: [{ serial: "O1", values: halfHours(from, to) }] });
    const id = await world.begin(credentials);
    await world.runAll();
    expect(await world.connection(id)).toMatchObject({ failure: null });
    world.api.clock.advance(36 * 86_400_000);
    await world.runAll();
    expect(await world.connection(id)).toMatchObject({ failure: "ended", state: "contract_ended" });
  });
});
