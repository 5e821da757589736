import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { chooseFormat } from "./detect.ts";
import { collect } from "./harness.ts";
import type { InvoicePeriod, InvoiceRow, ParsedInvoice } from "./invoice.ts";
import { invoiceFormats, readInvoice } from "./invoice-formats.ts";
import type { Format, IntervalItem, ProblemItem, ReadingItem, ReadOptions, SeriesItem } from "./item.ts";
import { Fault } from "./problems.ts";

/** A file and what its format says about it: `cases/<name>/{input.*, options.json?, expected.json}`. */
export interface Case {
  format: string;
  name: string;
  folder: string;
  fileName: string;
  input: Buffer;
  options: Partial<ReadOptions>;
}

/** What a format says about a file, written so that a person can check it. */
export interface Told {
  series: Omit<SeriesItem, "kind">[];
  /** `series | start or time | seconds or "reading" | value | quality code | line | version`, in the order of the file. */
  values: string[];
  problems: string[];
}

/** All cases of all formats of values, by folder. Used by tests alone. */
export function casesOfFormats(): Case[] {
  return allCases().filter(({ format }) => !isInvoice(format));
}

/** All cases of all formats of invoices, by folder. Used by tests alone. */
export function casesOfInvoices(): Case[] {
  return allCases().filter(({ format }) => isInvoice(format));
}

const isInvoice = (format: string) => invoiceFormats().some(({ name }) => name === format);

function allCases(): Case[] {
  const found: Case[] = [];
  for (const format of readdirSync(import.meta.dirname)) {
    const cases = join(import.meta.dirname, format, "cases");
    if (!existsSync(cases)) continue;
    for (const name of readdirSync(cases)) {
      const folder = join(cases, name);
      const fileName = readdirSync(folder).find((file) => file.startsWith("input."));
      if (fileName === undefined) throw new Error(`${folder} has no input file`);
      const stated = join(folder, "options.json");
      const options = existsSync(stated) ? JSON.parse(readFileSync(stated, "utf8")) : {};
      found.push({ format, name, folder, fileName, input: readFileSync(join(folder, fileName)), options });
    }
  }
  return found;
}

/** Reads a case in pieces of `pieceBytes` with the format that recognises it. */
export async function tell(
  { fileName, input, options }: Case,
  { formats, pieceBytes }: { formats: Format[]; pieceBytes: number },
): Promise<Told> {
  const format = chooseFormat(input.subarray(0, 65_536), fileName, { formats });
  const got = await collect(format, input, { fileName, pieceBytes, ...options });
  return {
    series: got.series.map(({ kind, ...series }) => series),
    values: [...got.intervals, ...got.readings].map(valueText),
    problems: got.problems.map(problemText),
  };
}

function valueText(item: IntervalItem | ReadingItem): string {
  const at = new Date(item.kind === "interval" ? item.start : item.time).toISOString().replace(".000Z", "Z");
  const length = item.kind === "interval" ? `${item.seconds} s` : "reading";
  const quality = `${item.quality} ${item.code}`.trim();
  const version = item.version === undefined ? "" : ` | ${new Date(item.version).toISOString()}`;
  return `${item.series} | ${at} | ${length} | ${item.value} | ${quality} | line ${item.line}${version}`;
}

function problemText({ severity, line, field, message }: ProblemItem): string {
  return `${severity} | line ${line} | ${field} | ${message}`;
}

/** What a format says about a document, written so that a person can check it. */
export interface ToldInvoice {
  invoices: {
    /** `kind number | currency | issued, due | of earlier invoices | period | metering points`. */
    head: string;
    seller: string;
    buyer: string;
    /** `line kind | description | code | metering point | period | quantity | price | amount | VAT`. */
    rows: string[];
    vat: string[];
    totals: string;
  }[];
  /** Why it could not be read. */
  problem?: string;
}

/** Reads a case of an invoice with the format that recognises it. */
export async function tellInvoice({ fileName, input }: Case): Promise<ToldInvoice> {
  try {
    return { invoices: (await readInvoice(input, { fileName })).map(invoiceText) };
  } catch (reason) {
    if (!(reason instanceof Fault)) throw reason;
    const { line = null, field = null } = reason.place;
    return { invoices: [], problem: `line ${line} | ${field} | ${reason.message}` };
  }
}

function invoiceText(invoice: ParsedInvoice): ToldInvoice["invoices"][number] {
  const { kind, number, currency, issued, due, replaces, period, meteringPoints, totals } = invoice;
  const party = (who: ParsedInvoice["buyer"]) => (who === null ? "none" : `${who.name} (${who.id})`);
  const { net, vat, gross, prepaid, rounding, payable } = totals;
  return {
    head: [
      `${kind} ${number}`,
      currency,
      `${issued}, due ${due}`,
      `of ${replaces.join(", ") || "none"}`,
      periodText(period),
      meteringPoints.join(", ") || "none",
    ].join(" | "),
    seller: party(invoice.seller),
    buyer: party(invoice.buyer),
    rows: invoice.rows.map(rowText),
    vat: (invoice.vatGroups ?? []).map((group) => `${group.rate} % of ${group.net} is ${group.vat}`),
    totals: `${net} + ${vat} = ${gross}; - ${prepaid} + ${rounding} = ${payable}`,
  };
}

function rowText(row: InvoiceRow): string {
  return [
    `${row.line} ${row.kind}`,
    row.description,
    row.code,
    row.meteringPoint,
    periodText(row.period),
    row.quantity === null ? null : `${row.quantity} ${row.quantityUnit}`,
    row.price === null ? null : `${row.price} ${row.priceUnit}`,
    row.amount,
    row.vatRate === null ? null : `${row.vatRate} %`,
  ].join(" | ");
}

const periodText = (period: InvoicePeriod | null) =>
  period === null ? "none" : `${period.from} to ${period.to}`;
