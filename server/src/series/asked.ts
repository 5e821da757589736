import { z } from "zod";
import { type ReadingMeter, type Resolved, resolveForReading } from "../meters/meters.ts";
import type { Deps } from "../platform/deps.ts";
import { type Granularity, granularities } from "../platform/granularity.ts";
import type { Caller } from "../platform/http/endpoint.ts";
import { commaList, timestamp as instant } from "../platform/http/schema.ts";
import { invalid, notFound, Problem } from "../platform/problem.ts";
import { type Period, type PeriodText, parsePeriods, periodIn } from "../platform/time/period.ts";
import { isZone } from "../platform/time/zone.ts";
import { pointsAtMost } from "./grid.ts";

/** One answer value may stand for this many stored ones at most, in sums over many meters. */
const readsPerValueMax = 500;

/** A request for values, parsed and bound to its periods. */
export interface Asked {
  granularity: Granularity;
  periods: PeriodText[];
  metrics: string[];
  timezone?: string | undefined;
  asOf?: number | undefined;
  origin: boolean;
  status: boolean;
}

export const readQuery = z.object({
  metrics: commaList(z.string())
    .optional()
    .meta({ description: "Metrics; the default depends on the meter." }),
  timezone: z
    .string()
    .optional()
    .meta({ description: "Zone that decides the period, instead of the meter's." }),
  as_of: instant().optional().meta({ description: "Values as they were known at this instant." }),
  include: commaList(z.enum(["origin", "status"]))
    .optional()
    .meta({ description: "`origin`: delivered or derived; `status`: measured, estimated, …" }),
});

export const meterList = z.object({ meters: commaList(z.string()) });
export const treeFilter = z.object({ type: commaList(z.string()).optional() });
export const granularity = z.enum(granularities);
export const period = z
  .string()
  .meta({ example: "2026", description: "START or START-END; several joined by +" });

export const periodsReply = z.array(z.record(z.string(), z.unknown()));

export function askedOf(
  params: { granularity: Granularity; period: string },
  search: z.output<typeof readQuery>,
  known: readonly string[],
): Asked {
  for (const metric of search.metrics ?? []) {
    if (!known.includes(metric))
      throw invalid("metrics", `unknown metric "${metric}"; known are ${known.join(", ")}`);
  }
  if (search.timezone !== undefined && !isZone(search.timezone)) {
    throw invalid(
      "timezone",
      `"${search.timezone}" is not a time zone; write an IANA name such as Europe/Stockholm`,
    );
  }
  return {
    granularity: params.granularity,
    periods: parsePeriods(params.period),
    metrics: [...new Set(search.metrics ?? [])],
    timezone: search.timezone,
    asOf: search.as_of,
    origin: search.include?.includes("origin") ?? false,
    status: search.include?.includes("status") ?? false,
  };
}

/** The periods of a request in a zone, after its size was found small enough. */
export function periodsIn(
  zone: string,
  asked: Asked,
  about: { series: number; reads: number },
  deps: Deps,
): Period[] {
  const periods = asked.periods.map((each) => periodIn(zone, each, deps.clock.now()));
  let points = 0;
  for (const each of periods) points += pointsAtMost(asked.granularity, zone, each);
  const { valuesMax } = deps.settings;
  const values = points * about.series;
  if (values > valuesMax) {
    throw invalid(
      "period",
      `asks for ${values} values, at most ${valuesMax} are given at once; split the request`,
    );
  }
  if (points * about.reads > valuesMax * readsPerValueMax) {
    throw invalid(
      "period",
      `sums ${points * about.reads} values, at most ${valuesMax * readsPerValueMax} at once; split the period`,
    );
  }
  return periods;
}

/** A meter as it was asked for: answers name it by the id that the caller used. */
export interface AskedMeter extends ReadingMeter {
  askedId: string;
}

/** The meter when its values may be read now, `undefined` when there is none. */
export function readable(resolved: Resolved, askedId: string): AskedMeter | undefined {
  if (resolved.outcome === "not_found") return undefined;
  if (resolved.outcome === "forbidden") throw new Problem("forbidden", resolved.reason);
  return { ...resolved.meter, askedId };
}

export async function metersOf(
  ids: readonly string[],
  who: Caller | null,
  deps: Deps,
): Promise<AskedMeter[]> {
  if (ids.length === 0) throw invalid("meters", "name at least one meter");
  const found = await resolveForReading(deps.db, who, ids);
  // A foreign id among many refuses all: first what does not exist, then what may not be read.
  if (found.some((each) => each.outcome === "not_found")) throw missing(who);
  return found.map((each, i) => readable(each, ids[i]!)!);
}

/** Without a credential only open channels can be read; a foreign id is the same as none. */
export function missing(who: Caller | null): Problem {
  return who === null
    ? new Problem("unauthenticated", "A credential is needed to read this meter")
    : notFound();
}
