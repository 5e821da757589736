import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { sql } from "../platform/db.ts";
import type { Visit } from "./connector.ts";
import { type CollectionWorld, collectionWorld } from "./harness.ts";
import { makeCollector } from "./worker.ts";

let world: CollectionWorld;
/** What a visit does. */
let visiting: (visit: Visit<unknown>) => Promise<unknown>;
let got: unknown;

beforeAll(async () => {
  world = await collectionWorld({
    async *discover(visit) {
      got = await visiting(visit);
      yield* world.script.meters;
    },
  });
});
afterAll(() => world.close());
beforeEach(async () => {
  got = "nothing";
  await world.api.db.run(sql`delete from connection`);
  await world.api.db.run(sql`update provider_state set closed_until = null, failures = 0`);
});

const view = (id: string) => world.ask("GET", `/connections/${id}`);
/** Due runs have begun and wait for a code, as the API shows it. */
async function waitsForCode(id: string): Promise<void> {
  await world.collector.step();
  await expect.poll(async () => (await view(id)).code, { timeout: 5_000 }).not.toBeNull();
}

describe("a visit waits when the provider asks to", () => {
  test("a moment within the run", async () => {
    visiting = (visit) => visit.wait(0.01);
    const { _id } = await world.connect();
    await world.run();
    expect(await view(_id)).toMatchObject({ state: "collecting" });
  });

  test("and ends the run as busy when it is long, or too long in all", async () => {
    visiting = (visit) => visit.wait(121);
    const { _id } = await world.connect();
    await world.run();
    const told = await view(_id);
    expect(told).toMatchObject({ state: "checking", failure: "busy" });
    // A pause after one failure is five minutes, which is longer.
    expect(Date.parse(told.next_run) - world.api.clock.now()).toBeGreaterThanOrEqual(300_000);

    visiting = (visit) => visit.wait(86_399);
    await world.ask("POST", `/connections/${_id}/run`);
    await world.run();
    const later = await view(_id);
    expect(Date.parse(later.next_run) - world.api.clock.now()).toBeGreaterThanOrEqual(86_399_000);
  });

  test("and goes on at once with its end when the run is ended by somebody", async () => {
    const begun = Promise.withResolvers<void>();
    visiting = (visit) => {
      begun.resolve();
      return visit.wait(120);
    };
    const { _id } = await world.connect();
    const other = makeCollector(world.api.deps, [world.connector]);
    await other.step();
    await begun.promise;
    await other.stop();
    expect(got).toBe("nothing");
    expect(await view(_id)).toMatchObject({ running: null, failures: 0, state: "checking" });
  });
});

describe("a login that waits for a code", () => {
  const prompt = { en: "Code?", sv: "Kod?" };
  const send = (id: string, code: string) =>
    world.api.call("POST", `/connections/${id}/code`, { token: world.owner.token, body: { code } });
  const begin = async () => {
    visiting = (visit) => visit.askCode(prompt);
    const { _id } = await world.connect();
    await waitsForCode(_id);
    return _id as string;
  };

  test("gets it, and whoever enters another one afterwards is told", async () => {
    const id = await begin();
    expect((await send(id, " 1 2 3 ")).status).toBe(200);
    await world.collector.idle();
    expect(got).toBe("1 2 3");
    const late = await send(id, "124");
    expect([late.status, late.json.message]).toEqual([
      409,
      "No login waits for a code. Start a run to get a new one.",
    ]);
  });

  test("ends after ten minutes, and later codes are told what to do", async () => {
    const id = await begin();
    world.api.clock.advance(599_000);
    expect(await view(id)).toMatchObject({ state: "waiting_for_code", code: { prompt: "Code?" } });
    world.api.clock.advance(2_000);
    const late = await send(id, "123");
    expect([late.status, late.json.message]).toEqual([
      409,
      "The login that waited for a code has ended. Start a run to get a new one.",
    ]);
    await world.collector.idle();
    expect(got).toBe("nothing");
    expect(await view(id)).toMatchObject({ state: "waiting_for_code", failure: "code", code: null });
    expect((await send(id, "123")).json.message).toBe(late.json.message);
    await world.ask("POST", `/connections/${id}/run`);
    await waitsForCode(id);
    await send(id, "123");
    await world.collector.idle();
    expect(await view(id)).toMatchObject({ state: "collecting", failure: null });
  });

  test.each([
    ["paused", (id: string) => world.ask("POST", `/connections/${id}/pause`), 409],
    ["deleted", (id: string) => world.ask("DELETE", `/connections/${id}`), 404],
    [
      "given other credentials",
      (id: string) =>
        world.ask("PUT", `/connections/${id}`, { credentials: { username: "anna", password: "right2" } }),
      409,
    ],
  ] as const)("ends at once when the connection is %s", async (_, deed, status) => {
    const id = await begin();
    await deed(id);
    await world.collector.idle();
    expect(got).toBe("nothing");
    expect((await send(id, "123")).status).toBe(status);
    const lines = world.api.logLines.filter((line) => JSON.parse(line).level === "error");
    expect(lines).toEqual([]);
  });
});
