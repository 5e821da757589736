import type { Db } from "../platform/db.ts";
import type { Batch, Stored } from "./batch.ts";
import { refusals } from "./check.ts";
import { ingest, refused } from "./ingest.ts";

/** How long the first delivery of a transaction waits for company. */
const waitMs = 5;
/** Deliveries that share one transaction at most. */
const togetherMax = 200;

interface Waiting {
  batch: Batch;
  now: number;
  resolve(stored: Stored): void;
  reject(error: unknown): void;
}

/**
 * Stores small batches that arrive at the same time in shared transactions, one queue per part: a commit costs the
 * same for one delivery as for a hundred. Each batch is still whole or refused, and is durable when its promise
 * resolves. While one transaction of a part commits, the next one fills up.
 */
export class Deliveries {
  readonly #db: Db;
  readonly #queues = new Map<string, { waiting: Waiting[]; running: boolean }>();

  constructor(db: Db) {
    this.#db = db;
  }

  /** Stores a batch. @throws Problem `invalid` with a reason per value; nothing is stored then */
  async deliver(batch: Batch, now: number): Promise<Stored> {
    const reasons = refusals(batch, now);
    if (reasons.length > 0) throw refused(reasons);
    const key = [...new Set(batch.runs.map((run) => run.meter.part))].sort((a, b) => a - b).join(",");
    let queue = this.#queues.get(key);
    if (queue === undefined) this.#queues.set(key, (queue = { waiting: [], running: false }));
    const { waiting } = queue;
    const stored = new Promise<Stored>((resolve, reject) => waiting.push({ batch, now, resolve, reject }));
    if (!queue.running) void this.#drain(key, queue);
    return stored;
  }

  async #drain(key: string, queue: { waiting: Waiting[]; running: boolean }): Promise<void> {
    queue.running = true;
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    while (queue.waiting.length > 0) await this.#store(queue.waiting.splice(0, togetherMax));
    queue.running = false;
    this.#queues.delete(key);
  }

  async #store(group: Waiting[]): Promise<void> {
    try {
      const now = Math.max(...group.map((each) => each.now));
      const stored = await ingest(
        this.#db,
        group.map((each) => each.batch),
        now,
      );
      for (const [i, each] of group.entries()) each.resolve(stored[i]!);
    } catch (error) {
      for (const each of group) each.reject(error);
    }
  }
}
