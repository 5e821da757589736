import { z } from "zod";
import type { DeliveredQuality } from "../../collection/connector.ts";
import { parseDecimal } from "../../platform/decimal.ts";
import type { Granularity } from "../../platform/granularity.ts";
import { granuleEnd, granuleStarts } from "../../platform/time/granule.ts";
import { zone } from "./points.ts";

/** Something in an answer that is not as it is documented. */
export class Strange extends Error {}

const instant = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text));

const point = z.object({
  position: z.string().regex(/^\d{1,6}$/),
  "out_Quantity.quantity": z.string().nullish(),
  "out_Quantity.quality": z.string(),
});

const period = z.object({
  resolution: z.string(),
  timeInterval: z.object({ start: instant, end: instant }),
  Point: z.array(point).nullable(),
});
type Period = z.output<typeof period>;

const timeSeries = z.object({
  businessType: z.string(),
  "measurement_Unit.name": z.string(),
  MarketEvaluationPoint: z.object({ mRID: z.object({ name: z.string() }) }),
  Period: z.array(period).nullable(),
});

const refusedPoint = z.object({
  success: z.literal(false),
  errorCode: z.int(),
  errorText: z.string().nullish(),
  /** The metering point. */
  id: z.string().nullish(),
});

const answeredPoint = z.object({
  success: z.literal(true),
  MyEnergyData_MarketDocument: z.object({
    createdDateTime: instant,
    TimeSeries: z.array(timeSeries).nullable(),
  }),
});

/** The answer to the question for values: a result for each metering point. */
export const seriesAnswer = z.object({
  result: z.array(z.discriminatedUnion("success", [refusedPoint, answeredPoint])).nullable(),
});

/** What Eloverblik calls the granularities; null for those of values that are no granules. */
const resolutions: Readonly<Record<string, Granularity | null>> = {
  PT15M: "15min",
  PT1H: "hour",
  P1D: "day",
  PT1D: "day",
  P1M: "month",
  P1Y: null,
  PT1Y: null,
  PXD: null,
};
/** A01 is production, A04 consumption; A64 is consumption by a profile, which nobody has measured. */
const businessTypes: Readonly<Record<string, "measured" | "profile">> = {
  A01: "measured",
  A04: "measured",
  A64: "profile",
};
/** Decimal places from the unit to kWh; null for units of something else than energy. */
const units: Readonly<Record<string, number | null>> = {
  KWH: 0,
  MWH: 3,
  AMP: null,
  H87: null,
  K3: null,
  KWT: null,
  MAW: null,
  TNE: null,
  Z03: null,
  Z14: null,
};
/** A02: the grid operator says that there is none. A05: a part of the sum is missing, so that it is too small. */
const qualities: Readonly<Record<string, DeliveredQuality | null>> = {
  A01: "substituted",
  A02: null,
  A03: "estimated",
  A04: "measured",
  A05: null,
};

/** Values of one metering point, ascending. */
export interface Values {
  starts: number[];
  values: (number | null)[];
  quality: DeliveredQuality[];
}

/**
 * The values of a document that are of this granularity, by metering point. Periods in which they are kept in another
 * one are left out.
 * @throws Strange for codes, times and numbers that are not documented
 */
export function valuesOf(
  series: readonly z.output<typeof timeSeries>[],
  granularity: Granularity,
): Map<string, Values> {
  const found = new Map<string, Map<number, Value>>();
  for (const { businessType, "measurement_Unit.name": unit, MarketEvaluationPoint, Period } of series) {
    const kind = known(businessTypes, businessType, "business type");
    const shift = known(units, unit, "unit");
    if (kind === "profile" || shift === null) continue;
    const { name } = MarketEvaluationPoint.mRID;
    const values = found.get(name) ?? new Map<number, Value>();
    found.set(name, values);
    for (const each of Period ?? []) {
      if (known(resolutions, each.resolution, "resolution") !== granularity) continue;
      addPeriod(values, each, { granularity, shift });
    }
  }
  return new Map([...found].map(([name, values]) => [name, ascending(values)]));
}

interface Value {
  value: number | null;
  quality: DeliveredQuality;
}

function addPeriod(
  values: Map<number, Value>,
  { timeInterval: { start, end }, Point }: Period,
  { granularity, shift }: { granularity: Granularity; shift: number },
): void {
  const starts = granuleStarts(granularity, zone, { from: start, to: end });
  if (starts[0] !== start || granuleEnd(granularity, zone, starts.at(-1)!) !== end) {
    // Of the month in which a customer came or left there is a part: it is no value of a month.
    if (granularity === "month") return;
    throw new Strange(`a period that is no whole ${granularity}s`);
  }
  for (const { position, "out_Quantity.quantity": quantity, "out_Quantity.quality": code } of Point ?? []) {
    const at = starts[Number(position) - 1];
    if (at === undefined) throw new Strange(`a value at the position ${position} of ${starts.length}`);
    const quality = known(qualities, code, "quality");
    const value = quality === null ? null : numberOf(quantity ?? "", shift);
    const same = values.get(at);
    if (same !== undefined && same.value !== value) throw new Strange("two values of one time");
    values.set(at, { value, quality: quality ?? "unknown" });
  }
}

function numberOf(text: string, shift: number): number {
  const read = /^-?\d+(\.\d+)?$/.test(text) ? parseDecimal(text, { mark: ".", shift }) : undefined;
  if (read === undefined) throw new Strange(`no number: ${text.slice(0, 40)}`);
  return read.value;
}

function known<Meaning>(meanings: Readonly<Record<string, Meaning>>, code: string, what: string): Meaning {
  if (!Object.hasOwn(meanings, code)) throw new Strange(`the ${what} ${code.slice(0, 40)} is unknown`);
  return meanings[code]!;
}

function ascending(found: ReadonlyMap<number, Value>): Values {
  const sorted = [...found].toSorted(([a], [b]) => a - b);
  return {
    starts: sorted.map(([start]) => start),
    values: sorted.map(([, { value }]) => value),
    quality: sorted.map(([, { quality }]) => quality),
  };
}
