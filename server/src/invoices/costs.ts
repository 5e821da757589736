import { createHash } from "node:crypto";
import type { DecimalText } from "../formats/format.ts";
import { rootMeters } from "../meters/meters.ts";
import { any, empty, type Queryable, sql, type Tx } from "../platform/db.ts";
import { calendarStart } from "../platform/time/granule.ts";
import { type Batch, ingestIn, type RootMeter, type Run, undoImports } from "../series/series.ts";
import { type DraftBill, type DraftResult, type DraftRow, metricsOfRow } from "./draft.ts";
import type { CostMeter } from "./link.ts";
import { Money } from "./money.ts";
import { divide, type MonthShare, monthsOf, type Spread } from "./spread.ts";
import { consumptionWeights, type Wanted } from "./weights.ts";

/** One month of one cost of a meter. */
export interface CostKey {
  meter_id: string;
  /** As `/costs` names it. */
  metric: string;
  currency: string;
  /** YYYYMM. */
  month: number;
}

/** What a bill adds to it. */
export interface Cost extends CostKey {
  bill: number;
  amount: DecimalText;
}

const nameOf = ({ meter_id, metric, currency, month }: CostKey) =>
  `${meter_id} ${metric} ${currency} ${month}`;

const isSpreadable = (row: DraftRow) =>
  row.contractType !== null && row.period !== null && !row.open.some(({ field }) => field === "period");
const followsUsage = ({ metric }: DraftRow) => metric?.endsWith("_usage") === true;

/**
 * What the rows of results add to the months of their meters; each row is told how it was divided. A row of one
 * month needs no division; usage follows the consumption of the meter when it is known for the whole period;
 * everything else goes by days.
 */
export async function costsOf(
  db: Queryable,
  linked: readonly { result: DraftResult; bill: DraftBill; meter: CostMeter }[],
): Promise<Cost[]> {
  const wanted: Wanted[] = linked.flatMap(({ result, meter }) =>
    result.rows
      .filter((row) => isSpreadable(row) && followsUsage(row) && monthsOf(row.period!).length > 1)
      .map((row) => ({ meter, period: row.period! })),
  );
  const weightsFor = await consumptionWeights(db, wanted);
  const sums = new Map<string, Cost>();
  for (const { result, bill, meter } of linked) {
    for (const row of result.rows.filter(isSpreadable)) {
      const shares = monthsOf(row.period!);
      const weights = followsUsage(row) ? weightsFor({ meter, period: row.period! }) : undefined;
      const { spread, parts } = spreadRow(row.amount, shares, weights);
      row.spread = spread;
      for (const metric of metricsOfRow(row)) {
        for (const [i, { month }] of shares.entries()) {
          const key = { meter_id: meter.id, metric, currency: bill.currency, month };
          const cost = { ...key, bill: bill.n, amount: parts[i]! };
          const name = `${bill.n} ${nameOf(key)}`;
          const known = sums.get(name);
          if (known === undefined) sums.set(name, cost);
          else known.amount = new Money(known.amount).plus(cost.amount).toFixed();
        }
      }
    }
  }
  return [...sums.values()];
}

function spreadRow(
  amount: DecimalText,
  shares: readonly MonthShare[],
  weights: readonly bigint[] | undefined,
): { spread: Spread; parts: DecimalText[] } {
  if (shares.length === 1) return { spread: "month", parts: [amount] };
  if (weights !== undefined) return { spread: "consumption", parts: divide(amount, weights) };
  return {
    spread: "days",
    parts: divide(
      amount,
      shares.map(({ days }) => BigInt(days)),
    ),
  };
}

/** Months from this on lie ahead of `now`, in every zone: their costs wait. */
const isAhead = (start: number, now: number) => start > now;

const startOf = (zone: string, month: number) =>
  calendarStart(zone, (Math.floor(month / 100) - 1970) * 12 + (month % 100) - 1, "month");

/**
 * Stores anew what all invoices that count say of some months: their sum, or what stood there before them when there
 * is none any more. What somebody else has delivered since an invoice stays. Call it with the parts of the meters
 * locked.
 *
 * @param source what the origin of the values is called
 */
export async function storeMonths(
  tx: Tx,
  keys: readonly CostKey[],
  { now, source }: { now: number; source: string },
): Promise<void> {
  const distinct = [...new Map(keys.map((key) => [nameOf(key), key])).values()];
  if (distinct.length === 0) return;
  const roots = await rootMeters(tx, [...new Set(distinct.map(({ meter_id }) => meter_id))]);
  const meters = new Map(roots.map(({ id, part, timezone }) => [id, { id, part, timezone }]));
  const sums = await sumsOf(tx, distinct);
  const stored = await storedBefore(tx, distinct);
  const kept: (CostKey & { ahead: boolean })[] = [];
  const batches: Batch[] = [];
  const gone: Gone[] = [];
  // The costs of a meter that is gone went with it.
  const alive = distinct.filter(({ meter_id }) => meters.has(meter_id));
  for (const [importId, some] of Map.groupBy(alive, groupOf)) {
    const { meter_id, month, currency } = some[0]!;
    const meter = meters.get(meter_id)!;
    const start = startOf(meter.timezone, month);
    const ahead = isAhead(start, now);
    const lost = some.filter((key) => !sums.has(nameOf(key)) && stored.has(nameOf(key)));
    if (lost.length > 0) gone.push({ importId, meter, metrics: lost.map(({ metric }) => `cost_${metric}`) });
    const runs = some.flatMap((key): Run[] => {
      const sum = sums.get(nameOf(key));
      if (sum === undefined) return [];
      kept.push({ ...key, ahead });
      const metric = `cost_${key.metric}`;
      const value = Number(sum);
      return ahead
        ? []
        : [{ meter, metric, currency, granularity: "month", starts: [start], values: [value] }];
    });
    if (runs.length > 0) batches.push({ document: { source, importId }, runs });
  }
  await takeBack(tx, gone, { now, source });
  await keepMonths(tx, distinct, kept);
  if (batches.length > 0) await ingestIn(tx, batches, now);
}

/** Costs of a month of a meter that no invoice says any more. */
interface Gone {
  importId: string;
  meter: RootMeter;
  metrics: string[];
}

/** What stood there before returns. Meters that have lost the same costs are taken together. */
async function takeBack(
  tx: Tx,
  gone: readonly Gone[],
  about: { now: number; source: string },
): Promise<void> {
  const alike = Map.groupBy(gone, ({ meter, metrics }) => `${meter.part} ${metrics.toSorted().join(" ")}`);
  for (const group of alike.values()) {
    const { meter, metrics } = group[0]!;
    const meters = [...new Map(group.map((each) => [each.meter.id, each.meter])).values()];
    const importIds = group.map(({ importId }) => importId);
    await undoImports(tx, { part: meter.part, importIds, meters, metrics, ...about });
  }
}

/** The costs of one month of a meter in one currency are one import of the store: what it takes back together. */
function groupOf({ meter_id, currency, month }: CostKey): string {
  return createHash("sha256")
    .update(`costs of invoices ${meter_id} ${currency} ${month}`)
    .digest("hex")
    .slice(0, 24);
}

/** Sums of the rows that count, by key; keys without such rows are absent. */
async function sumsOf(tx: Tx, keys: readonly CostKey[]): Promise<Map<string, DecimalText>> {
  const rows = await tx.rows<CostKey & { sum: DecimalText }>(sql`
    select c.meter_id, c.metric, c.currency, c.month, sum(c.amount)::text as sum
    from jsonb_to_recordset(${JSON.stringify(keys)}::jsonb) as key (meter_id text, metric text, currency text, month int)
    join invoice_cost c on c.meter_id = key.meter_id and c.metric = key.metric and c.currency = key.currency
      and c.month = key.month
    join invoice_bill b on b.invoice_id = c.invoice_id and b.n = c.bill
    where b.counts group by c.meter_id, c.metric, c.currency, c.month`);
  return new Map(rows.map((row) => [nameOf(row), row.sum]));
}

/** The keys under which invoices have stored something; not those of months that lay ahead. */
async function storedBefore(tx: Tx, keys: readonly CostKey[]): Promise<Set<string>> {
  const rows = await tx.rows<CostKey>(sql`
    select m.meter_id, m.metric, m.currency, m.month
    from jsonb_to_recordset(${JSON.stringify(keys)}::jsonb) as key (meter_id text, metric text, currency text, month int)
    join invoice_month m on m.meter_id = key.meter_id and m.metric = key.metric and m.currency = key.currency
      and m.month = key.month
    where not m.ahead`);
  return new Set(rows.map(nameOf));
}

/** Writes down what invoices have stored of these months. */
async function keepMonths(
  tx: Tx,
  keys: readonly CostKey[],
  kept: readonly (CostKey & { ahead: boolean })[],
): Promise<void> {
  await tx.run(sql`
    delete from invoice_month m
    using jsonb_to_recordset(${JSON.stringify(keys)}::jsonb) as key (meter_id text, metric text, currency text, month int)
    where m.meter_id = key.meter_id and m.metric = key.metric and m.currency = key.currency and m.month = key.month`);
  await tx.run(sql`
    insert into invoice_month (meter_id, metric, currency, month, ahead)
    select key.meter_id, key.metric, key.currency, key.month, key.ahead
    from jsonb_to_recordset(${JSON.stringify(kept)}::jsonb)
      as key (meter_id text, metric text, currency text, month int, ahead boolean)`);
}

/**
 * Months until `month` that lay ahead when their invoices came, some of them, behind the one called `after`, in order.
 * In zones west of UTC the last of them may lie ahead still.
 */
export async function monthsBegun(
  db: Queryable,
  { month, after, limit }: { month: number; after: CostKey | null; limit: number },
): Promise<CostKey[]> {
  const behind =
    after === null
      ? empty
      : sql` and (month, meter_id, metric, currency) >
          (${after.month}::int4, ${after.meter_id}, ${after.metric}, ${after.currency})`;
  return db.rows(sql`
    select meter_id, metric, currency, month from invoice_month
    where ahead and month <= ${month}${behind} order by month, meter_id, metric, currency limit ${limit}`);
}

/** The months that rows of some bills are part of. */
export async function keysOfBills(
  tx: Tx,
  bills: readonly { invoiceId: string; n: number }[],
): Promise<CostKey[]> {
  const rows = await tx.rows<CostKey & { invoice_id: string; bill: number }>(sql`
    select distinct invoice_id, bill, meter_id, metric, currency, month from invoice_cost
    where invoice_id = ${any([...new Set(bills.map(({ invoiceId }) => invoiceId))])}`);
  const wanted = new Set(bills.map(({ invoiceId, n }) => `${invoiceId} ${n}`));
  return rows.filter((row) => wanted.has(`${row.invoice_id} ${row.bill}`));
}
