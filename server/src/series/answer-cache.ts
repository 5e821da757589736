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
  etag: string;
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

/** Where the values of a meter lie: never changes for an id. */
interface Place {
  rootId: string;
  part: number;
}

/** Versions of the values of a meter, by `metric/granularity`. */
type Versions = ReadonlyMap<string, number>;

/** A look at a meter: whether it may be read, and what is known of its values meanwhile. */
export interface Look {
  resolved: Promise<Resolved>;
  place?: Place;
  versions?: Promise<Versions>;
}

/**
 * Answers that were written before, for those who ask the same again. Rights are asked of the database for every
 * request, and so is the version of the values; only the bytes are remembered, never the permission. Requests that
 * arrive together share both questions, and both are asked at once when the place of the meter is known.
 */
export class AnswerCache {
  readonly #kept = new LRUCache<string, Kept>({
    maxSize: cacheBytes,
    sizeCalculation: (kept) => kept.body.length + 500,
  });
  readonly #places = new LRUCache<string, Place>({ max: 100_000 });
  readonly #resolvers = new LRUCache<string, Batcher<string, Resolved>>({ max: 1_000 });
  readonly #versions = new LRUCache<number, Batcher<string, Versions>>({ max: 1_000 });
  readonly #db: Db;

  constructor(db: Db) {
    this.#db = db;
  }

  /** What the caller may read behind an id: as `resolveForReading`, one statement for many requests. */
  look(caller: Caller | null, id: string): Look {
    const account = caller?.accountId ?? "";
    let batcher = this.#resolvers.get(account);
    if (batcher === undefined) {
      const who = caller === null ? null : { accountId: account };
      batcher = new Batcher((ids) => resolveForReading(this.#db, who, ids), { most: 500, atOnce: 2 });
      this.#resolvers.set(account, batcher);
    }
    const resolved = batcher.load(id);
    const place = this.#places.get(id);
    if (place === undefined) return { resolved };
    const versions = this.#versionsOf(place);
    // When the meter may not be read, nobody waits for its versions.
    versions.catch(() => undefined);
    return { resolved, place, versions };
  }

  /** Version of the stored values that an answer is made from: equal versions mean equal values. */
  async version(key: AnswerKey, askedId: string, look: Look): Promise<string> {
    const { rootId, part } = key.meter;
    const isSame = look.place?.rootId === rootId && look.place.part === part;
    if (!isSame) this.#places.set(askedId, { rootId, part });
    const versions = await (isSame ? look.versions! : this.#versionsOf({ rootId, part }));
    return key.metrics.map((metric) => versions.get(`${metric}/${key.granularity}`) ?? 0).join();
  }

  #versionsOf({ rootId, part }: Place): Promise<Versions> {
    let batcher = this.#versions.get(part);
    if (batcher === undefined) {
      batcher = new Batcher((ids) => statVersions(this.#db, part, ids), { most: 500, atOnce: 2 });
      this.#versions.set(part, batcher);
    }
    return batcher.load(rootId);
  }

  /** The bytes of this version with their entity tag, from memory or written now. */
  async kept(key: AnswerKey, version: string, write: () => Promise<Buffer>): Promise<Kept> {
    const name = nameOf(key);
    const known = this.#kept.get(name);
    if (known?.version === version) return known;
    const body = await write();
    const etag = `"${createHash("sha1").update(name).update(version).digest("base64url")}"`;
    const kept = { version, etag, body };
    if (body.length <= answerBytesMax) this.#kept.set(name, kept);
    return kept;
  }
}

function nameOf({ meter, granularity, metrics, shape }: AnswerKey): string {
  return `${meter.rootId}/${granularity}/${metrics.join()}/${shape}`;
}
