import type { DecimalText, InvoiceRow, InvoiceVatGroup, ParsedInvoice } from "../formats/format.ts";
import { Money } from "./money.ts";

/** Do the amounts of an invoice agree with each other? */
export type Tie = { ok: true } | { ok: false; difference: DecimalText; message: string };

/**
 * What the VAT of one rate may differ by from net × rate: sellers round half up, half even or down, and all three
 * are within one cent.
 */
const vatToleranceOfRate = new Money("0.01");

/**
 * Checks that the amounts of an invoice tie:
 *
 * - rows, with the allowances and charges of the whole document, sum to the net total: to the cent;
 * - net + VAT = gross, and gross − prepaid + rounding = payable: to the cent;
 * - the VAT of all rates sums to the VAT total, their net to the net total: to the cent;
 * - the VAT of one rate is net × rate, within 0.01 (rounding once per rate), or exactly the sum of the VAT of its
 *   rows each rounded to the cent (rounding once per row), which may differ by half a cent a row.
 *
 * VAT by rate is checked where the document prints it; else for the rows, when each of them has a rate.
 * `difference` belongs to the first sum that does not come out; `message` names all of them.
 */
export function tie(invoice: ParsedInvoice): Tie {
  const vat = invoice.vatGroups === undefined ? vatOfRows(invoice) : vatAsPrinted(invoice, invoice.vatGroups);
  const wrong = [...totals(invoice), ...vat].filter(({ expected, printed }) => !expected.eq(printed));
  const [first] = wrong;
  if (first === undefined) return { ok: true };
  const told = wrong.map(({ what, expected, name, printed }) => {
    const difference = written(new Money(printed).minus(expected));
    return `${what} ${written(expected)}, but the ${name} is ${written(new Money(printed))} (difference ${difference})`;
  });
  return {
    ok: false,
    difference: written(new Money(first.printed).minus(first.expected)),
    message: `The amounts (in ${invoice.currency}) do not tie: ${told.join("; ")}.`,
  };
}

/** An amount that is printed, and what it should be. */
interface Comparison {
  /** As in "net and VAT sum to". */
  what: string;
  expected: Money;
  /** What the printed amount is called. */
  name: string;
  printed: DecimalText;
}

function totals({ rows, totals }: ParsedInvoice): Comparison[] {
  const { net, vat, gross, prepaid, rounding, payable } = totals;
  return [
    {
      what: "the rows sum to",
      expected: sum(rows.map(({ amount }) => amount)),
      name: "net total",
      printed: net,
    },
    {
      what: "net and VAT sum to",
      expected: new Money(net).plus(vat),
      name: "total with VAT",
      printed: gross,
    },
    {
      what: "the total with VAT, less what is paid and with its rounding, is",
      expected: new Money(gross).minus(prepaid).plus(rounding),
      name: "amount to pay",
      printed: payable,
    },
  ];
}

function vatAsPrinted({ rows, totals }: ParsedInvoice, groups: readonly InvoiceVatGroup[]): Comparison[] {
  const byRate = rowsByRate(rows);
  return [
    {
      what: "the net amounts by VAT rate sum to",
      expected: sum(groups.map(({ net }) => net)),
      name: "net total",
      printed: totals.net,
    },
    {
      what: "the VAT by rate sums to",
      expected: sum(groups.map(({ vat }) => vat)),
      name: "VAT total",
      printed: totals.vat,
    },
    ...groups.flatMap(({ rate, net, vat }): Comparison[] => {
      // What lies outside of VAT has none.
      const percent = new Money(rate ?? 0);
      const expected = cents(percent.times(net).div(100));
      if (expected.minus(vat).abs().lte(vatToleranceOfRate)) return [];
      const own = byRate?.get(percent.toFixed());
      if (own !== undefined && roundedByRow(own, percent).eq(vat)) return [];
      const what = `VAT of ${percent.toFixed()} % on ${written(new Money(net))} is`;
      return [{ what, expected, name: "VAT of this rate", printed: vat }];
    }),
  ];
}

function vatOfRows({ rows, totals }: ParsedInvoice): Comparison[] {
  const byRate = rowsByRate(rows);
  if (byRate === undefined) return [];
  let expected = new Money(0);
  let perRow = new Money(0);
  for (const [rate, own] of byRate) {
    expected = expected.plus(
      cents(
        sum(own.map(({ amount }) => amount))
          .times(rate)
          .div(100),
      ),
    );
    perRow = perRow.plus(roundedByRow(own, new Money(rate)));
  }
  const tolerance = vatToleranceOfRate.times(byRate.size);
  if (expected.minus(totals.vat).abs().lte(tolerance) || perRow.eq(totals.vat)) return [];
  return [{ what: "the VAT of the rows is", expected, name: "VAT total", printed: totals.vat }];
}

/** Rows by rate; undefined when a row has none, since then its VAT is not known. */
function rowsByRate(rows: readonly InvoiceRow[]): Map<string, InvoiceRow[]> | undefined {
  if (rows.some(({ vatRate }) => vatRate === null)) return undefined;
  return Map.groupBy(rows, ({ vatRate }) => new Money(vatRate!).toFixed());
}

const roundedByRow = (rows: readonly InvoiceRow[], rate: Money) =>
  sum(rows.map(({ amount }) => cents(rate.times(amount).div(100))));

const sum = (amounts: readonly (DecimalText | Money)[]) =>
  amounts.reduce<Money>((all, amount) => all.plus(amount), new Money(0));

const cents = (amount: Money) => amount.toDecimalPlaces(2);

/** With two decimals, or as many as there are. */
const written = (amount: Money) => amount.toFixed(Math.max(2, amount.decimalPlaces()));
