import { z } from "zod";
import type { Day, FoundMeter } from "../../collection/connector.ts";
import type { Granularity } from "../../platform/granularity.ts";
import { dayOf, dayText } from "../windows.ts";

/** Danish metering points count their days by this clock. */
export const zone = "Europe/Copenhagen";

/** Texts are null or empty where Eloverblik knows nothing. */
const words = z
  .string()
  .nullish()
  .transform((text) => text?.trim() ?? "");
/** A day, or the instant at which one begins by the clock of Copenhagen, such as `2021-02-28T23:00:00.000Z`. */
const day = z
  .union([z.literal(""), z.iso.date(), z.iso.datetime({ offset: true, local: true })])
  .nullish()
  .transform((text): Day | undefined => {
    if (!text) return undefined;
    return /Z|[+-]\d\d:\d\d$/.test(text) ? dayText(dayOf(zone, Date.parse(text))) : text.slice(0, 10);
  });
const id = z.string().regex(/^\d{18}$/, "must be 18 digits");

const child = z.object({
  meteringPointId: id,
  typeOfMP: z.string(),
  meterReadingOccurrence: words,
  meterNumber: words,
});

const point = z.object({
  ...child.shape,
  streetName: words,
  buildingNumber: words,
  floorId: words,
  roomId: words,
  postcode: words,
  cityName: words,
  firstConsumerPartyName: words,
  consumerCVR: words,
  consumerStartDate: day,
  /** First and last day that a power of attorney covers. */
  accessFrom: day,
  accessTo: day,
  childMeteringPoints: z.array(child).nullish(),
});
/** A metering point as lists show it. */
export type Point = z.output<typeof point>;

/** The answer to the question which metering points there are. */
export const pointsAnswer = z.object({ result: z.array(point).nullable() });

/** The answer to the question which powers of attorney a third party has. */
export const authorizationsAnswer = z.object({
  result: z.array(z.object({ id: z.string().regex(/^[\w-]+$/) })).nullable(),
});

/** Points that several powers of attorney cover, once, for all the days of any. */
export function mergedPoints(points: readonly Point[]): Point[] {
  return [...Map.groupBy(points, ({ meteringPointId }) => meteringPointId).values()].map((same) => {
    const from = same.map(({ accessFrom }) => accessFrom ?? "");
    const to = same.map(({ accessTo }) => accessTo ?? "9999-12-31");
    return { ...same[0]!, accessFrom: from.toSorted()[0] || undefined, accessTo: to.toSorted().at(-1) };
  });
}

/**
 * Kinds of metering points that hold energy which flows one way. Others are left out: analyses, net of both ways,
 * exchange between grids.
 */
const kinds: Readonly<Record<string, { name: string; representation: "consumption" | "production" }>> = {
  E17: { name: "Forbrug", representation: "consumption" },
  E18: { name: "Produktion", representation: "production" },
  D01: { name: "VE-produktion", representation: "production" },
  D04: { name: "Overskudsproduktion", representation: "production" },
  D06: { name: "Leveret til net", representation: "production" },
  D07: { name: "Forbrug fra net", representation: "consumption" },
  D09: { name: "Egenproduktion", representation: "production" },
  D12: { name: "Samlet forbrug", representation: "consumption" },
  D14: { name: "Elvarme", representation: "consumption" },
  D17: { name: "Øvrigt forbrug", representation: "consumption" },
  D18: { name: "Øvrig produktion", representation: "production" },
};

/**
 * How often a point is read says what may be asked for. Points with quarters had hours before, and Eloverblik adds
 * quarters up. Points that are read otherwise have statements of any length, which are no values of granules.
 */
const granularitiesOf: Readonly<Record<string, readonly Granularity[]>> = {
  PT15M: ["15min", "hour"],
  PT1H: ["hour"],
  P1M: ["month"],
};

/** The metering points of a list that can be collected, children included; `today` by the clock of Copenhagen. */
export function metersOf(points: readonly Point[], today: Day): FoundMeter[] {
  return points.flatMap((parent) => {
    const address = addressOf(parent);
    const { firstConsumerPartyName: name, consumerCVR: number } = parent;
    const about: Partial<FoundMeter> = {
      ...(address === "" ? {} : { address }),
      ...(name === "" || number === "" ? {} : { customer: { number, name } }),
      ...boundsOf(parent, today),
    };
    return [parent, ...(parent.childMeteringPoints ?? [])].flatMap((each) => meterOf(each, about));
  });
}

function meterOf(
  { meteringPointId, typeOfMP, meterReadingOccurrence, meterNumber }: z.output<typeof child>,
  about: Partial<FoundMeter>,
): FoundMeter[] {
  const kind = kinds[typeOfMP];
  if (kind === undefined) return [];
  const granularities = granularitiesOf[meterReadingOccurrence] ?? [];
  return [
    {
      ...about,
      key: meteringPointId,
      ean: meteringPointId,
      name: kind.name,
      type: "electricity",
      representation: kind.representation,
      timezone: zone,
      text: [typeOfMP, meterReadingOccurrence, meterNumber].filter((each) => each !== "").join(" "),
      metrics: granularities.length === 0 ? [] : [{ metric: "energy", granularities }],
    },
  ];
}

/** The days of the customer at a point, as far as they may be read. */
function boundsOf(
  { consumerStartDate = "", accessFrom = "", accessTo }: Point,
  today: Day,
): Partial<FoundMeter> {
  const from = consumerStartDate > accessFrom ? consumerStartDate : accessFrom;
  return {
    ...(from === "" ? {} : { from }),
    ...(accessTo === undefined || accessTo >= today
      ? {}
      : { ended: dayText(dayOf("UTC", Date.parse(accessTo)) + 1) }),
  };
}

/** `Vestergade 1A, 2. th, 1450 København K` */
function addressOf({ streetName, buildingNumber, floorId, roomId, postcode, cityName }: Point): string {
  const floor = floorId === "" ? "" : `${floorId}.`;
  return [
    [streetName, buildingNumber],
    [floor, roomId],
    [postcode, cityName],
  ]
    .map((parts) => parts.filter((part) => part !== "").join(" "))
    .filter((part) => part !== "")
    .join(", ");
}
