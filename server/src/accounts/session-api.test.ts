import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newAccount, type TestAccount, testPassword } from "../../../test/harness/accounts.ts";
import { type TestApi, testApi } from "../../../test/harness/api.ts";
import { sql } from "../platform/db.ts";
import { accountEndpoints } from "./api.ts";
import { authenticate } from "./authenticate.ts";
import { addCollaborator } from "./members.ts";

let api: TestApi;

beforeAll(async () => {
  api = await testApi({ endpoints: accountEndpoints, authenticate });
});
afterAll(() => api.close());

const person = () => newAccount(api.deps, { withPassword: true });

const tryLogIn = (username: string | null, password = testPassword, headers: Record<string, string> = {}) =>
  api.call("POST", "/sessions", { body: { username, password }, headers });

const cookieOf = (answer: { headers: Record<string, string> }) =>
  String(answer.headers["set-cookie"]).split(";")[0]!;

async function logIn(account: TestAccount): Promise<{ cookie: string }> {
  const answer = await tryLogIn(account.username);
  expect(answer.status).toBe(200);
  return { cookie: cookieOf(answer) };
}

const statusWith = async (headers: Record<string, string>) =>
  (await api.call("GET", "/sessions/me", { headers })).status;

describe("login", () => {
  test("gives a cookie that scripts cannot read, and says who is logged in", async () => {
    const account = await person();
    const answer = await tryLogIn(account.username!.toUpperCase());
    const cookie = String(answer.headers["set-cookie"]);
    expect(cookie).toMatch(
      /^metertree_session=[0-9a-f]{64}; Path=\/; HttpOnly; SameSite=Lax; Max-Age=2592000$/,
    );
    expect(answer.json.data).toMatchObject({
      account: { _id: account.id, username: account.username },
      acting_account: { _id: account.id },
      role: "administrator",
      method: "password",
      organizations: [],
    });
    expect(answer.text).not.toContain(cookieOf(answer).split("=")[1]);
    const me = await api.call("GET", "/sessions/me", {
      headers: { cookie: `a=b; ${cookieOf(answer)}; c=d` },
    });
    expect(me.json.data).toEqual(answer.json.data);
  });

  test("only the hash of the cookie is stored", async () => {
    const account = await person();
    const secret = (await logIn(account)).cookie.split("=")[1]!;
    const row = await api.db.one<{ row: string }>(
      sql`select s::text as row from session s where account_id = ${account.id}`,
    );
    expect(row.row).not.toContain(secret);
  });

  test("a wrong password, an unknown name and an account without password get one answer", async () => {
    const account = await person();
    const without = await newAccount(api.deps);
    const answers = [
      await tryLogIn(account.username, "not the password"),
      await tryLogIn("nobody@example.test"),
      await tryLogIn(without.username),
    ];
    for (const answer of answers) {
      expect(answer.status).toBe(401);
      expect(answer.json.message).toBe("The user name or the password is wrong");
      expect(answer.headers["set-cookie"]).toBeUndefined();
    }
  });

  test("what is missing is named", async () => {
    const answer = await api.call("POST", "/sessions", { body: { username: "a@b" } });
    expect(answer.json.errors).toEqual({ password: ["is required"] });
    expect((await api.call("POST", "/sessions")).json.errors).toEqual({ username: ["is required"] });
  });

  test("has a new secret every time, and ends the session that the browser had", async () => {
    const account = await person();
    const planted = await logIn(account);
    const answer = await tryLogIn(account.username, testPassword, planted);
    expect(cookieOf(answer)).not.toBe(planted.cookie);
    expect(await statusWith(planted)).toBe(401);
    expect(await statusWith({ cookie: cookieOf(answer) })).toBe(200);
  });

  test("is refused from a page of another site", async () => {
    const account = await person();
    const answer = await tryLogIn(account.username, testPassword, { "sec-fetch-site": "cross-site" });
    expect(answer.status).toBe(403);
  });

  test("over https the cookie is for https alone", async () => {
    const secure = await testApi({
      endpoints: accountEndpoints,
      authenticate,
      settings: { publicUrl: "https://metertree.test" },
    });
    try {
      const account = await newAccount(secure.deps, { withPassword: true });
      const body = { username: account.username, password: testPassword };
      const answer = await secure.call("POST", "/sessions", { body });
      expect(String(answer.headers["set-cookie"])).toMatch(/; Secure$/);
    } finally {
      await secure.close();
    }
  });
});

describe("guessing", () => {
  test("ends after ten tries from one address, the right password included, and costs its owner elsewhere nothing", async () => {
    const account = await person();
    for (let i = 0; i < 10; i++) expect((await tryLogIn(account.username, `wrong ${i}`)).status).toBe(401);
    const refused = await tryLogIn(account.username);
    expect(refused.status).toBe(429);
    expect(Number(refused.headers["retry-after"])).toBeGreaterThan(0);
    const elsewhere = await api.server.inject({
      method: "POST",
      url: "/api/v2/sessions",
      remoteAddress: "192.0.2.7",
      payload: { username: account.username, password: testPassword },
    });
    expect(elsewhere.statusCode).toBe(200);
    api.clock.advance(3 * 60_000);
    expect((await tryLogIn(account.username)).status).toBe(200);
  });

  test("a name that nobody has is limited in the same way", async () => {
    api.clock.advance(3_600_000);
    const statuses: number[] = [];
    for (let i = 0; i < 11; i++) statuses.push((await tryLogIn("ghost@example.test")).status);
    expect(statuses).toEqual([...Array(10).fill(401), 429]);
  });

  test("right passwords use nothing up", async () => {
    api.clock.advance(3_600_000);
    const account = await person();
    for (let i = 0; i < 15; i++) expect((await tryLogIn(account.username)).status).toBe(200);
  });
});

describe("session", () => {
  test("ends by itself: 7 days unused, 30 days in any case", async () => {
    const account = await person();
    const day = 86_400_000;
    const idle = await logIn(account);
    api.clock.advance(7 * day - 1);
    expect(await statusWith(idle)).toBe(200);
    api.clock.advance(7 * day);
    expect(await statusWith(idle)).toBe(401);
    const busy = await logIn(account);
    for (let i = 0; i < 29; i++) {
      api.clock.advance(day);
      expect(await statusWith(busy)).toBe(200);
    }
    api.clock.advance(day);
    expect(await statusWith(busy)).toBe(401);
    await logIn(account);
    const left = await api.db.rows(sql`select from session where account_id = ${account.id}`);
    expect(left).toHaveLength(1);
  });

  test("ends with the logout, which removes the cookie", async () => {
    const account = await person();
    const headers = await logIn(account);
    const other = await logIn(account);
    const answer = await api.call("DELETE", "/sessions/me", { headers });
    expect(answer.json).toEqual({ code: 200, message: "Logged out." });
    expect(String(answer.headers["set-cookie"])).toContain(
      "metertree_session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0",
    );
    expect(await statusWith(headers)).toBe(401);
    expect(await statusWith(other)).toBe(200);
  });

  test("is nothing that a token can ask for", async () => {
    const { token } = await person();
    expect((await api.call("GET", "/sessions/me", { token })).status).toBe(403);
    expect((await api.call("DELETE", "/sessions/me", { token })).status).toBe(403);
    expect((await api.call("GET", "/sessions/me")).status).toBe(401);
  });

  test("cannot be used for writes by a page of another site", async () => {
    const account = await person();
    const headers = await logIn(account);
    const write = async (more: Record<string, string>) =>
      (await api.call("PUT", "/accounts/me", { headers: { ...headers, ...more }, body: { name: "Written" } }))
        .status;
    expect(await write({ origin: "https://evil.test" })).toBe(403);
    expect(await write({ origin: "null" })).toBe(403);
    expect(await write({ "sec-fetch-site": "cross-site" })).toBe(403);
    expect((await api.call("GET", "/accounts/me", { headers })).json.data.name).toBe(account.name);
    expect(await write({ origin: "http://metertree.test" })).toBe(200);
  });

  test("acts in an organisation with the role of the person, and no more from the moment the role is gone", async () => {
    const account = await person();
    const organization = await newAccount(api.deps, { name: "Org", is_organization: true });
    const headers: Record<string, string> = await logIn(account);
    const inOrg = { ...headers, "X-Organization": organization.id };
    expect(await statusWith(inOrg)).toBe(403);
    const { id } = await api.db.transaction((tx) =>
      addCollaborator(tx, {
        organizationId: organization.id,
        accountId: account.id,
        role: "editor",
        now: api.clock.now(),
      }),
    );
    const me = await api.call("GET", "/sessions/me", { headers: inOrg });
    expect(me.json.data).toMatchObject({
      account: { _id: account.id },
      acting_account: { _id: organization.id },
      role: "editor",
      organizations: [{ _id: organization.id, name: "Org", role: "editor" }],
    });
    const collaborator = await api.call("GET", "/accounts/me/authenticated_collaborator", { headers: inOrg });
    expect(collaborator.json.data).toMatchObject({ _id: id, role: "editor", account: { _id: account.id } });
    const rename = await api.call("PUT", "/accounts/me", { headers: inOrg, body: { name: "x" } });
    expect(rename.status).toBe(403);
    expect(rename.json.message).toContain("administrator");
    expect((await api.call("GET", "/accounts/me/tokens", { headers: inOrg })).status).toBe(403);
    await api.db.run(sql`delete from collaborator where id = ${id}`);
    expect(await statusWith(inOrg)).toBe(403);
    expect(await statusWith(headers)).toBe(200);
  });
});

describe("password", () => {
  const change = (headers: Record<string, string>, body: object, id = "me") =>
    api.call("PUT", `/accounts/${id}/password`, { headers, body });
  const next = "seven lamps over the harbour";

  test("changes with the current one, ends the other sessions and keeps this one", async () => {
    const account = await person();
    const headers = await logIn(account);
    const other = await logIn(account);
    expect((await change(headers, { new_password: next })).json.errors).toEqual({
      current_password: ["is required"],
    });
    expect((await change(headers, { current_password: "wrong", new_password: next })).json.errors).toEqual({
      current_password: ["is wrong"],
    });
    const weak = await change(headers, { current_password: testPassword, new_password: "password" });
    expect(weak.json.errors.new_password[0]).toContain("at least 15 characters");
    const named = { current_password: testPassword, new_password: `${account.name}${account.name}` };
    expect((await change(headers, named)).json.errors).toHaveProperty("new_password");
    expect(await statusWith(other)).toBe(200);
    const done = await change(headers, { current_password: testPassword, new_password: next });
    expect(done.json).toEqual({ code: 200, message: "Changed password." });
    expect(await statusWith(headers)).toBe(200);
    expect(await statusWith(other)).toBe(401);
    expect((await tryLogIn(account.username)).status).toBe(401);
    expect((await tryLogIn(account.username, next)).status).toBe(200);
    const lines = await api.db.rows(
      sql`select action from audit where account_id = ${account.id} and action like 'password.%'`,
    );
    expect(lines).toEqual([{ action: "password.changed" }]);
  });

  test("can be set for the first time by who came with a login token", async () => {
    const manager = await newAccount(api.deps);
    const sub = await newAccount(api.deps, { managerId: manager.id });
    const { token } = (await api.call("POST", `/accounts/${sub.id}/login_tokens`, { token: manager.token }))
      .json.data;
    const headers = {
      cookie: cookieOf(await api.call("POST", "/sessions", { body: { login_token: token } })),
    };
    expect((await change(headers, { new_password: next })).status).toBe(200);
    expect((await tryLogIn(sub.username, next)).status).toBe(200);
    expect((await change(headers, { new_password: `${next}!` })).status).toBe(400);
  });

  test("is that of the person alone: not of a subaccount, a stranger, an organisation, and never by token", async () => {
    const account = await person();
    const sub = await newAccount(api.deps, { managerId: account.id, withPassword: true });
    const stranger = await person();
    const headers = await logIn(account);
    const body = { current_password: testPassword, new_password: next };
    expect((await change(headers, body, sub.id)).status).toBe(403);
    expect((await change(headers, body, stranger.id)).status).toBe(404);
    const byToken = await api.call("PUT", "/accounts/me/password", { token: account.token, body });
    expect(byToken.status).toBe(403);
    expect((await tryLogIn(sub.username)).status).toBe(200);
    expect((await tryLogIn(stranger.username)).status).toBe(200);
    const acting = { ...headers, "X-Subaccount": sub.id };
    expect((await change(acting, body)).status).toBe(200);
    expect((await tryLogIn(sub.username)).status).toBe(200);
    expect((await tryLogIn(account.username, next)).status).toBe(200);
  });
});

test("neither passwords nor cookies are in the log", async () => {
  const account = await person();
  const { cookie } = await logIn(account);
  const log = api.logLines.join("\n");
  expect(log).not.toContain(testPassword);
  expect(log).not.toContain(cookie.split("=")[1]);
});
