import { create } from "xmlbuilder2";
import type { Invoice, InvoiceRow } from "./invoices.ts";

const money = (amount: string) => ({ "@currencyID": "SEK", "#": amount });

const category = (name: string, rate: string) => ({
  [`cac:${name}`]: { "cbc:ID": "S", "cbc:Percent": rate, "cac:TaxScheme": { "cbc:ID": "VAT" } },
});

const party = (name: string, id: string, scheme?: string) => ({
  "cac:Party": {
    "cac:PartyLegalEntity": {
      "cbc:RegistrationName": name,
      "cbc:CompanyID": scheme === undefined ? id : { "@schemeID": scheme, "#": id },
    },
  },
});

/** An invoice as UBL 2.1 in the form of Peppol BIS Billing 3.0; the metering point is the object that a row is for. */
export function ublOf(invoice: Invoice): string {
  const { net, vat, gross, rounding, payable, vatRate } = invoice;
  const period = { "cbc:StartDate": invoice.period.from, "cbc:EndDate": invoice.period.to };
  const document = {
    Invoice: {
      "@xmlns": "urn:oasis:names:specification:ubl:schema:xsd:Invoice-2",
      "@xmlns:cac": "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2",
      "@xmlns:cbc": "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2",
      "cbc:CustomizationID": "urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0",
      "cbc:ProfileID": "urn:fdc:peppol.eu:2017:poacc:billing:01:1.0",
      "cbc:ID": invoice.number,
      "cbc:IssueDate": invoice.issued,
      "cbc:DueDate": invoice.due,
      "cbc:InvoiceTypeCode": "380",
      "cbc:DocumentCurrencyCode": "SEK",
      "cac:InvoicePeriod": period,
      "cac:AccountingSupplierParty": party("Älvdal Energi AB", "5599001234", "0007"),
      "cac:AccountingCustomerParty": party(invoice.buyer.name, invoice.buyer.number),
      "cac:TaxTotal": {
        "cbc:TaxAmount": money(vat),
        "cac:TaxSubtotal": {
          "cbc:TaxableAmount": money(net),
          "cbc:TaxAmount": money(vat),
          ...category("TaxCategory", vatRate),
        },
      },
      "cac:LegalMonetaryTotal": {
        "cbc:LineExtensionAmount": money(net),
        "cbc:TaxExclusiveAmount": money(net),
        "cbc:TaxInclusiveAmount": money(gross),
        "cbc:PayableRoundingAmount": money(rounding),
        "cbc:PayableAmount": money(payable),
      },
      "cac:InvoiceLine": invoice.rows.map((row, i) => lineOf(invoice, row, i)),
    },
  };
  return create({ version: "1.0", encoding: "UTF-8" }, document).end({ prettyPrint: true });
}

function lineOf({ period, ean, vatRate }: Invoice, row: InvoiceRow, i: number): unknown {
  return {
    "cbc:ID": String(i + 1),
    "cbc:InvoicedQuantity": { "@unitCode": row.unitCode, "#": row.quantity },
    "cbc:LineExtensionAmount": money(row.amount),
    "cac:InvoicePeriod": { "cbc:StartDate": period.from, "cbc:EndDate": period.to },
    "cac:DocumentReference": { "cbc:ID": ean, "cbc:DocumentTypeCode": "130" },
    "cac:Item": { "cbc:Name": row.description, ...category("ClassifiedTaxCategory", vatRate) },
    "cac:Price": { "cbc:PriceAmount": money(row.priceSek) },
  };
}
