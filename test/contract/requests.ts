import type { Endpoint } from "../../server/src/platform/http/endpoint.ts";
import { testPassword } from "../harness/accounts.ts";
import { formOf } from "../harness/form.ts";
import { invoiceTemplate, type Party, type ThingKind } from "../harness/world.ts";

/** A request as tests send it. */
export interface Request {
  method: string;
  path: string;
  query?: string;
  body?: unknown;
  headers?: Record<string, string>;
}

/** The id to put at a place of an endpoint. */
export type IdAt = (place: string) => string;

/** Method and path: how an endpoint is called. */
export const nameOf = (endpoint: Endpoint) => `${endpoint.method} ${endpoint.path}`;

/** What `endpoint.ids` calls by one name, but lies in different tables. */
const closerKinds: Readonly<Record<string, Readonly<Record<string, ThingKind>>>> = {
  "DELETE /accounts/:id/login_tokens/:token_id": { token_id: "login_token" },
  "PUT /meters/many/revoke": { body: "copy" },
};

/** Kinds of the places of an endpoint. */
export function placesOf(endpoint: Endpoint): Map<string, ThingKind> {
  const closer = closerKinds[nameOf(endpoint)] ?? {};
  return new Map(
    Object.entries(endpoint.ids ?? {}).map(([place, kind]) => {
      if (kind === "session") throw new Error(`${nameOf(endpoint)}: sessions have no ids in requests yet`);
      return [place, closer[place] ?? (kind === "meter_or_tree" ? "meter" : kind)];
    }),
  );
}

/** A file that can be read. */
const hourTable = "meter;start;kWh\n735999;2025-03-01 00:00;1,5\n735999;2025-03-01 01:00;2,5\n";

/** Price models with one of each that holds an id. */
const priceModel = (idAt: IdAt) => ({
  name: fresh("Prices "),
  key: "retail",
  currency: "SEK",
  applicable_types: ["electricity"],
  components: [{ kind: "spot", name: "Spot", metric: "retail_usage", series: idAt("series") }],
});

const inboxRule = (idAt: IdAt) => ({
  name: fresh("Rule "),
  conditions: { account: idAt("account") },
  actions: { tree_id: idAt("tree_id") },
});

/** A period of one day that no other request names. */
function freshDay(): string {
  const day = new Date(Date.UTC(2000, 0, 1 + ++count)).toISOString().slice(0, 10).replaceAll("-", "");
  return `${day}-${day}`;
}

let count = 0;
const fresh = (text: string) => `${text}${++count}`;

/** Query or body of the endpoints that need one, so that the request would succeed for who may send it. */
const fillings: Readonly<Record<string, (idAt: IdAt, asker: Party) => Omit<Request, "method" | "path">>> = {
  "POST /sessions": (_, { account }) => ({ body: { username: account.username, password: testPassword } }),
  "PUT /accounts/:id/password": () => ({
    body: { current_password: testPassword, new_password: testPassword },
  }),
  "GET /accounts/exists": (_, { account }) => ({
    query: `username=${encodeURIComponent(account.username!)}`,
  }),
  "POST /accounts": () => ({ body: { name: fresh("Account ") } }),
  "PUT /accounts/:id": () => ({ body: { name: fresh("Renamed ") } }),
  "POST /accounts/:id/subaccounts": () => ({ body: { name: fresh("Subaccount ") } }),
  "PUT /accounts/:id/subaccounts/:sub": () => ({ body: { name: fresh("Renamed ") } }),
  "POST /accounts/:id/tokens": () => ({ body: { name: fresh("Token "), scopes: ["basic"] } }),
  "PUT /accounts/:id/tokens/:token_id": () => ({ body: { name: fresh("Token ") } }),
  "POST /accounts/:id/tokens/:token_id/view": () => ({ body: { password: testPassword } }),
  "PUT /accounts/:id/collaborators/:collaborator_id": () => ({ body: { role: "editor" } }),
  "POST /invitations": () => ({ body: { email: `${fresh("guest")}@example.test` } }),
  "PUT /invitations/:id": () => ({ body: { role: "editor" } }),
  // Whoever holds the token may; what it opens is tested with the invitations.
  "POST /invitations/accept": () => ({
    body: { token: "0".repeat(64), name: "Guest", password: testPassword },
  }),
  "POST /meters/many/assign_to": (idAt) => ({ body: [{ _id: idAt("_id"), holder: idAt("holder") }] }),
  "POST /meters/many/share_with": (idAt) => ({ body: [{ _id: idAt("_id"), holder: idAt("holder") }] }),
  "PUT /meters/many/revoke": (idAt) => ({ body: [idAt("body")] }),
  "POST /accounts/:id/meter_subscribers": (idAt) => ({ body: { subscriber: idAt("subscriber") } }),
  "DELETE /accounts/:id/meter_subscribers/:subscriber_id": () => ({ body: { revoke_meters: true } }),
  "POST /open_channels": () => ({ body: { name: fresh("Channel ") } }),
  "POST /trees": (idAt) => ({ body: { name: fresh("Node "), parent: idAt("parent") } }),
  "PUT /trees/:id": (idAt) => ({ body: { name: fresh("Node "), parent: idAt("parent") } }),
  "GET /trees": (idAt) => ({ query: `parent=${idAt("parent")}` }),
  "POST /trees/:id/meters": (idAt) => ({ body: { _id: idAt("_id"), factor: 2 } }),
  "POST /meters": () => ({ body: { type: "water", name: fresh("Meter ") } }),
  "POST /meters/:id": (idAt) => ({
    body: { name: fresh("Meter "), open_channel_ids: [idAt("open_channel_ids")] },
  }),
  "PUT /meters/:id": (idAt) => ({
    body: { name: fresh("Meter "), open_channel_ids: [idAt("open_channel_ids")] },
  }),
  "PUT /meters": (idAt) => ({
    body: [{ _id: idAt("_id"), name: fresh("Meter "), open_channel_ids: [idAt("open_channel_ids")] }],
  }),
  "GET /consumptions/multi/:granularity/:period": (idAt, asker) => ({
    query: `meters=${asker.ids.meter},${idAt("meters")}`,
  }),
  "GET /consumptions/sum/:granularity/:period": (idAt, asker) => ({
    query: `meters=${asker.ids.meter},${idAt("meters")}`,
  }),
  "GET /imports": (idAt) => ({ query: `account._id=${idAt("account._id")}` }),
  "POST /imports": (idAt) =>
    formOf([
      ["account", idAt("account")],
      ["timezone", "Europe/Stockholm"],
      { file: "a.csv", content: hourTable },
    ]),
  "GET /invoices": (idAt) => ({
    query: `account._id=${idAt("account._id")}&meter_ids=${idAt("meter_ids")}`,
  }),
  "POST /invoices": (idAt) =>
    formOf([["account", idAt("account")], { file: "a.xml", content: `<Invoice>${++count}</Invoice>` }]),
  "PUT /invoices/:id": (idAt, asker) => ({
    body: { results: [{ ean: `${asker.canary}-ean`, meter: idAt("meter") }] },
  }),
  "POST /invoice_templates": () => ({ body: { name: fresh("Template "), template: invoiceTemplate } }),
  "PUT /invoice_templates/:id": () => ({ body: { name: fresh("Template ") } }),
  "POST /mappings": () => ({ body: { name: fresh("Mapping "), mapping: { version: 1 } } }),
  "PUT /mappings/:id": () => ({ body: { name: fresh("Mapping ") } }),
  "PUT /accounts/:id/consumptions": (_, asker) => ({
    body: { granularity: "month", values: `${asker.ids.meter}\t2025-1${++count % 3}\t${count}\n` },
  }),
  "GET /streams/:id/events": () => ({ query: "wait=0" }),
  "POST /streams": () => ({ body: { resource: "consumption", granularity: "hour" } }),
  "POST /streams/:id/commit": (_, asker) => ({ body: { offset: asker.offset } }),
  "POST /webhooks": () => ({ body: { url: "https://receiver.example/hook", events: ["meter.found"] } }),
  "POST /price_models": (idAt) => ({ body: priceModel(idAt) }),
  "PUT /price_models/:id": (idAt) => ({ body: priceModel(idAt) }),
  "POST /price_models/:id/calculate": (idAt) => ({
    body: { meters: [idAt("meters")], period: "202601" },
  }),
  "POST /invoices/:id/check": (idAt) => ({ body: { price_model: idAt("price_model") } }),
  "POST /price_series": () => ({ body: { name: fresh("Spot "), currency: "SEK" } }),
  "POST /price_series/:id/prices": () => ({
    body: { start: "2026-01-01T00:00:00+0100", prices: [++count] },
  }),
  "POST /meters/:id/calculated_metrics": (idAt) => ({
    body: { metric_model: idAt("metric_model"), period: freshDay() },
  }),
  "PUT /meters/:id/calculated_metrics/:calculated_metric_id": (idAt) => ({
    body: { metric_model: idAt("metric_model"), period: freshDay() },
  }),
  "POST /exports": () => ({
    body: {
      format: { name: "ConsumptionCSV" },
      source_type: "stream",
      frequency: "daily",
      target: { http: { url: "https://receiver.example/in" } },
    },
  }),
  "GET /connections": (idAt) => ({ query: `account._id=${idAt("account._id")}` }),
  "POST /connections": (idAt) => ({
    body: {
      provider: "scripted",
      credentials: { username: "anna", password: "stands on the bill" },
      account: idAt("account"),
    },
  }),
  "PUT /connections/:id": () => ({ body: { name: fresh("Connection ") } }),
  "POST /connections/:id/backfill": () => ({ body: { period: "202512" } }),
  "POST /connections/:id/consent": () => ({ body: {} }),
  "POST /connections/:id/code": () => ({ body: { code: "123456" } }),
  "GET /connections/:id/events": () => ({ query: "wait=0" }),
  "GET /issues": (idAt) => ({
    query: `connection._id=${idAt("connection._id")}&account._id=${idAt("account._id")}`,
  }),
  "PUT /issues/:id": () => ({ body: { acknowledged: true } }),
  ...Object.fromEntries(
    ["GET /completeness", "GET /completeness/summary", "GET /completeness/report"].map((name) => [
      name,
      (idAt: IdAt) => ({
        query: `account=${idAt("account")}&tree_structure_ids=${idAt("tree_structure_ids")}&meters=${idAt("meters")}`,
      }),
    ]),
  ),
  "GET /complaints": (idAt) => ({
    query: ["account._id", "meter._id", "case._id"].map((place) => `${place}=${idAt(place)}`).join("&"),
  }),
  "POST /complaints": (idAt) => ({
    body: { meter: idAt("meter"), period: "20260104", granularity: "hour", text: fresh("Complaint ") },
  }),
  "GET /complaint_cases": (idAt) => ({
    query: `account._id=${idAt("account._id")}&connection._id=${idAt("connection._id")}`,
  }),
  "PUT /completeness/mail": () => ({ body: { enabled: true } }),
  "POST /complaint_cases": (idAt) => ({ body: { complaints: [idAt("complaints")], title: fresh("Case ") } }),
  "POST /accounts/:id/structure": () => ({ body: { structure: "classic" } }),
  "POST /inbox_rules": (idAt) => ({ body: inboxRule(idAt) }),
  "PUT /inbox_rules/:id": (idAt) => ({ body: inboxRule(idAt) }),
  "POST /inbox_rules/preview": (idAt) => ({ body: inboxRule(idAt) }),
  "POST /inbox_rules/apply": (idAt) => ({ body: { rule: idAt("rule") } }),
  "PUT /meters/:id/sources": (idAt) => ({ body: [idAt("body")] }),
  "POST /meters/:id/events": () => ({ body: { kind: "meter_exchanged", day: "2026-01-02" } }),
  "POST /batches": (idAt) => ({
    body: {
      document: { source: "matrix" },
      runs: [
        {
          meter: idAt("meter"),
          metric: "energy",
          granularity: "hour",
          start: "2026-01-02T00:00:00+0100",
          values: [++count],
        },
      ],
    },
  }),
};

/** Path parameters that are no ids. */
const words: Readonly<Record<string, string>> = {
  granularity: "hour",
  period: "20260101",
  metric: "energy",
  provider: "scripted",
};

/** A path parameter that is no id. */
export const isWord = (place: string) => Object.hasOwn(words, place);

/** The request that calls an endpoint with the given ids. Throws when nobody has said here how to. */
export function requestOf(endpoint: Endpoint, idAt: IdAt, asker: Party): Request {
  const name = nameOf(endpoint);
  const filling = fillings[name];
  if (filling === undefined && endpoint.body !== undefined && !isBodyOptional(endpoint)) {
    throw new Error(`say in test/contract/requests.ts with which body ${name} is called`);
  }
  const ids = endpoint.ids ?? {};
  const path = endpoint.path.replaceAll(/:(\w+)/g, (_, place: string) => {
    const word = Object.hasOwn(ids, place) ? idAt(place) : words[place];
    if (word === undefined)
      throw new Error(`${name}: say in ids what :${place} is, or in requests.ts what it says`);
    return word;
  });
  return { method: endpoint.method, path, ...filling?.(idAt, asker) };
}

function isBodyOptional(endpoint: Endpoint): boolean {
  return endpoint.body.safeParse(undefined).success || endpoint.body.safeParse({}).success;
}
