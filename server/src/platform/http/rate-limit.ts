import { LRUCache } from "lru-cache";
import type { Clock } from "../clock.ts";

/** How fast one caller may ask. */
export interface Rate {
  perSecond: number;
  /** Requests at once after a pause. */
  burst: number;
}

interface Bucket {
  tokens: number;
  /** Epoch milliseconds of the last refill. */
  at: number;
}

const callersMax = 100_000;

/**
 * Token buckets, one per caller. A full bucket holds `burst` requests and refills at `perSecond`. The callers that
 * asked least recently are forgotten first; a forgotten one starts with a full bucket.
 */
export class RateLimit {
  readonly #rate: Rate;
  readonly #clock: Clock;
  readonly #buckets = new LRUCache<string, Bucket>({ max: callersMax });

  constructor(rate: Rate, clock: Clock) {
    this.#rate = rate;
    this.#clock = clock;
  }

  /** Takes one request from the bucket of `caller`. Returns 0, or after how many whole seconds a repeat makes sense. */
  take(caller: string): number {
    const { perSecond, burst } = this.#rate;
    const now = this.#clock.now();
    let bucket = this.#buckets.get(caller);
    if (bucket === undefined) this.#buckets.set(caller, (bucket = { tokens: burst, at: now }));
    // A clock that was set back refills nothing and takes nothing away.
    const passed = Math.max(0, now - bucket.at) / 1000;
    bucket.tokens = Math.min(burst, bucket.tokens + passed * perSecond);
    bucket.at = now;
    if (bucket.tokens < 1) return Math.max(1, Math.ceil((1 - bucket.tokens) / perSecond));
    bucket.tokens -= 1;
    return 0;
  }
}

/** Whom an address counts for: an IPv6 subscriber owns a /64 and must not get 2^64 buckets. */
export function addressKey(address: string): string {
  if (!address.includes(":") || address.includes(".")) return `address:${address}`;
  const [head = "", tail = ""] = address.split("::", 2);
  const first = head === "" ? [] : head.split(":");
  const last = tail === "" ? [] : tail.split(":");
  const zeros = address.includes("::") ? Math.max(0, 8 - first.length - last.length) : 0;
  const groups = [...first, ...Array<string>(zeros).fill("0"), ...last];
  return `address:${groups.slice(0, 4).join(":")}`;
}
