import pdfkit from "pdfkit";

/** A text at points from the left and upper edge; `right` states the right edge instead. */
export interface Placed {
  text: string;
  y: number;
  x?: number;
  right?: number;
  size?: number;
}

/** A PDF with texts at stated places, a list per page. Used by tests alone. */
export async function pdfOf(
  pages: readonly (readonly Placed[])[],
  options: PDFKit.PDFDocumentOptions = {},
): Promise<Uint8Array> {
  const document = new pdfkit({ size: "A4", margin: 0, autoFirstPage: false, ...options });
  const chunks: Buffer[] = [];
  const done = new Promise<Uint8Array>((resolve) => {
    document.on("data", (chunk: Buffer) => chunks.push(chunk));
    document.on("end", () => resolve(new Uint8Array(Buffer.concat(chunks))));
  });
  for (const texts of pages) {
    document.addPage();
    document.font("Helvetica");
    for (const { text, x = 0, y, right, size = 9 } of texts) {
      document.fontSize(size);
      const at = right === undefined ? x : right - document.widthOfString(text);
      // Places are those of the foot of the letters.
      document.text(text, at, y, { lineBreak: false, baseline: "alphabetic" });
    }
  }
  document.end();
  return done;
}

/** JSON of a small template that reads `simplePage`. */
export const simple = {
  version: 1,
  name: "simple",
  document: { all: ["Testverket AB"] },
  currency: "SEK",
  numbers: { decimal: ",", thousands: " " },
  dates: ["yyyy-MM-dd", "MMMM yyyy"],
  seller: { name: { value: "Testverket AB" } },
  fields: { number: "Faktura", issued: "Datum" },
  tables: [
    {
      columns: { description: "Text", quantity: "Antal", amount: "Belopp" },
      end: "Summa",
    },
  ],
  totals: { net: "Summa", vat: "Moms", payable: "Att betala" },
};

/** Texts of a small invoice: head, two rows, totals. */
export const simplePage: readonly Placed[] = [
  { text: "Testverket AB", x: 40, y: 40, size: 14 },
  { text: "Faktura: F-17", x: 40, y: 80 },
  { text: "Datum", x: 300, y: 80 },
  { text: "2026-03-05", x: 400, y: 80 },
  { text: "Text", x: 40, y: 150 },
  { text: "Antal", right: 350, y: 150 },
  { text: "Belopp", right: 500, y: 150 },
  { text: "Fast avgift", x: 40, y: 170 },
  { text: "1 mån", right: 350, y: 170 },
  { text: "1 100,00", right: 500, y: 170 },
  { text: "Rörlig avgift", x: 40, y: 185 },
  { text: "2 500,5 kWh", right: 350, y: 185 },
  { text: "-100,00", right: 500, y: 185 },
  { text: "Summa", x: 40, y: 220 },
  { text: "1 000,00", right: 500, y: 220 },
  { text: "Moms", x: 40, y: 235 },
  { text: "250,00", right: 500, y: 235 },
  { text: "Att betala", x: 40, y: 250 },
  { text: "1 250,00 kr", right: 500, y: 250 },
];

/** The page with texts replaced by others, or left out where they are null. */
export function changed(changes: Readonly<Record<string, string | null>>): Placed[] {
  return simplePage.flatMap((placed) => {
    if (!Object.hasOwn(changes, placed.text)) return [placed];
    const text = changes[placed.text];
    return text === null || text === undefined ? [] : [{ ...placed, text }];
  });
}
