import { Temporal } from "temporal-polyfill";
import type { Client } from "../../client/src/client.ts";

/** What somebody holds: values by meter, metric, currency, granularity and start in UTC. */
export type Held = Map<string, number>;

const granularities = ["hour", "day", "month"] as const;

/** Name of a value. `start` is an instant such as `2026-01-01T00:00:00Z`. */
export function keyOf(value: {
  meter: string;
  metric: string;
  currency: string;
  granularity: string;
  start: string | number;
}): string {
  const { meter, metric, currency, granularity, start } = value;
  return [meter, metric, currency, granularity, new Date(start).toISOString().slice(0, 19)].join(" ");
}

/** Values of a meter as the API answers them. */
export interface Answer {
  currency?: string | null;
  periods: ({ start_date: string } & Record<string, unknown>)[];
}

/** What the API gives out for the active meters of the account: consumption and costs. */
export async function givenOut(client: Client, years: readonly number[]): Promise<Held> {
  const held: Held = new Map();
  const period = years.join("+");
  for await (const { _id, metrics, timezone } of client.list("GET /meters", { query: { box: "active" } })) {
    const meter = { id: _id, timezone };
    for (const granularity of metrics.length === 0 ? [] : granularities) {
      const path = { id: _id, granularity, period };
      const answers = await client.call("GET /consumptions/{id}/{granularity}/{period}", {
        path,
        query: { metrics },
      });
      keep(held, answers as unknown as Answer[], { meter, granularity, prefix: "" });
    }
    const answers = await client.call("GET /costs/{id}/month/{period}", {
      path: { id: _id, period },
      query: { metrics: costs },
    });
    keep(held, answers as unknown as Answer[], { meter, granularity: "month", prefix: "cost_" });
  }
  return held;
}

const costs = ["grid", "retail"].flatMap((kind) =>
  ["subscription", "usage", "undefined", "total"].map((name) => `${kind}_${name}`),
);
costs.push("grid_subscription_power", "grid_subscription_return_temperature", "grid_subscription_flow");

interface Source {
  meter: { id: string; timezone: string };
  granularity: (typeof granularities)[number] | "15min";
  /** Put before the names of metrics. */
  prefix: string;
}

/** Adds what the API answered of a meter to what is held. */
export function keep(held: Held, answers: readonly Answer[], { meter, granularity, prefix }: Source): void {
  for (const { currency, periods } of answers) {
    for (const { start_date, end_date: _, ...columns } of periods) {
      const startOf = starts(granularity, meter.timezone, start_date);
      for (const [metric, values] of Object.entries(columns)) {
        if (!Array.isArray(values) || metric.endsWith("_quality")) continue;
        for (const [i, value] of (values as (number | null)[]).entries()) {
          if (value === null) continue;
          const about = { meter: meter.id, metric: prefix + metric, currency: currency ?? "", granularity };
          held.set(keyOf({ ...about, start: startOf(i) }), value);
        }
      }
    }
  }
}

/** Start of the i-th granule of a period, epoch ms. */
function starts(granularity: Source["granularity"], zone: string, first: string): (i: number) => number {
  const from = Date.parse(first.replace("+0000", "Z"));
  const minutes = { hour: 60, "15min": 15, day: undefined, month: undefined }[granularity];
  if (minutes !== undefined) return (i) => from + i * minutes * 60_000;
  const local = Temporal.Instant.fromEpochMilliseconds(from).toZonedDateTimeISO(zone);
  const unit = granularity === "day" ? "days" : "months";
  return (i) => local.add({ [unit]: i }).startOfDay().epochMilliseconds;
}

/** How what somebody holds differs from what it should. */
export interface Difference {
  compared: number;
  missing: number;
  extra: number;
  wrong: number;
  /** The first ones, for people. */
  examples: string[];
}

/** Compares two holdings; `only` says which values the second one is meant to hold. */
export function differ(expected: Held, found: Held, only: (key: string) => boolean = () => true): Difference {
  const difference: Difference = { compared: 0, missing: 0, extra: 0, wrong: 0, examples: [] };
  const note = (text: string) => {
    if (difference.examples.length < 5) difference.examples.push(text);
  };
  for (const [key, value] of expected) {
    if (!only(key)) continue;
    difference.compared++;
    const other = found.get(key);
    if (other === value) continue;
    if (other === undefined) difference.missing++;
    else difference.wrong++;
    note(`${key}: ${value} expected, ${other ?? "nothing"} found`);
  }
  for (const [key, value] of found) {
    if (expected.has(key)) continue;
    difference.extra++;
    note(`${key}: ${value} found, nothing expected`);
  }
  return difference;
}
