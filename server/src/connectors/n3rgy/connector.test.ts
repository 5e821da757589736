import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type ProviderWorld, providerWorld } from "../../../../test/harness/provider.ts";
import { n3rgyAt } from "./connector.ts";
import {
  credentials,
  type EmulatedDevice,
  type EmulatedProperty,
  halfHours,
  type N3rgyEmulator,
  n3rgyEmulator,
} from "./harness.ts";

const now = Date.parse("2026-11-01T12:00:00Z");
const from = "2026-03-20T00:00:00Z";
const to = "2026-11-01T00:00:00Z";
let n3rgy: N3rgyEmulator;
let world: ProviderWorld;
beforeAll(async () => {
  n3rgy = await n3rgyEmulator();
  // As far back as the tests have values.
  world = await providerWorld({ ...n3rgyAt(n3rgy.url), historyDays: 260 }, now);
});
afterAll(async () => {
  await world.close();
  await n3rgy.close();
});
beforeEach(async () => {
  await world.rest();
  n3rgy.mend();
  const cache = { cacheFrom: Date.parse(from), cacheTo: Date.parse(to) };
  Object.assign(n3rgy, { properties: [], gasUnit: "m3", ...cache });
});

let count = 0;
/** A property with numbers of its own for each test: they share an account. */
function property(devices: EmulatedDevice[]): EmulatedProperty & { mpan: string; mprn: string } {
  count++;
  const mpan = String(1_000_000_000_000 + count);
  const mprn = String(3_000_000_000 + count);
  const made = { numbers: [mprn, mpan], devices, hasConsent: true };
  n3rgy.properties.push(made);
  return { ...made, mpan, mprn };
}

const device = (parts: Partial<EmulatedDevice> = {}): EmulatedDevice => ({
  id: `00-00-00-00-00-00-${String(count).padStart(2, "0")}-01`,
  utility: "electricity",
  type: "consumption",
  values: halfHours(from, to),
  ...parts,
});

async function stored(id: string, key: string, metric = "energy") {
  const meterId = (await world.sourcesOf(id)).get(key);
  if (meterId === undefined) throw new Error(`${key} was not found`);
  const span = { from: Date.parse(from) - 86_400_000, to: now };
  return world.stored(meterId, { metric, granularity: "30min", zone: "Europe/London", ...span });
}

describe("values are those that the meters sent", () => {
  test("over both nights when clocks change, of all properties with consent, each meter once", async () => {
    const gas = device({ utility: "gas", values: halfHours(from, to, 2), id: "gas-1" });
    const exported = device({ type: "production", values: halfHours(from, to, 3) });
    const one = property([device(), exported, gas]);
    const other = property([device({ id: "e-2", values: halfHours(from, to, 5) })]);
    const id = await world.collecting(credentials);
    expect(await world.connection(id)).toMatchObject({ state: "collecting", failure: null });
    expect([...(await world.sourcesOf(id)).keys()].sort()).toEqual([
      `electricity/consumption/${one.mpan}`,
      `electricity/consumption/${other.mpan}`,
      `electricity/production/${one.mpan}`,
      `gas/consumption/${one.mprn}`,
    ]);
    expect(await stored(id, `electricity/consumption/${one.mpan}`)).toEqual([...one.devices[0]!.values]);
    expect(await stored(id, `electricity/consumption/${other.mpan}`)).toEqual([...other.devices[0]!.values]);
    expect(await stored(id, `electricity/production/${one.mpan}`)).toEqual([...exported.values]);
    expect(await stored(id, `gas/consumption/${one.mprn}`, "flow")).toEqual([...gas.values]);
    const meters = await world.ask("GET", "/meters?limit=300");
    const shown = (ean: string) => meters.filter((each: { ean: string }) => each.ean === ean);
    expect(shown(one.mpan)).toMatchObject([{ type: "electricity", representation: "consumption" }]);
    expect(shown(one.mprn)).toMatchObject([{ type: "gas" }]);
  });

  test("nothing is asked for before what n3rgy has", async () => {
    n3rgy.cacheFrom = Date.parse("2026-09-15T10:00:00Z");
    const one = property([device()]);
    const id = await world.collecting({ ...credentials, mpxn: one.mpan });
    const kept = [...one.devices[0]!.values].filter(([start]) => start >= n3rgy.cacheFrom);
    expect(await stored(id, `electricity/consumption/${one.mpan}`)).toEqual(kept);
  });

  test("gas in kWh is energy", async () => {
    n3rgy.gasUnit = "kWh";
    const one = property([device({ utility: "gas" })]);
    const id = await world.collecting({ ...credentials, mpxn: one.mpan });
    // Only the number of the electricity was named: it leads to the gas, whose own number is not known.
    expect(await stored(id, `gas/consumption/${one.mpan}`)).toEqual([...one.devices[0]!.values]);
  });

  test("a device is exchanged: one goes on where the other ends", async () => {
    const change = "2026-10-10T09:30:00Z";
    const before = halfHours(from, change);
    const after = halfHours(change, to, 7);
    const one = property([device({ id: "old", values: before }), device({ id: "new", values: after })]);
    const id = await world.collecting({ ...credentials, mpxn: one.mpan });
    expect(await stored(id, `electricity/consumption/${one.mpan}`)).toEqual([...before, ...after]);
  });

  test("two elements are added; what the meter does not know is left out", async () => {
    const values = new Map<number, number | "invalid value">(halfHours(from, to));
    const [first, second] = [...values.keys()].slice(-2);
    values.set(first!, "invalid value");
    values.set(second!, 0.1);
    const electricity = device({ values, second: new Map([[second!, 0.2]]) });
    const litres = new Map(halfHours(from, to));
    litres.set(first!, 16_777.215);
    const one = property([electricity, device({ utility: "gas", values: litres, id: "gas-9" })]);
    const id = await world.collecting({ ...credentials, mpxn: `${one.mpan}, ${one.mprn}` });
    const got = await stored(id, `electricity/consumption/${one.mpan}`);
    expect(got.at(-1)).toEqual([second, 0.3]);
    expect(got.some(([start]) => start === first)).toBe(false);
    const gas = await stored(id, `gas/consumption/${one.mpan}`, "flow");
    expect(gas.length).toBe(litres.size - 1);
    expect(gas.some(([start]) => start === first)).toBe(false);
  });

  test("late and corrected values are read again", async () => {
    n3rgy.cacheTo = Date.parse("2026-10-30T00:00:00Z");
    const one = property([device()]);
    const id = await world.collecting({ ...credentials, mpxn: one.mpan });
    n3rgy.cacheTo = Date.parse(to);
    const { values } = one.devices[0]!;
    values.set(Date.parse("2026-10-28T12:00:00Z"), 9.999);
    await world.runAgain(id);
    expect(await stored(id, `electricity/consumption/${one.mpan}`)).toEqual([...values]);
    expect((await world.lastRun(id)).counts.replaced).toBe(1);
  });

  test("keys stay when another number gives consent", async () => {
    const one = property([device({ utility: "gas" })]);
    const id = await world.collecting({ ...credentials, mpxn: one.mpan });
    const before = await world.sourcesOf(id);
    await world.ask("PUT", `/connections/${id}`, {
      credentials: { api_key: "********", mpxn: `${one.mpan},${one.mprn}` },
    });
    await world.runAll();
    expect(await world.sourcesOf(id)).toEqual(before);
    const [meterId] = before.values();
    expect(await world.ask("GET", `/meters/${meterId}`)).toMatchObject({ ean: one.mprn });

    const other = property([device({ utility: "gas", id: "k-2" })]);
    n3rgy.properties = n3rgy.properties.slice(1);
    n3rgy.properties[0]!.numbers = [other.mpan];
    const all = await world.collecting(credentials);
    const first = await world.sourcesOf(all);
    expect([...first.keys()]).toEqual([`gas/consumption/${other.mpan}`]);
    n3rgy.properties[0]!.numbers = [other.mprn, other.mpan];
    await world.runAgain(all);
    expect(await world.sourcesOf(all)).toEqual(first);
  });
});

describe("what stands in the way is told as what it is", () => {
  test("a key that is refused is sent once", async () => {
    const id = await world.begin({ api_key: "another" });
    await world.runAll();
    expect(await world.connection(id)).toMatchObject({
      failure: "credentials",
      state: "credentials_refused",
    });
    await world.runAgain(id);
    expect(n3rgy.heard.length).toBe(1);
  });

  test("without any consent, and when it is withdrawn", async () => {
    const one = property([device()]);
    n3rgy.properties[0]!.hasConsent = false;
    const id = await world.begin({ ...credentials, mpxn: one.mpan });
    await world.runAll();
    expect(await world.connection(id)).toMatchObject({ failure: "consent", state: "consent_expired" });
    n3rgy.properties[0]!.hasConsent = true;
    const collecting = await world.collecting({ ...credentials, mpxn: one.mpan });
    n3rgy.properties[0]!.hasConsent = false;
    await world.runAgain(collecting);
    expect(await world.connection(collecting)).toMatchObject({ failure: "consent" });
  });

  test("one property without consent does not keep the others", async () => {
    const one = property([device({ id: "x-1" })]);
    const other = property([device({ id: "x-2" })]);
    n3rgy.properties[0]!.hasConsent = false;
    const id = await world.collecting({ ...credentials, mpxn: `${one.mpan},${other.mpan}` });
    expect(await world.connection(id)).toMatchObject({ failure: null });
    expect(await stored(id, `electricity/consumption/${other.mpan}`)).toEqual([...other.devices[0]!.values]);
  });

  test.each([
    ["too many requests", { status: 429, headers: { "retry-after": "600" } }, "busy"],
    ["an error", { status: 500, text: "" }, "unreachable"],
    ["a page", { text: "<!doctype html>" }, "changed"],
    ["another status", { status: 400, json: { message: "?" } }, "changed"],
    ["another list", { json: { total: "1", entries: [] } }, "changed"],
  ])("%s at the list", async (_, told, failure) => {
    n3rgy.fail(/^\/$/, told);
    const id = await world.begin(credentials);
    await world.runAll();
    expect(await world.connection(id)).toMatchObject({ failure });
    expect((await world.sourcesOf(id)).size).toBe(0);
  });

  const reading = { timestamp: "2026-10-20 10:00", primaryValue: 0.5 };
  const page = (values: object[], more: object = {}) => ({
    json: { granularity: "halfhour", unit: "kWh", devices: [{ deviceId: "1", values }], ...more },
  });
  test.each([
    ["a value as text", page([{ ...reading, primaryValue: "0.5" }])],
    ["no time", page([{ primaryValue: 0.5 }])],
    ["another time", page([{ ...reading, timestamp: "2026-10-20T10:00:00Z" }])],
    ["minutes that end no half-hour", page([{ ...reading, timestamp: "2026-10-20 10:10" }])],
    ["another unit", page([reading], { unit: "Wh" })],
    ["no unit", page([reading], { unit: undefined })],
    ["m3 of electricity", page([reading], { unit: "m3" })],
    ["a value with another unit", page([{ ...reading, unit: "kVArh" }])],
    ["values of a phase", page([{ ...reading, type: "Q1" }])],
    ["days", page([reading], { granularity: "day" })],
    ["two values of one half-hour", page([reading, { ...reading, primaryValue: 1 }])],
    ["no devices", page([], { devices: undefined })],
  ])("%s among the readings is changed, and nothing is stored", async (_, told) => {
    const one = property([device()]);
    n3rgy.fail(/readingtype/, told, 1_000);
    const id = await world.collecting({ ...credentials, mpxn: one.mpan });
    expect(await world.connection(id)).toMatchObject({ failure: "changed", state: "page_changed" });
    expect(await stored(id, `electricity/consumption/${one.mpan}`)).toEqual([]);
  });

  test("a unit that changes is not guessed at", async () => {
    const one = property([device({ utility: "gas" })]);
    const id = await world.collecting({ ...credentials, mpxn: one.mprn });
    const before = await stored(id, `gas/consumption/${one.mprn}`, "flow");
    n3rgy.fail(/start|readingtype/, page([reading], { unit: "m3" }));
    n3rgy.gasUnit = "kWh";
    await world.runAgain(id);
    expect(await world.connection(id)).toMatchObject({ failure: "changed" });
    expect(await stored(id, `gas/consumption/${one.mprn}`, "flow")).toEqual(before);
  });
});
