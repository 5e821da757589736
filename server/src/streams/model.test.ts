import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestApi, testApi } from "../../../test/harness/api.ts";
import { endpoints } from "../app.ts";
import { purgePart } from "../changes/changes.ts";
import type { RootMeter } from "../series/series.ts";
import { type Batch, consume, hoursFrom, newConsumer, newRoot, newStream, store } from "./harness.ts";
import { purgeBatches } from "./jobs.ts";

/**
 * A consumer that keeps a copy of everything it gets, against what `/consumptions` says in the end, after any course
 * of events: values, corrections, removals, meters that come and go, crashes of the consumer, purges, resets.
 */

let t: TestApi;
beforeAll(async () => {
  t = await testApi({ endpoints });
});
afterAll(() => t.close());

const start = Date.UTC(2024, 11, 31, 23);
const slots = 60;

const event = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("write" as const),
      meter: fc.nat(3),
      from: fc.nat(slots - 1),
      length: fc.integer({ min: 1, max: 30 }),
      removed: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("move" as const), meter: fc.nat(2), active: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("share" as const), revoked: fc.boolean() }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("consume" as const),
      limit: fc.integer({ min: 1, max: 60 }),
      crash: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("replay" as const), back: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("purge" as const), meter: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("purge batches" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("reset" as const), ago: fc.option(fc.nat(100)) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("clock" as const), hours: fc.integer({ min: -2, max: 24 * 40 }) }),
  },
);

let worlds = 0;

/** Three meters of the consumer, and one of a friend that is shared with it. */
class World {
  readonly token = `consumer ${++worlds}`;
  readonly friend = `friend ${worlds}`;
  meters: RootMeter[] = [];
  accountId = "";
  stream = "";
  copy: string | null = null;
  /** Offsets that the stream issued, in order. */
  issued: number[] = [];
  /** What the consumer holds: its offset, and the values by series and start. */
  offset: number | null = null;
  held = new Map<string, number | null>();
  count = 0;

  async build(granularity: "hour" | null) {
    const account = await newConsumer(t, this.token);
    const friend = await newConsumer(t, this.friend);
    this.accountId = account.id;
    for (const holder of [account, account, account, friend]) this.meters.push(await newRoot(t, holder));
    this.stream = await newStream(t, this.token, { granularity });
  }

  take(batch: Batch): void {
    for (const { meter, values } of batch.records) {
      for (const one of values) {
        this.held.set(`${meter.root_id}/${one.metric}/${one.granularity}/${one.start}`, one.value);
      }
    }
  }

  async next(offset: number | null, limit: number): Promise<Batch> {
    const batch = await consume(t, this.token, this.stream, { offset, limit });
    if (batch.records.length > 0 && !this.issued.includes(batch.offset!)) {
      expect(batch.offset).toBeGreaterThan(this.issued.at(-1) ?? 0);
      this.issued.push(batch.offset!);
    }
    return batch;
  }

  async run(one: typeof event extends fc.Arbitrary<infer E> ? E : never): Promise<void> {
    t.clock.advance(50);
    switch (one.do) {
      case "write": {
        const starts = hoursFrom(start + one.from * 3_600_000, one.length);
        const values = starts.map(() => (one.removed ? Number.NaN : ++this.count));
        return store(t, this.meters[one.meter]!, { starts, values });
      }
      case "move": {
        const body = { box: one.active ? "active" : "inbox" };
        await t.call("PUT", `/meters/${this.meters[one.meter]!.id}`, { token: this.token, body });
        return;
      }
      case "share":
        return this.share(one.revoked);
      case "consume": {
        const batch = await this.next(this.offset, one.limit);
        this.take(batch);
        await this.mayRead(batch);
        // A consumer that dies before it stores the offset sends the old one again.
        if (!one.crash) this.offset = batch.offset;
        return;
      }
      case "replay": {
        const offset = this.issued.at(-1 - one.back) ?? null;
        if (offset === null) return;
        const batch = await this.next(offset, 10);
        this.take(batch);
        await this.mayRead(batch);
        this.offset = offset;
        return;
      }
      case "purge":
        await purgePart(t.db, this.meters[one.meter]!.part, t.clock.now() * 1000);
        return;
      case "purge batches":
        t.clock.advance(31 * 86_400_000);
        await purgeBatches(t.deps);
        return;
      case "reset": {
        const from = one.ago === null ? null : new Date(t.clock.now() - one.ago * 50).toISOString();
        await t.call("POST", `/streams/${this.stream}/reset`, { token: this.token, body: { from } });
        return;
      }
      case "clock":
        t.clock.advance(one.hours * 3_600_000);
    }
  }

  /** Every meter of a batch is one whose values the consumer may read. */
  private async mayRead({ records }: Batch): Promise<void> {
    for (const id of new Set(records.map((record) => record.meter._id))) {
      const answer = await t.call("GET", `/consumptions/${id}/month/202501`, { token: this.token });
      expect(answer.status).toBe(200);
    }
  }

  private async share(revoked: boolean): Promise<void> {
    if (!revoked) {
      const body = [{ _id: this.meters[3]!.id, holder: this.accountId }];
      const answer = await t.call("POST", "/meters/many/share_with", { token: this.friend, body });
      this.copy = answer.json.data[0]._id;
      await t.call("PUT", `/meters/${this.copy}`, { token: this.token, body: { box: "active" } });
    } else if (this.copy !== null) {
      await t.call("PUT", "/meters/many/revoke", { token: this.friend, body: [this.copy] });
    }
  }

  /** Consumes until nothing is left. */
  async settle(): Promise<void> {
    for (;;) {
      const batch = await this.next(this.offset, 50);
      this.offset = batch.offset;
      if (batch.records.length === 0) return;
      this.take(batch);
    }
  }

  /** Compares the copy of the consumer with what the API answers now; of meters that it may not read it may hold anything. */
  async compare(granularities: readonly string[]): Promise<void> {
    for (const meter of this.meters) {
      for (const granularity of granularities) {
        const answer = await t.call("GET", `/consumptions/${meter.id}/${granularity}/20250101-20250131`, {
          token: this.token,
        });
        if (answer.status !== 200) continue;
        const step = granularity === "hour" ? 3_600_000 : 86_400_000;
        const values = answer.json.data[0].periods[0].energy as (number | null)[];
        const held = values.map((_, i) => {
          const at = new Date(start + i * step).toISOString().replace(".000Z", "+0000");
          return this.held.get(`${meter.id}/energy/${granularity}/${at}`) ?? null;
        });
        expect(held).toEqual(values);
      }
    }
  }
}

describe("whatever happens, a consumer ends up with what is stored", () => {
  test.each(["hour" as const, null])(
    "granularity %s",
    async (granularity) => {
      await fc.assert(
        fc.asyncProperty(fc.array(event, { minLength: 5, maxLength: 40 }), async (events) => {
          const world = new World();
          await world.build(granularity);
          for (const one of events) await world.run(one);
          await world.settle();
          await world.compare(granularity === null ? ["hour", "day"] : ["hour"]);
        }),
        { numRuns: 15 },
      );
    },
    120_000,
  );
});
