import { openPdf } from "./pdf.ts";
import { Fault } from "./problems.ts";

/** A file inside a PDF. */
export interface EmbeddedInvoice {
  name: string;
  content: Uint8Array;
}

/** Names that ZUGFeRD, Factur-X and XRechnung give to the invoice in a PDF; ZUGFeRD 1 wrote capitals. */
const names = new Set(["factur-x.xml", "zugferd-invoice.xml", "xrechnung.xml"]);
/**
 * The invoice that a PDF/A-3 carries as XML; undefined when it carries none.
 * @throws Fault when the PDF cannot be opened
 * @throws Problem `unavailable` when the optional package unpdf is not installed
 */
export async function embeddedInvoice(bytes: Uint8Array): Promise<EmbeddedInvoice | undefined> {
  const pdf = await openPdf(bytes);
  try {
    for (const [id, { filename }] of (await pdf.getAttachments()) ?? []) {
      if (!names.has(filename.toLowerCase())) continue;
      const content = await pdf.getAttachmentContent(id);
      if (content !== null) return { name: filename, content };
    }
    return undefined;
  } catch (error) {
    throw new Fault(`The attachments of the PDF are damaged (${(error as Error).message.slice(0, 200)}).`);
  } finally {
    await pdf.loadingTask.destroy();
  }
}
