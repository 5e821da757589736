import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../../../test/harness/database.ts";
import { entriesAfter, headsOf } from "../changes/changes.ts";
import { sql } from "../platform/db.ts";
import type { Granularity } from "../platform/granularity.ts";
import { granuleEnd, granuleStart, granuleStarts } from "../platform/time/granule.ts";
import { parsePeriods, periodIn } from "../platform/time/period.ts";
import { newMeter } from "./harness.ts";
import {
  type Batch,
  gridOf,
  ingest,
  query,
  type RootMeter,
  type Run,
  revisionsOf,
  undoImport,
} from "./series.ts";

let t: TestDatabase;
beforeAll(async () => {
  t = await testDatabase();
});
afterAll(() => t.drop());

const now = Date.UTC(2026, 10, 23, 12);
let meter: RootMeter;

beforeEach(async () => {
  meter = await newMeter(t.db);
});

function run(
  granularity: Granularity,
  period: string,
  value: (index: number) => number,
  more: Partial<Run> = {},
): Run {
  const { from, to } = periodIn(meter.timezone, parsePeriods(period)[0]!, now);
  const starts = granuleStarts(granularity, meter.timezone, { from, to });
  return { meter, metric: "energy", granularity, starts, values: starts.map((_, i) => value(i)), ...more };
}

const batch = (...runs: Run[]): Batch => ({ document: { source: "test" }, runs });
const versioned = (version: number, ...runs: Run[]): Batch => ({
  document: { source: `v${version}`, version },
  runs,
});

async function read(granularity: Granularity, period: string, asOf?: number): Promise<(number | null)[]> {
  const grid = gridOf(granularity, meter.timezone, periodIn(meter.timezone, parsePeriods(period)[0]!, now));
  const [answer] = await query(t.db, {
    meters: [{ rootId: meter.id, part: meter.part }],
    metrics: ["energy"],
    grids: [grid],
    ...(asOf === undefined ? {} : { asOf }),
  });
  const values = answer?.values[0] ?? new Float64Array(grid?.length ?? 0).fill(Number.NaN);
  return Array.from(values, (value) => (Number.isNaN(value) ? null : value));
}

describe("a batch", () => {
  test("of a month of hours gives its days and its month, in the zone of the meter, with 25 hours in autumn", async () => {
    const [stored] = await ingest(t.db, [batch(run("hour", "202610", () => 0.1))], now);
    expect(stored).toMatchObject({ added: 745, replaced: 0, derived: 32 });
    const days = await read("day", "202610");
    expect(days[0]).toBe(2.4);
    expect(days[24]).toBe(2.5);
    expect(await read("month", "2026")).toEqual([...Array(9).fill(null), 74.5, null, null]);
  });

  test("with one hour missing gives no day and no month", async () => {
    await ingest(
      t.db,
      [
        batch(run("hour", "20260901-20260929", () => 1)),
        batch(run("hour", "2026093001-2026093023", () => 1)),
      ],
      now,
    );
    expect((await read("day", "202609")).slice(28)).toEqual([24, null]);
    expect(await read("month", "202609")).toEqual([null]);
    await ingest(t.db, [batch(run("hour", "2026093000", () => 1))], now);
    expect(await read("month", "202609")).toEqual([720]);
  });

  test("of quarters gives hours, days and the month; halves are preferred when both are there", async () => {
    await ingest(t.db, [batch(run("15min", "202608", () => 0.25))], now);
    expect((await read("hour", "20260801"))[0]).toBe(1);
    expect(await read("month", "202608")).toEqual([744]);
    await ingest(t.db, [batch(run("30min", "20260801", () => 0.6))], now);
    expect((await read("hour", "20260801"))[0]).toBe(1.2);
    expect(await read("month", "202608")).toEqual([748.8]);
  });

  test("sent twice changes nothing", async () => {
    const same = versioned(
      now - 1000,
      run("hour", "202610", (i) => i / 8),
    );
    await ingest(t.db, [same], now);
    const snapshot = () =>
      t.db.rows(sql`select part, series_id, gran, period, data from block order by 1, 2, 3, 4`);
    const before = await snapshot();
    const log = await t.db.one<{ n: number }>(sql`select count(*) as n from chg where part = 7`);
    const [stored] = await ingest(t.db, [same], now + 5_000);
    expect(stored).toEqual({ added: 0, replaced: 0, removed: 0, unchanged: 745, older: 0, derived: 0 });
    expect(await snapshot()).toEqual(before);
    expect(await t.db.one(sql`select count(*) as n from chg where part = 7`)).toEqual(log);
  });

  test("is refused whole with a reason per value", async () => {
    const bad = run("hour", "2026100100-2026100103", (i) => (i === 1 ? Number.POSITIVE_INFINITY : i));
    (bad.starts as number[])[2]! += 60_000;
    (bad.starts as number[])[3] = now + 30 * 86_400_000;
    const where = (index: number) => `line ${index + 2}`;
    const error = await ingest(
      t.db,
      [
        batch(
          { ...bad, where },
          run("hour", "2026100110", () => 5),
        ),
      ],
      now,
    ).catch((e) => e);
    expect(error.errors).toEqual({
      "line 3": ["the value is not finite"],
      "line 4": ["no hour of Europe/Stockholm begins at 2026-10-01T00:01:00+0000"],
      "line 5": [expect.stringContaining("lies in the future")],
    });
    expect(await read("hour", "20261001")).toEqual(Array(24).fill(null));
  });
});

describe("delivered and derived", () => {
  test("a delivered day stands against its hours and gives way to them only when it is removed", async () => {
    await ingest(t.db, [batch(run("day", "20261001", () => 99))], now);
    await ingest(t.db, [batch(run("hour", "20261001", () => 1))], now);
    expect(await read("day", "20261001")).toEqual([99]);
    await ingest(t.db, [batch(run("day", "20261001", () => Number.NaN))], now + 1);
    expect(await read("day", "20261001")).toEqual([24]);
    await ingest(t.db, [batch(run("hour", "2026100105", () => Number.NaN))], now + 2);
    expect(await read("day", "20261001")).toEqual([null]);
  });

  test("temperatures are averaged, not added", async () => {
    await ingest(t.db, [batch({ ...run("hour", "20261001", (i) => i), metric: "temperature" })], now);
    const grid = gridOf("day", meter.timezone, periodIn(meter.timezone, parsePeriods("20261001")[0]!, now));
    const [answer] = await query(t.db, {
      meters: [{ rootId: meter.id, part: 7 }],
      metrics: ["temperature"],
      grids: [grid],
    });
    expect([...answer!.values[0]!]).toEqual([11.5]);
  });

  test("hours of zones at half past and with half-hour shifts become days", async () => {
    for (const zone of ["Asia/Kolkata", "Australia/Lord_Howe", "America/St_Johns"]) {
      meter = await newMeter(t.db, { timezone: zone });
      const [stored] = await ingest(t.db, [batch(run("hour", "2026", () => 1))], Date.UTC(2027, 0, 5));
      const days = await read("day", "2026");
      expect(
        days.every((value) => value !== null && value >= 23 && value <= 25),
        zone,
      ).toBe(true);
      expect(
        (await read("month", "2026")).reduce((a, b) => a! + b!, 0),
        zone,
      ).toBe(stored!.added);
      expect(
        (await read("hour", "2026")).filter((value) => value === null),
        zone,
      ).toEqual([]);
    }
  });
});

describe("values that were computed elsewhere", () => {
  const computed = (value: number) => batch(run("month", "202601", () => value, { derived: true }));
  const delivered = (value: number) => batch(run("month", "202601", () => value));
  const store = (each: Batch, at: number) => ingest(t.db, [each], now + at);

  test("stand where no delivered one does, and never replace one", async () => {
    expect((await store(computed(1), 1))[0]).toMatchObject({ added: 1 });
    expect((await store(computed(1), 2))[0]).toMatchObject({ unchanged: 1 });
    expect((await store(computed(2), 3))[0]).toMatchObject({ replaced: 1 });
    expect((await store(delivered(9), 4))[0]).toMatchObject({ replaced: 1 });
    expect((await store(computed(3), 5))[0]).toMatchObject({ older: 1 });
    expect((await store(computed(Number.NaN), 6))[0]).toMatchObject({ older: 1 });
    expect(await read("month", "202601")).toEqual([9]);
  });

  test("take the place of what was removed, which no older document brings back", async () => {
    await store(delivered(9), 1);
    await store(delivered(Number.NaN), 5);
    expect((await store(computed(3), 6))[0]).toMatchObject({ added: 1 });
    await ingest(
      t.db,
      [
        versioned(
          now + 4,
          run("month", "202601", () => 8),
        ),
      ],
      now + 7,
    );
    expect(await read("month", "202601")).toEqual([3]);
    expect((await store(computed(Number.NaN), 8))[0]).toMatchObject({ removed: 1 });
    await ingest(
      t.db,
      [
        versioned(
          now + 4,
          run("month", "202601", () => 8),
        ),
      ],
      now + 9,
    );
    expect(await read("month", "202601")).toEqual([null]);
  });
});

describe("documents", () => {
  test("an older one never overwrites a newer one, in any order of arrival", async () => {
    await ingest(
      t.db,
      [
        versioned(
          2_000,
          run("hour", "2026100100", () => 2),
        ),
      ],
      now,
    );
    const [older] = await ingest(
      t.db,
      [
        versioned(
          1_000,
          run("hour", "2026100100", () => 1),
        ),
      ],
      now,
    );
    expect(older).toMatchObject({ older: 1, replaced: 0 });
    await ingest(
      t.db,
      [
        versioned(
          4_000,
          run("hour", "2026100100", () => 2),
        ),
      ],
      now,
    );
    await ingest(
      t.db,
      [
        versioned(
          3_000,
          run("hour", "2026100100", () => 3),
        ),
      ],
      now,
    );
    expect(await read("hour", "2026100100")).toEqual([2]);
    await ingest(
      t.db,
      [
        versioned(
          5_000,
          run("hour", "2026100100", () => 5),
        ),
      ],
      now,
    );
    expect(await read("hour", "2026100100")).toEqual([5]);
  });

  test("one that claims to come from the future does not keep corrections out", async () => {
    await ingest(
      t.db,
      [
        versioned(
          now + 1e12,
          run("hour", "2026100100", () => 1),
        ),
      ],
      now,
    );
    await ingest(t.db, [batch(run("hour", "2026100100", () => 2))], now + 1);
    expect(await read("hour", "2026100100")).toEqual([2]);
  });

  test("what they replaced is kept, and consumption can be asked as of any instant", async () => {
    const at = (minutes: number) => now + minutes * 60_000;
    await ingest(t.db, [batch(run("hour", "20261001", () => 1))], at(0));
    await ingest(t.db, [batch(run("hour", "2026100103", () => 7))], at(10));
    await ingest(t.db, [batch(run("hour", "2026100103", () => Number.NaN))], at(20));
    await ingest(t.db, [batch(run("hour", "2026100103", () => 9))], at(30));
    const seen = [];
    for (const minutes of [-1, 5, 15, 25, 35]) {
      seen.push([
        (await read("hour", "20261001", at(minutes)))[3],
        (await read("day", "20261001", at(minutes)))[0],
      ]);
    }
    expect(seen).toEqual([
      [null, null],
      [1, 24],
      [7, 30],
      [null, null],
      [9, 32],
    ]);
    const { count, revisions } = await revisionsOf(t.db, {
      part: 7,
      rootId: meter.id,
      timezone: meter.timezone,
      skip: 0,
      limit: 50,
    });
    expect(count).toBe(revisions.length);
    const hours = revisions.filter((revision) => revision.granularity === "hour");
    expect(hours.map((revision) => [revision.old.value, revision.value, revision.replacedAt])).toEqual([
      [7, null, at(20)],
      [1, 7, at(10)],
    ]);
  });
});

test("an import is undone: old values return, its own go, later ones stay", async () => {
  await ingest(t.db, [batch(run("hour", "20261001", () => 1))], now);
  const imported: Batch = {
    document: { source: "file", importId: "i".repeat(24) },
    runs: [run("hour", "20261001-20261002", () => 2)],
  };
  await ingest(t.db, [imported], now + 1);
  await ingest(t.db, [batch(run("hour", "2026100200", () => 5))], now + 2);
  expect(await read("day", "20261001-20261002")).toEqual([48, 51]);
  const undo = () =>
    t.db.transaction((tx) =>
      undoImport(tx, { part: 7, importId: "i".repeat(24), meters: [meter], now: now + 3 }),
    );
  expect(await undo()).toMatchObject({ replaced: 24, removed: 23 });
  expect(await read("hour", "20261001")).toEqual(Array(24).fill(1));
  expect(await read("hour", "20261002")).toEqual([5, ...Array(23).fill(null)]);
  expect(await read("day", "20261001-20261002")).toEqual([24, null]);
  expect(await undo()).toMatchObject({ replaced: 0, removed: 0, derived: 0 });
});

test("values of a meter that was erased meanwhile leave nothing behind", async () => {
  await t.db.run(sql`delete from meter where id = ${meter.id}`);
  const [stored] = await ingest(t.db, [batch(run("hour", "20261001", () => 1))], now);
  expect(stored?.added).toBe(0);
  expect(await t.db.rows(sql`select 1 from series where part = 7 and meter_id = ${meter.id}`)).toEqual([]);
});

test("statistics follow in the same transaction", async () => {
  await ingest(t.db, [batch(run("hour", "20261001", (i) => i / 10))], now);
  await ingest(t.db, [batch(run("hour", "2026100123", () => Number.NaN))], now + 1);
  const stats =
    await t.db.rows(sql`select gran, first, last, min, max, sum::text as sum, count from meter_stat
    where part = 7 and meter_id = ${meter.id} order by gran`);
  expect(stats).toContainEqual(
    expect.objectContaining({
      first: 2026100100,
      last: 2026100122,
      min: 0,
      max: 2.2,
      sum: "25.3",
      count: 23,
    }),
  );
});

test("every correction is in the log once, and says that it replaced something", async () => {
  const [{ off: after } = { off: 0 }] = await headsOf(t.db, [7]);
  await ingest(t.db, [batch(run("hour", "20261001", () => 1))], now + 100);
  await ingest(t.db, [batch(run("hour", "2026100104-2026100105", () => 2))], now + 200);
  const entries = await entriesAfter(t.db, { part: 7, after, upTo: Number.MAX_SAFE_INTEGER, limit: 1e6 });
  expect(entries.map(({ gran, n, replaced }) => [gran, n, replaced])).toEqual([
    [60, 2, false],
    [60, 22, false],
    [101, 1, false],
    [60, 2, true],
    [101, 1, true],
  ]);
});

/** The store as a plain map: what the packed one must agree with. */
class Model {
  readonly delivered = new Map<string, { value: number; version: number }>();

  put(granularity: Granularity, start: number, value: number, version: number): void {
    const key = `${granularity}/${start}`;
    const before = this.delivered.get(key);
    if (before === undefined && Number.isNaN(value)) return;
    if (before !== undefined && before.version > version) return;
    this.delivered.set(key, { value, version });
  }

  value(granularity: Granularity, zone: string, start: number): number {
    const own = this.delivered.get(`${granularity}/${start}`);
    if (own !== undefined && !Number.isNaN(own.value)) return own.value;
    const finer = granularity === "day" ? "hour" : granularity === "month" ? "day" : undefined;
    if (finer === undefined) return Number.NaN;
    const starts = granuleStarts(finer, zone, { from: start, to: granuleEnd(granularity, zone, start) });
    // Whole numbers only, so that this sum is exact.
    return starts.reduce((sum, each) => sum + this.value(finer, zone, each), 0);
  }
}

const deed = fc.record({
  granularity: fc.constantFrom<Granularity>("hour", "hour", "hour", "day", "month"),
  from: fc.integer({ min: 0, max: 70 }),
  length: fc.integer({ min: 1, max: 40 }),
  value: fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min: -5, max: 50 }) },
    { weight: 1, arbitrary: fc.constant(Number.NaN) },
  ),
  version: fc.integer({ min: 1, max: 6 }),
});

test("any mixture of batches leaves what a plain map says", { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom("Europe/Stockholm", "Etc/GMT-1", "Asia/Kolkata", "Australia/Lord_Howe"),
      fc.array(deed, { minLength: 1, maxLength: 8 }),
      async (zone, deeds) => {
        meter = await newMeter(t.db, { timezone: zone, part: 8 });
        const model = new Model();
        // Around the autumn change and the end of a month.
        const base = granuleStart("day", zone, Date.UTC(2026, 9, 24, 12));
        for (const [i, { granularity, from, length, value, version }] of deeds.entries()) {
          const range = { from: base - 21 * 86_400_000, to: base + 9 * 86_400_000 };
          const all = granuleStarts(granularity, zone, range);
          const first =
            granularity === "hour" ? all.findIndex((start) => start >= base) - 24 + from : from % all.length;
          const many = granularity === "hour" ? length * 20 : length;
          const starts = all.slice(
            Math.max(0, granularity === "hour" && length > 30 ? 0 : first),
            first + many,
          );
          if (starts.length === 0) continue;
          for (const start of starts) model.put(granularity, start, value, version);
          const values = starts.map(() => value);
          await ingest(
            t.db,
            [versioned(version, { meter, metric: "energy", granularity, starts, values })],
            now + i,
          );
        }
        for (const granularity of ["hour", "day", "month"] as const) {
          const grid = gridOf(granularity, zone, periodIn(zone, parsePeriods("202609-202611")[0]!, now));
          const answer = await query(t.db, {
            meters: [{ rootId: meter.id, part: 8 }],
            metrics: ["energy"],
            grids: [grid],
          });
          const starts = granuleStarts(
            granularity,
            zone,
            periodIn(zone, parsePeriods("202609-202611")[0]!, now),
          );
          const expected = starts.map((start) => model.value(granularity, zone, start));
          const values = answer[0]?.values[0] ?? new Float64Array(starts.length).fill(Number.NaN);
          expect([...values], granularity).toEqual(expected);
        }
      },
    ),
    { numRuns: 40 },
  );
});
