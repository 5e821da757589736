import fc from "fast-check";
import { expect, test } from "vitest";
import { testClock } from "../../../../test/harness/api.ts";
import { addressKey, RateLimit } from "./rate-limit.ts";

test("a burst passes, then as many as flow in", () => {
  const clock = testClock();
  const limit = new RateLimit({ perSecond: 10, burst: 20 }, clock);
  for (let i = 0; i < 20; i++) expect(limit.take("a")).toBe(0);
  expect(limit.take("a")).toBe(1);
  clock.advance(99);
  expect(limit.take("a")).toBe(1);
  clock.advance(1);
  expect(limit.take("a")).toBe(0);
  expect(limit.take("a")).toBe(1);
});

test("callers do not share a bucket", () => {
  const limit = new RateLimit({ perSecond: 1, burst: 1 }, testClock());
  expect(limit.take("a")).toBe(0);
  expect(limit.take("a")).toBe(1);
  expect(limit.take("b")).toBe(0);
});

test("says when the next request fits", () => {
  const clock = testClock();
  const limit = new RateLimit({ perSecond: 0.1, burst: 1 }, clock);
  limit.take("a");
  const seconds = limit.take("a");
  expect(seconds).toBe(10);
  clock.advance(seconds * 1000);
  expect(limit.take("a")).toBe(0);
});

test("a clock that goes back gives nothing and takes nothing", () => {
  const clock = testClock();
  const limit = new RateLimit({ perSecond: 1, burst: 2 }, clock);
  limit.take("a");
  clock.advance(-3_600_000);
  expect(limit.take("a")).toBe(0);
  expect(limit.take("a")).toBe(1);
  clock.advance(1_000);
  expect(limit.take("a")).toBe(0);
});

test("never more than the burst and what flowed in", () => {
  const steps = fc.array(fc.nat(2_000), { minLength: 1, maxLength: 300 });
  fc.assert(
    fc.property(
      steps,
      fc.integer({ min: 1, max: 30 }),
      fc.integer({ min: 1, max: 50 }),
      (waits, perSecond, burst) => {
        const clock = testClock();
        const limit = new RateLimit({ perSecond, burst }, clock);
        let passed = 0;
        let elapsed = 0;
        for (const wait of waits) {
          clock.advance(wait);
          elapsed += wait;
          if (limit.take("a") === 0) passed++;
        }
        expect(passed).toBeLessThanOrEqual(burst + (elapsed / 1000) * perSecond + 1e-6);
      },
    ),
  );
});

test("a flood of callers does not grow the memory, and the busy ones stay limited", () => {
  const limit = new RateLimit({ perSecond: 1, burst: 1 }, testClock());
  limit.take("busy");
  for (let i = 0; i < 250_000; i++) {
    limit.take(`caller ${i}`);
    if (i % 1_000 === 0) expect(limit.take("busy")).toBe(1);
  }
  expect(limit.take("caller 0"), "forgotten long ago").toBe(0);
});

test("an IPv6 subscriber is one caller", () => {
  expect(addressKey("2001:db8:1:2:3:4:5:6")).toBe(addressKey("2001:db8:1:2::9"));
  expect(addressKey("2001:db8:1:2::1")).not.toBe(addressKey("2001:db8:1:3::1"));
  expect(addressKey("2001:db8::1")).toBe(addressKey("2001:db8::2"));
  expect(addressKey("::1")).toBe("address:0:0:0:0");
  expect(addressKey("192.0.2.7")).toBe("address:192.0.2.7");
  expect(addressKey("::ffff:192.0.2.7")).toBe("address:::ffff:192.0.2.7");
});
