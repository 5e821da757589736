import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../../../test/harness/database.ts";
import { changesAfter } from "../changes/changes.ts";
import { sumExact } from "../platform/decimal.ts";
import type { Granularity } from "../platform/granularity.ts";
import { granuleEnd, granuleLabel, granuleStart, granuleStarts } from "../platform/time/granule.ts";
import type { Period } from "../platform/time/period.ts";
import { newMeter, storedStats } from "./harness.ts";
import { type Batch, gridOf, ingest, type Member, query, type RootMeter, undoImport } from "./series.ts";
import { codeOf, startAt } from "./slot.ts";

let t: TestDatabase;
beforeAll(async () => {
  t = await testDatabase();
});
afterAll(() => t.drop());

/** Granularities of the test, the finest first, and what each is derived from. */
const levels: Granularity[] = ["15min", "30min", "hour", "day", "month"];
const sources: Partial<Record<Granularity, Granularity[]>> = {
  hour: ["30min", "15min"],
  day: ["hour"],
  month: ["day"],
};

/** One delivered value that was accepted: its document, and the newest one that said the same. */
interface Entry {
  value: number;
  doc: number;
  confirmed: number;
}

/** Who delivered: newest wins. */
interface Sender {
  version: number;
  rank: number;
  importId: string | undefined;
}

/** The store as stacks of delivered values, never packed, never forgotten. */
class Model {
  readonly zone: string;
  readonly #senders: Sender[] = [];
  readonly #undone = new Set<number>();
  readonly #stacks = new Map<string, Entry[]>();

  constructor(zone: string) {
    this.zone = zone;
  }

  /** Begins a document. */
  begin(sender: Sender): void {
    this.#senders.push(sender);
  }

  put(granularity: Granularity, start: number, value: number): void {
    const doc = this.#senders.length - 1;
    const key = `${granularity}/${start}`;
    const stack = this.#stacks.get(key) ?? [];
    const top = stack.at(-1);
    if (top === undefined && Number.isNaN(value)) return;
    if (top !== undefined) {
      const order = this.#compare(doc, top.confirmed);
      if (order < 0) return;
      if (Object.is(top.value, value)) {
        if (order > 0) top.confirmed = doc;
        return;
      }
    }
    stack.push({ value, doc, confirmed: doc });
    this.#stacks.set(key, stack);
  }

  #compare(a: number, b: number): number {
    const [one, other] = [this.#senders[a]!, this.#senders[b]!];
    return one.rank - other.rank || one.version - other.version;
  }

  undo(importId: string): void {
    for (const [doc, sender] of this.#senders.entries())
      if (sender.importId === importId) this.#undone.add(doc);
    for (const stack of this.#stacks.values()) {
      for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
        if (!this.#undone.has(top.doc)) {
          if (this.#undone.has(top.confirmed)) top.confirmed = top.doc;
          break;
        }
        // Somebody else said the same since: it is his value now.
        if (!this.#undone.has(top.confirmed)) {
          top.doc = top.confirmed;
          break;
        }
        stack.pop();
      }
    }
  }

  value(granularity: Granularity, start: number): number {
    const own = this.#stacks.get(`${granularity}/${start}`)?.at(-1)?.value ?? Number.NaN;
    if (!Number.isNaN(own)) return own;
    const end = granuleEnd(granularity, this.zone, start);
    for (const source of sources[granularity] ?? []) {
      const starts = granuleStarts(source, this.zone, { from: start, to: end });
      const values = starts.map((each) => this.value(source, each));
      if (values.length > 0 && !values.some(Number.isNaN)) return sumExact(values);
    }
    return Number.NaN;
  }
}

type Picture = Record<string, number[]>;

/** Every value of a window, per granularity. */
function pictureOf(model: Model, window: Period): Picture {
  return Object.fromEntries(
    levels.map((level) => [
      level,
      granuleStarts(level, model.zone, window).map((start) => model.value(level, start)),
    ]),
  );
}

async function stored(meter: RootMeter, window: Period, asOf?: number): Promise<Picture> {
  const picture: Picture = {};
  for (const level of levels) {
    const grid = gridOf(level, meter.timezone, window);
    const [answer] = await query(t.db, {
      meters: [{ rootId: meter.id, part: meter.part }],
      metrics: ["energy"],
      grids: [grid],
      ...(asOf === undefined ? {} : { asOf }),
    });
    const count = granuleStarts(level, meter.timezone, window).length;
    picture[level] = [...(answer?.values[0] ?? new Float64Array(count).fill(Number.NaN))];
  }
  return picture;
}

/** Statistics as anybody would compute them from the values. */
function statsOf(picture: Picture, zone: string, window: Period) {
  return levels.flatMap((level) => {
    const starts = granuleStarts(level, zone, window);
    const present = [...starts.keys()].filter((i) => !Number.isNaN(picture[level]![i]!));
    if (present.length === 0) return [];
    const values = present.map((i) => picture[level]![i]!);
    const label = (i: number) => Number(granuleLabel(level, zone, starts[i]!));
    return [
      {
        gran: level,
        first: label(present[0]!),
        last: label(present.at(-1)!),
        min: Math.min(...values),
        max: Math.max(...values),
        sum: sumExact(values),
        count: values.length,
      },
    ];
  });
}

/** Places that differ between two pictures, as `granularity/start`. */
function differences(before: Picture, after: Picture, zone: string, window: Period): Set<string> {
  const found = new Set<string>();
  for (const level of levels) {
    for (const [i, start] of granuleStarts(level, zone, window).entries()) {
      if (!Object.is(before[level]![i], after[level]![i])) found.add(`${level}/${start}`);
    }
  }
  return found;
}

const runOf = fc.record({
  level: fc.constantFrom<Granularity>("15min", "30min", "hour", "hour", "hour", "day", "month"),
  from: fc.integer({ min: 0, max: 100 }),
  length: fc.integer({ min: 1, max: 60 }),
  value: fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min: 0, max: 3 }) },
    { weight: 1, arbitrary: fc.constant(Number.NaN) },
  ),
});
const delivery = fc.record({
  version: fc.integer({ min: 1, max: 4 }),
  rank: fc.constantFrom(0, 0, 0, 1),
  importId: fc.constantFrom(undefined, undefined, 0, 1, 2),
  runs: fc.array(runOf, { minLength: 1, maxLength: 3 }),
});
const step = fc.oneof(
  { weight: 3, arbitrary: fc.array(delivery, { minLength: 1, maxLength: 3 }) },
  { weight: 1, arbitrary: fc.constantFrom(0, 1, 2) },
);

/** Zones, each with a day on which something happens, and the month around it. */
const places: [string, number][] = [
  ["Europe/Stockholm", Date.UTC(2025, 9, 26, 12)],
  ["Etc/GMT-1", Date.UTC(2025, 1, 28, 12)],
  ["Australia/Lord_Howe", Date.UTC(2025, 3, 6, 2)],
  ["Asia/Kolkata", Date.UTC(2025, 5, 30, 12)],
  ["America/Sao_Paulo", Date.UTC(2018, 10, 4, 12)],
  ["America/Sao_Paulo", Date.UTC(2019, 1, 16, 12)],
  ["America/St_Johns", Date.UTC(2025, 10, 2, 12)],
  ["Pacific/Apia", Date.UTC(2011, 11, 29, 12)],
];

const now = Date.UTC(2026, 0, 1);

describe("any mixture of deliveries, removals and undone imports", () => {
  test("leaves values, past, statistics and log as a store without packing would", async () => {
    let number = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...places),
        fc.array(step, { minLength: 1, maxLength: 7 }),
        async ([zone, about], steps) => {
          const meter = await newMeter(t.db, { timezone: zone, part: 3 });
          const id = (which: number) => `${(number * 3 + which).toString(16).padStart(24, "0")}`;
          number++;
          const from = granuleStart("month", zone, about);
          // The month is long enough to be complete only by chance of long runs: the window is what steps touch.
          const window = { from, to: granuleEnd("month", zone, from) };
          const model = new Model(zone);
          const past: [number, Picture][] = [[now - 1, pictureOf(model, window)]];
          let offset = (await changesAfter(t.db, { parts: [3], after: 0, limit: 1e9, now })).upTo;
          for (const [i, each] of steps.entries()) {
            const at = now + i * 1000 + number * 100_000;
            if (typeof each === "number") {
              model.undo(id(each));
              await t.db.transaction((tx) =>
                undoImport(tx, { part: 3, importId: id(each), meters: [meter], now: at }),
              );
            } else {
              const batches = each.map((one): Batch => {
                const importId = one.importId === undefined ? undefined : id(one.importId);
                const { version, rank } = one;
                model.begin({ version, rank, importId });
                const runs = one.runs.map(({ level, from: first, length, value }) => {
                  const all = granuleStarts(level, zone, window);
                  const day = granuleStart("day", zone, about);
                  const near = Math.max(
                    0,
                    all.findIndex((start) => start >= day),
                  );
                  const whole = length > 50;
                  const begin = whole
                    ? 0
                    : level === "month" || level === "day"
                      ? first % all.length
                      : near - 10 + (first % 40);
                  const starts = whole ? all : all.slice(Math.max(0, begin), begin + length);
                  for (const start of starts) model.put(level, start, value);
                  return {
                    meter,
                    metric: "energy",
                    granularity: level,
                    starts,
                    values: starts.map(() => value),
                  };
                });
                const document = {
                  source: "test",
                  version,
                  rank,
                  ...(importId === undefined ? {} : { importId }),
                };
                return { document, runs };
              });
              await ingest(t.db, batches, at);
            }
            const picture = pictureOf(model, window);
            const before = past.at(-1)![1];
            past.push([at, picture]);
            expect(await stored(meter, window), `after step ${i}`).toEqual(picture);
            expect(
              (await storedStats(t.db, meter)).filter((stat) => stat.count > 0),
              `statistics after step ${i}`,
            ).toEqual(statsOf(picture, zone, window));
            const changed = differences(before, picture, zone, window);
            const log = await changesAfter(t.db, { parts: [3], after: offset, limit: 1e9, now: at });
            offset = log.upTo;
            const told = new Set<string>();
            for (const { gran, period, slot, n } of log.entries) {
              const level = levels.find((one) => codeOf[one] === gran)!;
              for (let s = slot; s < slot + n; s++)
                told.add(`${level}/${startAt(level, zone, { period, slot: s })}`);
            }
            for (const place of changed) expect(told, `log of step ${i}`).toContain(place);
          }
          for (const [at, picture] of past)
            expect(await stored(meter, window, at), `as of ${at - now}`).toEqual(picture);
        },
      ),
      {
        numRuns: Number(process.env.RUNS ?? 40),
        ...(process.env.SEED ? { seed: Number(process.env.SEED) } : {}),
      },
    );
  }, 600_000);
});
