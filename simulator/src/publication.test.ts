import fc from "fast-check";
import { expect, test } from "vitest";
import { dayMs, dayOf, hourMs, monthOf, parseDay, startOfDay } from "./calendar.ts";
import type { FaultKind } from "./faults.ts";
import { isOn } from "./publication.ts";
import type { Utility } from "./utility.ts";
import { makeUtility } from "./utility.ts";
import type { Meter } from "./world.ts";

const start = Date.parse("2026-01-01T00:00:00Z");
const utilityAt = (now: number, more = {}) =>
  makeUtility({ now, speed: 0, pivot: "2026-01-01", customers: 8, ...more });

const meterOf = ({ world }: Utility, username: string): Meter =>
  world.customers.get(username)!.contracts[0]!.meters[0]!;

test("the same seed gives the same world, another seed another one", () => {
  const text = (seed: number) => JSON.stringify([...utilityAt(start, { seed }).world.meters.values()]);
  expect(text(5)).toBe(text(5));
  expect(text(5)).not.toBe(text(6));
});

test("what was published at an instant never changes afterwards, whatever is ordered later", () => {
  const usernames = ["kund0001", "kund0002", "kund0005", "late", "halves", "corrected", "rewritten"];
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 300 }),
      fc.integer({ min: 1, max: 60 }),
      fc.constantFrom(...usernames),
      (offset, later, username) => {
        const at = start + offset * dayMs;
        const utility = utilityAt(at);
        const meter = meterOf(utility, username);
        const days = Array.from({ length: 40 }, (_, i) => dayOf(at) - 40 + i);
        const seen = () => days.map((day) => utility.published(at - 1).day(meter, day, "hour"));
        const before = seen();
        const order = fc.sample(fc.constantFrom("late", "half_day", "corrections", "rewritten"), 3);
        for (const kind of order) utility.faults.add({ kind: kind as FaultKind, days: 20 });
        utility.clock.set({ now: at + later * dayMs });
        expect(seen()).toEqual(before);
        expect(before.flat().every(({ changedAt }) => changedAt < at)).toBe(true);
      },
    ),
    { numRuns: 40 },
  );
});

test("in the end every day has all its values: 23, 24 and 25 hours", () => {
  const utility = utilityAt(start + 365 * dayMs);
  const publication = utility.published();
  const hours = (text: string) =>
    ["demo", "late", "halves", "corrected"].map(
      (name) => publication.day(meterOf(utility, name), parseDay(text)!, "hour").length,
    );
  expect(hours("2026-03-29")).toEqual([23, 23, 23, 23]);
  expect(hours("2026-10-25")).toEqual([25, 25, 25, 25]);
  expect(hours("2026-06-01")).toEqual([24, 24, 24, 24]);
});

test("hours are the sums of their quarters, months of their days", () => {
  const utility = utilityAt(start + 200 * dayMs);
  const meter = meterOf(utility, "quarter");
  const publication = utility.published();
  const day = parseDay("2026-03-29")!;
  const quarters = publication.day(meter, day, "15min");
  const sum = (values: readonly { milli: number }[]) => values.reduce((total, { milli }) => total + milli, 0);
  expect(quarters).toHaveLength(92);
  expect(sum(publication.day(meter, day, "hour"))).toBe(sum(quarters));
  const march = Array.from({ length: 31 }, (_, i) =>
    publication.day(meter, parseDay("2026-03-01")! + i, "hour"),
  );
  expect(publication.month(meter, monthOf(day))!.milli).toBe(sum(march.flat()));
});

test("estimates are replaced, and a rewritten month changes as a whole", () => {
  const day = parseDay("2026-02-10")!;
  const seen = (username: string, at: number) => {
    const utility = utilityAt(at);
    return utility.published().day(meterOf(utility, username), day, "hour");
  };
  const early = seen("corrected", startOfDay(day + 1) + 11 * hourMs);
  const late = seen("corrected", start + 300 * dayMs);
  const estimated = early.filter(({ status }) => status === "estimated");
  expect(estimated.length).toBeGreaterThan(2);
  expect(late.every(({ status }) => status !== "estimated")).toBe(true);
  for (const { start, milli } of estimated)
    expect(late.find((each) => each.start === start)!.milli).not.toBe(milli);
  const before = seen("rewritten", startOfDay(day + 3));
  const after = seen("rewritten", start + 120 * dayMs);
  const changed = before.filter(({ milli }, i) => milli !== after[i]!.milli);
  expect(changed.length).toBeGreaterThan(20);
});

test("late faults hold back until they end; half a day holds back its second half", () => {
  const at = startOfDay(parseDay("2026-05-10")!);
  const utility = utilityAt(at);
  const meter = meterOf(utility, "demo");
  const count = () => utility.published().day(meter, parseDay("2026-05-10")!, "hour").length;
  const late = utility.faults.add({ kind: "late", username: "demo" });
  utility.clock.set({ now: at + 4 * dayMs });
  expect(count()).toBe(0);
  utility.faults.add({ kind: "half_day", username: "demo", until: at + 5 * dayMs });
  utility.faults.end(late.id);
  expect(count()).toBe(12);
  utility.clock.set({ now: at + 5 * dayMs });
  expect(count()).toBe(24);
});

test("a correction that is called off before it begins never happens; one that happened stays", () => {
  const at = startOfDay(parseDay("2026-05-10")!);
  const utility = utilityAt(at);
  const meter = meterOf(utility, "demo");
  const seen = () =>
    utility
      .published()
      .day(meter, parseDay("2026-05-08")!, "hour")
      .map(({ milli }) => milli);
  const before = seen();
  const later = utility.faults.add({ kind: "rewritten", from: at + dayMs, days: 5 });
  expect(utility.faults.end(later.id)).toBe(true);
  utility.clock.set({ now: at + 2 * dayMs });
  expect(seen()).toEqual(before);
  const now = utility.faults.add({ kind: "rewritten", days: 5 });
  expect(now.id).not.toBe(later.id);
  const after = seen();
  expect(after.filter((milli, i) => milli !== before[i])).toHaveLength(24);
  utility.faults.end(now.id);
  expect(seen()).toEqual(after);
});

test("registers go on from month to month, over their end and over an exchange", () => {
  const utility = utilityAt(start + 364 * dayMs, { customers: 300 });
  const water = [...utility.world.meters.values()].filter(({ type }) => type === "water");
  const publication = utility.published();
  let rollovers = 0;
  let exchanges = 0;
  for (const meter of water) {
    let shown: { serial: string; endMilli: number } | undefined;
    for (let month = monthOf(meter.from); month < 2026 * 12 + 11; month++) {
      const found = publication.month(meter, month);
      if (found === undefined) continue;
      let used = 0;
      for (const { serial, startMilli, endMilli } of found.readings) {
        if (shown?.serial === serial) expect(startMilli).toBe(shown.endMilli);
        else if (shown !== undefined) {
          exchanges++;
          expect(startMilli).toBe(0);
        }
        if (endMilli < startMilli) rollovers++;
        used += (endMilli - startMilli + 100_000_000) % 100_000_000;
        shown = { serial, endMilli };
      }
      expect(used).toBe(found.milli);
    }
  }
  expect(rollovers).toBeGreaterThan(0);
  expect(exchanges).toBeGreaterThan(0);
});

test("nothing before a contract begins and after it ends", () => {
  const utility = utilityAt(start + 364 * dayMs);
  const meter = meterOf(utility, "moveout");
  expect(meter.to).not.toBeNull();
  const publication = utility.published();
  expect(publication.day(meter, meter.to! - 1, "hour").length).toBeGreaterThan(0);
  expect(publication.day(meter, meter.to!, "hour")).toEqual([]);
  expect(isOn(meter, meter.from - 1)).toBe(false);
});
