import type { ParsedInvoice } from "./invoice.ts";
import { Fault } from "./problems.ts";
import type { XmlNode } from "./xml-tree.ts";

/*
 * What the XML formats have in common: the codes of UNTDID 1001 for kinds of documents, and the numbers of
 * metering points in texts and in pairs of a name and a value.
 */

/** UNTDID 1001 code of the reference to what is invoiced: the metering point (EN 16931 BT-18 and BT-128). */
export const invoicedObject = "130";

/** Kinds of documents that credit: their amounts are printed without sign. */
export const creditCodes: ReadonlySet<string> = new Set(
  "81 83 261 262 296 308 381 396 420 458 502 503 532".split(" "),
);
const correctionCodes = new Set(["384", "471", "472", "473"]);

/** What a document of this code is. */
export function kindOf(code: string): ParsedInvoice["kind"] {
  if (creditCodes.has(code)) return "credit";
  return correctionCodes.has(code) ? "correction" : "invoice";
}

/** What a row about the whole document does not have. */
export const wholeDocument = {
  meteringPoint: null,
  period: null,
  quantity: null,
  quantityUnit: null,
  price: null,
  priceUnit: null,
} as const;

/**
 * Is it a charge, or an allowance?
 * @throws Fault when the indicator says neither
 */
export function isCharge(indicator: XmlNode): boolean {
  if (/^(true|1)$/.test(indicator.text)) return true;
  if (/^(false|0)$/.test(indicator.text)) return false;
  throw new Fault("ChargeIndicator holds neither true nor false.", {
    line: indicator.line,
    field: "ChargeIndicator",
  });
}

/** Names that senders give to the number of a metering point, without case, spaces, dots and hyphens. */
const propertyNames =
  /^(anläggnings?(id|nr|nummer)|mät(punkt|plats)s?(id|nr|nummer|ean)?|uttagspunkt(id)?|gsrn|ean(kod|nummer)?|meteringpoint(id|number|ean)?|mpan|mprn|pod|målepunkt(s?id)?|målernr|aftagenummer|käyttöpaikka(numero|tunnus)?|mittauspiste(tunnus)?|z(ä|ae|a)hlpunkt(bezeichnung|nummer)?|marktlokation(sid)?|messlokation(sid)?|malo(id)?|melo(id)?|eancode|aansluiting|pdl|prm|pce|cups)$/u;

/** The metering point in a pair of a name and a value; undefined when the pair is about something else. */
export function propertyMeteringPoint(name: string, value: string): string | undefined {
  const plain = name.toLowerCase().replaceAll(/[\s.\-_:/#]/gu, "");
  return propertyNames.test(plain) && value !== "" ? value : undefined;
}

/**
 * Numbers in free text that can be nothing else: 18 digits with the check digit of GS1 (a GSRN, as in the Nordic
 * countries, the Netherlands and Belgium) and the 33 characters of a German metering point.
 */
export function meteringPointIn({ text }: XmlNode): string[] {
  const nordic = [...text.matchAll(/(?<!\d)\d{18}(?!\d)/g)].map(([number]) => number).filter(hasCheckDigit);
  const german = [...text.matchAll(/(?<![0-9A-Z])DE\d{11}[0-9A-Z]{20}(?![0-9A-Z])/g)].map(
    ([number]) => number,
  );
  return [...nordic, ...german];
}

/** GS1 General Specifications 7.9: digits weigh 3 and 1 in turns, from the right. */
function hasCheckDigit(number: string): boolean {
  let sum = 0;
  for (let i = 0; i < number.length - 1; i++)
    sum += Number(number[number.length - 2 - i]) * (i % 2 === 0 ? 3 : 1);
  return (10 - (sum % 10)) % 10 === Number(number.at(-1));
}
