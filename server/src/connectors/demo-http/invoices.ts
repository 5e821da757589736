import type { InvoiceDocument } from "../../collection/connector.ts";
import { changed, dayOf, rowsOf, textOf } from "./page.ts";
import type { CustomerPages } from "./reading.ts";

const columns = ["Fakturanummer", "Fakturadatum", "Anläggnings-id", "Belopp (SEK)", "Fil"];
const pagesMax = 1_000;

/**
 * The invoices of the customer pages, as e-invoices (UBL), which say every row exactly; the PDF holds the same. An issued
 * invoice never changes, so its number is its key.
 */
export async function* invoicesOf(
  pages: CustomerPages,
  isStored: (key: string) => Promise<boolean>,
): AsyncGenerator<InvoiceDocument> {
  for (let at = 1; ; at++) {
    const answer = await pages.get("/invoices", { page: String(at) });
    const page = answer.text();
    if (answer.status !== 200 || at > pagesMax) throw changed("the list of invoices is not there", page);
    for (const row of rowsOf(page, "invoices", columns)) {
      const number = textOf(row.get("Fakturanummer")!);
      dayOf(textOf(row.get("Fakturadatum")!));
      const path = `/invoices/${number}.xml`;
      if (!row.get("Fil")!.includes(`<a href="${path}">UBL</a>`))
        throw changed("no link to an e-invoice", page);
      if (!(await isStored(number))) yield await documentOf(pages, number, path);
    }
    if (!page.includes(`<a rel="next" href="/invoices?page=${at + 1}">Nästa</a>`)) {
      if (page.includes(`rel="next"`)) throw changed("an unknown link to the next page", page);
      return;
    }
  }
}

async function documentOf(pages: CustomerPages, number: string, path: string): Promise<InvoiceDocument> {
  const answer = await pages.get(path);
  if (answer.status !== 200 || !answer.headers["content-type"]?.startsWith("application/xml")) {
    throw changed(`the invoice ${number} is not there`, answer.text());
  }
  return { key: number, fileName: `${number}.xml`, content: answer.bytes };
}
