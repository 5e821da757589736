import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addCollaborator, authenticate } from "../../server/src/accounts/accounts.ts";
import { endpointsWith } from "../../server/src/app.ts";
import { makeCollector } from "../../server/src/collection/collection.ts";
import { type Connector, ProviderFailure } from "../../server/src/collection/connector.ts";
import { scriptedConnector } from "../../server/src/collection/harness.ts";
import { exportJobs } from "../../server/src/exports/exports.ts";
import { ubl } from "../../server/src/invoices/harness.ts";
import { invoiceJobs } from "../../server/src/invoices/invoices.ts";
import { sql } from "../../server/src/platform/db.ts";
import type { IdKind } from "../../server/src/platform/http/endpoint.ts";
import { newId } from "../../server/src/platform/id.ts";
import { newAccount, type TestAccount, testPassword } from "./accounts.ts";
import { type Answer, type TestApi, testApi } from "./api.ts";
import { formOf } from "./form.ts";

/** What an id can name; some of a kind are told apart because different endpoints take them. */
export type ThingKind = Exclude<IdKind, "meter_or_tree" | "session"> | "login_token" | "copy";

/** An account with one thing of each kind, whose texts and values nobody else may ever see. */
export interface Party {
  account: TestAccount;
  /** Stands in every text of this party that only itself may read. */
  canary: string;
  /** Stands in its name and address, which those see who deal with it. */
  face: string;
  /** A value of its meter, with digits of its own. */
  value: number;
  /** Session of its user. */
  cookie: string;
  /** Session of a person who may only read in it. */
  readerCookie: string;
  ids: Partial<Record<ThingKind, string>>;
  /** An offset that its stream issued. */
  offset: number;
}

/** Two managers, one of them with two subaccounts. */
export interface World {
  owner: Party;
  /** Subaccounts of the owner. */
  child: Party;
  sibling: Party;
  stranger: Party;
}

/** Every endpoint, with a provider that is there for tests alone. */
const byLink: Connector = {
  ...scriptedConnector(),
  name: "by-link",
  consent: { address: ({ state }) => `https://provider.example/?state=${state}`, take: async () => ({}) },
};
export const endpoints = endpointsWith([scriptedConnector(), byLink]);

/** The whole API over a database and a folder of its own; `close` removes both. */
export async function wholeApi(): Promise<TestApi> {
  const dataDir = mkdtempSync(join(tmpdir(), "metertree-world-"));
  const api = await testApi({ endpoints, authenticate, settings: { dataDir } });
  const close = async () => {
    await api.close();
    rmSync(dataDir, { recursive: true, force: true });
  };
  return { ...api, close };
}

/** Builds the world through the API. */
export async function buildWorld(api: TestApi): Promise<World> {
  const owner = await newParty(api, "owner");
  const child = await newParty(api, "child", owner.account.id);
  const sibling = await newParty(api, "sibling", owner.account.id);
  owner.ids.subaccount = child.account.id;
  const stranger = await newParty(api, "stranger");
  stranger.ids.subaccount = (await newAccount(api.deps, { managerId: stranger.account.id })).id;
  return { owner, child, sibling, stranger };
}

let count = 0;

/** An account with its things; `managerId` makes it a subaccount. */
export async function newParty(api: TestApi, role: string, managerId?: string): Promise<Party> {
  const canary = `${role}canary${++count}`;
  const face = `${role}face${count}`;
  const account = await newAccount(api.deps, {
    name: `${face} account`,
    username: `${face}@example.test`,
    is_organization: true,
    withPassword: true,
    ...(managerId === undefined ? {} : { managerId }),
  });
  const party: Party = {
    account,
    canary,
    face,
    value: 8000 + count + 0.6543,
    cookie: "",
    readerCookie: "",
    ids: { account: account.id },
    offset: 0,
  };
  party.cookie = await logIn(api, account.username);
  await addPeople(api, party);
  await addMeters(api, party);
  await addFiles(api, party);
  await addOutputs(api, party);
  await addWebhooks(api, party);
  await addPrices(api, party);
  await addExports(api, party);
  await addFindings(api, party);
  await addConnections(api, party);
  await addComplaints(api, party);
  return party;
}

async function logIn(api: TestApi, username: string | null): Promise<string> {
  const answer = await api.call("POST", "/sessions", { body: { username, password: testPassword } });
  return String(answer.headers["set-cookie"]).split(";")[0]!;
}

/** Asks as the party, and expects success. */
export async function asParty(
  api: TestApi,
  party: Party,
  method: string,
  path: string,
  body?: unknown,
): Promise<Answer["json"]> {
  const answer = await api.call(method, path, { token: party.account.token, body });
  if (answer.status !== 200) throw new Error(`${method} ${path}: ${answer.text}`);
  return answer.json.data;
}

async function addPeople(api: TestApi, party: Party): Promise<void> {
  const { canary, account, ids } = party;
  const make = async (path: string, body: object): Promise<string> =>
    (await asParty(api, party, "POST", path, body))._id;
  ids.token = await make("/accounts/me/tokens", { name: `${canary} token`, scopes: ["basic"] });
  ids.login_token = await make("/accounts/me/login_tokens", {});
  ids.invitation = await make("/invitations", { email: `${canary}.guest@example.test` });
  const username = `${canary}.person@example.test`;
  const person = await newAccount(api.deps, { name: `${canary} person`, username, withPassword: true });
  const collaborator = await api.db.transaction((tx) =>
    addCollaborator(tx, {
      organizationId: account.id,
      accountId: person.id,
      role: "reader",
      now: api.clock.now(),
    }),
  );
  ids.collaborator = collaborator.id;
  party.readerCookie = await logIn(api, username);
  const subscriber = await newAccount(api.deps, { name: `${canary} subscriber` });
  ids.subscriber = await make("/accounts/me/meter_subscribers", { subscriber: subscriber.id });
}

async function addFiles(api: TestApi, party: Party): Promise<void> {
  const { canary, account, ids } = party;
  const content = `meter;start;kWh\n${canary};2025-03-01 00:00;1,5\n`;
  const form = formOf([["timezone", "Europe/Stockholm"], { file: `${canary}.csv`, content }]);
  const answer = await api.call("POST", "/imports", { token: account.token, ...form });
  if (answer.status !== 200) throw new Error(`POST /imports: ${answer.text}`);
  ids.import = answer.json.data._id;
  const mapping = await asParty(api, party, "POST", "/mappings", {
    name: `${canary} mapping`,
    mapping: { version: 1 },
  });
  ids.mapping = mapping._id;
  await addInvoices(api, party);
}

/** A template for PDF invoices that can be used. */
export const invoiceTemplate = {
  version: 1,
  name: "layout",
  document: { all: ["Utility"] },
  currency: "SEK",
  numbers: { decimal: ",", thousands: " " },
  dates: ["yyyy-MM-dd"],
  seller: { name: { value: "Utility" } },
  fields: { number: "Invoice", issued: "Date" },
  tables: [{ columns: { description: "Text", amount: "Amount" }, end: "Sum" }],
  totals: { net: "Sum", vat: "VAT", payable: "To pay" },
};

async function addInvoices(api: TestApi, party: Party): Promise<void> {
  const { canary, account, ids } = party;
  const content = ubl({
    number: `${canary} number`,
    ean: `${canary}-ean`,
    period: ["2025-12-01", "2025-12-31"],
    rows: [{ name: `${canary} elöverföring`, amount: "1.50" }],
  });
  const form = formOf([{ file: `${canary}.xml`, content }]);
  const answer = await api.call("POST", "/invoices", { token: account.token, ...form });
  if (answer.status !== 200) throw new Error(`POST /invoices: ${answer.text}`);
  ids.invoice = answer.json.data[0]._id;
  const kind = invoiceJobs.find(({ name }) => name === "read-invoice")!;
  await kind.run({ invoiceId: ids.invoice }, api.deps, new AbortController().signal);
  const body = { name: `${canary} template`, template: { ...invoiceTemplate, name: `${canary}-layout` } };
  ids.invoice_template = (await asParty(api, party, "POST", "/invoice_templates", body))._id;
}

/** What hands values on; one batch of the stream is given out. */
async function addOutputs(api: TestApi, party: Party): Promise<void> {
  const { ids } = party;
  ids.stream = (await asParty(api, party, "POST", "/streams", { resource: "consumption" }))._id;
  const batch = await asParty(api, party, "POST", `/streams/${ids.stream}/consume`);
  await asParty(api, party, "POST", `/streams/${ids.stream}/commit`, { offset: batch.offset });
  party.offset = batch.offset;
}

/** A webhook to an address that is never reached, and the delivery of its test. */
async function addWebhooks(api: TestApi, party: Party): Promise<void> {
  const { canary, ids } = party;
  const webhook = await asParty(api, party, "POST", "/webhooks", {
    url: `http://10.9.8.7/${canary}`,
    events: ["meter.found"],
    name: `${canary} webhook`,
  });
  ids.webhook = webhook._id;
  const tested = await asParty(api, party, "POST", `/webhooks/${webhook._id}/test`);
  ids.webhook_delivery = tested.delivery._id;
}

async function addPrices(api: TestApi, party: Party): Promise<void> {
  const { canary, ids } = party;
  const make = async (path: string, body: object): Promise<string> =>
    (await asParty(api, party, "POST", path, body))._id;
  ids.price_series = await make("/price_series", { name: `${canary} prices`, currency: "SEK" });
  ids.price_model = await make("/price_models", {
    name: `${canary} price model`,
    key: "retail",
    currency: "SEK",
    applicable_types: ["electricity"],
    components: [{ kind: "spot", name: canary, metric: "retail_usage", series: ids.price_series }],
  });
  ids.calculated_metric = await make(`/meters/${ids.meter}/calculated_metrics`, {
    metric_model: ids.price_model,
    period: "19990101-19991231",
  });
}

/** An export with a file that a target has confirmed, though there is none. */
async function addExports(api: TestApi, party: Party): Promise<void> {
  const { canary, ids } = party;
  const made = await asParty(api, party, "POST", "/exports", {
    format: { name: "ConsumptionCSV" },
    frequency: "monthly",
    target: { http: { url: `http://10.9.8.7/${canary}?token=${canary}-token` } },
    name: `${canary} export`,
  });
  ids.export = made._id;
  const kind = exportJobs.find(({ name }) => name === "export")!;
  const request = async () => ({ status: 200, headers: {}, body: Buffer.alloc(0) });
  const deps = { ...api.deps, egress: { ...api.deps.egress, request } };
  await kind.run({ exportId: made._id }, deps, new AbortController().signal);
  ids.export_run = (await asParty(api, party, "GET", `/exports/${made._id}/runs`))[0]._id;
}

/** A connection that was refused: with a run, an issue, a file, and a login that waits for a code. */
async function addConnections(api: TestApi, party: Party): Promise<void> {
  const { canary, ids } = party;
  const made = await asParty(api, party, "POST", "/connections", {
    provider: "scripted",
    name: `${canary} connection`,
    credentials: { username: `${canary}-user`, password: `${canary}-password` },
  });
  ids.connection = made._id;
  const waiting = await asParty(api, party, "POST", "/connections", {
    provider: "by-link",
    name: `${canary} link`,
    credentials: { username: `${canary}-user`, password: `${canary}-password` },
  });
  ids.connection_by_link = waiting._id;
  const refusing = scriptedConnector({
    // biome-ignore lint/correctness/useYield: it never comes to that
    async *discover() {
      throw new ProviderFailure("credentials", `${canary} is refused`, { page: `${canary} page` });
    },
  });
  const collector = makeCollector(api.deps, [refusing]);
  await collector.step();
  await collector.idle();
  ids.connection_run = (await asParty(api, party, "GET", `/connections/${made._id}/runs`))[0]._id;
  ids.issue = (await asParty(api, party, "GET", `/issues?connection._id=${made._id}`))[0]._id;
  ids.connection_file = newId(api.clock.now());
  await api.db.run(sql`
    insert into received_file (id, connection_id, sha256, place, name, bytes, status, received, problems)
    values (${ids.connection_file}, ${made._id}, ${Buffer.from(canary)}, ${`${canary}/in`}, ${canary}, 1, 'refused', now(),
            ${JSON.stringify([{ severity: "error", file: null, line: 1, field: null, message: canary }])}::jsonb)`);
  // Long enough ago for the credentials to be tried again.
  await api.db.run(
    sql`update refused_credentials set at = at - interval '1 day' where account_id = ${party.account.id}`,
  );
  await api.db.run(sql`
    update connection set code_prompt = '{"en": "Code?", "sv": "Kod?"}', code_until = now() + interval '99 years'
    where id = ${made._id}`);
}

/** What a connection has found, a rule for such meters, and what happened to one. */
async function addFindings(api: TestApi, party: Party): Promise<void> {
  const { canary, ids } = party;
  const make = async (path: string, body: object): Promise<string> =>
    (await asParty(api, party, "POST", path, body))._id;
  ids.inbox_rule = await make("/inbox_rules", {
    name: `${canary} rule`,
    conditions: { address: canary },
    actions: { name: `${canary} {ean}` },
  });
  ids.meter_event = await make(`/meters/${ids.meter}/events`, {
    kind: "meter_exchanged",
    day: "2026-01-03",
    note: `${canary} device`,
  });
  ids.meter_source = newId(api.clock.now());
  const found = { key: `${canary} key`, ean: null, type: "electricity", text: canary, metrics: [] };
  await api.db.run(sql`
    insert into meter_source (id, account_id, provider, key, meter_id, found, first_found, last_found)
    values (${ids.meter_source}, ${party.account.id}, 'scripted', ${found.key}, ${ids.meter},
            ${JSON.stringify(found)}::jsonb, now(), now())`);
}

/** A complaint about values of the meter that are missing, and the case in which it is followed up. */
async function addComplaints(api: TestApi, party: Party): Promise<void> {
  const { canary, ids } = party;
  const complaint = {
    meter: ids.meter,
    period: "20260103",
    granularity: "hour",
    text: `${canary} complaint`,
  };
  ids.complaint = (await asParty(api, party, "POST", "/complaints", complaint))._id;
  const followed = { complaints: [ids.complaint], title: `${canary} case` };
  ids.complaint_case = (await asParty(api, party, "POST", "/complaint_cases", followed))._id;
}

async function addMeters(api: TestApi, party: Party): Promise<void> {
  const { canary, ids, value } = party;
  const make = async (path: string, body: object): Promise<string> =>
    (await asParty(api, party, "POST", path, body))._id;
  ids.open_channel = await make("/open_channels", { name: `${canary} channel` });
  ids.meter = await make("/meters", {
    type: "electricity",
    name: `${canary} meter`,
    address: `${canary} street`,
    ean: `${canary}-ean`,
    tags: [`${canary}-tag`],
    box: "active",
  });
  await asParty(api, party, "POST", "/batches", {
    document: { source: `${canary} document` },
    runs: [
      {
        meter: ids.meter,
        metric: "energy",
        granularity: "hour",
        start: "2026-01-01T00:00:00+0100",
        values: [value, value],
      },
    ],
  });
  const friend = await newAccount(api.deps, { name: `${canary} friend` });
  const [copy] = await asParty(api, party, "POST", "/meters/many/share_with", [
    { _id: ids.meter, holder: friend.id },
  ]);
  ids.copy = copy._id;
  ids.tree = await make("/trees", { name: `${canary} node`, custom_fields: { note: `${canary} note` } });
  await asParty(api, party, "POST", `/trees/${ids.tree}/meters`, { _id: ids.meter });
}
