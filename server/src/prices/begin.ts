import type { Tx } from "../platform/db.ts";
import type { Jobs } from "../platform/jobs.ts";
import { type MetricFields, saveMetric } from "./calculated-metric.ts";
import { follow, markDue, monthsOf } from "./due.ts";
import { sendCalculation } from "./jobs.ts";

/**
 * Calculates the costs of a root meter with a price model, that the transaction holds, for the past and from now on;
 * returns the id of the calculated metric. @throws Problem when another one holds on one of its days
 */
export async function beginCalculation(
  tx: Tx,
  jobs: Jobs,
  {
    meter,
    fields,
    now,
  }: { meter: { rootId: string; part: number; timezone: string }; fields: MetricFields; now: number },
): Promise<string> {
  await follow(tx, meter, now);
  const made = await saveMetric(tx, meter.rootId, { fields, now });
  await markDue(tx, [{ meterId: meter.rootId, ...monthsOf(fields, now) }]);
  await sendCalculation(tx, jobs);
  return made;
}
