/** What a reader of invoices hands out: amounts as exact text, days as text, everything as the document says it. */

/** An exact decimal: "." as mark, no grouping, "-" as sign, as in `-1234.50`. */
export type DecimalText = string;

/** A calendar day as `YYYY-MM-DD`. */
export type DayText = string;

/** Days that a row or document is about; both are included. */
export interface InvoicePeriod {
  from: DayText;
  to: DayText;
}

/** Who sells or buys. */
export interface InvoiceParty {
  name: string;
  /** Organisation number, GLN or VAT id as printed. */
  id: string | null;
}

/** One row, or one allowance or charge of the whole document. */
export interface InvoiceRow {
  /** 1-based order in the document. */
  line: number;
  description: string;
  /** The seller's item code or classification as printed. */
  code: string | null;
  /** EAN or other number of the metering point of this row; null when only the header names one. */
  meteringPoint: string | null;
  period: InvoicePeriod | null;
  quantity: DecimalText | null;
  /** As printed, or its code of UN/ECE recommendation 20; `unitName` tells what the code stands for. */
  quantityUnit: string | null;
  /** Price of one unit, without VAT. */
  price: DecimalText | null;
  /** As in `SEK/kWh` or `öre/kWh`. */
  priceUnit: string | null;
  /** Without VAT and signed: what reduces the debt of the buyer is negative, all of a credit note as a rule. */
  amount: DecimalText;
  /** Percent. */
  vatRate: DecimalText | null;
  kind: "item" | "allowance" | "charge";
  /** Whose cost it is, where the document says so itself, as by the heading of its table. */
  contract?: "grid" | "retail";
}

/** Amounts as printed, signed as those of the rows. */
export interface InvoiceTotals {
  /** All rows, without VAT. */
  net: DecimalText;
  vat: DecimalText;
  gross: DecimalText;
  /** Already paid. */
  prepaid: DecimalText;
  /** Added to arrive at a round amount to pay. */
  rounding: DecimalText;
  /** `gross` − `prepaid` + `rounding`. */
  payable: DecimalText;
}

/** The VAT of all rows with one rate, as printed. */
export interface InvoiceVatGroup {
  /** Percent; null for what the document puts outside of VAT. */
  rate: DecimalText | null;
  net: DecimalText;
  vat: DecimalText;
}

/** An invoice as its document says it. */
export interface ParsedInvoice {
  /** Name of the format, `pdf-template:<name>` for a template. */
  format: string;
  number: string;
  kind: "invoice" | "credit" | "correction";
  /** Numbers of the earlier invoices that the document refers to. */
  replaces: string[];
  issued: DayText;
  due: DayText | null;
  /** ISO 4217. */
  currency: string;
  seller: InvoiceParty;
  buyer: InvoiceParty | null;
  /** Of the whole document. */
  period: InvoicePeriod | null;
  /** Metering points that the header names. */
  meteringPoints: string[];
  rows: InvoiceRow[];
  totals: InvoiceTotals;
  /** Left out when the document does not print its VAT by rate. */
  vatGroups?: InvoiceVatGroup[];
}

/** What the caller tells about a document. */
export interface InvoiceReadOptions {
  fileName: string;
  /** Templates for text of PDF documents; other formats do not look at them. */
  templates?: readonly unknown[];
}

/** One format of invoices. */
export interface InvoiceFormat {
  /** As in `ubl`; stable, shown to users. */
  name: string;
  title: string;
  /** 0..1: how sure we are, from the first 64 KiB and the file name. */
  detect(head: Uint8Array, fileName: string): number;
  /** @throws Fault with line or field and the remedy when the document cannot be read */
  read(bytes: Uint8Array, options: InvoiceReadOptions): Promise<ParsedInvoice[]>;
}
