import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { inspectInvoice } from "./inspect.ts";

/** Documents of the formats, and the metric of each of their rows: `-` leaves it to a person. */
const documents: Record<string, string[]> = {
  "cii/annual-settlement-after-instalments": [
    "Arbeitspreis Strom | retail_usage",
    "Grundpreis Strom | retail_subscription",
  ],
  "cii/base-quantity-that-repeats-the-price": [
    "Transport | retail_usage",
    "Vertragsleistung | -",
    "Grundpreis | retail_subscription",
  ],
  "cii/corrected-invoice": ["Arbeitspreis Erdgas | retail_usage"],
  "cii/credit-note": ["Arbeitspreis | retail_usage", "Mahngebühr | retail_total"],
  "cii/gas-with-metering-point-in-a-property": [
    "Arbeitspreis Erdgas | retail_usage",
    "CO2-Preis (BEHG) | retail_usage",
    "Energiesteuer Erdgas | retail_usage",
    "Grundpreis | retail_subscription",
  ],
  "cii/network-with-grouped-lines-and-charges": [
    "Arbeitspreis Netz | grid_usage",
    "Leistungspreis Netz | grid_subscription_power",
    "Konzessionsabgabe | grid_usage",
    "Messstellenbetrieb | grid_subscription",
    "Gutschrift Versorgungsunterbrechung | grid_undefined",
    "Papierrechnung | grid_total",
  ],
  "cii/second-vat-total-and-rounding": ["Arbeitspreis | retail_usage"],
  "finvoice/corrected-invoice": ["Sähkönsiirto | grid_usage"],
  "finvoice/credit-note-with-negative-amounts": [
    "Sähkönsiirto | grid_usage",
    "Perusmaksu | grid_subscription",
  ],
  "finvoice/credit-note-with-positive-amounts": [
    "Sähkönsiirto | grid_usage",
    "Perusmaksu | grid_subscription",
  ],
  "finvoice/discount-charge-paid-and-rounding": [
    "Kaukolämpö energiamaksu | grid_usage",
    "Alennus | grid_undefined",
    "Laskutuslisä | grid_total",
  ],
  "finvoice/electricity-network-in-iso-8859-15": [
    "Siirron perusmaksu 3x25 A | grid_subscription",
    "Sähkönsiirto, yö | grid_usage",
    "Sähkönsiirto, päivä | grid_usage",
    "Sähkövero, veroluokka 1 (2,253 snt/kWh) | grid_usage",
  ],
  "finvoice/row-amounts-with-vat-and-totals-without-net": ["Perusmaksu | grid_subscription"],
  "finvoice/rows-below-a-heading": [
    "Kaukolämpö energia | grid_usage",
    "Kaukolämmön tehomaksu | grid_subscription_power",
  ],
  "finvoice/rows-of-several-metering-points": [
    "Perusmaksu | retail_subscription",
    "Energia | retail_usage",
    "Energia | retail_usage",
  ],
  "finvoice/several-messages-after-envelopes": [
    "Perusmaksu | grid_subscription",
    "Perusmaksu | grid_subscription",
  ],
  "finvoice/total-printed-after-rounding": ["Perusmaksu | grid_subscription"],
  "ubl/allowances-and-charges": [
    "Fast avgift | grid_subscription",
    "Rabatt e-faktura | grid_undefined",
    "Påminnelseavgift | grid_total",
    "Allowance | grid_undefined",
  ],
  "ubl/annual-settlement-after-instalments": ["Elöverföring | grid_usage", "Fast avgift | grid_subscription"],
  "ubl/corrected-invoice": [
    "Elöverföring, tidigare debiterat | grid_usage",
    "Elöverföring, rätt förbrukning | grid_usage",
  ],
  "ubl/credit-note": [
    "Elöverföring | grid_usage",
    "Energiskatt | grid_usage",
    "Fakturaavgift | grid_total",
    "Avdrag | grid_undefined",
  ],
  "ubl/danish-totals-with-vat-as-tax-exclusive": [
    "Nettarif C | grid_usage",
    "Netabonnement | grid_subscription",
    "Rabat | grid_undefined",
  ],
  "ubl/inside-the-envelope-of-peppol": ["Elöverföring | grid_usage"],
  "ubl/district-heating": [
    "Energi fjärrvärme | grid_usage",
    "Effektavgift | grid_subscription_power",
    "Flödesavgift | grid_subscription_flow",
    "Returtemperatur | grid_subscription_return_temperature",
    "Fast avgift | grid_subscription",
  ],
  "ubl/metering-point-in-the-note": ["Elöverföring | grid_usage"],
  "ubl/negative-rows": ["Elöverföring | grid_usage", "Nätnytta inmatning | grid_undefined"],
  "ubl/outside-of-vat": ["Erstatning avbrudd | grid_undefined"],
  "ubl/prefixed-names-with-a-byte-order-mark": ["Elöverföring & skatt | grid_usage"],
  "ubl/prices-for-more-than-one-unit": [
    "Abonnemang | grid_subscription",
    "Elöverföring | grid_usage",
    "Mätning | -",
  ],
  "ubl/rows-that-do-not-tie": ["Elöverföring | grid_usage"],
  "ubl/several-metering-points": [
    "Abonnemang 20 A | grid_subscription",
    "Elöverföring | grid_usage",
    "Energiskatt | grid_usage",
    "Abonnemang 16 A | grid_subscription",
    "Elöverföring | grid_usage",
    "Energiskatt | grid_usage",
    "Effektavgift | grid_subscription_power",
    "Elöverföring | grid_usage",
  ],
  "ubl/vat-repeated-in-another-currency": ["Elöverföring | grid_usage"],
};

const formats = resolve(import.meta.dirname, "../formats");
const document = (name: string) => readFileSync(join(formats, name.replace("/", "/cases/"), "input.xml"));

test("every document that can be read is in the table", () => {
  const all = ["ubl", "cii", "finvoice"].flatMap((format) =>
    readdirSync(join(formats, format, "cases")).map((name) => `${format}/${name}`),
  );
  const readable = all.filter((name) => !name.includes("/broken-"));
  expect(Object.keys(documents).toSorted()).toEqual(readable.toSorted());
});

describe.each(Object.entries(documents))("%s", (name, expected) => {
  test("ties, and its rows are of these metrics", async () => {
    const { invoices, problems } = await inspectInvoice(document(name), { fileName: "input.xml" });
    expect(problems).toEqual([]);
    const rows = invoices.flatMap((invoice) => invoice.rows);
    expect(rows.map(({ description, metric }) => `${description} | ${metric ?? "-"}`)).toEqual(expected);
    const ties = invoices.every((invoice) => invoice.tie.ok);
    expect(ties).toBe(!name.endsWith("-do-not-tie"));
  });
});

test("what cannot be read is told as a problem with its line", async () => {
  expect(
    await inspectInvoice(document("ubl/broken-comma-in-an-amount"), { fileName: "input.xml" }),
  ).toMatchObject({
    format: null,
    invoices: [],
    problems: [{ severity: "error", line: 48, field: "PayableAmount" }],
  });
});

test("the person who hands it in may say whose invoice it is", async () => {
  const { invoices } = await inspectInvoice(document("cii/credit-note"), {
    fileName: "input.xml",
    contractType: "grid",
  });
  expect(invoices[0]!.rows.map(({ metric }) => metric)).toEqual(["grid_usage", "grid_total"]);
});

const samples = resolve(import.meta.dirname, "../../../../shared/samples/einvoice");
describe.skipIf(!existsSync(samples))("sample invoices", () => {
  const names = existsSync(samples) ? readdirSync(samples).filter((name) => name.endsWith(".xml")) : [];

  test.each(names)("%s ties to the cent", async (name) => {
    const { invoices, problems } = await inspectInvoice(readFileSync(join(samples, name)), {
      fileName: name,
    });
    expect(problems).toEqual([]);
    expect(invoices.map(({ tie }) => tie)).toEqual([{ ok: true }]);
  });

  test("energy invoices are classified", async () => {
    const metrics = async (name: string) => {
      const { invoices } = await inspectInvoice(readFileSync(join(samples, name)), { fileName: name });
      return invoices[0]!.rows.map(({ metric }) => metric);
    };
    expect(await metrics("BIS_Billing_30-Elnat.xml")).toEqual([
      "grid_subscription",
      "grid_usage",
      "grid_usage",
    ]);
    expect((await metrics("CII_example8.xml")).slice(0, 4)).toEqual([
      "grid_usage",
      "grid_usage",
      "grid_subscription_power",
      "grid_subscription_power",
    ]);
  });
});
