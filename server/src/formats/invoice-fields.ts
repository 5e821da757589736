import { Decimal } from "decimal.js";
import { dateMs } from "./instant.ts";
import type { DayText, DecimalText, InvoicePeriod } from "./invoice.ts";
import { Fault } from "./problems.ts";
import { unitName } from "./unit-codes.ts";
import type { XmlNode } from "./xml-tree.ts";

/** More digits than any invoice has; what is longer is no amount. */
const digitsMax = 40;

/** Arithmetic on amounts: exact for everything that passes `decimalIn`. */
export const Exact = Decimal.clone({ precision: 100, rounding: Decimal.ROUND_HALF_UP });

/**
 * The decimal in an element, with the digits that it prints.
 * @throws Fault when it holds something else
 */
export function decimalIn(node: XmlNode, { mark = "." }: { mark?: "." | "," } = {}): DecimalText {
  const text = node.text.replace(mark, ".");
  if (
    text.length > digitsMax ||
    !/^[+-]?(\d+(\.\d*)?|\.\d+)$/.test(text) ||
    (mark === "," && /\./.test(node.text))
  ) {
    throw new Fault(
      `${node.name} holds ${shown(node.text)}, which is no decimal with "${mark}" as its mark.`,
      { line: node.line, field: node.name },
    );
  }
  return text
    .replace(/^\+/, "")
    .replace(/^(-?)\./, (_, sign: string) => `${sign}0.`)
    .replace(/\.$/, "");
}

/** The same decimal with the other sign. */
export function negated(text: DecimalText): DecimalText {
  if (/^-?0*\.?0*$/.test(text)) return text.replace("-", "");
  return text.startsWith("-") ? text.slice(1) : `-${text}`;
}

/** How the amounts of a document are written. */
interface AmountNotation {
  /** Currency of the document, ISO 4217. */
  currency: string;
  /** Attribute that repeats the currency at an amount. */
  attribute: string;
  mark?: "." | ",";
  /** Turns the sign: the document prints as positive what it credits. */
  turned: boolean;
}

/** Reads the amounts of one document, which are all in its currency. */
export class Amounts {
  readonly #notation: AmountNotation;

  constructor(notation: AmountNotation) {
    this.#notation = notation;
  }

  get currency(): string {
    return this.#notation.currency;
  }

  /**
   * The amount in an element, signed as the document means it.
   * @throws Fault when it is no amount, or in another currency
   */
  in(node: XmlNode): DecimalText {
    return this.signed(this.printed(node));
  }

  /** As `in`, with the sign as printed: prices. */
  printed(node: XmlNode): DecimalText {
    const { currency, attribute } = this.#notation;
    const own = node.attribute(attribute);
    if (own !== undefined && own !== currency) {
      throw new Fault(
        `${node.name} is in ${shown(own)} but the invoice in ${currency}: only invoices in one currency can be read.`,
        { line: node.line, field: node.name },
      );
    }
    return decimalIn(node, this.#notation);
  }

  /** As `in`; 0 when there is no such element or it is empty. */
  orZero(node: XmlNode | undefined): DecimalText {
    return node === undefined || node.text === "" ? "0" : this.in(node);
  }

  /** A quantity or amount with the sign that it has for the buyer. */
  signed(printed: DecimalText): DecimalText {
    return this.#notation.turned ? negated(printed) : printed;
  }
}

/**
 * A day as `2024-12-31`, also with a zone or time after it, or `20241231`.
 * @throws Fault for what is no day
 */
export function dayIn(node: XmlNode): DayText {
  const text = node.text;
  const match = /^(\d{4})-?(\d\d)-?(\d\d)(?:$|[T Z+-]|\d{4}(?:\d\d)?$)/.exec(text);
  const [year = 0, month = 0, day = 0] = match === null ? [] : match.slice(1, 4).map(Number);
  if (match === null || Number.isNaN(dateMs(year, month, day))) {
    throw new Fault(`${node.name} holds ${shown(text)}, which is no day.`, {
      line: node.line,
      field: node.name,
    });
  }
  return `${match[1]}-${match[2]}-${match[3]}`;
}

/**
 * The days between two elements; null unless both are there.
 * @throws Fault when the end lies before the start
 */
export function periodOf(from: XmlNode | undefined, to: XmlNode | undefined): InvoicePeriod | null {
  if (from === undefined || to === undefined || from.text === "" || to.text === "") return null;
  const period = { from: dayIn(from), to: dayIn(to) };
  if (period.to < period.from) {
    throw new Fault(`The period ends on ${period.to}, before it starts on ${period.from}.`, {
      line: to.line,
      field: to.name,
    });
  }
  return period;
}

/**
 * The element at the end of a path.
 * @throws Fault naming what is missing, at the line of the element that lacks it
 */
export function needed(node: XmlNode, ...path: readonly string[]): XmlNode {
  const found = node.at(...path);
  if (found !== undefined && (found.text !== "" || found.children.length > 0)) return found;
  throw new Fault(`${node.name} has no ${path.join("/")}. Ask the sender for a complete invoice.`, {
    line: found?.line ?? node.line,
    field: path.join("/"),
  });
}

/** What a price is said to be for. */
export interface PrintedPrice {
  amount: DecimalText;
  /** How many units it is for; null when not stated, which means 1. */
  base: DecimalText | null;
  quantity: DecimalText | null;
  /** Net amount of the row. */
  net: DecimalText;
}

/**
 * The price of one unit. Some senders repeat the price as its base quantity (seen in an example of the European
 * standard): the reading that gives the amount of the row counts then, and null when neither does.
 */
export function priceOfOne({ amount, base, quantity, net }: PrintedPrice): DecimalText | null {
  if (base === null || new Exact(base).eq(1)) return amount;
  if (new Exact(base).eq(0)) return null;
  const divided = new Exact(amount).div(base);
  const written = (price: Decimal) => price.toSignificantDigits(12).toFixed();
  if (quantity === null || !new Exact(base).eq(amount)) return written(divided);
  const gives = (price: Decimal) => {
    const told = new Exact(net).abs();
    return price.times(quantity).abs().minus(told).abs().lte(told.times("0.01").plus("0.01"));
  };
  if (gives(divided)) return written(divided);
  return gives(new Exact(amount)) ? amount : null;
}

/** As in `SEK/kWh`; null when the price has no unit. */
export function priceUnitOf(currency: string, unit: string | null): string | null {
  return unit === null ? null : `${currency}/${unitName(unit)}`;
}

/** Text of a document in a message: short and in one line. */
export function shown(text: string): string {
  if (text === "") return "nothing";
  return `"${text.length > 60 ? `${text.slice(0, 60)}…` : text}"`;
}
