import type {
  DayText,
  InvoiceFormat,
  InvoiceParty,
  InvoicePeriod,
  InvoiceRow,
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
} from "../invoice-fields.ts";
import {
  invoicedObject,
  isCharge,
  kindOf,
  meteringPointIn,
  propertyMeteringPoint,
  wholeDocument,
} from "../invoice-terms.ts";
import { Fault } from "../problems.ts";
import { documentIn, readXmlTree, type XmlNode, xmlHead } from "../xml-tree.ts";

/** Lines of Factur-X EXTENDED that only head or explain others: their amounts are in no total. */
const notCounted = new Set(["GROUP", "INFORMATION"]);

/**
 * UN/CEFACT Cross Industry Invoice (D16B), as in XRechnung, and in the PDF of ZUGFeRD and Factur-X. Terms are those
 * of EN 16931.
 */
export const cii: InvoiceFormat = {
  name: "cii",
  title: "UN/CEFACT CII invoice (ZUGFeRD, Factur-X, XRechnung), also inside a PDF",
  detect(head) {
    const text = xmlHead(head) ?? "";
    return /urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:\d+/.test(text) ? 1 : 0;
  },
  async read(bytes) {
    const root = documentIn(await readXmlTree(bytes));
    if (root.name !== "CrossIndustryInvoice") {
      throw new Fault(`The document is a ${root.name}, no CrossIndustryInvoice.`, { line: root.line });
    }
    return [new CiiDocument(root).read()];
  },
};

class CiiDocument {
  readonly #document: XmlNode;
  readonly #lines: XmlNode[];
  readonly #agreement: XmlNode;
  readonly #settlement: XmlNode;
  readonly #delivery: XmlNode | undefined;
  readonly #amounts: Amounts;
  readonly #kind: ParsedInvoice["kind"];

  constructor(root: XmlNode) {
    this.#document = needed(root, "ExchangedDocument");
    const transaction = needed(root, "SupplyChainTradeTransaction");
    this.#lines = transaction
      .all("IncludedSupplyChainTradeLineItem")
      .filter(
        (line) =>
          !notCounted.has(line.textAt("AssociatedDocumentLineDocument", "LineStatusReasonCode") ?? ""),
      );
    if (this.#lines.length === 0) {
      throw new Fault(
        "The invoice has no lines: a Factur-X of profile MINIMUM or BASIC WL carries nothing but totals. " +
          "Ask the sender for profile BASIC or higher.",
        { line: transaction.line, field: "IncludedSupplyChainTradeLineItem" },
      );
    }
    this.#agreement = needed(transaction, "ApplicableHeaderTradeAgreement");
    this.#settlement = needed(transaction, "ApplicableHeaderTradeSettlement");
    this.#delivery = transaction.at("ApplicableHeaderTradeDelivery");
    this.#kind = kindOf(needed(this.#document, "TypeCode").text);
    this.#amounts = new Amounts({
      currency: needed(this.#settlement, "InvoiceCurrencyCode").text,
      attribute: "currencyID",
      // Credit notes print what they credit as positive amounts.
      turned: this.#kind === "credit",
    });
  }

  read(): ParsedInvoice {
    const settlement = this.#settlement;
    const sum = needed(settlement, "SpecifiedTradeSettlementHeaderMonetarySummation");
    // Also those that nobody asks for, as the sum of the lines: damage shows. VAT is repeated in other currencies.
    for (const amount of sum.children) if (amount.name !== "TaxTotalAmount") this.#amounts.orZero(amount);
    const due = settlement.at("SpecifiedTradePaymentTerms", "DueDateDateTime");
    const buyer = this.#agreement.at("BuyerTradeParty");
    const earlier = settlement.all("InvoiceReferencedDocument", "IssuerAssignedID");
    return {
      format: cii.name,
      number: needed(this.#document, "ID").text,
      kind: this.#kind,
      replaces: earlier.map(({ text }) => text).filter((number) => number !== ""),
      issued: dayOf(needed(this.#document, "IssueDateTime")),
      due: due === undefined ? null : dayOf(due),
      currency: this.#amounts.currency,
      seller: party(needed(this.#agreement, "SellerTradeParty")),
      buyer: buyer === undefined ? null : party(buyer),
      period: period(settlement),
      meteringPoints: this.#meteringPoints(),
      rows: this.#rows(),
      totals: {
        net: this.#amounts.in(needed(sum, "TaxBasisTotalAmount")),
        vat: this.#vat(sum),
        gross: this.#amounts.in(needed(sum, "GrandTotalAmount")),
        prepaid: this.#amounts.orZero(sum.at("TotalPrepaidAmount")),
        rounding: this.#amounts.orZero(sum.at("RoundingAmount")),
        payable: this.#amounts.in(needed(sum, "DuePayableAmount")),
      },
      ...this.#vatGroups(),
    };
  }

  /** A second total repeats the VAT in the currency of the tax authority. */
  #vat(sum: XmlNode): string {
    const printed = sum.all("TaxTotalAmount").filter((node) => {
      const own = node.attribute("currencyID");
      return own === undefined || own === this.#amounts.currency;
    });
    if (printed[0] !== undefined) return this.#amounts.in(printed[0]);
    const net = decimalIn(needed(sum, "TaxBasisTotalAmount"));
    // Without VAT nothing needs to be printed; otherwise the amount is missing.
    if (new Exact(net).eq(decimalIn(needed(sum, "GrandTotalAmount")))) return "0";
    throw new Fault(
      `The invoice has no TaxTotalAmount in ${this.#amounts.currency}. Ask the sender for a complete invoice.`,
      { line: sum.line, field: "TaxTotalAmount" },
    );
  }

  #vatGroups(): { vatGroups?: InvoiceVatGroup[] } {
    const printed = this.#settlement.all("ApplicableTradeTax");
    if (printed.length === 0) return {};
    const vatGroups = printed.map((group) => ({
      rate: rateOf(group),
      net: this.#amounts.in(needed(group, "BasisAmount")),
      vat: this.#amounts.in(needed(group, "CalculatedAmount")),
    }));
    return { vatGroups };
  }

  #meteringPoints(): string[] {
    const named = objectsOf(this.#agreement);
    const loose = [
      ...(this.#delivery?.all("ShipToTradeParty", "ID") ?? []),
      ...(this.#delivery?.all("ShipToTradeParty", "GlobalID") ?? []),
      ...this.#document.all("IncludedNote", "Content"),
    ];
    return [...new Set(named.length > 0 ? named : loose.flatMap(meteringPointIn))];
  }

  #rows(): InvoiceRow[] {
    const rows = [
      ...this.#lines.map((line) => this.#item(line)),
      ...this.#settlement.all("SpecifiedTradeAllowanceCharge").map((node) => this.#allowance(node)),
      ...this.#settlement.all("SpecifiedLogisticsServiceCharge").map((node) => this.#service(node)),
    ];
    return rows.map((row, at) => ({ ...row, line: at + 1 }));
  }

  #item(line: XmlNode): Omit<InvoiceRow, "line"> {
    const product = line.at("SpecifiedTradeProduct");
    const settlement = needed(line, "SpecifiedLineTradeSettlement");
    const summation = needed(settlement, "SpecifiedTradeSettlementLineMonetarySummation");
    const net = this.#amounts.printed(needed(summation, "LineTotalAmount"));
    const counted = line.at("SpecifiedLineTradeDelivery", "BilledQuantity");
    const quantity = counted === undefined || counted.text === "" ? null : decimalIn(counted);
    const quantityUnit = counted?.attribute("unitCode") ?? null;
    const charged = line.at("SpecifiedLineTradeAgreement", "NetPriceProductTradePrice", "ChargeAmount");
    const base = line.at("SpecifiedLineTradeAgreement", "NetPriceProductTradePrice", "BasisQuantity");
    const price =
      charged === undefined || charged.text === ""
        ? null
        : priceOfOne({
            amount: this.#amounts.printed(charged),
            base: base === undefined ? null : decimalIn(base),
            quantity,
            net,
          });
    const priced = base?.attribute("unitCode") ?? quantityUnit;
    return {
      description: product?.textAt("Name") ?? product?.textAt("Description") ?? noteOf(line)[0]?.text ?? "",
      code:
        product?.textAt("SellerAssignedID") ??
        product?.textAt("GlobalID") ??
        product?.textAt("DesignatedProductClassification", "ClassCode") ??
        null,
      meteringPoint: rowMeteringPoint(line, settlement),
      period: period(settlement),
      quantity: quantity === null ? null : this.#amounts.signed(quantity),
      quantityUnit,
      price,
      priceUnit: price === null ? null : priceUnitOf(this.#amounts.currency, priced),
      amount: this.#amounts.signed(net),
      vatRate: rateOf(settlement.at("ApplicableTradeTax")),
      kind: "item",
    };
  }

  #allowance(node: XmlNode): Omit<InvoiceRow, "line"> {
    const charge = isCharge(needed(node, "ChargeIndicator", "Indicator"));
    const amount = this.#amounts.in(needed(node, "ActualAmount"));
    return {
      ...wholeDocument,
      description: node.textAt("Reason") ?? (charge ? "Charge" : "Allowance"),
      code: node.textAt("ReasonCode") ?? null,
      amount: charge ? amount : negated(amount),
      vatRate: rateOf(node.at("CategoryTradeTax")),
      kind: charge ? "charge" : "allowance",
    };
  }

  #service(node: XmlNode): Omit<InvoiceRow, "line"> {
    return {
      ...wholeDocument,
      description: node.textAt("Description") ?? "Charge",
      code: null,
      amount: this.#amounts.in(needed(node, "AppliedAmount")),
      vatRate: rateOf(node.at("AppliedTradeTax")),
      kind: "charge",
    };
  }
}

function rateOf(tax: XmlNode | undefined): string | null {
  const rate = tax?.at("RateApplicablePercent");
  return rate === undefined ? null : decimalIn(rate);
}

const dateTimeOf = (node: XmlNode | undefined) =>
  node === undefined ? undefined : (node.at("DateTimeString") ?? node.at("DateString"));

function dayOf(node: XmlNode): DayText {
  return dayIn(dateTimeOf(node) ?? needed(node, "DateTimeString"));
}

function period(settlement: XmlNode): InvoicePeriod | null {
  const printed = settlement.at("BillingSpecifiedPeriod");
  return periodOf(dateTimeOf(printed?.at("StartDateTime")), dateTimeOf(printed?.at("EndDateTime")));
}

function party(node: XmlNode): InvoiceParty {
  const registered = node.all("SpecifiedTaxRegistration", "ID");
  const vat = registered.find((id) => id.attribute("schemeID") === "VA") ?? registered[0];
  return {
    name: node.textAt("Name") ?? node.textAt("SpecifiedLegalOrganization", "TradingBusinessName") ?? "",
    id:
      node.textAt("SpecifiedLegalOrganization", "ID") ??
      vat?.text ??
      node.textAt("GlobalID") ??
      node.textAt("ID") ??
      null,
  };
}

/** Numbers of the references to what is invoiced. */
function objectsOf(node: XmlNode): string[] {
  return node
    .all("AdditionalReferencedDocument")
    .filter((reference) => reference.textAt("TypeCode") === invoicedObject)
    .flatMap((reference) => reference.textAt("IssuerAssignedID") ?? []);
}

const noteOf = (line: XmlNode) => line.all("AssociatedDocumentLineDocument", "IncludedNote", "Content");

/** Where energy invoices name the metering point of a line, the surest place first. */
function rowMeteringPoint(line: XmlNode, settlement: XmlNode): string | null {
  const [referenced] = objectsOf(settlement);
  if (referenced !== undefined) return referenced;
  for (const property of line.all("SpecifiedTradeProduct", "ApplicableProductCharacteristic")) {
    const named = propertyMeteringPoint(property.textAt("Description") ?? "", property.textAt("Value") ?? "");
    if (named !== undefined) return named;
  }
  const shipped = ["ID", "GlobalID"].flatMap((id) =>
    line.all("SpecifiedLineTradeDelivery", "ShipToTradeParty", id),
  );
  return [...shipped, ...noteOf(line)].flatMap(meteringPointIn)[0] ?? null;
}
