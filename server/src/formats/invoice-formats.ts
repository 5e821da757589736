import { chooseFormat } from "./detect.ts";
import type { InvoiceFormat, InvoiceReadOptions, ParsedInvoice } from "./invoice.ts";
import { ubl } from "./ubl/ubl.ts";

/** Bytes that formats look at to recognise a document. */
const headBytes = 64 * 1024;

/** Every format of invoices, named by hand. */
export function invoiceFormats(): InvoiceFormat[] {
  return [ubl];
}

/**
 * Reads a document with the format that recognises it, or with the one called `format`: one invoice, or
 * several when the document holds several.
 * @throws Fault when none or several formats fit, or when the document cannot be read
 */
export async function readInvoice(
  bytes: Uint8Array,
  { format, ...options }: InvoiceReadOptions & { format?: string | undefined },
): Promise<ParsedInvoice[]> {
  const chosen = chooseFormat(bytes.subarray(0, headBytes), options.fileName, {
    formats: invoiceFormats(),
    wanted: format,
  });
  return chosen.read(bytes, options);
}
