/** `LocalTimeParameters` as printed; `""` for what is absent. */
export interface LocalTime {
  tzOffset: string;
  dstOffset: string;
  dstStartRule: string;
  dstEndRule: string;
}

/** The zone of local time parameters, or what is wrong with them. */
export type ZoneAnswer = { zone: string } | { problem: string };

const noRule = "FFFFFFFF";

/** Hours east of UTC without daylight saving to the zone that carries the rules of today and of the past. */
const northAmerica: Record<string, string> = {
  "-10": "America/Adak",
  "-9": "America/Anchorage",
  "-8": "America/Los_Angeles",
  "-7": "America/Denver",
  "-6": "America/Chicago",
  "-5": "America/New_York",
  "-4": "America/Halifax",
  "-3.5": "America/St_Johns",
};
const europe: Record<string, string> = { 0: "Europe/London", 1: "Europe/Berlin", 2: "Europe/Helsinki" };
const australia: Record<string, string> = { 9.5: "Australia/Adelaide", 10: "Australia/Sydney" };
const newZealand: Record<string, string> = { 12: "Pacific/Auckland" };

/** Zones without daylight saving whose offset is no whole hour, for which `Etc/GMT` has no name. */
const halfHours: Record<string, string> = {
  "-9.5": "Pacific/Marquesas",
  4.5: "Asia/Kabul",
  5.5: "Asia/Kolkata",
  5.75: "Asia/Kathmandu",
  6.5: "Asia/Yangon",
  9.5: "Australia/Darwin",
};

/**
 * IANA zone of ESPI local time parameters. Why by name and not by the rules: a rule describes one
 * year, while the zone also knows the years before a law changed.
 */
export function zoneOf(local: LocalTime): ZoneAnswer {
  const seconds = Number(local.tzOffset);
  if (local.tzOffset === "" || !Number.isInteger(seconds) || Math.abs(seconds) > 14 * 3600) {
    return { problem: `tzOffset "${local.tzOffset}" is no offset from UTC in seconds` };
  }
  const hours = seconds / 3600;
  const start = local.dstStartRule.toUpperCase();
  const end = local.dstEndRule.toUpperCase();
  const without = (rule: string) => rule === noRule || rule === "" || /^0+$/.test(rule);
  if ((without(start) && without(end)) || Number(local.dstOffset) === 0) return fixedZone(hours);
  const rules = [start, end].map(ruleOf);
  if (rules[0] === undefined || rules[1] === undefined) {
    return { problem: `the daylight saving rules "${start}" and "${end}" are no 8 hexadecimal digits each` };
  }
  const zone = zonesByRules(rules[0], rules[1])?.[String(hours)];
  if (zone !== undefined) return { zone };
  const described = `${hours} h from UTC with daylight saving from ${rules[0]} to ${rules[1]}`;
  return { problem: `no known region has ${described}` };
}

function fixedZone(hours: number): ZoneAnswer {
  if (hours === 0) return { zone: "Etc/UTC" };
  // The sign of Etc/GMT counts westwards.
  if (Number.isInteger(hours)) return { zone: hours > 0 ? `Etc/GMT-${hours}` : `Etc/GMT+${-hours}` };
  const zone = halfHours[String(hours)];
  return zone === undefined ? { problem: `no known region is ${hours} h from UTC all year` } : { zone };
}

/**
 * A rule as `month/which weekday`: bits 12-16 hour, 17-19 weekday (Monday 1), 20-24 day of month,
 * 25-27 operator (1 weekday on or after the day, 2 first … 5 fourth, 7 last weekday), 28-31 month.
 * "On or after day 1, 8, 15, 22" says the same as first … fourth, "on or after 25" as last of 31 days.
 */
function ruleOf(hex: string): string | undefined {
  if (!/^[0-9A-F]{8}$/.test(hex)) return undefined;
  const bits = Number.parseInt(hex, 16);
  const weekday = (bits >>> 17) & 7;
  const day = (bits >>> 20) & 31;
  const operator = (bits >>> 25) & 7;
  const month = bits >>> 28;
  if (operator === 1) {
    const which = { 1: "first", 8: "second", 15: "third", 22: "fourth", 25: "last" }[day] ?? `from ${day}`;
    return `${month}/${which} ${weekday}`;
  }
  const which = ["day", "", "first", "second", "third", "fourth", "fifth", "last"][operator];
  return operator === 0 ? `${month}/day ${day}` : `${month}/${which} ${weekday}`;
}

function zonesByRules(start: string, end: string): Record<string, string> | undefined {
  const rules = `${start} ${end}`;
  if (rules === "3/second 7 11/first 7") return northAmerica;
  if (rules === "3/last 7 10/last 7") return europe;
  if (rules === "10/first 7 4/first 7") return australia;
  return rules === "9/last 7 4/first 7" ? newZealand : undefined;
}
