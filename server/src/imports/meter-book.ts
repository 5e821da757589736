import type { Direction, MeterType, SeriesItem } from "../formats/format.ts";
import type { Representation } from "../meters/meters.ts";
import { type Granularity, granularities } from "../platform/granularity.ts";

/** A metering point that files name: what makes it the same one is ean, channel and representation. */
export interface PlannedMeter {
  ean: string;
  channel: string;
  representation: Representation | null;
  type: MeterType;
  name: string;
  address: string | null;
  /** What the files or the options say, else the account's default. */
  timezone: string;
  /** The finest granularity that there are values of; null when there are none. */
  granularity: Granularity | null;
}

/** One metric of one meter in one granularity: where values go. */
export interface PlannedSeries {
  /** Index into the meters. */
  meter: number;
  metric: string;
  granularity: Granularity;
  /** Values to store. */
  values: number;
  /** First and last start, epoch milliseconds; null without values. */
  first: number | null;
  last: number | null;
}

/** More metering points or series than that in one import are a sign of a wrong column. */
export const plannedMax = 20_000;
const textCharsMax = 100;

const representationOf: Readonly<Record<Direction, Representation | null>> = {
  consumption: "consumption",
  production: "production",
  net: "net_consumption",
  unknown: null,
};

/** Numbers the metering points and series of an import; files that name the same ones share them. */
export class MeterBook {
  readonly meters: PlannedMeter[] = [];
  readonly series: PlannedSeries[] = [];
  readonly #meterNumbers = new Map<string, number>();
  readonly #seriesNumbers = new Map<string, number>();
  readonly #options: { meter: string | undefined; accountZone: string };

  constructor(options: { meter: string | undefined; accountZone: string }) {
    this.#options = options;
  }

  /** Number of the metering point that a series of a file belongs to, or why it cannot be told, with the remedy. */
  meterOf(item: SeriesItem): number | { refusal: string } {
    const ean = item.meter === "" ? (this.#options.meter ?? "") : item.meter;
    if (ean === "") {
      return {
        refusal: 'The file names no meter. State whose values these are: option "meter", an EAN or other id.',
      };
    }
    for (const [what, text] of Object.entries({ meter: ean, channel: item.channel })) {
      if (text.length > textCharsMax)
        return { refusal: `The ${what} "${text.slice(0, 40)}…" is longer than ${textCharsMax} characters.` };
      if (/\p{Cc}/u.test(text))
        return { refusal: `The ${what} contains control characters. Is the right column named?` };
    }
    const representation = representationOf[item.direction];
    const key = JSON.stringify([ean, item.channel, representation]);
    const known = this.#meterNumbers.get(key);
    if (known !== undefined) return this.#again(known, item);
    if (this.meters.length >= plannedMax)
      return { refusal: `More than ${plannedMax} metering points. Split the upload.` };
    this.meters.push({
      ean,
      channel: item.channel,
      representation,
      type: item.type,
      name: cut(item.name) ?? `${ean} ${item.channel}`.trim(),
      address: cut(item.address) ?? null,
      timezone: item.timezone ?? this.#options.accountZone,
      granularity: null,
    });
    this.#meterNumbers.set(key, this.meters.length - 1);
    return this.meters.length - 1;
  }

  #again(known: number, item: SeriesItem): number | { refusal: string } {
    const meter = this.meters[known]!;
    if (meter.type !== item.type) {
      return {
        refusal: `Meter ${meter.ean} is ${meter.type} in one place and ${item.type} in another. Name a channel for each.`,
      };
    }
    const zone = item.timezone ?? this.#options.accountZone;
    if (meter.timezone !== zone) {
      return {
        refusal: `Meter ${meter.ean} is in ${meter.timezone} in one place and in ${zone} in another. State one time zone.`,
      };
    }
    return known;
  }

  /** Number of a series; `undefined` when there are too many. */
  seriesOf(meter: number, metric: string, granularity: Granularity): number | undefined {
    const key = `${meter} ${metric} ${granularity}`;
    const known = this.#seriesNumbers.get(key);
    if (known !== undefined) return known;
    if (this.series.length >= plannedMax) return undefined;
    this.series.push({ meter, metric, granularity, values: 0, first: null, last: null });
    this.#seriesNumbers.set(key, this.series.length - 1);
    const planned = this.meters[meter]!;
    if (planned.granularity === null || rank(granularity) < rank(planned.granularity))
      planned.granularity = granularity;
    return this.series.length - 1;
  }
}

const rank = (granularity: Granularity) => granularities.indexOf(granularity);

function cut(text: string | undefined): string | undefined {
  const whole = text?.trim().slice(0, 200);
  return whole === "" ? undefined : whole;
}
