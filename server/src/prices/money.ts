import { Decimal } from "decimal.js";

/**
 * Decimals of money: 60 digits are more than any product of a quantity and a price has, so that nothing is rounded
 * before it is meant to be. Half a unit goes away from zero, as invoices round.
 */
export const Money = Decimal.clone({ precision: 60, rounding: Decimal.ROUND_HALF_UP });
export type Money = Decimal;

/** Places of the decimals of a quantity or a mean price that an answer shows. */
const shownPlaces = 6;

const places = new Map<string, number>();

/** Decimal places of the smallest unit of a currency: 2 for SEK, 0 for JPY. */
export function placesOf(currency: string): number {
  let known = places.get(currency);
  if (known === undefined) {
    known = new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions()
      .maximumFractionDigits!;
    places.set(currency, known);
  }
  return known;
}

/** An amount in whole smallest units of its currency: how each row is rounded. */
export function rounded(amount: Money, currency: string): Money {
  return amount.toDecimalPlaces(placesOf(currency));
}

/** A share of an amount, rounded so that the shares of all steps add up to it: step `from` to `to` of `of`. */
export function shareOf(
  amount: Money,
  { from, to, of, currency }: { from: number; to: number; of: number; currency: string },
): Money {
  const upTo = (step: number) => rounded(amount.times(step).div(of), currency);
  return upTo(to).minus(upTo(from));
}

/** A decimal as a JSON number; at most six places. */
export function shown(value: Money): number {
  return value.toDecimalPlaces(shownPlaces).toNumber() + 0;
}

/** Sum of amounts. */
export function total(amounts: Iterable<Money>): Money {
  let sum = new Money(0);
  for (const amount of amounts) sum = sum.plus(amount);
  return sum;
}
