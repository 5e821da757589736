import { z } from "zod";
import { type Granularity, granularities } from "../../platform/granularity.ts";
import { boolean } from "../../platform/http/schema.ts";
import { isZone } from "../../platform/time/zone.ts";
import { costNames, metrics } from "../../series/series.ts";

/** Metrics of consumption, as streams name them. */
export const consumptionNames: readonly string[] = [...metrics.values()]
  .filter(({ cost }) => !cost)
  .map(({ name }) => name);

const streamedCosts = costNames.map((name) => `cost_${name}`);

/** Which metrics go into the file. */
export function metricsParam(names: readonly string[], otherwise: string) {
  return z
    .array(z.enum(names as [string, ...string[]]))
    .min(1)
    .nullable()
    .default(null)
    .meta({ description: `Metrics that the file holds; null for ${otherwise}. One of ${names.join(", ")}.` });
}

/** Metrics of the formats of ours: costs only when they are named. */
export const anyMetrics = metricsParam([...consumptionNames, ...streamedCosts], "all of consumption");

/** Are values of `metric` asked for? Without a list all that are no costs. */
export function isWanted(metric: string, wanted: readonly string[] | null): boolean {
  return wanted === null ? metrics.get(metric)?.cost === false : wanted.includes(metric);
}

/** Zone of the periods. */
export const timezoneParam = z
  .string()
  .refine(isZone, "must be a time zone such as Europe/Stockholm")
  .nullable()
  .default(null)
  .meta({
    description:
      "Zone in which the periods of hours and shorter values are written, instead of the meter's. Days and months are " +
      "those of the meter.",
  });

/** Granularity of the export's stream; fixed when the export is made. */
export const granularityParam = z
  .enum(granularities as readonly [Granularity, ...Granularity[]])
  .nullable()
  .default(null)
  .meta({
    description:
      "Values of this granularity only; null for all. It belongs to the stream and cannot be changed later.",
  });

/** A switch of a format. */
export function flag(otherwise: boolean, description: string) {
  return boolean().default(otherwise).meta({ description });
}
