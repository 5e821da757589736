import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../../../test/harness/database.ts";
import { entriesAfter, headsOf } from "../changes/changes.ts";
import { sumExact } from "../platform/decimal.ts";
import type { Granularity } from "../platform/granularity.ts";
import { granuleEnd, granuleLabel, granuleStart, granuleStarts } from "../platform/time/granule.ts";
import type { Period } from "../platform/time/period.ts";
import { newMeter, storedStats } from "./harness.ts";
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
import { granularityOf, startAt } from "./slot.ts";

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

  #known = new Map<string, number>();

  value(granularity: Granularity, start: number): number {
    const key = `${granularity}/${start}`;
    let value = this.#known.get(key);
    if (value === undefined) this.#known.set(key, (value = this.#compute(granularity, start)));
    return value;
  }

  /** Forgets what was computed. */
  changed(): void {
    this.#known = new Map();
  }

  #compute(granularity: Granularity, start: number): number {
    const own = this.#stacks.get(`${granularity}/${start}`)?.at(-1)?.value ?? Number.NaN;
    if (!Number.isNaN(own)) return own;
    const end = granuleEnd(granularity, this.zone, start);
    for (const source of sources[granularity] ?? []) {
      const starts = new Set(granuleStarts(source, this.zone, { from: start, to: end }));
      const values = [...starts].map((each) => this.value(source, each));
      if (values.length > 0 && !values.some(Number.isNaN)) return sumExact(values);
    }
    return Number.NaN;
  }
}

type Picture = Record<string, number[]>;

/** Every value of a window, per granularity; a calendar day that the zone skipped has none. */
function pictureOf(model: Model, window: Period): Picture {
  return Object.fromEntries(
    levels.map((level) => {
      const starts = granuleStarts(level, model.zone, window);
      return [
        level,
        starts.map((start, i) => (start === starts[i + 1] ? Number.NaN : model.value(level, start))),
      ];
    }),
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

/** The granules of a window, per granularity. */
type Starts = Record<string, number[]>;

function startsOf(zone: string, window: Period): Starts {
  return Object.fromEntries(levels.map((level) => [level, granuleStarts(level, zone, window)]));
}

/** Places that differ between two pictures, as `granularity/start`. */
function differences(before: Picture, after: Picture, starts: Starts): string[] {
  return levels.flatMap((level) =>
    starts[level]!.filter((_, i) => !Object.is(before[level]![i], after[level]![i])).map(
      (start) => `${level}/${start}`,
    ),
  );
}

const asked = fc.record({
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
  runs: fc.array(asked, { minLength: 1, maxLength: 3 }),
});
/** Some deliveries in one transaction, or the undo of an import. */
const step = fc.oneof(
  { weight: 3, arbitrary: fc.array(delivery, { minLength: 1, maxLength: 3 }) },
  { weight: 1, arbitrary: fc.constantFrom(0, 1, 2) },
);
type Asked = typeof asked extends fc.Arbitrary<infer Value> ? Value : never;
type Delivery = typeof delivery extends fc.Arbitrary<infer Value> ? Value : never;
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

/** Zones, each with a day on which something happens. */
const places: [string, number][] = [
  ["Europe/Stockholm", Date.UTC(2025, 9, 26, 12)],
  ["Etc/GMT-1", Date.UTC(2025, 1, 28, 12)],
  ["Australia/Lord_Howe", Date.UTC(2025, 3, 6, 2)],
  ["Asia/Kolkata", Date.UTC(2025, 5, 30, 12)],
  ["America/Sao_Paulo", Date.UTC(2018, 10, 4, 12)],
  ["America/Sao_Paulo", Date.UTC(2019, 1, 16, 12)],
  ["America/St_Johns", Date.UTC(2025, 10, 2, 12)],
  ["America/St_Johns", Date.UTC(2010, 10, 7, 12)],
  ["Pacific/Apia", Date.UTC(2011, 11, 29, 12)],
];

const part = 3;
const begin = Date.UTC(2026, 0, 1);
let worlds = 0;

/** A meter in the store and in the model, and every picture that it ever gave. */
class World {
  readonly #meter: RootMeter;
  readonly #model: Model;
  readonly #starts: Starts;
  readonly #window: Period;
  readonly #day: number;
  readonly #number = worlds++;
  readonly #past: { at: number; picture: Picture }[] = [];
  #offset = 0;

  constructor(meter: RootMeter, about: number) {
    const zone = meter.timezone;
    const from = granuleStart("month", zone, about);
    this.#meter = meter;
    this.#model = new Model(zone);
    this.#window = { from, to: granuleEnd("month", zone, from) };
    this.#day = granuleStart("day", zone, about);
    this.#starts = startsOf(zone, this.#window);
    this.#past.push({ at: begin - 1, picture: pictureOf(this.#model, this.#window) });
  }

  get #now(): number {
    return begin + this.#number * 100_000 + this.#past.length * 1000;
  }

  #importId(which: number): string {
    return (this.#number * 3 + which).toString(16).padStart(24, "0");
  }

  /** Does one thing to both, and compares what they say of now. */
  async take(each: Step): Promise<void> {
    const now = this.#now;
    this.#offset = (await headsOf(t.db, [part]))[0]?.off ?? 0;
    if (typeof each === "number") await this.#undo(this.#importId(each), now);
    else
      await ingest(
        t.db,
        each.map((one) => this.#batch(one)),
        now,
      );
    this.#model.changed();
    const picture = pictureOf(this.#model, this.#window);
    const before = this.#past.at(-1)!.picture;
    this.#past.push({ at: now, picture });
    expect(differences(picture, await stored(this.#meter, this.#window), this.#starts)).toEqual([]);
    const stats = (await storedStats(t.db, this.#meter)).filter((stat) => stat.count > 0);
    expect(stats).toEqual(statsOf(picture, this.#meter.timezone, this.#window));
    const told = await this.#told();
    expect(differences(before, picture, this.#starts).filter((place) => !told.has(place))).toEqual([]);
  }

  async #undo(importId: string, now: number): Promise<void> {
    this.#model.undo(importId);
    await t.db.transaction((tx) => undoImport(tx, { part, importId, meters: [this.#meter], now }));
  }

  #batch({ version, rank, importId: which, runs }: Delivery): Batch {
    const importId = which === undefined ? undefined : this.#importId(which);
    this.#model.begin({ version, rank, importId });
    const document = { source: "test", version, rank, ...(importId === undefined ? {} : { importId }) };
    return { document, runs: runs.map((each) => this.#run(each)) };
  }

  /** Short runs lie around the day, long ones are the whole month. */
  #run({ level, from, length, value }: Asked): Run {
    const all = this.#starts[level]!;
    const near = all.findIndex((start) => start >= this.#day) - 10 + (from % 40);
    const first = level === "month" || level === "day" ? from % all.length : Math.max(0, near);
    const starts = length > 50 ? all : all.slice(first, first + length);
    for (const start of starts) this.#model.put(level, start, value);
    const values = starts.map(() => value);
    return { meter: this.#meter, metric: "energy", granularity: level, starts, values };
  }

  /** Places that the log names since the last step. */
  async #told(): Promise<Set<string>> {
    const question = { part, after: this.#offset, upTo: Number.MAX_SAFE_INTEGER, limit: 1e9 };
    const told = new Set<string>();
    for (const { gran, period, slot, n } of await entriesAfter(t.db, question)) {
      const level = granularityOf(gran);
      for (let each = slot; each < slot + n; each++) {
        told.add(`${level}/${startAt(level, this.#meter.timezone, { period, slot: each })}`);
      }
    }
    return told;
  }

  /** The store still knows what it said at every instant. */
  async lookBack(): Promise<void> {
    for (const { at, picture } of this.#past) {
      const then = await stored(this.#meter, this.#window, at);
      expect(differences(picture, then, this.#starts), `as of ${at}`).toEqual([]);
    }
  }
}

test("any mixture of deliveries, removals and undone imports leaves what a store without packing would", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...places),
      fc.array(step, { minLength: 1, maxLength: 7 }),
      async ([timezone, about], steps) => {
        const world = new World(await newMeter(t.db, { timezone, part }), about);
        for (const each of steps) await world.take(each);
        await world.lookBack();
      },
    ),
    { numRuns: 15 },
  );
});

describe("in particular", () => {
  const now = Date.UTC(2026, 5, 1);
  const zone = "Etc/GMT-1";
  const day = Date.UTC(2026, 4, 9, 23);
  const hours = granuleStarts("hour", zone, { from: day, to: day + 86_400_000 });
  let meter: RootMeter;
  beforeEach(async () => {
    meter = await newMeter(t.db, { timezone: zone, part: 4 });
  });

  const hourly = (...values: number[]): Run => ({
    meter,
    metric: "energy",
    granularity: "hour",
    starts: hours.slice(0, values.length),
    values,
  });
  const allHours = (value: number) => hourly(...hours.map(() => value));
  const daily = (value: number): Run => ({
    meter,
    metric: "energy",
    granularity: "day",
    starts: [day],
    values: [value],
  });
  let last = now;
  const deliver = (runs: Run[], document: Partial<Batch["document"]> = {}) =>
    ingest(t.db, [{ document: { source: "test", ...document }, runs }], (last += 1000));
  const importOf = (which: number) => `${meter.id.slice(0, 22)}f${which}`;
  const undo = (which: number) =>
    t.db.transaction((tx) =>
      undoImport(tx, { part: 4, importId: importOf(which), meters: [meter], now: (last += 1000) }),
    );
  async function read(level: Granularity, asOf?: number): Promise<number[]> {
    const picture = await stored(meter, { from: day, to: day + 86_400_000 }, asOf);
    return picture[level]!;
  }

  test("a document that names a start twice does not hide what it replaced", async () => {
    await deliver([hourly(1)]);
    const before = last;
    await deliver([hourly(2), hourly(3)], { importId: importOf(1) });
    expect((await read("hour"))[0]).toBe(3);
    expect((await read("hour", before))[0]).toBe(1);
    await undo(1);
    expect((await read("hour"))[0]).toBe(1);
  });

  test("two imports on top of each other are undone in the order of their arrival", async () => {
    await deliver([hourly(1)], { importId: importOf(1) });
    await deliver([hourly(2)], { importId: importOf(2) });
    await undo(1);
    expect((await read("hour"))[0]).toBe(2);
    await undo(2);
    expect((await read("hour"))[0]).toBeNaN();
  });

  test("an undone import leaves a value that somebody else said too", async () => {
    await deliver([hourly(1)], { importId: importOf(1) });
    await deliver([hourly(1)]);
    const before = last;
    await undo(1);
    expect([(await read("hour"))[0], (await read("hour", before))[0]]).toEqual([1, 1]);
  });

  test("an undone day follows from its hours as they are now", async () => {
    await deliver([allHours(1)]);
    await deliver([daily(99)], { importId: importOf(1) });
    await deliver([hourly(5)]);
    await undo(1);
    expect(await read("day")).toEqual([28]);
  });

  test("an undone removal brings the delivered day back", async () => {
    await deliver([daily(99), allHours(1)]);
    await deliver([daily(Number.NaN)], { importId: importOf(1) });
    expect(await read("day")).toEqual([24]);
    await undo(1);
    expect(await read("day")).toEqual([99]);
  });

  test("an older document does not bring back a day that a newer one removed", async () => {
    await deliver([daily(99)], { version: 1 });
    await deliver([daily(Number.NaN)], { version: 3 });
    const before = last;
    await deliver([allHours(1)]);
    expect(await deliver([daily(98)], { version: 2 })).toMatchObject([{ older: 1, replaced: 0 }]);
    expect(await read("day")).toEqual([24]);
    expect(await read("day", before)).toEqual([Number.NaN]);
    const { revisions } = await revisionsOf(t.db, {
      part: 4,
      rootId: meter.id,
      timezone: zone,
      skip: 0,
      limit: 9,
    });
    expect(revisions.map(({ old, value }) => [old.value, value])).toEqual([[99, null]]);
  });

  test("sums beyond the doubles are not known", async () => {
    const huge = { ...allHours(1e308), metric: "temperature" };
    expect(await deliver([allHours(1e308), huge])).toMatchObject([{ added: 48, derived: 0 }]);
    expect(await read("day")).toEqual([Number.NaN]);
    expect(await storedStats(t.db, meter)).toEqual([
      expect.objectContaining({ gran: "hour", count: 24, max: 1e308, sum: null }),
    ]);
  });
});
