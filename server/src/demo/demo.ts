import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type Account,
  accountByUsername,
  audit,
  createAccount,
  createToken,
  hasNoAccounts,
  newPasswordHash,
} from "../accounts/accounts.ts";
import { storeDocument } from "../invoices/invoices.ts";
import { createMeters, type MadeMeter, updateMeters } from "../meters/meters.ts";
import type { Tx } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { scopes } from "../platform/http/endpoint.ts";
import { Problem } from "../platform/problem.ts";
import { calendarIndex, calendarStart, granuleLabel } from "../platform/time/granule.ts";
import { newSecret } from "../platform/token.ts";
import { type Batch, defaultMetric, ingestIn, type Run } from "../series/series.ts";
import { addNode, placeMeters } from "../trees/trees.ts";
import { demoInvoices, isBilledBy, monthsBilled, monthsOf } from "./demo-invoices.ts";
import type { InvoiceToPrint } from "./invoice.ts";
import { addGridModel } from "./price-model.ts";
import { printInvoice } from "./print-invoice.ts";
import { forgetUtility } from "./utility.ts";
import { type DemoValues, demoValues } from "./values.ts";
import { type Building, type Customer, type DemoMeter, demoCustomers } from "./world.ts";

export { connectUtility } from "./collection.ts";

/** How to get into the demo, and objects worth a first look. Kept in the data folder, for its owner alone. */
export interface DemoAccess {
  username: string;
  password: string;
  token: string;
  /** The first subaccount. */
  subaccountId: string;
  /** A meter of it with hourly values. */
  meterId: string;
  /** The node above all buildings. */
  nodeId: string;
  /** A calendar year that all values of the demo cover. */
  year: number;
}

const username = "demo@example.com";
const fileName = "demo.json";
/** Bills of the customers as PDF, to inspect and upload. */
const invoicesFolder = "demo-invoices";
const years = 2;

/**
 * Fills an empty installation with a property manager, its customers, 41 meters and two years of values up to
 * yesterday; does nothing when that was done before. All or nothing: a run that is cut short leaves an empty one.
 */
export async function fillDemo(deps: Deps): Promise<DemoAccess> {
  const { db, settings } = deps;
  const path = join(settings.dataDir, fileName);
  if ((await accountByUsername(db, username)) !== undefined) return readAccess(path);
  if (!(await hasNoAccounts(db))) {
    throw new Problem(
      "conflict",
      "The demo needs an empty database, and this one holds accounts. Use another --data-dir or DATABASE_URL.",
    );
  }
  forgetUtility(settings.dataDir);
  return db.transaction(async (tx) => {
    const access = await fill(tx, deps);
    // Before the commit: an account without a known password would be no use.
    writeFileSync(path, `${JSON.stringify(access, null, 2)}\n`, { mode: 0o600 });
    return access;
  });
}

function readAccess(path: string): DemoAccess {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as DemoAccess;
  } catch {
    throw new Problem(
      "unavailable",
      `The login of the demo was in ${path}, which cannot be read. Delete the data folder to begin anew.`,
    );
  }
}

async function fill(tx: Tx, deps: Deps): Promise<DemoAccess> {
  const now = deps.clock.now();
  const customers = demoCustomers();
  const manager = await makeManager(tx, deps, now);
  const tree = new DemoTree(tx, manager.account.id, now);
  const top = await tree.node({ name: "All properties", custom_identifier: "ALL" });
  let first: { subaccountId: string; meterId: string } | undefined;
  const withGridModel: MadeMeter[] = [];
  for (const customer of customers) {
    const { account, meters } = await makeCustomer(tx, { customer, managerId: manager.account.id, now });
    await tree.plant(top, customer, meters);
    first ??= { subaccountId: account.id, meterId: meters.get(customer.buildings[0]!.meters[0]!)!.id };
    const values = new Map<DemoMeter, DemoValues>();
    for (const [meter, made] of meters) values.set(meter, allValues(meter, made, { customer, now }));
    const invoices = demoInvoices(customer, (meter) =>
      monthsOf(meter, customer.city.timezone, values.get(meter)!),
    );
    for (const [meter, made] of meters) {
      const about = { customer, now, all: values.get(meter)!, billed: monthsBilled(invoices, meter) };
      for (const batch of batchesOf(meter, made, about)) await ingestIn(tx, [batch], now);
      if (isBilledBy("alvdal-energi", invoices, meter)) withGridModel.push(made);
    }
    await storeInvoices(tx, deps, { invoices, accountId: account.id, by: manager.account.id });
  }
  const firstDay = new Date(firstMonth(now)).toISOString().slice(0, 10).replaceAll("-", "");
  await addGridModel(tx, deps, { accountId: manager.account.id, meters: withGridModel, firstDay, now });
  const { password, token } = manager;
  const year = new Date(now).getUTCFullYear() - 1;
  return { username, password, token, ...first!, nodeId: top, year };
}

async function makeManager(tx: Tx, { keys }: Deps, now: number) {
  const password = newSecret(12);
  const account = await createAccount(tx, {
    name: "Nordljus Property Management",
    username,
    passwordHash: await newPasswordHash(password, [username]),
    timezone: "Europe/Stockholm",
    entity_type: "facility_manager",
    now,
  });
  const { token } = await createToken(tx, keys, { accountId: account.id, name: "demo", scopes, now });
  await audit(tx, { at: now, accountId: account.id, actor: "demo", action: "account.created" });
  return { account, password, token };
}

async function makeCustomer(
  tx: Tx,
  { customer, managerId, now }: { customer: Customer; managerId: string; now: number },
): Promise<{ account: Account; meters: Map<DemoMeter, MadeMeter> }> {
  const { name, externalId, city, buildings } = customer;
  const account = await createAccount(tx, {
    name,
    managerId,
    custom_identifier: externalId,
    timezone: city.timezone,
    currency: city.currency,
    entity_type: "landlord",
    now,
  });
  const detail = { manager: managerId };
  await audit(tx, { at: now, accountId: account.id, actor: "demo", action: "account.created", detail });
  const all = buildings.flatMap((building) => building.meters.map((meter) => ({ building, meter })));
  const made = await createMeters(
    tx,
    { holderId: account.id, now, actorId: null },
    all.map(({ building, meter }) => ({
      type: meter.type,
      ean: meter.ean,
      name: meter.name,
      address: building.address,
      tags: meter.tags,
      location: city.location,
      representation:
        meter.use === "solar" ? "production" : meter.type === "sensor" ? "sensor" : "consumption",
      expectedGranularity: meter.granularity,
      box: meter.box,
    })),
  );
  const tagged = all.flatMap(({ meter }, i) =>
    meter.tags.length > 0 ? [{ _id: made[i]!.id, tags: meter.tags }] : [],
  );
  await updateMeters(tx, { accountId: managerId, now, actorId: managerId }, tagged);
  return { account, meters: new Map(all.map(({ meter }, i) => [meter, made[i]!])) };
}

/** The manager's order of its buildings: region, property, building; solar cells apart from what is used. */
class DemoTree {
  readonly #tx: Tx;
  readonly #viewer: { accountId: string; clientId: null };
  readonly #now: number;

  constructor(tx: Tx, accountId: string, now: number) {
    this.#tx = tx;
    this.#viewer = { accountId, clientId: null };
    this.#now = now;
  }

  async node(given: { name: string; custom_identifier: string; parent?: string }): Promise<string> {
    return (await addNode(this.#tx, this.#viewer, { ...given, now: this.#now })).id;
  }

  async plant(top: string, customer: Customer, meters: ReadonlyMap<DemoMeter, MadeMeter>): Promise<void> {
    const { city, property, buildings } = customer;
    const region = await this.node({ name: city.name, custom_identifier: `R-${city.name}`, parent: top });
    const place = await this.node({
      name: property.name,
      custom_identifier: property.externalId,
      parent: region,
    });
    for (const building of buildings) await this.#building(place, building, meters);
  }

  async #building(
    parent: string,
    building: Building,
    meters: ReadonlyMap<DemoMeter, MadeMeter>,
  ): Promise<void> {
    const { name, externalId } = building;
    const id = await this.node({ name, custom_identifier: externalId, parent });
    // What is still in the inbox has no place yet, and production is no consumption.
    const placed = building.meters.filter((meter) => meter.box === "active" && meter.use !== "solar");
    if (placed.length === 0) return;
    await placeMeters(this.#tx, this.#viewer, {
      id,
      meters: placed.map((meter) => ({ _id: meters.get(meter)!.id, factor: 1 })),
    });
  }
}

/** Uploads the printed bills of a customer, and leaves them in the data folder for those who want to look at them. */
async function storeInvoices(
  tx: Tx,
  deps: Deps,
  { invoices, accountId, by }: { invoices: InvoiceToPrint[]; accountId: string; by: string },
): Promise<void> {
  const folder = join(deps.settings.dataDir, invoicesFolder);
  mkdirSync(folder, { recursive: true });
  for (const invoice of invoices) {
    const content = await printInvoice(invoice);
    const fileName = `${invoice.utility}-${invoice.number}.pdf`;
    writeFileSync(join(folder, fileName), content);
    await storeDocument(tx, deps, { accountId, by, fileName, content });
  }
}

/** First instant in UTC of the month in which values begin. */
function firstMonth(now: number): number {
  const date = new Date(now);
  return Date.UTC(date.getUTCFullYear() - years, date.getUTCMonth(), 1);
}

/** Values of a meter from the first day of the month two years ago until yesterday. */
function allValues(
  meter: DemoMeter,
  { timezone }: MadeMeter,
  { customer, now }: { customer: Customer; now: number },
): DemoValues {
  const to = calendarStart(timezone, calendarIndex("day", timezone, now), "day");
  const firstDay = calendarStart(timezone, calendarIndex("day", timezone, firstMonth(now)), "day");
  return demoValues(meter, customer.city, { from: firstDay, to });
}

/** What a supplier would have sent for one meter: its values, corrections of them, and its bills. */
function batchesOf(
  meter: DemoMeter,
  { id, part, timezone }: MadeMeter,
  {
    customer,
    now,
    all,
    billed,
  }: { customer: Customer; now: number; all: DemoValues; billed: ReadonlySet<string> },
): Batch[] {
  const to = calendarStart(timezone, calendarIndex("day", timezone, now), "day");
  const base = {
    meter: { id, part, timezone },
    metric: defaultMetric(meter.type),
    granularity: meter.granularity,
  };
  const arrived = to + 6 * 3_600_000;
  const batches: Batch[] = [];
  if (meter.flaw === "corrected") {
    const { wrong, right } = correctedWeek(all);
    batches.push(
      document("values", meter, arrived - 40 * 86_400_000, [{ ...base, ...wrong, quality: "estimated" }]),
      document("correction", meter, arrived - 20 * 86_400_000, [{ ...base, ...right, quality: "measured" }]),
    );
  }
  batches.push(document("values", meter, arrived, [{ ...base, ...all, quality: "measured" }]));
  if (meter.hasCosts) {
    batches.push(document("bills", meter, arrived, [costsOf(base.meter, { all, customer, billed })]));
  }
  return batches;
}

function document(kind: string, { ean }: DemoMeter, version: number, runs: Run[]): Batch {
  return {
    document: { source: `demo ${kind} ${ean} ${new Date(version).toISOString().slice(0, 10)}`, version },
    runs,
  };
}

/** A week that was estimated 12 % too high first, and then measured. */
function correctedWeek({ starts, values }: DemoValues): { wrong: DemoValues; right: DemoValues } {
  const from = starts.length - 60 * 24;
  const week = starts.slice(from, from + 7 * 24);
  const right = values.slice(from, from + 7 * 24);
  return {
    wrong: { starts: week, values: right.map((value) => Math.round(value * 1120) / 1000) },
    right: { starts: week, values: right },
  };
}

/** Price of a kWh in the customer's currency, and what every month costs besides. */
const prices: Readonly<Record<string, { kWh: number; month: number }>> = {
  SEK: { kWh: 1.18, month: 345 },
  EUR: { kWh: 0.112, month: 31 },
  NOK: { kWh: 1.27, month: 390 },
};

/** A bill for each full month that no invoice is about. */
function costsOf(
  meter: Run["meter"],
  { all, customer, billed }: { all: DemoValues; customer: Customer; billed: ReadonlySet<string> },
): Run {
  const { currency } = customer.city;
  const { kWh, month } = prices[currency]!;
  const sums = new Map<number, number>();
  for (let i = 0; i < all.starts.length; i++) {
    const index = calendarIndex("month", meter.timezone, all.starts[i]!);
    sums.set(index, (sums.get(index) ?? 0) + all.values[i]!);
  }
  const labelOf = (index: number) =>
    granuleLabel("month", meter.timezone, calendarStart(meter.timezone, index, "month"));
  const full = [...sums.keys()].slice(0, -1).filter((index) => !billed.has(labelOf(index)));
  return {
    meter,
    metric: "cost_retail_total",
    currency,
    granularity: "month",
    starts: full.map((index) => calendarStart(meter.timezone, index, "month")),
    values: full.map((index) => Math.round((sums.get(index)! * kWh + month) * 100) / 100),
    quality: "measured",
  };
}
