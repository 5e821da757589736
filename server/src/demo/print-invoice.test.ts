import { Decimal } from "decimal.js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ParsedInvoice, readInvoice } from "../formats/format.ts";
import {
  type InvoiceToPrint,
  type PrintedRow,
  type PrintedSection,
  totalsOf,
  type Utility,
} from "./invoice.ts";
import { printInvoice } from "./print-invoice.ts";

const cents = (count: number) => new Decimal(count).div(100).toFixed(2);

const words = fc.constantFrom(
  ..."Elöverföring rörlig avgift Effektavgift högbelastning energiledd kapasitetsledd Arbeitspreis Grundpreis".split(
    " ",
  ),
  ..."Straßenbeleuchtung Påslag för elcertifikat Ærø Fjällgård (netto) 06–22 avg. 3,5 % kl. §14a & 2025".split(
    " ",
  ),
);
const description = fc.array(words, { minLength: 1, maxLength: 14 }).map((all) => `Rad ${all.join(" ")}`);
const day = fc
  .integer({ min: 0, max: 700 })
  .map((n) => new Date(Date.UTC(2025, 0, 1 + n)).toISOString().slice(0, 10));
const period = fc.tuple(day, day).map(([one, other]) => ({
  from: one < other ? one : other,
  to: one < other ? other : one,
}));
const unit = fc.constantFrom(
  ["kWh", "öre/kWh"],
  ["kW", "kr/kW"],
  ["mån", "kr/mån"],
  ["st", "kr"],
  ["m³", "ct/m³"],
);

const row = (rates: readonly string[]): fc.Arbitrary<PrintedRow> =>
  fc
    .record({
      description,
      period,
      units: unit,
      quantity: fc
        .integer({ min: -99_999_999, max: 99_999_999 })
        .map((n) => new Decimal(n).div(1000).toFixed()),
      price: fc.integer({ min: 1, max: 9_999_999 }).map((n) => new Decimal(n).div(10_000).toFixed(4)),
      amount: fc.integer({ min: -99_999_999, max: 999_999_999 }).map(cents),
      vatRate: fc.constantFrom(...rates),
    })
    .map(({ units: [of, priceUnit], ...rest }) => ({ ...rest, unit: of!, priceUnit: priceUnit! }));

const digits = (length: number) =>
  fc
    .array(fc.integer({ min: 0, max: 9 }), { minLength: length, maxLength: length })
    .map((all) => all.join(""));
const name = fc.constantFrom(
  "BRF Ängsö",
  "Müller & Söhne KG",
  "Eiendom Fjellheim AS",
  "Åsgård Ø. Æsøy",
  "Kund AB",
);

const rates: Readonly<Record<Utility, readonly string[]>> = {
  "alvdal-energi": ["25"],
  "nordfjord-nett": ["25"],
  "stadtwerke-brunnstadt": ["19", "7"],
};

function sectionsOf(utility: Utility): fc.Arbitrary<PrintedSection[]> {
  const section = fc.record({
    meteringPoint: digits(18),
    address: fc.constantFrom("Solvägen 3 A", "Straße 4"),
    contract: fc.constantFrom("grid" as const, "retail" as const),
    rows: fc.array(row(rates[utility]), { minLength: 1, maxLength: 45 }),
  });
  if (utility === "nordfjord-nett") return fc.array(section, { minLength: 1, maxLength: 6 });
  const one = fc.tuple(section).map(([only]) => [only]);
  if (utility === "stadtwerke-brunnstadt") return one;
  const both = fc.tuple(section, section).map(([grid, retail]) => [
    { ...grid, contract: "grid" as const },
    { ...retail, contract: "retail" as const, meteringPoint: grid.meteringPoint },
  ]);
  return fc.oneof(one, both);
}

const invoiceOf = (utility: Utility): fc.Arbitrary<InvoiceToPrint> =>
  fc
    .record({
      utility: fc.constant(utility),
      number: digits(8),
      kind: fc.constantFrom("invoice" as const, "credit" as const),
      replaces: digits(8),
      issued: day,
      due: day,
      period,
      buyer: fc.record({ name, id: digits(10), address: fc.constant("Gatan 1, 118 00 Stockholm") }),
      sections: sectionsOf(utility),
      prepaid:
        utility === "stadtwerke-brunnstadt"
          ? fc.integer({ min: 0, max: 9_999_999 }).map(cents)
          : fc.constant("0"),
      isRounded: fc.constant(utility === "alvdal-energi"),
    })
    .map((all) => ({ ...all, replaces: all.kind === "credit" ? all.replaces : null }));

/** What a reader has to find in a printed invoice. */
function expected(invoice: InvoiceToPrint): Omit<ParsedInvoice, "seller"> {
  const { utility, sections, buyer, replaces } = invoice;
  const totals = totalsOf(invoice);
  const isGerman = utility === "stadtwerke-brunnstadt";
  const isCollective = utility === "nordfjord-nett";
  const rows = sections.flatMap(({ rows: all, ...place }) => all.map((one) => ({ ...one, ...place })));
  return {
    format: `pdf-template:${utility}`,
    number: invoice.number,
    kind: invoice.kind,
    replaces: replaces === null ? [] : [replaces],
    issued: invoice.issued,
    due: invoice.due,
    currency: { "alvdal-energi": "SEK", "nordfjord-nett": "NOK", "stadtwerke-brunnstadt": "EUR" }[utility],
    buyer: { name: buyer.name, id: buyer.id },
    period: invoice.period,
    meteringPoints: isCollective ? [] : [sections[0]!.meteringPoint],
    rows: rows.map((one, i) => ({
      line: i + 1,
      description: one.description,
      code: isGerman ? String(i + 1) : null,
      meteringPoint: isCollective ? one.meteringPoint : null,
      period: one.period,
      quantity: one.quantity,
      quantityUnit: one.unit,
      price: one.price,
      priceUnit: one.priceUnit,
      amount: one.amount,
      vatRate: one.vatRate,
      kind: "item",
      contract: utility === "alvdal-energi" ? one.contract : "grid",
    })),
    totals: {
      net: totals.net,
      vat: totals.vatSum,
      gross: totals.gross,
      prepaid: totals.prepaid,
      rounding: totals.rounding,
      payable: totals.payable,
    },
  };
}

/** Amounts may be written with fewer zeros. */
function withPlainTotals(invoice: Omit<ParsedInvoice, "seller">): Omit<ParsedInvoice, "seller"> {
  const totals = Object.entries(invoice.totals).map(([key, amount]) => [key, new Decimal(amount).toFixed(2)]);
  return { ...invoice, totals: Object.fromEntries(totals) };
}

describe("a printed invoice comes back from its PDF as it went in", () => {
  const utilities: Utility[] = ["alvdal-energi", "nordfjord-nett", "stadtwerke-brunnstadt"];

  test.for(utilities)("%s", { timeout: 60_000 }, async (utility) => {
    await fc.assert(
      fc.asyncProperty(invoiceOf(utility), async (invoice) => {
        const [read, ...more] = await readInvoice(await printInvoice(invoice), { fileName: "invoice.pdf" });
        expect(more).toEqual([]);
        const { seller, ...rest } = read!;
        expect(seller.id).toMatch(/\d/);
        expect(withPlainTotals(rest)).toEqual(withPlainTotals(expected(invoice)));
      }),
      { numRuns: 25 },
    );
  });
});
