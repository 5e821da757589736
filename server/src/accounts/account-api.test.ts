import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newAccount, newToken, type TestAccount } from "../../../test/harness/accounts.ts";
import { type TestApi, testApi } from "../../../test/harness/api.ts";
import { sql } from "../platform/db.ts";
import { newId } from "../platform/id.ts";
import { accountEndpoints } from "./api.ts";
import { authenticate } from "./authenticate.ts";
import { addCollaborator } from "./members.ts";

let api: TestApi;
let manager: TestAccount;
let stranger: TestAccount;

beforeAll(async () => {
  api = await testApi({ endpoints: accountEndpoints, authenticate });
  manager = await newAccount(api.deps, { name: "Manager", timezone: "Europe/Stockholm", currency: "NOK" });
  stranger = await newAccount(api.deps, { name: "Stranger" });
});
afterAll(() => api.close());

/** A subaccount of `of`, made over HTTP. */
async function subaccount(body: object = {}, of = manager) {
  const answer = await api.call("POST", "/accounts/me/subaccounts", {
    token: of.token,
    body: { name: "Sub", ...body },
  });
  expect(answer.status).toBe(200);
  return answer.json.data;
}

describe("reading", () => {
  test("me is the account of the token, with every field of the contract", async () => {
    const answer = await api.call("GET", "/accounts/me", { token: manager.token });
    expect(answer.status).toBe(200);
    expect(answer.json).toMatchObject({ code: 200, message: "OK" });
    expect(answer.json.data).toMatchObject({
      _id: manager.id,
      name: "Manager",
      username: manager.username,
      created: "2026-01-15T12:00:00+0000",
      locale_string: null,
      language: "en",
      is_organization: false,
      entity_type: null,
      custom_identifier: null,
      timezone: "Europe/Stockholm",
      currency: "NOK",
    });
    expect(answer.json.data).not.toHaveProperty("manager");
    expect(answer.text).not.toContain("hash");
    const byId = await api.call("GET", `/accounts/${manager.id}`, { token: manager.token });
    expect(byId.json.data).toEqual(answer.json.data);
  });

  test("a subaccount shows its manager, and is read at the plain path and below the manager", async () => {
    const sub = await subaccount({ custom_identifier: "K-1" });
    const plain = await api.call("GET", `/accounts/${sub._id}`, { token: manager.token });
    const below = await api.call("GET", `/accounts/me/subaccounts/${sub._id}`, { token: manager.token });
    expect(plain.json.data).toMatchObject({
      custom_identifier: "K-1",
      manager: { _id: manager.id, name: "Manager", username: manager.username },
    });
    expect(below.json.data).toEqual(plain.json.data);
  });

  test("no credential and a wrong one are 401, also one that is nearly right", async () => {
    const flipped = `${manager.token.slice(0, -1)}${manager.token.endsWith("0") ? "1" : "0"}`;
    expect((await api.call("GET", "/accounts/me")).status).toBe(401);
    for (const token of [flipped, "", "x", manager.token.toUpperCase(), manager.tokenId]) {
      expect((await api.call("GET", "/accounts/me", { token })).status).toBe(401);
    }
    const basic = { authorization: `Basic ${manager.token}` };
    expect((await api.call("GET", "/accounts/me", { headers: basic })).status).toBe(401);
  });

  test("both schemes and the query parameter carry a token", async () => {
    for (const authorization of [`OAuth ${manager.token}`, `bearer ${manager.token}`]) {
      expect((await api.call("GET", "/accounts/me", { headers: { authorization } })).status).toBe(200);
    }
    const query = { access_token: manager.token };
    expect((await api.call("GET", "/accounts/me", { query })).status).toBe(200);
  });
});

describe("changing", () => {
  test("a partial update changes what it names", async () => {
    const own = await newAccount(api.deps, { name: "Before" });
    const answer = await api.call("PUT", "/accounts/me", {
      token: own.token,
      body: { name: " After ", language: "sv", locale_string: "sv_SE", entity_type: "landlord" },
    });
    expect(answer.json.data).toMatchObject({
      name: "After",
      language: "sv",
      locale_string: "sv-SE",
      entity_type: "landlord",
      username: own.username,
      timezone: "Etc/GMT-1",
    });
  });

  test("what was read can be written back, and fields that are not the caller's stay", async () => {
    const sub = await subaccount({ custom_identifier: "K-2" });
    const before = (await api.call("GET", `/accounts/${sub._id}`, { token: manager.token })).json.data;
    const token = await newToken(api.deps, sub._id, ["basic", "write_accounts"]);
    const row = () =>
      api.db.one<{ row: string }>(sql`select a::text as row from account a where id = ${sub._id}`);
    const stored = await row();
    const body = {
      ...before,
      manager: { _id: stranger.id },
      manager_id: stranger.id,
      created: "2001-01-01T00:00:00+0000",
      sub_accounts_count: 9,
      password_hash: "x",
      password: "x",
      part: 1,
      parts: 64,
      deleted: "2001-01-01T00:00:00+0000",
      role: "administrator",
      _id: stranger.id,
      id: stranger.id,
    };
    const answer = await api.call("PUT", "/accounts/me", { token, body });
    expect(answer.status).toBe(200);
    expect(answer.json.data).toEqual(before);
    expect(await row()).toEqual(stored);
  });

  test("each wrong field is named with what is right", async () => {
    const answer = await api.call("PUT", "/accounts/me", {
      token: manager.token,
      body: {
        name: "",
        username: "nobody",
        language: "xx",
        locale_string: "Swedish",
        is_organization: "maybe",
        entity_type: "alien",
        timezone: "Europe/Atlantis",
        currency: "ZZZ",
        custom_identifier: "a\u0000b",
      },
    });
    expect(answer.status).toBe(400);
    expect(Object.keys(answer.json.errors).sort()).toEqual([
      "currency",
      "custom_identifier",
      "entity_type",
      "is_organization",
      "language",
      "locale_string",
      "name",
      "timezone",
      "username",
    ]);
    expect(answer.json.errors.timezone[0]).toContain("Europe/Stockholm");
    expect(answer.json.data.errors).toEqual(answer.json.errors);
  });

  test("only the manager gives the external ID", async () => {
    const sub = await subaccount();
    const token = await newToken(api.deps, sub._id, ["write_accounts"]);
    const own = await api.call("PUT", "/accounts/me", { token, body: { custom_identifier: "mine" } });
    expect(own.status).toBe(400);
    expect(own.json.errors.custom_identifier[0]).toContain("account that manages this one");
    for (const [path, headers] of [
      [`/accounts/${sub._id}`, {}],
      [`/accounts/me/subaccounts/${sub._id}`, {}],
      ["/accounts/me", { "X-Subaccount": sub._id }],
    ] as const) {
      const body = { custom_identifier: `by ${path}` };
      const answer = await api.call("PUT", path, { token: manager.token, headers, body });
      expect(answer.json.data.custom_identifier).toBe(`by ${path}`);
    }
    const alone = await api.call("PUT", "/accounts/me", {
      token: stranger.token,
      body: { custom_identifier: "x" },
    });
    expect(alone.status).toBe(400);
  });

  test("a token cannot take over the user name of its account, a manager may give one", async () => {
    const own = await api.call("PUT", "/accounts/me", {
      token: manager.token,
      body: { username: "else@example.test" },
    });
    expect(own.status).toBe(403);
    const sub = await subaccount();
    const path = `/accounts/${sub._id}`;
    const given = await api.call("PUT", path, {
      token: manager.token,
      body: { username: "Given@example.test" },
    });
    expect(given.json.data.username).toBe("Given@example.test");
    const taken = await api.call("PUT", `/accounts/${(await subaccount())._id}`, {
      token: manager.token,
      body: { username: "gIVEN@example.test" },
    });
    expect(taken.status).toBe(409);
    expect(taken.json.errors.username[0]).toContain("taken");
    const removed = await api.call("PUT", path, { token: manager.token, body: { username: "" } });
    expect(removed.json.data.username).toBeNull();
  });

  test("changes are in the audit log, without what they were, and a repeat is no change", async () => {
    const own = await newAccount(api.deps);
    for (let i = 0; i < 2; i++) {
      await api.call("PUT", "/accounts/me", { token: own.token, body: { name: "Renamed" } });
    }
    const lines = await api.db.rows(
      sql`select action, actor, detail from audit where account_id = ${own.id} order by id`,
    );
    expect(lines).toEqual([
      { action: "account.changed", actor: `token:${own.tokenId}`, detail: { changed: ["name"] } },
    ]);
  });
});

describe("subaccounts", () => {
  test("take over zone, currency, language and parts of the manager unless told otherwise", async () => {
    const plain = await subaccount();
    expect(plain).toMatchObject({ timezone: "Europe/Stockholm", currency: "NOK", sub_accounts: [] });
    const other = await api.call("POST", "/accounts", {
      token: manager.token,
      body: { name: "Other", timezone: "Australia/Lord_Howe", currency: "AUD", username: null },
    });
    expect(other.json.data).toMatchObject({ timezone: "Australia/Lord_Howe", currency: "AUD" });
    const parts = await api.db.rows(
      sql`select distinct part, parts from account
          where id in (${manager.id}, ${plain._id}, ${other.json.data._id})`,
    );
    expect(parts).toHaveLength(1);
  });

  test("need a name", async () => {
    const answer = await api.call("POST", "/accounts/me/subaccounts", { token: manager.token });
    expect(answer.status).toBe(400);
    expect(answer.json.errors).toEqual({ name: ["is required"] });
  });

  test("have no subaccounts of their own", async () => {
    const sub = await subaccount();
    for (const options of [
      { token: manager.token, path: `/accounts/${sub._id}/subaccounts` },
      { token: await newToken(api.deps, sub._id, ["write_accounts"]), path: "/accounts" },
    ]) {
      const answer = await api.call("POST", options.path, { token: options.token, body: { name: "deep" } });
      expect(answer.status).toBe(403);
      expect(answer.json.message).toContain("cannot have subaccounts");
    }
  });

  test("are listed 50 a page with an exact count, and the parent shows the first 50", async () => {
    const owner = await newAccount(api.deps, { name: "Owner of many" });
    const made: string[] = [];
    for (let i = 0; i < 53; i++) {
      api.clock.advance(1);
      const name = `Customer ${String(i).padStart(2, "0")}`;
      made.push((await subaccount({ name, custom_identifier: `c${i}` }, owner))._id);
    }
    const list = async (query: Record<string, string | number>) =>
      (await api.call("GET", "/accounts/me/subaccounts", { token: owner.token, query })).json;
    const first = await list({});
    expect(first).toMatchObject({ count: 53, skip: 0, limit: 50 });
    expect(first.data.map((one: { _id: string }) => one._id)).toEqual(made.slice(0, 50));
    for (const rest of [await list({ skip: 50 }), await list({ offset: 50 })]) {
      expect(rest.data.map((one: { _id: string }) => one._id)).toEqual(made.slice(50));
      expect(rest).toMatchObject({ count: 53, skip: 50 });
    }
    const whole = (await api.call("GET", "/accounts/me", { token: owner.token })).json.data;
    expect(whole.sub_accounts_count).toBe(53);
    expect(whole.sub_accounts).toHaveLength(50);
    expect(whole.sub_accounts[0]).toMatchObject({ _id: made[0], sub_accounts: [] });

    expect((await list({ custom_identifier: "c7" })).data.map((one: { _id: string }) => one._id)).toEqual([
      made[7],
    ]);
    expect(await list({ name: "cUSTOMER 1" })).toMatchObject({ count: 10 });
    expect(await list({ q: "customer 2 AND custom_identifier:c21" })).toMatchObject({ count: 1 });
    expect((await list({ sort: "-name", limit: 1 })).data[0].name).toBe("Customer 52");
    expect(await list({ username: "null", limit: 0 })).toMatchObject({ count: 53, limit: 1 });
    expect(await list({ entity_type: "person" })).toMatchObject({ count: 0, data: [] });
    const all = await api.call("GET", "/accounts", { token: owner.token, query: { limit: 1, skip: 53 } });
    expect(all.json).toMatchObject({ count: 54 });
  });

  test("unknown and hidden filters are ignored and named", async () => {
    const query = { password_hash: "x", nonsense: "1" };
    const answer = await api.call("GET", "/accounts", { token: stranger.token, query });
    expect(answer.json.count).toBe(1);
    expect(answer.headers["x-ignored-parameters"]).toBe("nonsense, password_hash");
  });

  test("two that ask for one user name at once: one gets it", async () => {
    const body = { name: "Race", username: "race@example.test" };
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => api.call("POST", "/accounts", { token: manager.token, body })),
    );
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, 409, 409, 409, 409, 409]);
  });
});

describe("exists", () => {
  test("tells whether a user name is taken, whatever the case, to those who may create accounts", async () => {
    const ask = (username: string, token = manager.token) =>
      api.call("GET", "/accounts/exists", { token, query: { username } });
    expect((await ask(stranger.username!.toUpperCase())).json.data).toEqual({ exists: true });
    expect((await ask("nobody@example.test")).json.data).toEqual({ exists: false });
    const basic = await newToken(api.deps, manager.id);
    expect((await ask(stranger.username!, basic)).status).toBe(403);
    const empty = await api.call("GET", "/accounts/exists", { token: manager.token });
    expect(empty.json.errors).toHaveProperty("username");
  });
});

describe("rights", () => {
  test("basic reads and does not write", async () => {
    const token = await newToken(api.deps, manager.id);
    expect((await api.call("GET", "/accounts/me", { token })).status).toBe(200);
    for (const [method, path] of [
      ["PUT", "/accounts/me"],
      ["POST", "/accounts"],
      ["POST", "/accounts/me/subaccounts"],
    ] as const) {
      const answer = await api.call(method, path, { token, body: { name: "x" } });
      expect(answer.status).toBe(403);
      expect(answer.json.message).toContain("write_accounts");
    }
  });

  test("the account of somebody else answers like one that does not exist, on every route", async () => {
    const sub = await subaccount();
    const sibling = await subaccount();
    const subToken = await newToken(api.deps, sub._id, ["basic", "write_accounts"]);
    const nowhere = newId(api.clock.now());
    const routes = (id: string) =>
      [
        ["GET", `/accounts/${id}`],
        ["PUT", `/accounts/${id}`],
        ["GET", `/accounts/${id}/subaccounts`],
        ["POST", `/accounts/${id}/subaccounts`],
        ["GET", `/accounts/${id}/subaccounts/${sub._id}`],
        ["GET", `/accounts/me/subaccounts/${id}`],
        ["PUT", `/accounts/me/subaccounts/${id}`],
        ["GET", `/accounts/${id}/authenticated_collaborator`],
      ] as const;
    const before = await api.db.rows(sql`select a::text from account a order by id`);
    for (const [token, foreign] of [
      [stranger.token, manager.id],
      [stranger.token, sub._id],
      [subToken, manager.id],
      [subToken, sibling._id],
      [manager.token, "0".repeat(24)],
      [manager.token, "not-an-id"],
    ] as const) {
      for (const [index, [method, path]] of routes(foreign).entries()) {
        const body = method === "GET" ? undefined : { name: "taken over" };
        const answer = await api.call(method, path, { token, body });
        const unknown = await api.call(method, routes(nowhere)[index]![1], { token, body });
        expect([answer.status, path]).toEqual([404, path]);
        expect({ ...answer.json, request_id: "" }).toEqual({ ...unknown.json, request_id: "" });
      }
    }
    expect(await api.db.rows(sql`select a::text from account a order by id`)).toEqual(before);
  });

  test("a subaccount is found below its own manager only", async () => {
    const [one, other] = [await subaccount(), await subaccount()];
    for (const path of [
      `/accounts/${one._id}/subaccounts/${other._id}`,
      `/accounts/${one._id}/subaccounts/${one._id}`,
      `/accounts/me/subaccounts/${manager.id}`,
      "/accounts/me/subaccounts/me",
    ]) {
      expect([(await api.call("GET", path, { token: manager.token })).status, path]).toEqual([404, path]);
      const put = await api.call("PUT", path, { token: manager.token, body: { name: "x" } });
      expect([put.status, path]).toEqual([404, path]);
    }
  });

  test("X-Subaccount acts in an account that the token's account manages now, and in no other", async () => {
    const sub = await subaccount({ name: "Acted in" });
    const ask = (id: string, token = manager.token) =>
      api.call("GET", "/accounts/me", { token, headers: { "X-Subaccount": id } });
    expect((await ask(sub._id)).json.data.name).toBe("Acted in");
    expect((await ask("me")).json.data.name).toBe("Manager");
    const foreign = await ask(sub._id, stranger.token);
    const unknown = await ask(newId(api.clock.now()), stranger.token);
    expect(foreign.status).toBe(403);
    expect({ ...foreign.json, request_id: "" }).toEqual({ ...unknown.json, request_id: "" });
    expect((await ask("nonsense")).status).toBe(403);
    const subToken = await newToken(api.deps, sub._id);
    expect((await ask(manager.id, subToken)).status).toBe(403);
    await api.db.run(sql`update account set manager_id = null where id = ${sub._id}`);
    expect((await ask(sub._id)).status).toBe(403);
    expect((await api.call("GET", `/accounts/${sub._id}`, { token: manager.token })).status).toBe(404);
  });

  test("X-Organization acts where the person works, with no more than their role", async () => {
    const organization = await newAccount(api.deps, { name: "Org", is_organization: true });
    const person = await newAccount(api.deps, { name: "Person" });
    const headers = { "X-Organization": organization.id };
    const rename = () =>
      api.call("PUT", "/accounts/me", { token: person.token, headers, body: { name: "Org 2" } });
    const read = () => api.call("GET", "/accounts/me", { token: person.token, headers });
    expect((await read()).status).toBe(403);
    const role = async (name: "reader" | "editor" | "administrator") => {
      await api.db.run(sql`delete from collaborator`);
      await api.db.transaction((tx) =>
        addCollaborator(tx, { organizationId: organization.id, accountId: person.id, role: name, now: 0 }),
      );
    };
    await role("reader");
    expect((await read()).status).toBe(403);
    await role("editor");
    expect((await read()).json.data._id).toBe(organization.id);
    expect((await rename()).status).toBe(403);
    await role("administrator");
    expect((await rename()).json.data.name).toBe("Org 2");
    const sub = await subaccount({ name: "Sub of org" }, organization);
    const both = await api.call("GET", "/accounts/me", {
      token: person.token,
      headers: { ...headers, "X-Subaccount": sub._id },
    });
    expect(both.json.data.name).toBe("Sub of org");
    await api.db.run(sql`update account set is_organization = false where id = ${organization.id}`);
    expect((await read()).status).toBe(403);
  });
});
