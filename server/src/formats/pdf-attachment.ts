import { Problem } from "../platform/problem.ts";
import { Fault } from "./problems.ts";

/** A file inside a PDF. */
export interface EmbeddedInvoice {
  name: string;
  content: Uint8Array;
}

/** Names that ZUGFeRD, Factur-X and XRechnung give to the invoice in a PDF; ZUGFeRD 1 wrote capitals. */
const names = new Set(["factur-x.xml", "zugferd-invoice.xml", "xrechnung.xml"]);
const mark = Buffer.from("%PDF-");
/** The mark may follow some bytes of the program that sent the file. */
const markWithin = 1_024;

/** Is this the beginning of a PDF? */
export function isPdf(head: Uint8Array): boolean {
  return Buffer.from(head.subarray(0, markWithin)).includes(mark);
}

/**
 * The invoice that a PDF/A-3 carries as XML; undefined when it carries none.
 * @throws Fault when the PDF cannot be opened
 * @throws Problem `unavailable` when the optional package unpdf is not installed
 */
export async function embeddedInvoice(bytes: Uint8Array): Promise<EmbeddedInvoice | undefined> {
  const { getDocumentProxy } = await loadUnpdf();
  // The reader takes the buffer over: it gets a copy.
  const opened = getDocumentProxy(new Uint8Array(bytes), {
    enableXfa: false,
    useSystemFonts: false,
    verbosity: 0,
  });
  const pdf = await opened.catch((error: Error) => {
    throw new Fault(openMessage(error));
  });
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

type Unpdf = typeof import("unpdf");

async function loadUnpdf(): Promise<Unpdf> {
  try {
    return await import("unpdf");
  } catch (cause) {
    const message =
      "Reading invoices from PDF needs the optional package unpdf, which is not installed: npm install unpdf";
    throw new Problem("unavailable", message, { cause });
  }
}

function openMessage({ name, message }: Error): string {
  if (name === "PasswordException") {
    return "The PDF is protected by a password. Save it without one and upload it again.";
  }
  return `The file is no PDF that can be opened (${message.slice(0, 200)}). Get it from the sender once more.`;
}
