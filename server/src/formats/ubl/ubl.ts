import type {
  DecimalText,
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
  creditCodes,
  invoicedObject,
  isCharge,
  kindOf,
  meteringPointIn,
  propertyMeteringPoint,
  wholeDocument,
} from "../invoice-terms.ts";
import { Fault } from "../problems.ts";
import { documentIn, readXmlTree, type XmlNode, xmlHead } from "../xml-tree.ts";

const namespaces = /urn:oasis:names:specification:ubl:schema:xsd:(Invoice|CreditNote)-2/;

/**
 * UBL 2.1 invoices and credit notes, as in Peppol BIS Billing 3 and XRechnung. Terms are those of EN 16931.
 */
export const ubl: InvoiceFormat = {
  name: "ubl",
  title: "UBL 2.1 invoice or credit note (Peppol BIS 3, XRechnung)",
  detect: (head) => (namespaces.test(xmlHead(head) ?? "") ? 1 : 0),
  async read(bytes) {
    const root = documentIn(await readXmlTree(bytes));
    if (root.name !== "Invoice" && root.name !== "CreditNote") {
      throw new Fault(`The document is a ${root.name}, no Invoice or CreditNote of UBL.`, {
        line: root.line,
      });
    }
    return [new UblDocument(root).read()];
  },
};

class UblDocument {
  readonly #root: XmlNode;
  readonly #amounts: Amounts;
  readonly #credit: boolean;
  readonly #code: string;

  constructor(root: XmlNode) {
    this.#root = root;
    this.#code =
      root.textAt("InvoiceTypeCode") ?? root.textAt("CreditNoteTypeCode") ?? (isNote(root) ? "381" : "380");
    this.#credit = isNote(root) || creditCodes.has(this.#code);
    const currency = needed(root, "DocumentCurrencyCode").text;
    this.#amounts = new Amounts({ currency, attribute: "currencyID", turned: this.#credit });
  }

  read(): ParsedInvoice {
    const root = this.#root;
    const due = root.at("DueDate") ?? root.at("PaymentMeans", "PaymentDueDate");
    const buyer = root.at("AccountingCustomerParty", "Party");
    const totals = needed(root, "LegalMonetaryTotal");
    // Also those that nobody asks for, as the sum of the lines: damage shows.
    for (const amount of totals.children) this.#amounts.orZero(amount);
    return {
      format: ubl.name,
      number: needed(root, "ID").text,
      kind: this.#credit ? "credit" : kindOf(this.#code),
      replaces: root
        .all("BillingReference", "InvoiceDocumentReference", "ID")
        .map(({ text }) => text)
        .filter((earlier) => earlier !== ""),
      issued: dayIn(needed(root, "IssueDate")),
      due: due === undefined || due.text === "" ? null : dayIn(due),
      currency: this.#amounts.currency,
      seller: party(needed(root, "AccountingSupplierParty", "Party")),
      buyer: buyer === undefined ? null : party(buyer),
      period: period(root),
      meteringPoints: this.#meteringPoints(),
      rows: this.#rows(),
      totals: {
        net: this.#net(totals),
        vat: this.#vat(totals),
        gross: this.#amounts.in(needed(totals, "TaxInclusiveAmount")),
        prepaid: this.#amounts.orZero(totals.at("PrepaidAmount")),
        rounding: this.#amounts.orZero(totals.at("PayableRoundingAmount")),
        payable: this.#amounts.in(needed(totals, "PayableAmount")),
      },
      ...this.#vatGroups(),
    };
  }

  /** The total in the currency of the document: a second one repeats it in the currency of the tax authority. */
  #taxTotals(): XmlNode[] {
    return this.#root.all("TaxTotal").filter((total) => {
      const currency = total.at("TaxAmount")?.attribute("currencyID");
      return currency === undefined || currency === this.#amounts.currency;
    });
  }

  /** OIOUBL (Denmark) has the VAT in TaxExclusiveAmount, though not all of its senders do. */
  #net(totals: XmlNode): DecimalText {
    const printed = this.#amounts.in(needed(totals, "TaxExclusiveAmount"));
    if (!this.#root.textAt("CustomizationID")?.startsWith("OIOUBL")) return printed;
    const vat = this.#vat(totals);
    const net = new Exact(this.#amounts.in(needed(totals, "TaxInclusiveAmount"))).minus(vat);
    return new Exact(printed).eq(vat) && !net.eq(printed) ? net.toFixed() : printed;
  }

  #vat(totals: XmlNode): DecimalText {
    const printed = this.#taxTotals().flatMap((total) => total.all("TaxAmount"));
    if (printed.length > 0) {
      const amounts = printed.map((node) => this.#amounts.in(node));
      return amounts.length === 1 ? amounts[0]! : Exact.sum(...amounts).toFixed();
    }
    const net = decimalIn(needed(totals, "TaxExclusiveAmount"));
    // Without VAT nothing needs to be printed; otherwise the amount is missing.
    if (new Exact(net).eq(decimalIn(needed(totals, "TaxInclusiveAmount")))) return "0";
    throw new Fault(
      `The invoice has no TaxTotal in ${this.#amounts.currency}. Ask the sender for a complete invoice.`,
      {
        line: totals.line,
        field: "TaxTotal",
      },
    );
  }

  #vatGroups(): { vatGroups?: InvoiceVatGroup[] } {
    const printed = this.#taxTotals().flatMap((total) => total.all("TaxSubtotal"));
    if (printed.length === 0) return {};
    const vatGroups = printed.map((group) => {
      const percent = group.at("TaxCategory", "Percent") ?? group.at("Percent");
      return {
        rate: percent === undefined ? null : decimalIn(percent),
        net: this.#amounts.in(needed(group, "TaxableAmount")),
        vat: this.#amounts.in(needed(group, "TaxAmount")),
      };
    });
    return { vatGroups };
  }

  #meteringPoints(): string[] {
    const named = this.#root
      .all("AdditionalDocumentReference")
      .filter((reference) => reference.textAt("DocumentTypeCode") === invoicedObject)
      .flatMap((reference) => reference.textAt("ID") ?? []);
    const delivered = this.#root.all("Delivery", "DeliveryLocation", "ID").flatMap(meteringPointIn);
    const noted = this.#root.all("Note").flatMap(meteringPointIn);
    return [...new Set(named.length > 0 ? named : [...delivered, ...noted])];
  }

  #rows(): InvoiceRow[] {
    const items = this.#root.children.filter(
      ({ name }) => name === "InvoiceLine" || name === "CreditNoteLine",
    );
    if (items.length === 0) {
      throw new Fault("The invoice has no lines.", { line: this.#root.line, field: "InvoiceLine" });
    }
    const rows = items.map((line) => this.#item(line));
    const whole = this.#root.all("AllowanceCharge").map((node) => this.#allowance(node));
    return [...rows, ...whole].map((row, at) => ({ ...row, line: at + 1 }));
  }

  #item(line: XmlNode): Omit<InvoiceRow, "line"> {
    const quantity = line.at("InvoicedQuantity") ?? line.at("CreditedQuantity");
    const item = line.at("Item");
    const percent =
      item?.at("ClassifiedTaxCategory", "Percent") ??
      line.at("TaxTotal", "TaxSubtotal", "TaxCategory", "Percent");
    const printed = quantity === undefined || quantity.text === "" ? null : decimalIn(quantity);
    const net = this.#amounts.printed(needed(line, "LineExtensionAmount"));
    const names = [item?.textAt("Name"), item?.textAt("Description"), line.textAt("Note")];
    const quantityUnit = quantity?.attribute("unitCode") ?? null;
    return {
      description: names.find((name) => name !== undefined) ?? "",
      code:
        item?.textAt("SellersItemIdentification", "ID") ??
        item?.textAt("StandardItemIdentification", "ID") ??
        item?.textAt("CommodityClassification", "ItemClassificationCode") ??
        null,
      meteringPoint: rowMeteringPoint(line),
      period: period(line),
      quantity: printed === null ? null : this.#amounts.signed(printed),
      quantityUnit,
      ...this.#price(line, { quantity: printed, quantityUnit, net }),
      amount: this.#amounts.signed(net),
      vatRate: percent === undefined ? null : decimalIn(percent),
      kind: "item",
    };
  }

  #price(
    line: XmlNode,
    {
      quantity,
      quantityUnit,
      net,
    }: { quantity: DecimalText | null; quantityUnit: string | null; net: DecimalText },
  ): Pick<InvoiceRow, "price" | "priceUnit"> {
    const printed = line.at("Price", "PriceAmount");
    if (printed === undefined || printed.text === "") return { price: null, priceUnit: null };
    const base = line.at("Price", "BaseQuantity");
    const price = priceOfOne({
      amount: this.#amounts.printed(printed),
      base: base === undefined ? null : decimalIn(base),
      quantity,
      net,
    });
    const unit = base?.attribute("unitCode") ?? quantityUnit;
    return { price, priceUnit: price === null ? null : priceUnitOf(this.#amounts.currency, unit) };
  }

  #allowance(node: XmlNode): Omit<InvoiceRow, "line"> {
    const charge = isCharge(needed(node, "ChargeIndicator"));
    const amount = this.#amounts.in(needed(node, "Amount"));
    const percent = node.at("TaxCategory", "Percent");
    return {
      ...wholeDocument,
      description: node.textAt("AllowanceChargeReason") ?? (charge ? "Charge" : "Allowance"),
      code: node.textAt("AllowanceChargeReasonCode") ?? null,
      amount: charge ? amount : negated(amount),
      vatRate: percent === undefined ? null : decimalIn(percent),
      kind: charge ? "charge" : "allowance",
    };
  }
}

const isNote = (root: XmlNode) => root.name === "CreditNote";

function period(node: XmlNode): InvoicePeriod | null {
  return periodOf(node.at("InvoicePeriod", "StartDate"), node.at("InvoicePeriod", "EndDate"));
}

function party(node: XmlNode): InvoiceParty {
  const vat = node
    .all("PartyTaxScheme")
    .find((scheme) => (scheme.textAt("TaxScheme", "ID") ?? "VAT") === "VAT")
    ?.textAt("CompanyID");
  return {
    name:
      node.textAt("PartyLegalEntity", "RegistrationName") ??
      node.textAt("PartyName", "Name") ??
      node.textAt("Contact", "Name") ??
      "",
    id:
      node.textAt("PartyLegalEntity", "CompanyID") ??
      vat ??
      node.textAt("PartyIdentification", "ID") ??
      node.textAt("EndpointID") ??
      null,
  };
}

/** Where energy invoices name the metering point of a line, the surest place first. */
function rowMeteringPoint(line: XmlNode): string | null {
  const referenced = line
    .all("DocumentReference")
    .find((reference) => (reference.textAt("DocumentTypeCode") ?? invoicedObject) === invoicedObject)
    ?.textAt("ID");
  if (referenced !== undefined) return referenced;
  for (const property of line.all("Item", "AdditionalItemProperty")) {
    const named = propertyMeteringPoint(property.textAt("Name") ?? "", property.textAt("Value") ?? "");
    if (named !== undefined) return named;
  }
  const loose = [...line.all("Delivery", "DeliveryLocation", "ID"), ...line.all("Note")];
  return loose.flatMap(meteringPointIn)[0] ?? null;
}
