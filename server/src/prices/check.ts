import type { Queryable } from "../platform/db.ts";
import type { MonthCost } from "./calculate.ts";
import type { Row } from "./charge.ts";
import { daysText } from "./days.ts";
import { Money, placesOf, shown, total } from "./money.ts";
import { calculateDays, type PriceUse, readsOf } from "./price-use.ts";
import type { PricedMeter } from "./quantities.ts";
import { priceIn, sizeIn } from "./units.ts";

/** A row of an invoice, as it is held against a price model. Decimals are those that are printed. */
export interface BilledRow {
  id: string;
  description: string;
  contractType: string | null;
  metric: string | null;
  quantity: number | null;
  quantityUnit: string | null;
  price: number | null;
  priceUnit: string | null;
  /** Excl. VAT. */
  amount: number;
  /** Days that it is for, the first and the one after the last since 1970; null: not known. */
  days: { from: number; to: number } | null;
}

/** A line of the model over the days of a row. */
interface Expected {
  component: string;
  label: string | null;
  metric: string;
  /** Null: months differ in what cannot be added, or it is not known. */
  quantity: Money | null;
  unit: string;
  price: Money | null;
  priceUnit: string;
  amount: Money | null;
  /** Why the amount is not known. */
  missing: string | null;
  /** Quantities of several months have a sum: those of highest values have none. */
  adds: boolean;
  /** Calculated months that it is the sum of. */
  months: number;
}

/** What a row is, held against the model. */
export const verdicts = ["agrees", "differs", "not_in_model", "not_known"] as const;

/** A row and what the model says of it; differences are the invoice less the model. */
export interface CheckedRow {
  row: BilledRow;
  verdict: (typeof verdicts)[number];
  expected: Expected | null;
  difference: { quantity: Money | null; price: Money | null; amount: Money | null };
  /** In words. */
  message: string;
}

/** What the model asks for and no row bills. */
export interface Unbilled {
  component: string;
  label: string | null;
  metric: string;
  amount: Money | null;
}

const none = { quantity: null, price: null, amount: null };

/**
 * Holds rows of an invoice for one meter against a price model, each over its own days: with the component of its
 * metric that fits it best by name, price and amount. A row and a line of the model are used once.
 */
export async function checkRows(
  db: Queryable,
  use: PriceUse,
  { meter, rows }: { meter: PricedMeter; rows: readonly BilledRow[] },
): Promise<{ rows: CheckedRow[]; unbilled: Unbilled[] }> {
  const checked = new Map<BilledRow, CheckedRow>();
  for (const row of rows) {
    const reason = unfit(row, use);
    if (reason !== undefined) checked.set(row, { row, ...reason, expected: null, difference: none });
  }
  const open = rows.filter((row) => !checked.has(row));
  const met = new Set<string>();
  for (const group of Map.groupBy(open, (row) => daysText(row.days!)).values()) {
    const expected = linesOf(await calculateDays(db, use, { meter, days: group[0]!.days! }));
    const pairs = pair(group, expected);
    for (const row of group) {
      const line = pairs.get(row);
      checked.set(row, line === undefined ? notInModel(row) : compare(row, line, use.currency));
      if (line !== undefined) met.add(nameOf(line));
    }
  }
  const whole = spanOf(open);
  const all = whole === null ? [] : linesOf(await calculateDays(db, use, { meter, days: whole }));
  const unbilled = all.filter((line) => !met.has(nameOf(line)) && line.amount?.isZero() !== true);
  return { rows: rows.map((row) => checked.get(row)!), unbilled };
}

/** How many values the check reads at most: what limits count. */
export function checkReads(
  { model }: PriceUse,
  { meter, rows }: { meter: PricedMeter; rows: readonly BilledRow[] },
): number {
  const days = new Map(rows.flatMap((row) => (row.days === null ? [] : [[daysText(row.days), row.days]])));
  const whole = spanOf(rows.filter((row) => row.days !== null));
  const spans = whole === null ? [] : [...days.values(), whole];
  return spans.reduce((sum, span) => sum + readsOf(meter.timezone, span, model.components), 0);
}

function unfit(row: BilledRow, { model }: PriceUse): Pick<CheckedRow, "verdict" | "message"> | undefined {
  if (row.contractType !== null && row.contractType !== model.key)
    return {
      verdict: "not_in_model",
      message: `A row of a ${row.contractType} contract; the price model is for ${model.key}.`,
    };
  if (row.days === null)
    return { verdict: "not_known", message: "The period of the row is not known; say it by hand." };
  return undefined;
}

function spanOf(rows: readonly BilledRow[]): { from: number; to: number } | null {
  if (rows.length === 0) return null;
  return {
    from: Math.min(...rows.map((row) => row.days!.from)),
    to: Math.max(...rows.map((row) => row.days!.to)),
  };
}

const nameOf = ({ component, label }: { component: string; label: string | null }) =>
  JSON.stringify([component, label]);

/** The lines of a model over some months: rows of the same component and window are one. */
function linesOf(months: readonly MonthCost[]): Expected[] {
  const lines = new Map<
    string,
    { about: Omit<Expected, "quantity" | "price" | "amount" | "months">; rows: Row[] }
  >();
  for (const { charges, missing } of months) {
    for (const { component, rows, amount } of charges) {
      if (component.kind === "vat") continue;
      const { name, metric, kind } = component;
      const about = { component: name, metric, missing: null, adds: kind !== "peak" };
      if (amount === null) {
        const reason = missing.find((lack) => lack.component === name)?.reason ?? "it is not known";
        lines.set(nameOf({ ...about, label: null }), {
          about: { ...about, label: null, unit: "", priceUnit: "", missing: reason },
          rows: [],
        });
      }
      for (const row of rows) {
        const { label, unit, priceUnit } = row;
        const known = lines.get(nameOf({ ...about, label }));
        if (known === undefined)
          lines.set(nameOf({ ...about, label }), {
            about: { ...about, label, unit, priceUnit },
            rows: [row],
          });
        else known.rows.push(row);
      }
    }
  }
  return [...lines.values()].map(({ about, rows }) => ({
    ...about,
    ...sumOf(rows, about),
    months: rows.length,
  }));
}

function sumOf(
  rows: readonly Row[],
  { missing, adds }: Pick<Expected, "missing" | "adds">,
): Pick<Expected, "quantity" | "price" | "amount"> {
  const [first] = rows;
  if (first === undefined || missing !== null) return { quantity: null, price: null, amount: null };
  const amount = total(rows.map((row) => row.amount));
  const quantity = adds || rows.length === 1 ? total(rows.map((row) => row.quantity)) : null;
  const same = rows.every((row) => row.price.eq(first.price));
  const mean = quantity === null || quantity.isZero() ? null : amount.div(quantity);
  return { quantity, price: same ? first.price : mean, amount };
}

/** Gives each row a line of its metric, the best pairs first. */
function pair(rows: readonly BilledRow[], lines: readonly Expected[]): Map<BilledRow, Expected> {
  const candidates = rows.flatMap((row) =>
    lines.filter((line) => fits(row, line)).map((line) => ({ row, line, score: scoreOf(row, line) })),
  );
  candidates.sort((a, b) => firstDifference(a.score, b.score));
  const found = new Map<BilledRow, Expected>();
  const taken = new Set<Expected>();
  for (const { row, line } of candidates) {
    if (found.has(row) || taken.has(line)) continue;
    found.set(row, line);
    taken.add(line);
  }
  return found;
}

function firstDifference(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((part, i) => part !== b[i]);
  return at < 0 ? 0 : a[at]! - b[at]!;
}

function fits(row: BilledRow, line: Expected): boolean {
  if (row.metric !== null && row.metric !== line.metric) return false;
  return row.metric !== null || row.quantityUnit === null || sizeIn(line.unit, row.quantityUnit) !== null;
}

/** The smaller the better: by name, by price, by amount. */
function scoreOf(row: BilledRow, line: Expected): number[] {
  const text = row.description.toLowerCase();
  const names = [line.component, line.label].filter((name) => name !== null);
  const named = names.filter((name) => text.includes(name.toLowerCase())).length;
  const price = printedPrice(row, line);
  const off = (a: Money | null, b: Money | null) =>
    a === null || b === null ? Number.MAX_VALUE : a.minus(b).abs().toNumber();
  return [-named, off(price, line.price), off(new Money(row.amount), line.amount)];
}

function printedPrice(row: BilledRow, line: Expected): Money | null {
  if (row.price === null) return null;
  return row.priceUnit === null ? null : priceIn(line.priceUnit, new Money(row.price), row.priceUnit);
}

function notInModel(row: BilledRow): CheckedRow {
  const about = row.metric === null ? "that fits it" : `of ${row.metric} that is left for it`;
  return {
    row,
    verdict: "not_in_model",
    expected: null,
    difference: none,
    message: `The price model has no component ${about}.`,
  };
}

function compare(row: BilledRow, line: Expected, currency: string): CheckedRow {
  if (line.amount === null) {
    const message = `${line.component} cannot be calculated: ${line.missing}.`;
    return { row, verdict: "not_known", expected: line, difference: none, message };
  }
  const quantity = differenceOf(row.quantity, line.quantity, quantityStep(row, line));
  const price = differenceOf(row.price, line.price, priceStep(row, line));
  const amount = new Money(row.amount).minus(line.amount);
  // Each month of the model is rounded, and so is the row.
  const tolerated = new Money(10)
    .pow(-placesOf(currency))
    .times(line.months + 1)
    .div(2);
  const said = [
    ...(quantity === null || quantity.isZero()
      ? []
      : [inWords("quantity", quantity, line.quantity!, line.unit)]),
    ...(price === null || price.isZero() ? [] : [inWords("price", price, line.price!, line.priceUnit)]),
    ...(amount.abs().lte(tolerated) ? [] : [inWords("amount", amount, line.amount, currency)]),
  ];
  const isSame = said.length === 0;
  return {
    row,
    verdict: isSame ? "agrees" : "differs",
    expected: line,
    difference: { quantity, price, amount },
    message: isSame ? `Agrees with ${titleOf(line)}.` : `Against ${titleOf(line)}: ${said.join("; ")}.`,
  };
}

const titleOf = ({ component, label }: Expected) => (label === null ? component : `${component}, ${label}`);

function inWords(what: string, difference: Money, ours: Money, unit: string): string {
  const more = difference.gt(0) ? "more" : "less";
  return `the ${what} is ${text(ours.plus(difference))} ${unit}, ${text(difference.abs())} ${more} than ${text(ours)}`;
}

const text = (value: Money) => String(shown(value));

/** How many of the line's unit one of the printed unit is; null when they cannot be compared. */
function quantityStep(row: BilledRow, { unit }: Expected): Money | null {
  return row.quantityUnit === null ? null : sizeIn(unit, row.quantityUnit);
}

function priceStep(row: BilledRow, { priceUnit }: Expected): Money | null {
  return row.priceUnit === null ? null : priceIn(priceUnit, new Money(1), row.priceUnit);
}

/** What is printed less ours, in our unit; 0 when they are the same at the printed precision, null when unknown. */
function differenceOf(printed: number | null, ours: Money | null, step: Money | null): Money | null {
  if (printed === null || ours === null || step === null) return null;
  const value = new Money(printed);
  const difference = value.times(step).minus(ours);
  const half = new Money(10).pow(-value.decimalPlaces()).times(step).div(2);
  return difference.abs().lte(half) ? new Money(0) : difference;
}
