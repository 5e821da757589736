import fc from "fast-check";
import { expect, test } from "vitest";
import { granularities } from "../platform/granularity.ts";
import { granuleStart, granuleStarts } from "../platform/time/granule.ts";
import { placeOf, slotsOf, startAt } from "./slot.ts";

const zones = [
  "UTC",
  "Etc/GMT-1",
  "Europe/Stockholm",
  "Asia/Kolkata",
  "Australia/Lord_Howe",
  "America/Sao_Paulo",
];

test("a place leads back to the start of its granule", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...granularities),
      fc.constantFrom(...zones),
      fc.integer({ min: Date.UTC(1990, 0, 2), max: Date.UTC(2040, 0, 1) }),
      (granularity, zone, at) => {
        const start = granuleStart(granularity, zone, at);
        const place = placeOf(granularity, zone, start);
        expect(place.slot).toBeGreaterThanOrEqual(0);
        expect(place.slot).toBeLessThan(slotsOf(granularity));
        expect(startAt(granularity, zone, place)).toBe(start);
      },
    ),
    { numRuns: 5_000 },
  );
});

test("two granules never share a place, also where the clock shifts by half an hour", () => {
  for (const zone of zones) {
    for (const granularity of granularities) {
      const starts = granuleStarts(granularity, zone, {
        from: Date.UTC(2026, 2, 25),
        to: Date.UTC(2026, 10, 2),
      });
      const places = starts
        .map((start) => placeOf(granularity, zone, start))
        .map((at) => `${at.period}/${at.slot}`);
      expect(new Set(places).size, `${granularity} ${zone}`).toBe(starts.length);
    }
  }
});
