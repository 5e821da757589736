import type { FastifyInstance } from "fastify";
import { visitorOf } from "./customer-pages.ts";
import { pdfOf } from "./invoice-pdf.ts";
import { ublOf } from "./invoice-ubl.ts";
import { type Invoice, invoiceByNumber, invoicesOf } from "./invoices.ts";
import { escaped, table } from "./page.ts";
import type { Sessions } from "./sessions.ts";
import { type Look, type TextKey, textOf } from "./texts.ts";
import type { Utility } from "./utility.ts";
import { show, showMissing } from "./visit.ts";

/** Invoices on one page of the list. */
const pageSize = 10;

function listBody(look: Look, invoices: readonly Invoice[], at: number): string {
  const t = (key: TextKey) => textOf(look, key);
  const pages = Math.max(1, Math.ceil(invoices.length / pageSize));
  const columns = [
    { label: t("number"), cell: ({ number }: Invoice) => escaped(number) },
    { label: t("issued"), cell: ({ issued }: Invoice) => issued },
    { label: t("ean"), cell: ({ ean }: Invoice) => ean },
    { label: `${t("amount")} (SEK)`, cell: ({ payable }: Invoice) => payable.replace(".", ",") },
    {
      label: t("file"),
      cell: ({ number }: Invoice) =>
        `<a href="/invoices/${number}.pdf">PDF</a> <a href="/invoices/${number}.xml">UBL</a>`,
    },
  ];
  const rows = invoices.slice((at - 1) * pageSize, at * pageSize);
  const next =
    at < pages ? ` <a rel="next" href="/invoices?page=${at + 1}">${escaped(t("nextPage"))}</a>` : "";
  return `${table(look, { id: "invoices", caption: t("invoices"), columns, rows })}
<nav aria-label="${escaped(t("page"))}"><span>${escaped(t("page"))} ${at} / ${pages}</span>${next}</nav>`;
}

/** Invoices of those who are logged in. */
export function invoicePages(app: FastifyInstance, utility: Utility, sessions: Sessions): void {
  app.get<{ Querystring: { page?: string } }>("/invoices", async (request, reply) => {
    const visitor = await visitorOf(utility, sessions, { request, reply });
    if (visitor === null) return reply;
    const at = Math.max(1, Number.parseInt(request.query.page ?? "1", 10) || 1);
    const body = listBody(visitor.look, invoicesOf(utility, visitor.customer), at);
    return show(reply, visitor.look, { title: "invoices", body, menu: visitor.session.csrf });
  });

  app.get<{ Params: { file: string } }>("/invoices/:file", async (request, reply) => {
    const visitor = await visitorOf(utility, sessions, { request, reply });
    if (visitor === null) return reply;
    const [, number = "", ending] = /^([\d-]{1,60})\.(pdf|xml)$/.exec(request.params.file) ?? [];
    const invoice = invoiceByNumber(utility, visitor.customer, number);
    if (invoice === undefined) return showMissing(reply, visitor.look);
    reply.header("content-disposition", `attachment; filename="${number}.${ending}"`);
    return ending === "xml"
      ? reply.type("application/xml; charset=utf-8").send(ublOf(invoice))
      : reply.type("application/pdf").send(await pdfOf(invoice));
  });
}
