import type {
  DecimalText,
  InvoiceFormat,
  InvoiceRow,
  InvoiceTotals,
  InvoiceVatGroup,
  ParsedInvoice,
} from "../invoice.ts";
import {
  Amounts,
  dayIn,
  decimalIn,
  Exact,
  needed,
  negated,
  periodOf,
  priceOfOne,
  priceUnitOf,
  shown,
} from "../invoice-fields.ts";
import { kindOf, meteringPointIn, propertyMeteringPoint, wholeDocument } from "../invoice-terms.ts";
import { Fault } from "../problems.ts";
import { readXmlTree, type XmlNode } from "../xml-tree.ts";
import { hasMessage, messagesIn } from "./messages.ts";

/**
 * Finvoice 1.3 to 3.0 (Finance Finland): decimal comma, days as CCYYMMDD, names without a namespace. Files of banks
 * put a SOAP envelope before each message and hold several.
 */
export const finvoice: InvoiceFormat = {
  name: "finvoice",
  title: "Finvoice 3.0",
  detect: (head) => (hasMessage(head) ? 1 : 0),
  async read(bytes) {
    const invoices: ParsedInvoice[] = [];
    for (const { content, linesBefore } of messagesIn(bytes)) {
      invoices.push(await told(content, linesBefore));
    }
    if (invoices.length === 0) throw new Fault("The file has no Finvoice message.", { line: 1 });
    return invoices;
  },
};

/** Lines of faults count from the start of the file. */
async function told(content: Uint8Array, linesBefore: number): Promise<ParsedInvoice> {
  try {
    return new FinvoiceDocument(await readXmlTree(content)).read();
  } catch (reason) {
    if (!(reason instanceof Fault) || typeof reason.place.line !== "number") throw reason;
    throw new Fault(reason.message, { ...reason.place, line: reason.place.line + linesBefore });
  }
}

const comma = { mark: "," } as const;

class FinvoiceDocument {
  readonly #root: XmlNode;
  readonly #details: XmlNode;
  readonly #kind: ParsedInvoice["kind"];
  readonly #amounts: Amounts;

  constructor(root: XmlNode) {
    this.#root = root;
    this.#details = needed(root, "InvoiceDetails");
    this.#kind = kindIn(this.#details);
    const gross = needed(this.#details, "InvoiceTotalVatIncludedAmount");
    const currency = gross.attribute("AmountCurrencyIdentifier");
    if (currency === undefined) {
      throw new Fault("InvoiceTotalVatIncludedAmount has no AmountCurrencyIdentifier.", {
        line: gross.line,
        field: gross.name,
      });
    }
    this.#amounts = new Amounts({
      currency,
      attribute: "AmountCurrencyIdentifier",
      mark: ",",
      // By the standard a credit note has negative amounts; some senders print them as positive.
      turned: this.#kind === "credit" && new Exact(decimalIn(gross, comma)).gt(0),
    });
  }

  read(): ParsedInvoice {
    const details = this.#details;
    const due = details.all("PaymentTermsDetails", "InvoiceDueDate")[0] ?? this.#epi("EpiDateOptionDate");
    const buyer = this.#root.at("BuyerPartyDetails");
    const earlier = [
      ...details.all("OriginalInvoiceNumber"),
      ...details.all("OriginalInvoiceReference", "InvoiceNumber"),
    ];
    const delivered = this.#root.at("DeliveryDetails", "DeliveryPeriodDetails");
    return {
      format: finvoice.name,
      number: needed(details, "InvoiceNumber").text,
      kind: this.#kind,
      replaces: [...new Set(earlier.map(({ text }) => text).filter((number) => number !== ""))],
      issued: dayIn(needed(details, "InvoiceDate")),
      due: due === undefined || due.text === "" ? null : dayIn(due),
      currency: this.#amounts.currency,
      seller: party(needed(this.#root, "SellerPartyDetails"), "Seller"),
      buyer: buyer === undefined ? null : party(buyer, "Buyer"),
      period:
        periodOf(details.at("InvoicingPeriodStartDate"), details.at("InvoicingPeriodEndDate")) ??
        periodOf(delivered?.at("StartDate"), delivered?.at("EndDate")),
      meteringPoints: this.#meteringPoints(),
      rows: this.#rows(),
      totals: this.#totals(),
      ...this.#vatGroups(),
    };
  }

  #epi(name: string): XmlNode | undefined {
    return this.#root.at("EpiDetails", "EpiPaymentInstructionDetails", name);
  }

  #meteringPoints(): string[] {
    const named = [
      ...this.#details.all("InvoicedObjectID").map(({ text }) => text),
      ...this.#details.all("DefinitionDetails").flatMap((pair) => definedMeteringPoint(pair, "")),
    ].filter((number) => number !== "");
    const loose = this.#details.all("InvoiceFreeText").flatMap(meteringPointIn);
    return [...new Set(named.length > 0 ? named : loose)];
  }

  #totals(): InvoiceTotals {
    const details = this.#details;
    const printedGross = this.#amounts.in(needed(details, "InvoiceTotalVatIncludedAmount"));
    const rounding = this.#amounts.orZero(details.at("InvoiceTotalRoundoffAmount"));
    const prepaid = this.#amounts.orZero(details.at("InvoicePaidAmount"));
    const vat = this.#printedVat();
    const net = this.#printedNet() ?? new Exact(printedGross).minus(vat).toFixed();
    const exactGross = new Exact(net).plus(vat);
    // Some senders print the total after rounding.
    const rounded = !new Exact(rounding).isZero() && exactGross.plus(rounding).eq(printedGross);
    const gross = rounded ? exactGross.toFixed() : printedGross;
    const instructed = this.#epi("EpiInstructedAmount");
    const due = new Exact(gross).minus(prepaid).plus(rounding).toFixed();
    // The payment part never asks for a negative amount: what is owed to the buyer shows as zero there.
    const asked = instructed === undefined || instructed.text === "" ? null : this.#amounts.in(instructed);
    const payable = asked === null || (new Exact(asked).isZero() && new Exact(due).lt(0)) ? due : asked;
    return { net, vat, gross, prepaid, rounding, payable };
  }

  #printedNet(): DecimalText | undefined {
    const node = this.#details.at("InvoiceTotalVatExcludedAmount");
    return node === undefined || node.text === "" ? undefined : this.#amounts.in(node);
  }

  #printedVat(): DecimalText {
    const node = this.#details.at("InvoiceTotalVatAmount");
    if (node !== undefined && node.text !== "") return this.#amounts.in(node);
    const { vatGroups } = this.#vatGroups();
    if (vatGroups !== undefined) return Exact.sum(...vatGroups.map(({ vat }) => vat)).toFixed();
    return this.#amounts.in(needed(this.#details, "InvoiceTotalVatAmount"));
  }

  #vatGroups(): { vatGroups?: InvoiceVatGroup[] } {
    const printed = this.#details
      .all("VatSpecificationDetails")
      .filter((group) => group.at("VatBaseAmount") !== undefined && group.at("VatRateAmount") !== undefined);
    if (printed.length === 0) return {};
    const vatGroups = printed.map((group) => ({
      rate: percentIn(group.at("VatRatePercent")),
      net: this.#amounts.in(needed(group, "VatBaseAmount")),
      vat: this.#amounts.in(needed(group, "VatRateAmount")),
    }));
    return { vatGroups };
  }

  #rows(): InvoiceRow[] {
    const items = this.#root.all("InvoiceRow").flatMap((row) => this.#item(row, ""));
    if (items.length === 0) {
      throw new Fault("The invoice has no rows with amounts.", {
        line: this.#root.line,
        field: "InvoiceRow",
      });
    }
    const discounts = this.#details.all("DiscountDetails").map((node) => this.#allowance(node, "allowance"));
    const charges = this.#details.all("ChargeDetails").map((node) => this.#allowance(node, "charge"));
    return [...items, ...discounts.flat(), ...charges.flat()].map((row, at) => ({ ...row, line: at + 1 }));
  }

  /** A row, or those below it when it only heads them; rows of text are left out. */
  #item(row: XmlNode, prefix: "" | "Sub"): Omit<InvoiceRow, "line">[] {
    const net = this.#net(row, prefix);
    if (net === undefined) return row.all("SubInvoiceRow").flatMap((below) => this.#item(below, "Sub"));
    const field = (name: string) => row.textAt(`${prefix}${name}`);
    const counted =
      row.at(`${prefix}InvoicedQuantity`) ??
      row.at(`${prefix}DeliveredQuantity`) ??
      row.at(`${prefix}OrderedQuantity`);
    const quantity = counted === undefined || counted.text === "" ? null : decimalIn(counted, comma);
    const quantityUnit =
      counted?.attribute("QuantityUnitCodeUN") ?? counted?.attribute("QuantityUnitCode") ?? null;
    return [
      {
        description: field("ArticleName") ?? field("ArticleDescription") ?? field("RowFreeText") ?? "",
        code: field("ArticleIdentifier") ?? field("ArticleGroupIdentifier") ?? null,
        meteringPoint: rowMeteringPoint(row, prefix),
        period: periodOf(row.at(`${prefix}StartDate`), row.at(`${prefix}EndDate`)),
        quantity: quantity === null ? null : this.#amounts.signed(quantity),
        quantityUnit,
        ...this.#price(row, { prefix, quantity, quantityUnit, net }),
        amount: this.#amounts.signed(net),
        vatRate: percentIn(row.at(`${prefix === "" ? "Row" : "SubRow"}VatRatePercent`)),
        kind: "item",
      },
    ];
  }

  /** As printed; undefined when the row has no amount. */
  #net(row: XmlNode, prefix: "" | "Sub"): DecimalText | undefined {
    const field = (name: string) => {
      const node = row.at(`${prefix}${name}`);
      return node === undefined || node.text === "" ? undefined : node;
    };
    const net = field("RowVatExcludedAmount");
    if (net !== undefined) return this.#amounts.printed(net);
    const gross = field("RowAmount");
    if (gross === undefined) return undefined;
    const vat = field("RowVatAmount");
    if (vat !== undefined)
      return new Exact(this.#amounts.printed(gross)).minus(this.#amounts.printed(vat)).toFixed();
    throw new Fault(
      "The row has RowAmount, which includes VAT, but neither RowVatExcludedAmount nor RowVatAmount.",
      { line: gross.line, field: "RowVatExcludedAmount" },
    );
  }

  #price(
    row: XmlNode,
    at: { prefix: string; quantity: DecimalText | null; quantityUnit: string | null; net: DecimalText },
  ): Pick<InvoiceRow, "price" | "priceUnit"> {
    const printed = row.at(`${at.prefix}UnitPriceNetAmount`) ?? row.at(`${at.prefix}UnitPriceAmount`);
    if (printed === undefined || printed.text === "") return { price: null, priceUnit: null };
    const base = row.at(`${at.prefix}UnitPriceBaseQuantity`);
    const price = priceOfOne({
      amount: this.#amounts.printed(printed),
      base: base === undefined || base.text === "" ? null : decimalIn(base, comma),
      quantity: at.quantity,
      net: at.net,
    });
    if (price === null) return { price, priceUnit: null };
    const own = printed.attribute("QuantityUnitCodeUN") ?? printed.attribute("UnitPriceUnitCode");
    // As in "e/kWh" or "snt/kWh": a unit of the price, not of what it is for.
    if (own?.includes("/")) return { price, priceUnit: own };
    return { price, priceUnit: priceUnitOf(this.#amounts.currency, own ?? at.quantityUnit) };
  }

  #allowance(node: XmlNode, kind: "allowance" | "charge"): Omit<InvoiceRow, "line">[] {
    const printed = node.at("Amount");
    if (printed === undefined || printed.text === "") return [];
    const amount = this.#amounts.in(printed);
    return [
      {
        ...wholeDocument,
        description:
          node.textAt("ReasonText") ?? node.textAt("FreeText") ?? (kind === "charge" ? "Charge" : "Discount"),
        code: node.textAt("ReasonCode") ?? null,
        amount: kind === "charge" ? amount : negated(amount),
        vatRate: percentIn(node.at("VatRatePercent")),
        kind,
      },
    ];
  }
}

/**
 * What the document is: by its code of UNTDID 1001 when it has one, else by that of Finvoice.
 * @throws Fault for offers, orders, tests and whatever else Finvoice carries, and for what takes an invoice back
 */
function kindIn(details: XmlNode): ParsedInvoice["kind"] {
  const type = needed(details, "InvoiceTypeCode");
  if (!type.text.startsWith("INV")) {
    throw new Fault(`The document is of type ${shown(type.text)}, no invoice.`, {
      line: type.line,
      field: type.name,
    });
  }
  const origin = details.at("OriginCode");
  if (origin?.text === "Cancel") {
    throw new Fault(
      "The document takes an invoice back without crediting it (OriginCode Cancel). Delete that invoice by hand.",
      { line: origin.line, field: origin.name },
    );
  }
  const code = details.textAt("InvoiceTypeCodeUN");
  if (code !== undefined && kindOf(code) !== "invoice") return kindOf(code);
  return type.text === "INV02" ? "credit" : "invoice";
}

function percentIn(node: XmlNode | undefined): DecimalText | null {
  return node === undefined || node.text === "" ? null : decimalIn(node, comma);
}

function party(node: XmlNode, who: "Seller" | "Buyer"): ParsedInvoice["seller"] {
  return {
    name: node.textAt(`${who}OrganisationName`) ?? "",
    id: node.textAt(`${who}PartyIdentifier`) ?? node.textAt(`${who}OrganisationTaxCode`) ?? null,
  };
}

function definedMeteringPoint(pair: XmlNode, prefix: "" | "Row" | "SubRow"): string[] {
  const name = pair.textAt(`${prefix}DefinitionHeaderText`) ?? "";
  const number = propertyMeteringPoint(name, pair.textAt(`${prefix}DefinitionValue`) ?? "");
  return number === undefined ? [] : [number];
}

/** Where energy invoices name the metering point of a row, the surest place first. */
function rowMeteringPoint(row: XmlNode, prefix: "" | "Sub"): string | null {
  const referenced = row.textAt(`${prefix}InvoicedObjectID`);
  if (referenced !== undefined) return referenced;
  const full = prefix === "" ? "Row" : "SubRow";
  const defined = row.all(`${full}DefinitionDetails`).flatMap((pair) => definedMeteringPoint(pair, full));
  return [...defined, ...row.all(`${full}FreeText`).flatMap(meteringPointIn)][0] ?? null;
}
