import { Problem } from "../platform/problem.ts";
import { guardPdf } from "./pdf-guard.ts";
import { Fault } from "./problems.ts";

type Unpdf = typeof import("unpdf");

/** An open PDF; `loadingTask.destroy()` closes it. */
export type Pdf = Awaited<ReturnType<Unpdf["getDocumentProxy"]>>;

const mark = Buffer.from("%PDF-");
/** The mark may follow some bytes of the program that sent the file. */
const markWithin = 1_024;

/** Is this the beginning of a PDF? */
export function isPdf(head: Uint8Array): boolean {
  return Buffer.from(head.subarray(0, markWithin)).includes(mark);
}

/**
 * Opens a PDF that keeps within the bounds of `guardPdf`. Its scripts and forms are not looked at.
 * @throws Fault when it cannot be opened
 * @throws Problem `unavailable` when the optional package unpdf is not installed
 */
export async function openPdf(bytes: Uint8Array): Promise<Pdf> {
  guardPdf(bytes);
  const { getDocumentProxy } = await loadUnpdf();
  // The reader takes the buffer over: it gets a copy.
  const copy = new Uint8Array(bytes);
  const opened = getDocumentProxy(copy, { enableXfa: false, useSystemFonts: false, verbosity: 0 });
  return opened.catch((error: Error) => {
    throw new Fault(openMessage(error));
  });
}

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
