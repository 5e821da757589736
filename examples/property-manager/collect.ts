/**
 * From an empty account to the meters of each customer, as a property manager: `node collect.ts`. The same as collect.sh,
 * with the typed client.
 *
 * METERTREE_URL and METERTREE_TOKEN say where; the token needs the scopes basic, write_accounts, write_trees,
 * write_meters and collection. UTILITY_URL is where the demo utility answers.
 */
import { setTimeout as wait } from "node:timers/promises";
import { Client } from "@metertree/client";

const { METERTREE_URL: url, METERTREE_TOKEN: token, UTILITY_URL: utility } = process.env;
if (url === undefined || token === undefined) {
  console.error("METERTREE_URL=… METERTREE_TOKEN=… UTILITY_URL=… node collect.ts");
  process.exit(2);
}
const client = new Client({ url, token });
const me = { id: "me" };

/** Customers, by a number of your own, and their logins: reserved ones of the demo utility. */
const customers = [
  { number: "P-1", name: "Kvarnen", username: "quarter" },
  { number: "P-2", name: "Smedjan", username: "exchange" },
];

async function nodeOf(custom_identifier: string, name: string, parent?: string): Promise<string> {
  const { data } = await client.page("GET /trees", { query: { custom_identifier } });
  const body = { name, custom_identifier, ...(parent === undefined ? {} : { parent }) };
  return (data[0] ?? (await client.call("POST /trees", { body })))._id;
}

async function subaccountOf(custom_identifier: string, name: string): Promise<string> {
  const input = { path: me, query: { custom_identifier } };
  const { data } = await client.page("GET /accounts/{id}/subaccounts", input);
  const body = { name, custom_identifier };
  return (data[0] ?? (await client.call("POST /accounts/{id}/subaccounts", { path: me, body })))._id;
}

async function connectionOf(account: string, name: string, username: string): Promise<string> {
  const { data } = await client.page("GET /connections", { query: { "account._id": account } });
  const credentials = { url: utility ?? "http://localhost:8090", username, password: "demo" };
  const body = { provider: "demo-http", account, name, credentials };
  return (data[0] ?? (await client.call("POST /connections", { body })))._id;
}

type Rule = Parameters<typeof client.call<"POST /inbox_rules">>[1]["body"];

async function addRule(rule: Rule): Promise<void> {
  for await (const { name } of client.list("GET /inbox_rules")) if (name === rule.name) return;
  await client.call("POST /inbox_rules", { body: rule });
}

/** Waits until the first run of a connection is over, and tells its steps. */
async function follow(id: string, name: string): Promise<void> {
  let told = "";
  for (;;) {
    const { state, running, who_acts, what_to_do } = await client.call("GET /connections/{id}", {
      path: { id },
    });
    const now = running?.steps.at(-1)?.name ?? state;
    if (now !== told) console.log(`${name}: ${now}`);
    told = now;
    if (state === "collecting") return;
    if (who_acts !== "nobody") throw new Error(`${name}: ${state}: ${what_to_do}`);
    await wait(500);
  }
}

const structure = "property_manager";
const { effects } = await client.call("POST /accounts/{id}/structure", {
  path: me,
  body: { structure, preview: true },
});
console.log(effects.join("\n"));
await client.call("POST /accounts/{id}/structure", { path: me, body: { structure } });

const portfolio = await nodeOf("PORTFOLIO", "Portfolio");
const solar = await nodeOf("SOLAR", "Solar cells");
// Production is no consumption, so its rule comes first: of several rules the first one gives the place.
await addRule({
  name: "Solar cells",
  conditions: { text: "produktion" },
  position: 1,
  actions: { box: "active", tags: ["production"], tree_id: solar },
});
const accounts = new Map<string, string>();
for (const { number, name, username } of customers) {
  const account = await subaccountOf(number, name);
  accounts.set(number, account);
  await follow(await connectionOf(account, name, username), number);
  // A rule accepts what lies in the inbox, and what is found later by itself: below the property, by address.
  const node = await nodeOf(number, name, portfolio);
  await addRule({
    name: number,
    conditions: { account },
    actions: { box: "active", tree_id: node, tree_child: "{address}" },
  });
}
const { active, placed } = await client.call("POST /inbox_rules/apply", { body: {} });
console.log(`accepted: ${active}, placed in a tree: ${placed}`);

for (const [number, account] of accounts) {
  console.log(`meters of ${number}, /meters?assigner._id=${account}`);
  const query = { "assigner._id": account, box: "active" };
  for await (const { ean, type, name } of client.list("GET /meters", { query }))
    console.log(`  ${ean} ${type} ${name}`);
}
const { count } = await client.page("GET /meters", { query: { tree_structure_ids: portfolio } });
console.log(`meters below the portfolio, /meters?tree_structure_ids=${portfolio}\n  ${count}`);
