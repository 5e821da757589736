import { z } from "zod";
import { type Endpoint, endpoint } from "../platform/http/endpoint.ts";
import { formatTimestamp, id, timestampText } from "../platform/http/schema.ts";
import { parsePeriods } from "../platform/time/period.ts";
import type { MonthCost } from "./calculate.ts";
import type { Row } from "./charge.ts";
import { dayStart, monthText } from "./days.ts";
import { type Money, shown, total } from "./money.ts";
import {
  calculateDays,
  daysOfPeriod,
  pricedMeters,
  priceUse,
  readsOf,
  refuseTooMuch,
  useFields,
} from "./price-use.ts";

/** Meters of one request. */
const metersMax = 1_000;

const rowView = z.object({
  label: z.string().nullable().describe("Window or tier of the component"),
  quantity: z.number(),
  unit: z.string(),
  price: z.number(),
  price_unit: z.string(),
  amount: z.number(),
});

const sums = {
  metrics: z.record(z.string(), z.number().nullable()).describe("Costs excl. VAT as `/costs` names them"),
  net: z.number().nullable().describe("Excl. VAT; null when a part of it is not known"),
  vat: z.number().nullable(),
  gross: z.number().nullable(),
};

const monthView = z.object({
  period: z.string(),
  start_date: timestampText(),
  end_date: timestampText(),
  components: z.array(
    z.object({
      name: z.string(),
      kind: z.string(),
      metric: z.string(),
      amount: z.number().nullable(),
      rows: z.array(rowView),
    }),
  ),
  ...sums,
  vat_percent: z.number().nullable(),
  missing: z.array(z.object({ component: z.string().nullable(), reason: z.string() })),
});

const meterCost = z.object({
  meter_id: z.string(),
  currency: z.string(),
  periods: z.array(
    z.object({
      start_date: timestampText(),
      end_date: timestampText(),
      ...sums,
      months: z.array(monthView),
    }),
  ),
});

const orNull = (amount: Money | null) => (amount === null ? null : shown(amount));

const showRow = (row: Row): z.output<typeof rowView> => ({
  label: row.label,
  quantity: shown(row.quantity),
  unit: row.unit,
  price: shown(row.price),
  price_unit: row.priceUnit,
  amount: shown(row.amount),
});

const instants = (zone: string, { from, to }: { from: number; to: number }) => ({
  start_date: formatTimestamp(dayStart(zone, from)),
  end_date: formatTimestamp(dayStart(zone, to) - 1000),
});

function showMonth(zone: string, cost: MonthCost): z.output<typeof monthView> {
  return {
    period: monthText(cost.month),
    ...instants(zone, cost.days),
    components: cost.charges.map(({ component, rows, amount }) => ({
      name: component.name,
      kind: component.kind,
      metric: "metric" in component ? component.metric : "",
      amount: orNull(amount),
      rows: rows.map(showRow),
    })),
    metrics: Object.fromEntries([...cost.metrics].map(([name, amount]) => [name, orNull(amount)])),
    net: orNull(cost.net),
    vat: orNull(cost.vat),
    vat_percent: orNull(cost.vatPercent),
    gross: orNull(cost.gross),
    missing: cost.missing,
  };
}

/** Sum of what all months have; null as soon as one of them is not known. */
function sumOrNull(amounts: readonly (Money | null | undefined)[]): number | null {
  const known = amounts.filter((amount) => amount !== undefined);
  return known.includes(null) ? null : shown(total(known as Money[]));
}

function showSums(months: readonly MonthCost[]) {
  const names = new Set(months.flatMap((month) => [...month.metrics.keys()]));
  return {
    metrics: Object.fromEntries(
      [...names].map((name) => [name, sumOrNull(months.map((month) => month.metrics.get(name)))]),
    ),
    net: sumOrNull(months.map((month) => month.net)),
    vat: sumOrNull(months.map((month) => month.vat)),
    gross: sumOrNull(months.map((month) => month.gross)),
  };
}

const calculate = endpoint({
  method: "POST",
  path: "/price_models/:id/calculate",
  access: "basic",
  role: "reader",
  summary:
    "What some time would have cost under a price model, per meter, month and component; nothing is stored",
  description:
    "Each row is quantity times price, rounded to the smallest unit of the currency, half away from zero; amounts are sums of rows, VAT is rounded per month. What cannot be said is null, and `missing` names why.",
  ids: { id: "price_model", meters: "meter" },
  params: z.object({ id: id() }),
  body: z.object({
    meters: z.array(id()).min(1).max(metersMax),
    period: z.string().max(1000).meta({
      example: "2025",
      description: "START or START-END in whole days; several joined by +",
    }),
    ...useFields,
  }),
  reply: z.array(meterCost),
  async handle({ who, params, body }, deps) {
    const use = await priceUse(deps.db, who, {
      modelId: params.id,
      params: body.params,
      currency: body.currency,
    });
    const meters = await pricedMeters(deps.db, who, { ids: body.meters, model: use.model });
    const periods = parsePeriods(body.period);
    const now = deps.clock.now();
    // Meters are many, their zones are few.
    const zones = new Map(
      [...new Set(meters.map((meter) => meter.timezone))].map((zone) => {
        const days = periods.map((period) => daysOfPeriod(zone, period, now));
        const reads = days.map((each) => readsOf(zone, each, use.model.components));
        return [zone, { days, reads: reads.reduce((sum, each) => sum + each, 0) }];
      }),
    );
    const reads = meters.reduce((sum, { timezone }) => sum + zones.get(timezone)!.reads, 0);
    refuseTooMuch(reads, "period", deps);
    const answers: z.output<typeof meterCost>[] = [];
    for (const [i, meter] of meters.entries()) {
      const costs = [];
      for (const days of zones.get(meter.timezone)!.days) {
        const months = await calculateDays(deps.db, use, { meter, days });
        costs.push({
          ...instants(meter.timezone, days),
          ...showSums(months),
          months: months.map((month) => showMonth(meter.timezone, month)),
        });
      }
      answers.push({ meter_id: body.meters[i]!, currency: use.currency, periods: costs });
    }
    return answers;
  },
});

/** Endpoints that calculate without storing. */
export const calculateEndpoints: Endpoint[] = [calculate];
