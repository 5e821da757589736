import fc from "fast-check";
import { expect, test } from "vitest";
import { dayOf, dayText, hourMs, localOf, offsetText, parseDay, startOfDay, wallText } from "./calendar.ts";

const stockholm = new Intl.DateTimeFormat("sv-SE", {
  timeZone: "Europe/Stockholm",
  dateStyle: "short",
  timeStyle: "short",
});

const instants = fc.integer({ min: Date.UTC(1997, 0, 1), max: Date.UTC(2060, 0, 1) });

test("local time is that of Stockholm", () => {
  fc.assert(
    fc.property(instants, (at) => {
      expect(wallText(at)).toBe(stockholm.format(at));
    }),
  );
});

test("a day begins at local midnight, and instants lie in their day", () => {
  fc.assert(
    fc.property(instants, (at) => {
      const day = dayOf(at);
      expect(wallText(startOfDay(day))).toBe(`${dayText(day)} 00:00`);
      expect(startOfDay(day)).toBeLessThanOrEqual(at);
      expect(startOfDay(day + 1)).toBeGreaterThan(at);
    }),
  );
});

test("days have 23 and 25 hours when clocks change", () => {
  const hours = (text: string) => (startOfDay(parseDay(text)! + 1) - startOfDay(parseDay(text)!)) / hourMs;
  expect(["2026-03-28", "2026-03-29", "2026-10-25", "2026-10-26"].map(hours)).toEqual([24, 23, 25, 24]);
  expect(offsetText(Date.UTC(2026, 2, 29, 1))).toBe("2026-03-29T03:00:00+02:00");
  expect(localOf(Date.UTC(2026, 9, 25, 1)) - Date.UTC(2026, 9, 25, 1)).toBe(hourMs);
});

test.for(["2026-02-30", "2026-1-01", "", "x", undefined])("%s is no day", (text) => {
  expect(parseDay(text)).toBeUndefined();
});
