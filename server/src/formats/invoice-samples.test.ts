import { readdirSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { haveSamples, sample } from "./harness.ts";
import { readInvoice } from "./invoice-formats.ts";

/*
 * Third-party invoices, counted a second time in another way: by plain text search and integers. No reader of the
 * formats is used for what is expected.
 */
const folder = resolve(import.meta.dirname, "../../../../shared/samples/einvoice");
const names = haveSamples ? readdirSync(folder).filter((name) => name.endsWith(".xml")) : [];

/** Ten thousandths of a decimal text. */
function scaled(text: string): bigint {
  const [whole = "", part = ""] = text.trim().replace("-", "").split(".");
  const value = BigInt(whole + part.padEnd(4, "0"));
  return text.trim().startsWith("-") ? -value : value;
}

const sum = (texts: readonly string[]) => texts.reduce((all, text) => all + scaled(text), 0n);

/** Contents of the elements of a name, whatever their prefix and attributes are. */
function within(text: string, name: string): string[] {
  return [
    ...text.matchAll(new RegExp(`<(?:\\w+:)?${name}(?: [^>]*)?>([\\s\\S]*?)</(?:\\w+:)?${name}>`, "g")),
  ].map(([, content = ""]) => content);
}

const first = (text: string, name: string) => within(text, name)[0];

/** What a document prints, by the names of both syntaxes. */
function printed(text: string) {
  const isCii = text.includes("CrossIndustryInvoice");
  const lines = within(text, isCii ? "IncludedSupplyChainTradeLineItem" : "InvoiceLine");
  const rest = lines.reduce((all, line) => all.replace(line, ""), text);
  const total = isCii ? "SpecifiedTradeSettlementHeaderMonetarySummation" : "LegalMonetaryTotal";
  const totals = first(rest, total)!;
  const at = (ubl: string, cii: string) => first(totals, isCii ? cii : ubl);
  const allowances = within(rest, isCii ? "SpecifiedTradeAllowanceCharge" : "AllowanceCharge");
  const charged = allowances.map((each) => {
    const amount = first(each, isCii ? "ActualAmount" : "Amount")!;
    return /true/.test(each) ? amount : `-${amount}`;
  });
  return {
    number: first(isCii ? first(rest, "ExchangedDocument")! : rest, "ID")!.trim(),
    lines: lines.length,
    rows: [
      ...lines.map((line) => first(line, isCii ? "LineTotalAmount" : "LineExtensionAmount")!),
      ...charged,
    ],
    quantities: lines.map((line) => first(line, isCii ? "BilledQuantity" : "InvoicedQuantity")!),
    net: at("TaxExclusiveAmount", "TaxBasisTotalAmount")!,
    gross: at("TaxInclusiveAmount", "GrandTotalAmount")!,
    payable: at("PayableAmount", "DuePayableAmount")!,
    prepaid: at("PrepaidAmount", "TotalPrepaidAmount") ?? "0",
    rounding: at("PayableRoundingAmount", "RoundingAmount") ?? "0",
    vat: isCii ? first(totals, "TaxTotalAmount")! : first(first(rest, "TaxTotal")!, "TaxAmount")!,
  };
}

describe.skipIf(!haveSamples)("sample invoices", () => {
  test("are all here", () => {
    expect(names).toHaveLength(8);
  });

  test.each(names)("%s gives the totals printed in it", async (name) => {
    const bytes = sample(`einvoice/${name}`);
    const expected = printed(bytes.toString("utf8").replaceAll(/<!--[\s\S]*?-->/g, ""));
    const [invoice, ...more] = await readInvoice(bytes, { fileName: name });
    expect(more).toEqual([]);
    expect(invoice!.number).toBe(expected.number);
    const { net, vat, gross, prepaid, rounding, payable } = invoice!.totals;
    expect({ net, vat, gross, prepaid, rounding, payable }).toEqual({
      net: expected.net,
      vat: expected.vat,
      gross: expected.gross,
      prepaid: expected.prepaid,
      rounding: expected.rounding,
      payable: expected.payable,
    });
    expect(invoice!.rows.filter(({ kind }) => kind === "item")).toHaveLength(expected.lines);
    expect(sum(invoice!.rows.map(({ amount }) => amount))).toBe(sum(expected.rows));
    expect(sum(invoice!.rows.flatMap(({ quantity }) => quantity ?? []))).toBe(sum(expected.quantities));
    // And the printed amounts themselves add up, by integers.
    expect(sum(expected.rows)).toBe(scaled(net));
    expect(scaled(net) + scaled(vat)).toBe(scaled(gross));
    expect(scaled(gross) - scaled(prepaid) + scaled(rounding)).toBe(scaled(payable));
    expect(sum((invoice!.vatGroups ?? []).map((group) => group.net))).toBe(scaled(net));
  });

  test("a grid invoice names its metering point, periods and units", async () => {
    const [invoice] = await readInvoice(sample("einvoice/BIS_Billing_30-Elnat.xml"), { fileName: "x.xml" });
    expect(invoice).toMatchObject({
      currency: "SEK",
      meteringPoints: ["731234567890123456"],
      rows: [
        { quantity: "90", quantityUnit: "DAY", period: { from: "2018-01-01", to: "2018-03-31" } },
        { quantity: "1701", quantityUnit: "KWH", price: "0.275", priceUnit: "SEK/kWh" },
        { quantity: "1701", quantityUnit: "KWH", price: "0.41375" },
      ],
    });
  });
});
