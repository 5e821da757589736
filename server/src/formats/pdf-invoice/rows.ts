import type { InvoicePeriod, InvoiceRow } from "../invoice.ts";
import type { Cells } from "./columns.ts";
import { exampleOf, type FieldReader } from "./fields.ts";
import { comparable } from "./labels.ts";
import { type PrintedNumber, readAmount, readNumber } from "./notation.ts";
import type { Section } from "./tables.ts";
import type { ColumnRole, TemplateTable } from "./template.ts";

/** A cell that is not what its column holds. */
export interface CellMistake {
  role: ColumnRole;
  message: string;
}

/** The row that the cells of a table print; `row` is missing when its amount could not be read. */
export function rowOf(
  printed: Cells,
  { table, reader, section }: { table: TemplateTable; reader: FieldReader; section: Section },
): { row: Omit<InvoiceRow, "line"> | undefined; mistakes: CellMistake[] } {
  const cells = new CellReader(printed, { table, reader });
  const amount = cells.amount();
  const quantity = cells.number("quantity");
  const price = cells.number("price");
  const rate = cells.number("vatRate");
  if (rate !== null && rate.unit !== "" && rate.unit !== "%") {
    cells.mistake("vatRate", `"${rate.value} ${rate.unit}" is no percentage`);
  }
  const row = {
    description: cells.text("description") ?? "",
    code: cells.text("code"),
    meteringPoint: cells.text("meteringPoint")?.replace(/\s+/g, "") ?? section.meteringPoint,
    period: cells.period() ?? section.period,
    quantity: quantity?.value ?? null,
    quantityUnit: quantity === null ? null : cells.unit("quantityUnit", quantity),
    price: price?.value ?? null,
    priceUnit: price === null ? null : cells.unit("priceUnit", price),
    vatRate: rate?.value ?? table.all?.vatRate ?? null,
    kind: table.all?.kind ?? ("item" as const),
    ...(table.all?.contract === undefined ? {} : { contract: table.all.contract }),
  };
  return { row: amount === null ? undefined : { ...row, amount }, mistakes: cells.mistakes };
}

class CellReader {
  readonly mistakes: CellMistake[] = [];
  readonly #printed: Cells;
  readonly #table: TemplateTable;
  readonly #reader: FieldReader;

  constructor(printed: Cells, { table, reader }: { table: TemplateTable; reader: FieldReader }) {
    this.#printed = printed;
    this.#table = table;
    this.#reader = reader;
  }

  mistake(role: ColumnRole, message: string): void {
    this.mistakes.push({ role, message });
  }

  /** The text of a cell, after the column's words and pattern; null when it is empty. */
  text(role: ColumnRole): string | null {
    const printed = this.#printed[role];
    const column = this.#table.columns[role];
    if (printed === undefined || column === undefined) return null;
    const match = "match" in column ? column.match : undefined;
    const words = "words" in column ? column.words : undefined;
    const text = match === undefined ? printed : this.#reader.part(match, printed);
    if (text === undefined) {
      this.mistake(role, `"${printed}" does not match ${match}`);
      return null;
    }
    const meant = Object.entries(words ?? {}).find(([word]) => comparable(word) === comparable(text));
    return (meant?.[1] ?? text) || null;
  }

  amount(): string | null {
    const { numbers, currency } = this.#reader.template;
    const text = this.text("amount");
    const value = text === null ? undefined : readAmount(text, numbers, currency);
    if (value === undefined)
      this.mistake("amount", `"${text ?? ""}" is no amount as in ${exampleOf(numbers)}`);
    return value ?? null;
  }

  number(role: ColumnRole): PrintedNumber | null {
    const text = this.text(role);
    if (text === null) return null;
    const { numbers } = this.#reader.template;
    // What the template says itself has a point.
    const value = readNumber(text, numbers) ?? (this.#isWord(role) ? readNumber(text, plain) : undefined);
    if (value === undefined) this.mistake(role, `"${text}" is no number as in ${exampleOf(numbers)}`);
    return value ?? null;
  }

  #isWord(role: ColumnRole): boolean {
    const column = this.#table.columns[role];
    return column !== undefined && "words" in column && column.words !== undefined;
  }

  unit(role: "quantityUnit" | "priceUnit", number: PrintedNumber): string | null {
    const column = this.text(role);
    if (column !== null && number.unit !== "" && comparable(column) !== comparable(number.unit)) {
      this.mistake(role, `the number is printed in "${number.unit}", and the column says "${column}"`);
    }
    return column ?? (number.unit || (this.#table.all?.[role] ?? null));
  }

  period(): InvoicePeriod | null {
    const { dates, template } = this.#reader;
    const text = this.text("period");
    const [from, to] = [this.text("from"), this.text("to")];
    if (text === null && from === null && to === null) return null;
    const period = text === null ? dates.fromTo(from ?? "", to ?? "") : dates.period(text);
    if (period === undefined) {
      const printed = text ?? `${from ?? "nothing"} to ${to ?? "nothing"}`;
      this.mistake(
        text === null ? "from" : "period",
        `"${printed}" is no period of ${template.dates.join(" or ")}`,
      );
    }
    return period ?? null;
  }
}

const plain = { decimal: ".", thousands: "" } as const;
