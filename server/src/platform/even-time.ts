import { setTimeout as delay } from "node:timers/promises";

/**
 * Does `work`. A result that `isTelling` is handed out no sooner than `ms` after the beginning, so that how long it took
 * tells nothing.
 */
export async function evenTime<Result>(
  ms: number,
  work: () => Promise<Result>,
  isTelling: (result: Result) => boolean,
): Promise<Result> {
  const end = performance.now() + ms;
  const result = await work();
  const left = end - performance.now();
  if (left > 0 && isTelling(result)) await delay(left);
  return result;
}
