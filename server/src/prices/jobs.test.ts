import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newAccount } from "../../../test/harness/accounts.ts";
import type { TestApi } from "../../../test/harness/api.ts";
import { newMeter } from "../../../test/harness/meters.ts";
import { purgeChanges } from "../changes/changes.ts";
import { rootMeters } from "../meters/meters.ts";
import { sql } from "../platform/db.ts";
import { granuleStarts } from "../platform/time/granule.ts";
import { type Batch, gridOf, ingest, ingestIn, query, undoImport } from "../series/series.ts";
import { modelOf, monthOf, type PriceWorld, priceWorld, spanOfMonth } from "./harness.ts";

const zone = "Europe/Stockholm";
let world: PriceWorld;
let api: TestApi;
beforeAll(async () => {
  world = await priceWorld({ now: Date.UTC(2025, 3, 10, 12) });
  api = world.api;
});
afterAll(() => api.close());

const ok = (...request: Parameters<PriceWorld["ok"]>) => world.ok(...request);
const run = () => world.run();
const fee = { kind: "fixed", name: "Fee", metric: "grid_subscription", price: 31, per: "month" };
const use = { kind: "energy", name: "Use", metric: "grid_usage", price: 2 };

/** A meter whose costs are calculated, and how its values are written and read. */
async function priced(components: readonly object[], period = "20250101-") {
  const made = await newMeter(api, world.owner, { timezone: zone });
  const [meter] = await rootMeters(api.db, [made.id]);
  const { _id } = await ok("POST", "/price_models", modelOf(components));
  const attach = () => ok("POST", `/meters/${meter!.id}/calculated_metrics`, { metric_model: _id, period });
  const batch = (metric: string, month: string, values: number[], more: object = {}): Batch => {
    const span = spanOfMonth(zone, month);
    const granularity = values.length === 1 ? "month" : "hour";
    const starts = granuleStarts(granularity, zone, span);
    expect(values).toHaveLength(starts.length);
    return {
      document: { source: "test", ...more },
      runs: [{ meter: meter!, metric, granularity, starts, values }],
    };
  };
  const cost = async (month: string, metric = "grid_total") => {
    const answers = await query(api.db, {
      meters: [{ rootId: meter!.id, part: meter!.part }],
      metrics: [`cost_${metric}`],
      grids: [gridOf("month", zone, spanOfMonth(zone, month))],
    });
    return answers[0]?.values[0]?.[0] ?? Number.NaN;
  };
  const write = (...given: Parameters<typeof batch>) => {
    api.clock.advance(1000);
    return ingest(api.db, [batch(...given)], api.clock.now());
  };
  return { meter: meter!, model: _id as string, attach, batch, write, cost };
}

/** A transaction that has written and does not commit until it is let go. */
async function held(write: Batch) {
  const written = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const done = api.db.transaction(async (tx) => {
    await ingestIn(tx, [write], api.clock.now());
    written.resolve();
    await gate.promise;
  });
  await written.promise;
  return {
    commit: () => {
      gate.resolve();
      return done;
    },
  };
}

describe("the log of changes", () => {
  test("a writer that commits late is not skipped", async () => {
    const one = await priced([use]);
    await one.attach();
    await run();
    const late = await held(one.batch("energy", "202501", [10]));
    await run();
    // Another part goes on meanwhile, with later offsets.
    const other = await newAccount(api.deps, {});
    const elsewhere = await newMeter(api, other, { timezone: zone });
    const [root] = await rootMeters(api.db, [elsewhere.id]);
    const more = one.batch("energy", "202501", [1]);
    await ingest(api.db, [{ ...more, runs: [{ ...more.runs[0]!, meter: root! }] }], api.clock.now());
    await run();
    expect(await one.cost("202501")).toBeNaN();
    await late.commit();
    await run();
    expect(await one.cost("202501")).toBe(20);
  });

  test("a writer that is at work when the calculation begins is not skipped", async () => {
    const one = await priced([use]);
    // As if it were the first of its part.
    await api.db.run(sql`delete from calculation_cursor where of_part = ${one.meter.part}`);
    api.clock.advance(1000);
    const late = await held(one.batch("energy", "202501", [10]));
    let isAttached = false;
    const attached = one.attach().then(() => void (isAttached = true));
    const waits = async () => {
      const { n } = await api.db.one<{ n: number }>(
        sql`select count(*) as n from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock'`,
      );
      return n > 0;
    };
    // It waits for the writer. One that did not would calculate now, without the value, and begin to read behind it.
    while (!isAttached && !(await waits()));
    if (isAttached) await run();
    await late.commit();
    await attached;
    await run();
    expect(await one.cost("202501")).toBe(20);
  });

  test("a log that was purged unread makes everything due", async () => {
    const one = await priced([use]);
    await one.attach();
    await run();
    await one.write("energy", "202501", [10]);
    const signal = new AbortController().signal;
    await purgeChanges(api.db, [one.meter.part], { before: api.clock.now() + 60_000, signal });
    await run();
    expect(await one.cost("202501")).toBe(20);
  });

  test("only months that changed are due, and those whose peaks they are", async () => {
    const peak = { kind: "peak", name: "P", metric: "grid_subscription_power", price: 1, over_months: 2 };
    const one = await priced([peak]);
    await one.attach();
    const hours = (month: string, value: number) => {
      const { from, to } = spanOfMonth(zone, month);
      return new Array((to - from) / 3_600_000).fill(value);
    };
    for (const [month, value] of [
      ["202412", 1],
      ["202501", 2],
      ["202502", 3],
      ["202503", 1],
    ] as const)
      await one.write("energy", month, hours(month, value));
    await run();
    const all = async () => Promise.all(["202501", "202502", "202503"].map((month) => one.cost(month)));
    expect(await all()).toEqual([2, 3, 3]);
    const changed = hours("202502", 3);
    changed[100] = 9;
    await one.write("energy", "202502", changed);
    await run();
    expect(await all()).toEqual([2, 9, 9]);
  });
});

describe("costs that are delivered", () => {
  /** An invoice: by an import that can be taken back. */
  async function invoiced(one: Awaited<ReturnType<typeof priced>>, importId: string) {
    const invoice = one.batch("cost_grid_usage", "202501", [99], { importId });
    invoice.runs[0]!.currency = "SEK";
    api.clock.advance(1000);
    await ingest(api.db, [invoice], api.clock.now());
    return async () => {
      const undo = { part: one.meter.part, importId, meters: [one.meter], now: api.clock.now() };
      await api.db.transaction((tx) => undoImport(tx, undo));
    };
  }
  async function remove(one: Awaited<ReturnType<typeof priced>>) {
    const removal = one.batch("cost_grid_usage", "202501", [Number.NaN]);
    removal.runs[0]!.currency = "SEK";
    api.clock.advance(1000);
    await ingest(api.db, [removal], api.clock.now());
  }
  const usage = (one: Awaited<ReturnType<typeof priced>>) => one.cost("202501", "grid_usage");

  test("go before calculated ones; taken back, those return as they are now", async () => {
    const one = await priced([use]);
    await one.attach();
    await one.write("energy", "202501", [10]);
    await run();
    const undo = await invoiced(one, "a".repeat(24));
    expect(await usage(one)).toBe(99);
    await one.write("energy", "202501", [20]);
    await run();
    expect(await usage(one)).toBe(99);
    await undo();
    await run();
    expect(await usage(one)).toBe(40);
  });

  test("removed, they leave the place to calculated ones, and no older document comes back", async () => {
    const one = await priced([use]);
    await one.attach();
    await one.write("energy", "202501", [10]);
    await invoiced(one, "c".repeat(24));
    await run();
    await remove(one);
    await run();
    expect(await usage(one)).toBe(20);
    const late = one.batch("cost_grid_usage", "202501", [77], { version: Date.UTC(2025, 1, 1) });
    late.runs[0]!.currency = "SEK";
    await ingest(api.db, [late], api.clock.now());
    expect(await usage(one)).toBe(20);
    // There is nothing left to remove: what is calculated follows from others.
    await remove(one);
    await run();
    expect(await usage(one)).toBe(20);
  });

  test("taken back after the calculation was ended, nothing returns", async () => {
    const one = await priced([use]);
    const { _id } = await one.attach();
    await one.write("energy", "202501", [10]);
    await run();
    const undo = await invoiced(one, "b".repeat(24));
    await ok("DELETE", `/meters/${one.meter.id}/calculated_metrics/${_id}`);
    await run();
    expect(await usage(one)).toBe(99);
    await undo();
    await run();
    expect(await usage(one)).toBeNaN();
  });
});

describe("time", () => {
  test("a month is calculated when it has ended, a fee without any consumption", async () => {
    const one = await priced([fee]);
    await one.attach();
    await run();
    expect([await one.cost("202503"), await one.cost("202504")]).toEqual([31, Number.NaN]);
    const now = api.clock.now();
    api.clock.set(Date.UTC(2025, 3, 30, 21, 59));
    await run();
    expect(await one.cost("202504")).toBeNaN();
    api.clock.set(Date.UTC(2025, 3, 30, 22, 1));
    await run();
    expect(await one.cost("202504")).toBe(31);
    // Also the months in which nothing ran.
    api.clock.set(Date.UTC(2025, 6, 3));
    await run();
    expect([await one.cost("202505"), await one.cost("202506")]).toEqual([31, 31]);
    api.clock.set(now);
  });

  test("many years are calculated in steps", async () => {
    const one = await priced([fee], "20150101-");
    await one.attach();
    await run();
    for (let month = monthOf("201501"); month < monthOf("202504"); month += 7) {
      const text = `${1970 + Math.floor(month / 12)}${String((month % 12) + 1).padStart(2, "0")}`;
      expect(await one.cost(text)).toBe(31);
    }
  });
});

test("a meter that fails does not keep the others waiting, and is tried again", async () => {
  const [bad, good] = [await priced([fee]), await priced([fee])];
  await bad.attach();
  await good.attach();
  const spoil = (components: string) =>
    api.db.run(sql`update price_model set components = ${components}::jsonb where id = ${bad.model}`);
  await spoil(
    '[{"kind": "fixed", "name": "F", "metric": "grid_subscription", "price": "much", "per": "year"}]',
  );
  await expect(run()).rejects.toThrow("1 meters failed");
  expect(await good.cost("202501")).toBe(31);
  await spoil(
    '[{"kind": "fixed", "name": "F", "metric": "grid_subscription", "price": "7", "per": "month"}]',
  );
  await run();
  expect(await bad.cost("202501")).toBe(7);
});

test("uploaded prices make the months due whose hours they price", async () => {
  const series = await ok("POST", "/price_series", { name: "Spot", currency: "SEK" });
  const spot = { kind: "spot", name: "Spot", metric: "grid_usage", series: series._id };
  const one = await priced([spot]);
  await one.attach();
  await one.write("energy", "202501", new Array(744).fill(1));
  await run();
  expect(await one.cost("202501")).toBeNaN();
  const start = "2025-01-01T00:00:00+0100";
  const upload = (prices: number[]) => ok("POST", `/price_series/${series._id}/prices`, { start, prices });
  await upload(new Array(743).fill(0.5));
  await run();
  expect(await one.cost("202501")).toBeNaN();
  await upload(new Array(744).fill(0.5));
  await run();
  expect(await one.cost("202501")).toBe(372);
  const sent = api.sentJobs.length;
  await upload(new Array(744).fill(0.5));
  expect(api.sentJobs.length).toBe(sent);
});

test("what is stored is what a calculation answers", async () => {
  const components = [
    fee,
    { kind: "peak", name: "P", metric: "grid_subscription_power", price: 45.5, highest: 3 },
    {
      kind: "time_of_use",
      name: "T",
      metric: "grid_usage",
      windows: [
        { name: "day", price: 0.76, hours: ["06-22"] },
        { name: "night", price: 0.305 },
      ],
    },
    { kind: "percentage", name: "D", metric: "grid_undefined", percent: -2.5 },
  ];
  const one = await priced(components, "20250110-20250320");
  await one.attach();
  for (const month of ["202501", "202502", "202503"]) {
    const { from, to } = spanOfMonth(zone, month);
    const count = (to - from) / 3_600_000;
    const values = Array.from({ length: count }, (_, i) => ((i * 7919) % 1000) / 100);
    await one.write("energy", month, values);
  }
  await run();
  const [answer] = await ok("POST", `/price_models/${one.model}/calculate`, {
    meters: [one.meter.id],
    period: "20250110-20250320",
  });
  const { months } = answer.periods[0];
  expect(months).toHaveLength(3);
  for (const month of months) {
    expect(Object.keys(month.metrics)).toHaveLength(5);
    for (const [metric, amount] of Object.entries(month.metrics)) {
      expect(await one.cost(month.period, metric), `${metric} of ${month.period}`).toBe(amount);
    }
  }
});
