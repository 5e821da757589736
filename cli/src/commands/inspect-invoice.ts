import { open, readFile } from "node:fs/promises";
import { basename } from "node:path";
import { fail } from "../failure.ts";
import { plain, tableText } from "../table.ts";

type Inspector = typeof import("@metertree/server/inspect-invoice");

/** What an invoice holds, as the server's reader tells it. */
export type InvoiceInspection = Awaited<ReturnType<Inspector["inspectInvoice"]>>;
type Invoice = InvoiceInspection["invoices"][number];
type Page = Awaited<ReturnType<Inspector["readPdf"]>>[number];

/** How an invoice is to be read. */
export interface InvoiceOptions {
  format?: string;
  /** Paths of files with a template each. */
  template?: string[];
}

/** Bytes by which an invoice is recognised. */
const headBytes = 64 * 1024;

/**
 * Inspects a document when it is an invoice, or when the options are for invoices; `undefined` for other files.
 * What is wrong with the document is told in the result; what is wrong with a template ends the command.
 */
export async function inspectInvoiceFile(
  path: string,
  { format, template = [] }: InvoiceOptions,
): Promise<InvoiceInspection | undefined> {
  const { inspectInvoice, isInvoice, TemplateError } = await import("@metertree/server/inspect-invoice");
  const fileName = basename(path);
  if (template.length === 0 && !isInvoice(await headOf(path), { fileName, format })) return undefined;
  const bytes = await readFile(path);
  const templates = await Promise.all(template.map(jsonIn));
  return inspectInvoice(bytes, { fileName, format, templates }).catch((error: unknown) => {
    throw error instanceof TemplateError
      ? fail(`--template ${template.join(" ")}:\n${error.message}`)
      : error;
  });
}

async function headOf(path: string): Promise<Uint8Array> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(new Uint8Array(headBytes), 0, headBytes, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

async function jsonIn(path: string): Promise<string> {
  return readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw fail(error.code === "ENOENT" ? `--template ${path}: there is no such file` : error.message);
  });
}

/** The text of a PDF as its reader sees it. */
export async function pdfPages(path: string): Promise<Page[]> {
  const { readPdf } = await import("@metertree/server/inspect-invoice");
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw fail(error.code === "ENOENT" ? `${path}: there is no such file` : error.message);
  });
  return readPdf(bytes).catch((error: Error) => {
    throw error.name === "Fault" ? fail(`${path}: ${error.message}`) : error;
  });
}

/** Pages for people: each line with its height, each run of text with its left and right edge, in points. */
export function pagesText(pages: readonly Page[]): string {
  return pages.map(pageText).join("\n\n");
}

function pageText({ number, width, height, lines }: Page): string {
  const head = `Page ${number} (${Math.round(width)} x ${Math.round(height)} points)`;
  const rows = lines.map(({ y, chunks }) => {
    const runs = chunks.map(({ text, x0, x1 }) => `[${Math.round(x0)}-${Math.round(x1)}] ${plain(text)}`);
    return `y ${String(Math.round(y)).padStart(3)}  ${runs.join("  ")}`;
  });
  return [head, ...rows].join("\n");
}

/** The inspection of an invoice for people. */
export function invoiceText({ file, format, invoices, pdf, problems }: InvoiceInspection): string {
  const parts = [`${plain(file)}: ${format ?? (pdf === null ? "not read" : `template ${pdf.template}`)}`];
  parts.push(...invoices.map(oneText));
  if (pdf !== null) parts.push(fieldsText(pdf.fields));
  if (pdf !== null && invoices.length === 0) parts.push(...pdf.tables.map(foundText));
  if (problems.length > 0) {
    const rows = problems.map(({ page, line, field, message }) => [
      page ?? line,
      plain(field ?? ""),
      plain(message),
    ]);
    parts.push(tableText([pdf === null ? "line" : "page", "field", "problem"], rows));
  }
  return parts.join("\n\n");
}

function oneText(invoice: Invoice): string {
  const { kind, number, issued, due, currency, seller, buyer, rows, totals, tie, replaces } = invoice;
  const kinds = { invoice: "Invoice", credit: "Credit note", correction: "Corrected invoice" };
  const of = replaces.length === 0 ? "" : `, for ${replaces.join(", ")}`;
  const head = [
    `${kinds[kind]} ${number} of ${issued}${of}${due === null ? "" : `, due ${due}`}`,
    `from ${seller.name}${buyer === null ? "" : ` to ${buyer.name}`}`,
    ...(invoice.meteringPoints.length === 0 ? [] : [`metering point ${invoice.meteringPoints.join(", ")}`]),
    ...(invoice.period === null ? [] : [`period ${invoice.period.from} to ${invoice.period.to}`]),
  ];
  const sums = Object.entries(totals).map(([name, amount]) => `${name} ${amount}`);
  return [
    ...head.map(plain),
    "",
    rowsText(rows),
    "",
    `${currency}: ${sums.join(", ")}`,
    tie.ok ? "The amounts tie." : tie.message,
  ].join("\n");
}

const headings = [
  "row",
  "meter",
  "description",
  "from",
  "to",
  "quantity",
  "",
  "price",
  "",
  "amount",
  "metric",
  "rule",
];

function rowsText(rows: Invoice["rows"]): string {
  return tableText(
    headings,
    rows.map((row) => [
      row.line,
      plain(row.meteringPoint ?? ""),
      plain(row.description),
      row.period?.from ?? "",
      row.period?.to ?? "",
      row.quantity,
      plain(row.quantityUnit ?? ""),
      row.price,
      plain(row.priceUnit ?? ""),
      row.amount,
      row.metric ?? "?",
      row.rule ?? "",
    ]),
  );
}

type Found = NonNullable<InvoiceInspection["pdf"]>;

function fieldsText(fields: Found["fields"]): string {
  const rows = fields.map(({ field, value, text, page, x, y }) => [
    field,
    plain(value),
    value === text ? "" : plain(text),
    page,
    x === null ? null : Math.round(x),
    y === null ? null : Math.round(y),
  ]);
  return tableText(["field", "value", "as printed", "page", "x", "y"], rows);
}

/** What was found of a table in a document that is no whole invoice yet. */
function foundText({ table, name, page, columns, rows }: Found["tables"][number]): string {
  const places = columns.map(({ role, x0, x1 }) => `${role} ${Math.round(x0)}-${Math.round(x1)}`);
  return [
    `${table}${name === null ? "" : ` (${plain(name)})`} on page ${page}: ${places.join(", ")}`,
    tableText(
      ["page", "y", "description", "quantity", "price", "amount"],
      rows.map((row) => [
        row.page,
        Math.round(row.y),
        plain(row.description),
        row.quantity,
        row.price,
        row.amount,
      ]),
    ),
  ].join("\n");
}
