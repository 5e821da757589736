import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../../../test/harness/database.ts";
import { append, type Change, entriesAfter, headsOf, lockPart, type NewChange } from "./changes.ts";

let t: TestDatabase;
beforeAll(async () => {
  t = await testDatabase();
});
afterAll(() => t.drop());

const change = (seriesId: number): NewChange => ({
  seriesId,
  gran: 60,
  period: 24_000,
  slot: 0,
  n: 24,
  replaced: false,
});

async function write(part: number, ids: number[], now = Date.now()): Promise<number> {
  return t.db.transaction(async (tx) =>
    append(tx, { part, head: await lockPart(tx, part), now }, ids.map(change)),
  );
}

test("offsets follow the clock, grow strictly, and never fall behind a clock that was set back", async () => {
  const noon = Date.UTC(2026, 0, 1, 12);
  const first = await write(1, [1, 2, 3], noon);
  expect(first).toBe(noon * 1000);
  const second = await write(1, [4], noon - 7_200_000);
  expect(second).toBe(first + 1);
  const entries = await entriesAfter(t.db, { part: 1, after: 0, upTo: second, limit: 10 });
  expect(entries.map((entry) => entry.off)).toEqual([first - 2, first - 1, first, first + 1]);
  expect(entries.map((entry) => entry.seriesId)).toEqual([1, 2, 3, 4]);
});

test("8 writers on 4 parts and polling readers: nothing is skipped and the order grows strictly", async () => {
  const parts = [21, 22, 23, 24];
  const perWriter = 60;
  let writing = true;
  const written = new Set<number>();
  const writer = async (number: number) => {
    for (let i = 0; i < perWriter; i++) {
      const id = number * 1_000 + i;
      const one = parts[(number + i) % 4]!;
      if (i % 5 === 0) await writeTwoParts([one, parts[(number + i + 1) % 4]!], id);
      else await write(one, [id]);
      written.add(id);
    }
  };
  const writeTwoParts = (pair: number[], id: number) =>
    t.db.transaction(async (tx) => {
      for (const part of pair.toSorted((a, b) => a - b)) {
        await append(tx, { part, head: await lockPart(tx, part), now: Date.now() }, [change(id)]);
      }
    });
  const reader = async () => {
    const seen: Change[] = [];
    const after = new Map(parts.map((part) => [part, 0]));
    for (let isLast = false; !isLast; ) {
      isLast = !writing;
      for (const { part, off } of await headsOf(t.db, parts)) {
        for (let entries: Change[] = []; after.get(part)! < off; ) {
          entries = await entriesAfter(t.db, { part, after: after.get(part)!, upTo: off, limit: 7 });
          for (const entry of entries) {
            expect(entry.off).toBeGreaterThan(after.get(part)!);
            after.set(part, entry.off);
          }
          seen.push(...entries);
          if (entries.length < 7) after.set(part, off);
        }
      }
    }
    return seen;
  };
  const readers = [reader(), reader()];
  await Promise.all(Array.from({ length: 8 }, (_, number) => writer(number)));
  writing = false;
  for (const seen of await Promise.all(readers)) {
    const missing = [...written].filter((id) => !seen.some((entry) => entry.seriesId === id));
    expect(missing).toEqual([]);
    const keys = seen.map((entry) => `${entry.part}/${entry.off}`);
    expect(new Set(keys).size).toBe(keys.length);
  }
});
