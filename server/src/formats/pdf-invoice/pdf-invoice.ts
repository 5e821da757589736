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

/** What was found in the text of a PDF. */
export interface PdfInspection {
  /** What the template found; null when no template fits. */
  applied: Applied | null;
  /** Why no template fits; null when one does. */
  misfit: string | null;
}

/**
 * Reads a PDF for somebody who writes a template: tells all that was found, and everything that was not. A single
 * template of the caller is applied even to a document that it is not for, which is told as a problem.
 * @throws Fault when the PDF itself cannot be read
 * @throws TemplateError when a template is none
 */
export async function inspectPdf(bytes: Uint8Array, templates: readonly unknown[]): Promise<PdfInspection> {
  const own = templates.map(parseTemplate);
  const pages = await readPdf(bytes);
  try {
    const [only] = own;
    const template = own.length === 1 ? only! : chooseTemplate(pages, own);
    const applied = applyTemplate(template, pages);
    const lack = lackOf(template, pages);
    if (lack === undefined) return { applied, misfit: null };
    const problem = { field: "document", page: null, message: `is not for this document: it ${lack}` };
    return { applied: { ...applied, problems: [problem, ...applied.problems], invoice: null }, misfit: null };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { applied: null, misfit: error.message };
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
  // Of templates with one name the first counts: an account's before those of its manager.
  const distinct = own.filter(({ name }, i) => own.findIndex((other) => other.name === name) === i);
  for (const group of [distinct, builtInTemplates()]) {
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
