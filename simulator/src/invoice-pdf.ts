import type { Invoice, InvoiceRow } from "./invoices.ts";

type PdfDocument = InstanceType<typeof import("pdfkit")>;

interface Style {
  size?: number;
  bold?: boolean;
  color?: string;
}

const blue = "#1d4f76";
const grey = "#555555";

/** Edge of each column: the left one of texts, the right one of numbers. */
const columns = [
  { title: "Beskrivning", x: 45, align: "left" },
  { title: "Period", x: 220, align: "left" },
  { title: "Antal", x: 375, align: "right" },
  { title: "Enhet", x: 382, align: "left" },
  { title: "Pris", x: 445, align: "right" },
  { title: "Prisenhet", x: 452, align: "left" },
  { title: "Belopp", x: 550, align: "right" },
] as const;

/** `1234.50` as `1 234,50`. */
const written = (decimal: string) => decimal.replace(/\B(?=(\d{3})+(?:\.|$))/g, " ").replace(".", ",");

/** An invoice on a page of A4. The same invoice always gives the same bytes. */
export async function pdfOf(invoice: Invoice): Promise<Uint8Array> {
  const { default: PdfKit } = await import("pdfkit");
  const info = { Title: `Faktura ${invoice.number}`, CreationDate: new Date(`${invoice.issued}T08:00:00Z`) };
  const document = new PdfKit({ size: "A4", margin: 0, info });
  const chunks: Buffer[] = [];
  const done = new Promise<Uint8Array>((resolve, reject) => {
    document.on("data", (chunk: Buffer) => chunks.push(chunk));
    document.on("end", () => resolve(new Uint8Array(Buffer.concat(chunks))));
    document.on("error", reject);
  });
  head(document, invoice);
  rows(document, invoice);
  totals(document, invoice);
  foot(document);
  document.end();
  return done;
}

function set(document: PdfDocument, { size = 9, bold = false, color = "#1a1a1a" }: Style): PdfDocument {
  return document
    .font(bold ? "Helvetica-Bold" : "Helvetica")
    .fontSize(size)
    .fillColor(color);
}

function left(
  document: PdfDocument,
  text: string,
  { x, y, ...style }: Style & { x: number; y: number },
): void {
  set(document, style).text(text, x, y, { lineBreak: false });
}

function right(
  document: PdfDocument,
  text: string,
  { x, y, ...style }: Style & { x: number; y: number },
): void {
  set(document, style).text(text, x - document.widthOfString(text), y, { lineBreak: false });
}

function head(document: PdfDocument, invoice: Invoice): void {
  document.rect(0, 0, 596, 14).fillColor(blue).fill();
  left(document, "Älvdal Energi", { x: 45, y: 38, size: 20, bold: true, color: blue });
  right(document, "Faktura", { x: 550, y: 40, size: 17, bold: true });
  left(document, "Kund", { x: 45, y: 96, bold: true });
  left(document, invoice.buyer.name, { x: 45, y: 109 });
  invoice.address.split(", ").forEach((line, i) => {
    left(document, line, { x: 45, y: 121 + 12 * i });
  });
  const facts = [
    ["Fakturanummer", invoice.number],
    ["Fakturadatum", invoice.issued],
    ["Förfallodatum", invoice.due],
    ["Organisationsnummer", invoice.buyer.number],
    ["Avser period", `${invoice.period.from} – ${invoice.period.to}`],
    ["Anläggnings-id", invoice.ean],
    ["Anläggningsadress", invoice.address],
  ] as const;
  facts.forEach(([label, value], i) => {
    left(document, label, { x: 310, y: 96 + 13 * i, color: grey });
    left(document, value, { x: 415, y: 96 + 13 * i, bold: i === 0 });
  });
}

function rows(document: PdfDocument, invoice: Invoice): void {
  left(document, "Elnät", { x: 45, y: 222, size: 12, bold: true, color: blue });
  document.rect(40, 242, 515, 16).fillColor("#e8eff5").fill();
  line(
    document,
    columns.map(({ title }) => title),
    { y: 246, size: 8.5, bold: true },
  );
  const { from, to } = invoice.period;
  const cells = ({ description, quantity, unit, price, priceUnit, amount }: InvoiceRow) => [
    description,
    `${from} – ${to}`,
    written(quantity),
    unit,
    written(price),
    priceUnit,
    written(amount),
  ];
  invoice.rows.forEach((row, i) => {
    line(document, cells(row), { y: 264 + 14 * i, size: 8.5 });
  });
  const end = 264 + 14 * invoice.rows.length + 2;
  document.moveTo(40, end).lineTo(555, end).lineWidth(0.6).strokeColor("#888888").stroke();
  left(document, "Summa elnät", { x: 45, y: end + 5, bold: true });
  right(document, written(invoice.net), { x: 550, y: end + 5, bold: true });
}

function line(document: PdfDocument, cells: readonly string[], style: Style & { y: number }): void {
  columns.forEach(({ x, align }, i) => {
    (align === "right" ? right : left)(document, cells[i]!, { ...style, x });
  });
}

function totals(document: PdfDocument, { net, vat, rounding, payable, vatRate }: Invoice): void {
  const lines = [
    ["Summa exkl. moms", net],
    [`Moms ${vatRate} %`, vat],
    ["Öresavrundning", rounding],
  ] as const;
  lines.forEach(([label, amount], i) => {
    left(document, label, { x: 350, y: 360 + 14 * i });
    right(document, written(amount), { x: 550, y: 360 + 14 * i });
  });
  document.rect(340, 403, 215, 22).fillColor("#e8eff5").fill();
  left(document, "Att betala", { x: 350, y: 409, size: 11, bold: true });
  right(document, `${written(payable)} kr`, { x: 550, y: 409, size: 11, bold: true });
  const words = "Betala till bankgiro 999-1234 och ange fakturanummer. Dröjsmålsränta enligt räntelagen.";
  left(document, words, { x: 45, y: 443, size: 8, color: grey });
}

function foot(document: PdfDocument): void {
  const about = "Älvdal Energi AB  ·  Box 12, 796 21 Älvdalen  ·  Org.nr 559900-1234  ·  Godkänd för F-skatt";
  left(document, about, { x: 45, y: 793, size: 7.5, color: grey });
  right(document, "Sida 1 av 1", { x: 550, y: 793, size: 7.5, color: grey });
}
