import fc from "fast-check";
import { expect, test } from "vitest";
import { Starts } from "./starts.ts";

function duplicatesOf(starts: number[]): number {
  const counter = new Starts();
  for (const start of starts) counter.add(start);
  return counter.duplicates;
}

const year = Array.from({ length: 8_760 }, (_, hour) => Date.UTC(2024, 0, 1) + hour * 3_600_000);

test("a year in order, backwards, twice", () => {
  expect(duplicatesOf(year)).toBe(0);
  expect(duplicatesOf(year.toReversed())).toBe(0);
  expect(duplicatesOf([...year, ...year])).toBe(8_760);
  expect(duplicatesOf([...year, ...year.toReversed().slice(0, 10)])).toBe(10);
});

test("counts as a set does, whatever the order", () => {
  const minute = fc.integer({ min: -200, max: 200 }).map((k) => k * 900_000);
  const second = fc.integer({ min: 0, max: 300 }).map((k) => k * 1_000);
  fc.assert(
    fc.property(fc.array(fc.oneof(minute, second), { maxLength: 600 }), (starts) => {
      expect(duplicatesOf(starts)).toBe(starts.length - new Set(starts).size);
    }),
  );
});

test("counts as a set does in a long disordered file", () => {
  const shuffled = Array.from({ length: 20_000 }, (_, i) => ((i * 7_919) % 15_000) * 900_000);
  expect(duplicatesOf(shuffled)).toBe(20_000 - new Set(shuffled).size);
});
