import {
  embeddedInvoice,
  Fault,
  type InvoiceReadOptions,
  inspectPdf,
  invoiceFormats,
  isPdf,
  type ParsedInvoice,
  type PdfInspection,
  readInvoice,
  recognisesInvoice,
} from "../formats/format.ts";
import { type ClassifiedRow, classify } from "./classify.ts";
import { type Tie, tie } from "./tie.ts";

/**
 * The door for programs that look at invoices without storing them, such as the command line: what an invoice holds,
 * whether its amounts tie, and which rule says what each row is for.
 */
export { readPdf, TemplateError } from "../formats/format.ts";

/** Is it an invoice, by its first 64 KiB and name, or by the format that the caller states? */
export function isInvoice(
  head: Uint8Array,
  { fileName, format }: { fileName: string; format?: string | undefined },
): boolean {
  if (format === undefined) return recognisesInvoice(head, fileName);
  return invoiceFormats().some(({ name }) => name === format);
}

/** An invoice, its rows with what the rules make of them. */
export interface InspectedInvoice extends Omit<ParsedInvoice, "rows"> {
  rows: ClassifiedRow[];
  tie: Tie;
}

/** What one document holds. */
export interface InvoiceInspection {
  file: string;
  /** Null when the document could not be read. */
  format: string | null;
  invoices: InspectedInvoice[];
  /** What a template found in the text of a PDF, also when that is no whole invoice; null for other documents. */
  pdf: Pick<NonNullable<PdfInspection["applied"]>, "template" | "fields" | "tables"> | null;
  /** Why the document could not be read. */
  problems: InvoiceProblem[];
}

/** Something that keeps a document from being read. */
export interface InvoiceProblem {
  severity: "error";
  /** Page of a PDF, null when it concerns all of them. */
  page: number | null;
  line: number | null;
  field: string | null;
  message: string;
}

/** How a document is inspected. */
export interface InspectInvoiceOptions extends InvoiceReadOptions {
  format?: string | undefined;
  contractType?: "grid" | "retail" | undefined;
}

/**
 * Says what a document holds. Whatever is wrong with it is told as a problem.
 * @throws TemplateError when a template is none
 * @throws Problem `unavailable` for a PDF, when the optional package that opens it is not installed
 */
export async function inspectInvoice(
  bytes: Uint8Array,
  { contractType, ...how }: InspectInvoiceOptions,
): Promise<InvoiceInspection> {
  const nothing = { file: how.fileName, format: null, invoices: [], pdf: null };
  try {
    const { parsed, pdf, problems } = await read(bytes, how);
    const stated = contractType === undefined ? {} : { contractType };
    const invoices = parsed.map((invoice) => ({
      ...invoice,
      rows: classify(invoice, stated),
      tie: tie(invoice),
    }));
    return { ...nothing, format: parsed[0]?.format ?? null, invoices, pdf, problems };
  } catch (reason) {
    if (!(reason instanceof Fault)) throw reason;
    const { message, place } = reason;
    const { line = null, field = null } = place;
    return { ...nothing, problems: [{ severity: "error", page: null, line, field, message }] };
  }
}

type Read = { parsed: ParsedInvoice[] } & Pick<InvoiceInspection, "pdf" | "problems">;

async function read(bytes: Uint8Array, how: Omit<InspectInvoiceOptions, "contractType">): Promise<Read> {
  const templates = how.templates ?? [];
  // Whoever tries a template wants to know what it makes of the text, whatever else the file carries.
  const isText = isPdf(bytes) && (templates.length > 0 || (await embeddedInvoice(bytes)) === undefined);
  if (!isText) return { parsed: await readInvoice(bytes, how), pdf: null, problems: [] };
  const { applied, misfit } = await inspectPdf(bytes, templates);
  if (applied === null) throw new Fault(misfit!);
  const { template, fields, tables, invoice } = applied;
  return {
    parsed: invoice === null ? [] : [invoice],
    pdf: { template, fields, tables },
    problems: applied.problems.map((problem) => ({ severity: "error", line: null, ...problem })),
  };
}
