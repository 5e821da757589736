import fc from "fast-check";
import { Temporal } from "temporal-polyfill";
import { describe, expect, test } from "vitest";
import { checkSchedule, type Frequency, nextRun } from "./schedule.ts";

const at = (text: string) => Date.parse(text);
const next = (frequency: Frequency, now: string, timezone = "Europe/Stockholm", cron: string | null = null) =>
  new Date(nextRun({ frequency, cron, timezone }, at(now))).toISOString();

describe("the next run", () => {
  test("is the start of the next hour, day or month of the zone", () => {
    expect(next("hourly", "2026-05-01T10:00:00Z")).toBe("2026-05-01T11:00:00.000Z");
    expect(next("hourly", "2026-05-01T10:59:59.999Z")).toBe("2026-05-01T11:00:00.000Z");
    expect(next("hourly", "2026-05-01T10:40:00Z", "Asia/Kolkata")).toBe("2026-05-01T11:30:00.000Z");
    expect(next("daily", "2026-05-01T21:59:00Z")).toBe("2026-05-01T22:00:00.000Z");
    expect(next("daily", "2026-05-01T22:00:00Z")).toBe("2026-05-02T22:00:00.000Z");
    expect(next("monthly", "2026-01-31T22:59:00Z")).toBe("2026-01-31T23:00:00.000Z");
    expect(next("monthly", "2026-01-31T23:00:00Z")).toBe("2026-02-28T23:00:00.000Z");
    expect(next("monthly", "2026-12-15T00:00:00Z", "UTC")).toBe("2027-01-01T00:00:00.000Z");
  });

  test("comes once where the clock is set back, and where it skips an hour", () => {
    const times = (now: string, count: number) => {
      const found: string[] = [];
      for (let t = at(now); found.length < count; ) {
        t = nextRun({ frequency: "hourly", cron: null, timezone: "Europe/Stockholm" }, t);
        found.push(new Date(t).toISOString().slice(11, 16));
      }
      return found;
    };
    expect(times("2026-10-24T23:30:00Z", 4)).toEqual(["00:00", "01:00", "02:00", "03:00"]);
    expect(times("2026-03-29T00:30:00Z", 3)).toEqual(["01:00", "02:00", "03:00"]);
    expect(next("daily", "2026-10-24T22:30:00Z")).toBe("2026-10-25T23:00:00.000Z");
    // Half past two does not exist that day: it comes with the change of the clock.
    expect(next("cron", "2026-03-28T12:00:00Z", "Europe/Stockholm", "30 2 29 3 *")).toBe(
      "2026-03-29T01:00:00.000Z",
    );
  });

  test("agrees with the calendar library in every zone", () => {
    const zones = [
      "UTC",
      "Europe/Stockholm",
      "America/New_York",
      "Asia/Kathmandu",
      "Pacific/Auckland",
      "America/Sao_Paulo",
    ];
    const instant = fc.integer({ min: Date.UTC(2000, 0, 1), max: Date.UTC(2040, 0, 1) });
    fc.assert(
      fc.property(fc.constantFrom(...zones), instant, (timezone, now) => {
        const local = Temporal.Instant.fromEpochMilliseconds(now).toZonedDateTimeISO(timezone);
        const day = local.startOfDay().add({ days: 1 }).startOfDay();
        const month = local.with({ day: 1 }).add({ months: 1 }).startOfDay();
        expect(nextRun({ frequency: "daily", cron: null, timezone }, now)).toBe(day.epochMilliseconds);
        expect(nextRun({ frequency: "monthly", cron: null, timezone }, now)).toBe(month.epochMilliseconds);
        const hour = nextRun({ frequency: "hourly", cron: null, timezone }, now);
        expect(hour - now).toBeGreaterThan(0);
        expect(hour - now).toBeLessThanOrEqual(2 * 3_600_000);
        expect(Temporal.Instant.fromEpochMilliseconds(hour).toZonedDateTimeISO(timezone).minute).toBe(0);
      }),
      { numRuns: 500 },
    );
  });

  test("of a cron expression is what its fields say, on the wall clock of the zone", () => {
    fc.assert(
      fc.property(
        fc.record({
          minute: fc.nat({ max: 59 }),
          hour: fc.nat({ max: 23 }),
          now: fc.integer({ min: Date.UTC(2020, 0, 1), max: Date.UTC(2035, 0, 1) }),
          timezone: fc.constantFrom("UTC", "Europe/Stockholm", "America/New_York", "Asia/Kolkata"),
        }),
        ({ minute, hour, now, timezone }) => {
          const found = nextRun({ frequency: "cron", cron: `${minute} ${hour} * * *`, timezone }, now);
          expect(found).toBeGreaterThan(now);
          expect(found - now).toBeLessThanOrEqual(26 * 3_600_000);
          const local = Temporal.Instant.fromEpochMilliseconds(found).toZonedDateTimeISO(timezone);
          const day = local
            .toPlainDate()
            .toZonedDateTime({ timeZone: timezone, plainTime: { hour, minute } });
          const isSkipped = day.hour !== hour;
          expect([local.hour, local.minute]).toEqual(isSkipped ? [day.hour, 0] : [hour, minute]);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe("a schedule", () => {
  const check = (frequency: Frequency, cron: string | null) => () =>
    checkSchedule({ frequency, cron, timezone: "Europe/Stockholm" }, at("2026-05-01T10:00:00Z"));

  test("is taken", () => {
    expect(check("hourly", null)).not.toThrow();
    expect(check("cron", "30 6 * * 1-5")).not.toThrow();
    expect(check("cron", "0 0 L * *")).not.toThrow();
    expect(check("cron", "0 12 29 2 *")).not.toThrow();
  });

  test.each([
    ["hourly", "0 * * * *", /^cron: goes with the frequency "cron" only/],
    ["cron", null, /^cron: is needed/],
    ["cron", "", /^cron: is no cron expression/],
    ["cron", "every day", /^cron: is no cron expression/],
    ["cron", "61 * * * *", /^cron: is no cron expression.*61/],
    ["cron", "0 0 * * * *", /^cron: is no cron expression/],
    ["cron", "* * * *", /^cron: is no cron expression/],
    ["cron", "@daily", /^cron: is no cron expression/],
    ["cron", "* * * * * *", /five fields[^']*minute, hour, day, month, weekday$/],
    ["cron", "@yearly nonsense", /^cron: /],
    ["cron", "0 0 30 2 *", /^cron: names a time that never comes/],
  ] as [Frequency, string | null, RegExp][])(
    "%s %s is refused with the reason",
    (frequency, cron, message) => {
      expect(check(frequency, cron)).toThrow(message);
    },
  );
});
