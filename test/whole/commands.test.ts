import { afterAll, beforeAll, expect, test } from "vitest";
import { metertree, metertreeJson, type ServerProcess, scratch, server } from "../harness/process.ts";

const folder = scratch();
const where = ["--data-dir", `${folder.path}/data`];
let running: ServerProcess;
let token: { _id: string; token: string };

beforeAll(async () => {
  // Without a server: the first command makes the database and the keys.
  const account = await metertreeJson([
    "account",
    "create",
    "--name",
    "Boss",
    "--username",
    "Boss@example.com",
    ...where,
  ]);
  expect(account).toMatchObject({ name: "Boss", username: "Boss@example.com", timezone: "Etc/GMT-1" });
  token = await metertreeJson([
    "token",
    "create",
    "--account",
    "boss@example.com",
    "--scopes",
    "basic,write_accounts",
    ...where,
  ]);
  expect(token.token).toMatch(/^[0-9a-f]{60}$/);
  running = await server(["serve", "--port", "0", "--log-level", "warn", ...where]);
});
afterAll(async () => {
  await running?.stop();
  folder.remove();
});

async function ask(path: string, bearer = token.token) {
  const answer = await fetch(`${running.url}/api/v2${path}`, {
    headers: { authorization: `Bearer ${bearer}` },
  });
  // biome-ignore lint/suspicious/noExplicitAny: tests look at whatever came back
  return { status: answer.status, body: (await answer.json()) as any };
}

test("what a command made without a server works with one", async () => {
  expect((await ask("/accounts/me")).body.data).toMatchObject({ name: "Boss" });
});

test("a subaccount made beside the server is there at once, with its external id", async () => {
  const words = ["--name", "Customer", "--subaccount-of", "boss@example.com", "--external-id", "C-7"];
  const made = await metertreeJson(["account", "create", ...words, ...where]);
  const { body } = await ask("/accounts/me/subaccounts?custom_identifier=C-7");
  expect(body.data.map((account: { _id: string }) => account._id)).toEqual([made._id]);
  const all = await metertreeJson(["account", "list", ...where]);
  expect(all.map((account: { name: string }) => account.name)).toEqual(["Boss", "Customer"]);
});

test("a password from standard input logs in; a weak one is refused with the reason", async () => {
  const words = ["account", "password", "boss@example.com", "--password-stdin", ...where];
  const weak = await metertree(words, { input: "password1234567890\n" });
  expect(weak).toMatchObject({ code: 1, stdout: "" });
  expect(weak.stderr).toContain("password");
  expect((await metertree(words, { input: "seven grey herons wade\n" })).code).toBe(0);
  const answer = await fetch(`${running.url}/api/v2/sessions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ username: "boss@example.com", password: "seven grey herons wade" }),
  });
  expect(answer.status).toBe(200);
});

test("tokens are listed masked, and a revoked one is refused", async () => {
  const made = await metertreeJson([
    "token",
    "create",
    "--account",
    "boss@example.com",
    "--name",
    "short",
    ...where,
  ]);
  expect((await ask("/accounts/me", made.token)).status).toBe(200);
  const listed = await metertree(["token", "list", "--account", "boss@example.com", ...where]);
  expect(listed.stdout).toContain("short");
  expect(listed.stdout).not.toContain(made.token);
  await metertreeJson(["token", "revoke", made._id, "--account", "boss@example.com", ...where]);
  await expect.poll(async () => (await ask("/accounts/me", made.token)).status).toBe(401);
});

test("keys are rotated beside the server, which goes on", async () => {
  const { accounts } = await metertreeJson(["keys", "rotate", ...where]);
  expect(accounts).toBe(1);
  expect((await ask("/accounts/me")).status).toBe(200);
  await metertreeJson(["token", "create", "--account", "boss@example.com", ...where]);
});

test("doctor and migrate tell that all is well", async () => {
  const report = await metertreeJson(["doctor", ...where]);
  expect(report.healthy).toBe(true);
  const names = report.checks.map((check: { name: string }) => check.name);
  expect(names).toEqual(
    expect.arrayContaining([
      "zones",
      "disk",
      "database",
      "schema",
      "role",
      "clock",
      "keys",
      "jobs",
      "accounts",
    ]),
  );
  expect(await metertreeJson(["migrate", "--dry-run", ...where])).toMatchObject({ applied: [], jobs: false });
});

test.for([
  [["account", "create"], "--name"],
  [["account", "create", "--name", "X", "--username", "nobody"], "--username must be"],
  [["account", "create", "--name", "X", "--username", "boss@example.com"], "taken"],
  [["account", "create", "--name", "X", "--subaccount-of", "who@example.com"], "who@example.com"],
  [["token", "create", "--account", "boss@example.com", "--scopes", "everything"], "everything"],
  [["token", "revoke", "0123456789abcdef01234567", "--account", "boss@example.com"], "not found"],
  [["nonsense"], "unknown command"],
] as const)("%j fails with a message on standard error: %s", async ([words, message]) => {
  const end = await metertree(words[0] === "nonsense" ? words : [...words, ...where]);
  expect(end.code).toBe(1);
  expect(end.stdout).toBe("");
  expect(end.stderr.toLowerCase()).toContain(message.toLowerCase());
});

test("pages that no connector understood are listed; there are none yet", async () => {
  expect(await metertreeJson(["connector", "pages", ...where])).toEqual([]);
  const { code, stderr } = await metertree(["connector", "page", "nothing", ...where]);
  expect([code, stderr.trim()]).toEqual([
    1,
    "Error: There is no kept page of a run nothing: metertree connector pages lists them.",
  ]);
});
