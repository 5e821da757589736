import type { MeterType } from "../meters/meters.ts";
import type { Ask } from "./ask.ts";

/** A customer of the demo utility: a subaccount with a connection. */
interface UtilityCustomer {
  name: string;
  externalId: string;
  username: string;
  password: string;
  /** Types of meters that rules accept and place; the others stay in the inbox. */
  accepted: readonly MeterType[];
}

const all: readonly MeterType[] = ["electricity", "heat", "water"];
const login = (username: string, password = "demo") => ({ username, password });

/** Two that are collected from, and three that need a person. */
const customers: readonly UtilityCustomer[] = [
  { name: "Brf Sjöutsikten 10", externalId: "C-2001", ...login("demo"), accepted: ["electricity", "heat"] },
  { name: "Fastighets AB Ekorren 21", externalId: "C-2002", ...login("kund0005", "sol-0005"), accepted: all },
  { name: "Lindqvist Bygg AB 5", externalId: "C-2003", ...login("code"), accepted: all },
  { name: "Brf Tallen 99", externalId: "C-2004", ...login("changed"), accepted: [] },
  { name: "Fastighets AB Ekorren 5", externalId: "C-2005", ...login("labels"), accepted: [] },
];

/** What the demo shows first of its connections. */
export interface Connected {
  /** The connection whose login waits for a code. */
  codeConnectionId: string;
  /** The node below which rules place meters. */
  nodeId: string;
}

const provider = "demo-http";

/**
 * Connects customers with the demo utility as a property manager does: subaccounts, rules that accept what is found and
 * place it by address, connections. Repeated, as after a start that was cut short, it adds what is missing.
 */
export async function connectCustomers(ask: Ask, url: string): Promise<Connected> {
  await ask("POST", "/accounts/me/structure", { structure: "property_manager" });
  const nodes = await known(ask, "/trees?limit=300", "custom_identifier");
  const rules = await known(ask, "/inbox_rules?limit=300", "name");
  const accounts = await known(ask, "/accounts/me/subaccounts?limit=300", "custom_identifier");
  const connections = await known(ask, "/connections?limit=300", "name");
  const made = async (path: string, body: object): Promise<string> => (await ask("POST", path, body))._id;
  const nodeOf = async (custom_identifier: string, name: string) =>
    nodes.get(custom_identifier) ?? (await made("/trees", { name, custom_identifier }));
  const ruleOf = async (name: string, rule: object) =>
    rules.get(name) ?? (await made("/inbox_rules", { name, ...rule }));

  const collected = await nodeOf("COLLECTED", "Collected from Älvdal Energi");
  const produced = await nodeOf("PRODUCED", "Produced by solar cells");
  // The first rule gives the place: production is no consumption.
  await ruleOf("Solar cells", {
    conditions: { provider, text: "produktion" },
    actions: { tree_id: produced, tags: ["production"] },
  });
  let codeConnectionId = "";
  for (const { name, externalId, accepted, ...credentials } of customers) {
    const account =
      accounts.get(externalId) ??
      (await made("/accounts/me/subaccounts", { name, custom_identifier: externalId }));
    for (const type of accepted) {
      const actions = { box: "active", tree_id: collected, tree_child: "{address}" };
      await ruleOf(`${externalId} ${type}`, { conditions: { account, type }, actions });
    }
    const connection = { provider, name, account, credentials: { url, ...credentials } };
    const id = connections.get(name) ?? (await made("/connections", connection));
    if (credentials.username === "code") codeConnectionId = id;
  }
  return { codeConnectionId, nodeId: collected };
}

/** What is there already: ids by a field. */
async function known(ask: Ask, path: string, field: string): Promise<Map<string, string>> {
  const found: Record<string, string>[] = await ask("GET", path);
  return new Map(found.map((each) => [each[field]!, each._id!]));
}

/** Enters the credentials again, with another address: a password only goes where somebody has sent it. */
export async function moveCustomers(ask: Ask, { from, to }: { from: string; to: string }): Promise<void> {
  const connections: { _id: string; credentials: { url: string; username: string } }[] = await ask(
    "GET",
    `/connections?provider=${provider}&limit=300`,
  );
  for (const { _id, credentials } of connections) {
    const customer = customers.find(({ username }) => username === credentials.username);
    if (credentials.url !== from || customer === undefined) continue;
    const { username, password } = customer;
    await ask("PUT", `/connections/${_id}`, { credentials: { url: to, username, password } });
  }
}
