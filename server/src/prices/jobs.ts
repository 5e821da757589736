import type { Tx } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import type { JobKind, Jobs } from "../platform/jobs.ts";
import { markEndedMonths, readChanges } from "./due.ts";
import { calculateNext } from "./write-costs.ts";

/**
 * Calculates the costs of all months that became due: by changes of consumption, of models, parameters and prices, and
 * by the end of a month. Safe to repeat and to run twice at once: a meter that another run works on is passed over.
 */
async function calculateCosts(_data: object, deps: Deps, signal: AbortSignal): Promise<void> {
  await readChanges(deps, signal);
  await markEndedMonths(deps, signal);
  while (await deps.db.transaction((tx) => calculateNext(tx, deps.clock.now()))) signal.throwIfAborted();
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
