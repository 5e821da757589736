import { dotted, type InvoiceToPrint, type PrintedSection, sumOf, totalsOf, written } from "./invoice.ts";
import { Sheet, type SheetColumn } from "./sheet.ts";

const green = "#1f6b4f";

const columns: SheetColumn[] = [
  { title: "Beskrivelse", x: 45, align: "left", width: 160 },
  { title: "Fra", x: 212, align: "left" },
  { title: "Til", x: 260, align: "left" },
  { title: "Mengde", x: 390, align: "right" },
  { title: "Pris", x: 465, align: "right" },
  { title: "Beløp eks. mva", x: 550, align: "right" },
];

const kr = (amount: string) => written(amount, " ");

/**
 * A Norwegian collective invoice of a grid company: values below their labels, a table per metering point. Its credit
 * notes print what they give back without a sign.
 */
export async function nordfjordNett(invoice: InvoiceToPrint): Promise<Uint8Array> {
  const title = invoice.kind === "credit" ? "Kreditnota" : "Samlefaktura nettleie";
  const sheet = await Sheet.open({ title: `${title} ${invoice.number}`, issued: invoice.issued });
  const shown = invoice.kind === "credit" ? turned(invoice) : invoice;
  head(sheet, shown, title);
  for (const section of shown.sections) table(sheet, { section, title, number: shown.number });
  totals(sheet, shown);
  return sheet.close((page, pages) => {
    sheet.text(
      "Nordfjord Nett AS, Fjordgata 4, 6770 Nordfjordeid. Foretaksregisteret NO 999 123 456 MVA",
      45,
      {
        size: 7.5,
        color: "#555555",
      },
    );
    sheet.textRight(`Side ${page} / ${pages}`, 550, { size: 7.5, color: "#555555" });
  });
}

/** Amounts and quantities with the other sign. */
function turned(invoice: InvoiceToPrint): InvoiceToPrint {
  const turn = (amount: string) =>
    sumOf([amount])
      .negated()
      .toFixed(amount.split(".")[1]?.length ?? 0);
  return {
    ...invoice,
    sections: invoice.sections.map((section) => ({
      ...section,
      rows: section.rows.map((row) => ({ ...row, amount: turn(row.amount), quantity: turn(row.quantity) })),
    })),
  };
}

function head(sheet: Sheet, invoice: InvoiceToPrint, title: string): void {
  sheet.text("NORDFJORD NETT", 45, { y: 40, size: 15, bold: true, color: green });
  sheet.text(title, 45, { y: 66, size: 13 });
  sheet.text(invoice.buyer.name, 340, { y: 40 });
  sheet.block(invoice.buyer.address.split(", "), 340, 52);
  sheet.text(`Org.nr. ${invoice.buyer.id}`, 340, { y: 78, size: 8 });
  const facts: [string, string, number][] = [
    ["Fakturanr.", invoice.number, 45],
    ["Fakturadato", dotted(invoice.issued), 150],
    ["Forfallsdato", dotted(invoice.due), 245],
    ["Periode", `${dotted(invoice.period.from)} - ${dotted(invoice.period.to)}`, 340],
  ];
  if (invoice.replaces !== null) facts.push(["Gjelder faktura", invoice.replaces, 475]);
  for (const [label, value, x] of facts) {
    sheet.text(label, x, { y: 112, size: 7.5, color: green });
    sheet.text(value, x, { y: 123, bold: x === 45 });
  }
  sheet.y = 142;
  sheet.line({ color: green, weight: 1.2 });
  sheet.y += 16;
}

interface Table {
  section: PrintedSection;
  title: string;
  number: string;
}

function header(sheet: Sheet): void {
  const style = { bold: true, size: 8, color: green, leading: 12 };
  sheet.row(
    columns.map(({ width: _width, ...column }) => column),
    columns.map(({ title }) => title),
    style,
  );
  sheet.line({ color: green });
  sheet.y += 5;
}

/** Groups of digits as on the label of a meter: `7070 5726 0000 …`. */
const grouped = (meteringPoint: string) => meteringPoint.replace(/(.{4})(?=.)/g, "$1 ");

function table(sheet: Sheet, { section, title, number }: Table): void {
  if (sheet.isFull(100)) furtherPage(sheet, { title, number });
  sheet.text(`Målepunkt-ID: ${grouped(section.meteringPoint)}`, 45, { bold: true });
  sheet.text(section.address, 260);
  sheet.y += 17;
  header(sheet);
  for (const row of section.rows) {
    if (sheet.isFull(44)) {
      furtherPage(sheet, { title, number });
      header(sheet);
    }
    sheet.row(
      columns,
      [
        row.description,
        dotted(row.period.from),
        dotted(row.period.to),
        `${kr(row.quantity)} ${row.unit}`,
        `${kr(row.price)} ${row.priceUnit}`,
        kr(row.amount),
      ],
      { size: 8 },
    );
    sheet.y += 2;
  }
  sheet.y += 3;
  sheet.line({ x0: 340, color: green });
  sheet.y += 5;
  sheet.text("Sum målepunkt", 340, { bold: true, size: 8.5 });
  sheet.textRight(kr(sumOf(section.rows.map(({ amount }) => amount)).toFixed(2)), 550, {
    bold: true,
    size: 8.5,
  });
  sheet.y += 26;
}

function furtherPage(sheet: Sheet, { title, number }: { title: string; number: string }): void {
  sheet.newPage(40);
  sheet.text(`${title}, fortsettelse av faktura ${number}`, 45, { size: 8, color: "#555555" });
  sheet.y += 26;
}

function totals(sheet: Sheet, invoice: InvoiceToPrint): void {
  if (sheet.isFull(110)) furtherPage(sheet, { title: "Oppsummering", number: invoice.number });
  const { net, vat, payable } = totalsOf(invoice);
  const lines: [string, string][] = [
    ["Sum eks. mva.", net],
    ...vat.map((group): [string, string] => [`Mva. ${group.rate} %`, group.vat]),
  ];
  for (const [label, amount] of lines) {
    sheet.text(label, 340);
    sheet.textRight(kr(amount), 550);
    sheet.y += 14;
  }
  sheet.line({ x0: 340, color: green, weight: 1.2 });
  sheet.y += 6;
  const label = invoice.kind === "credit" ? "Til gode" : "Å betale";
  sheet.text(label, 340, { bold: true, size: 11 });
  sheet.textRight(`NOK ${kr(payable)}`, 550, { bold: true, size: 11 });
  sheet.y += 30;
  sheet.text("Betales til konto 9999.12.34567. Ved spørsmål om nettleien: nordfjordnett.example", 45, {
    size: 8,
  });
}
