import type { InvoiceFormat, ParsedInvoice } from "../invoice.ts";
import { isPdf } from "../pdf.ts";
import { Fault } from "../problems.ts";
import { type Applied, applyTemplate } from "./apply.ts";
import { builtInTemplates } from "./built-in.ts";
import { stands } from "./labels.ts";
import { parseTemplate, type Template, TemplateError } from "./template.ts";
import { type Page, readPdf } from "./text.ts";

/** Text of PDF invoices, read by the template of their layout. */
export const pdfTemplate: InvoiceFormat = {
  name: "pdf-template",
  title: "PDF invoice, read by a template of its layout",

  // Less than what a document says of itself: a PDF may hold anything.
  detect: (head) => (isPdf(head) ? 0.5 : 0),

  async read(bytes, { templates = [] }) {
    const pages = await readPdf(bytes);
    const template = chooseTemplate(pages, usable(templates));
    return [invoiceOf(applyTemplate(template, pages))];
  },
};

/** What was found in a PDF: its text, and what the template that fits it reads. */
export interface PdfInspection {
  pages: Page[];
  /** Null when no template fits. */
  applied: Applied | null;
  /** Why no template fits, or what keeps the document from being an invoice; null when it was read. */
  fault: string | null;
}

/**
 * Reads a PDF for somebody who writes a template: never throws for what a template lacks.
 * @throws Fault when the PDF itself cannot be read
 * @throws TemplateError when a template is none
 */
export async function inspectPdf(
  bytes: Uint8Array,
  { templates, only = false }: { templates: readonly unknown[]; only?: boolean },
): Promise<PdfInspection> {
  const told = templates.map(parseTemplate);
  const pages = await readPdf(bytes);
  try {
    const template = only && told.length === 1 ? told[0]! : chooseTemplate(pages, told);
    const applied = applyTemplate(template, pages);
    return { pages, applied, fault: applied.invoice === null ? problemsText(applied) : null };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { pages, applied: null, fault: error.message };
  }
}

function usable(templates: readonly unknown[]): Template[] {
  return templates.map((told) => {
    try {
      return parseTemplate(told);
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      throw new Fault(`A template cannot be used: ${error.message}`);
    }
  });
}

function invoiceOf(applied: Applied): ParsedInvoice {
  if (applied.invoice !== null) return applied.invoice;
  const [first] = applied.problems;
  throw new Fault(problemsText(applied), { field: first!.field });
}

const toldMax = 5;

function problemsText({ template, problems }: Applied): string {
  const told = problems
    .slice(0, toldMax)
    .map(({ field, page, message }) => `${field}${page === null ? "" : ` (page ${page})`}: ${message}`);
  const more = problems.length - told.length;
  if (more > 0) told.push(`and ${more} more`);
  return `Template "${template}" does not read this document: ${told.join("; ")}.`;
}

/**
 * The template that fits a document: all of its words stand in it and none that it excludes. Of several, the one that
 * asks for most; those of the caller come before the built-in ones.
 * @throws Fault when none fits, or two equally well
 */
function chooseTemplate(pages: readonly Page[], own: readonly Template[]): Template {
  for (const group of [own, builtInTemplates()]) {
    const fitting = group.filter((template) => lackOf(template, pages) === undefined);
    const weight = ({ document }: Template) => document.all.join("").length;
    const most = Math.max(...fitting.map(weight));
    const [best, other] = fitting.filter((template) => weight(template) === most);
    if (other !== undefined) {
      throw new Fault(
        `The templates "${best!.name}" and "${other.name}" fit equally well: give one more words in "document".`,
      );
    }
    if (best !== undefined) return best;
  }
  const lacks = [...own, ...builtInTemplates()].map(
    (template) => `"${template.name}" ${lackOf(template, pages)}`,
  );
  throw new Fault(
    `No template fits this PDF (${lacks.slice(0, 10).join("; ")}). ` +
      "Write one for its layout: `metertree inspect FILE --text` prints the words that it has to name.",
  );
}

function lackOf({ document }: Template, pages: readonly Page[]): string | undefined {
  const missing = document.all.find((words) => !stands(pages, words));
  if (missing !== undefined) return `needs "${missing}"`;
  const excluded = document.none?.find((words) => stands(pages, words));
  return excluded === undefined ? undefined : `excludes "${excluded}"`;
}
