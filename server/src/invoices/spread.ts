import type { DayText, DecimalText, InvoicePeriod } from "../formats/format.ts";
import { Money } from "./money.ts";

/** How the amount of a row was divided into months. */
export const spreads = ["days", "consumption", "month"] as const;
export type Spread = (typeof spreads)[number];

/** The days of one month that a period covers. */
export interface MonthShare {
  /** YYYYMM. */
  month: number;
  from: DayText;
  /** Included. */
  to: DayText;
  days: number;
}

const dayMs = 86_400_000;
/** Nobody is billed for more at once; a longer period is a mistake in the document. */
export const periodMonthsMax = 120;

/** Days since 1970 of a calendar day. */
export function dayNumber(day: DayText): number {
  return Date.parse(`${day}T00:00:00Z`) / dayMs;
}

const dayText = (number: number): DayText => new Date(number * dayMs).toISOString().slice(0, 10);

/** The months that a period touches, with their days of it. Calendar days: a change of the clock does not matter. */
export function monthsOf({ from, to }: InvoicePeriod): MonthShare[] {
  const last = dayNumber(to);
  const shares: MonthShare[] = [];
  for (let at = dayNumber(from); at <= last; ) {
    const date = new Date(at * dayMs);
    const next = Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1) / dayMs;
    const end = Math.min(next - 1, last);
    const month = date.getUTCFullYear() * 100 + date.getUTCMonth() + 1;
    shares.push({ month, from: dayText(at), to: dayText(end), days: end - at + 1 });
    at = next;
  }
  return shares;
}

/**
 * Divides an amount by weights so that the parts sum exactly to it: in hundredths, or in the smallest unit that the
 * amount is written in. What is left over after rounding down goes to the parts with the largest remainders, the
 * earlier one of equals. No part has another sign than the amount.
 *
 * @param weights whole numbers ≥ 0, at least one of them above 0
 */
export function divide(amount: DecimalText, weights: readonly bigint[]): DecimalText[] {
  const exact = new Money(amount);
  const places = Math.max(2, exact.decimalPlaces());
  const unit = new Money(10).pow(-places);
  const units = BigInt(exact.abs().div(unit).toFixed(0));
  const total = weights.reduce((sum, weight) => sum + weight, 0n);
  const parts = weights.map((weight, index) => ({
    index,
    whole: (units * weight) / total,
    rest: (units * weight) % total,
  }));
  let left = units - parts.reduce((sum, part) => sum + part.whole, 0n);
  const byRest = parts.toSorted((a, b) => (a.rest === b.rest ? a.index - b.index : a.rest < b.rest ? 1 : -1));
  for (const part of byRest) {
    if (left === 0n) break;
    part.whole++;
    left--;
  }
  const sign = exact.isNegative() ? -1 : 1;
  return parts.map((part) => unit.mul(part.whole.toString()).mul(sign).toFixed());
}
