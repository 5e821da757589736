import { z } from "zod";
import { reach } from "../accounts/accounts.ts";
import { type ReadingMeter, resolveForReading } from "../meters/meters.ts";
import type { Queryable } from "../platform/db.ts";
import { type Caller, type Endpoint, endpoint } from "../platform/http/endpoint.ts";
import { id } from "../platform/http/schema.ts";
import { Problem } from "../platform/problem.ts";
import {
  type BilledRow,
  type CheckedRow,
  checkReads,
  checkRows,
  priceUse,
  readDays,
  refuseTooMuch,
  useFields,
  verdicts,
} from "../prices/prices.ts";
import { invoiceById } from "./invoice.ts";
import { type InvoiceView, showInvoices } from "./view.ts";

type Use = Awaited<ReturnType<typeof priceUse>>;
type Result = InvoiceView["results"][number];

const lineView = z.object({
  component: z.string(),
  label: z.string().nullable().describe("Window or tier of the component"),
  metric: z.string(),
  amount: z.number().nullable(),
});

const rowView = z.object({
  row: z.string().describe("Id of the row of the invoice"),
  description: z.string(),
  amount: z.number(),
  result: z.enum(verdicts),
  message: z.string(),
  expected: lineView
    .extend({
      quantity: z.number().nullable(),
      unit: z.string(),
      price: z.number().nullable(),
      price_unit: z.string(),
    })
    .nullable()
    .describe("The line of the price model that fits the row best"),
  difference: z
    .object({ quantity: z.number().nullable(), price: z.number().nullable(), amount: z.number().nullable() })
    .describe("The invoice less the price model, in the units of the price model"),
});

const resultView = z.object({
  ean: z.string().nullable(),
  meter_id: z.string().nullable(),
  invoice_number: z.string(),
  currency: z.string(),
  problem: z.string().nullable().describe("Why nothing of it can be checked"),
  agrees: z.boolean().describe("All rows agree, and nothing that the price model asks for is missing"),
  rows: z.array(rowView),
  unbilled: z.array(lineView).describe("What the price model asks for and no row bills"),
});

const number = (value: { toDecimalPlaces(places: number): { toNumber(): number } } | null) =>
  value === null ? null : value.toDecimalPlaces(6).toNumber() + 0;

function showRow({ row, verdict, expected, difference, message }: CheckedRow): z.output<typeof rowView> {
  return {
    row: row.id,
    description: row.description,
    amount: row.amount,
    result: verdict,
    message,
    expected:
      expected === null
        ? null
        : {
            component: expected.component,
            label: expected.label,
            metric: expected.metric,
            quantity: number(expected.quantity),
            unit: expected.unit,
            price: number(expected.price),
            price_unit: expected.priceUnit,
            amount: number(expected.amount),
          },
    difference: {
      quantity: number(difference.quantity),
      price: number(difference.price),
      amount: number(difference.amount),
    },
  };
}

const billed = (row: Result["invoice_rows"][number], contractType: string | null): BilledRow => {
  const days = row.period === null ? null : readDays("period", row.period);
  return {
    id: row._id,
    description: row.description,
    contractType: row.contract_type ?? contractType,
    metric: row.metric,
    quantity: row.quantity,
    quantityUnit: row.quantity_unit,
    price: row.price,
    priceUnit: row.price_unit,
    amount: row.amount,
    days: days === null || days.to === null ? null : { from: days.from, to: days.to },
  };
};

/** The meter of a result when the caller may read it and the model is for it; else why not. */
function meterOf(
  result: Result,
  { use, found }: { use: Use; found: Awaited<ReturnType<typeof resolveForReading>>[number] | undefined },
): ReadingMeter | string {
  if (found === undefined) return "No meter is known for it; say it by hand.";
  if (found.outcome === "not_found") return "You have no access to the meter.";
  if (found.outcome === "forbidden") return `${found.reason}.`;
  const { meter } = found;
  if (!use.model.applicable_types.includes(meter.type))
    return `The meter is of type ${meter.type}, the price model is for ${use.model.applicable_types.join(", ")}.`;
  if (use.currency !== result.currency)
    return `The invoice is in ${result.currency}, the price model in ${use.currency}.`;
  return meter;
}

/** A result with all that its check needs. */
interface Prepared {
  result: Result;
  use: Use;
  meter: ReadingMeter | string;
  rows: BilledRow[];
}

async function prepare(
  db: Queryable,
  who: Caller,
  { invoice, asked }: { invoice: InvoiceView; asked: Omit<Parameters<typeof priceUse>[2], "currency"> },
): Promise<Prepared[]> {
  const prepared: Prepared[] = [];
  for (const result of invoice.results) {
    const root = result.meter?.root_id;
    const [found] = root === undefined ? [] : await resolveForReading(db, who, [root]);
    // A built-in model takes the currency of the invoice; any other has its own.
    const own = await priceUse(db, who, asked);
    const use = own.model.currency === null ? { ...own, currency: result.currency } : own;
    const rows = result.invoice_rows.map((row) => billed(row, invoice.contract_type));
    prepared.push({ result, use, meter: meterOf(result, { use, found }), rows });
  }
  return prepared;
}

async function check(db: Queryable, prepared: Prepared): Promise<z.output<typeof resultView>> {
  const { result, use, meter, rows } = prepared;
  const about = {
    ean: result.ean,
    meter_id: result.meter?._id ?? null,
    invoice_number: result.invoice_number,
    currency: result.currency,
  };
  if (typeof meter === "string") return { ...about, problem: meter, agrees: false, rows: [], unbilled: [] };
  const checked = await checkRows(db, use, { meter, rows });
  return {
    ...about,
    problem: null,
    agrees: checked.unbilled.length === 0 && checked.rows.every(({ verdict }) => verdict === "agrees"),
    rows: checked.rows.map(showRow),
    unbilled: checked.unbilled.map(({ component, label, metric, amount }) => ({
      component,
      label,
      metric,
      amount: number(amount),
    })),
  };
}

const checkInvoice = endpoint({
  method: "POST",
  path: "/invoices/:id/check",
  access: "basic",
  role: "reader",
  summary:
    "Holds the rows of an invoice against a price model, and tells each difference in numbers and words",
  description:
    "Each row is calculated over its own period with the consumption of the meter, and compared with the component of " +
    "the same metric that fits it best: quantity, price and amount, to the precision that is printed. Nothing is stored.",
  ids: { id: "invoice", price_model: "price_model" },
  params: z.object({ id: id() }),
  body: z.object({ price_model: id(), params: useFields.params }),
  reply: z.array(resultView),
  async handle({ who, params, body }, deps) {
    const { db } = deps;
    const found = await invoiceById(db, params.id);
    await reach(db, who, found.account_id);
    const asked = { modelId: body.price_model, params: body.params };
    await priceUse(db, who, asked);
    if (found.status !== "completed")
      throw new Problem("conflict", `The invoice is ${found.status}; only a completed one can be checked.`);
    const [invoice] = await showInvoices(db, [found], who.accountId);
    const prepared = await prepare(db, who, { invoice: invoice!, asked });
    const reads = prepared.map(({ use, meter, rows }) =>
      typeof meter === "string" ? 0 : checkReads(use, { meter, rows }),
    );
    refuseTooMuch(
      reads.reduce((sum, each) => sum + each, 0),
      "id",
      deps,
    );
    const results: z.output<typeof resultView>[] = [];
    for (const each of prepared) results.push(await check(db, each));
    return results;
  },
});

/** The endpoint that checks invoices. */
export const checkEndpoints: Endpoint[] = [checkInvoice];
