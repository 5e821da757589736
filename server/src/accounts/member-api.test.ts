import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newAccount, type TestAccount, testPassword } from "../../../test/harness/accounts.ts";
import { type TestApi, testApi } from "../../../test/harness/api.ts";
import { sql } from "../platform/db.ts";
import { newId } from "../platform/id.ts";
import { accountEndpoints } from "./api.ts";
import { authenticate } from "./authenticate.ts";

let api: TestApi;
let organization: TestAccount;
let stranger: TestAccount;

beforeAll(async () => {
  api = await testApi({ endpoints: accountEndpoints, authenticate });
  organization = await newAccount(api.deps, { name: "Org", is_organization: true });
  stranger = await newAccount(api.deps, { name: "Stranger", is_organization: true });
});
afterAll(() => api.close());

let invited = 0;
const freshEmail = () => `invited${++invited}@example.test`;

async function invite(body: object = {}, token = organization.token) {
  const answer = await api.call("POST", "/invitations", { token, body: { email: freshEmail(), ...body } });
  expect(answer.status).toBe(200);
  return answer.json.data;
}

const accept = (body: object, headers: Record<string, string> = {}) =>
  api.call("POST", "/invitations/accept", { body, headers });

async function logIn(username: string | null): Promise<{ cookie: string }> {
  const answer = await api.call("POST", "/sessions", { body: { username, password: testPassword } });
  expect(answer.status).toBe(200);
  return { cookie: String(answer.headers["set-cookie"]).split(";")[0]! };
}

describe("invitations", () => {
  test("carry their link once, and only its hash is stored", async () => {
    const made = await invite({ role: "editor" });
    expect(made.link).toBe(`http://metertree.test/invitations/accept#token=${made.token}`);
    const one = await api.call("GET", `/invitations/${made._id}`, { token: organization.token });
    expect(one.json.data).toMatchObject({ _id: made._id, email: made.email, role: "editor", accepted: null });
    const list = await api.call("GET", "/invitations", {
      token: organization.token,
      query: { accepted: "null" },
    });
    for (const answer of [one, list]) expect(answer.text).not.toContain(made.token);
    const rows = await api.db.rows<{ row: string }>(sql`select i::text as row from invitation i`);
    expect(JSON.stringify(rows)).not.toContain(made.token);
  });

  test("make an account for who has none, with the role that was given, once", async () => {
    const { token, email } = await invite({ role: "editor" });
    const missing = await accept({ token });
    expect(missing.json.errors).toEqual({ name: ["is required"], password: ["is required"] });
    const weak = await accept({ token, name: "Ada", password: "password" });
    expect(weak.json.errors).toHaveProperty("password");
    const done = await accept({ token, name: "Ada", password: testPassword });
    expect(done.json.data).toMatchObject({
      organization: { _id: organization.id, name: "Org" },
      collaborator: { role: "editor", account: { name: "Ada", username: email } },
    });
    expect((await accept({ token, name: "Eve", password: testPassword })).status).toBe(404);
    const headers = { ...(await logIn(email)), "X-Organization": organization.id };
    expect((await api.call("GET", "/accounts/me", { headers })).json.data._id).toBe(organization.id);
  });

  test("of somebody who has an account are accepted logged in, by nobody else", async () => {
    const known = await newAccount(api.deps, { withPassword: true });
    const other = await newAccount(api.deps, { withPassword: true });
    const { token } = await invite({ email: known.username!.toUpperCase() });
    expect((await accept({ token })).status).toBe(401);
    expect((await accept({ token, name: "x", password: testPassword })).status).toBe(401);
    expect((await accept({ token }, await logIn(other.username))).status).toBe(403);
    expect((await accept({ token }, { authorization: `Bearer ${known.token}` })).status).toBe(403);
    const done = await accept({ token }, await logIn(known.username));
    expect(done.json.data.collaborator).toMatchObject({ role: "reader", account: { _id: known.id } });
  });

  test("are not accepted under another login when the address has no account yet", async () => {
    const other = await newAccount(api.deps, { withPassword: true });
    const { token } = await invite();
    const answer = await accept({ token, name: "x", password: testPassword }, await logIn(other.username));
    expect(answer.status).toBe(403);
  });

  test("accepted by several at once make one member", async () => {
    const { token } = await invite();
    const body = { token, name: "Twice", password: testPassword };
    const all = await Promise.all([accept(body), accept(body), accept(body)]);
    expect(all.map((answer) => answer.status).sort()).toEqual([200, 404, 404]);
  });

  test("end after two weeks, by a new one for the same address, and when withdrawn", async () => {
    const late = await invite();
    const replaced = await invite({ email: "same@example.test" });
    await invite({ email: "Same@example.test" });
    const withdrawn = await invite();
    const path = `/invitations/${withdrawn._id}`;
    expect((await api.call("DELETE", path, { token: organization.token })).status).toBe(200);
    expect((await api.call("DELETE", path, { token: organization.token })).status).toBe(404);
    const body = { name: "x", password: testPassword };
    for (const { token } of [replaced, withdrawn])
      expect((await accept({ ...body, token })).status).toBe(404);
    api.clock.advance(14 * 86_400_000);
    expect((await accept({ ...body, token: late.token })).status).toBe(404);
    expect((await accept({ ...body, token: "0".repeat(60) })).status).toBe(404);
  });

  test("change their role until they are accepted", async () => {
    const made = await invite();
    const path = `/invitations/${made._id}`;
    const change = (role: string) => api.call("PUT", path, { token: organization.token, body: { role } });
    expect((await change("administrator")).json.data.role).toBe("administrator");
    expect((await change("king")).json.errors.role[0]).toContain("administrator, editor, reader");
    const done = await accept({ token: made.token, name: "x", password: testPassword });
    expect(done.json.data.collaborator.role).toBe("administrator");
    expect((await change("reader")).status).toBe(409);
  });

  test("need an organisation and an address", async () => {
    const alone = await newAccount(api.deps);
    const answer = await api.call("POST", "/invitations", {
      token: alone.token,
      body: { email: freshEmail() },
    });
    expect(answer.status).toBe(409);
    expect(answer.json.message).toContain("is_organization");
    const wrong = await api.call("POST", "/invitations", {
      token: organization.token,
      body: { email: "x\r\n@y" },
    });
    expect(wrong.json.errors).toHaveProperty("email");
  });
});

describe("collaborators", () => {
  async function member(role: string, of = organization) {
    const { token } = await invite({ role }, of.token);
    const done = await accept({ token, name: `A ${role}`, password: testPassword });
    return done.json.data.collaborator;
  }

  test("are listed, changed and removed by administrators", async () => {
    const made = await member("reader");
    const list = await api.call("GET", "/accounts/me/collaborators", {
      token: organization.token,
      query: { role: "reader", "account._id": made.account._id },
    });
    expect(list.json).toMatchObject({ count: 1, data: [made] });
    const path = `/accounts/me/collaborators/${made._id}`;
    const headers = { ...(await logIn(made.account.username)), "X-Organization": organization.id };
    const own = await api.call("PUT", path, { headers, body: { role: "administrator" } });
    expect(own.status).toBe(403);
    const changed = await api.call("PUT", path, {
      token: organization.token,
      body: { role: "administrator" },
    });
    expect(changed.json.data.role).toBe("administrator");
    expect((await api.call("GET", "/accounts/me/tokens", { headers })).status).toBe(200);
    expect((await api.call("DELETE", path, { token: organization.token })).status).toBe(200);
    expect((await api.call("GET", "/accounts/me/tokens", { headers })).status).toBe(403);
    expect((await api.call("GET", path, { token: organization.token })).status).toBe(404);
  });

  test("the last administrator stays", async () => {
    const org = await newAccount(api.deps, { is_organization: true });
    const [one, two] = [await member("administrator", org), await member("administrator", org)];
    const remove = (id: string) =>
      api.call("DELETE", `/accounts/me/collaborators/${id}`, { token: org.token });
    expect((await remove(one._id)).status).toBe(200);
    expect((await remove(two._id)).status).toBe(409);
    const { data } = (await api.call("GET", "/accounts/me/collaborators", { token: org.token })).json;
    const demoted = await api.call("PUT", `/accounts/me/collaborators/${data[0]._id}`, {
      token: org.token,
      body: { role: "reader" },
    });
    expect(demoted.status).toBe(409);
  });
});

test("people and invitations of another account answer like those that do not exist, and stay as they are", async () => {
  const invitation = await invite();
  const { token } = await invite();
  const { collaborator } = (await accept({ token, name: "x", password: testPassword })).json.data;
  const state = () =>
    api.db.rows(
      sql`select i::text from invitation i union all select c::text from collaborator c order by 1`,
    );
  const before = await state();
  const nowhere = newId(api.clock.now());
  const ids = [organization.id, invitation._id, collaborator._id];
  for (const [method, path] of [
    ["GET", `/invitations/${invitation._id}`],
    ["PUT", `/invitations/${invitation._id}`],
    ["DELETE", `/invitations/${invitation._id}`],
    ["GET", `/accounts/${organization.id}/collaborators`],
    ["GET", `/accounts/${organization.id}/collaborators/${collaborator._id}`],
    ["GET", `/accounts/me/collaborators/${collaborator._id}`],
    ["PUT", `/accounts/me/collaborators/${collaborator._id}`],
    ["DELETE", `/accounts/me/collaborators/${collaborator._id}`],
  ] as const) {
    const body = method === "GET" ? undefined : { role: "administrator" };
    const answer = await api.call(method, path, { token: stranger.token, body });
    const elsewhere = ids.reduce((text, id) => text.replace(id, nowhere), path as string);
    const unknown = await api.call(method, elsewhere, { token: stranger.token, body });
    expect([answer.status, method, path]).toEqual([404, method, path]);
    expect({ ...answer.json, request_id: "" }).toEqual({ ...unknown.json, request_id: "" });
  }
  const list = await api.call("GET", "/invitations", { token: stranger.token });
  expect(list.json).toMatchObject({ count: 0, data: [] });
  expect(await state()).toEqual(before);
});
