import fc from "fast-check";
import { expect, test } from "vitest";
import { Answered } from "./answered.ts";

const hour = 3_600_000;
function memory() {
  const kept = new Map<string, string>();
  return {
    kept,
    get: (key: string) => kept.get(key),
    async set(key: string, value: string | null) {
      if (value === null) kept.delete(key);
      else kept.set(key, value);
    },
  };
}

test("what was answered is known for a day, and nothing else", async () => {
  const notes = fc.array(
    fc.record({
      topic: fc.constantFrom("a", "b", "c"),
      month: fc.integer({ min: 0, max: 12 }),
      wait: fc.integer({ min: 0, max: 9 }),
    }),
    { maxLength: 30 },
  );
  await fc.assert(
    fc.asyncProperty(notes, async (all) => {
      const store = memory();
      const truth = new Map<string, number>();
      let now = Date.UTC(2026, 0, 1);
      for (const { topic, month, wait } of all) {
        now += wait * hour;
        await new Answered(store, now).note([topic], month);
        truth.set(`${topic} ${month}`, now);
      }
      const answered = new Answered(store, now);
      for (const topic of ["a", "b", "c"]) {
        for (let month = 0; month <= 12; month++) {
          const at = truth.get(`${topic} ${month}`);
          expect(answered.has(topic, month)).toBe(at !== undefined && now - at <= 24 * hour);
        }
      }
    }),
  );
});

test("it stays small: the oldest is forgotten first", async () => {
  const store = memory();
  const answered = new Answered(store, hour);
  const topic = (i: number) => `ES${String(i).padStart(78, "0")} hour`;
  for (let i = 0; i < 500; i++) await answered.note([topic(i)], 24_000);
  expect(store.kept.get("answered")!.length).toBeLessThanOrEqual(40_000);
  expect(answered.has(topic(499), 24_000)).toBe(true);
  expect(answered.has(topic(0), 24_000)).toBe(false);
});
