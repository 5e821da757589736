import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newAccount, newToken, type TestAccount, testPassword } from "../../../test/harness/accounts.ts";
import { type TestApi, testApi } from "../../../test/harness/api.ts";
import { type Db, sql } from "../platform/db.ts";
import { newId } from "../platform/id.ts";
import { accountEndpoints } from "./api.ts";
import { brokenAudit } from "./audit.ts";
import { authenticate } from "./authenticate.ts";
import { knownToken, revokeToken } from "./tokens.ts";

let api: TestApi;
let owner: TestAccount;
let stranger: TestAccount;

beforeAll(async () => {
  api = await testApi({ endpoints: accountEndpoints, authenticate });
  owner = await newAccount(api.deps, { name: "Owner", withPassword: true });
  stranger = await newAccount(api.deps, { name: "Stranger" });
});
afterAll(() => api.close());

const create = (body: object = {}, token = owner.token, id = "me") =>
  api.call("POST", `/accounts/${id}/tokens`, { token, body });

async function logIn(account: TestAccount): Promise<Record<string, string>> {
  const body = { username: account.username, password: account.password };
  const answer = await api.call("POST", "/sessions", { body });
  expect(answer.status).toBe(200);
  return { cookie: String(answer.headers["set-cookie"]).split(";")[0]! };
}

const works = async (token: string) => (await api.call("GET", "/accounts/me", { token })).status === 200;

describe("creating", () => {
  test("a token has 60 hex characters, basic rights, and is shown once", async () => {
    const made = await create({ name: "Import" });
    expect(made.json.data).toMatchObject({
      name: "Import",
      scopes: ["basic"],
      expires: null,
      last_used: null,
    });
    const { token, _id } = made.json.data;
    expect(token).toMatch(/^[0-9a-f]{60}$/);
    expect(await works(token)).toBe(true);
    const list = await api.call("GET", "/accounts/me/tokens", { token: owner.token });
    const one = await api.call("GET", `/accounts/me/tokens/${_id}`, { token: owner.token });
    for (const answer of [list, one]) expect(answer.text).not.toContain(token);
    expect(one.json.data.token).toBe(`********${token.slice(-4)}`);
    expect(list.json).toMatchObject({ skip: 0, limit: 50, count: list.json.data.length });
  });

  test("the database holds neither the token nor anything it can be computed from", async () => {
    const { token, _id } = (await create()).json.data;
    const row = await api.db.one<{ row: string; sealed: Buffer }>(
      sql`select t::text as row, sealed from access_token t where id = ${_id}`,
    );
    expect(row.row).not.toContain(token);
    expect(row.sealed.includes(token)).toBe(false);
    expect(row.sealed.includes(Buffer.from(token, "hex"))).toBe(false);
  });

  test("scopes may be named, unknown ones are refused", async () => {
    expect((await create({ scopes: ["basic", "write_trees", "basic"] })).json.data.scopes).toEqual([
      "basic",
      "write_trees",
    ]);
    for (const scopes of [["root"], []]) {
      const answer = await create({ scopes });
      expect(answer.status).toBe(400);
      expect(JSON.stringify(answer.json.errors)).toContain("write_trees");
    }
  });

  test("a token grants no scope that it lacks and nothing that outlives it", async () => {
    const narrow = await newToken(api.deps, owner.id, ["basic", "write_accounts"]);
    expect((await create({ scopes: ["write_meters"] }, narrow)).status).toBe(403);
    expect((await create({ scopes: ["basic"] }, narrow)).status).toBe(200);
    const expires = "2026-02-01T00:00:00+0100";
    const brief = (await create({ scopes: ["basic", "write_accounts"], expires })).json.data;
    expect(brief.expires).toBe("2026-01-31T23:00:00+0000");
    for (const later of [{}, { expires: null }, { expires: "2026-02-01T00:00:00Z" }]) {
      expect((await create(later, brief.token)).json.errors).toHaveProperty("expires");
    }
    expect((await create({ expires }, brief.token)).status).toBe(200);
  });

  test("a token without write_accounts neither lists, creates nor revokes tokens", async () => {
    const basic = await newToken(api.deps, owner.id);
    for (const [method, path] of [
      ["GET", "/accounts/me/tokens"],
      ["GET", `/accounts/me/tokens/${owner.tokenId}`],
      ["POST", "/accounts/me/tokens"],
      ["PUT", `/accounts/me/tokens/${owner.tokenId}`],
      ["DELETE", `/accounts/me/tokens/${owner.tokenId}`],
    ] as const) {
      expect((await api.call(method, path, { token: basic })).status).toBe(403);
    }
  });

  test("an expired token is refused, one that expires in the past cannot be made", async () => {
    const { token } = (await create({ expires: "2026-01-15T12:00:10+0000" })).json.data;
    expect(await works(token)).toBe(true);
    api.clock.advance(10_000);
    expect(await works(token)).toBe(false);
    expect((await create({ expires: "2026-01-15T12:00:10+0000" })).json.errors).toHaveProperty("expires");
    expect((await create({ expires: "tomorrow" })).json.errors).toHaveProperty("expires");
  });

  test("a manager makes tokens for its subaccounts, which act there alone", async () => {
    const sub = await newAccount(api.deps, { managerId: owner.id });
    const { token } = (await create({}, owner.token, sub.id)).json.data;
    const me = await api.call("GET", "/accounts/me", { token });
    expect(me.json.data._id).toBe(sub.id);
    expect((await api.call("GET", `/accounts/${owner.id}`, { token })).status).toBe(404);
  });
});

describe("using", () => {
  test("last_used moves once a minute", async () => {
    const { token, _id } = (await create()).json.data;
    const lastUsed = async () =>
      (await api.call("GET", `/accounts/me/tokens/${_id}`, { token: owner.token })).json.data.last_used;
    expect(await lastUsed()).toBeNull();
    await works(token);
    const first = await lastUsed();
    api.clock.advance(59_000);
    await works(token);
    expect(await lastUsed()).toBe(first);
    api.clock.advance(1_000);
    await works(token);
    expect(await lastUsed()).not.toBe(first);
  });

  test("renaming changes the name only", async () => {
    const { _id, scopes } = (await create({ name: "Old" })).json.data;
    const path = `/accounts/me/tokens/${_id}`;
    const body = { name: "New", scopes: ["write_meters"], expires: null, token: "f".repeat(60) };
    const answer = await api.call("PUT", path, { token: owner.token, body });
    expect(answer.json.data).toMatchObject({ name: "New", scopes });
    expect((await api.call("PUT", path, { token: owner.token, body: { name: "" } })).status).toBe(400);
  });
});

describe("revoking", () => {
  test("a revoked token is refused by the next request, and gone from every list", async () => {
    const { token, _id } = (await create()).json.data;
    expect(await works(token)).toBe(true);
    const path = `/accounts/me/tokens/${_id}`;
    const answer = await api.call("DELETE", path, { token: owner.token });
    expect(answer.json).toEqual({ code: 200, message: "Deleted token." });
    expect(await works(token)).toBe(false);
    for (const method of ["GET", "PUT", "DELETE"]) {
      expect((await api.call(method, path, { token: owner.token })).status).toBe(404);
    }
    const list = await api.call("GET", "/accounts/me/tokens", { token: owner.token, query: { limit: 300 } });
    expect(list.json.data.map((one: { _id: string }) => one._id)).not.toContain(_id);
  });

  test("what was read of a token before its revocation is not believed after it", async () => {
    const { token, _id } = (await create()).json.data;
    const found = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    // The database answers, and the answer arrives after the revocation.
    const slow: Db = {
      ...api.db,
      async maybe<Row>(query: Parameters<Db["maybe"]>[0]) {
        const row = await api.db.maybe<Row>(query);
        found.resolve();
        await goOn.promise;
        return row;
      },
    };
    const early = knownToken(slow, api.clock, token);
    await found.promise;
    await api.db.transaction((tx) =>
      revokeToken(tx, slow, { accountId: owner.id, id: _id, now: api.clock.now() }),
    );
    goOn.resolve();
    expect(await early).toMatchObject({ id: _id });
    expect(await knownToken(slow, api.clock, token)).toBeUndefined();
  });

  test("a revocation by another process is seen within half a second", async () => {
    const { token, _id } = (await create()).json.data;
    expect(await works(token)).toBe(true);
    await api.db.run(sql`update access_token set revoked = now() where id = ${_id}`);
    api.clock.advance(501);
    expect(await works(token)).toBe(false);
  });

  test("the account that was deleted takes its tokens along", async () => {
    const gone = await newAccount(api.deps);
    await api.db.run(sql`update account set deleted = now() where id = ${gone.id}`);
    expect((await api.call("GET", "/accounts/me", { token: gone.token })).status).toBe(401);
  });
});

describe("viewing again", () => {
  test("shows the token to an administrator in a session after the password, and says so in the audit log", async () => {
    const { token, _id } = (await create()).json.data;
    const headers = await logIn(owner);
    const path = `/accounts/me/tokens/${_id}/view`;
    const view = (body: object, extra: object = { headers }) => api.call("POST", path, { body, ...extra });
    const wrong = await view({ password: "not the password at all" });
    expect(wrong.status).toBe(400);
    expect(wrong.json.errors).toEqual({ password: ["is wrong"] });
    expect((await view({})).json.errors).toEqual({ password: ["is required"] });
    const byToken = await view({ password: testPassword }, { token: owner.token });
    expect(byToken.status).toBe(403);
    expect(byToken.json.message).toContain("a token may not");
    const seen = await view({ password: testPassword });
    expect(seen.json.data.token).toBe(token);
    const lines = await api.db.rows(
      sql`select action, actor, subject, detail from audit where account_id = ${owner.id} and subject = ${_id} order by id`,
    );
    expect(lines).toEqual([
      {
        action: "token.created",
        actor: `token:${owner.tokenId}`,
        subject: _id,
        detail: { scopes: ["basic"] },
      },
      { action: "token.viewed", actor: owner.id, subject: _id, detail: {} },
    ]);
    await api.call("DELETE", `/accounts/me/tokens/${_id}`, { headers });
    expect((await view({ password: testPassword })).status).toBe(404);
    const sealed = await api.db.one<{ sealed: Buffer }>(
      sql`select sealed from access_token where id = ${_id}`,
    );
    expect(sealed.sealed).toHaveLength(0);
  });

  test("guessing the password there is limited like guessing at the login", async () => {
    const person = await newAccount(api.deps, { withPassword: true });
    const headers = await logIn(person);
    const statuses: number[] = [];
    for (let i = 0; i < 11; i++) {
      const body = { password: `guess number ${i} of many` };
      statuses.push(
        (await api.call("POST", `/accounts/me/tokens/${person.tokenId}/view`, { headers, body })).status,
      );
    }
    expect(statuses).toEqual([...Array(10).fill(400), 429]);
  });
});

describe("login tokens", () => {
  test("log a person in once, within 15 minutes", async () => {
    const sub = await newAccount(api.deps, { managerId: owner.id, name: "Tenant" });
    const path = `/accounts/${sub.id}/login_tokens`;
    const made = await api.call("POST", path, { token: owner.token });
    const { token, _id } = made.json.data;
    const use = (login_token: string) => api.call("POST", "/sessions", { body: { login_token } });
    const first = await use(token);
    expect(first.json.data).toMatchObject({
      account: { _id: sub.id, name: "Tenant" },
      method: "login_token",
    });
    expect((await use(token)).status).toBe(401);
    const list = await api.call("GET", path, { token: owner.token });
    expect(list.json.data).toMatchObject([{ _id, used: expect.any(String) }]);
    expect(list.text).not.toContain(token);

    const late = (await api.call("POST", path, { token: owner.token })).json.data;
    api.clock.advance(15 * 60_000);
    expect((await use(late.token)).status).toBe(401);
    const removed = (await api.call("POST", path, { token: owner.token })).json.data;
    expect((await api.call("DELETE", `${path}/${removed._id}`, { token: owner.token })).status).toBe(200);
    expect((await api.call("DELETE", `${path}/${removed._id}`, { token: owner.token })).status).toBe(404);
    expect((await use(removed.token)).status).toBe(401);
  });

  test("used by many at once, log one in", async () => {
    const { token } = (await api.call("POST", "/accounts/me/login_tokens", { token: owner.token })).json.data;
    const all = await Promise.all(
      Array.from({ length: 5 }, () => api.call("POST", "/sessions", { body: { login_token: token } })),
    );
    expect(all.map((answer) => answer.status).sort()).toEqual([200, 401, 401, 401, 401]);
  });

  test("are only made by who has every scope, because a session has every right", async () => {
    const narrow = await newToken(api.deps, owner.id, ["basic", "write_accounts"]);
    const answer = await api.call("POST", "/accounts/me/login_tokens", { token: narrow });
    expect(answer.status).toBe(403);
    expect(answer.json.message).toContain("write_meters");
  });
});

test("the tokens of another account answer like those that do not exist, and stay as they are", async () => {
  const { _id } = (await create()).json.data;
  const login = (await api.call("POST", "/accounts/me/login_tokens", { token: owner.token })).json.data;
  const strangersSession = await newAccount(api.deps, { withPassword: true });
  const headers = await logIn(strangersSession);
  const state = () =>
    api.db.rows(sql`select t::text from access_token t where account_id = ${owner.id}
                    union all select l::text from login_token l where account_id = ${owner.id} order by 1`);
  await api.call("GET", "/accounts/me", { token: owner.token });
  const before = await state();
  const nowhere = newId(api.clock.now());
  for (const [method, path] of [
    ["GET", `/accounts/${owner.id}/tokens`],
    ["POST", `/accounts/${owner.id}/tokens`],
    ["GET", `/accounts/${owner.id}/tokens/${_id}`],
    ["GET", `/accounts/me/tokens/${_id}`],
    ["PUT", `/accounts/me/tokens/${_id}`],
    ["DELETE", `/accounts/me/tokens/${_id}`],
    ["DELETE", `/accounts/${owner.id}/tokens/${_id}`],
    ["POST", `/accounts/me/tokens/${_id}/view`],
    ["GET", `/accounts/${owner.id}/login_tokens`],
    ["POST", `/accounts/${owner.id}/login_tokens`],
    ["DELETE", `/accounts/me/login_tokens/${login._id}`],
  ] as const) {
    const body = method === "GET" ? undefined : { name: "x", password: testPassword };
    const credential = path.endsWith("/view") ? { headers } : { token: stranger.token };
    const answer = await api.call(method, path, { ...credential, body });
    const unknown = await api.call(method, path.replace(owner.id, nowhere).replace(_id, nowhere), {
      ...credential,
      body,
    });
    expect([answer.status, method, path]).toEqual([404, method, path]);
    expect({ ...answer.json, request_id: "" }).toEqual({ ...unknown.json, request_id: "" });
  }
  expect(await state()).toEqual(before);
});

test("no secret is in the log, and the audit log holds together", async () => {
  const secrets = [owner.token, stranger.token, testPassword];
  for (const secret of secrets) expect(api.logLines.join("\n")).not.toContain(secret);
  expect(await brokenAudit(api.db, owner.id)).toBeNull();
});
