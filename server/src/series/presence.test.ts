import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../../../test/harness/database.ts";
import type { Granularity } from "../platform/granularity.ts";
import { granuleStarts } from "../platform/time/granule.ts";
import { newMeter } from "./harness.ts";
import { gridOf, ingest, missingIn, query, type RootMeter } from "./series.ts";

let t: TestDatabase;
beforeAll(async () => {
  t = await testDatabase();
});
afterAll(() => t.drop());

const zones = ["Europe/Stockholm", "Asia/Kolkata", "Australia/Lord_Howe", "Etc/GMT-1", "America/St_Johns"];
const times: Record<string, { from: number; to: number }> = {
  // Both changes of the clock lie in it.
  hour: { from: Date.UTC(2025, 1, 10), to: Date.UTC(2025, 10, 20) },
  "15min": { from: Date.UTC(2025, 9, 1), to: Date.UTC(2025, 10, 20) },
  day: { from: Date.UTC(2024, 10, 1), to: Date.UTC(2026, 1, 10) },
  month: { from: Date.UTC(2018, 5, 1), to: Date.UTC(2026, 5, 1) },
};

async function storeExcept(meter: RootMeter, granularity: Granularity, holes: readonly number[]) {
  const starts = granuleStarts(granularity, meter.timezone, times[granularity]!);
  const gone = new Set(holes.map((hole) => hole % starts.length));
  const kept = starts.filter((_, i) => !gone.has(i));
  await ingest(
    t.db,
    [
      {
        document: { source: `presence ${meter.id}` },
        runs: [
          {
            meter,
            metric: "energy",
            granularity,
            starts: Float64Array.from(kept),
            values: Float64Array.from(kept, (_, i) => i / 10),
            quality: "measured",
          },
        ],
      },
    ],
    Date.UTC(2026, 6, 1),
  );
}

/** The places without a value, one by one. */
const placesOf = (ranges: readonly { from: number; to: number }[]) =>
  ranges.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, i) => from + i));

test.for(Object.keys(times) as Granularity[])(
  "what is missing of %ss is what a plain look at the values finds, in all zones",
  async (granularity) => {
    const { from, to } = times[granularity]!;
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...zones),
        fc.array(fc.nat(100_000), { maxLength: 60 }),
        fc.array(
          fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })),
          {
            minLength: 1,
            maxLength: 3,
          },
        ),
        async (timezone, holes, spans) => {
          const meter = await newMeter(t.db, { timezone });
          await storeExcept(meter, granularity, holes);
          const grids = spans.map(([a, b]) => {
            const at = (share: number) =>
              Math.round(from - 40 * 86_400_000 + share * (to - from + 80 * 86_400_000));
            return gridOf(granularity, timezone, { from: at(Math.min(a, b)), to: at(Math.max(a, b)) });
          });
          const question = { meters: [{ rootId: meter.id, part: meter.part }], metrics: ["energy"], grids };
          const [found] = await missingIn(t.db, question);
          const [plain] = await query(t.db, question);
          for (const [i, grid] of grids.entries()) {
            if (grid === null) {
              expect([found!.received[i], found!.missing[i]]).toEqual([0, []]);
              continue;
            }
            const values =
              plain?.values[i] ?? new Float64Array(grid.length - grid.holes.length).fill(Number.NaN);
            const wanted = [...values.keys()].filter((place) => Number.isNaN(values[place]!));
            expect(placesOf(found!.missing[i]!)).toEqual(wanted);
            expect(found!.received[i]).toBe(values.length - wanted.length);
            for (const [n, range] of found!.missing[i]!.entries()) {
              expect(range.from).toBeLessThan(range.to);
              if (n > 0) expect(range.from).toBeGreaterThan(found!.missing[i]![n - 1]!.to);
            }
          }
        },
      ),
      { numRuns: 25 },
    );
  },
);

test("meters and metrics that have nothing are answered too, in the order asked", async () => {
  const [one, other] = [await newMeter(t.db), await newMeter(t.db)];
  await storeExcept(other, "month", []);
  const found = await missingIn(t.db, {
    meters: [one, other].map(({ id, part }) => ({ rootId: id, part })),
    metrics: ["flow", "energy"],
    grids: [
      gridOf("month", "Europe/Stockholm", {
        from: Date.UTC(2024, 11, 31, 23),
        to: Date.UTC(2025, 11, 31, 23),
      }),
    ],
  });
  expect(found.map(({ rootId, metric, received }) => [rootId, metric, ...received])).toEqual([
    [one.id, "flow", 0],
    [one.id, "energy", 0],
    [other.id, "flow", 0],
    [other.id, "energy", 12],
  ]);
});
