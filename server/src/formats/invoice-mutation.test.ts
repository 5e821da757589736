import { describe, expect, test } from "vitest";
import { type Case, casesOfInvoices } from "./cases.ts";
import { dice, injured } from "./harness.ts";
import type { ParsedInvoice } from "./invoice.ts";
import { readInvoice } from "./invoice-formats.ts";
import { Fault } from "./problems.ts";

/* Damaged documents. `METERTREE_FUZZ=5000` reads more of them, `METERTREE_FUZZ_SEED=7` other ones. */
const count = Number(process.env.METERTREE_FUZZ ?? 300);
const seed = Number(process.env.METERTREE_FUZZ_SEED ?? 20_241);

const decimal = /^-?\d+(\.\d+)?$/;
const day = /^\d{4}-\d\d-\d\d$/;

/** Fails for what no reader may hand out, however odd the document is. */
function mustBeSound(invoice: ParsedInvoice): void {
  expect(invoice.number).not.toBe("");
  expect(invoice.issued).toMatch(day);
  expect(invoice.rows.length).toBeGreaterThan(0);
  expect(invoice.rows.map(({ line }) => line)).toEqual(invoice.rows.map((_, at) => at + 1));
  for (const amount of Object.values(invoice.totals)) expect(amount).toMatch(decimal);
  for (const row of invoice.rows) {
    expect(row.amount).toMatch(decimal);
    for (const text of [row.quantity, row.price, row.vatRate])
      if (text !== null) expect(text).toMatch(decimal);
    if (row.period !== null) expect(row.period.from <= row.period.to).toBe(true);
  }
}

/** The fault of a document; undefined when it is read. Everything but a fault is thrown on. */
async function faultOf({ format, fileName }: Case, bytes: Uint8Array): Promise<Fault | undefined> {
  try {
    for (const invoice of await readInvoice(bytes, { fileName, format })) mustBeSound(invoice);
    return undefined;
  } catch (reason) {
    if (reason instanceof Fault) return reason;
    throw reason;
  }
}

function mustName({ message, place }: Fault, bytes: Uint8Array): void {
  const lines = Buffer.from(bytes)
    .toString("latin1")
    .split(/\r\n|\r|\n/).length;
  expect(message.length).toBeGreaterThan(10);
  expect(message.length).toBeLessThan(700);
  // What is too long to be a number is told by its row, whatever the format.
  if (/^The [a-z ]+ of (the document|row \d+) is longer/.test(message)) return;
  expect(place.line).toBeGreaterThanOrEqual(1);
  expect(place.line).toBeLessThanOrEqual(lines);
}

test(`${count} damaged documents, seed ${seed}: read soundly or refused with a line`, {
  timeout: 600_000,
}, async () => {
  const roll = dice(seed);
  const originals = casesOfInvoices();
  let refused = 0;
  for (let i = 0; i < count; i++) {
    const original = originals[roll(originals.length)]!;
    const bytes = injured(original.input, roll);
    try {
      const fault = await faultOf(original, bytes);
      if (fault === undefined) continue;
      mustName(fault, bytes);
      refused += 1;
    } catch (reason) {
      const what = `seed ${seed}, document ${i}, ${original.format}/${original.name}`;
      throw new Error(`${what}: ${reason}`, { cause: reason });
    }
  }
  expect(refused).toBeGreaterThan(count / 4);
});

describe("every defect is refused with its line", () => {
  const defects: [name: string, format: string, find: RegExp, change: string][] = [
    ["a tag lost", "ubl", /<\/cac:(InvoiceLine|Item|Price|TaxTotal|Party)>/g, ""],
    [
      "a letter in an amount",
      "ubl",
      /(?<=<cbc:(?:Payable|LineExtension|TaxInclusive)Amount[^>]*>-?\d)/g,
      "l",
    ],
    ["an amount lost", "ubl", /<cbc:(Payable|TaxExclusive|TaxInclusive)Amount.*(?=\n)/g, ""],
    ["the amount of a row lost", "ubl", /(?<=Quantity>\n)\s*<cbc:LineExtensionAmount.*(?=\n)/g, ""],
    ["another currency", "ubl", /(?<=<cbc:(?:LineExtension|Payable)Amount currencyID=")\w+/g, "XXX"],
    ["an exponent", "ubl", /(?<=<cbc:LineExtensionAmount[^>]*>[\d.-]+)(?=<)/g, "e3"],
    ["a day of month 13", "ubl", /(?<=<cbc:(?:IssueDate|StartDate|EndDate)>\d{4}-)\d\d/g, "13"],
    ["an unknown entity", "ubl", /(?<=<cbc:Name>)/g, "&euro;"],
    ["a document type", "cii", /<rsm:CrossIndustryInvoice/g, "<!DOCTYPE x>$&"],
    ["a comma in an amount", "cii", /(?<=<ram:(?:LineTotal|GrandTotal|DuePayable)Amount>-?\d+)\./g, ","],
    ["a summation lost", "cii", /<ram:(GrandTotal|DuePayable|TaxBasisTotal)Amount.*(?=\n)/g, ""],
    ["a date in another form", "cii", /(?<=<udt:DateTimeString format="102">\d{4})(\d\d)/g, ".$1"],
    ["a bracket lost", "cii", /<ram:LineID/g, "<ram:LineID<"],
    [
      "a point in an amount",
      "finvoice",
      /(?<=<(?:RowVatExcludedAmount|EpiInstructedAmount)[^>]*>-?\d+),/g,
      ".",
    ],
    [
      "a total lost",
      "finvoice",
      /(?<=\n {4})<(InvoiceTotalVatIncludedAmount|InvoiceDate|InvoiceNumber).*(?=\n)/g,
      "",
    ],
    ["an impossible date", "finvoice", /(?<=<InvoiceDate[^>]*>\d{4})\d\d/g, "00"],
    ["bytes of another encoding", "finvoice", /(?<=<ArticleName>)/g, "\u0000"],
  ];
  // Lines that only inform are not looked at, so damage in them does not show.
  const intact = casesOfInvoices().filter(({ name }) => !/^broken-|grouped-lines/.test(name));

  test.each(defects)("%s in %s", async (_, format, find, change) => {
    const roll = dice(seed);
    let tried = 0;
    for (const example of intact.filter((each) => each.format === format)) {
      const text = example.input.toString("latin1");
      const found = [...text.matchAll(find)];
      for (let i = 0; i < 3 && found.length > 0; i++) {
        const { 0: match, index } = found[roll(found.length)]!;
        const after = text.slice(index + match.length);
        const instead = change.replace("$&", match).replace("$1", match);
        const bytes = Buffer.from(text.slice(0, index) + instead + after, "latin1");
        const fault = await faultOf(example, bytes);
        expect(fault, `${example.name}: ${match} at ${index}`).toBeDefined();
        mustName(fault!, bytes);
        tried += 1;
      }
    }
    expect(tried).toBeGreaterThan(2);
  });
});
