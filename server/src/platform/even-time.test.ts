import { expect, test } from "vitest";
import { evenTime } from "./even-time.ts";

async function timed(isTelling: boolean): Promise<number> {
  const start = performance.now();
  expect(
    await evenTime(
      300,
      async () => "done",
      () => isTelling,
    ),
  ).toBe("done");
  return performance.now() - start;
}

test("what would tell something by its time comes when the time is over, the rest at once", async () => {
  expect(await timed(true)).toBeGreaterThanOrEqual(299);
  expect(await timed(false)).toBeLessThan(250);
});
