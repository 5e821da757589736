import { Fault, type InvoiceReadOptions, type ParsedInvoice, readInvoice } from "../formats/format.ts";
import { type ClassifiedRow, classify } from "./classify.ts";
import { type Tie, tie } from "./tie.ts";

/**
 * The door for programs that look at invoices without storing them, such as the command line: what an invoice holds,
 * whether its amounts tie, and which rule says what each row is for.
 */
export { recognisesInvoice } from "../formats/format.ts";

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
  /** Why the document could not be read. */
  problems: { severity: "error"; line: number | null; field: string | null; message: string }[];
}

/** Says what a document holds. Whatever is wrong with it is told as a problem. */
export async function inspectInvoice(
  bytes: Uint8Array,
  options: InvoiceReadOptions & { format?: string | undefined; contractType?: "grid" | "retail" | undefined },
): Promise<InvoiceInspection> {
  const { contractType, ...how } = options;
  try {
    const parsed = await readInvoice(bytes, how);
    const stated = contractType === undefined ? {} : { contractType };
    const invoices = parsed.map((invoice) => ({
      ...invoice,
      rows: classify(invoice, stated),
      tie: tie(invoice),
    }));
    return { file: how.fileName, format: parsed[0]?.format ?? null, invoices, problems: [] };
  } catch (reason) {
    if (!(reason instanceof Fault)) throw reason;
    const { message, place } = reason;
    const { line = null, field = null } = place;
    return {
      file: how.fileName,
      format: null,
      invoices: [],
      problems: [{ severity: "error", line, field, message }],
    };
  }
}
