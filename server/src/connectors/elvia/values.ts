import { z } from "zod";
import type { DeliveredQuality, HttpAnswer } from "../../collection/connector.ts";
import type { Granularity } from "../../platform/granularity.ts";
import { changedAnswer, readAnswer } from "../answer.ts";

const instant = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text));

const entry = z.object({
  startTime: instant,
  endTime: instant,
  /** Null where there is none yet. */
  value: z.number().nullish(),
  uom: z.literal("kWh"),
  production: z.boolean(),
  verified: z.boolean(),
});

const point = z.object({
  meteringPointId: z.string().regex(/^\d{18}$/, "must be 18 digits"),
  customerContract: z.object({ startTime: instant.nullish(), endTime: instant.nullish() }).nullish(),
  metervalue: z.object({
    resolutionMinutes: z.literal([15, 60]),
    timeSeries: z.array(entry),
  }),
});

/** A metering point of an answer, with its values. */
export type Point = z.output<typeof point>;

/** Granularity by minutes. */
export const granularityOf: Readonly<Record<15 | 60, Granularity>> = { 15: "15min", 60: "hour" };

/** The metering points of an answer. @throws ProviderFailure `changed` */
export function pointsOf(answer: HttpAnswer): Point[] {
  return readAnswer(answer, z.object({ meteringpoints: z.array(point) })).meteringpoints;
}

/** Values of one way of a metering point, ascending. */
export interface Values {
  starts: number[];
  values: number[];
  quality: DeliveredQuality[];
}

/**
 * What went one way, in granules of so many minutes. What Elvia has not verified may be measured or not: it does not say.
 * @throws ProviderFailure `changed` when intervals are of another length, or two values of one time differ
 */
export function valuesOf(
  answer: HttpAnswer,
  { metervalue: { timeSeries } }: Point,
  { production, minutes }: { production: boolean; minutes: number },
): Values {
  const found = new Map<number, z.output<typeof entry>>();
  for (const each of timeSeries) {
    if (each.production !== production || each.value == null) continue;
    const { startTime, endTime, value } = each;
    if (endTime - startTime !== minutes * 60_000 || startTime % (minutes * 60_000) !== 0) {
      throw changedAnswer(answer, `an interval that is not one of ${minutes} minutes`);
    }
    const same = found.get(startTime);
    if (same !== undefined && same.value !== value) throw changedAnswer(answer, "two values of one time");
    found.set(startTime, each);
  }
  const sorted = [...found.values()].toSorted((a, b) => a.startTime - b.startTime);
  return {
    starts: sorted.map(({ startTime }) => startTime),
    values: sorted.map(({ value }) => value!),
    quality: sorted.map(({ verified }) => (verified ? "measured" : "unknown")),
  };
}
