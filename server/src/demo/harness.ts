import type { InvoiceToPrint, PrintedRow, Utility } from "./invoice.ts";

const month = { from: "2026-01-01", to: "2026-01-31" };
const row = (
  description: string,
  [quantity, unit]: [string, string],
  rest: Partial<PrintedRow>,
): PrintedRow => ({
  description,
  period: month,
  quantity,
  unit,
  price: "1.00",
  priceUnit: "kr",
  amount: "0.00",
  vatRate: "25",
  ...rest,
});

/** A small invoice that is always the same; tests and the manual look at its print. */
export function sampleInvoice(utility: Utility, more: Partial<InvoiceToPrint> = {}): InvoiceToPrint {
  const place = { meteringPoint: "735999260000000371", address: "Solvägen 3 A" };
  return {
    utility,
    number: "2026-10042",
    kind: "invoice",
    replaces: null,
    issued: "2026-02-05",
    due: "2026-03-02",
    period: month,
    buyer: { name: "BRF Solsidan", id: "769600-1234", address: "Solvägen 3, 118 00 Stockholm" },
    sections: [
      {
        ...place,
        contract: "grid",
        rows: [
          row("Abonnemangsavgift, säkring 63 A", ["1", "mån"], {
            price: "415.00",
            priceUnit: "kr/mån",
            amount: "415.00",
          }),
          row("Effektavgift, medelvärde av månadens tre högsta timmar", ["24.5", "kW"], {
            price: "52.50",
            priceUnit: "kr/kW",
            amount: "1286.25",
          }),
          row("Elöverföring", ["12450.5", "kWh"], {
            price: "22.40",
            priceUnit: "öre/kWh",
            amount: "2788.91",
          }),
        ],
      },
      {
        ...place,
        contract: "retail",
        rows: [
          row("Rörligt elpris", ["12450.5", "kWh"], {
            price: "71.35",
            priceUnit: "öre/kWh",
            amount: "8883.43",
          }),
          row("Rabatt", ["1", "st"], { price: "-50.00", priceUnit: "kr", amount: "-50.00" }),
        ],
      },
    ],
    prepaid: "0",
    isRounded: utility === "alvdal-energi",
    ...more,
  };
}
