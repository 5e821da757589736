import { localOf, offsetAt, stretches } from "../../platform/time/zone.ts";

/** `LocalTimeParameters` of ESPI, as printed. */
export interface LocalTime {
  dstEndRule: string;
  dstOffset: string;
  dstStartRule: string;
  tzOffset: string;
}

const noRule = "FFFFFFFF";
const day = 86_400_000;
/** Two changes by the same rules lie within it, wherever it begins. */
const aheadMs = 400 * day;

/** How a zone keeps its time at `now`: ESPI knows the rules of one year, not their history. */
export function localTimeOf(zone: string, now: number): LocalTime {
  const changes = [...stretches(zone, now, now + aheadMs)].slice(1, 3);
  const offsets = [offsetAt(zone, now), ...changes.map(({ offset }) => offset)];
  const standard = Math.min(...offsets);
  const summer = Math.max(...offsets);
  const start = changes.find(({ offset }) => offset === summer);
  const end = changes.find(({ offset }) => offset === standard);
  if (summer === standard || start === undefined || end === undefined) {
    const offset = String(offsetAt(zone, now) / 1000);
    return { dstEndRule: noRule, dstOffset: "0", dstStartRule: noRule, tzOffset: offset };
  }
  return {
    dstEndRule: ruleOf(localOf(zone, end.from - 1) + 1),
    dstOffset: String((summer - standard) / 1000),
    dstStartRule: ruleOf(localOf(zone, start.from - 1) + 1),
    tzOffset: String(standard / 1000),
  };
}

/**
 * The rule that a wall-clock time of change follows, in hexadecimal: bits 0-11 seconds of the hour, 12-16 hour, 17-19
 * weekday (Monday 1), 20-24 day of month (unused here), 25-27 operator (2 first … 5 fourth, 7 last weekday of the
 * month), 28-31 month.
 */
function ruleOf(local: number): string {
  const at = new Date(local);
  const isLast = new Date(local + 7 * day).getUTCMonth() !== at.getUTCMonth();
  const operator = isLast ? 7 : 1 + Math.ceil(at.getUTCDate() / 7);
  const weekday = at.getUTCDay() === 0 ? 7 : at.getUTCDay();
  const seconds = at.getUTCMinutes() * 60 + at.getUTCSeconds();
  const parts: [number, number][] = [
    [at.getUTCMonth() + 1, 28],
    [operator, 25],
    [weekday, 17],
    [at.getUTCHours(), 12],
    [seconds, 0],
  ];
  const bits = parts.reduce((sum, [value, place]) => sum + value * 2 ** place, 0);
  return bits.toString(16).toUpperCase().padStart(8, "0");
}
