import { expect, test } from "vitest";
import { oneSeries } from "./one-series.ts";

test("a point has each value once; nothing is added up", () => {
  const first = new Map([
    [0, 1],
    [1, 0],
    [2, 3],
    [3, 4],
  ]);
  const second = new Map([
    [0, 1],
    [1, 2],
    [2, 5],
    [9, 0],
  ]);
  const { values, ambiguous } = oneSeries([first, second]);
  expect([...values]).toEqual([
    [0, 1],
    [1, 2],
    [3, 4],
    [9, 0],
  ]);
  expect(ambiguous).toBe(1);
});
