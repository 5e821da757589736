import type { Decimal } from "decimal.js";
import type { InvoiceParty, InvoiceRow, InvoiceTotals, InvoiceVatGroup, ParsedInvoice } from "../invoice.ts";
import { Exact, negated } from "../invoice-fields.ts";
import { FieldReader, type FoundField, type TemplateProblem } from "./fields.ts";
import { stands } from "./labels.ts";
import { type FoundTable, readTables } from "./tables.ts";
import type { Template, TemplateField } from "./template.ts";
import type { Page } from "./text.ts";

/** What a template found in a document. */
export interface Applied {
  template: string;
  fields: FoundField[];
  tables: FoundTable[];
  problems: TemplateProblem[];
  /** Null when there is a problem. */
  invoice: ParsedInvoice | null;
}

/** Reads a document by a template: all that can be found, and everything that keeps it from being an invoice. */
export function applyTemplate(template: Template, pages: readonly Page[]): Applied {
  const reader = new FieldReader(template, pages);
  const head = headOf(reader);
  const tables = readTables(reader);
  const totals = totalsOf(reader);
  const vatGroups = template.vatGroups?.map((_, i) => vatGroupOf(reader, i));
  const { found: fields, problems } = reader;
  const applied = { template: template.name, fields, tables, problems };
  if (problems.length > 0) return { ...applied, invoice: null };
  const { kind } = head;
  const sign = kind === "credit" && template.credit?.negate === true ? negated : (amount: string) => amount;
  const rows = tables.flatMap((table) => table.rows);
  const invoice: ParsedInvoice = {
    format: `pdf-template:${template.name}`,
    ...head,
    currency: template.currency,
    rows: rows.map(({ page: _page, y: _y, ...row }, i) => signed({ line: i + 1, ...row }, sign)),
    totals: Object.fromEntries(
      Object.entries(totals).map(([key, amount]) => [key, sign(amount)]),
    ) as unknown as InvoiceTotals,
  };
  if (vatGroups !== undefined) {
    invoice.vatGroups = vatGroups.map(({ rate, net, vat }) => ({ rate, net: sign(net), vat: sign(vat) }));
  }
  return { ...applied, invoice };
}

function signed(row: InvoiceRow, sign: (amount: string) => string): InvoiceRow {
  const { amount, quantity } = row;
  return { ...row, amount: sign(amount), quantity: quantity === null ? null : sign(quantity) };
}

type Head = Omit<ParsedInvoice, "format" | "currency" | "rows" | "totals" | "vatGroups">;

function headOf(reader: FieldReader): Head {
  const { template, pages } = reader;
  const { fields } = template;
  const isThere = (words: readonly string[] | undefined) => words?.some((one) => stands(pages, one)) === true;
  const isCredit = isThere(template.credit?.words);
  const kind = isCredit ? "credit" : isThere(template.correction?.words) ? "correction" : "invoice";
  return {
    number: reader.text("fields.number", fields.number) ?? "",
    kind,
    replaces: listed(reader.text("fields.replaces", optionalUnless(kind !== "invoice", fields.replaces))),
    issued: reader.day("fields.issued", fields.issued) ?? "",
    due: reader.day("fields.due", fields.due),
    seller: partyOf(reader, "seller") ?? { name: "", id: null },
    buyer: partyOf(reader, "buyer"),
    period: reader.period("fields.period", fields.period),
    meteringPoints: listed(reader.meteringPoint("fields.meteringPoint", fields.meteringPoint)),
  };
}

const listed = (found: string | null) => (found === null ? [] : [found]);

/** An invoice refers to no earlier one, so that field may be missing there. */
function optionalUnless(needed: boolean, field: TemplateField | undefined): TemplateField | undefined {
  return field === undefined || needed ? field : { ...field, optional: true };
}

function partyOf(reader: FieldReader, key: "seller" | "buyer"): InvoiceParty | null {
  const told = reader.template[key];
  if (told === undefined) return null;
  const name = reader.text(`${key}.name`, told.name);
  const id = reader.text(`${key}.id`, told.id);
  return name === null ? null : { name, id };
}

function totalsOf(reader: FieldReader): InvoiceTotals {
  const { totals } = reader.template;
  const amount = (key: keyof typeof totals): string | null => {
    const told = totals[key];
    if (told === undefined) return null;
    if (!Array.isArray(told)) return reader.amount(`totals.${key}`, told);
    const parts = told.map((one, i) => reader.amount(`totals.${key}[${i}]`, one));
    return written(parts.reduce((sum, part) => sum.plus(part ?? 0), new Exact(0)));
  };
  const net = amount("net") ?? "0";
  const vat = amount("vat") ?? "0";
  return {
    net,
    vat,
    // Not every layout prints it.
    gross: amount("gross") ?? written(new Exact(net).plus(vat)),
    prepaid: amount("prepaid") ?? "0",
    rounding: amount("rounding") ?? "0",
    payable: amount("payable") ?? "0",
  };
}

/** A computed amount with cents, as documents print theirs. */
function written(amount: Decimal): string {
  return amount.toFixed(Math.max(2, amount.decimalPlaces()));
}

function vatGroupOf(reader: FieldReader, index: number): InvoiceVatGroup {
  const { rate, net, vat } = reader.template.vatGroups![index]!;
  const path = `vatGroups[${index}]`;
  return {
    rate,
    net: reader.amount(`${path}.net`, net) ?? "0",
    vat: reader.amount(`${path}.vat`, vat) ?? "0",
  };
}
