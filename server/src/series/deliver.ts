import { LRUCache } from "lru-cache";
import { Batcher } from "../platform/batcher.ts";
import type { Db } from "../platform/db.ts";
import type { Batch, Stored } from "./batch.ts";
import { refusals } from "./check.ts";
import { ingest, refused } from "./ingest.ts";

/** How long the first delivery of a transaction waits for company. */
const waitMs = 5;
/** Deliveries that share one transaction at most. */
const togetherMax = 200;

interface Delivery {
  batch: Batch;
  now: number;
}

/**
 * Stores small batches that arrive at the same time in shared transactions, one queue per part: a commit costs the
 * same for one delivery as for a hundred. Each batch is still whole or refused, and is durable when its promise
 * resolves. While one transaction of a part commits, the next one fills up.
 */
export class Deliveries {
  readonly #db: Db;
  readonly #queues = new LRUCache<string, Batcher<Delivery, Stored>>({ max: 10_000 });

  constructor(db: Db) {
    this.#db = db;
  }

  /** Stores a batch. @throws Problem `invalid` with a reason per value; nothing is stored then */
  async deliver(batch: Batch, now: number): Promise<Stored> {
    const reasons = refusals(batch, now);
    if (reasons.length > 0) throw refused(reasons);
    const parts = [...new Set(batch.runs.map((run) => run.meter.part))].sort((a, b) => a - b).join();
    let queue = this.#queues.get(parts);
    if (queue === undefined) {
      queue = new Batcher((group) => this.#store(group), { most: togetherMax, atOnce: 1, waitMs });
      this.#queues.set(parts, queue);
    }
    return queue.load({ batch, now });
  }

  #store(group: readonly Delivery[]): Promise<Stored[]> {
    const now = Math.max(...group.map((each) => each.now));
    const batches = group.map((each) => each.batch);
    return ingest(this.#db, batches, now);
  }
}
