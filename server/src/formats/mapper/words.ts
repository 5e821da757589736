import type { Direction, MeterType, Quality } from "../item.ts";
import { unitOf } from "../units.ts";

/**
 * What the words in headers and cells mean: en, nl, de, sv, da, no, fi, fr, es, pt. A word matches at the beginning of
 * a word in the text ("verbruik" in "Verbruik laag tarief"); entries with a leading `*` match anywhere ("*produktion").
 */
type Words = readonly string[];

/** Lower case, without accents on nothing but what the lists contain, single blanks. */
export function plain(text: string): string {
  return text
    .slice(0, 200)
    .toLowerCase()
    .replace(/[\s\u00a0_]+/g, " ")
    .trim();
}

/** Does `text` contain one of the words? */
export function says(text: string, words: Words): boolean {
  const padded = ` ${plain(text).replace(/[()[\]{}.,:;/\\"'|-]+/g, " ")} `;
  return words.some((word) =>
    word.startsWith("*") ? padded.includes(word.slice(1)) : padded.includes(` ${word}`),
  );
}

export const startWords: Words = [
  "start",
  "from",
  "van ",
  "vanaf",
  "fra ",
  "från",
  "fran ",
  "alku",
  "begin",
  "von",
  "beginn",
  "de ",
  "desde",
  "début",
  "debut",
  "*alkuaika",
];
export const endWords: Words = [
  "end",
  "to ",
  "until",
  "tot ",
  "til ",
  "till",
  "slut",
  "loppu",
  "bis",
  "ende",
  "fin",
  "hasta",
  "*end time",
  "à ",
];
/** Strong names of metering points, then weaker ones. */
export const meterWords: readonly Words[] = [
  [
    "mpan",
    "mprn",
    "mpr ",
    "mpxn",
    "ean",
    "gsrn",
    "cups",
    "prm",
    "pdl",
    "nmi",
    "målepunkt",
    "mittauspiste",
    "käyttöpaik",
    "zählpunkt",
    "marktlokation",
    "malo",
    "anläggning",
    "anlegg",
    "metering point",
    "meteringpoint",
    "installation",
  ],
  [
    "meter number",
    "meter no",
    "meternumber",
    "meter id",
    "meter ",
    "meternummer",
    "målernummer",
    "målernr",
    "mätare ",
    "mätarnummer",
    "zähler ",
    "zählernummer",
    "mittari ",
    "compteur ",
    "contador ",
    "user key",
    "device ",
  ],
  ["serial", "id "],
];
export const channelWords: Words = [
  "register",
  "kanal",
  "channel",
  "rekister",
  "obis",
  "zählwerk",
  "registre",
  "suffix",
];
export const qualityWords: Words = [
  "quality",
  "qualität",
  "kwaliteit",
  "kvalitet",
  "laatu",
  "status",
  "validati",
  "validerings",
  "read type",
  "readtype",
  "geschat",
  "*status",
  "qualité",
  "estimated",
  "meetwaarde status",
];
export const unitWords: Words = [
  "unit",
  "units",
  "eenheid",
  "einheit",
  "enhet",
  "enhed",
  "måleenhed",
  "yksikkö",
  "unité",
  "unidad",
];
export const directionWords: Words = ["direction", "richting", "richtung", "suunta", "riktning", "retning"];
export const typeWords: Words = [
  "type",
  "energy type",
  "product",
  "commodity",
  "energiatype",
  "energietype",
  "utility",
  "fuel",
];
export const timeWords: Words = [
  "time",
  "date",
  "datum",
  "dato",
  "tid",
  "aika",
  "ajankohta",
  "päivä",
  "zeit",
  "tijd",
  "datetime",
  "timestamp",
  "fecha",
  "hora",
  "heure",
  "jour",
  "*datetime",
  "*date",
  "*tijdstip",
  "*zeitpunkt",
  "*tidspunkt",
  "hour ",
  "day ",
  "period",
];
export const valueWords: Words = [
  "value",
  "volume",
  "consumption",
  "usage",
  "quantity",
  "amount",
  "reading",
  "verbruik",
  "levering",
  "afname",
  "teruglevering",
  "injectie",
  "hoeveelheid",
  "verbrauch",
  "menge",
  "wert",
  "forbrug",
  "forbruk",
  "mængde",
  "förbrukning",
  "kulutus",
  "määrä",
  "lukema",
  "tuotanto",
  "consommation",
  "quantité",
  "consumo",
  "energia",
  "stand",
  "meterstand",
  "*stand",
  "*verbrauch",
  "*kulutus",
  "*tuotanto",
  "energy",
  "electricity",
  "gas",
  "water",
];
/** Money and other things beside the measured values. */
export const costWords: Words = [
  "cost",
  "charge",
  "price",
  "amount due",
  "kosten",
  "prijs",
  "preis",
  "hinta",
  "pris",
  "kostnad",
  "€",
  "eur ",
  "$",
  "£",
  "dkk ",
  "sek ",
  "nok ",
  "tariff rate",
  "bill ",
  "vat ",
  "tax ",
  "prix",
  "precio",
];
export const registerWords: Words = [
  "reading",
  "meterstand",
  "stand ",
  "*stand ",
  "zählerstand",
  "mätarställning",
  "målerstand",
  "målerstilling",
  "lukema",
  "index",
  "register read",
  "read value",
  "cumulative",
];
export const totalWords: Words = [
  "total",
  "totaal",
  "totalt",
  "summe",
  "gesamt",
  "sum ",
  "summa",
  "yhteensä",
  "i alt",
  "totale",
];
const temperatureWords: Words = ["temp", "*temperatu", "*lämpötila", "*temperatuur"];
const reactiveWords: Words = ["reactive", "blindenergie", "reaktiv", "loisenergia", "kvar"];

const types: readonly [MeterType, Words][] = [
  ["sensor", temperatureWords],
  [
    "hot_water",
    ["hot water", "warm water", "warmwater", "varmvatten", "varmt vand", "lämmin vesi", "warmwasser"],
  ],
  ["water", ["water", "wasser", "vatten", "vand", "vann", "vesi", "eau", "agua", "kaltwasser"]],
  ["gas", ["gas", "gaz", "aardgas", "erdgas", "kaasu"]],
  ["cooling", ["cooling", "koeling", "kühl", "kyla", "kylä"]],
  ["heat", ["heat", "warmte", "wärme", "fjernvarme", "fjärrvärme", "kaukolämpö", "varme", "chaleur"]],
  ["electricity", ["electric", "elektric", "stroom", "strom", "el ", "elec", "sähkö", "power", "électric"]],
];

const productionWords: Words = [
  "production",
  "export",
  "injectie",
  "injection",
  "invoeding",
  "teruglevering",
  "returned",
  "return",
  "productie",
  "*produktion",
  "*produksjon",
  "einspeisung",
  "*tuotanto",
  "feed in",
  "generation",
  "surplus",
  "vertido",
  "levering tilbage",
  "inmatning",
  "active export",
  "exported",
  "delivered to grid",
];
const consumptionWords: Words = [
  "consumption",
  "import",
  "afname",
  "verbruik",
  "levering",
  "offtake",
  "*verbrauch",
  "bezug",
  "*kulutus",
  "förbrukning",
  "forbrug",
  "forbruk",
  "usage",
  "consommation",
  "soutirage",
  "consumo",
  "uttag",
  "*afname",
  "electricity 1 ",
  "electricity 2 ",
  "normal ",
  "low tariff",
  "active import",
];
const netWords: Words = ["net ", "netto", "minus", ...totalWords];

/** The kind of meter that a text speaks of, if any. */
export function typeOf(text: string): MeterType | undefined {
  return types.find(([, words]) => says(text, words))?.[0];
}

/** The direction that a header or register name speaks of. */
export function directionOf(text: string): Direction {
  if (says(text, netWords)) return "net";
  if (says(text, productionWords)) return "production";
  return says(text, consumptionWords) ? "consumption" : "unknown";
}

/** `_lowtariff` or `_hightariff` for the two registers of a double tariff, else nothing. */
export function tariffOf(text: string): string {
  if (
    says(text, [
      "low",
      "laag",
      "*laag",
      "dal",
      "nacht",
      "night",
      "off peak",
      "lavlast",
      "nuit",
      "el 1",
      "el 3",
    ])
  )
    return "_lowtariff";
  if (
    says(text, ["high", "hoog", "*hoog", "normaal", "normal", "dag", "day", "peak", "jour", "el 2", "el 4"])
  )
    return "_hightariff";
  return "";
}

/** Is this about reactive energy? */
export function isReactive(text: string): boolean {
  return says(text, reactiveWords);
}

/** The unit named inside a header such as "Usage (kWh)", "Stroom [kWh]", "kWh_1", "KWH 60 Forbruk". */
export function unitIn(text: string): string | undefined {
  if (/real energy in kilowatt-hours/i.test(text.slice(0, 200))) return "kWh";
  for (const word of text.slice(0, 200).split(/[\s()[\]{},;:/_]+/)) {
    // A single letter is a unit only between brackets: "Use (l)", but not "Phase L".
    const alone = word.length === 1 && !text.includes(`(${word})`) && !text.includes(`[${word}]`);
    if (!alone && unitOf(word) !== undefined) return word;
  }
  return says(text, temperatureWords) ? "°C" : undefined;
}

const qualities: Record<string, Quality> = Object.fromEntries([
  ...[
    "ok",
    "actual",
    "a",
    "measured",
    "read",
    "real",
    "valid",
    "validated",
    "uitgelezen",
    "gevalideerd",
    "gemeten",
    "målt",
    "uppmätt",
    "mätt",
    "mitattu",
    "gemessen",
    "abgelesen",
    "relevé",
    "validé",
    "réel",
    "m",
    "n",
    "false",
    "nee",
  ].map((word) => [word, "measured"] as const),
  ...[
    "estimated",
    "e",
    "geschat",
    "estimeret",
    "estimert",
    "beräknad",
    "uppskattad",
    "arvioitu",
    "geschätzt",
    "estimé",
    "estimada",
    "estimate",
    "j",
    "ja",
    "true",
  ].map((word) => [word, "estimated"] as const),
  ...["calculated", "berekend", "beregnet", "berechnet", "laskettu", "calculé"].map(
    (word) => [word, "calculated"] as const,
  ),
  ...["substituted", "substitute", "ersatzwert", "edited"].map((word) => [word, "substituted"] as const),
  ...[
    "missing",
    "no consumption",
    "geen verbruik",
    "pas de consommation",
    "manglende",
    "mangler",
    "saknas",
    "puuttuu",
    "fehlt",
    "unavailable",
  ].map((word) => [word, "missing"] as const),
]);

/** What a quality word means; undefined for words that we do not know. */
export function qualityOf(word: string): Quality | undefined {
  const key = plain(word);
  return Object.hasOwn(qualities, key) ? qualities[key] : undefined;
}

const missing = new Set([
  "",
  "-",
  "–",
  "—",
  "null",
  "none",
  "n/a",
  "na",
  "#n/a",
  "nil",
  "missing",
  "ei kulutustietoja tällä ajanjaksolla.",
]);

/** Units of types whose files often name none, and by which words we know the source. */
export const unitHints: readonly { type: MeterType; unit: string; words: Words; reason: string }[] = [
  { type: "gas", unit: "m3", words: ["dutch users"], reason: "Dutch smart meters count gas in m3" },
];

/** Is this what files print where there is no value? */
export function isMissing(text: string): boolean {
  return text === "" || missing.has(plain(text));
}

/** Zones by the words of a market, and why. Only hints: a file in Finnish is read as Finnish wall-clock time. */
export const zoneHints: readonly { zone: string; words: Words; reason: string }[] = [
  {
    zone: "Europe/Brussels",
    words: ["validatiestatus", "statut de validation", "validation status", "piek"],
    reason: "the words of Belgian exports",
  },
  {
    zone: "Europe/Helsinki",
    words: ["ajankohta", "*kulutus", "*tuotanto", "alkuaika", "mittauspiste", "lukema"],
    reason: "Finnish words",
  },
  {
    zone: "Europe/London",
    words: ["mpan", "mpr ", "mpxn", "mprs"],
    reason: "British metering point numbers",
  },
  { zone: "Europe/Dublin", words: ["mprn"], reason: "Irish metering point numbers" },
  { zone: "Europe/Copenhagen", words: ["målepunkt", "mængde", "forbrug"], reason: "Danish words" },
  { zone: "Europe/Oslo", words: ["forbruk", "målepunktid", "anlegg"], reason: "Norwegian words" },
  {
    zone: "Europe/Stockholm",
    words: ["förbrukning", "anläggning", "mätarställning"],
    reason: "Swedish words",
  },
  { zone: "Europe/Madrid", words: ["cups", "fecha", "consumo"], reason: "Spanish words" },
  { zone: "Europe/Paris", words: ["consommation", "soutirage", "prm", "pdl"], reason: "French words" },
  {
    zone: "Europe/Amsterdam",
    words: [
      "verbruik",
      "afname",
      "teruglevering",
      "levering",
      "vanaf",
      "datum tijd",
      "invoeding",
      "dutch users",
    ],
    reason: "Dutch words",
  },
  {
    zone: "Europe/Berlin",
    words: ["verbrauch", "zählerstand", "bezug", "einspeisung", "zählpunkt"],
    reason: "German words",
  },
];
