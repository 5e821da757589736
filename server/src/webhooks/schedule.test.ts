import * as fc from "fast-check";
import { expect, test } from "vitest";
import { nextAttempt, retryAfterOf } from "./schedule.ts";

const hour = 3_600_000;

test("ten attempts in a little more than three days, with growing pauses", () => {
  let at = 0;
  const pauses: number[] = [];
  for (let failures = 1; ; failures++) {
    const next = nextAttempt({ id: "a", failures }, { now: at });
    if (next === null) break;
    pauses.push(next - at);
    at = next;
  }
  expect(pauses).toHaveLength(9);
  expect(pauses).toEqual([...pauses].sort((a, b) => a - b));
  expect(at).toBeGreaterThanOrEqual(75.5 * hour);
  expect(at).toBeLessThanOrEqual(75.7 * 1.1 * hour);
});

test("a pause is never shorter than planned or asked for, longer by a tenth at most, and the same when repeated", () => {
  fc.assert(
    fc.property(
      fc.string(),
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 0, max: 100 * hour }),
      (id, failures, retryAfterMs) => {
        const planned = nextAttempt({ id, failures }, { now: 0, retryAfterMs })!;
        const least = nextAttempt({ id: "", failures }, { now: 0 })! / 1.1;
        const asked = Math.min(retryAfterMs, 24 * hour);
        expect(planned).toBeGreaterThanOrEqual(Math.max(asked, least * 0.99));
        expect(planned).toBeLessThanOrEqual(26.4 * hour + 1);
        expect(nextAttempt({ id, failures }, { now: 0, retryAfterMs })).toBe(planned);
      },
    ),
  );
});

test("what failed together does not come back together", () => {
  const times = Array.from({ length: 100 }, (_, n) => nextAttempt({ id: `${n}`, failures: 2 }, { now: 0 }));
  expect(new Set(times).size).toBeGreaterThan(90);
});

test.for([
  ["120", 120_000],
  [" 5 ", 5_000],
  ["Thu, 01 Jan 1970 00:01:00 GMT", 60_000],
  ["Wed, 31 Dec 1969 23:00:00 GMT", 0],
  ["soon", 0],
  ["-5", 0],
  ["1e9", 0],
  ["99999999999", 0],
  [undefined, 0],
] as const)("Retry-After %s asks for %i ms", ([header, ms]) => {
  expect(retryAfterOf(header, 0)).toBe(ms);
});
