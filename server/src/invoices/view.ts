import { createHash } from "node:crypto";
import { z } from "zod";
import { accountRefs } from "../accounts/accounts.ts";
import { resolveForReading } from "../meters/meters.ts";
import { any, type Queryable, sql } from "../platform/db.ts";
import { fold } from "../platform/http/filter.ts";
import { formatTimestamp, timestampText } from "../platform/http/schema.ts";
import { type DraftBill, type DraftRow, metricsOfRow, type Open, periodText, plainId } from "./draft.ts";
import { contractTypes, type Invoice, statuses } from "./invoice.ts";
import { Money } from "./money.ts";
import { spreads } from "./spread.ts";

const party = z.object({ _id: z.string(), name: z.string() });

const rowView = z.object({
  _id: z.string().meta({ description: "The same after every reading of the document." }),
  line: z.int(),
  kind: z.enum(["item", "allowance", "charge"]),
  description: z.string(),
  code: z.string().nullable(),
  amount: z.number().meta({ description: "Without VAT." }),
  vat_rate: z.number().nullable().meta({ description: "Percent." }),
  contract_type: z.enum(contractTypes).nullable(),
  metric: z.string().nullable(),
  rule: z.string().nullable().meta({ description: "The rule that matched, or `by hand`." }),
  price: z.number().nullable(),
  price_unit: z.string().nullable(),
  quantity: z.number().nullable(),
  quantity_unit: z.string().nullable(),
  period: z.string().nullable().meta({ example: "20190101-20190131" }),
  spread: z.enum(spreads).nullable().meta({
    description:
      "How the amount was divided into months; `month`: it is of one month. Null: it is in no cost.",
  }),
});

const totalsView = z.object({
  net: z.number(),
  vat: z.number(),
  gross: z.number(),
  prepaid: z.number(),
  rounding: z.number(),
  payable: z.number(),
});

const resultView = z.object({
  ean: z.string().nullable(),
  meter: z
    .object({ _id: z.string(), root_id: z.string() })
    .nullable()
    .meta({ description: "The meter that gets the costs, by the id that the caller has it under." }),
  period: z.string().nullable(),
  invoice_number: z.string(),
  kind: z.enum(["invoice", "credit", "correction"]),
  replaces: z.array(z.string()).meta({ description: "Numbers of earlier invoices that it refers to." }),
  replaced_by: z.string().nullable().meta({ description: "The invoice that replaced or cancelled it." }),
  counts: z.boolean().meta({ description: "Its rows are part of the costs." }),
  issue_date: timestampText(),
  due_date: timestampText().nullable(),
  currency: z.string(),
  metrics: z.record(z.string(), z.number()).meta({ description: "Sums of the rows by metric, without VAT." }),
  total_vat: z.number().nullable(),
  total_amount_excl_vat: z.number(),
  total_amount_due: z.number().nullable(),
  totals: totalsView.meta({ description: "As printed, of the whole invoice." }),
  invoice_rows: z.array(rowView),
});

/** Something that the reader could not know. */
const openView = z.object({
  invoice_number: z.string(),
  ean: z.string().nullable(),
  row: z
    .string()
    .nullable()
    .meta({ description: "Id of the row; null when it is about all of the metering point." }),
  field: z.enum(["meter", "contract_type", "metric", "period"]),
  message: z.string(),
});

/** An invoice, as answers show it. */
export const invoiceView = z.object({
  _id: z.string(),
  account: party.nullable().meta({ description: "Whose invoice it is." }),
  owner: party.nullable().meta({
    description:
      "The seller. The id follows from its organisation number, or its name, and names no account. Null until read.",
  }),
  status: z.enum(statuses),
  reason: z
    .object({
      message: z.string(),
      line: z.int().nullable(),
      field: z.string().nullable(),
      difference: z.number().nullable().meta({ description: "By how much the totals miss each other." }),
    })
    .nullable()
    .meta({ description: "Why it failed." }),
  created: timestampText(),
  updated: timestampText(),
  started: timestampText().nullable(),
  finished: timestampText().nullable(),
  dry_run: z.boolean(),
  format: z.string().nullable(),
  contract_type: z.enum(contractTypes).nullable().meta({ description: "As stated with the upload." }),
  file: z.object({ name: z.string(), bytes: z.int(), sha256: z.string() }),
  results: z
    .array(resultView)
    .meta({ description: "One for each invoice in the document and metering point." }),
  unresolved: z.array(openView),
});
export type InvoiceView = z.output<typeof invoiceView>;

interface StoredResult {
  invoice_id: string;
  bill: number;
  ean: string | null;
  meter_id: string | null;
  content: { bill: DraftBill; rows: DraftRow[]; open: Open | null };
  counts: boolean | null;
  replaced_by: string | null;
}

/** Invoices as answers show them, in order; meters by the ids that the account `viewerId` has them under. */
export async function showInvoices(
  db: Queryable,
  invoices: readonly Invoice[],
  viewerId: string,
): Promise<InvoiceView[]> {
  const ids = invoices.map(({ id }) => id);
  const results = await db.rows<StoredResult>(sql`
    select r.invoice_id, r.bill, r.ean, r.meter_id, r.content, b.counts, b.replaced_by
    from invoice_result r left join invoice_bill b on b.invoice_id = r.invoice_id and b.n = r.bill
    where r.invoice_id = ${any(ids)} order by r.invoice_id, r.n`);
  const byInvoice = Map.groupBy(results, (row) => row.invoice_id);
  const accounts = await accountRefs(
    db,
    invoices.map(({ account_id }) => account_id),
  );
  const roots = [...new Set(results.flatMap(({ meter_id }) => meter_id ?? []))];
  const references = await ownIds(db, viewerId, roots);
  return invoices.map((invoice) => {
    const account = accounts.get(invoice.account_id);
    return {
      ...headOf(invoice),
      account: account === undefined ? null : { _id: account._id, name: account.name },
      ...bodyOf(byInvoice.get(invoice.id) ?? [], references),
    };
  });
}

/** Ids under which an account has root meters; a meter that it has no more keeps the id of the root. */
async function ownIds(
  db: Queryable,
  accountId: string,
  roots: readonly string[],
): Promise<Map<string, string>> {
  const found = await resolveForReading(db, { accountId }, roots);
  return new Map(
    roots.map((root, i) => {
      const each = found[i]!;
      return [root, each.outcome === "not_found" ? root : each.meter.id];
    }),
  );
}

const instant = (at: number | null) => (at === null ? null : formatTimestamp(at));
const number = (text: string | null) => (text === null ? null : Number(text));
const dayStart = (day: string) => formatTimestamp(Date.parse(`${day}T00:00:00Z`));

function headOf(invoice: Invoice) {
  const { reason } = invoice;
  return {
    _id: invoice.id,
    status: invoice.status,
    reason: reason === null ? null : { ...reason, difference: number(reason.difference) },
    created: formatTimestamp(invoice.created),
    updated: formatTimestamp(invoice.updated),
    started: instant(invoice.started),
    finished: instant(invoice.finished),
    dry_run: invoice.dry_run,
    contract_type: invoice.options.contract_type ?? null,
    file: { name: invoice.file_name, bytes: invoice.bytes, sha256: invoice.sha256 },
  };
}

function bodyOf(results: readonly StoredResult[], references: ReadonlyMap<string, string>) {
  const first = results[0]?.content.bill;
  return {
    owner: first === undefined ? null : ownerOf(first.seller),
    format: first?.format ?? null,
    results: results.map((result) => viewResult(result, results, references)),
    unresolved: results.flatMap(openOf),
  };
}

/** Sellers have no account here: their id follows from what the invoice calls them. */
function ownerOf({ id, name }: DraftBill["seller"]): z.output<typeof party> {
  const key = id === null ? `name ${fold(name)}` : `id ${plainId(id)}`;
  return { _id: createHash("sha256").update(`seller ${key}`).digest("hex").slice(0, 24), name };
}

function viewResult(
  { bill: n, ean, meter_id, content, counts, replaced_by }: StoredResult,
  all: readonly StoredResult[],
  references: ReadonlyMap<string, string>,
): z.output<typeof resultView> {
  const { bill, rows } = content;
  const isWhole = all.filter((other) => other.bill === n).length === 1;
  return {
    ean,
    meter: meter_id === null ? null : { _id: references.get(meter_id)!, root_id: meter_id },
    period: spanOf(bill, rows),
    invoice_number: bill.number,
    kind: bill.kind,
    replaces: bill.replaces,
    replaced_by,
    counts: counts ?? false,
    issue_date: dayStart(bill.issued),
    due_date: bill.due === null ? null : dayStart(bill.due),
    currency: bill.currency,
    metrics: metricSums(rows),
    ...(isWhole
      ? {
          total_vat: Number(bill.totals.vat),
          total_amount_excl_vat: Number(bill.totals.net),
          total_amount_due: Number(bill.totals.payable),
        }
      : totalsOf(rows)),
    totals: {
      net: Number(bill.totals.net),
      vat: Number(bill.totals.vat),
      gross: Number(bill.totals.gross),
      prepaid: Number(bill.totals.prepaid),
      rounding: Number(bill.totals.rounding),
      payable: Number(bill.totals.payable),
    },
    invoice_rows: rows.map(viewRow),
  };
}

/** From the first to the last day of the rows. */
function spanOf(bill: DraftBill, rows: readonly DraftRow[]): string | null {
  const periods = rows.flatMap(({ period }) => period ?? []);
  if (periods.length === 0) return bill.period === null ? null : periodText(bill.period);
  const from = periods.map((period) => period.from).sort()[0]!;
  const to = periods
    .map((period) => period.to)
    .sort()
    .at(-1)!;
  return periodText({ from, to });
}

function metricSums(rows: readonly DraftRow[]): Record<string, number> {
  const sums = new Map<string, Money>();
  for (const row of rows) {
    for (const metric of metricsOfRow(row))
      sums.set(metric, (sums.get(metric) ?? new Money(0)).plus(row.amount));
  }
  return Object.fromEntries([...sums].map(([metric, sum]) => [metric, sum.toNumber()]));
}

/** What one metering point of a collective invoice amounts to; VAT only when every row says its rate. */
function totalsOf(rows: readonly DraftRow[]) {
  const net = rows.reduce((sum, { amount }) => sum.plus(amount), new Money(0));
  const isKnown = rows.every(({ vatRate }) => vatRate !== null);
  const vat = rows
    .reduce((sum, { amount, vatRate }) => sum.plus(new Money(amount).mul(vatRate ?? 0)), new Money(0))
    .div(100)
    .toDecimalPlaces(2);
  return {
    total_vat: isKnown ? vat.toNumber() : null,
    total_amount_excl_vat: net.toNumber(),
    total_amount_due: isKnown ? net.plus(vat).toNumber() : null,
  };
}

function viewRow(row: DraftRow): z.output<typeof rowView> {
  return {
    _id: row.id,
    line: row.line,
    kind: row.kind,
    description: row.description,
    code: row.code,
    amount: Number(row.amount),
    vat_rate: number(row.vatRate),
    contract_type: row.contractType,
    metric: row.metric,
    rule: row.rule,
    price: number(row.price),
    price_unit: row.priceUnit,
    quantity: number(row.quantity),
    quantity_unit: row.quantityUnit,
    period: row.period === null ? null : periodText(row.period),
    spread: row.spread,
  };
}

function openOf({ content, ean, meter_id }: StoredResult): z.output<typeof openView>[] {
  const about = { invoice_number: content.bill.number, ean };
  const meter = content.open ?? (meter_id === null ? deleted : null);
  const rows = content.rows.flatMap(({ id, open }) => open.map((each) => ({ ...about, row: id, ...each })));
  return meter === null ? rows : [{ ...about, row: null, ...meter }, ...rows];
}

const deleted: Open = { field: "meter", message: "The meter was deleted. State another one." };
