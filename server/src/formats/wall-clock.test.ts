import { describe, expect, test } from "vitest";
import { iso } from "./harness.ts";
import { dateMs, instantOf, timeMs } from "./instant.ts";
import { RepeatedHour, WallClock } from "./wall-clock.ts";

const minute = 60_000;
const autumn = Date.UTC(2023, 9, 29);

function resolveAll(zone: string, labels: number[], descending = false): string[] {
  const clock = new WallClock(zone);
  const repeated = new RepeatedHour();
  return labels.map((label) => iso(repeated.utc(label, clock, descending)).slice(11, 16));
}

const at = (...times: string[]): number[] =>
  times.map((time) => autumn + (Number(time.slice(0, 2)) * 60 + Number(time.slice(3))) * minute);

describe("the repeated hour, told apart by file order", () => {
  test("one pass after the other", () => {
    const labels = at("01:30", "02:00", "02:30", "02:00", "02:30", "03:00");
    expect(resolveAll("Europe/Copenhagen", labels)).toEqual([
      "23:30",
      "00:00",
      "00:30",
      "01:00",
      "01:30",
      "02:00",
    ]);
  });

  test("label by label", () => {
    const labels = at("02:00", "02:00", "02:30", "02:30", "03:00");
    expect(resolveAll("Europe/Copenhagen", labels)).toEqual(["00:00", "01:00", "00:30", "01:30", "02:00"]);
  });

  test("newest first: the first of two is winter time", () => {
    const labels = at("03:00", "02:30", "02:00", "02:30", "02:00", "01:30");
    expect(resolveAll("Europe/Copenhagen", labels, true)).toEqual([
      "02:00",
      "01:30",
      "01:00",
      "00:30",
      "00:00",
      "23:30",
    ]);
  });

  test("newest first, hours", () => {
    expect(resolveAll("Europe/Copenhagen", at("03:00", "02:00", "02:00", "01:00"), true)).toEqual([
      "02:00",
      "01:00",
      "00:00",
      "23:00",
    ]);
  });

  test("a second pass with a row missing stays in winter time", () => {
    const labels = at("02:00", "02:30", "02:45", "02:00", "02:15");
    expect(resolveAll("Europe/Copenhagen", labels)).toEqual(["00:00", "00:30", "00:45", "01:00", "01:15"]);
  });

  test("a change at midnight", () => {
    // Cuba goes back from 01:00 to 00:00.
    const midnight = Date.UTC(2023, 10, 5);
    expect(resolveAll("America/Havana", [midnight, midnight, midnight + 60 * minute])).toEqual([
      "04:00",
      "05:00",
      "06:00",
    ]);
  });

  test("a change of half an hour", () => {
    // Lord Howe goes back from 02:00 to 01:30.
    const april = Date.UTC(2023, 3, 2, 1, 30);
    expect(resolveAll("Australia/Lord_Howe", [april, april, april + 30 * minute])).toEqual([
      "14:30",
      "15:00",
      "15:30",
    ]);
  });
});

describe("wall clock", () => {
  test("skipped times say so and give the instant of the change", () => {
    const clock = new WallClock("Europe/Helsinki");
    expect(iso(clock.utc(Date.UTC(2023, 2, 26, 3, 30)))).toBe("2023-03-26T01:00:00.000Z");
    expect(clock.fit).toBe("skipped");
    expect(iso(clock.utc(Date.UTC(2023, 2, 27, 3, 30)))).toBe("2023-03-27T00:30:00.000Z");
    expect(clock.fit).toBe("unique");
  });

  test("days of 23, 24 and 25 hours, months, and starts that are none", () => {
    const clock = new WallClock("Europe/Copenhagen");
    expect(clock.calendarSeconds(Date.UTC(2023, 2, 25, 23), "day")).toBe(23 * 3600);
    expect(clock.calendarSeconds(Date.UTC(2023, 9, 28, 22), "day")).toBe(25 * 3600);
    expect(clock.calendarSeconds(Date.UTC(2023, 9, 28, 23), "day")).toBeUndefined();
    expect(clock.calendarSeconds(Date.UTC(2023, 8, 30, 22), "month")).toBe((31 * 24 + 1) * 3600);
    expect(clock.calendarSeconds(Date.UTC(2023, 9, 28, 22), "month")).toBeUndefined();
  });
});

describe("dates and instants", () => {
  test("dates agree with the calendar from 1970 to 2099", () => {
    for (let day = 0; day < 47_482; day++) {
      const date = new Date(day * 86_400_000);
      expect(dateMs(date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate())).toBe(day * 86_400_000);
    }
  });

  test.each([
    [2019, 2, 29],
    [2019, 2, 31],
    [2024, 13, 1],
    [2024, 0, 1],
    [2024, 4, 31],
    [2100, 1, 1],
    [Number.NaN, 1, 1],
  ])("%i-%i-%i does not exist", (year, month, day) => {
    expect(dateMs(year, month, day)).toBeNaN();
  });

  test("times", () => {
    expect(timeMs(24, 0, 0)).toBe(86_400_000);
    for (const [hour, minutes, seconds] of [
      [24, 1, 0],
      [25, 0, 0],
      [0, 60, 0],
      [0, 0, 60],
    ] as const) {
      expect(timeMs(hour, minutes, seconds)).toBeNaN();
    }
  });

  test.each([
    ["2024-12-31T22:00:00Z", "2024-12-31T22:00:00.000Z"],
    ["2024-12-31T22:00Z", "2024-12-31T22:00:00.000Z"],
    ["2024-12-31T22:00:00.123Z", "2024-12-31T22:00:00.000Z"],
    ["2024-12-31 23:00:00+01:00", "2024-12-31T22:00:00.000Z"],
    ["2024-12-31T17:30:00-0430", "2024-12-31T22:00:00.000Z"],
  ])("%s", (text, expected) => {
    expect(iso(instantOf(text))).toBe(expected);
  });

  test.each([
    "2024-12-31T22:00:00",
    "2024-12-31",
    "",
    "2024-12-31T22:00:00Z ",
    "20x4-12-31T22:00:00Z",
    "1969-12-31T23:00:00Z",
  ])("%j is no instant", (text) => {
    expect(instantOf(text)).toBeNaN();
  });
});
