import { createHash } from "node:crypto";
import type { Granularity } from "../platform/granularity.ts";
import { granuleEnd, granuleStart } from "../platform/time/granule.ts";
import type { RunReason } from "./connection.ts";
import type { Retry } from "./consequence.ts";

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

/** Pauses after the first and each further failure that passes by itself. */
const pausesMs = [5 * minute, 15 * minute, hour, 3 * hour, 6 * hour];
/** A provider that asks for a longer pause is not believed. */
const retryAfterMsMax = day;
/** A run begins up to so much after it is due, and has seen its values on time all the same. */
const onTimeMs = 20 * minute;
/** Nothing is asked more often than this by itself. */
const pauseMsMin = 15 * minute;
/** A connection is looked at least so often: corrections, new meters. */
const pauseMsMax = day;

/**
 * A number of [0, 1) that is always the same for the same text: what failed together, or is due together, is spread, and
 * a repeated calculation has the same result.
 */
export function spread(text: string): number {
  return createHash("sha256").update(text).digest().readUInt32BE(0) / 2 ** 32;
}

/** When a connection is tried again after `failures` failures in a row, epoch ms; null: not by itself. */
export function nextAttempt(
  retry: Retry,
  { id, failures, now, retryAfterSeconds = 0 }: RetryOptions,
): number | null {
  if (retry === "never") return null;
  const backoff = pausesMs[Math.min(failures, pausesMs.length) - 1]!;
  const usual = { daily: day, weekly: 7 * day, backoff }[retry];
  const asked = Math.min(retryAfterSeconds * 1000, retryAfterMsMax);
  return Math.ceil(now + Math.max(usual, asked) * (1 + spread(`${id} ${failures}`) / 5));
}

export interface RetryOptions {
  /** Of the connection. */
  id: string;
  failures: number;
  now: number;
  retryAfterSeconds?: number | undefined;
}

/** When and why the next run of a connection begins. */
export interface Next {
  /** Epoch milliseconds. */
  at: number;
  reason: RunReason;
}

/** How far a series has come. */
export interface Progress {
  granularity: Granularity;
  zone: string;
  /** End of the last value that came, epoch ms. */
  until: number;
  /** How long after the end of a granule its value comes. */
  latenessMs: number;
}

/**
 * When the next value of a series is usually there, epoch ms. Providers that are late by hours publish whole days, so
 * that finer values are asked for once a day; months are asked for when they are over.
 */
export function expectedAt({ granularity, zone, until, latenessMs }: Progress): number {
  const isInDays = granularity !== "month" && latenessMs >= 6 * hour;
  const unit = isInDays ? "day" : granularity;
  return granuleEnd(unit, zone, granuleStart(unit, zone, until)) + latenessMs;
}

/**
 * When a connection that works runs again: when the next value is usually there, and within a day in any case. A value
 * that was expected and did not come is asked for after an eighth of its lateness, or of the time for which it has been
 * missing, at least an hour: nobody asks every hour for what never comes.
 */
export function nextRun(series: readonly Progress[], { id, now }: { id: string; now: number }): number {
  const next = series.map((each) => {
    const expected = expectedAt(each);
    if (expected > now) return expected;
    return now + Math.max(hour, Math.min(each.latenessMs / 8, 6 * hour), (now - expected) / 8);
  });
  const soonest = Math.min(...next, now + pauseMsMax);
  const spreadMs = Math.min(soonest - now, hour) * 0.2 * spread(id);
  return Math.ceil(Math.max(soonest + spreadMs, now + pauseMsMin));
}

/**
 * What a run learned about lateness. Values that were there when they were expected may have been there for long: the
 * next time is a fourteenth earlier. Those that were not go half of the way to when they came, and no further than six
 * hours: a provider that was away for days has not changed its habits.
 */
export function learnedLateness(before: number, seen: number): number {
  const learned =
    seen <= before + onTimeMs
      ? Math.min(before * (13 / 14), (before + seen) / 2)
      : before + Math.min((seen - before) / 2, 6 * hour);
  return Math.max(0, Math.min(learned, 62 * day));
}
