import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { InvoiceRow, ParsedInvoice } from "../formats/format.ts";
import { classify } from "./classify.ts";
import { contractRules, goodsRules, partRules, sellerRules, type WordList } from "./row-rules.ts";
import { unitKind } from "./row-units.ts";
import { plainText, Words } from "./row-words.ts";

function row(description: string, over: Partial<InvoiceRow> = {}): InvoiceRow {
  return {
    line: 1,
    description,
    code: null,
    meteringPoint: null,
    period: null,
    quantity: null,
    quantityUnit: null,
    price: null,
    priceUnit: null,
    amount: "100.00",
    vatRate: "25",
    kind: "item",
    ...over,
  };
}

function invoice(seller: string, rows: InvoiceRow[]): ParsedInvoice {
  const zero = { net: "0", vat: "0", gross: "0", prepaid: "0", rounding: "0", payable: "0" };
  return {
    format: "ubl",
    number: "1",
    kind: "invoice",
    replaces: [],
    issued: "2024-01-31",
    due: null,
    currency: "SEK",
    seller: { name: seller, id: null },
    buyer: null,
    period: null,
    meteringPoints: [],
    rows,
    totals: zero,
  };
}

/** Rows as invoices print them: text | unit | metric (`-` leaves it to a person). */
const examples: Record<string, string> = {
  "Elnät AB": `
    Abonnemang | DAY | grid_subscription
    Abonnemang 16A | mån | grid_subscription
    Nätabonnemang säkring 20 A | ANN | grid_subscription
    Fast avgift | MON | grid_subscription
    Fast elnätsavgift | | grid_subscription
    Elnätsavgift fast | månad | grid_subscription
    Årsavgift | | grid_subscription
    Månadsavgift lägenhet | st | grid_subscription
    Säkringsabonnemang 63 A | dagar | grid_subscription
    Mätaravgift | MON | grid_subscription
    Elöverföring, tariff 4b | KWH | grid_usage
    Elöverföring | kWh | grid_usage
    Överföring höglast vardag 06-22 | kWh | grid_usage
    Överföring låglast | KWH | grid_usage
    Rörlig nätavgift | kWh | grid_usage
    Nätavgift | KWH | grid_usage
    Nätavgift | | -
    Elöverföring abonnemang | MON | grid_subscription
    Elöverföring | MON | -
    Energiskatt | KWH | grid_usage
    Eergiskatt | KWH | grid_usage
    Energiskatt 53,5 öre/kWh | | grid_usage
    Effektavgift | KWT | grid_subscription_power
    Effektavgift hög belastning | kW,mnd | grid_subscription_power
    Högbelastningseffekt | kW | grid_subscription_power
    Månadseffekt | KWT | grid_subscription_power
    Abonnerad effekt | kW | grid_subscription_power
    Abonnemang effekt 80 kW | kW | grid_subscription_power
    Toppeffekt dagtid nov-mar | kW*mån | grid_subscription_power
    Effekt 12,4 kW | | grid_subscription_power
    Överuttag effekt | kW | grid_undefined
    Överuttag reaktiv effekt | kVAr | grid_undefined
    Reaktiv effekt | kVAr | grid_undefined
    Reaktiv energi | K3 | grid_undefined
    Myndighetsavgifter | | grid_subscription
    Elsäkerhetsavgift | ANN | grid_subscription
    Elberedskapsavgift | ANN | grid_subscription
    Nätnytta | KWH | grid_undefined
    Avbrottsersättning | | grid_undefined
    Rabatt | | grid_undefined
    Korrigering elöverföring oktober | KWH | grid_undefined
    Påminnelseavgift | | grid_total
    Dröjsmålsränta | | grid_total
    Fakturaavgift | st | grid_total
    Öresavrundning | | grid_total
    Elcertifikat | KWH | retail_usage
    Delbetalning 2 av 4 | | -
    Diverse | | -
    Uppläggning | st | -`,
  "Bygdens Elhandel AB": `
    Rörligt pris | kWh | retail_usage
    Rörligt elpris SE3 | KWH | retail_usage
    Spotpris januari | kWh | retail_usage
    Medelspotpris SE4 | kWh | retail_usage
    Fast pris 1 år | kWh | retail_usage
    Elpris | öre/kWh | retail_usage
    Påslag | kWh | retail_usage
    Fast påslag | kWh | retail_usage
    Elcertifikatsavgift | kWh | retail_usage
    Ursprungsgarantier vatten | kWh | retail_usage
    Effektreserv | kWh | retail_usage
    Förbrukning 1 240 kWh | | retail_usage
    Elenergi | MWH | retail_usage
    Energiskatt | kWh | retail_usage
    Fast avgift | mån | retail_subscription
    Månadsavgift elhandel | mån | retail_subscription
    Årsavgift | | retail_subscription
    Abonnemangsavgift | månad | retail_subscription
    Elhandel, nätavgift ingår inte | | -
    Effekt | kW | -
    Rabatt nytecknad kund | | retail_undefined
    Bonus | | retail_undefined
    Elstöd | | retail_undefined
    Överskottsel | kWh | retail_undefined
    Såld överskottsproduktion | kWh | retail_undefined
    Inkassokostnad | | retail_total
    Ränta | | retail_total
    Pappersfaktura | st | retail_total`,
  "Trakten Värme AB": `
    Energi fjärrvärme | MWH | grid_usage
    Energiavgift | MWH | grid_usage
    Energi vinter | MWH | grid_usage
    Värmeförbrukning | kWh | grid_usage
    Effektavgift | kW | grid_subscription_power
    Effekt E-värde | kW | grid_subscription_power
    Fast avgift effekt | | grid_subscription_power
    Flödesavgift | m3 | grid_subscription_flow
    Flöde okt-apr | MTQ | grid_subscription_flow
    Fjärrvärmevatten | m3 | grid_subscription_flow
    Returtemperatur | MWH | grid_subscription_return_temperature
    Returtemperaturbonus | | grid_subscription_return_temperature
    Avkylning fjärrvärme | °C | grid_subscription_return_temperature
    Grundavgift | MON | grid_subscription
    Abonnemangsavgift fjärrvärme | ANN | grid_subscription
    Påminnelseavgift | | grid_total`,
  "Kommunens VA": `
    Vattenförbrukning | m3 | grid_usage
    Rörlig avgift vatten | MTQ | grid_usage
    Spillvatten | m3 | grid_usage
    Brukningsavgift | m3 | grid_usage
    Fast avgift VA | MON | grid_subscription
    Lägenhetsavgift | st | grid_subscription
    Tomtyteavgift | m2 | grid_subscription
    Dagvatten | m2 | grid_subscription`,
  "Stadtwerke Beispiel": `
    Netznutzung Arbeitspreis | KWH | grid_usage
    Netznutzung Grundpreis | DAY | grid_subscription
    Netznutzung Leistungspreis | KWT | grid_subscription_power
    Netzentgelt Arbeit | KWH | grid_usage
    Jahresleistungspreis Netz | kW | grid_subscription_power
    Messstellenbetrieb | MON | grid_subscription
    Messung und Ablesung Netz | ANN | grid_subscription
    Netz Kapazitätsentgelt | KWT | grid_subscription_power
    Konzessionsabgabe | KWH | grid_usage
    KWKG-Umlage | KWH | grid_usage
    Offshore-Netzumlage | KWH | grid_usage
    § 19 StromNEV-Umlage | KWH | grid_usage
    EEG-Umlage | KWH | retail_usage
    Stromsteuer | KWH | retail_usage
    Energiesteuer Erdgas | KWH | retail_usage
    Stromlieferung Arbeitspreis | KWH | retail_usage
    Energielieferung Spotmarkt | MWH | retail_usage
    Beschaffungskosten | KWH | retail_usage
    Herkunftsnachweise | MWH | retail_usage
    Stromlieferung Grundpreis | MON | retail_subscription
    Arbeitspreis | KWH | -
    Arbeitspreis inkl. Netznutzung | KWH | -
    Blindmehrarbeit | kvarh | grid_undefined
    Abschlag Januar | | -
    Mahngebühr Netz | | grid_total
    Grundpreis Fernwärme | MON | grid_subscription
    Arbeitspreis Fernwärme | MWH | grid_usage
    Leistungspreis Fernwärme | KWT | grid_subscription_power
    Emissionspreis Fernwärme | MWH | grid_usage
    Rücklauftemperatur Wärme | | grid_subscription_return_temperature
    Trinkwasser | MTQ | grid_usage
    Abwasser | MTQ | grid_usage
    Grundpreis Wasser | MON | grid_subscription`,
  "Energievertrieb Nord GmbH": `
    Arbeitspreis | KWH | retail_usage
    Arbeitspreis HT | kWh | retail_usage
    Erdgasverbrauch | KWH | retail_usage
    Grundpreis | MON | retail_subscription
    CO2-Preis (BEHG) | KWH | retail_usage
    Leistungspreis | kW | -
    Neukundenbonus | | retail_undefined
    Gutschrift | | retail_undefined
    Verzugszinsen | | retail_total
    Mahnkosten | | retail_total`,
  "Kaupungin Sähköverkko Oy": `
    Perusmaksu | kk | grid_subscription
    Siirron perusmaksu 3x25 A | kk | grid_subscription
    Sähkönsiirto | kWh | grid_usage
    Siirto, päivä | kWh | grid_usage
    Yösiirto | KWH | grid_usage
    Sähkövero | kWh | grid_usage
    Sähkövero veroluokka 1 | kWh | grid_usage
    Huoltovarmuusmaksu | kWh | grid_usage
    Tehomaksu | kW | grid_subscription_power
    Pätötehomaksu | kW | grid_subscription_power
    Loisteho | kVAr | grid_undefined
    Vakiokorvaus | | grid_undefined
    Hyvitys | | grid_undefined
    Viivästyskorko | | grid_total
    Maksumuistutus | | grid_total
    Laskutuslisä | kpl | grid_total
    Ennakkomaksu | | -`,
  "Järven Energian Myynti Oy": `
    Sähköenergia | kWh | retail_usage
    Yösähkö | kWh | retail_usage
    Spot-hinta | kWh | retail_usage
    Pörssisähkö | kWh | retail_usage
    Marginaali | kWh | retail_usage
    Perusmaksu | kk | retail_subscription
    Alennus | | retail_undefined
    Siirto | kWh | grid_usage
    Kaukolämpö energia | MWh | grid_usage
    Kaukolämpö energiamaksu | MWH | grid_usage
    Kaukolämmön perusmaksu | kk | grid_subscription
    Kaukolämpö tehomaksu | kW | grid_subscription_power
    Kaukolämpö vesivirta | m3 | grid_subscription_flow
    Paluulämpötila kaukolämpö | | grid_subscription_return_temperature
    Jätevesi | m3 | grid_usage`,
  "Fjordens Nett AS": `
    Nettleie fastledd | mnd | grid_subscription
    Fastledd | MON | grid_subscription
    Nettleie energiledd dag | kWh | grid_usage
    Energiledd natt/helg | KWH | grid_usage
    Energiledd | øre/kWh | grid_usage
    Kapasitetsledd 5-10 kW | mnd | grid_subscription_power
    Effektledd vinter | kW | grid_subscription_power
    Forbruksavgift | kWh | grid_usage
    Enova-avgift | kWh | grid_usage
    Enovaavgift | år | grid_subscription
    Innmating plusskunde | kWh | grid_undefined
    Strømstøtte | kWh | grid_undefined
    Purregebyr | | grid_total
    Forsinkelsesrente | | grid_total
    Fakturagebyr | stk | grid_total`,
  "Bygda Kraftsalg AS": `
    Spotpris NO2 | kWh | retail_usage
    Strømforbruk | kWh | retail_usage
    Påslag | kWh | retail_usage
    Elsertifikat | kWh | retail_usage
    Opprinnelsesgaranti | kWh | retail_usage
    Kraft | kWh | retail_usage
    Månedsbeløp | mnd | retail_subscription
    Fast månedsavgift | mnd | retail_subscription
    Rabatt | | retail_undefined
    Fjernvarme energi | kWh | grid_usage
    Fjernvarme effekt | kW | grid_subscription_power
    Vannavgift | m3 | grid_usage`,
  "Øens Elnet A/S": `
    Nettarif C | kWh | grid_usage
    Nettarif spidslast | KWH | grid_usage
    Systemtarif | kWh | grid_usage
    Transmissionstarif | kWh | grid_usage
    Elafgift | kWh | grid_usage
    Netabonnement | MON | grid_subscription
    Abonnement | måned | grid_subscription
    Effektbetaling | kW | grid_subscription_power
    Rykkergebyr | | grid_total
    Godtgørelse | | grid_undefined`,
  "Vestens Elhandel A/S": `
    Spotpris DK1 | kWh | retail_usage
    Elpris | kWh | retail_usage
    Handelstillæg | kWh | retail_usage
    Abonnement | måned | retail_subscription
    Nettarif | kWh | grid_usage
    Aconto | | -
    Mængderabat | | retail_undefined
    Fjernvarme variabelt bidrag | MWh | grid_usage
    Fjernvarme fast bidrag | år | grid_subscription
    Afkøling fjernvarme | MWh | grid_subscription_return_temperature
    Vandforbrug | m3 | grid_usage`,
  "Northern Power Networks": `
    Distribution charge | kWh | grid_usage
    DUoS unit charge | kWh | grid_usage
    Network capacity charge | kVA | grid_subscription_power
    Availability charge | kVA | grid_subscription_power
    Standing charge | day | grid_subscription
    Reactive power charge | kvarh | grid_undefined
    Late payment interest | | grid_total`,
  "Island Energy Supply Ltd": `
    Energy supply day units | kWh | retail_usage
    Electricity supply | kWh | retail_usage
    Energy charge (net of discounts for metering) | kWh | retail_undefined
    Water supply | m3 | grid_usage
    Day-ahead price | MWh | retail_usage
    Supplier margin | kWh | retail_usage
    Climate change levy | kWh | retail_usage
    Standing charge | day | retail_subscription
    Subscription | month | retail_subscription
    Transmission (TNUoS) | kWh | grid_usage
    Discount for direct debit | | retail_undefined
    Energy export | kWh | retail_undefined
    Paper invoice fee | | retail_total
    Payment on account | | -`,
};

interface Example {
  seller: string;
  text: string;
  unit: string;
  metric: string;
}

const table: Example[] = Object.entries(examples).flatMap(([seller, lines]) =>
  lines
    .trim()
    .split("\n")
    .map((line) => {
      const [text = "", unit = "", metric = ""] = line.split("|").map((cell) => cell.trim());
      return { seller, text, unit, metric };
    }),
);

const inDocument = ({ seller, text, unit }: Example, over: Partial<InvoiceRow> = {}) =>
  classify(
    invoice(seller, [
      unit.includes("/") && !unit.startsWith("m3")
        ? row(text, { priceUnit: unit, ...over })
        : row(text, { quantityUnit: unit === "" ? null : unit, ...over }),
    ]),
  )[0]!;

test("the table is long enough to mean something", () => {
  expect(table.length).toBeGreaterThanOrEqual(150);
});

test.each(table)("$seller: $text ($unit) is $metric", (example) => {
  const { metric, rule } = inDocument(example);
  expect(`${metric ?? "-"} by ${rule}`).toMatch(new RegExp(`^${example.metric} by `));
});

test("capitals and punctuation do not matter", () => {
  fc.assert(
    fc.property(fc.constantFrom(...table), fc.constantFrom(" ", " - ", ", ", " / "), (example, gap) => {
      const shouted = { ...example, text: `*${example.text.toUpperCase().replaceAll(" ", gap)}:` };
      expect(inDocument(shouted)).toMatchObject({ metric: inDocument(example).metric });
    }),
  );
});

test("any text gives a metric of its contract, or none", () => {
  const texts = fc.oneof(
    fc.string({ unit: "grapheme", maxLength: 80 }),
    fc
      .array(fc.constantFrom(...table.map(({ text }) => text)), { maxLength: 4 })
      .map((some) => some.join(" ")),
  );
  const units = fc.constantFrom("", ...new Set(table.map(({ unit }) => unit)));
  fc.assert(
    fc.property(texts, units, fc.constantFrom(...Object.keys(examples), ""), (text, unit, seller) => {
      const found = inDocument({ seller, text, unit, metric: "" });
      if (found.metric !== null) {
        expect(found.metric.startsWith(`${found.contractType}_`)).toBe(true);
        expect(found.rule).not.toBeNull();
      }
    }),
  );
});

describe("rules do not contradict each other", () => {
  const wordsOf = (list: WordList | undefined) =>
    Object.values(list ?? {}).flatMap((text: string) => text.split(", "));
  /** A text that holds a word: each `*` once as nothing and once as a letter. */
  const textsOf = (word: string) => [word.replaceAll("*", ""), word.replaceAll("*", "x")].map(plainText);

  test("a word of one rule is no word of another one of the same rank that says something else", () => {
    for (const one of partRules) {
      for (const other of partRules) {
        if (other.rank !== one.rank || other.part === one.part || other.words === undefined) continue;
        if (one.units?.every((unit) => other.notUnits?.includes(unit))) continue;
        const words = new Words(wordsOf(other.words));
        for (const text of wordsOf(one.words).flatMap(textsOf)) {
          expect(words.in(text), `"${text}" of "${one.name}" is also of "${other.name}"`).toBe(false);
        }
      }
    }
  });

  test.each([
    ["rows", contractRules],
    ["sellers", sellerRules],
  ])("a word of the network is none of the supplier: %s", (_, rules) => {
    const grid = rules.filter(({ contract }) => contract === "grid").flatMap(({ words }) => wordsOf(words));
    const retail = rules
      .filter(({ contract }) => contract === "retail")
      .flatMap(({ words }) => wordsOf(words));
    for (const text of grid.flatMap(textsOf)) expect(new Words(retail).in(text), text).toBe(false);
    for (const text of retail.flatMap(textsOf)) expect(new Words(grid).in(text), text).toBe(false);
  });

  test("a word of one kind of goods is none of another", () => {
    for (const one of goodsRules) {
      for (const other of goodsRules.filter(({ goods }) => goods !== one.goods)) {
        const words = new Words(wordsOf(other.words));
        for (const text of wordsOf(one.words).flatMap(textsOf)) {
          expect(words.in(text), `"${text}" is ${one.goods} and ${other.goods}`).toBe(false);
        }
      }
    }
  });

  test("the manual lists every rule under its rank", () => {
    const manual = readFileSync(resolve(import.meta.dirname, "../../../docs/invoices-formats.md"), "utf8");
    for (const { name, rank } of partRules) {
      const lines = manual.split("\n").filter((line) => line.startsWith(`| ${rank} |`));
      expect(
        lines.some((line) => line.includes(name)),
        `${rank} ${name}`,
      ).toBe(true);
    }
  });

  test("no row of the table has two answers", () => {
    for (const example of table) {
      const { rule } = inDocument(example);
      const parts = new Set(
        (rule ?? "")
          .split(";")[0]!
          .split(" / ")
          .map((name) => partRules.find((each) => each.name === name)?.part),
      );
      expect(parts.size, `${example.text}: ${rule}`).toBe(1);
    }
  });

  test("what two rules of one rank say differently is left to a person, who sees both", () => {
    expect(
      inDocument({ seller: "Trakten Värme AB", text: "Flöde och returtemperatur", unit: "", metric: "" }),
    ).toMatchObject({
      metric: null,
      contractType: "grid",
      rule: "return temperature / flow; grid by heat",
    });
  });
});

describe("what a row says nothing about", () => {
  const metrics = (seller: string, rows: InvoiceRow[], options = {}) =>
    classify(invoice(seller, rows), options).map(({ metric, rule }) => `${metric ?? "-"} by ${rule}`);
  const fixed = row("Fast avgift", { quantityUnit: "MON" });

  test("is said by the other rows", () => {
    expect(metrics("Trakten Energi AB", [row("Elöverföring", { quantityUnit: "KWH" }), fixed])).toEqual([
      "grid_usage by use; grid by its words",
      "grid_subscription by fixed charge; grid by other rows",
    ]);
  });

  test("is open when other rows say both", () => {
    const both = [
      row("Elöverföring", { quantityUnit: "KWH" }),
      row("Spotpris", { quantityUnit: "KWH" }),
      fixed,
    ];
    expect(metrics("Trakten Energi AB", both)[2]).toBe(
      "- by fixed charge; grid or retail is open by other rows",
    );
  });

  test("is open when the seller contradicts the rows", () => {
    expect(metrics("Bygdens Elhandel AB", [row("Elnätsavgift", { quantityUnit: "KWH" }), fixed])[1]).toBe(
      "- by fixed charge; grid or retail is open by the seller and other rows",
    );
  });

  test("is open when nobody says it", () => {
    expect(metrics("Trakten Energi AB", [fixed])).toEqual(["- by fixed charge; grid or retail is not said"]);
    expect(metrics("Elnät & Elhandel AB", [fixed])).toEqual([
      "- by fixed charge; grid or retail is not said",
    ]);
  });

  test("is what the person said who handed it in, but words of the row count more", () => {
    const rows = [fixed, row("Spotpris", { quantityUnit: "KWH" })];
    expect(metrics("Trakten Energi AB", rows, { contractType: "grid" })).toEqual([
      "grid_subscription by fixed charge; grid as stated",
      "retail_usage by price of energy; retail by its words",
    ]);
  });

  test("goods of other rows say what a volume is", () => {
    const volume = row("Förbrukning kallt", { quantityUnit: "MTQ" });
    expect(metrics("Bostäder AB", [row("Vatten"), volume])[1]).toBe(
      "grid_usage by billed by volume; grid by water",
    );
    expect(metrics("Bostäder AB", [row("Fjärrvärme"), volume])[1]).toBe(
      "grid_subscription_flow by heat billed by volume; grid by heat",
    );
    expect(metrics("Bostäder AB", [volume])[0]).toBe("- by null");
    expect(metrics("Bostäder AB", [row("Fjärrvärme"), row("Vatten"), volume])[2]).toBe("- by null");
  });
});

test("article numbers say what words do not", () => {
  const found = classify(
    invoice("Beispiel Netz GmbH", [
      row("Position 1", { code: "9990001000269" }),
      row("Position 2", { code: "9990001000053" }),
      row("Position 3", { code: "9990001000087" }),
      row("Position 4", { code: "4711" }),
    ]),
  );
  expect(found.map(({ metric }) => metric)).toEqual([
    "grid_usage",
    "grid_subscription_power",
    "grid_subscription",
    null,
  ]);
});

test("an allowance of the whole document is a discount unless its words say otherwise", () => {
  const rows = [
    row("Allowance", { kind: "allowance", amount: "-10.00" }),
    row("Påminnelseavgift", { kind: "charge", amount: "60.00" }),
  ];
  expect(classify(invoice("Elnät AB", rows)).map(({ metric }) => metric)).toEqual([
    "grid_undefined",
    "grid_total",
  ]);
});

test.each([
  ["KWH", "energy"],
  ["öre/kWh", "energy"],
  ["kW,mnd", "power"],
  ["kW*mån", "power"],
  ["EUR/kW/a", "power"],
  ["m3/h", "flow"],
  ["m³", "volume"],
  ["MTQ", "volume"],
  ["kr/mån", "time"],
  ["SEK/day", "time"],
  ["e/kk", "time"],
  ["kVArh", "reactive"],
  ["st", undefined],
  ["C62", undefined],
  [null, undefined],
])("the unit %s measures %s", (unit, kind) => {
  expect(unitKind(unit)).toBe(kind);
});

test("what the document says of a row goes before its words and what was stated", () => {
  const rows = [
    row("Elöverföring", { quantityUnit: "kWh", contract: "retail" }),
    row("Rabatt", { contract: "grid" }),
  ];
  const found = classify(invoice("Elnät AB", rows), { contractType: "retail" });
  expect(found.map(({ metric, rule }) => `${metric} by ${rule}`)).toEqual([
    "retail_usage by use; retail by the document",
    "grid_undefined by discount, correction or penalty; grid by the document",
  ]);
});
