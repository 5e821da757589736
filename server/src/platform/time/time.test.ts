import fc from "fast-check";
import { Temporal } from "temporal-polyfill";
import { describe, expect, test } from "vitest";
import { granularities } from "../granularity.ts";
import { granuleEnd, granuleLabel, granuleStart, granuleStarts } from "./granule.ts";
import { parsePeriods, periodIn } from "./period.ts";
import { formatTimestamp } from "./timestamp.ts";
import { isZone, localToUtc, offsetAt } from "./zone.ts";

const zones = [
  "UTC",
  "Etc/GMT-1",
  "Europe/Stockholm",
  "Asia/Kolkata",
  "Asia/Kathmandu",
  "Australia/Lord_Howe",
  "America/Sao_Paulo",
  "America/St_Johns",
  "Pacific/Apia",
  "Africa/Casablanca",
  "America/New_York",
];
const instant = fc.integer({ min: Date.UTC(1990, 0, 2), max: Date.UTC(2040, 0, 1) });
const zone = fc.constantFrom(...zones);

describe("zones", () => {
  test("the sign of Etc zones is that of POSIX: Etc/GMT-1 is one hour east", () => {
    expect(offsetAt("Etc/GMT-1", 0)).toBe(3_600_000);
    expect(offsetAt("Etc/GMT+10", 0)).toBe(-36_000_000);
    expect(isZone("Europe/Stockholm")).toBe(true);
    expect(isZone("Mars/Base")).toBe(false);
    expect(isZone("")).toBe(false);
    expect(isZone("+01:00")).toBe(false);
    expect(isZone("Europe/STOCKHOLM")).toBe(false);
    expect(["US/Eastern", "Asia/Kolkata", "Asia/Calcutta", "GMT"].every(isZone)).toBe(true);
  });

  test("offsets agree with the calendar library", () => {
    fc.assert(
      fc.property(zone, instant, (name, at) => {
        const expected =
          Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(name).offsetNanoseconds / 1e6;
        expect(offsetAt(name, at)).toBe(expected);
      }),
      { numRuns: 3_000 },
    );
  });

  test("wall-clock times map back, and say when they are skipped or repeated", () => {
    const repeated = Date.UTC(2026, 9, 25, 2, 30);
    expect(localToUtc("Europe/Stockholm", repeated, "earlier")).toEqual({
      utc: Date.UTC(2026, 9, 25, 0, 30),
      kind: "repeated",
    });
    expect(localToUtc("Europe/Stockholm", repeated, "later")).toEqual({
      utc: Date.UTC(2026, 9, 25, 1, 30),
      kind: "repeated",
    });
    expect(localToUtc("Europe/Stockholm", Date.UTC(2026, 2, 29, 2, 30))).toEqual({
      utc: Date.UTC(2026, 2, 29, 1),
      kind: "skipped",
    });
    fc.assert(
      fc.property(zone, instant, (name, at) => {
        const local = at + offsetAt(name, at);
        const both = [localToUtc(name, local, "earlier").utc, localToUtc(name, local, "later").utc];
        expect(both).toContain(at);
      }),
      { numRuns: 3_000 },
    );
  });
});

describe("granules", () => {
  test("a local day has 23, 24 or 25 hours and as many quarters as it should", () => {
    const hours = (name: string, date: number) => {
      const from = localToUtc(name, date).utc;
      const to = localToUtc(name, date + 86_400_000).utc;
      return [
        granuleStarts("hour", name, { from, to }).length,
        granuleStarts("15min", name, { from, to }).length,
      ];
    };
    expect(hours("Europe/Stockholm", Date.UTC(2026, 2, 29))).toEqual([23, 92]);
    expect(hours("Europe/Stockholm", Date.UTC(2026, 9, 25))).toEqual([25, 100]);
    expect(hours("Etc/GMT-1", Date.UTC(2026, 9, 25))).toEqual([24, 96]);
    // Lord Howe shifts by half an hour: one hour is 30 or 90 minutes long.
    expect(hours("Australia/Lord_Howe", Date.UTC(2026, 3, 5))).toEqual([24, 98]);
    expect(hours("Australia/Lord_Howe", Date.UTC(2026, 9, 4))).toEqual([23, 94]);
    expect(hours("Pacific/Apia", Date.UTC(2011, 11, 30))).toEqual([0, 0]);
  });

  test("hours of a zone at half past begin at half past", () => {
    const start = granuleStart("hour", "Asia/Kolkata", Date.UTC(2026, 0, 1, 0, 10));
    expect(start).toBe(Date.UTC(2025, 11, 31, 23, 30));
    expect(granuleLabel("hour", "Asia/Kolkata", start)).toBe("2026010105");
  });

  test("granules tile time: each ends where the next begins, and an instant lies in the one that starts last", () => {
    fc.assert(
      fc.property(zone, instant, fc.constantFrom(...granularities), (name, at, granularity) => {
        const start = granuleStart(granularity, name, at);
        const end = granuleEnd(granularity, name, start);
        expect(start).toBeLessThanOrEqual(at);
        expect(end).toBeGreaterThan(at);
        expect(granuleStart(granularity, name, end)).toBe(end);
        expect(granuleStart(granularity, name, end - 1)).toBe(start);
        const starts = granuleStarts(granularity, name, { from: start, to: end + 1 });
        expect(starts.filter((each, i) => each !== starts[i - 1])).toEqual([start, end]);
      }),
      { numRuns: 5_000 },
    );
  });
});

describe("days", () => {
  test("tile time also where the clock is set back over midnight: St. John's until 2011, at 00:01", () => {
    const name = "America/St_Johns";
    const dayOf = (text: string) => periodIn(name, parsePeriods(text)[0]!, 0);
    const [saturday, sunday] = [dayOf("20101106"), dayOf("20101107")];
    expect(saturday.to).toBe(sunday.from);
    // 23:30 of Saturday for the second time lies in the Sunday that had begun.
    const second = sunday.from + 31 * 60_000;
    expect(granuleStart("day", name, second)).toBe(sunday.from);
    expect(granuleEnd("day", name, sunday.from)).toBe(sunday.to);
    expect((sunday.to - sunday.from) / 3_600_000).toBe(25);
  });
});

describe("periods", () => {
  const read = (text: string, name = "Europe/Stockholm") =>
    parsePeriods(text).map((period) => {
      const { from, to } = periodIn(name, period, Date.UTC(2026, 10, 23));
      return [formatTimestamp(from), formatTimestamp(to)];
    });

  test("each precision stands for all of its length, both sides in any mix", () => {
    expect(read("2014", "Etc/GMT-1")).toEqual([["2013-12-31T23:00:00+0000", "2014-12-31T23:00:00+0000"]]);
    expect(read("201706-201708", "Etc/GMT-1")).toEqual([
      ["2017-05-31T23:00:00+0000", "2017-08-31T23:00:00+0000"],
    ]);
    expect(read("20260329")).toEqual([["2026-03-28T23:00:00+0000", "2026-03-29T22:00:00+0000"]]);
    expect(read("2026-2026032905")).toEqual([["2025-12-31T23:00:00+0000", "2026-03-29T04:00:00+0000"]]);
    expect(read("202610250215")).toEqual([["2026-10-25T00:15:00+0000", "2026-10-25T01:16:00+0000"]]);
    expect(read("2026102500-2026102501")[0]?.[1]).toBe("2026-10-25T00:00:00+0000");
    expect(read("2026102502")).toEqual([["2026-10-25T00:00:00+0000", "2026-10-25T02:00:00+0000"]]);
    expect(read("2026032902")).toEqual([["2026-03-29T01:00:00+0000", "2026-03-29T01:00:00+0000"]]);
    expect(read("2015+2014").map(([from]) => from?.slice(0, 4))).toEqual(["2014", "2013"]);
    expect(read("2012-")[0]?.[1]).toBe("2026-11-23T00:00:00+0000");
  });

  test.each([
    "",
    "20",
    "2014-2013",
    "20260230",
    "2026013",
    "201413",
    "2014--2015",
    "abcd",
    "2014 ",
    "0001-9999",
    "2014+",
    "20140101 24",
  ])("%j is refused with the reason", (text) => {
    expect(() => read(text)).toThrow(/period: /);
  });
});
