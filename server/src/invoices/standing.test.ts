import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Bill, standings } from "./standing.ts";

let count = 0;
const bill = (given: Partial<Bill>): Bill => ({
  invoiceId: `i${++count}`,
  n: 0,
  number: "1",
  kind: "invoice",
  replaces: [],
  sellerId: "5560010001",
  sellerName: "utility",
  issued: "2025-01-31",
  currency: "SEK",
  net: "100.00",
  created: count,
  ...given,
});
const counting = (bills: readonly Bill[]) =>
  [...standings(bills)].filter(([, { counts }]) => counts).map(([each]) => each);

describe("how invoices stand to each other", () => {
  test("of the same number the latest counts, also as a scan without the seller's number", () => {
    const xml = bill({});
    const scan = bill({ sellerId: null, sellerName: "utility" });
    expect(counting([xml, scan])).toEqual([scan]);
    expect(standings([xml, scan]).get(xml)).toEqual({ counts: false, replacedBy: scan.invoiceId });
  });

  test("a VAT id and an organisation number of one name are one seller", () => {
    const [a, b] = [bill({}), bill({ sellerId: "se556001000101" })];
    expect(counting([a, b])).toEqual([b]);
  });

  test("other sellers, other currencies and other numbers are left alone", () => {
    const all = [
      bill({}),
      bill({ sellerId: "5560020002", sellerName: "other" }),
      bill({ currency: "EUR" }),
      bill({ number: "2" }),
    ];
    expect(counting(all)).toEqual(all);
  });

  test("a credit note over the whole amount cancels, one over less subtracts", () => {
    const invoice = bill({});
    const full = bill({ kind: "credit", number: "2", replaces: ["1"], net: "-100" });
    expect(counting([invoice, full])).toEqual([]);
    expect(standings([invoice, full]).get(invoice)!.replacedBy).toBe(full.invoiceId);
    const part = bill({ kind: "credit", number: "2", replaces: ["1"], net: "-40" });
    expect(counting([invoice, part])).toEqual([invoice, part]);
  });

  test("a second credit note over the whole amount does not cancel twice", () => {
    const invoice = bill({});
    const [a, b] = ["2", "3"].map((number) => bill({ kind: "credit", number, replaces: ["1"], net: "-100" }));
    expect(counting([invoice, a!, b!])).toHaveLength(1);
  });

  test("a credit note of an unknown invoice subtracts until that one comes", () => {
    const credit = bill({ kind: "credit", number: "2", replaces: ["1"], net: "-100" });
    expect(counting([credit])).toEqual([credit]);
    expect(counting([credit, bill({})])).toEqual([]);
  });

  test("a correction takes the place of the invoice, of the correction before it, and of earlier credit notes", () => {
    const invoice = bill({});
    const credit = bill({ kind: "credit", number: "2", replaces: ["1"], net: "-40", issued: "2025-02-10" });
    const first = bill({ kind: "correction", number: "3", replaces: ["1"], issued: "2025-02-15" });
    const second = bill({ kind: "correction", number: "4", replaces: ["3"], issued: "2025-03-15" });
    expect(counting([invoice, credit, first, second])).toEqual([second]);
    const later = bill({ kind: "credit", number: "5", replaces: ["1"], net: "-5", issued: "2025-02-20" });
    expect(counting([invoice, first, later])).toEqual([first, later]);
  });

  test("a credit note that cancels does so although a correction follows", () => {
    const invoice = bill({});
    const credit = bill({ kind: "credit", number: "2", replaces: ["1"], net: "-100", issued: "2025-02-10" });
    const anew = bill({ kind: "correction", number: "3", replaces: ["1"], issued: "2025-02-15" });
    expect(counting([invoice, credit, anew])).toEqual([anew]);
  });

  test("corrections that refer to each other do not both vanish", () => {
    const a = bill({ kind: "correction", number: "1", replaces: ["2"] });
    const b = bill({ kind: "correction", number: "2", replaces: ["1"] });
    expect(counting([a, b])).toEqual([b]);
  });

  test("the order of arrival of documents in the list does not matter", () => {
    const number = fc.constantFrom("1", "2", "3", "4");
    const some = fc.array(
      fc.record({
        number,
        kind: fc.constantFrom("invoice", "credit", "correction") as fc.Arbitrary<Bill["kind"]>,
        replaces: fc.uniqueArray(number, { maxLength: 2 }),
        net: fc.constantFrom("100", "-100", "200", "-200", "-40"),
        issued: fc.constantFrom("2025-01-31", "2025-02-28", "2025-03-31"),
      }),
      { maxLength: 8 },
    );
    const mixed = some.chain((given) => {
      const bills = given.map((each) => bill(each));
      return fc.tuple(fc.constant(bills), fc.shuffledSubarray(bills, { minLength: bills.length }));
    });
    fc.assert(
      fc.property(mixed, ([bills, shuffled]) => {
        const [a, b] = [standings(bills), standings(shuffled)];
        for (const each of bills) expect(b.get(each)).toEqual(a.get(each));
      }),
    );
  });
});
