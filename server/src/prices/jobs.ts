import type { Tx } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import type { JobKind, Jobs } from "../platform/jobs.ts";
import { markEndedMonths, readChanges } from "./due.ts";
import { calculateNext } from "./write-costs.ts";

/**
 * Calculates the costs of all months that became due: by changes of consumption, of models, parameters and prices, and
 * by the end of a month. Safe to repeat and to run twice at once: a meter that another run works on is passed over. A
 * meter that fails does not keep the others waiting; the job fails in the end, and tries it again.
 */
async function calculateCosts(_data: object, deps: Deps, signal: AbortSignal): Promise<void> {
  await readChanges(deps, signal);
  await markEndedMonths(deps, signal);
  const failed: unknown[] = [];
  for (let after = ""; ; ) {
    signal.throwIfAborted();
    let meter = "";
    try {
      const now = deps.clock.now();
      const done = await deps.db.transaction((tx) =>
        calculateNext(tx, { after, now }, (meterId) => void (meter = meterId)),
      );
      if (done === null) break;
      if (done.isDone) after = done.meterId;
    } catch (error) {
      if (meter === "") throw error;
      deps.log.error({ err: error, meter }, "the costs of a meter could not be calculated");
      failed.push(error);
      after = meter;
    }
  }
  if (failed.length > 0) throw new Error(`the costs of ${failed.length} meters failed`, { cause: failed[0] });
}

/** The job that keeps calculated costs in step with what they follow from. */
export const calculateCostsJob: JobKind = {
  name: "calculate-costs",
  retries: 5,
  secondsMax: 3600,
  atOnce: 1,
  cron: "* * * * *",
  run: calculateCosts,
};

/** Starts the calculation when the transaction commits. */
export async function sendCalculation(tx: Tx, jobs: Jobs): Promise<void> {
  await jobs.send(tx, calculateCostsJob.name, {});
}
