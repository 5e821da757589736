import { cii } from "./cii/cii.ts";
import { chooseFormat } from "./detect.ts";
import { finvoice } from "./finvoice/finvoice.ts";
import type { InvoiceFormat, InvoiceReadOptions, ParsedInvoice } from "./invoice.ts";
import { shown } from "./invoice-fields.ts";
import { isPdf } from "./pdf.ts";
import { type EmbeddedInvoice, embeddedInvoice } from "./pdf-attachment.ts";
import { pdfTemplate } from "./pdf-invoice/pdf-invoice.ts";
import { Fault } from "./problems.ts";
import { ubl } from "./ubl/ubl.ts";

/** Bytes that formats look at to recognise a document. */
const headBytes = 64 * 1024;

/** Every format of invoices, named by hand. */
export function invoiceFormats(): InvoiceFormat[] {
  return [ubl, cii, finvoice, pdfTemplate];
}

/** Could a file that starts like this be an invoice? */
export function recognisesInvoice(head: Uint8Array, fileName: string): boolean {
  return invoiceFormats().some((format) => format.detect(head, fileName) > 0);
}

/**
 * Reads a document with the format that recognises it, or with the one called `format`: one invoice, or several
 * when the document holds several. Of a PDF that carries an invoice as XML (ZUGFeRD, Factur-X), the XML is read; of
 * another one the text, by a template.
 * @throws Fault when none or several formats fit, or when the document cannot be read
 * @throws Problem `unavailable` for a PDF, when the optional package that opens it is not installed
 */
export async function readInvoice(
  bytes: Uint8Array,
  { format, ...options }: InvoiceReadOptions & { format?: string | undefined },
): Promise<ParsedInvoice[]> {
  const head = bytes.subarray(0, headBytes);
  if (isPdf(head) && format !== pdfTemplate.name) {
    const embedded = await embeddedInvoice(bytes);
    if (embedded !== undefined) return readEmbedded(embedded, format);
  }
  return read(bytes, { format, ...options });
}

async function readEmbedded(
  { name, content }: EmbeddedInvoice,
  format: string | undefined,
): Promise<ParsedInvoice[]> {
  try {
    return await read(content, { format, fileName: name });
  } catch (reason) {
    if (reason instanceof Fault)
      throw new Fault(`In the attachment ${name}: ${reason.message}`, reason.place);
    throw reason;
  }
}

async function read(
  bytes: Uint8Array,
  { format, ...options }: InvoiceReadOptions & { format: string | undefined },
): Promise<ParsedInvoice[]> {
  const chosen = chooseFormat(bytes.subarray(0, headBytes), options.fileName, {
    formats: invoiceFormats(),
    wanted: format,
    remedy: "Ask the sender for one of them.",
  });
  return (await chosen.read(bytes, options)).map(bounded);
}

/** Longest description or name; the rest is left out. */
const textLengthMax = 1_000;
/** Longest number, code or unit; a longer one is none, and half of it would be another one. */
const identifierLengthMax = 200;

/** `735 999 116 000 000 011` is the number of the same metering point as without the spaces. */
const ungrouped = (point: string) => (/^[\d\s]+$/.test(point) ? point.replaceAll(/\s/g, "") : point);

/** Documents come from anywhere: bounds what is stored of one, whatever its format. */
function bounded(invoice: ParsedInvoice): ParsedInvoice {
  const shortened = (text: string) =>
    text.length <= textLengthMax ? text : `${text.slice(0, textLengthMax)}…`;
  const party = <Who extends ParsedInvoice["buyer"]>(who: Who): Who =>
    who === null ? who : { ...who, name: shortened(who.name) };
  const { number, currency, replaces, seller, buyer } = invoice;
  const meteringPoints = [...new Set(invoice.meteringPoints.map(ungrouped))];
  const ids = { number, currency, seller: seller.id, buyer: buyer?.id ?? null };
  mustBeIdentifiers({ ...ids, replaces, "metering point": meteringPoints }, "the document");
  return {
    ...invoice,
    seller: party(seller),
    buyer: party(buyer),
    meteringPoints,
    rows: invoice.rows.map((row) => {
      const { code, quantityUnit, priceUnit } = row;
      const meteringPoint = row.meteringPoint === null ? null : ungrouped(row.meteringPoint);
      const told = {
        code,
        "metering point": meteringPoint,
        unit: quantityUnit,
        "unit of the price": priceUnit,
      };
      mustBeIdentifiers(told, `row ${row.line}`);
      return { ...row, meteringPoint, description: shortened(row.description) };
    }),
  };
}

function mustBeIdentifiers(
  texts: Readonly<Record<string, string | readonly string[] | null>>,
  where: string,
): void {
  for (const [field, told] of Object.entries(texts)) {
    const long = [told ?? []].flat().find((text) => text.length > identifierLengthMax);
    if (long === undefined) continue;
    const message = `The ${field} of ${where} is longer than ${identifierLengthMax} characters: ${shown(long)}.`;
    throw new Fault(message, { field });
  }
}
