import { newAccount, type TestAccount } from "../../../test/harness/accounts.ts";
import { type Answer, type TestApi, testApi, testClock } from "../../../test/harness/api.ts";
import { newMeter } from "../../../test/harness/meters.ts";
import { authenticate } from "../accounts/accounts.ts";
import { meterEndpoints } from "../meters/api.ts";
import { sql } from "../platform/db.ts";
import type { Granularity } from "../platform/granularity.ts";
import { granuleStarts } from "../platform/time/granule.ts";
import { formatTimestamp } from "../platform/time/timestamp.ts";
import { seriesEndpoints } from "../series/api.ts";
import { treeEndpoints } from "../trees/api.ts";
import { priceEndpoints } from "./api.ts";
import { type Contract, calculateMonth, type MonthCost } from "./calculate.ts";
import { bind, type Component, componentSchema } from "./component.ts";
import { monthStart, readDays } from "./days.ts";
import { calculateCostsJob } from "./jobs.ts";
import type { Prices, Quantities } from "./quantities.ts";

/** Consumption that tests make up: a value for each granule, NaN for none. */
export type Consumption = (granularity: Granularity, start: number, metric: string) => number;

/** Quantities of a made-up consumption and price series. */
export function quantitiesOf(
  zone: string,
  consumption: Consumption,
  series: Readonly<Record<string, Prices>> = {},
): Quantities {
  return {
    values(metric, granularity, span) {
      const starts = granuleStarts(granularity, zone, span);
      return { starts, values: starts.map((start) => consumption(granularity, start, metric)) };
    },
    prices: (id) => series[id],
  };
}

/** A contract of components as a caller would send them. */
export function contract(
  components: readonly object[],
  options: Partial<Omit<Contract, "days" | "components">> & {
    period?: string;
    params?: Record<string, string>;
  } = {},
): Contract {
  const { period = "19700101-", params = {}, ...rest } = options;
  const parsed: Component[] = components.map((each) => componentSchema.parse(each));
  return {
    model: { key: "grid", period: null, timezone: null, holidays: [] },
    components: bind(parsed, params),
    currency: "SEK",
    zone: "Europe/Stockholm",
    days: readDays("period", period),
    ...rest,
  };
}

/** The month of a text such as 202601. */
export const monthOf = (text: string) => (Number(text.slice(0, 4)) - 1970) * 12 + Number(text.slice(4)) - 1;

/** A calculated month, which must be one of the contract. */
export function calculated(made: Contract, month: string, quantities: Quantities): MonthCost {
  const cost = calculateMonth(made, monthOf(month), quantities);
  if (cost === null) throw new Error(`the contract does not hold in ${month}`);
  return cost;
}

/** Amount of a metric as text; null when it is not known, undefined when nothing feeds it. */
export const amountOf = (cost: MonthCost, metric: string) => {
  const amount = cost.metrics.get(metric);
  return amount === undefined || amount === null ? amount : amount.toString();
};

/** First instants of a month and of the next. */
export const spanOfMonth = (zone: string, month: string) => {
  const index = monthOf(month);
  return { from: monthStart(zone, index), to: monthStart(zone, index + 1) };
};

/** Components as a caller sends them: a yearly fee, and a price per kWh. */
export const fee = { kind: "fixed", name: "Fee", metric: "grid_subscription", price: 1200, per: "year" };
export const use = { kind: "energy", name: "Use", metric: "grid_usage", price: 0.5 };

/** A model as a caller sends it. */
export const modelOf = (components: readonly object[], more: object = {}) => ({
  name: "Model",
  key: "grid",
  currency: "SEK",
  applicable_types: ["electricity"],
  components,
  ...more,
});

/** The API of prices, an account, and what tests ask of it. */
export type PriceWorld = Awaited<ReturnType<typeof priceWorld>>;

/** Starts the API with an account that has nothing yet. */
export async function priceWorld({ now }: { now?: number } = {}) {
  const api: TestApi = await testApi({
    endpoints: [...priceEndpoints, ...seriesEndpoints, ...meterEndpoints, ...treeEndpoints],
    authenticate,
    clock: testClock(now),
  });
  const owner = await newAccount(api.deps, { name: "Owner" });
  const ask = (method: string, path: string, body?: unknown, who: TestAccount = owner) =>
    api.call(method, path, { token: who.token, ...(body === undefined ? {} : { body }) });
  const ok = async (...request: Parameters<typeof ask>): Promise<Answer["json"]> => {
    const answer = await ask(...request);
    if (answer.status !== 200) throw new Error(`${request[0]} ${request[1]}: ${answer.text}`);
    return answer.json.data;
  };
  return {
    api,
    owner,
    ask,
    ok,
    /** Runs the job that calculates. */
    async run() {
      api.clock.advance(1000);
      await calculateCostsJob.run({}, api.deps, new AbortController().signal);
    },
    newModel: async (components: readonly object[], more: object = {}): Promise<string> =>
      (await ok("POST", "/price_models", modelOf(components, more)))._id,
    newOne: async (more: object = {}): Promise<string> =>
      (await newMeter(api, owner, { timezone: "Europe/Stockholm", ...more })).id,
    /** Delivers months of energy from 2025-01 on; null removes one. */
    async months(meter: string, values: readonly (number | null)[], more: object = {}) {
      api.clock.advance(1000);
      const starts = values.map((_, i) =>
        formatTimestamp(monthStart("Europe/Stockholm", monthOf("202501") + i)),
      );
      const about = { meter, metric: "energy", granularity: "month", starts, values, null_removes: true };
      await ok("POST", "/batches", { runs: [{ ...about, ...more }] });
    },
    /** What `/costs` answers for a meter or node that has costs in one currency. */
    async costs(id: string, period: string) {
      const metrics = "grid_subscription,grid_usage,grid_total";
      const elements = await ok("GET", `/costs/${id}/month/${period}?metrics=${metrics}`);
      if (elements.length !== 1) throw new Error(`costs in ${elements.length} currencies`);
      return { currency: elements[0].currency, ...elements[0].periods[0] };
    },
    /** How often something was written to the log, and the documents. */
    traces: () =>
      api.db.one<{ changes: number; documents: number }>(
        sql`select (select count(*) from chg) as changes, (select count(*) from document) as documents`,
      ),
  };
}
