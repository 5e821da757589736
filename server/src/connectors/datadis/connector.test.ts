import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type ProviderWorld, providerWorld } from "../../../../test/harness/provider.ts";
import { datadisAt } from "./connector.ts";
import { credentials, curve, type DatadisEmulator, datadisEmulator, type EmulatedSupply } from "./harness.ts";

const day = 86_400_000;
const begin = Date.parse("2026-11-02T12:00:00Z");
/** Midnights of Madrid: both nights when clocks change lie between. */
const from = "2025-01-31T23:00:00Z";
const to = "2026-10-30T23:00:00Z";
let datadis: DatadisEmulator;
let world: ProviderWorld;
beforeAll(async () => {
  datadis = await datadisEmulator(() => world.api.clock.now());
  world = await providerWorld(datadisAt(datadis.url), begin);
});
afterAll(async () => {
  await world.close();
  await datadis.close();
});
beforeEach(async () => {
  await world.rest();
  datadis.mend();
  datadis.asked.clear();
  Object.assign(datadis, { supplies: [], tokensFrom: 0, failing: [], password: credentials.password });
});

let count = 0;
/** A supply of its own for each test: they share an account. */
function supply(parts: Partial<EmulatedSupply> = {}): EmulatedSupply {
  count++;
  const made = {
    cups: `ES00310000000000${String(count).padStart(2, "0")}AA0F`,
    hours: curve(from, to),
    ...parts,
  };
  datadis.supplies.push(made);
  return made;
}

async function stored(
  id: string,
  key: string,
  granularity: "hour" | "15min" = "hour",
  zone = "Europe/Madrid",
) {
  const meterId = (await world.sourcesOf(id)).get(key);
  if (meterId === undefined) throw new Error(`${key} was not found`);
  const span = { from: Date.parse(from) - day, to: begin };
  return world.stored(meterId, { metric: "energy", granularity, zone, ...span });
}

const questions = () => datadis.heard.filter(({ path }) => path.endsWith("get-consumption-data-v2"));
const logins = () => datadis.heard.filter(({ path }) => path.includes("login"));

describe("values are those that the distributors published", () => {
  test("over years and both nights when clocks change, with a surplus, each month asked for once", async () => {
    const surplus = curve(from, to, { seed: 3 });
    const one = supply({ surplus });
    const id = await world.collecting(credentials);
    expect(await world.connection(id)).toMatchObject({ state: "collecting", failure: null });
    expect(await stored(id, one.cups)).toEqual([...one.hours]);
    expect(await stored(id, `${one.cups}/surplus`)).toEqual([...surplus]);
    const months = questions().map(({ query }) => query.get("startDate"));
    expect(months.length).toBe(new Set(months).size);
    expect(logins().length).toBe(1);
    const meters = await world.ask("GET", "/meters?limit=300");
    const those = meters.filter(({ ean }: { ean: string }) => ean === one.cups);
    expect(those.map((each: { representation: string }) => each.representation).sort()).toEqual([
      "consumption",
      "production",
    ]);
  });

  test("quarters of a large supply, beside its hours", async () => {
    const quarters = curve("2026-06-30T22:00:00Z", to, { granularity: "15min" });
    const hours = curve("2026-06-30T22:00:00Z", to, { seed: 5 });
    const one = supply({ pointType: 2, quarters, hours, validDateFrom: "2026/07/01" });
    const id = await world.collecting(credentials);
    expect(await stored(id, one.cups, "15min")).toEqual([...quarters]);
    expect(await stored(id, one.cups)).toEqual([...hours]);
  });

  test("the first month of a supply is refused by Datadis, the others come", async () => {
    const one = supply({ validDateFrom: "2026/08/15" });
    const id = await world.collecting(credentials);
    expect(await world.connection(id)).toMatchObject({ failure: null });
    const kept = [...one.hours].filter(([start]) => start >= Date.parse("2026-08-31T22:00:00Z"));
    expect(await stored(id, one.cups)).toEqual(kept);
  });

  test("supplies of somebody who has authorized the user", async () => {
    const one = supply({ nif: "B12345678", method: "Estimada" });
    const id = await world.collecting({ ...credentials, authorized_nif: "B12345678" });
    expect(await stored(id, one.cups)).toEqual([...one.hours]);
  });

  test("on the Canary Islands only by the clock that the customer names", async () => {
    const one = supply({ postalCode: "35001" });
    const without = await world.collecting(credentials);
    expect(await stored(without, one.cups)).toEqual([]);
    expect(questions().length).toBe(0);
    datadis.zone = "Atlantic/Canary";
    const two = supply({ postalCode: "38001" });
    const id = await world.collecting({ ...credentials, canary_clock: "Atlantic/Canary" });
    datadis.zone = "Europe/Madrid";
    // The last hour of the curve ends in the islands' day that is not over in it.
    expect(await stored(id, two.cups, "hour", "Atlantic/Canary")).toEqual([...two.hours]);
  });
});

describe("a question is put once in 24 hours", () => {
  test("a run again asks nothing, a day later corrections and late values come", async () => {
    const shown = curve(from, "2026-10-28T23:00:00Z");
    const one = supply({ hours: shown });
    const id = await world.collecting(credentials);
    datadis.heard.length = 0;
    await world.runAgain(id);
    expect(await world.connection(id)).toMatchObject({ failure: null });
    expect(questions().length).toBe(0);
    one.hours = new Map([...curve(from, to), [Date.parse("2026-10-05T10:00:00Z"), 9.876]]);
    world.api.clock.advance(day + 3_600_000);
    await world.runAll();
    expect(await stored(id, one.cups)).toEqual([...one.hours]);
    const refused = questions().map(({ query }) => query.get("startDate"));
    expect(refused).toEqual([...new Set(refused)]);
  });

  test("a month whose answer was lost stays open until it may be asked for again", async () => {
    const one = supply();
    datadis.fail(/consumption/, { status: 502, text: "" });
    const id = await world.collecting(credentials);
    expect(await world.connection(id)).toMatchObject({ failure: "unreachable" });
    const lost = questions()[0]!.query.get("startDate");
    expect(lost).toBe("2026/11");
    // Others of the run came all the same.
    expect((await stored(id, one.cups)).length).toBeGreaterThan(700);
    world.api.clock.advance(3_600_000);
    await world.runAll();
    expect(await world.connection(id)).toMatchObject({ failure: "busy", state: "provider_unreachable" });
    world.api.clock.advance(day);
    await world.runAll();
    expect(await world.connection(id)).toMatchObject({ failure: null });
    expect(await stored(id, one.cups)).toEqual([...one.hours]);
    expect(questions().every(({ query }) => query.get("measurementType") === "0")).toBe(true);
  });

  test("somebody else has asked: that month follows a day later, the others come", async () => {
    const one = supply();
    datadis.fail(/consumption/, { status: 429, text: "Consulta ya realizada en las últimas 24 horas." });
    const id = await world.collecting(credentials);
    expect(await world.connection(id)).toMatchObject({ failure: "busy" });
    world.api.clock.advance(day + 7_200_000);
    await world.runAll();
    expect(await stored(id, one.cups)).toEqual([...one.hours]);
  });

  test("a surplus that is accepted later is not thought to be answered", async () => {
    const surplus = curve(from, to, { seed: 7 });
    const one = supply({ surplus });
    const id = await world.begin(credentials);
    await world.runAll();
    const found = await world.sourcesOf(id);
    await world.ask("PUT", `/meters/${found.get(one.cups)!}`, { box: "active" });
    await world.runAll();
    await world.ask("PUT", `/meters/${found.get(`${one.cups}/surplus`)!}`, { box: "active" });
    await world.runAgain(id);
    expect(await world.connection(id)).toMatchObject({ failure: "busy" });
    for (let days = 0; days < 2; days++) {
      world.api.clock.advance(day + 7_200_000);
      await world.runAll();
    }
    expect(await stored(id, `${one.cups}/surplus`)).toEqual([...surplus]);
  });
});

describe("what stands in the way is told as what it is", () => {
  test("a password that is refused is sent once", async () => {
    const id = await world.begin({ ...credentials, password: "falsa" });
    await world.runAll();
    expect(await world.connection(id)).toMatchObject({
      failure: "credentials",
      state: "credentials_refused",
    });
    await world.runAgain(id);
    expect(logins().length).toBe(1);
  });

  test("a token that ends half-way is renewed, and kept for the next run", async () => {
    const one = supply();
    const id = await world.begin(credentials);
    await world.runAll();
    for (const meterId of (await world.sourcesOf(id)).values()) {
      await world.ask("PUT", `/meters/${meterId}`, { box: "active" });
    }
    datadis.fail(/consumption/, { status: 401, json: { status: 401 } });
    await world.runAll();
    expect(await world.connection(id)).toMatchObject({ failure: null });
    expect(await stored(id, one.cups)).toEqual([...one.hours]);
    expect(logins().length).toBe(2);
  });

  test("a token that is refused at once is no wrong password", async () => {
    supply();
    datadis.tokensFrom = Number.POSITIVE_INFINITY;
    const id = await world.begin(credentials);
    await world.runAll();
    expect(await world.connection(id)).toMatchObject({ failure: "unreachable" });
    expect(logins().length).toBe(1);
  });

  test("the holder has not authorized the user", async () => {
    const id = await world.begin({ ...credentials, authorized_nif: "B00000000" });
    await world.runAll();
    expect(await world.connection(id)).toMatchObject({ failure: "consent", state: "consent_expired" });
  });

  test("a supply that was not authorized does not keep the others; when none is, it is told", async () => {
    const one = supply({ nif: "B12345678" });
    const two = supply({ nif: "B12345678" });
    const refused = { status: 400, text: "No se encuentra autorizado el cups introducido" };
    const holder = { ...credentials, authorized_nif: "B12345678" };
    const id = await world.collecting(holder);
    one.hours.set(Date.parse("2026-10-05T10:00:00Z"), 8.765);
    two.hours.set(Date.parse("2026-10-05T10:00:00Z"), 8.765);
    world.api.clock.advance(day + 3_600_000);
    datadis.fail(/consumption/, refused);
    await world.runAll();
    expect(await world.connection(id)).toMatchObject({ failure: null });
    const corrected = [await stored(id, one.cups), await stored(id, two.cups)].map((values) =>
      values.some(([, value]) => value === 8.765),
    );
    expect(corrected.sort()).toEqual([false, true]);
    datadis.fail(/contract/, refused);
    await world.runAgain(id);
    expect(await world.connection(id)).toMatchObject({ failure: null });
    datadis.fail(/contract/, refused, 2);
    await world.runAgain(id);
    expect(await world.connection(id)).toMatchObject({ failure: "consent", state: "consent_expired" });
  });

  test("no supplies are none, not a failure", async () => {
    const id = await world.begin(credentials);
    await world.runAll();
    expect(await world.connection(id)).toMatchObject({ failure: null });
    expect((await world.sourcesOf(id)).size).toBe(0);
  });

  test("a distributor that does not answer does not make its supplies vanish", async () => {
    const one = supply();
    const id = await world.collecting(credentials);
    datadis.failing = ["8"];
    await world.runAgain(id);
    expect(await world.connection(id)).toMatchObject({ failure: "unreachable" });
    datadis.failing = ["3"];
    await world.runAgain(id);
    expect(await world.connection(id)).toMatchObject({ failure: null });
    expect((await world.sourcesOf(id)).has(one.cups)).toBe(true);
    const issues = await world.ask("GET", "/issues?limit=300");
    expect(issues.filter(({ connection }: { connection: { _id: string } }) => connection._id === id)).toEqual(
      [],
    );
  });

  test.each([
    ["maintenance", { text: "<html><body>Mantenimiento</body></html>" }, "unreachable"],
    ["an error", { status: 500, text: "" }, "unreachable"],
    ["too many requests", { status: 429, headers: { "retry-after": "600" }, text: "" }, "busy"],
    ["an unknown status", { status: 403, text: "403 Forbidden" }, "changed"],
    ["no supplies in it", { json: { response: [] } }, "changed"],
    ["a point type as text", { json: { supplies: [{ pointType: "5" }], distributorError: [] } }, "changed"],
  ])("%s at the supplies", async (_, told, failure) => {
    datadis.fail(/get-supplies/, told);
    const id = await world.begin(credentials);
    await world.runAll();
    expect(await world.connection(id)).toMatchObject({ failure });
    expect((await world.sourcesOf(id)).size).toBe(0);
  });

  test("something else than a token at the login may be a refusal: the password is sent twice at most", async () => {
    datadis.fail(/login/, { status: 409, text: "USUARIO NO VALIDO" }, 10);
    const id = await world.begin({ ...credentials, password: "quizas" });
    await world.runAll();
    expect(await world.connection(id)).toMatchObject({ failure: "changed" });
    for (let times = 0; times < 3; times++) await world.runAgain(id);
    expect(logins().length).toBe(2);
  });

  const wrong = (more: object) => ({
    json: {
      timeCurve: [
        {
          cups: `ES00310000000000${String(count + 1).padStart(2, "0")}AA0F`,
          date: "2026/10/05",
          time: "05:00",
          consumptionKWh: 1,
          obtainMethod: "Real",
          surplusEnergyKWh: null,
          ...more,
        },
      ],
      distributorError: [],
    },
  });
  test.each([
    ["a value as text", { consumptionKWh: "1" }],
    ["no value", { consumptionKWh: undefined }],
    ["another form of day", { date: "2026-10-05" }],
    ["an hour 25", { time: "25:00" }],
    ["another supply", { cups: "ES0099000000000099AA0F" }],
    ["an unknown method", { obtainMethod: "Prevista" }],
  ])("%s in the curve is changed, and nothing is stored", async (_, more) => {
    const one = supply();
    datadis.fail(/consumption/, wrong({ cups: one.cups, ...more }), 100);
    const id = await world.collecting(credentials);
    expect(await world.connection(id)).toMatchObject({ failure: "changed", state: "page_changed" });
    expect(await stored(id, one.cups)).toEqual([]);
  });

  test("supplies that are all over end the connection, a while after that was seen", async () => {
    supply({ validDateTo: "2026/09/30" });
    const id = await world.begin(credentials);
    await world.runAll();
    expect(await world.connection(id)).toMatchObject({ failure: null });
    world.api.clock.advance(64 * day);
    await world.runAll();
    expect(await world.connection(id)).toMatchObject({ failure: "ended", state: "contract_ended" });
  });
});
