import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { consequenceOf, delayAfter } from "./failure.ts";

const of = { id: "5d1c9f2a8b3e4c0017a6d2f1", failures: 0, loginFailures: 0, told: false };
const busy = { reason: "server", retry: "again", retryAfterSeconds: undefined } as const;
const minute = 60_000;

describe("the pause between attempts", () => {
  test("doubles from five minutes to two hours, and differs between exports", () => {
    fc.assert(
      fc.property(fc.nat({ max: 40 }), fc.string({ minLength: 1, maxLength: 24 }), (n, id) => {
        const usual = Math.min(120, 5 * 2 ** n) * minute;
        expect(delayAfter(n + 1, id)).toBeGreaterThanOrEqual(0.75 * usual);
        expect(delayAfter(n + 1, id)).toBeLessThanOrEqual(1.25 * usual);
      }),
    );
    expect(delayAfter(1, "a")).not.toBe(delayAfter(1, "b"));
    expect(delayAfter(3, "a")).toBe(delayAfter(3, "a"));
  });

  test("leaves at most 24 attempts in any day", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 24 }), (id) => {
        const times = [0];
        for (let n = 1; n < 60; n++) times.push(times.at(-1)! + delayAfter(n, id));
        for (const from of times) {
          expect(times.filter((at) => at >= from && at < from + 24 * 60 * minute).length).toBeLessThanOrEqual(
            24,
          );
        }
      }),
    );
  });

  test("is as long as the target asks for when that is longer", () => {
    expect(consequenceOf(of, { ...busy, retryAfterSeconds: 36_000 }, 0).retryAt).toBe(36_000_000);
    expect(consequenceOf(of, { ...busy, retryAfterSeconds: 1 }, 0).retryAt).toBeGreaterThan(3 * minute);
  });
});

describe("the owner", () => {
  test("is told after the fourth failure and at the end, once each", () => {
    let state = of;
    const told: number[] = [];
    let last = consequenceOf(state, busy, 0);
    for (let n = 1; ; n++) {
      if (last.tell) told.push(n);
      if (last.retryAt === null) break;
      state = { ...state, ...last, told: state.told || last.tell };
      last = consequenceOf(state, busy, 0);
    }
    expect(told).toEqual([4, 24]);
  });

  test("is told at once of what no repeat can help", () => {
    const changed = { reason: "certificate", retry: "stop", retryAfterSeconds: undefined } as const;
    expect(consequenceOf(of, changed, 0)).toMatchObject({ retryAt: null, tell: true });
  });

  test("has three refused logins in a row, and others forgive them", () => {
    const login = { reason: "login", retry: "stop", retryAfterSeconds: undefined } as const;
    const first = consequenceOf(of, login, 0);
    expect(first.retryAt).not.toBeNull();
    const second = consequenceOf({ ...of, ...first }, login, 0);
    expect(second.retryAt).not.toBeNull();
    expect(consequenceOf({ ...of, ...second }, login, 0).retryAt).toBeNull();
    const between = consequenceOf({ ...of, ...second }, busy, 0);
    expect(consequenceOf({ ...of, ...between }, login, 0).retryAt).not.toBeNull();
  });
});
