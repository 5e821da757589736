import { offsetAt } from "../platform/time/zone.ts";
import type { Conditions } from "./component.ts";

const hourMs = 3_600_000;
const dayMs = 86_400_000;
const weekdays = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;

/** The calendar that conditions are about. */
export interface Calendar {
  zone: string;
  /** Holidays, YYYYMMDD. */
  holidays: ReadonlySet<string>;
}

/** The wall clock of an instant, as conditions look at it. */
export interface WallClock {
  /** Days since 1970 of the local calendar. */
  day: number;
  weekday: (typeof weekdays)[number] | "holiday";
  /** 1 to 12. */
  month: number;
  hour: number;
}

/** Reads the wall clock of instants, day by day: instants come in runs. */
export function wallClockOf({ zone, holidays }: Calendar): (at: number) => WallClock {
  let known: Omit<WallClock, "hour"> | undefined;
  return (at) => {
    const local = at + offsetAt(zone, at);
    const day = Math.floor(local / dayMs);
    if (known?.day !== day) {
      const date = new Date(day * dayMs);
      const text = date.toISOString().slice(0, 10).replaceAll("-", "");
      // 1970-01-01 was a Thursday.
      const weekday = holidays.has(text) ? "holiday" : weekdays[(((day + 3) % 7) + 7) % 7]!;
      known = { day, weekday, month: date.getUTCMonth() + 1 };
    }
    return { ...known, hour: Math.floor((local - day * dayMs) / hourMs) };
  };
}

/** Makes the test of conditions: all that are given must be met; without any, every time fits. */
export function conditionTest({ days, hours, months }: Conditions): (clock: WallClock) => boolean {
  const ranges = hours?.map((text) => text.split("-").map(Number) as [number, number]);
  return (clock) =>
    (days === undefined || days.includes(clock.weekday)) &&
    (months === undefined || months.includes(clock.month)) &&
    (ranges === undefined || ranges.some(([from, to]) => isWithin(clock.hour, from, to)));
}

/** `from` until before `to`; over midnight when `to` is not after `from`. */
function isWithin(hour: number, from: number, to: number): boolean {
  return from < to ? hour >= from && hour < to : hour >= from || hour < to;
}
