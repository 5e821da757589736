import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import { type ReadingMeter, type Resolved, resolveForReading, statVersions } from "../meters/meters.ts";
import { Batcher } from "../platform/batcher.ts";
import type { Db } from "../platform/db.ts";
import type { Granularity } from "../platform/granularity.ts";
import type { Caller } from "../platform/http/endpoint.ts";

/** Written answers kept in memory, in bytes. */
const cacheBytes = 64 * 1024 * 1024;
/** Larger answers are written anew each time. */
const answerBytesMax = 1024 * 1024;

/** A written answer and what it was written from. */
interface Kept {
  version: string;
  body: Buffer;
}

/** What an answer depends on, apart from the stored values. */
export interface AnswerKey {
  meter: ReadingMeter;
  granularity: Granularity;
  metrics: readonly string[];
  /** Everything else that shapes the bytes: id as asked, periods, zone, what is included. */
  shape: string;
}

/**
 * Answers that were written before, for those who ask the same again. Rights are asked of the database for every
 * request, and so is the version of the values; only the bytes are remembered, never the permission. Requests that
 * arrive together share both questions.
 */
export class AnswerCache {
  readonly #kept = new LRUCache<string, Kept>({
    maxSize: cacheBytes,
    sizeCalculation: (kept) => kept.body.length + 500,
  });
  readonly #resolvers = new LRUCache<string, Batcher<string, Resolved>>({ max: 1_000 });
  readonly #versions = new LRUCache<number, Batcher<AnswerKey, string>>({ max: 1_000 });
  readonly #db: Db;

  constructor(db: Db) {
    this.#db = db;
  }

  /** What the caller may read behind an id: as `resolveForReading`, one statement for many requests. */
  resolve(caller: Caller | null, id: string): Promise<Resolved> {
    const account = caller?.accountId ?? "";
    let batcher = this.#resolvers.get(account);
    if (batcher === undefined) {
      const who = caller === null ? null : { accountId: account };
      batcher = new Batcher((ids) => resolveForReading(this.#db, who, ids), { most: 500, atOnce: 2 });
      this.#resolvers.set(account, batcher);
    }
    return batcher.load(id);
  }

  /** Version of the stored values that an answer is made from: equal versions mean equal values. */
  version(key: AnswerKey): Promise<string> {
    const { part } = key.meter;
    let batcher = this.#versions.get(part);
    if (batcher === undefined) {
      batcher = new Batcher((keys) => this.#askVersions(part, keys), { most: 500, atOnce: 2 });
      this.#versions.set(part, batcher);
    }
    return batcher.load(key);
  }

  async #askVersions(part: number, keys: readonly AnswerKey[]): Promise<string[]> {
    const found = await statVersions(this.#db, part, [...new Set(keys.map((key) => key.meter.rootId))]);
    return keys.map(({ meter, granularity, metrics }) =>
      metrics.map((metric) => found.get(`${meter.rootId}/${metric}/${granularity}`) ?? 0).join(),
    );
  }

  /** The bytes of this version, from memory or written now. */
  async body(key: AnswerKey, version: string, write: () => Promise<Buffer>): Promise<Buffer> {
    const name = nameOf(key);
    const kept = this.#kept.get(name);
    if (kept?.version === version) return kept.body;
    const body = await write();
    if (body.length <= answerBytesMax) this.#kept.set(name, { version, body });
    return body;
  }
}

/** An entity tag for an answer: changes when its values do. */
export function etagOf(key: AnswerKey, version: string): string {
  return `"${createHash("sha1").update(nameOf(key)).update(version).digest("base64url")}"`;
}

function nameOf({ meter, granularity, metrics, shape }: AnswerKey): string {
  return `${meter.rootId}/${granularity}/${metrics.join()}/${shape}`;
}
