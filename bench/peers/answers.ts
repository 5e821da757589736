import { type MonthSum, months, nameOf, year } from "./peer.ts";

const hour = 3_600_000;

/** How many values are there: NaN is a gap. */
export function present(values: Float64Array): number {
  return values.reduce((count, value) => (Number.isNaN(value) ? count : count + 1), 0);
}

/** Sums over all meters of the first `count` hours, exact: the values are whole thousandths. */
export function sumsOf(years: readonly Float64Array[], count: number): Float64Array {
  const sums = new Float64Array(count);
  for (const values of years) {
    for (let i = 0; i < count; i++) if (!Number.isNaN(values[i]!)) sums[i]! += Math.round(values[i]! * 1000);
  }
  return sums.map((sum) => sum / 1000);
}

/** Throws unless there are 12 right months of every meter. */
export function equalMonths(sums: readonly MonthSum[], years: readonly Float64Array[]): void {
  equal("number of months", sums.length, years.length * months.length);
  const meters = new Map(years.map((values, meter) => [nameOf(meter), values]));
  for (const { meter, month, sum } of sums) {
    const [from, to] = [months[month]!.from, months[month]!.to].map((time) => (time - year.from) / hour);
    const expected = sumsOf([meters.get(meter)!.subarray(from, to)], to! - from!).reduce((a, b) => a + b, 0);
    near(`month ${month + 1} of ${meter}`, sum, expected);
  }
}

/** Throws unless every hour has the right sum. */
export function equalSums(name: string, actual: Float64Array, expected: Float64Array): void {
  equal(`${name}: length`, actual.length, expected.length);
  for (const [i, sum] of expected.entries()) near(`${name}, hour ${i}`, actual[i]!, sum);
}

/** Throws unless every value and every gap is the same, bit for bit. */
export function equalYear(name: string, actual: Float64Array, expected: Float64Array): void {
  equal(`${name}: length`, actual.length, expected.length);
  for (const [i, value] of expected.entries()) equal(`${name}, hour ${i}`, actual[i]!, value);
}

/** The peers add doubles, so that the last digits depend on the order. */
function near(name: string, actual: number, expected: number): void {
  if (!(Math.abs(actual - expected) <= 1e-9 * Math.max(1, Math.abs(expected))))
    throw new Error(`${name}: ${actual} instead of ${expected}`);
}

/** Throws unless both are the same; NaN is the same as NaN. */
export function equal(name: string, actual: number, expected: number): void {
  if (!Object.is(actual, expected)) throw new Error(`${name}: ${actual} instead of ${expected}`);
}
