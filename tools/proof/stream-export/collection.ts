import type { Client } from "../../../client/src/client.ts";

const hour = 3_600_000;
const day = 24 * hour;
/** Corrections reach so far back. */
const backDays = 400;
/** Meters that are made for each customer. */
const newMeters = 5;
/** Metrics that are sums of what flows, and those that are states. */
const metricOf: Record<string, string> = { water: "flow", hot_water: "flow", sensor: "temperature" };

/** A meter that values are collected for, in the account that holds it. */
interface Collected {
  id: string;
  customer: string;
  metric: string;
  timezone: string;
  /** Start of the first hour that was not collected yet, epoch ms. */
  next: number;
}

interface Batch {
  document: { source: string; version: string };
  runs: {
    meter: string;
    metric: string;
    granularity: "hour" | "month";
    start: string;
    values: (number | null)[];
    null_removes: boolean;
    currency?: string;
  }[];
}

/** What was done, for the verdict. */
export type Done = Record<
  | "new"
  | "corrected"
  | "removed"
  | "late"
  | "repeated"
  | "outdated"
  | "costs"
  | "moved"
  | "refused"
  | "unanswered",
  number
>;

/**
 * Stands for the connectors of a property manager's customers: new hours, corrections, removals, late days, documents
 * that come twice or after a newer one, monthly costs, and meters that leave the box active and come back. Everything
 * follows from the dice, but not when it happens.
 */
export class Collection {
  readonly done: Done = {
    new: 0,
    corrected: 0,
    removed: 0,
    late: 0,
    repeated: 0,
    outdated: 0,
    costs: 0,
    moved: 0,
    refused: 0,
    unanswered: 0,
  };
  readonly #random: () => number;
  readonly #connect: (subaccount?: string) => Client;
  readonly #meters: Collected[] = [];
  #last: { customer: string; batch: Batch } | undefined;
  #version: number;
  /** No values are collected from here on, epoch ms. */
  #newest = 0;

  constructor(options: { random: () => number; connect: (subaccount?: string) => Client; now: number }) {
    this.#random = options.random;
    this.#connect = options.connect;
    this.#version = options.now - 300 * day;
  }

  /** Finds the meters of all customers, and makes new ones whose values begin three years ago. */
  async begin(now: number): Promise<void> {
    const today = Math.floor(now / day) * day;
    const customers = this.#connect().list("GET /accounts/{id}/subaccounts", { path: { id: "me" } });
    for await (const { _id: customer } of customers) {
      const client = this.#connect(customer);
      for (let n = 0; n < newMeters; n++) {
        const { _id, timezone } = await client.call("POST /meters", {
          body: {
            type: "electricity",
            name: `Collected ${n}`,
            ean: `7350000${customer.slice(-6)}${n}`,
            box: "active",
          },
        });
        this.#meters.push({ id: _id, customer, metric: "energy", timezone, next: today - 1100 * day });
      }
      for await (const { _id, type, timezone, name } of client.list("GET /meters", {
        query: { box: "active" },
      })) {
        if (name?.startsWith("Collected")) continue;
        const metric = metricOf[type] ?? "energy";
        this.#meters.push({ id: _id, customer, metric, timezone, next: today - day });
      }
    }
    this.#newest = today;
  }

  /** One thing that happens. Errors of a server that is away count as unanswered: nobody knows what became of it. */
  async step(): Promise<void> {
    const dice = this.#random();
    const meter = this.#meters[Math.floor(this.#random() * this.#meters.length)]!;
    if (dice < 0.4) await this.#send("new", meter, this.#newHours(meter));
    else if (dice < 0.65)
      await this.#send("corrected", meter, this.#hours(meter, this.#past(), 1 + this.#upTo(40)));
    else if (dice < 0.72)
      await this.#send("removed", meter, this.#hours(meter, this.#past(), 1 + this.#upTo(4), true));
    else if (dice < 0.8) await this.#send("late", meter, this.#hours(meter, this.#past(), 24));
    else if (dice < 0.86) await this.#repeat();
    else if (dice < 0.9) await this.#send("outdated", meter, this.#outdated(meter));
    else if (dice < 0.96) await this.#send("costs", meter, this.#costs(meter));
    else await this.#move(meter);
  }

  /** Puts every meter back where it belongs. */
  async end(): Promise<void> {
    for (const meter of this.#meters) await this.#box(meter, "active");
  }

  #upTo(count: number): number {
    return Math.floor(this.#random() * count);
  }

  #past(): number {
    return -1 - this.#upTo(backDays * 24);
  }

  #newHours(meter: Collected): Batch {
    const count = Math.min(1 + this.#upTo(30), Math.floor((this.#newest - meter.next) / hour));
    if (count < 1) return this.#hours(meter, this.#past(), 24);
    const batch = this.#hours(meter, 0, count);
    meter.next += count * hour;
    return batch;
  }

  /** Hours from `offset` hours after the next new one on. */
  #hours(meter: Collected, offset: number, count: number, removed = false): Batch {
    this.#version += 1000;
    const values = Array.from({ length: count }, () =>
      removed ? null : Math.round(this.#random() * 5_000_000) / 1000 - (this.#random() < 0.05 ? 900 : 0),
    );
    return this.#batch(meter, {
      metric: meter.metric,
      granularity: "hour",
      start: timestamp(meter.next + offset * hour),
      values: values.map((value) => value && Math.round(value * 1000) / 1000),
      null_removes: removed,
    });
  }

  /** A document that claims to be older than everything else: it must change nothing that is there. */
  #outdated(meter: Collected): Batch {
    const batch = this.#hours(meter, this.#past(), 12);
    batch.document.version = "2001-01-01T00:00:00+0000";
    return batch;
  }

  #costs(meter: Collected): Batch {
    this.#version += 1000;
    const at = new Date(meter.next - (60 + this.#upTo(300)) * day);
    const month = new Intl.DateTimeFormat("sv-SE", { timeZone: meter.timezone, timeZoneName: "longOffset" });
    const first = Date.UTC(at.getUTCFullYear(), at.getUTCMonth(), 1);
    const zone = month.formatToParts(first).find(({ type }) => type === "timeZoneName")!.value;
    const offset = zone.replace("GMT", "").replace("−", "-").replace(":", "") || "+0000";
    return this.#batch(meter, {
      metric: this.#random() < 0.5 ? "cost_grid_total" : "cost_retail_usage",
      granularity: "month",
      start: `${new Date(first).toISOString().slice(0, 19)}${offset}`,
      values: [Math.round(this.#random() * 1e6) / 100],
      null_removes: false,
      currency: this.#random() < 0.5 ? "SEK" : "EUR",
    });
  }

  #batch(meter: Collected, run: Omit<Batch["runs"][number], "meter">): Batch {
    return {
      document: { source: `collection ${this.#version}`, version: timestamp(this.#version) },
      runs: [{ meter: meter.id, ...run }],
    };
  }

  async #repeat(): Promise<void> {
    if (this.#last === undefined) return;
    const { customer, batch } = this.#last;
    await this.#post("repeated", customer, batch);
  }

  async #send(what: keyof Done, meter: Collected, batch: Batch): Promise<void> {
    await this.#post(what, meter.customer, batch);
    this.#last = { customer: meter.customer, batch };
  }

  async #post(what: keyof Done, customer: string, batch: Batch): Promise<void> {
    await this.#try(what, () => this.#connect(customer).call("POST /batches", { body: batch }));
  }

  async #move(meter: Collected): Promise<void> {
    await this.#try("moved", () => this.#box(meter, this.#random() < 0.5 ? "active" : "ignored"));
  }

  async #box(meter: Collected, box: "active" | "ignored"): Promise<void> {
    await this.#connect(meter.customer).call("PUT /meters/{id}", { path: { id: meter.id }, body: { box } });
  }

  async #try(what: keyof Done, work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
      this.done[what]++;
    } catch (error) {
      const { code } = error as { code?: number };
      if (code !== undefined && code >= 400 && code < 500 && code !== 429) {
        this.done.refused++;
        throw error;
      }
      this.done.unanswered++;
    }
  }
}

function timestamp(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19)}+0000`;
}
