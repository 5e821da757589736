import fc from "fast-check";
import { expect, test } from "vitest";
import { granularities } from "../platform/granularity.ts";
import { expectedAt, learnedLateness, nextAttempt, nextRun } from "./schedule.ts";

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const zone = "Europe/Stockholm";
const now = Date.UTC(2026, 0, 15, 12);

test("pauses grow, are spread, and listen to the provider", () => {
  const at = (failures: number, retryAfterSeconds?: number) =>
    (nextAttempt("backoff", { id: "a", failures, now, retryAfterSeconds })! - now) / minute;
  const usual = [5, 15, 60, 180, 360, 360];
  for (const [i, minutes] of usual.entries()) {
    expect(at(i + 1)).toBeGreaterThanOrEqual(minutes);
    expect(at(i + 1)).toBeLessThanOrEqual(minutes * 1.2 + 1);
  }
  expect(at(1, 1200)).toBeGreaterThanOrEqual(20);
  expect(at(1, 10 ** 8)).toBeLessThanOrEqual(1.2 * 24 * 60 + 1);
  expect(nextAttempt("never", { id: "a", failures: 1, now })).toBeNull();
  const days = Array.from({ length: 50 }, (_, n) => nextAttempt("daily", { id: `${n}`, failures: 1, now })!);
  expect(new Set(days).size).toBe(50);
  expect(Math.min(...days)).toBeGreaterThanOrEqual(now + day);
  expect(nextAttempt("weekly", { id: "a", failures: 9, now })).toBeGreaterThanOrEqual(now + 7 * day);
});

test("hours of a provider that publishes days are expected after the day, others after the hour", () => {
  const until = Date.UTC(2026, 0, 14, 23);
  const of = (latenessMs: number, granularity: "hour" | "month" = "hour") =>
    expectedAt({ granularity, zone, until, latenessMs });
  expect(of(hour)).toBe(until + 2 * hour);
  expect(of(12 * hour)).toBe(until + day + 12 * hour);
  expect(of(3 * day, "month")).toBe(Date.UTC(2026, 0, 31, 23) + 3 * day);
});

test("a run is never sooner than a quarter of an hour and never later than a day and an hour", () => {
  const progress = fc.record({
    granularity: fc.constantFrom(...granularities),
    zone: fc.constant(zone),
    until: fc.integer({ min: now - 400 * day, max: now }),
    latenessMs: fc.integer({ min: 0, max: 40 * day }),
  });
  fc.assert(
    fc.property(fc.array(progress, { maxLength: 5 }), fc.string(), (series, id) => {
      const next = nextRun(series, { id, now });
      expect(next - now).toBeGreaterThanOrEqual(15 * minute);
      expect(next - now).toBeLessThanOrEqual(25 * hour);
    }),
  );
});

test("what does not come is asked for less and less often", () => {
  const pauseAt = (missing: number) => {
    const series = { granularity: "day", zone, until: now - missing, latenessMs: 0 } as const;
    return (nextRun([series], { id: "a", now }) - now) / hour;
  };
  const pauses = [2, 5, 20].map((days) => pauseAt(days * day));
  expect(pauses.toSorted((a, b) => a - b)).toEqual(pauses);
  expect(pauses[0]).toBeGreaterThan(1);
  expect(pauses[2]).toBeGreaterThan(23);
});

test("lateness is learned within weeks: each time a little earlier, until it was too early", () => {
  const published = 10 * hour;
  let lateness = 36 * hour;
  const seen: number[] = [];
  for (let n = 0; n < 60; n++) {
    // Asked when it is expected, and every hour until it is there.
    let at = lateness;
    while (at < published) at += hour;
    seen.push(at / hour);
    lateness = learnedLateness(lateness, at);
  }
  expect(seen[0]).toBe(36);
  for (const hours of seen.slice(20)) expect(hours).toBeLessThan(11.5);
});

test("lateness comes down at once when values were found early, up by hours only, and stays within two months", () => {
  expect(learnedLateness(36 * hour, 10 * hour)).toBe(23 * hour);
  expect(learnedLateness(10 * hour, 20 * day)).toBe(16 * hour);
  expect(learnedLateness(10 * hour, 14 * hour)).toBe(12 * hour);
  fc.assert(
    fc.property(fc.nat(1e10), fc.nat(1e10), (before, seen) => {
      const learned = learnedLateness(before, seen);
      expect(learned).toBeGreaterThanOrEqual(0);
      expect(learned).toBeLessThanOrEqual(62 * day);
    }),
  );
});
