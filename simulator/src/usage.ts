import { dayMs, hourMs, localOf } from "./calendar.ts";
import { chance } from "./dice.ts";

/** What a metering point is used for; it decides the shape of its day and year. */
export type Profile = "home" | "office" | "solar" | "heat" | "water";

interface Used {
  seed: number;
  profile: Profile;
  /** Mean per hour in the unit of the metric. */
  scale: number;
}

const around = (hour: number, middle: number, width: number) => Math.exp(-(((hour - middle) / width) ** 2));

/** Shares of the mean by local hour. */
const hours: Readonly<Record<Profile, readonly number[]>> = {
  home: hourly((h) => 0.6 + 0.9 * around(h, 19, 3) + 0.5 * around(h, 7, 2)),
  office: hourly((h) => 0.4 + 1.3 * around(h, 12.5, 4.5)),
  solar: hourly((h) => (h > 4 && h < 21 ? 3 * around(h, 12.5, 3.2) : 0)),
  heat: hourly((h) => 0.9 + 0.3 * around(h, 6, 3)),
  water: hourly((h) => 0.2 + 1.6 * around(h, 7.5, 2) + 1.2 * around(h, 19, 2.5)),
};

function hourly(shape: (hour: number) => number): number[] {
  return Array.from({ length: 24 }, (_, hour) => shape(hour + 0.5));
}

/** How much the season moves the use: up in winter, or down for the sun. */
const seasonal: Readonly<Record<Profile, number>> = {
  home: 0.25,
  office: 0.1,
  solar: -0.85,
  heat: 0.8,
  water: 0,
};

const middleOfWinter = Date.UTC(2024, 0, 15);

/**
 * What is used from an instant on, in thousandths of the unit: whole numbers, so that sums are exact. The same meter and
 * instant always give the same.
 */
export function usageOf({ seed, profile, scale }: Used, at: number, minutes: number): number {
  const local = localOf(at);
  const hour = Math.floor((local % dayMs) / hourMs);
  const season = Math.cos(((local - middleOfWinter) / (365.25 * dayMs)) * 2 * Math.PI);
  const isWeekend = ((Math.floor(local / dayMs) + 4) % 7) % 6 === 0;
  const week = profile === "office" && isWeekend ? 0.4 : 1;
  const dice = 0.7 + 0.6 * chance(seed, Math.floor(at / 60_000));
  const mean = scale * hours[profile][hour]! * (1 + seasonal[profile] * season) * week;
  return Math.round((mean * dice * 1000 * minutes) / 60);
}
