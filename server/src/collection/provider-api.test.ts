import { afterAll, beforeAll, expect, test } from "vitest";
import { newAccount, type TestAccount } from "../../../test/harness/accounts.ts";
import { type TestApi, testApi } from "../../../test/harness/api.ts";
import { authenticate } from "../accounts/accounts.ts";
import { collectionEndpoints } from "./api.ts";
import { scriptedConnector } from "./harness.ts";

let api: TestApi;
let english: TestAccount;
let swedish: TestAccount;
beforeAll(async () => {
  const worldwide = scriptedConnector({
    name: "anywhere",
    title: "Anywhere",
    countries: [],
    types: ["water"],
  });
  api = await testApi({ endpoints: collectionEndpoints([scriptedConnector(), worldwide]), authenticate });
  english = await newAccount(api.deps);
  swedish = await newAccount(api.deps, { language: "sv" });
});
afterAll(() => api.close());

const ask = (path: string, token = english.token) => api.call("GET", path, { token });

test("the catalogue says what a connection needs, in the language of the account", async () => {
  const { json } = await ask("/providers/scripted");
  expect(json.data).toEqual({
    name: "scripted",
    title: "Scripted Energi",
    countries: ["SE"],
    types: ["electricity"],
    granularities: ["hour", "day", "month"],
    history_days: 30,
    lateness_hours: 12,
    correction_days: 3,
    terms: null,
    available: true,
    unavailable_because: null,
    consent: null,
    help: "Ask the test.",
    credentials: {
      type: "object",
      required: ["username", "password"],
      properties: {
        username: { type: "string", minLength: 1, maxLength: 200, title: "Customer number" },
        password: {
          type: "string",
          format: "password",
          writeOnly: true,
          title: "Password",
          description: "Stands on the bill",
        },
      },
    },
  });
  const other = (await ask("/owners/scripted", swedish.token)).json.data;
  expect([other.help, other.credentials.properties.password.description]).toEqual([
    "Fråga testet.",
    "Står på fakturan",
  ]);
});

test("the list is filtered and paged, also under its older name", async () => {
  const names = async (path: string) =>
    (await ask(path)).json.data.map((each: { name: string }) => each.name);
  expect(await names("/providers")).toEqual(["anywhere", "scripted"]);
  expect(await names("/owners?country=se")).toEqual(["anywhere", "scripted"]);
  expect(await names("/providers?country=NO,DK")).toEqual(["anywhere"]);
  expect(await names("/providers?type=electricity")).toEqual(["scripted"]);
  expect(await names("/providers?name=energi")).toEqual(["scripted"]);
  expect((await ask("/providers?limit=1&skip=1")).json).toMatchObject({
    count: 2,
    data: [{ name: "scripted" }],
  });
  expect((await ask("/providers/nobody")).status).toBe(404);
});
