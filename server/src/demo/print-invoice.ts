import { alvdalEnergi } from "./alvdal-energi.ts";
import type { InvoiceToPrint, Utility } from "./invoice.ts";
import { nordfjordNett } from "./nordfjord-nett.ts";
import { stadtwerkeBrunnstadt } from "./stadtwerke-brunnstadt.ts";

const layouts: Readonly<Record<Utility, (invoice: InvoiceToPrint) => Promise<Uint8Array>>> = {
  "alvdal-energi": alvdalEnergi,
  "nordfjord-nett": nordfjordNett,
  "stadtwerke-brunnstadt": stadtwerkeBrunnstadt,
};

/**
 * Prints an invoice as PDF, in the layout and language of its utility. The same invoice always gives the same bytes.
 * @throws Problem `unavailable` when the optional package pdfkit is not installed
 */
export async function printInvoice(invoice: InvoiceToPrint): Promise<Uint8Array> {
  return layouts[invoice.utility](invoice);
}
