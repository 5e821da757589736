import { dayMs, dayOf, firstDayOf, hourMs, monthOf, startOfDay } from "./calendar.ts";
import { between, chance, seedOf } from "./dice.ts";
import { type Fault, type FaultBook, revisedDays } from "./faults.ts";
import { usageOf } from "./usage.ts";
import { type Meter, serialOn, type World } from "./world.ts";

/** How a value came about, in the utility's words. */
export type Status = "measured" | "estimated" | "corrected";

/** A value that customers can see. */
export interface PublishedValue {
  /** Epoch milliseconds. */
  start: number;
  end: number;
  /** Thousandths of the unit: whole numbers, exact. */
  milli: number;
  status: Status;
  /** When it became what it is. */
  changedAt: number;
}

/** What the register of a device showed, in whole thousandths; after `digits` digits it starts again at zero. */
export interface Reading {
  serial: string;
  from: number;
  to: number;
  startMilli: number;
  endMilli: number;
}

export interface PublishedMonth extends PublishedValue {
  month: number;
  /** Of metering points without finer values. */
  readings: readonly Reading[];
}

/**
 * What the utility has published of its metering points at an instant. Nothing is stored: it follows from the seed,
 * the instant and the faults, so a question about the past gets the answer of the past.
 */
export interface Publication {
  /** Values of a day, in the order of time; what is not there yet is left out. */
  day(meter: Meter, day: number, resolution: "15min" | "hour"): PublishedValue[];
  /** A month, once it is complete. */
  month(meter: Meter, month: number): PublishedMonth | undefined;
  /** Do rows of a day stand twice in files? */
  isTwice(meter: Meter, day: number): boolean;
}

interface DayPlan {
  at: number;
  /** When the second half of the day follows. */
  secondAt: number;
  correctedAt: number | null;
  rewrittenAt: number | null;
}

interface Ground {
  world: World;
  faults: FaultBook;
  now: number;
}

/** @param ground.now the instant, on the utility's clock */
export function publicationAt(ground: Ground): Publication {
  // Faults of a customer do not change while one question is answered.
  const revisions = new Map<string, readonly Fault[]>();
  const revisionsOf = (username: string) => {
    let found = revisions.get(username);
    if (found === undefined) revisions.set(username, (found = ground.faults.revisions(username)));
    return found;
  };
  const day: Publication["day"] = (meter, each, resolution) => {
    const values = finestOf(ground, meter, each, revisionsOf(meter.username));
    return resolution === "hour" && meter.resolutions[0] === "15min" ? hoursOf(values) : values;
  };
  return {
    day,
    month: (meter, month) =>
      meter.resolutions.length === 0
        ? readMonth(ground, meter, month, revisionsOf(meter.username))
        : summedMonth(ground, meter, month, day),
    isTwice: (meter, each) =>
      chance(seedOf(meter.seed, "twice"), each) < habitsOf(ground.world, meter).duplicates,
  };
}

const habitsOf = (world: World, { username }: Meter) => world.customers.get(username)!.habits;

/** Does a metering point have values of a day? */
export function isOn({ from, to }: Meter, day: number): boolean {
  return day >= from && (to === null || day < to);
}

function planOf({ world, faults }: Ground, meter: Meter, day: number): DayPlan {
  const { seed, username } = meter;
  const habits = habitsOf(world, meter);
  const own = seedOf(seed, "day") + day * 16;
  const usual = startOfDay(day + 1) + between(own, 1, [5 * 60, 10 * 60]) * 60_000;
  const due = usual + (chance(own, 2) < habits.late ? between(own, 3, [1, 5]) * dayMs : 0);
  const second = due + (chance(own, 4) < habits.halves ? between(own, 5, [1, 2]) * dayMs : 0);
  const month = monthOf(day);
  const ownMonth = seedOf(seed, "month") + month * 16;
  const isRewritten = chance(ownMonth, 1) < habits.rewrites;
  return {
    at: faults.delayed(username, due, false),
    secondAt: faults.delayed(username, second, true),
    correctedAt:
      chance(own, 6) < habits.corrections
        ? faults.delayed(username, usual + between(own, 7, [24, 480]) * hourMs, false)
        : null,
    rewrittenAt: isRewritten
      ? faults.delayed(
          username,
          startOfDay(firstDayOf(month + 1)) + between(ownMonth, 2, [10, 30]) * dayMs,
          false,
        )
      : null,
  };
}

function finestOf(ground: Ground, meter: Meter, day: number, revisions: readonly Fault[]): PublishedValue[] {
  const { now } = ground;
  const [finest] = meter.resolutions;
  const from = startOfDay(day);
  if (finest === undefined || !isOn(meter, day) || from >= now) return [];
  const plan = planOf(ground, meter, day);
  if (plan.at > now && plan.secondAt > now) return [];
  const to = startOfDay(day + 1);
  const minutes = finest === "15min" ? 15 : 60;
  const noon = from + 12 * hourMs;
  const touching = revisions.filter((each) => each.from <= now && touches(each, day));
  const values: PublishedValue[] = [];
  for (let start = from; start < to; start += minutes * 60_000) {
    const publishedAt = start < noon ? plan.at : plan.secondAt;
    if (publishedAt > now) continue;
    const value = slotOf(meter, plan, { start, minutes, publishedAt, now });
    values.push(touching.length === 0 ? value : revised(value, touching));
  }
  return values;
}

interface Moment {
  start: number;
  minutes: number;
  publishedAt: number;
  now: number;
}

function slotOf(meter: Meter, plan: DayPlan, { start, minutes, publishedAt, now }: Moment): PublishedValue {
  const value: PublishedValue = {
    start,
    end: start + minutes * 60_000,
    milli: usageOf(meter, start, minutes),
    status: "measured",
    changedAt: publishedAt,
  };
  const slot = Math.floor(start / 60_000);
  const { correctedAt, rewrittenAt } = plan;
  if (correctedAt !== null && chance(meter.seed + 5, slot) < 0.33 && correctedAt > publishedAt) {
    const isCorrected = correctedAt <= now;
    value.status = isCorrected ? "corrected" : "estimated";
    if (isCorrected) value.changedAt = correctedAt;
    else value.milli = Math.round(value.milli * (0.5 + chance(meter.seed + 6, slot))) + 1;
  }
  if (rewrittenAt !== null && rewrittenAt > publishedAt) {
    if (rewrittenAt > now) value.milli = Math.round(value.milli * 0.97);
    else {
      value.changedAt = Math.max(value.changedAt, rewrittenAt);
      value.status = "corrected";
    }
  }
  return value;
}

function touches(revision: Fault, day: number): boolean {
  const { first, end } = revisedDays(revision);
  return day >= first && day < end;
}

/** A value after corrections that were ordered: a third of the values of a correction, all of a rewritten time. */
function revised(value: PublishedValue, revisions: readonly Fault[]): PublishedValue {
  let { milli, status, changedAt } = value;
  for (const { id, kind, from } of revisions) {
    const dice = chance(seedOf(17, id), Math.floor(value.start / 60_000));
    if (kind === "corrections" && dice > 0.33) continue;
    milli = Math.round(milli * (kind === "rewritten" ? 1.02 : 0.9 + dice)) + 1;
    status = "corrected";
    changedAt = Math.max(changedAt, from);
  }
  return { ...value, milli, status, changedAt };
}

const statusOrder: readonly Status[] = ["measured", "corrected", "estimated"];
const worse = (a: Status, b: Status): Status => (statusOrder.indexOf(a) >= statusOrder.indexOf(b) ? a : b);

/** Values added up: the last change and the least certain status count. */
function added(values: readonly PublishedValue[]): PublishedValue {
  return values.reduce((sum, value) => ({
    start: sum.start,
    end: value.end,
    milli: sum.milli + value.milli,
    status: worse(sum.status, value.status),
    changedAt: Math.max(sum.changedAt, value.changedAt),
  }));
}

function hoursOf(quarters: readonly PublishedValue[]): PublishedValue[] {
  const hours: PublishedValue[] = [];
  for (let i = 0; i + 4 <= quarters.length; i += 4) hours.push(added(quarters.slice(i, i + 4)));
  return hours;
}

function daysOf(meter: Meter, month: number): number[] {
  const first = firstDayOf(month);
  const days = Array.from({ length: firstDayOf(month + 1) - first }, (_, i) => first + i);
  return days.filter((day) => isOn(meter, day));
}

/** Months come three to five days after their end, when all their days have come. */
function monthDue({ faults }: Ground, { seed, username }: Meter, month: number): number {
  const wait = between(seedOf(seed, "bill"), month, [3 * 24, 5 * 24]) * hourMs;
  return faults.delayed(username, startOfDay(firstDayOf(month + 1)) + wait, false);
}

function summedMonth(
  ground: Ground,
  meter: Meter,
  month: number,
  valuesOf: Publication["day"],
): PublishedMonth | undefined {
  const due = monthDue(ground, meter, month);
  const days = daysOf(meter, month);
  if (due > ground.now || days.length === 0) return undefined;
  const parts: PublishedValue[] = [];
  for (const day of days) {
    const values = valuesOf(meter, day, "hour");
    if (values.length * hourMs < startOfDay(day + 1) - startOfDay(day)) return undefined;
    parts.push(added(values));
  }
  const sum = added(parts);
  return { ...sum, changedAt: Math.max(sum.changedAt, due), month, readings: [] };
}

/** Months of a register that is read once a month; one in thirty is estimated first. */
function readMonth(
  ground: Ground,
  meter: Meter,
  month: number,
  revisions: readonly Fault[],
): PublishedMonth | undefined {
  const value = readValue(ground, meter, month, revisions);
  if (value === undefined) return undefined;
  let before = between(meter.seed, 80, [9_000, 99_990]) * 1000;
  for (let each = monthOf(meter.from); each < month; each++) {
    if (meter.exchange !== null && monthOf(meter.exchange.day) === each) {
      before = afterExchange(
        meter,
        meter.exchange.day,
        readValue(ground, meter, each, revisions)?.milli ?? 0,
      );
    } else before += readValue(ground, meter, each, revisions)?.milli ?? 0;
  }
  if (meter.exchange?.day === firstDayOf(month)) before = 0;
  return {
    ...value,
    month,
    readings: readingsOf(meter, daysOf(meter, month), { before, milli: value.milli }),
  };
}

/** The part of a month that the new device counted. */
function afterExchange(meter: Meter, exchangeDay: number, milli: number): number {
  const days = daysOf(meter, monthOf(exchangeDay));
  return milli - Math.round((milli * days.filter((day) => day < exchangeDay).length) / days.length);
}

function readingsOf(
  meter: Meter,
  days: readonly number[],
  { before, milli }: { before: number; milli: number },
): Reading[] {
  const first = days[0]!;
  const end = days.at(-1)! + 1;
  const round = 10 ** meter.digits * 1000;
  const startMilli = before % round;
  const { exchange } = meter;
  if (exchange === null || exchange.day <= first || exchange.day >= end) {
    return [
      {
        serial: serialOn(meter, first),
        from: first,
        to: end,
        startMilli,
        endMilli: (before + milli) % round,
      },
    ];
  }
  const later = afterExchange(meter, exchange.day, milli);
  return [
    {
      serial: meter.serial,
      from: first,
      to: exchange.day,
      startMilli,
      endMilli: (before + milli - later) % round,
    },
    { serial: exchange.serial, from: exchange.day, to: end, startMilli: 0, endMilli: later },
  ];
}

function readValue(
  ground: Ground,
  meter: Meter,
  month: number,
  revisions: readonly Fault[],
): PublishedValue | undefined {
  const { now, world, faults } = ground;
  const due = monthDue(ground, meter, month);
  const days = daysOf(meter, month);
  if (due > now || days.length === 0) return undefined;
  // Registers are read in tenths.
  const tenths = days.reduce(
    (sum, day) => sum + usageOf(meter, startOfDay(day) + 8 * hourMs, 24 * 60) / 100,
    0,
  );
  const value: PublishedValue = {
    start: startOfDay(days[0]!),
    end: startOfDay(days.at(-1)! + 1),
    milli: Math.round(tenths) * 100,
    status: "measured",
    changedAt: due,
  };
  const own = seedOf(meter.seed, "estimate") + month * 16;
  if (chance(own, 1) < habitsOf(world, meter).corrections) {
    const correctedAt = faults.delayed(meter.username, due + between(own, 2, [7, 20]) * dayMs, false);
    const isCorrected = correctedAt <= now;
    value.status = isCorrected ? "corrected" : "estimated";
    if (isCorrected) value.changedAt = correctedAt;
    else value.milli = Math.round(value.milli / 150) * 100 + 100;
  }
  const touching = revisions.filter((each) => each.from <= now && touches(each, days.at(-1)!));
  return touching.length === 0 ? value : revised(value, touching);
}

/** The first and the last day of which something can be asked: history is kept for a while. */
export function reachOf(meter: Meter, now: number): { first: number; last: number } {
  const today = dayOf(now);
  return { first: Math.max(meter.from, today - 1100), last: (meter.to ?? today + 1) - 1 };
}
