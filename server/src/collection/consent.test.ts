import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { newAccount, newToken } from "../../../test/harness/accounts.ts";
import { sql } from "../platform/db.ts";
import { Problem } from "../platform/problem.ts";
import { type ConsentAsked, line, ProviderFailure, secret, titled } from "./connector.ts";
import { type CollectionWorld, collectionWorld, meterFound, scriptedConnector } from "./harness.ts";
import { checkSetups } from "./setup.ts";

const words = { en: "Custodian", sv: "Leverantör" };
const setup = z.object({
  client_id: titled(line(100), { en: "Client", sv: "Klient" }),
  client_secret: titled(secret(), { en: "Its secret", sv: "Dess hemlighet" }),
});
const minute = 60_000;
let world: CollectionWorld;
/** What the connector was handed, and what it does with it. */
let taken: (ConsentAsked & { answer: URLSearchParams })[];
let refuse: (() => Error) | undefined;
let visits: (string | undefined)[];

beforeAll(async () => {
  world = await collectionWorld({
    settings: z.object({ custodian: titled(line(50), words) }),
    operator: { field: "custodian", setup },
    consent: {
      address: ({ state, redirectUri, setup: { client_id } }) =>
        `https://custodian.example/authorize?${new URLSearchParams({ state, redirect_uri: redirectUri, client_id: String(client_id) })}`,
      async take(_visit, asked) {
        taken.push(asked);
        if (refuse !== undefined) throw refuse();
        return { token: `token of ${asked.answer.get("code")}` };
      },
    },
    async *discover({ memory }) {
      visits.push(memory.get("token"));
      if (memory.get("token") === undefined) throw new ProviderFailure("consent", "there is none");
      yield meterFound("1");
    },
  });
  world.api.deps.settings.providers = {
    scripted: { nordic: { client_id: "we", client_secret: "our-secret" }, other: {} },
  };
});
afterAll(() => world.close());
beforeEach(() => {
  taken = [];
  visits = [];
  refuse = undefined;
});

const begin = (more = {}) =>
  world.ask("POST", "/connections", {
    provider: "scripted",
    credentials: { custodian: "nordic" },
    ...more,
  });
const view = (id: string) => world.ask("GET", `/connections/${id}`);
const stateIn = (url: string) => new URL(url).searchParams.get("state")!;
const back = (query: Record<string, string>, headers = {}) =>
  world.api.call("GET", `/connections/callback?${new URLSearchParams(query)}`, { headers });
const attempts = () =>
  world.api.db.rows<{ id: string }>(sql`select id from connection_consent where connection_id is not null`);

describe("consent by a link", () => {
  test("a connection waits for it, and runs when the browser is back", async () => {
    const made = await begin();
    expect(made).toMatchObject({
      state: "waiting_for_consent",
      is_customer_action_required: true,
      next_run: null,
    });
    const { searchParams } = new URL(made.consent.url);
    expect(searchParams.get("redirect_uri")).toBe("http://metertree.test/api/v2/connections/callback");
    expect(searchParams.get("client_id")).toBe("we");
    expect((await view(made._id)).consent).toBe(null);
    await world.run();
    expect(visits).toEqual([]);

    const answer = await back({ state: stateIn(made.consent.url), code: "c-1" });
    expect(answer.status).toBe(200);
    expect(answer.headers["content-type"]).toContain("text/html");
    expect(answer.text).toContain("You can close this window");
    expect(await view(made._id)).toMatchObject({ state: "checking" });
    await world.run();
    expect(await view(made._id)).toMatchObject({ state: "collecting", failure: null });
    expect(visits).toEqual(["token of c-1"]);
    expect(taken[0]).toMatchObject({ setup: { client_id: "we", client_secret: "our-secret" } });
    expect(taken[0]!.verifier).toMatch(/^[0-9a-f]{64}$/);
    expect(await attempts()).toEqual([]);
    await world.ask("POST", `/connections/${made._id}/run`);
    await world.run();
    expect(taken.length).toBe(1);
    // Neither the log nor what is kept of the run holds what came.
    const runs = JSON.stringify(await world.ask("GET", `/connections/${made._id}/runs`));
    for (const hidden of ["c-1", stateIn(made.consent.url), taken[0]!.verifier, "our-secret"]) {
      expect(world.api.logLines.join("\n") + runs).not.toContain(hidden);
    }
    const actions = await world.api.db.rows<{ action: string }>(
      sql`select action from audit where subject = ${made._id} order by id`,
    );
    expect(actions.map(({ action }) => action)).toEqual([
      "connection.created",
      "connection.consent_given",
      "connection.run",
    ]);
  });

  test("what the browser brings is used once; forged, old and replaced states change nothing", async () => {
    const made = await begin();
    const state = stateIn(made.consent.url);
    const refused = async (query: Record<string, string>) => {
      const before = await view(made._id);
      const answer = await back(query);
      expect(answer.status).toBe(400);
      expect(answer.text).toContain("too old");
      expect(await view(made._id)).toEqual(before);
    };
    await refused({ code: "x" });
    await refused({ state: "", code: "x" });
    await refused({ state: "f".repeat(64), code: "x" });
    await refused({ state: `${state}0`, code: "x" });
    await refused({ state, code: "x".repeat(9_000) });

    const again = await world.ask("POST", `/connections/${made._id}/consent`, {});
    await refused({ state, code: "x" });
    const fresh = stateIn(again.consent.url);
    expect(fresh).not.toBe(state);
    world.api.clock.advance(15 * minute + 1);
    await refused({ state: fresh, code: "x" });

    const last = stateIn((await world.ask("POST", `/connections/${made._id}/consent`, {})).consent.url);
    const both = await Promise.all([back({ state: last, code: "c-2" }), back({ state: last, code: "c-3" })]);
    expect(both.map(({ status }) => status).sort()).toEqual([200, 400]);
    await world.run();
    expect(taken.length).toBe(1);
    await refused({ state: last, code: "c-4" });
    expect((await world.ask("GET", `/connections/${made._id}`)).state).toBe("collecting");
  });

  test("a person must come back in the browser that asked, whoever else has the link", async () => {
    const { api } = world;
    const cookie = await loggedIn();
    const other = await loggedIn();
    const answer = await api.call("POST", "/connections", {
      headers: { cookie },
      body: { provider: "scripted", credentials: { custodian: "nordic" } },
    });
    expect(answer.status).toBe(200);
    const state = stateIn(answer.json.data.consent.url);
    expect((await back({ state, code: "c" })).status).toBe(403);
    expect((await back({ state, code: "c" }, { cookie: other })).status).toBe(403);
    const shown = async () =>
      (await api.call("GET", `/connections/${answer.json.data._id}`, { headers: { cookie } })).json.data;
    expect(await shown()).toMatchObject({ state: "waiting_for_consent" });
    expect((await back({ state, code: "c" }, { cookie })).status).toBe(200);
    await world.run();
    expect(await shown()).toMatchObject({ state: "collecting" });
  });

  async function loggedIn(): Promise<string> {
    const { username, password } = await newAccount(world.api.deps, { withPassword: true });
    const answer = await world.api.call("POST", "/sessions", { body: { username, password } });
    return String(answer.headers["set-cookie"]).split(";")[0]!;
  }

  test("an application gets its customer back, also one who declined", async () => {
    refuse = () => new ProviderFailure("consent", "declined");
    const made = await begin({ return_url: "https://app.example/done?customer=7" });
    const answer = await back({ state: stateIn(made.consent.url), error: "access_denied" });
    expect(answer.status).toBe(303);
    expect(answer.headers.location).toBe(
      `https://app.example/done?customer=7&connection=${made._id}&consent=declined`,
    );
    await world.run();
    expect(await view(made._id)).toMatchObject({ state: "consent_expired", failure: "consent" });
    expect(await world.ask("GET", `/issues?connection._id=${made._id}`)).toMatchObject([
      { kind: "consent_expired" },
    ]);
    expect(await attempts()).toEqual([]);

    refuse = undefined;
    const again = await world.ask("POST", `/connections/${made._id}/consent`, {
      return_url: "https://app.example/done",
    });
    expect(again.state).toBe("consent_expired");
    await back({ state: stateIn(again.consent.url), code: "c-5" });
    await world.run();
    expect(await view(made._id)).toMatchObject({ state: "collecting", failure: null });
    expect(await world.ask("GET", `/issues?connection._id=${made._id}&is_open=true`)).toMatchObject([
      { resolved: expect.any(String) },
    ]);
  });

  test("an answer that the provider may not have heard is sent again, any other is not", async () => {
    const made = await begin();
    refuse = () => new ProviderFailure("unreachable", "no answer");
    await back({ state: stateIn(made.consent.url), code: "c-6" });
    await world.run();
    expect(await view(made._id)).toMatchObject({ failure: "unreachable" });
    refuse = () => new Error("a bug of the connector");
    world.api.clock.advance(10 * minute);
    await world.run();
    expect(await view(made._id)).toMatchObject({ failure: "changed" });
    expect(taken.map(({ answer }) => answer.get("code"))).toEqual(["c-6", "c-6"]);
    refuse = undefined;
    await world.ask("POST", `/connections/${made._id}/run`);
    await world.run();
    expect(taken.length).toBe(2);
    expect(await view(made._id)).toMatchObject({ failure: "consent" });
  });

  test("other credentials want another consent", async () => {
    const made = await begin();
    await back({ state: stateIn(made.consent.url), code: "c-7" });
    const changed = await world.ask("PUT", `/connections/${made._id}`, {
      credentials: { custodian: "nordic" },
    });
    expect(changed).toMatchObject({ state: "waiting_for_consent", consent: { url: expect.any(String) } });
    await world.run();
    expect(taken).toEqual([]);
    await back({ state: stateIn(changed.consent.url), code: "c-8" });
    await world.run();
    expect(visits).toEqual(["token of c-8"]);
  });

  test("a paused connection runs when it is resumed", async () => {
    const made = await begin();
    await world.ask("POST", `/connections/${made._id}/pause`);
    await back({ state: stateIn(made.consent.url), code: "c-9" });
    await world.run();
    expect(await view(made._id)).toMatchObject({ state: "paused" });
    expect(await status("POST", `/connections/${made._id}/consent`, {})).toBe(409);
    await world.ask("POST", `/connections/${made._id}/resume`);
    await world.run();
    expect(visits).toEqual(["token of c-9"]);
  });

  const status = async (method: string, path: string, body: unknown) =>
    (await world.api.call(method, path, { token: world.owner.token, body })).status;
  test.each(["ftp://app.example/", "https://user:pw@app.example/", "/done", "javascript:alert(1)"])(
    "%s is no way back",
    async (url) => {
      const body = { provider: "scripted", credentials: { custodian: "nordic" }, return_url: url };
      expect(await status("POST", "/connections", body)).toBe(400);
    },
  );

  test("others cannot ask for a link, nor can tokens without the scope", async () => {
    const made = await begin();
    const { token } = await newAccount(world.api.deps);
    const path = `/connections/${made._id}/consent`;
    expect((await world.api.call("POST", path, { token, body: {} })).status).toBe(404);
    const basic = await newToken(world.api.deps, world.owner.id, ["basic"]);
    expect((await world.api.call("POST", path, { token: basic, body: {} })).status).toBe(403);
  });
});

describe("what operators set up", () => {
  test("is offered by name, and nothing else is taken", async () => {
    const provider = await world.ask("GET", "/providers/scripted");
    expect(provider).toMatchObject({
      consent: "link",
      credentials: { properties: { custodian: { enum: ["nordic", "other"] } } },
    });
    expect(JSON.stringify(provider)).not.toContain("our-secret");
    for (const custodian of ["somebody", "other", "constructor"]) {
      const answer = await world.api.call("POST", "/connections", {
        token: world.owner.token,
        body: { provider: "scripted", credentials: { custodian } },
      });
      expect(answer.json).toMatchObject({
        code: 400,
        errors: { "credentials.custodian": ["is not set up on this server; there is nordic, other"] },
      });
    }
  });

  test("when it is taken away, the operator is told", async () => {
    const made = await begin();
    await back({ state: stateIn(made.consent.url), code: "c-10" });
    const { settings } = world.api.deps;
    const before = settings.providers;
    settings.providers = {};
    await world.run();
    expect(await view(made._id)).toMatchObject({ state: "page_changed", who_acts: "operator" });
    settings.providers = before;
    await world.ask("POST", `/connections/${made._id}/run`);
    await world.run();
    expect(await view(made._id)).toMatchObject({ state: "collecting" });
  });

  test("is held against the connectors when a server starts", () => {
    const connector = scriptedConnector({ operator: { field: "username", setup } });
    const faults = (setups: Parameters<typeof checkSetups>[1]) => {
      try {
        checkSetups([connector], setups);
        return "";
      } catch (error) {
        expect(error).toBeInstanceOf(Problem);
        return (error as Problem).message;
      }
    };
    expect(faults({ scripted: { a: { client_id: "x", client_secret: "y" } } })).toBe("");
    const told = faults({ scripted: { a: { client_id: 7, client_secret: "hidden" } }, other: {} });
    expect(told).toContain("scripted.a.client_id");
    expect(told).toContain("other is no provider");
    expect(told).not.toContain("hidden");
  });
});

test("what a run stores in its memory stays when the connection was paused, not when it got other credentials", async () => {
  const made = await begin();
  await back({ state: stateIn(made.consent.url), code: "c-11" });
  const { connector } = world;
  const { discover } = connector;
  const during = async (what: () => Promise<unknown>) => {
    connector.discover = async function* ({ memory }) {
      await what();
      await memory.set("token", "rotated");
      yield meterFound("1");
    };
    await world.ask("POST", `/connections/${made._id}/run`);
    await world.run();
    connector.discover = discover;
    visits = [];
  };
  await during(() => world.ask("POST", `/connections/${made._id}/pause`));
  await world.ask("POST", `/connections/${made._id}/resume`);
  await world.run();
  expect(visits).toEqual(["rotated"]);
  await during(() => world.ask("PUT", `/connections/${made._id}`, { credentials: { custodian: "nordic" } }));
  await world.ask("POST", `/connections/${made._id}/run`);
  await world.run();
  expect(visits).toEqual([undefined]);
});
