import { afterAll, beforeAll, expect, test } from "vitest";
import { newAccount, type TestAccount } from "../../../test/harness/accounts.ts";
import { type TestApi, testApi, testClock } from "../../../test/harness/api.ts";
import { accountById, authenticate } from "../accounts/accounts.ts";
import { collectionEndpoints } from "./api.ts";
import { assertPlace } from "./structure.ts";

let api: TestApi;
let manager: TestAccount;
let customer: TestAccount;

beforeAll(async () => {
  api = await testApi({
    endpoints: collectionEndpoints([]),
    authenticate,
    clock: testClock(Date.UTC(2026, 0, 15, 12)),
  });
  manager = await newAccount(api.deps);
  customer = await newAccount(api.deps, { managerId: manager.id });
});
afterAll(() => api.close());

const send = (who: TestAccount, method: string, path: string, body?: unknown) =>
  api.call(method, path, { token: who.token, ...(body === undefined ? {} : { body }) });
const choose = (body: object, who = manager) => send(who, "POST", "/accounts/me/structure", body);
const mayConnect = async (who: TestAccount) =>
  assertPlace(api.db, await accountById(api.db, who.id)).then(
    () => true,
    (error: { status: number; message: string }) => `${error.status} ${error.message.split(":")[0]}`,
  );

test("a structure is chosen once, previewed before it changes, and says where connections belong", async () => {
  const empty = await send(manager, "GET", "/accounts/me/structure");
  expect(empty.json.data).toMatchObject({ structure: null, since: null, effects: [] });
  expect([await mayConnect(manager), await mayConnect(customer)]).toEqual([true, true]);

  expect((await choose({ structure: "property_manager", preview: true })).json.data).toMatchObject({
    structure: "property_manager",
    since: null,
    preview: true,
  });
  expect([await mayConnect(manager), await mayConnect(customer)]).toEqual([true, true]);

  const chosen = await choose({ structure: "property_manager" });
  expect(chosen.json.data).toMatchObject({ since: "2026-01-15T12:00:00+0000", preview: false });
  expect(chosen.json.data.effects.join(" ")).toContain("shared with this account");
  expect([await mayConnect(manager), await mayConnect(customer)]).toEqual(["400 account", true]);

  api.clock.advance(60_000);
  expect((await choose({ structure: "property_manager" })).json.data.since).toBe("2026-01-15T12:00:00+0000");
  expect((await choose({ structure: "classic" })).json.data.since).toBe("2026-01-15T12:01:00+0000");
  expect([await mayConnect(manager), await mayConnect(customer)]).toEqual([true, "400 account"]);
});

test("a subaccount follows its manager and chooses nothing", async () => {
  const answer = await choose({ structure: "classic" }, customer);
  expect([answer.status, answer.json.errors.structure[0]]).toEqual([
    400,
    "is chosen by the account that manages this one, for all its subaccounts",
  ]);
  expect((await choose({ structure: "both" })).status).toBe(400);
  const stranger = await newAccount(api.deps);
  expect((await send(stranger, "GET", `/accounts/${manager.id}/structure`)).status).toBe(404);
});
