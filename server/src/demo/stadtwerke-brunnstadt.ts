import { dotted, type InvoiceToPrint, type PrintedSection, totalsOf, written } from "./invoice.ts";
import { Sheet, type SheetColumn } from "./sheet.ts";

const red = "#9b2226";

const columns: SheetColumn[] = [
  { title: "Pos.", x: 50, align: "left" },
  { title: "Leistung", x: 75, align: "left", width: 150 },
  { title: "Zeitraum", x: 232, align: "left" },
  { title: "Menge", x: 405, align: "right" },
  { title: "Einzelpreis", x: 485, align: "right" },
  { title: "USt", x: 493, align: "left" },
  { title: "Betrag", x: 550, align: "right" },
];

const eur = (amount: string) => written(amount, ".");
/** What the column of rates prints instead of them. */
const codes: Readonly<Record<string, string>> = { "19": "A", "7": "B", "0": "C" };

/** A German settlement of a year: rates of VAT as letters, instalments that are subtracted, an amount to pay or to get. */
export async function stadtwerkeBrunnstadt(invoice: InvoiceToPrint): Promise<Uint8Array> {
  const title = invoice.kind === "credit" ? "Gutschrift" : "Jahresabrechnung";
  const sheet = await Sheet.open({ title: `${title} ${invoice.number}`, issued: invoice.issued });
  head(sheet, invoice, title);
  table(sheet, invoice.sections);
  totals(sheet, invoice);
  return sheet.close((page, pages) => {
    sheet.line();
    sheet.y += 6;
    sheet.text("Stadtwerke Brunnstadt GmbH · Am Markt 3 · 99999 Brunnstadt · USt-IdNr. DE999123456", 50, {
      size: 7,
    });
    sheet.textRight(`Seite ${page} von ${pages}`, 550, { size: 7 });
  });
}

function head(sheet: Sheet, invoice: InvoiceToPrint, title: string): void {
  sheet.box(500, { y: 34, width: 50, height: 26, color: red });
  sheet.textRight("Stadtwerke Brunnstadt GmbH", 490, { y: 40, size: 13, bold: true });
  sheet.text("Stadtwerke Brunnstadt GmbH, Am Markt 3, 99999 Brunnstadt", 50, { y: 100, size: 6.5 });
  sheet.text(invoice.buyer.name, 50, { y: 114 });
  sheet.block(invoice.buyer.address.split(", "), 50, 126);
  const [place] = invoice.sections;
  const facts: [string, string][] = [
    ["Rechnungsnummer:", invoice.number],
    ["Rechnungsdatum:", dotted(invoice.issued)],
    ["Fällig am:", dotted(invoice.due)],
    ["Ihre Kundennummer:", invoice.buyer.id],
    ["Messlokation:", place!.meteringPoint],
  ];
  if (invoice.replaces !== null) facts.push(["Zu Rechnung:", invoice.replaces]);
  facts.forEach(([label, value], i) => {
    sheet.text(label, 290, { y: 114 + 13 * i });
    sheet.text(value, 385, { y: 114 + 13 * i });
  });
  sheet.text(title, 50, { y: 212, size: 15, bold: true });
  const { from, to } = invoice.period;
  sheet.text(`Abrechnungszeitraum: ${dotted(from)} bis ${dotted(to)}`, 50, { y: 234 });
  sheet.text(`Verbrauchsstelle: ${place!.address}`, 50, { y: 247 });
  sheet.y = 276;
}

function header(sheet: Sheet): void {
  sheet.row(
    columns.map(({ width: _width, ...column }) => column),
    columns.map(({ title }) => title),
    { bold: true, size: 8, leading: 12 },
  );
  sheet.line({ color: "#000000", x0: 50, x1: 550 });
  sheet.y += 5;
}

function table(sheet: Sheet, sections: readonly PrintedSection[]): void {
  header(sheet);
  sections
    .flatMap(({ rows }) => rows)
    .forEach((row, i) => {
      if (sheet.isFull(44)) {
        sheet.text("Übertrag auf die nächste Seite", 75, { size: 7, color: "#555555" });
        sheet.newPage(70);
        header(sheet);
      }
      sheet.row(
        columns,
        [
          String(i + 1),
          row.description,
          `${dotted(row.period.from)} - ${dotted(row.period.to)}`,
          `${eur(row.quantity)} ${row.unit}`,
          `${eur(row.price)} ${row.priceUnit}`,
          codes[row.vatRate]!,
          eur(row.amount),
        ],
        { size: 8, leading: 10 },
      );
      sheet.y += 4;
    });
  sheet.line({ x0: 50, x1: 550 });
  sheet.y += 8;
}

function totals(sheet: Sheet, invoice: InvoiceToPrint): void {
  if (sheet.isFull(140)) sheet.newPage(70);
  const { net, vat, gross, prepaid, payable } = totalsOf(invoice);
  const lines: [string, string][] = [
    ["Summe netto", net],
    ...vat.map((group): [string, string] => [
      `USt ${codes[group.rate]} ${group.rate} % auf ${eur(group.net)} EUR`,
      group.vat,
    ]),
    ["Rechnungsbetrag", gross],
  ];
  if (prepaid !== "0.00") lines.push(["abzüglich gezahlter Abschläge", `-${prepaid}`]);
  for (const [label, amount] of lines) {
    const bold = label === "Rechnungsbetrag";
    sheet.text(label, 300, { bold });
    sheet.textRight(`${eur(amount)} EUR`, 550, { bold });
    sheet.y += 14;
  }
  sheet.line({ x0: 300, x1: 550, color: "#000000", weight: 1 });
  sheet.y += 6;
  sheet.text(payable.startsWith("-") ? "Guthaben" : "Nachzahlung", 300, { bold: true, size: 11 });
  sheet.textRight(`${eur(payable)} EUR`, 550, { bold: true, size: 11 });
  sheet.y += 30;
  const words = payable.startsWith("-")
    ? "Das Guthaben überweisen wir auf das uns bekannte Konto."
    : "Bitte überweisen Sie den Betrag bis zum Fälligkeitstag.";
  sheet.text(words, 50, { size: 8 });
}
