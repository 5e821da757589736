import { Decimal } from "decimal.js";

/** A row of an invoice to print: amounts and quantities as exact text with "." as mark. */
export interface PrintedRow {
  description: string;
  /** Days as `YYYY-MM-DD`, both included. */
  period: { from: string; to: string };
  quantity: string;
  unit: string;
  price: string;
  priceUnit: string;
  amount: string;
  /** Percent. */
  vatRate: string;
}

/** Rows that belong together: those of a metering point, or of the grid and of the retail contract. */
export interface PrintedSection {
  meteringPoint: string;
  address: string;
  /** The part of the bill: transport, energy, or both where the layout does not part them. */
  contract: "grid" | "retail";
  rows: PrintedRow[];
}

/** Utilities that exist only here. */
export type Utility = "alvdal-energi" | "nordfjord-nett" | "stadtwerke-brunnstadt";

/** An invoice to print: what a utility knows when it writes one. */
export interface InvoiceToPrint {
  utility: Utility;
  number: string;
  kind: "invoice" | "credit";
  /** Number of the invoice that a credit note takes back. */
  replaces: string | null;
  issued: string;
  due: string;
  period: { from: string; to: string };
  buyer: { name: string; id: string; address: string };
  sections: PrintedSection[];
  /** Paid in advance: instalments of the year that is settled. */
  prepaid: string;
  /** The amount to pay is rounded to whole units of the currency. */
  isRounded: boolean;
}

/** Amounts at the end of an invoice, with two decimals. */
export interface PrintedTotals {
  net: string;
  /** By rate in percent, the highest first. */
  vat: { rate: string; net: string; vat: string }[];
  vatSum: string;
  gross: string;
  prepaid: string;
  rounding: string;
  payable: string;
}

/** What follows from the rows of an invoice: VAT is computed once per rate and rounded to cents. */
export function totalsOf({ sections, prepaid, isRounded }: InvoiceToPrint): PrintedTotals {
  const nets = new Map<string, Decimal>();
  for (const { vatRate, amount } of sections.flatMap(({ rows }) => rows)) {
    nets.set(vatRate, (nets.get(vatRate) ?? new Decimal(0)).plus(amount));
  }
  const vat = [...nets]
    .sort(([one], [other]) => Number(other) - Number(one))
    .map(([rate, net]) => ({ rate, net: cents(net), vat: cents(net.times(rate).div(100)) }));
  const net = sumOf(vat.map((group) => group.net));
  const vatSum = sumOf(vat.map((group) => group.vat));
  const gross = net.plus(vatSum);
  const left = gross.minus(prepaid);
  const payable = isRounded ? left.toDecimalPlaces(0, Decimal.ROUND_HALF_UP) : left;
  return {
    net: cents(net),
    vat,
    vatSum: cents(vatSum),
    gross: cents(gross),
    prepaid: cents(new Decimal(prepaid)),
    rounding: cents(payable.minus(left)),
    payable: cents(payable),
  };
}

/** The exact sum of amounts. */
export function sumOf(amounts: readonly string[]): Decimal {
  return amounts.reduce((sum, amount) => sum.plus(amount), new Decimal(0));
}

function cents(amount: Decimal): string {
  const text = amount.toFixed(2, Decimal.ROUND_HALF_UP);
  return text === "-0.00" ? "0.00" : text;
}

/** A decimal as people write it: `1234.5` as `1 234,5` with a blank and a comma. */
export function written(decimal: string, thousands: string): string {
  const [, sign = "", whole = "", fraction] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(decimal) ?? [];
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, thousands);
  return `${sign}${grouped}${fraction === undefined ? "" : `,${fraction}`}`;
}

/** `2026-01-31` as `31.01.2026`. */
export function dotted(day: string): string {
  return day.split("-").reverse().join(".");
}
