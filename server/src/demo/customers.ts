import type { Ask } from "./ask.ts";

/** A customer of the demo utility: a subaccount with a connection. */
interface UtilityCustomer {
  name: string;
  externalId: string;
  username: string;
  password: string;
}

/** Two that are collected from, and three that need a person. */
const customers: readonly UtilityCustomer[] = [
  { name: "Brf Sjöutsikten 10", externalId: "C-2001", username: "demo", password: "demo" },
  { name: "Fastighets AB Ekorren 21", externalId: "C-2002", username: "kund0005", password: "sol-0005" },
  { name: "Lindqvist Bygg AB 5", externalId: "C-2003", username: "code", password: "demo" },
  { name: "Brf Tallen 99", externalId: "C-2004", username: "changed", password: "demo" },
  { name: "Fastighets AB Ekorren 5", externalId: "C-2005", username: "labels", password: "demo" },
];

/** What the demo shows first of its connections. */
export interface Connected {
  /** The connection whose login waits for a code. */
  codeConnectionId: string;
  /** The node below which rules place meters. */
  nodeId: string;
}

const provider = "demo-http";
const nodeName = "COLLECTED";

/**
 * Connects customers with the demo utility as a property manager does: subaccounts, connections, and rules that accept
 * electricity and heat and place them by address; water stays in the inbox. Repeated, as after a start
 * that was cut short, it adds what is missing.
 */
export async function connectCustomers(ask: Ask, url: string): Promise<Connected> {
  await ask("POST", "/accounts/me/structure", { structure: "property_manager" });
  const node = await firstOf(ask, `/trees?custom_identifier=${nodeName}`, () =>
    ask("POST", "/trees", { name: "Collected from Älvdal Energi", custom_identifier: nodeName }),
  );
  const rules: { name: string }[] = await ask("GET", "/inbox_rules");
  for (const type of ["electricity", "heat"]) {
    const name = `Älvdal Energi: ${type}`;
    if (rules.some((rule) => rule.name === name)) continue;
    const actions = { box: "active", tree_id: node._id, tree_child: "{address}" };
    await ask("POST", "/inbox_rules", { name, conditions: { provider, type }, actions });
  }
  const made = new Map<string, string>();
  for (const { name, externalId, ...login } of customers) {
    const account = await firstOf(ask, `/accounts/me/subaccounts?custom_identifier=${externalId}`, () =>
      ask("POST", "/accounts/me/subaccounts", { name, custom_identifier: externalId }),
    );
    const connection = await firstOf(ask, `/connections?account._id=${account._id}`, () =>
      ask("POST", "/connections", { provider, name, account: account._id, credentials: { url, ...login } }),
    );
    made.set(login.username, connection._id);
  }
  return { codeConnectionId: made.get("code")!, nodeId: node._id };
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

async function firstOf(
  ask: Ask,
  path: string,
  make: () => Promise<{ _id: string }>,
): Promise<{ _id: string }> {
  const found: { _id: string }[] = await ask("GET", path);
  return found[0] ?? (await make());
}
