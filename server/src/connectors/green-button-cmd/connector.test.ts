import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type ProviderWorld, providerWorld } from "../../../../test/harness/provider.ts";
import { sql } from "../../platform/db.ts";
import type { Granularity } from "../../platform/granularity.ts";
import { greenButtonCmd } from "./connector.ts";
import { type Custodian, curve, custodian, type EmulatedPoint } from "./harness.ts";

const day = 86_400_000;
const begin = Date.parse("2026-11-10T12:00:00Z");
/** Midnights of New York: both nights when clocks change lie between. */
const from = "2026-02-01T05:00:00Z";
const to = "2026-11-08T05:00:00Z";
const zone = "America/New_York";
const credentials = { custodian: "north" };
let power: Custodian;
let world: ProviderWorld;
let count = 0;

beforeAll(async () => {
  power = await custodian(() => world.api.clock.now());
  world = await providerWorld(greenButtonCmd, begin);
});
afterAll(async () => {
  await world.close();
  await power.close();
});
beforeEach(async () => {
  await world.rest();
  power.mend();
  power.points = [];
  power.grants = [];
  Object.assign(power, {
    tokenSeconds: 3_600,
    isRotating: true,
    notReady: 0,
    publishedAt: null,
    oldest: 0,
    first: 0,
  });
  Object.assign(power, { zone, now: () => world.api.clock.now() });
  world.api.deps.settings.providers = { "green-button-cmd": { north: power.setup() } };
});

function point(more: Partial<EmulatedPoint> = {}): EmulatedPoint {
  const made: EmulatedPoint = {
    id: `up-${++count}`,
    title: "12 Main Street",
    service: 0,
    readings: [{ id: "1", granularity: "hour", values: curve(from, to) }],
    ...more,
  };
  power.points.push(made);
  return made;
}
const keyOf = ({ id }: EmulatedPoint, suffix = "") => `north ${id}${suffix}`;
/** kWh of values that are printed in Wh. */
const truth = (values: Map<number, number>, power10 = -3) =>
  [...values].map(([start, value]) => [start, Number(`${value}e${power10}`)]);

async function stored(id: string, key: string, granularity: Granularity = "hour", metric = "energy") {
  const meterId = (await world.sourcesOf(id)).get(key)!;
  const span = { from: Date.parse(from) - 400 * day, to: Date.parse(to) + 400 * day };
  return world.stored(meterId, { metric, granularity, zone, ...span });
}

/** Sends the customer to the custodian and back. */
async function back(url: string, answer: "allow" | "deny" = "allow") {
  const { searchParams } = await power.visit(url, answer);
  return world.api.call("GET", `/connections/callback?${searchParams}`);
}

async function consented(): Promise<string> {
  const made = await world.ask("POST", "/connections", { provider: "green-button-cmd", credentials });
  expect((await back(made.consent.url)).status).toBe(200);
  await world.runAll();
  return made._id;
}

async function collecting(): Promise<string> {
  const id = await consented();
  for (const meterId of (await world.sourcesOf(id)).values()) {
    await world.ask("PUT", `/meters/${meterId}`, { box: "active" });
  }
  await world.runAll();
  return id;
}
const later = async (ms: number) => {
  world.api.clock.advance(ms);
  await world.runAll();
};
const requests = (path: RegExp) => power.heard.filter((heard) => path.test(heard.path));
const view = (id: string) => world.connection(id);

describe("from consent to values", () => {
  test("all that the custodian has, over both nights when clocks change", async () => {
    const one = point();
    const id = await collecting();
    expect(await view(id)).toMatchObject({ state: "collecting", failure: null });
    expect(await stored(id, keyOf(one))).toEqual(truth(one.readings[0]!.values));
    const meterId = (await world.sourcesOf(id)).get(keyOf(one))!;
    expect(await world.ask("GET", `/meters/${meterId}`)).toMatchObject({
      type: "electricity",
      timezone: zone,
    });
    expect(requests(/oauth\/token/).map(({ body }) => new URLSearchParams(body).get("grant_type"))).toEqual([
      "authorization_code",
    ]);
    const shown = JSON.stringify([await world.lastRun(id), world.api.logLines]);
    for (const { tokens, refresh } of power.grants) {
      for (const secret of [...tokens.keys(), refresh]) expect(shown).not.toContain(secret);
    }
  });

  test("quarters in tens of watt-hours, gas in therms, production, and days of 23 and 25 hours", async () => {
    const one = point({
      readings: [
        {
          id: "1",
          granularity: "15min",
          power: 1,
          values: curve("2026-10-20T04:00:00Z", to, { granularity: "15min" }),
        },
        {
          id: "2",
          granularity: "15min",
          flow: 19,
          values: curve("2026-10-20T04:00:00Z", to, { granularity: "15min", seed: 3 }),
        },
      ],
    });
    const gas = point({
      service: 1,
      readings: [
        { id: "1", granularity: "day", uom: 169, power: -3, values: curve(from, to, { granularity: "day" }) },
      ],
    });
    const id = await collecting();
    const [delivered, received] = one.readings;
    expect(await stored(id, keyOf(one), "15min")).toEqual(truth(delivered!.values, -2));
    expect(await stored(id, keyOf(one, "/production"), "15min")).toEqual(truth(received!.values));
    const days = await stored(id, keyOf(gas), "day");
    expect(days.map(([start]) => start)).toEqual([...gas.readings[0]!.values.keys()]);
    // 1 therm (US) is 105.4804 MJ.
    const [[, printed]] = [...gas.readings[0]!.values] as [[number, number]];
    expect(days[0]![1]).toBeCloseTo((printed * 105.4804) / 3.6 / 1000, 9);
  });

  test("in California, where the day begins three hours later", async () => {
    power.zone = "America/Los_Angeles";
    world.api.deps.settings.providers = {
      "green-button-cmd": { north: power.setup({ timezone: "America/Los_Angeles" }) },
    };
    const values = curve("2026-02-01T08:00:00Z", "2026-11-08T08:00:00Z", {
      granularity: "day",
      zone: "America/Los_Angeles",
    });
    const one = point({ readings: [{ id: "1", granularity: "day", values }] });
    const id = await collecting();
    const meterId = (await world.sourcesOf(id)).get(keyOf(one))!;
    const span = { from: Date.parse(from) - day, to: Date.parse(to) + day };
    expect(
      await world.stored(meterId, {
        metric: "energy",
        granularity: "day",
        zone: "America/Los_Angeles",
        ...span,
      }),
    ).toEqual(truth(values));
  });

  test("corrections and late values, of a custodian that counts by when it published", async () => {
    world.api.deps.settings.providers = {
      "green-button-cmd": { north: power.setup({ published: "entries" }) },
    };
    power.publishedAt = begin - day;
    const one = point({
      readings: [{ id: "1", granularity: "hour", values: curve(from, "2026-11-06T05:00:00Z") }],
    });
    const id = await collecting();
    expect(await stored(id, keyOf(one))).toEqual(truth(one.readings[0]!.values));
    const corrected = curve(from, to);
    corrected.set(Date.parse("2026-10-20T10:00:00Z"), 9_876);
    one.readings[0]!.values = corrected;
    power.publishedAt = begin + day;
    await later(day + 3_600_000);
    expect(await stored(id, keyOf(one))).toEqual(truth(corrected));
  });

  test("a meter that is exchanged goes on in the same series; what two disagree about is left out", async () => {
    const at = Date.parse("2026-09-01T04:00:00Z");
    const all = [...curve(from, to)];
    const old = new Map(all.filter(([start]) => start < at));
    const one = point({
      readings: [
        { id: "old", granularity: "hour", values: old },
        { id: "new", granularity: "hour", values: new Map(all.filter(([start]) => start >= at)) },
      ],
    });
    const doubtful = at - 3_600_000;
    one.readings[1]!.values.set(doubtful, 5_001);
    const id = await collecting();
    const kept = new Map(all.filter(([start]) => start !== doubtful));
    expect(await stored(id, keyOf(one))).toEqual(truth(kept));
  });

  test("data that are not ready at once are waited for", async () => {
    const one = point();
    power.notReady = 3;
    const id = await collecting();
    expect(await view(id)).toMatchObject({ failure: null });
    expect(await stored(id, keyOf(one))).toEqual(truth(one.readings[0]!.values));
    power.notReady = 100;
    await world.runAgain(id);
    expect(await view(id)).toMatchObject({ failure: "busy" });
    power.notReady = 0;
    await later(3_600_000);
    expect(await view(id)).toMatchObject({ failure: null });
  });

  test("what lies before the consent is refused, and the rest comes", async () => {
    const one = point();
    power.oldest = Date.parse("2026-06-01T00:00:00Z");
    const id = await collecting();
    expect(await view(id)).toMatchObject({ state: "collecting", failure: null });
    const got = await stored(id, keyOf(one));
    const kept = truth(one.readings[0]!.values).filter(
      ([start]) => start! >= Date.parse("2026-08-01T00:00:00Z"),
    );
    expect(got.slice(-kept.length)).toEqual(kept);
    expect(requests(/Authorization/).length).toBeGreaterThan(0);
  });
});

describe("tokens", () => {
  test("are renewed when they run out, and each refresh token is used once", async () => {
    const one = point();
    const id = await collecting();
    for (let times = 0; times < 3; times++) await later(day);
    expect(await view(id)).toMatchObject({ failure: null });
    const used = requests(/oauth\/token/).flatMap(
      ({ body }) => new URLSearchParams(body).get("refresh_token") ?? [],
    );
    expect(used.length).toBeGreaterThanOrEqual(3);
    expect(new Set(used).size).toBe(used.length);
    expect((await stored(id, keyOf(one))).length).toBe(one.readings[0]!.values.size);
  });

  test("a server without rotation keeps its refresh token", async () => {
    power.isRotating = false;
    point();
    const id = await collecting();
    await later(day);
    await later(day);
    expect(await view(id)).toMatchObject({ failure: null });
  });

  test("what replaced a refresh token is there although the run failed right after", async () => {
    point();
    const id = await collecting();
    power.fail(/Subscription/, { status: 401, text: "" });
    power.fail(/Subscription/, { status: 500, text: "" });
    await world.ask("POST", `/connections/${id}/run`);
    await world.runAll();
    expect(await view(id)).toMatchObject({ failure: "unreachable" });
    await later(day);
    expect(await view(id)).toMatchObject({ failure: null, state: "collecting" });
  });

  test("a run that loses its connection while the token is renewed loses no token", async () => {
    point();
    const id = await collecting();
    const { deps } = world.api;
    const { egress } = deps;
    deps.egress = {
      ...egress,
      async request(url, request) {
        const answer = await egress.request(url, request);
        const ended = sql`update connection set run_id = null, next_run = null where id = ${id}`;
        if (String(url).includes("oauth/token")) await deps.db.run(ended);
        return answer;
      },
    };
    await later(day);
    deps.egress = egress;
    expect(await view(id)).toMatchObject({ next_run: null });
    await world.runAgain(id);
    expect(await view(id)).toMatchObject({ failure: null, state: "collecting" });
    expect(requests(/oauth\/token/).length).toBe(2);
  });

  test("one that ends half-way is renewed; one that is refused at once is a fault of theirs", async () => {
    const one = point();
    const id = await collecting();
    power.fail(/Subscription/, { status: 401, text: "" });
    await world.runAgain(id);
    expect(await view(id)).toMatchObject({ failure: null });
    power.fail(/Subscription/, { status: 401, text: "" }, 2);
    await world.runAgain(id);
    expect(await view(id)).toMatchObject({ failure: "unreachable" });
    expect((await stored(id, keyOf(one))).length).toBe(one.readings[0]!.values.size);
  });

  test("are never sent to another host, whatever the answer says", async () => {
    point();
    power.fail(/oauth\/token/, {
      json: {
        access_token: "a",
        token_type: "Bearer",
        resourceURI: "https://elsewhere.example/Batch/Subscription/1",
      },
    });
    const id = await consented();
    expect(await view(id)).toMatchObject({ failure: "changed" });
    expect((await world.lastRun(id)).message).toContain("elsewhere.example");
  });
});

describe("consent", () => {
  test("that was declined is asked for again", async () => {
    const one = point();
    const made = await world.ask("POST", "/connections", { provider: "green-button-cmd", credentials });
    expect((await back(made.consent.url, "deny")).text).toContain("declined");
    await world.runAll();
    expect(await view(made._id)).toMatchObject({ state: "consent_expired", failure: "consent" });
    const again = await world.ask("POST", `/connections/${made._id}/consent`, {});
    await back(again.consent.url);
    await world.runAll();
    expect(await view(made._id)).toMatchObject({ state: "collecting" });
    expect((await world.sourcesOf(made._id)).has(keyOf(one))).toBe(true);
  });

  test("that was withdrawn stops, and goes on where it was when it is given again", async () => {
    const one = point();
    one.readings[0]!.values = curve(from, "2026-11-07T05:00:00Z");
    const id = await collecting();
    const meters = await world.sourcesOf(id);
    power.revokeAll();
    await later(day);
    expect(await view(id)).toMatchObject({ state: "consent_expired", who_acts: "customer" });
    expect(await world.ask("GET", `/issues?connection._id=${id}`)).toMatchObject([
      { kind: "consent_expired" },
    ]);
    const asked = power.heard.length;
    await later(day);
    expect(power.heard.length).toBe(asked);
    one.readings[0]!.values = curve(from, to);
    const again = await world.ask("POST", `/connections/${id}/consent`, {});
    await back(again.consent.url);
    await world.runAll();
    expect(await view(id)).toMatchObject({ state: "collecting", failure: null });
    expect(await world.sourcesOf(id)).toEqual(meters);
    expect(await stored(id, keyOf(one))).toEqual(truth(one.readings[0]!.values));
  });

  test("a code is sent again only when nothing was heard", async () => {
    point();
    power.fail(/oauth\/token/, { status: 503, text: "" });
    const id = await consented();
    expect(await view(id)).toMatchObject({ failure: "unreachable" });
    await later(600_000);
    expect(await view(id)).toMatchObject({ failure: null, state: "collecting" });
    const { body } = requests(/oauth\/token/)[0]!;
    expect(new URLSearchParams(body).get("code_verifier")).toMatch(/^[0-9a-f]{64}$/);
  });

  test("that reaches back for some days only shows its meters, and a refusal makes none vanish", async () => {
    const one = point();
    power.first = Date.parse("2026-11-01T04:00:00Z");
    const id = await consented();
    expect(await view(id)).toMatchObject({ failure: null });
    expect((await world.sourcesOf(id)).has(keyOf(one))).toBe(true);
    power.fail(/Subscription/, { status: 403, text: "" }, 2);
    await world.runAgain(id);
    expect(await view(id)).toMatchObject({ failure: "unreachable" });
    expect(await world.ask("GET", `/issues?connection._id=${id}`)).toEqual([]);
  });

  test("of somebody else is not taken: a code belongs to the browser that was sent for it", async () => {
    point();
    const [mine, theirs] = await Promise.all(
      [1, 2].map(() => world.ask("POST", "/connections", { provider: "green-button-cmd", credentials })),
    );
    const answer = (await power.visit(theirs.consent.url, "allow")).searchParams;
    answer.set("state", new URL(mine.consent.url).searchParams.get("state")!);
    await world.api.call("GET", `/connections/callback?${answer}`);
    await world.runAll();
    expect(await view(mine._id)).toMatchObject({ failure: "consent" });
    expect(await view(theirs._id)).toMatchObject({ state: "waiting_for_consent" });
    expect(power.grants).toEqual([]);
  });

  test("is ended at the custodian when the connection is deleted", async () => {
    point();
    const id = await collecting();
    await world.ask("DELETE", `/connections/${id}`);
    await world.runAll();
    expect(power.grants.map(({ isRevoked }) => isRevoked)).toEqual([true]);
  });

  test("when the custodian does not know us, the operator is told", async () => {
    world.api.deps.settings.providers = {
      "green-button-cmd": { north: power.setup({ client_secret: "another" }) },
    };
    point();
    const id = await consented();
    expect(await view(id)).toMatchObject({ state: "page_changed", who_acts: "operator" });
  });
});

describe("what stands in the way is told as what it is", () => {
  const cut = "<feed xmlns='http://www.w3.org/2005/Atom'><entry>";
  test.each([
    ["an error", { status: 500, text: "" }, "unreachable"],
    ["too many requests", { status: 429, headers: { "retry-after": "600" }, text: "" }, "busy"],
    ["a page instead of a feed", { text: "<html><body>Maintenance</body></html>" }, "changed"],
    ["a feed that breaks off", { text: cut }, "changed"],
    ["an unknown status", { status: 418, text: "" }, "changed"],
  ])("%s", async (_, told, failure) => {
    point();
    power.fail(/Subscription/, told);
    const id = await consented();
    expect(await view(id)).toMatchObject({ failure });
    expect((await world.sourcesOf(id)).size).toBe(0);
  });

  test("an unknown unit is changed, and nothing is stored", async () => {
    const one = point();
    const id = await collecting();
    const before = await stored(id, keyOf(one));
    one.readings[0]!.uom = 999;
    one.readings[0]!.values = curve(from, to, { seed: 9 });
    await later(day);
    expect(await view(id)).toMatchObject({ failure: "changed", state: "page_changed" });
    expect(await stored(id, keyOf(one))).toEqual(before);
  });

  test("a usage point that is not there any more has no values, and the others go on", async () => {
    const gone = point();
    const one = point();
    const id = await collecting();
    power.points = [one];
    one.readings[0]!.values.set(Date.parse("2026-11-01T10:00:00Z"), 4_321);
    await later(day);
    expect(await view(id)).toMatchObject({ failure: null });
    expect(await stored(id, keyOf(one))).toEqual(truth(one.readings[0]!.values));
    expect((await stored(id, keyOf(gone))).length).toBe(gone.readings[0]!.values.size);
  });
});
