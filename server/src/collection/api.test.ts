import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { newAccount } from "../../../test/harness/accounts.ts";
import { sql } from "../platform/db.ts";
import { type CollectionWorld, collectionWorld, meterFound } from "./harness.ts";
import { tidyCollectionJob } from "./jobs.ts";

let world: CollectionWorld;
beforeAll(async () => {
  world = await collectionWorld({
    async *discover(visit) {
      const { password } = visit.settings as { password: string };
      if (password === "needs a code") {
        const code = await visit.askCode({ en: "Code of the app?", sv: "Kod i appen?" });
        if (code !== "246810") throw new Error(`wrong code ${code}`);
      }
      visit.step("look", { pages: 2 });
      yield* world.script.meters;
    },
  });
});
afterAll(() => world.close());
beforeEach(() => {
  world.script.meters = [];
});

const call = (method: string, path: string, body?: unknown, token = world.owner.token) =>
  world.api.call(method, path, { token, ...(body === undefined ? {} : { body }) });

test("connections are made, listed, renamed, paused, resumed and deleted", async () => {
  const { ask, connect, run } = world;
  const made = await connect();
  expect(made).toMatchObject({
    provider: "scripted",
    name: null,
    account: { _id: world.owner.id },
    credentials: { username: "anna", password: "********" },
    state: "checking",
    what_to_do: "The credentials are being checked.",
    running: null,
  });
  expect(await ask("GET", `/connections?state=checking&provider=scripted`)).toEqual([made]);
  expect(await ask("GET", `/connections?state=paused`)).toEqual([]);
  await run();
  expect(await ask("PUT", `/connections/${made._id}`, { name: " Home " })).toMatchObject({
    name: "Home",
    state: "collecting",
  });
  expect(await ask("POST", `/connections/${made._id}/pause`)).toMatchObject({
    state: "paused",
    next_run: null,
  });
  expect((await call("POST", `/connections/${made._id}/run`)).status).toBe(409);
  await run();
  expect(await ask("GET", `/connections/${made._id}`)).toMatchObject({ state: "paused" });
  await ask("POST", `/connections/${made._id}/resume`);
  await run();
  expect(await ask("GET", `/connections/${made._id}`)).toMatchObject({ state: "collecting" });
  await ask("DELETE", `/connections/${made._id}`);
  expect((await call("GET", `/connections/${made._id}`)).status).toBe(404);
  await run();
  expect(world.script.revoked).toBe(1);
  expect(await world.api.db.rows(sql`select id from connection where id = ${made._id}`)).toEqual([]);
});

test("what was sent is checked, and says which field is wrong", async () => {
  const send = async (body: object) => {
    const { status, json } = await call("POST", "/connections", body);
    return [status, Object.keys(json.errors ?? {})];
  };
  const credentials = { username: "anna", password: "right" };
  expect(await send({ provider: "nobody", credentials })).toEqual([400, ["provider"]]);
  expect(await send({ provider: "scripted" })).toEqual([400, ["credentials"]]);
  const { password: _, ...without } = credentials;
  expect(await send({ provider: "scripted", credentials: without })).toEqual([400, ["credentials.password"]]);
  expect(await send({ provider: "scripted", credentials: { ...credentials, password: "********" } })).toEqual(
    [400, ["credentials.password"]],
  );
  const made = await world.connect();
  expect((await call("POST", `/connections/${made._id}/backfill`, { period: "2025+2026" })).status).toBe(400);
  expect((await call("POST", `/connections/${made._id}/backfill`, { period: "2030" })).json.message).toBe(
    "period: has not begun yet: there is nothing to read",
  );
  expect((await call("POST", `/connections/${made._id}/code`, { code: "1" })).status).toBe(409);
});

test("a manager connects for a customer and sees what needs a person; the customer sees its own", async () => {
  const { ask, run, owner, api } = world;
  const customer = await newAccount(api.deps, { managerId: owner.id, language: "sv" });
  await ask("POST", "/webhooks", { url: "https://receiver.example/x", events: ["connection.needs_person"] });
  const { _id } = await ask("POST", "/connections", {
    provider: "scripted",
    credentials: { username: "anna", password: "needs a code" },
    account: customer.id,
  });
  await world.collector.step();
  await waitFor(_id, "waiting_for_code");
  const mine = (await call("GET", `/connections/${_id}`, undefined, customer.token)).json.data;
  expect(mine).toMatchObject({ is_customer_action_required: true, code: { prompt: "Kod i appen?" } });
  const [issue] = (await call("GET", "/issues?state=open", undefined, customer.token)).json.data;
  expect(issue).toMatchObject({
    kind: "waiting_for_code",
    connection: { _id },
    owner: { role: "customer", account: { _id: customer.id } },
  });
  expect(await ask("PUT", `/issues/${issue._id}`, { acknowledged: true })).toMatchObject({
    state: "acknowledged",
  });
  await call("POST", `/connections/${_id}/code`, { code: " 246810 " }, customer.token);
  await world.collector.idle();
  expect(await ask("GET", `/connections/${_id}`)).toMatchObject({ state: "collecting", code: null });
  expect(await ask("GET", `/issues/${issue._id}`)).toMatchObject({ state: "resolved" });
  const told = await api.db.rows<{ body: string }>(sql`
    select body from webhook_delivery where event = 'connection.needs_person'`);
  expect(told.map(({ body }) => JSON.parse(body).data.connection._id)).toEqual([_id]);
  await run();
});

/** Waits until the API shows a state: another process would see it the same way. */
async function waitFor(id: string, state: string): Promise<void> {
  for (;;) {
    if ((await world.ask("GET", `/connections/${id}`)).state === state) return;
  }
}

test("events tell each change and step as it happens, and that they still listen", async () => {
  const { connect, run } = world;
  const made = await connect();
  const listening = call("GET", `/connections/${made._id}/events?wait=16`);
  await run();
  const { text } = await listening;
  expect(text.endsWith(": keep-alive\n\n")).toBe(true);
  const told = text
    .split("\n\n")
    .filter((event) => event.startsWith("id: "))
    .map((event) => JSON.parse(event.slice(event.indexOf("data: ") + 6)));
  expect(told[0]).toMatchObject({ _id: made._id, credentials: { password: "********" } });
  expect(told.at(-1)).toMatchObject({ state: "collecting", running: null });
});

test("a connection is deleted with the meters that it alone has found", async () => {
  const { ask, connect, run, api, script } = world;
  script.meters = [meterFound("701"), meterFound("702")];
  const first = await connect();
  await run();
  script.meters = [meterFound("702")];
  const second = await connect();
  await run();
  const eans = async () =>
    (await api.db.rows<{ ean: string }>(sql`select ean from meter where ean like '73599900000000070%'`))
      .length;
  expect(await eans()).toBe(2);
  await ask("DELETE", `/connections/${first._id}?data=delete`);
  await run();
  expect(await eans()).toBe(1);
  await ask("DELETE", `/connections/${second._id}`);
  await run();
  expect(await eans()).toBe(1);
});

test("a meter that vanishes at the provider is kept, and an issue until it is back", async () => {
  const { ask, connect, run, script } = world;
  script.meters = [meterFound("801"), meterFound("802")];
  const { _id } = await connect();
  await run();
  script.meters = [meterFound("801")];
  await ask("POST", `/connections/${_id}/run`);
  await run();
  const open = await ask("GET", `/issues?state=open&connection._id=${_id}`);
  expect(open).toMatchObject([{ kind: "meter_vanished", meter: { _id: expect.any(String) } }]);
  expect((await ask("GET", `/meters/${open[0].meter._id}`)).ean).toBe(meterFound("802").ean);
  script.meters.push(meterFound("802"));
  await ask("POST", `/connections/${_id}/run`);
  await run();
  expect(await ask("GET", `/issues?state=open&connection._id=${_id}`)).toEqual([]);
});

test("a period that is asked for by hand is read in steps", async () => {
  const { ask, connect, script, api, collector } = world;
  script.meters = [meterFound("901")];
  const { _id } = await connect();
  await collector.step();
  await collector.idle();
  const { meter_id } = await api.db.one<{ meter_id: string }>(
    sql`select meter_id from meter_source where connection_id = ${_id}`,
  );
  await ask("PUT", `/meters/${meter_id}`, { box: "active" });
  while ((await collector.step()) > 0) await collector.idle();
  script.asked = [];
  const asked = await ask("POST", `/connections/${_id}/backfill`, { period: "20260101-20260105" });
  expect(asked.backfill).toEqual({ from: "2025-12-31T23:00:00+0000", to: "2026-01-05T23:00:00+0000" });
  while ((await collector.step()) > 0) await collector.idle();
  expect(script.asked).toMatchObject([{ reason: "backfill", from: Date.UTC(2025, 11, 31, 23) }]);
  expect((await ask("GET", `/connections/${_id}`)).backfill).toBeNull();
});

test("old runs are removed at night", async () => {
  const { ask, connect, run, api } = world;
  const { _id } = await connect();
  await run();
  api.clock.advance(31 * 86_400_000);
  await tidyCollectionJob.run({}, api.deps, new AbortController().signal);
  expect(await ask("GET", `/connections/${_id}/runs`)).toEqual([]);
});
