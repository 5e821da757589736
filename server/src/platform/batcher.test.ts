import { expect, test } from "vitest";
import { Batcher } from "./batcher.ts";

test("what is asked while an answer is under way goes together into the next question", async () => {
  const asked: number[][] = [];
  const gates: (() => void)[] = [];
  const batcher = new Batcher<number, string>(
    async (keys) => {
      asked.push(keys);
      await new Promise<void>((resolve) => gates.push(resolve));
      return keys.map(String);
    },
    { most: 3, atOnce: 1 },
  );
  const first = batcher.load(1);
  await new Promise(setImmediate);
  const others = [2, 3, 4, 5].map((key) => batcher.load(key));
  for (let round = 0; round < 3; round++) {
    gates[round]!();
    await new Promise(setImmediate);
    await new Promise(setImmediate);
  }
  expect(await Promise.all([first, ...others])).toEqual(["1", "2", "3", "4", "5"]);
  expect(asked).toEqual([[1], [2, 3, 4], [5]]);
});

test("a question that fails fails for all who asked it, and not for the next", async () => {
  let broken = true;
  const batcher = new Batcher<number, number>(
    async (keys) => {
      if (broken) throw new Error("database away");
      return keys;
    },
    { most: 10, atOnce: 2 },
  );
  const results = await Promise.allSettled([batcher.load(1), batcher.load(2)]);
  expect(results.map((result) => result.status)).toEqual(["rejected", "rejected"]);
  broken = false;
  expect(await batcher.load(3)).toBe(3);
});
