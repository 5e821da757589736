import { DecimalSum, difference, multiplyExact, roundTo } from "../../platform/decimal.ts";

/** How heating degree days are counted, °C. */
export interface DegreeDayRule {
  /** What a day is measured against. */
  base: number;
  /** Days that are as warm as this, or warmer, count nothing. */
  limit: number;
}

/**
 * Heating degree days of a day, from the temperatures of all its hours: how far its mean lies below the base, in kelvins
 * with two decimals; 0 when it lies above, or the day is as warm as the limit.
 */
export function degreeDay(temperatures: readonly number[], { base, limit }: DegreeDayRule): number {
  const hours = temperatures.length;
  const sum = new DecimalSum();
  for (const each of temperatures) sum.add(each);
  const total = sum.toNumber();
  if (difference(total, multiplyExact(limit, hours)) >= 0) return 0;
  return Math.max(0, roundTo(difference(multiplyExact(base, hours), total) / hours, 2));
}
