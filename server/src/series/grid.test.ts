import { expect, test } from "vitest";
import { granularities } from "../platform/granularity.ts";
import { gridOf, overlap } from "./grid.ts";

test.for(granularities)(
  "blocks of %s tile a grid: each place has one block, in whatever order they come",
  (granularity) => {
    const grid = gridOf(granularity, "Europe/Stockholm", {
      from: Date.UTC(2023, 0, 20),
      to: Date.UTC(2025, 2, 20),
    })!;
    let at = 0;
    for (let period = grid.firstPeriod; period <= grid.lastPeriod; period++) {
      const part = overlap(grid, period)!;
      expect(part.at).toBe(at);
      at += part.to - part.from;
    }
    expect(at).toBe(grid.length);
  },
);
