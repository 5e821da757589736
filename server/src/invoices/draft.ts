import { createHash } from "node:crypto";
import type { InvoicePeriod, InvoiceTotals } from "../formats/format.ts";
import { fold } from "../platform/http/filter.ts";
import { costNames } from "../series/series.ts";
import type { ClassifiedRow } from "./classify.ts";
import type { ContractType, Corrections, ReadInvoice, RowCorrection } from "./invoice.ts";
import { monthsOf, periodMonthsMax, type Spread } from "./spread.ts";

/** What of a row or result is not known. */
export interface Open {
  field: "meter" | "contract_type" | "metric" | "period";
  /** Why, with the remedy. */
  message: string;
}

/** A row as it counts: what the reader found, what the rules made of it, what people corrected. */
export interface DraftRow {
  id: string;
  line: number;
  kind: ClassifiedRow["kind"];
  description: string;
  code: string | null;
  /** Decimal text, as all amounts here. */
  amount: string;
  vatRate: string | null;
  price: string | null;
  priceUnit: string | null;
  quantity: string | null;
  quantityUnit: string | null;
  period: InvoicePeriod | null;
  contractType: ContractType | null;
  metric: string | null;
  /** Name of the rule that matched, `by hand` for what a person said. */
  rule: string | null;
  /** Set when its costs are. */
  spread: Spread | null;
  open: Open[];
}

/** What a bill says of one metering point. */
export interface DraftResult {
  /** Number of the bill in the document, from 0. */
  bill: number;
  ean: string | null;
  /** Root meter that a person named. */
  meterByHand: string | null;
  rows: DraftRow[];
}

/** One invoice of a document, without its rows. */
export interface DraftBill {
  n: number;
  format: string;
  number: string;
  kind: ReadInvoice["kind"];
  replaces: string[];
  issued: string;
  due: string | null;
  currency: string;
  seller: ReadInvoice["seller"];
  period: InvoicePeriod | null;
  totals: InvoiceTotals;
}

export interface Draft {
  bills: DraftBill[];
  results: DraftResult[];
}

/** Divides what was read among metering points and lays corrections over it. Pure, so that it can be done again. */
export function draftOf(invoiceId: string, parsed: readonly ReadInvoice[], corrections: Corrections): Draft {
  const byRow = new Map(corrections.rows.map((row) => [row.row, row]));
  const draft: Draft = { bills: [], results: [] };
  for (const [n, invoice] of parsed.entries()) {
    draft.bills.push(billOf(n, invoice));
    const only = invoice.meteringPoints.length === 1 ? invoice.meteringPoints[0]! : null;
    const groups = Map.groupBy(invoice.rows.entries(), ([, row]) => row.meteringPoint ?? only);
    // An invoice that names a metering point and has no rows still is an invoice of it.
    if (groups.size === 0) groups.set(only, []);
    for (const [ean, rows] of groups) {
      draft.results.push({
        bill: n,
        ean,
        meterByHand: handMeter(corrections, invoice.number, ean),
        rows: rows.map(([at, row]) => {
          const id = rowId(invoiceId, n, at);
          return rowOf(row, { id, invoice, correction: byRow.get(id) });
        }),
      });
    }
  }
  return draft;
}

function billOf(n: number, invoice: ReadInvoice): DraftBill {
  const { format, number, kind, replaces, issued, due, currency, seller, period, totals } = invoice;
  return { n, format, number, kind, replaces, issued, due, currency, seller, period, totals };
}

/** Id of a row by its place in the document: the same after every reading. */
function rowId(invoiceId: string, bill: number, at: number): string {
  return createHash("sha256").update(`${invoiceId}/${bill}/${at}`).digest("hex").slice(0, 24);
}

function handMeter(corrections: Corrections, number: string, ean: string | null): string | null {
  const meant = corrections.results.filter((each) => each.ean === ean);
  const found =
    meant.find((each) => each.invoice_number === number) ??
    meant.find((each) => each.invoice_number === null);
  return found?.meter ?? null;
}

interface RowAbout {
  id: string;
  invoice: ReadInvoice;
  correction: RowCorrection | undefined;
}

function rowOf(row: ClassifiedRow, { id, invoice, correction }: RowAbout): DraftRow {
  const said = correction?.description === row.description ? correction : undefined;
  const metric = said?.metric ?? metricUnder(said?.contract_type, row.metric);
  const contractType = said?.contract_type ?? contractOf(metric) ?? row.contractType;
  const period = said?.period === undefined ? (row.period ?? invoice.period) : periodOfText(said.period)!;
  const isByHand = said?.metric !== undefined || said?.contract_type !== undefined;
  const { line, kind, description, code, amount, vatRate, price, priceUnit, quantity, quantityUnit } = row;
  return {
    id,
    line,
    kind,
    description,
    code,
    amount,
    vatRate,
    price,
    priceUnit,
    quantity,
    quantityUnit,
    period,
    contractType,
    metric,
    rule: isByHand ? "by hand" : row.rule,
    spread: null,
    open: openOf({ contractType, metric, period }),
  };
}

/** A metric of the rules under the contract type that a person said: `retail_usage` becomes `grid_usage`. */
function metricUnder(said: ContractType | undefined, metric: string | null): string | null {
  if (said === undefined || metric === null) return metric;
  const moved = metric.replace(/^(grid|retail)/, said);
  return costNames.some((name) => name === moved) ? moved : null;
}

/** The contract type that a metric belongs to: its first word. */
export function contractOf(metric: string | null): ContractType | null {
  if (metric === null) return null;
  return metric.startsWith("grid_") ? "grid" : "retail";
}

function openOf({
  contractType,
  metric,
  period,
}: Pick<DraftRow, "contractType" | "metric" | "period">): Open[] {
  const open: Open[] = [];
  if (contractType === null) {
    open.push({ field: "contract_type", message: "No rule says whether this is grid or retail. State it." });
  }
  if (metric === null) {
    open.push({ field: "metric", message: "No rule says which cost this is. State the metric." });
  }
  if (period === null) {
    open.push({ field: "period", message: "The document states no period. State it." });
  } else {
    const months = monthsOf(period).length;
    if (months === 0)
      open.push({ field: "period", message: "The period ends before it begins. State the right one." });
    if (months > periodMonthsMax) {
      const message = `The period is longer than ${periodMonthsMax} months. State the right one.`;
      open.push({ field: "period", message });
    }
  }
  return open;
}

/** The number of a seller as it is compared: `556000-0001` is `5560000001`. */
export function plainId(id: string): string {
  return fold(id).replaceAll(/[^\p{L}\p{N}]/gu, "");
}

/** `20190101-20190131` of a period. */
export function periodText({ from, to }: InvoicePeriod): string {
  return `${from}-${to}`.replaceAll(/(\d{4})-(\d\d)-(\d\d)/g, "$1$2$3");
}

/** The period of such a text; `undefined` when it is none: no such day, end before start. */
export function periodOfText(text: string): InvoicePeriod | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)-(\d{4})(\d\d)(\d\d)$/.exec(text);
  if (match === null) return undefined;
  const from = match.slice(1, 4).join("-");
  const to = match.slice(4, 7).join("-");
  return isDay(from) && isDay(to) && from <= to ? { from, to } : undefined;
}

function isDay(day: string): boolean {
  const at = Date.parse(`${day}T00:00:00Z`);
  return day >= "1970" && day < "2100" && new Date(at || 0).toISOString().slice(0, 10) === day;
}

/** The metrics that a row adds to; none while it is not known which. */
export function metricsOfRow({ contractType, metric }: Pick<DraftRow, "contractType" | "metric">): string[] {
  if (contractType === null) return [];
  const total = `${contractType}_total`;
  return metric === null || metric === total ? [total] : [metric, total];
}
