import { rootMeters } from "../meters/meters.ts";
import { sql, type Tx } from "../platform/db.ts";
import { type Batch, costNames, gridOf, ingestIn, query } from "../series/series.ts";
import { type Contract, calculateMonth } from "./calculate.ts";
import { type CalculatedMetric, contractOf, metricsOfMeters } from "./calculated-metric.ts";
import { monthAt, monthStart } from "./days.ts";
import { modelsById } from "./model.ts";
import type { Money } from "./money.ts";
import { loadQuantities, monthsBack } from "./quantities.ts";

/** Months calculated in one transaction: bounds the values that are read and the time that others wait. */
const monthsAtOnce = 24;
interface Due {
  meter_id: string;
  due_from: number;
  due_to: number;
}

/** A contract and the name under which its costs are stored. */
interface Named {
  contract: Contract;
  modelId: string;
}

/**
 * Calculates the next months that are due of one meter behind `after`, in the order of ids, and stores their costs;
 * answers that meter, null when there is none. Only what differs from the stored values is written, so repeating
 * changes nothing. Costs that no contract gives any more are removed; delivered ones, those of invoices among them, are
 * left alone.
 *
 * @param claimed is told which meter it is before anything can fail
 */
export async function calculateNext(
  tx: Tx,
  { after, now }: { after: string; now: number },
  claimed: (meterId: string) => void,
): Promise<{ meterId: string; isDone: boolean } | null> {
  const due = await tx.maybe<Due>(sql`
    select meter_id, due_from, due_to from calculation where due_from is not null and meter_id > ${after}
    order by meter_id limit 1 for update skip locked`);
  if (due === undefined) return null;
  const meterId = due.meter_id;
  claimed(meterId);
  const [meter] = await rootMeters(tx, [meterId]);
  if (meter === undefined) throw new Error(`meter ${meterId} is gone, its calculation is not`);
  const contracts = await contractsOf(tx, meter);
  const back = Math.max(0, ...contracts.map(({ contract }) => monthsBack(contract.components)));
  const last = Math.min(due.due_to + back, monthAt(meter.timezone, now) - 1);
  const to = Math.min(last, due.due_from + monthsAtOnce - 1);
  if (due.due_from <= to) await calculateMonths(tx, meter, { contracts, from: due.due_from, to, now });
  const rest = to < last ? to + 1 : null;
  await tx.run(sql`
    update calculation set due_from = ${rest}, due_to = ${rest === null ? null : due.due_to}
    where meter_id = ${meterId}`);
  return { meterId, isDone: rest === null };
}

interface Meter {
  id: string;
  part: number;
  timezone: string;
}

async function contractsOf(tx: Tx, meter: Meter): Promise<Named[]> {
  const metrics = await metricsOfMeters(tx, [meter.id]);
  const models = await modelsById(
    tx,
    metrics.map((metric) => metric.model_id),
  );
  return metrics.flatMap((metric: CalculatedMetric) => {
    const model = models.get(metric.model_id);
    if (model === undefined) throw new Error(`price model ${metric.model_id} is gone, its use is not`);
    const days = { from: metric.from_day, to: metric.to_day };
    const contract = contractOf(model, { ...metric, zone: meter.timezone, days });
    return [{ contract, modelId: model.id }];
  });
}

/** Costs by currency, metric and month; null: not known; absent: nothing gives them. */
class Costs {
  readonly #amounts = new Map<string, Money | null>();
  /** Models that a month of a kind of contract follows from. */
  readonly #models = new Map<string, Set<string>>();

  add(
    currency: string,
    costs: ReadonlyMap<string, Money | null>,
    at: { month: number; modelId: string },
  ): void {
    for (const [metric, amount] of costs) {
      const name = `${currency}/${metric}/${at.month}`;
      const known = this.#amounts.get(name);
      const sum =
        amount === null || known === null ? null : known === undefined ? amount : known.plus(amount);
      this.#amounts.set(name, sum);
      const models = this.#models.get(`${metric}/${at.month}`) ?? new Set();
      this.#models.set(`${metric}/${at.month}`, models.add(at.modelId));
    }
  }

  currencies(): Set<string> {
    return new Set([...this.#amounts.keys()].map((name) => name.slice(0, 3)));
  }

  /** The cost of a month, NaN when there is none. */
  value(currency: string, metric: string, month: number): number {
    // Adding 0 makes 0 of -0.
    return (this.#amounts.get(`${currency}/${metric}/${month}`)?.toNumber() ?? Number.NaN) + 0;
  }

  /** What the origin of a value is called. */
  source(metric: string, month: number): string {
    const models = [...(this.#models.get(`${metric}/${month}`) ?? [])];
    return models.length === 0 ? "no price model" : `price model ${models.join(", ")}`;
  }
}

async function calculateMonths(
  tx: Tx,
  meter: Meter,
  { contracts, from, to, now }: { contracts: readonly Named[]; from: number; to: number; now: number },
): Promise<void> {
  const zone = meter.timezone;
  const span = { from: monthStart(zone, from), to: monthStart(zone, to + 1) };
  const costs = new Costs();
  for (const { contract, modelId } of contracts) {
    const { components, currency } = contract;
    const priced = { rootId: meter.id, part: meter.part, timezone: zone };
    const quantities = await loadQuantities(tx, priced, { span, components });
    for (let month = from; month <= to; month++) {
      const cost = calculateMonth(contract, month, quantities);
      if (cost !== null) costs.add(currency, cost.metrics, { month, modelId });
    }
  }
  const stored = await query(tx, {
    meters: [{ rootId: meter.id, part: meter.part }],
    metrics: costNames.map((name) => `cost_${name}`),
    grids: [gridOf("month", zone, span)],
  });
  const before = (currency: string, metric: string, month: number) => {
    const found = stored.find((each) => each.currency === currency && each.metric === `cost_${metric}`);
    return found === undefined ? Number.NaN : found.values[0]![month - from]!;
  };
  const currencies = new Set([...costs.currencies(), ...stored.map((each) => each.currency)]);
  const batches = new Map<string, Batch>();
  for (const currency of currencies) {
    for (const metric of costNames) {
      for (let month = from; month <= to; month++) {
        const value = costs.value(currency, metric, month);
        if (Object.is(value, before(currency, metric, month))) continue;
        const source = costs.source(metric, month);
        const batch = batches.get(source) ?? { document: { source }, runs: [] };
        batches.set(source, batch);
        batch.runs.push({
          meter: { id: meter.id, part: meter.part, timezone: zone },
          metric: `cost_${metric}`,
          currency,
          granularity: "month",
          starts: [monthStart(zone, month)],
          values: [value],
          derived: true,
        });
      }
    }
  }
  if (batches.size > 0) await ingestIn(tx, [...batches.values()], now);
}
