import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nameFilter, readingOf } from "./fields.ts";
import { Settling } from "./settling.ts";

describe("names of files", () => {
  test.each([
    ["*", "a.csv", true],
    ["*.csv", "A.CSV", true],
    ["*.csv", "a.csv.gz", false],
    ["*.csv, *.zip", "b.zip", true],
    ["day-????.csv", "day-2026.csv", true],
    ["day-????.csv", "day-26.csv", false],
    ["a+b(1).csv", "a+b(1).csv", true],
    ["a.csv", "axcsv", false],
    ["*", ".hidden.csv", false],
    ["*", "half.csv.part", false],
    ["*", "half.csv.filepart", false],
    ["*", "old.csv~", false],
    ["*", "../a.csv", false],
    ["*", "a\\b.csv", false],
    ["*", "a\r\nDELE b", false],
    ["*", "x".repeat(256), false],
    ["*", "", true],
    ["?", "", false],
    ["*.csv*", "a.csv.csv", true],
    ["*ab", "aab", true],
    ["a*b*c", "a-b-b-c-c", true],
    ["a*b*c", "a-c-b", false],
    ["Å?.csv", "å\u{1f600}.csv", true],
    ["", "a.csv", false],
  ])("%j and %j: %s", (pattern, name, isMatched) => {
    expect(nameFilter(pattern)(name)).toBe(isMatched);
  });

  test("no pattern takes long, and none lets a name out of its folder", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom("*", "?", "a", ".", ",") }),
        fc.string(),
        (pattern, name) => {
          const isMatched = nameFilter(pattern)(name);
          expect(isMatched && /[/\\\r\n\0]/.test(name)).toBe(false);
        },
      ),
    );
    // Names that nearly match: a regular expression tries every way to share them out among the stars.
    expect(nameFilter("*a".repeat(100))("a".repeat(255))).toBe(true);
    expect(nameFilter(`${"*a".repeat(100)}*b`)("a".repeat(255))).toBe(false);
  });

  test("what is not set is not told", () => {
    const settings = { pattern: "*", mapping: null, meter: null, unit: null, timezone: null };
    expect(readingOf(settings)).toEqual({});
    expect(readingOf({ ...settings, mapping: "Drop", unit: "kWh" })).toEqual({
      mapping: "Drop",
      unit: "kWh",
    });
  });
});

describe("files that may still grow", () => {
  const kept = new Map<string, string>();
  const memory = {
    get: (key: string) => kept.get(key),
    async set(key: string, value: string | null) {
      if (value === null) kept.delete(key);
      else kept.set(key, value);
    },
  };
  const minute = 60_000;
  const file = (more: object = {}) => ({ name: "a.csv", bytes: 10, modified: null, mark: "Jan 15", ...more });
  /** Looks at a file; returns whether it stands still. */
  async function look(now: number, seen: ReturnType<typeof file>): Promise<boolean> {
    const settling = new Settling({ memory, now }, 2);
    const isSettled = settling.isSettled(seen);
    if (!isSettled) settling.watch(seen);
    await settling.end();
    return isSettled;
  }

  test("stand still when their time is long enough ago, or when they look the same for so long", async () => {
    expect(await look(10 * minute, file({ modified: 8 * minute }))).toBe(true);
    expect(await look(10 * minute, file({ modified: 9 * minute }))).toBe(false);
    expect(await look(11 * minute, file())).toBe(false);
    expect(await look(12 * minute, file())).toBe(true);
    kept.clear();
    expect(await look(20 * minute, file())).toBe(false);
    expect(await look(21 * minute, file({ bytes: 11 }))).toBe(false);
    expect(await look(22 * minute, file({ bytes: 11 }))).toBe(false);
    expect(await look(23 * minute, file({ bytes: 11 }))).toBe(true);
  });

  test("a clock of the server that goes fast keeps no file waiting for ever", async () => {
    kept.clear();
    const ahead = file({ modified: 1_000 * minute });
    expect(await look(30 * minute, ahead)).toBe(false);
    expect(await look(33 * minute, ahead)).toBe(true);
  });

  test("what is remembered is bounded, and forgotten when nothing waits", async () => {
    const settling = new Settling({ memory, now: 0 }, 2);
    for (let i = 0; i < 5_000; i++) settling.watch(file({ name: `${i}`.repeat(20) }));
    await settling.end();
    expect(kept.get("looks")!.length).toBeLessThan(60_000);
    await new Settling({ memory, now: 0 }, 2).end();
    expect(kept.has("looks")).toBe(false);
  });
});
