import { setTimeout as delay } from "node:timers/promises";

/** Waits for so many milliseconds, or until `signal` is aborted. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms > 0 && !signal.aborted) await delay(ms, undefined, { signal }).catch(() => undefined);
}

/** Does something after so many milliseconds, unless it is called off. That keeps no process from ending. */
export function after(ms: number, work: () => void): () => void {
  const timer = setTimeout(work, Math.max(0, ms)).unref();
  return () => clearTimeout(timer);
}

/** A stopwatch: milliseconds since it was made, whatever the clock of the machine does. */
export function stopwatch(): () => number {
  const began = performance.now();
  return () => performance.now() - began;
}
