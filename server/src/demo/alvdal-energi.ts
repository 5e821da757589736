import { type InvoiceToPrint, type PrintedSection, sumOf, totalsOf, written } from "./invoice.ts";
import { Sheet, type SheetColumn } from "./sheet.ts";

const blue = "#1d4f76";
const pale = "#e8eff5";

const columns: SheetColumn[] = [
  { title: "Beskrivning", x: 45, align: "left", width: 165 },
  { title: "Period", x: 220, align: "left" },
  { title: "Antal", x: 375, align: "right" },
  { title: "Enhet", x: 382, align: "left" },
  { title: "Pris", x: 445, align: "right" },
  { title: "Prisenhet", x: 452, align: "left" },
  { title: "Belopp", x: 550, align: "right" },
];

const kr = (amount: string) => written(amount, " ");

/** A Swedish invoice for grid and retail in one: labels to the left of their values, two tables under one header. */
export async function alvdalEnergi(invoice: InvoiceToPrint): Promise<Uint8Array> {
  const title = invoice.kind === "credit" ? "Kreditfaktura" : "Faktura";
  const sheet = await Sheet.open({ title: `${title} ${invoice.number}`, issued: invoice.issued });
  head(sheet, invoice, title);
  for (const section of invoice.sections) table(sheet, section);
  totals(sheet, invoice);
  return sheet.close((page, pages) => {
    sheet.line({ color: blue });
    sheet.y += 6;
    const about =
      "Älvdal Energi AB  ·  Box 12, 796 21 Älvdalen  ·  Org.nr 559900-1234  ·  Godkänd för F-skatt";
    sheet.text(about, 45, { size: 7.5, color: "#555555" });
    sheet.textRight(`Sida ${page} av ${pages}`, 550, { size: 7.5, color: "#555555" });
  });
}

function head(sheet: Sheet, invoice: InvoiceToPrint, title: string): void {
  sheet.box(0, { y: 0, width: 596, height: 14, color: blue });
  sheet.text("Älvdal Energi", 45, { y: 38, size: 20, bold: true, color: blue });
  sheet.textRight(title, 550, { y: 40, size: 17, bold: true });
  sheet.text("Kund", 45, { y: 96, bold: true });
  sheet.text(invoice.buyer.name, 45, { y: 109 });
  sheet.block(invoice.buyer.address.split(", "), 45, 121);
  const [place] = invoice.sections;
  const facts: [string, string][] = [
    ["Fakturanummer", invoice.number],
    ["Fakturadatum", invoice.issued],
    ["Förfallodatum", invoice.due],
    ["Organisationsnummer", invoice.buyer.id],
    ["Avser period", `${invoice.period.from} – ${invoice.period.to}`],
    ["Anläggnings-id", place!.meteringPoint],
    ["Anläggningsadress", place!.address],
  ];
  if (invoice.replaces !== null) facts.push(["Krediterar faktura", invoice.replaces]);
  facts.forEach(([label, value], i) => {
    sheet.text(label, 310, { y: 96 + 13 * i, color: "#555555" });
    sheet.text(value, 415, { y: 96 + 13 * i, bold: i === 0 });
  });
  sheet.y = 222;
}

const names = {
  grid: { title: "Elnät", sum: "Summa elnät" },
  retail: { title: "Elhandel", sum: "Summa elhandel" },
} as const;

function header(sheet: Sheet): void {
  sheet.box(40, { y: sheet.y - 4, width: 515, height: 16, color: pale });
  sheet.row(
    columns.map(({ width: _width, ...column }) => column),
    columns.map(({ title }) => title),
    { bold: true, size: 8.5, leading: 18 },
  );
}

function table(sheet: Sheet, { contract, rows }: PrintedSection): void {
  if (sheet.isFull(90)) sheet.newPage(60);
  sheet.text(names[contract].title, 45, { size: 12, bold: true, color: blue });
  sheet.y += 24;
  header(sheet);
  for (const row of rows) {
    if (sheet.isFull(44)) {
      sheet.newPage(60);
      header(sheet);
    }
    const { period, quantity, unit, price, priceUnit, amount } = row;
    sheet.row(
      columns,
      [
        row.description,
        `${period.from} – ${period.to}`,
        kr(quantity),
        unit,
        kr(price),
        priceUnit,
        kr(amount),
      ],
      { size: 8.5 },
    );
    sheet.y += 3;
  }
  sheet.y += 2;
  sheet.line({ x0: 40, x1: 555 });
  sheet.y += 5;
  sheet.text(names[contract].sum, 45, { bold: true });
  sheet.textRight(kr(sumOf(rows.map(({ amount }) => amount)).toFixed(2)), 550, { bold: true });
  sheet.y += 28;
}

function totals(sheet: Sheet, invoice: InvoiceToPrint): void {
  if (sheet.isFull(130)) sheet.newPage(60);
  const { net, vat, rounding, payable } = totalsOf(invoice);
  const lines: [string, string][] = [
    ["Summa exkl. moms", net],
    ...vat.map((group): [string, string] => [`Moms ${group.rate} %`, group.vat]),
    ["Öresavrundning", rounding],
  ];
  for (const [label, amount] of lines) {
    sheet.text(label, 350);
    sheet.textRight(kr(amount), 550);
    sheet.y += 14;
  }
  sheet.box(340, { y: sheet.y + 1, width: 215, height: 22, color: pale });
  sheet.y += 7;
  const label = invoice.kind === "credit" ? "Att återfå" : "Att betala";
  sheet.text(label, 350, { bold: true, size: 11 });
  sheet.textRight(`${kr(payable)} kr`, 550, { bold: true, size: 11 });
  sheet.y += 34;
  const words =
    invoice.kind === "credit"
      ? "Beloppet dras av från er nästa faktura."
      : "Betala till bankgiro 999-1234 och ange fakturanummer. Dröjsmålsränta enligt räntelagen.";
  sheet.text(words, 45, { size: 8, color: "#555555" });
}
