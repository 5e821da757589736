import { createHash } from "node:crypto";

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;

/** Pauses before the second and each further attempt: those of the Standard Webhooks specification, 75.6 hours in all. */
const pausesMs = [
  5 * second,
  5 * minute,
  30 * minute,
  2 * hour,
  5 * hour,
  10 * hour,
  14 * hour,
  20 * hour,
  24 * hour,
];

/** A receiver that asks for a longer pause is not believed. */
const retryAfterMsMax = 24 * hour;
/** Pauses are longer by up to this share, so that what failed together does not come back together. */
const jitter = 0.1;

/** A webhook whose attempts have all failed for so long is paused. */
export const failingMsMax = 3 * 24 * hour;

/**
 * When a delivery is tried again, epoch ms, after `failures` failed attempts; null when it is given up. The jitter
 * comes from its id, so that a repeated calculation has the same result.
 */
export function nextAttempt(
  delivery: { id: string; failures: number },
  { now, retryAfterMs = 0 }: { now: number; retryAfterMs?: number },
): number | null {
  const pause = pausesMs[delivery.failures - 1];
  if (pause === undefined) return null;
  const hash = createHash("sha256").update(`${delivery.id} ${delivery.failures}`).digest();
  const longer = Math.max(pause, Math.min(retryAfterMs, retryAfterMsMax));
  return Math.ceil(now + longer * (1 + (jitter * hash.readUInt32BE(0)) / 2 ** 32));
}

/** Milliseconds that a `Retry-After` asks to wait: seconds or a date; 0 for anything else. */
export function retryAfterOf(header: string | undefined, now: number): number {
  const text = header?.trim() ?? "";
  if (/^\d{1,9}$/.test(text)) return Number(text) * second;
  const at = /^[A-Z][a-z]{2,8}, /.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? 0 : Math.max(0, at - now);
}
