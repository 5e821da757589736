import { readFile } from "node:fs/promises";
import { Fault, type ParsedInvoice, readInvoice } from "../formats/format.ts";
import { Problem } from "../platform/problem.ts";
import { classify } from "./classify.ts";
import type { Reason } from "./invoice.ts";
import type { Reading, ReadingTask } from "./messages.ts";
import { tie } from "./tie.ts";

/** More rows than this are no invoice that somebody would check. */
const rowsMax = 20_000;
const numberCharsMax = 200;
const eanCharsMax = 100;

/** Reads a document, checks that its totals tie, and names the cost of each row. */
export async function read(task: ReadingTask): Promise<Reading> {
  try {
    const { fileName, templates } = task;
    const found = await readInvoice(await readFile(task.path), { fileName, templates });
    const parsed = storable(found).map((invoice) => ({ ...invoice, currency: currencyOf(invoice, task) }));
    if (parsed.length === 0) throw new Fault("There is no invoice in this document.");
    for (const invoice of parsed) check(invoice);
    const untied = parsed.map(untiedReason).find((reason) => reason !== null);
    if (untied != null) return { kind: "refused", reason: untied };
    const stated = task.contractType === null ? {} : { contractType: task.contractType };
    return {
      kind: "read",
      parsed: parsed.map((invoice) => ({ ...invoice, rows: classify(invoice, stated) })),
    };
  } catch (error) {
    // A package that is not installed: trying again does not help.
    if (error instanceof Problem && error.code === "unavailable") {
      return {
        kind: "refused",
        reason: { message: error.message, line: null, field: null, difference: null },
      };
    }
    if (!(error instanceof Fault)) throw error;
    const { line = null, field = null } = error.place;
    return { kind: "refused", reason: { message: error.message, line, field, difference: null } };
  }
}

/** Text as the database keeps it: without NUL and half characters. */
function storable(invoices: ParsedInvoice[]): ParsedInvoice[] {
  const text = JSON.stringify(invoices, (_, value: unknown) =>
    typeof value === "string" ? value.toWellFormed().replaceAll("\0", "") : value,
  );
  return JSON.parse(text) as ParsedInvoice[];
}

function currencyOf({ currency }: ParsedInvoice, { currency: stated }: ReadingTask): string {
  return currency === "" && stated !== null ? stated : currency;
}

/** What everything after this builds upon. */
function check(invoice: ParsedInvoice): void {
  const refuse = (message: string, field: string) => {
    throw new Fault(message, { field });
  };
  if (!/^[A-Z]{3}$/.test(invoice.currency)) {
    refuse("The currency is not three letters such as SEK. State it with the upload.", "currency");
  }
  if (Number.isNaN(Date.parse(`${invoice.issued}T00:00:00Z`)))
    refuse("The day of issue is no date.", "issued");
  if (invoice.rows.length > rowsMax)
    refuse(`An invoice may have ${rowsMax} rows. Split the document.`, "rows");
  const numbers = [invoice.number, ...invoice.replaces];
  if (numbers.some((each) => each.length > numberCharsMax))
    refuse(`The number of an invoice has at most ${numberCharsMax} characters.`, "number");
  if (invoice.rows.some(({ meteringPoint }) => (meteringPoint ?? "").length > eanCharsMax))
    refuse(`The id of a metering point has at most ${eanCharsMax} characters.`, "metering_point");
}

function untiedReason(invoice: ParsedInvoice): Reason | null {
  const tied = tie(invoice);
  if (tied.ok) return null;
  const message = `Invoice ${invoice.number}: ${tied.message}`;
  return { message, line: null, field: "totals", difference: tied.difference };
}
