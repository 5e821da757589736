import type { DeliveredQuality, HttpAnswer } from "../../collection/connector.ts";
import {
  type IntervalItem,
  type MeterType,
  memoryFile,
  openFiles,
  type SeriesItem,
} from "../../formats/format.ts";
import { type Granularity, minutesOf } from "../../platform/granularity.ts";
import { granuleEnd, granuleStart } from "../../platform/time/granule.ts";
import { changedAnswer } from "../answer.ts";
import { oneSeries } from "../one-series.ts";

/** Which way what is measured flows, as meters of ours show it. */
export type Representation = "consumption" | "production" | "net_consumption";

/** All that one usage point measures in one direction. */
export interface PointSeries {
  usagePoint: string;
  representation: Representation;
  type: MeterType;
  name: string | undefined;
  /** By metric and granularity. */
  values: Map<string, Map<Granularity, PointValues>>;
}

/** Values by the start of their granule, epoch ms; null where the custodian says that there is none. */
export type PointValues = Map<number, { value: number | null; quality: DeliveredQuality }>;

/** What a feed holds. */
export interface ReadFeed {
  points: PointSeries[];
  /** Intervals of a length that is none of ours, such as billing periods. */
  odd: number;
  /** Values that several devices or registers of a point disagree about. */
  ambiguous: number;
}

const metrics = new Set(["energy", "energy_reactive", "energy_apparent", "flow"]);
const representations = {
  consumption: "consumption",
  unknown: "consumption",
  production: "production",
  net: "net_consumption",
} as const;

interface Part {
  about: SeriesItem;
  /** By granularity. */
  values: Map<Granularity, PointValues>;
}

/**
 * Reads a feed, whole. States of registers, power and voltage are left out: they are no consumption of an interval.
 * @throws ProviderFailure `changed` when a part of it is not understood: then nothing of it is taken
 */
export async function readFeed(answer: HttpAnswer, zone: string): Promise<ReadFeed> {
  const parts = new Map<number, Part>();
  let odd = 0;
  const file = memoryFile("feed.xml", answer.bytes);
  for await (const { format, items } of openFiles(file, { timezone: zone })) {
    if (format !== "green-button") throw changedAnswer(answer, "no feed of Green Button");
    for await (const some of items) {
      for (const item of some) {
        if (item.kind === "series") parts.set(item.series, { about: item, values: new Map() });
        else if (item.kind === "interval") odd += add(parts.get(item.series)!, item, zone);
        else if (item.kind === "problem" && item.severity === "error") {
          throw changedAnswer(answer, `line ${item.line}: ${item.message}`);
        }
      }
    }
  }
  // They become a part of addresses.
  const strange = [...parts.values()].find(({ about }) => /\s|^\.{1,2}$/.test(about.meter));
  if (strange !== undefined) throw changedAnswer(answer, "a usage point whose id is no part of an address");
  const wanted = [...parts.values()].filter(({ about }) => metrics.has(about.metric) && about.meter !== "");
  return { ...joined(wanted), odd };
}

/** Adds a value to its granularity; 1 when it has none. */
function add({ values }: Part, { start, seconds, value, quality }: IntervalItem, zone: string): number {
  const granularity = granularityOf(start, seconds, zone);
  if (granularity === undefined) return 1;
  const some = values.get(granularity) ?? new Map();
  values.set(granularity, some);
  some.set(start, { value, quality: quality === "missing" ? "unknown" : quality });
  return 0;
}

/** Days and months have the length that they have in the zone: 23, 24 or 25 hours. */
function granularityOf(start: number, seconds: number, zone: string): Granularity | undefined {
  const fixed = (Object.entries(minutesOf) as [Granularity, number][]).find(
    ([, minutes]) => minutes * 60 === seconds,
  );
  const candidates: Granularity[] = fixed === undefined ? ["day", "month"] : [fixed[0], "day"];
  return candidates.find(
    (each) =>
      granuleStart(each, zone, start) === start && granuleEnd(each, zone, start) === start + seconds * 1000,
  );
}

/** Meter readings of a point that measure the same follow each other, or are registers of parts of the day. */
function joined(parts: readonly Part[]): Omit<ReadFeed, "odd"> {
  const points = new Map<string, PointSeries>();
  let ambiguous = 0;
  const bySeries = Map.groupBy(parts, ({ about: { meter, direction, metric } }) =>
    JSON.stringify([meter, representations[direction], metric]),
  );
  for (const same of bySeries.values()) {
    const { meter, direction, metric, type, name } = same[0]!.about;
    const representation = representations[direction];
    const id = JSON.stringify([meter, representation]);
    const point = points.get(id) ?? {
      usagePoint: meter,
      representation,
      type,
      name,
      values: new Map<string, Map<Granularity, PointValues>>(),
    };
    points.set(id, point);
    const granularities = new Set(same.flatMap(({ values }) => [...values.keys()]));
    const read = [...granularities].map((granularity) => {
      const one = oneOf(same.flatMap(({ values }) => values.get(granularity) ?? []));
      ambiguous += one.ambiguous;
      return [granularity, one.values] as const;
    });
    point.values.set(metric, new Map(read));
  }
  return { points: [...points.values()], ambiguous };
}

function oneOf(all: readonly PointValues[]): { values: PointValues; ambiguous: number } {
  const [only] = all;
  if (all.length === 1) return { values: only!, ambiguous: 0 };
  const numbers = all.map(
    (values) =>
      new Map([...values].flatMap(([start, { value }]) => (value === null ? [] : [[start, value]]))),
  );
  const { values, ambiguous } = oneSeries(numbers);
  const chosen: PointValues = new Map();
  for (const [start, value] of values) {
    const from = all.find((each) => each.get(start)?.value === value)!;
    chosen.set(start, from.get(start)!);
  }
  return { values: chosen, ambiguous };
}
