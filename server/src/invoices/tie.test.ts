import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { InvoiceRow, ParsedInvoice } from "../formats/format.ts";
import { tie } from "./tie.ts";

function row(amount: string, vatRate: string | null = "25"): InvoiceRow {
  return {
    line: 1,
    description: "Elöverföring",
    code: null,
    meteringPoint: null,
    period: null,
    quantity: null,
    quantityUnit: null,
    price: null,
    priceUnit: null,
    amount,
    vatRate,
    kind: "item",
  };
}

function invoice(over: Partial<ParsedInvoice> = {}): ParsedInvoice {
  return {
    format: "ubl",
    number: "1",
    kind: "invoice",
    replaces: [],
    issued: "2024-01-31",
    due: null,
    currency: "SEK",
    seller: { name: "Elnät AB", id: null },
    buyer: null,
    period: null,
    meteringPoints: [],
    rows: [row("100.10"), row("50.05")],
    totals: { net: "150.15", vat: "37.54", gross: "187.69", prepaid: "0", rounding: "0.31", payable: "188" },
    vatGroups: [{ rate: "25", net: "150.15", vat: "37.54" }],
    ...over,
  };
}

const withTotals = (totals: Partial<ParsedInvoice["totals"]>) =>
  invoice({ totals: { ...invoice().totals, ...totals } });

describe("amounts that tie", () => {
  test.each<[string, ParsedInvoice]>([
    ["rows, VAT and rounding", invoice()],
    ["without VAT by rate", { ...invoice(), vatGroups: undefined as never }],
    ["more than was owed is paid", withTotals({ prepaid: "200", payable: "-12.00" })],
    [
      "VAT rounded down",
      invoice({
        totals: {
          net: "150.15",
          vat: "37.53",
          gross: "187.68",
          prepaid: "0",
          rounding: "0",
          payable: "187.68",
        },
        vatGroups: [{ rate: "25.00", net: "150.15", vat: "37.53" }],
      }),
    ],
    [
      "VAT rounded row by row: seven times half a cent",
      invoice({
        rows: Array.from({ length: 7 }, () => row("0.10")),
        totals: { net: "0.70", vat: "0.21", gross: "0.91", prepaid: "0", rounding: "0", payable: "0.91" },
        vatGroups: [{ rate: "25", net: "0.70", vat: "0.21" }],
      }),
    ],
    [
      "rows outside of VAT",
      invoice({
        rows: [row("100"), row("20", null)],
        totals: { net: "120", vat: "25", gross: "145", prepaid: "0", rounding: "0", payable: "145" },
        vatGroups: [
          { rate: "25", net: "100", vat: "25" },
          { rate: null, net: "20", vat: "0" },
        ],
      }),
    ],
    [
      "a credit note",
      invoice({
        rows: [row("-100.10"), row("-50.05")],
        totals: {
          net: "-150.15",
          vat: "-37.54",
          gross: "-187.69",
          prepaid: "0",
          rounding: "0",
          payable: "-187.69",
        },
        vatGroups: [{ rate: "25", net: "-150.15", vat: "-37.54" }],
      }),
    ],
  ])("%s", (_, example) => {
    expect(tie(example)).toEqual({ ok: true });
  });
});

describe("amounts that do not tie", () => {
  test.each<[string, ParsedInvoice, string, RegExp]>([
    [
      "a row is missing",
      invoice({ rows: [row("100.10")] }),
      "50.05",
      /^The amounts \(in SEK\) do not tie: the rows sum to 100\.10, but the net total is 150\.15 \(difference 50\.05\)\.$/,
    ],
    [
      "one cent in the rows",
      invoice({ rows: [row("100.10"), row("50.06")] }),
      "-0.01",
      /the rows sum to 150\.16/,
    ],
    ["gross", withTotals({ gross: "187.70", payable: "188.01" }), "0.01", /net and VAT sum to 187\.69/],
    ["payable", withTotals({ payable: "187.69" }), "-0.31", /amount to pay is 187\.69/],
    [
      "prepaid forgotten",
      withTotals({ prepaid: "50" }),
      "50.00",
      /is 138\.00, but the amount to pay is 188\.00/,
    ],
    [
      "VAT two cents off its rate",
      invoice({
        totals: { ...invoice().totals, vat: "37.56", gross: "187.71", payable: "188.02" },
        vatGroups: [{ rate: "25", net: "150.15", vat: "37.56" }],
      }),
      "0.02",
      /VAT of 25 % on 150\.15 is 37\.54, but the VAT of this rate is 37\.56/,
    ],
    [
      "VAT of the rows, when none is printed by rate",
      {
        ...invoice({ totals: { ...invoice().totals, vat: "37.00", gross: "187.15", payable: "187.46" } }),
        vatGroups: undefined as never,
      },
      "-0.54",
      /the VAT of the rows is 37\.54, but the VAT total is 37\.00/,
    ],
    [
      "VAT by rate that is not all of it",
      invoice({ vatGroups: [{ rate: "25", net: "100.00", vat: "25.00" }] }),
      "50.15",
      /net amounts by VAT rate sum to 100\.00.*VAT by rate sums to 25\.00/,
    ],
    [
      "VAT on what lies outside of VAT",
      invoice({
        totals: { ...invoice().totals },
        vatGroups: [{ rate: null, net: "150.15", vat: "37.54" }],
      }),
      "37.54",
      /VAT of 0 % on 150\.15 is 0\.00/,
    ],
  ])("%s", (_, example, difference, message) => {
    expect(tie(example)).toEqual({ ok: false, difference, message: expect.stringMatching(message) });
  });
});

const cents = fc.integer({ min: -10_000_000, max: 10_000_000 });
const text = (amount: bigint) => {
  const digits = String(amount < 0n ? -amount : amount).padStart(3, "0");
  return `${amount < 0n ? "-" : ""}${digits.slice(0, -2)}.${digits.slice(-2)}`;
};
/** Half away from zero, in integers. */
const percentOf = (amount: bigint, rate: bigint) => {
  const scaled = amount * rate * 2n + (amount < 0n ? -100n : 100n);
  return scaled / 200n;
};

/** An invoice made with integers: nothing of the code under test is used. */
const made = fc
  .record({
    rows: fc.array(fc.record({ amount: cents, rate: fc.constantFrom(0, 6, 12, 25) }), {
      minLength: 1,
      maxLength: 30,
    }),
    prepaid: cents,
    rounding: fc.integer({ min: -99, max: 99 }),
    printed: fc.boolean(),
  })
  .map(({ rows, prepaid, rounding, printed }) => {
    const groups = [0, 6, 12, 25].map((rate) => {
      const net = rows.reduce((all, each) => (each.rate === rate ? all + BigInt(each.amount) : all), 0n);
      return { rate, net, vat: percentOf(net, BigInt(rate)) };
    });
    const net = groups.reduce((all, group) => all + group.net, 0n);
    const vat = groups.reduce((all, group) => all + group.vat, 0n);
    return invoice({
      rows: rows.map(({ amount, rate }) => row(text(BigInt(amount)), String(rate))),
      totals: {
        net: text(net),
        vat: text(vat),
        gross: text(net + vat),
        prepaid: text(BigInt(prepaid)),
        rounding: text(BigInt(rounding)),
        payable: text(net + vat - BigInt(prepaid) + BigInt(rounding)),
      },
      vatGroups: printed
        ? groups.map((group) => ({ rate: String(group.rate), net: text(group.net), vat: text(group.vat) }))
        : (undefined as never),
    });
  });

test("what was added up right ties, and does not when one amount changes by a cent", () => {
  const amounts = ["net", "gross", "prepaid", "rounding", "payable"] as const;
  fc.assert(
    fc.property(made, fc.constantFrom(...amounts, "row" as const), (example, changed) => {
      expect(tie(example)).toEqual({ ok: true });
      const more = (amount: string) => text(BigInt(amount.replace(".", "")) + 1n);
      const wrong =
        changed === "row"
          ? {
              ...example,
              rows: [
                { ...example.rows[0]!, amount: more(example.rows[0]!.amount) },
                ...example.rows.slice(1),
              ],
            }
          : { ...example, totals: { ...example.totals, [changed]: more(example.totals[changed]) } };
      expect(tie(wrong).ok).toBe(false);
    }),
  );
});
