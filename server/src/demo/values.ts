import { type Granularity, minutesOf } from "../platform/granularity.ts";
import { granuleStarts } from "../platform/time/granule.ts";
import { localOf } from "../platform/time/zone.ts";
import type { City, DemoMeter, Use } from "./world.ts";

/** Values of one meter, in the base unit of its metric. */
export interface DemoValues {
  starts: Float64Array;
  values: Float64Array;
}

const hour = 3_600_000;
const day = 24 * hour;
const year = 365.25 * day;

/**
 * Values that look like those of real buildings: seasons, working days, showers in the morning, weather that heating
 * and cooling follow. The same meter and range always give the same values, on every machine.
 */
export function demoValues(meter: DemoMeter, city: City, range: { from: number; to: number }): DemoValues {
  const times = timesOf(city.timezone, meter.granularity, range);
  const seed = seedOf(meter.ean);
  const weatherSeed = seedOf(city.name);
  const share = (minutesOf[meter.granularity as keyof typeof minutesOf] ?? 60) / 60;
  const use = uses[meter.use];
  const values = new Float64Array(times.starts.length);
  for (let i = 0; i < values.length; i++) {
    const at = times.starts[i]!;
    const local = times.locals[i]!;
    const moment: Moment = {
      hour: (local % day) / hour,
      isWorkday: ((Math.floor(local / day) + 4) % 7) % 6 !== 0,
      season: Math.cos(((local - peakOfSummer) / year) * 2 * Math.PI),
      outdoorC: outdoorTemperature(city, weatherSeed, local),
      cloud: smooth(weatherSeed + 7, at / (9 * hour)),
      chance: chance(seed, i),
    };
    const value = use(moment, meter.scale) * (isAmount(meter.use) ? share : 1);
    values[i] = Math.round(value * 1000) / 1000;
  }
  return withGaps({ starts: times.starts, values }, meter, seed);
}

/** Sensors state a level; all others an amount per granule. */
const isAmount = (use: Use) => use !== "indoor" && use !== "outdoor";

interface Moment {
  /** Local hour of the day with fractions. */
  hour: number;
  isWorkday: boolean;
  /** 1 in the middle of July, -1 in the middle of January. */
  season: number;
  outdoorC: number;
  /** 0 clear to 1 overcast. */
  cloud: number;
  /** 0 to 1, anew for every value. */
  chance: number;
}

const peakOfSummer = Date.UTC(2024, 6, 16);

/** A bump of height 1 around an hour of the day. */
const around = (at: number, middle: number, width: number) => Math.exp(-(((at - middle) / width) ** 2));

const atWork = ({ isWorkday, hour }: Moment) => (isWorkday && hour >= 7 && hour < 18 ? 1 : 0);

const uses: Readonly<Record<Use, (moment: Moment, scale: number) => number>> = {
  electricity: (m, scale) =>
    scale *
    (0.55 + 0.35 * around(m.hour, 19, 3) + 0.2 * around(m.hour, 7.5, 2) - 0.12 * m.season + 0.15 * m.chance),
  office: (m, scale) => scale * (0.22 + 0.6 * atWork(m) * (0.8 + 0.2 * m.chance) + 0.05 * m.chance),
  heat: (m, scale) => (scale * Math.max(0.8 + m.chance, 17 - m.outdoorC)) / 17,
  cooling: (m, scale) =>
    (scale * Math.max(0, m.outdoorC - 15) * (0.3 + 0.7 * atWork(m)) * (0.9 + 0.2 * m.chance)) / 10,
  water: (m, scale) => drawn(m, scale),
  "hot-water": (m, scale) => drawn(m, scale) * (1 - 0.15 * m.season),
  solar: (m, scale) => {
    const halfDay = 6 + 3.2 * m.season;
    const height = Math.cos(((m.hour - 12.5) / halfDay) * (Math.PI / 2));
    return Math.abs(m.hour - 12.5) > halfDay
      ? 0
      : scale * height * (0.55 + 0.35 * m.season) * (1 - 0.8 * m.cloud);
  },
  indoor: (m, scale) =>
    scale + 0.4 * around(m.hour, 17, 4) + Math.max(0, m.outdoorC - 20) * 0.35 + 0.2 * (m.chance - 0.5),
  outdoor: (m) => m.outdoorC + 0.4 * (m.chance - 0.5),
};

/** Taps: nothing in many hours of the night, showers in the morning, dishes in the evening. */
function drawn({ hour, isWorkday, chance }: Moment, scale: number): number {
  const morning = around(hour, isWorkday ? 7 : 9.5, 1.8);
  const level = 0.08 + morning + 0.8 * around(hour, 19.5, 2.5) + 0.3 * around(hour, 13, 3);
  return level < 0.12 && chance < 0.6 ? 0 : scale * level * (0.6 + 0.8 * chance);
}

function outdoorTemperature(city: City, seed: number, local: number): number {
  const season = Math.cos(((local - peakOfSummer) / year) * 2 * Math.PI);
  const daily = Math.cos((((local % day) / hour - 15) / 24) * 2 * Math.PI) * (2 + 1.5 * season);
  const fronts =
    (smooth(seed, local / (4 * day)) - 0.5) * 12 + (smooth(seed + 3, local / (14 * hour)) - 0.5) * 3;
  return city.meanC + city.swingC * season + daily + fronts;
}

/** Random numbers at whole `x`, and a smooth line between them. */
function smooth(seed: number, x: number): number {
  const step = Math.floor(x);
  const part = x - step;
  const bend = part * part * (3 - 2 * part);
  return chance(seed, step) * (1 - bend) + chance(seed, step + 1) * bend;
}

/** An even number in [0, 1) that depends on nothing but its two arguments (mixing steps of MurmurHash3). */
function chance(seed: number, index: number): number {
  let mixed = Math.imul(seed ^ Math.imul(index, 0xcc9e2d51), 0x1b873593);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return ((mixed ^ (mixed >>> 16)) >>> 0) / 0x1_0000_0000;
}

function seedOf(text: string): number {
  let seed = 17;
  for (const char of text) seed = Math.imul(seed, 31) + char.charCodeAt(0);
  return seed;
}

interface Times {
  starts: Float64Array;
  /** The wall clock at each start, as if it were UTC. */
  locals: Float64Array;
}

const known = new Map<string, Times>();

/** Meters of one zone share their times. */
function timesOf(zone: string, granularity: Granularity, range: { from: number; to: number }): Times {
  const key = `${zone} ${granularity} ${range.from} ${range.to}`;
  let times = known.get(key);
  if (times === undefined) {
    const starts = Float64Array.from(granuleStarts(granularity, zone, range));
    known.clear();
    known.set(key, (times = { starts, locals: starts.map((at) => localOf(zone, at)) }));
  }
  return times;
}

function withGaps(all: DemoValues, { flaw }: DemoMeter, seed: number): DemoValues {
  const { starts, values } = all;
  const middle = Math.floor(starts.length * 0.6);
  const isMissing =
    flaw === "long gap"
      ? (i: number) => i >= middle && i < middle + 3 * 24
      : flaw === "scattered gaps"
        ? (i: number) => chance(seed + 11, Math.floor(i / 3)) < 0.01
        : undefined;
  if (isMissing === undefined) return all;
  return {
    starts: starts.filter((_, i) => !isMissing(i)),
    values: values.filter((_, i) => !isMissing(i)),
  };
}
