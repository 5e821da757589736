import {
  type FileSource,
  type IntervalItem,
  type Item,
  openFiles,
  type Quality,
  type SeriesItem,
} from "../formats/format.ts";
import { formatTimestamp } from "../platform/time/timestamp.ts";
import { earliest, isZone, latest } from "../platform/time/zone.ts";
import { Granules } from "./granules.ts";
import type { MeterBook } from "./meter-book.ts";
import { plannedMax } from "./meter-book.ts";
import type { ProblemBook } from "./problem-book.ts";
import type { Spool } from "./spool.ts";

/** How files are read. */
export interface GatherOptions {
  timezone?: string;
  /** Zone of wall-clock times that nothing in the file places: that of the account. */
  defaultTimezone?: string;
  unit?: string;
  mapping?: unknown;
  format?: string;
  expandedBytesMax: number;
  /** Unit of each metric that values can be stored of. */
  units: Readonly<Record<string, string>>;
  /** Qualities in the order of their codes in the store. */
  qualities: readonly string[];
  /** Values that start at this instant or later lie in the future, epoch milliseconds. */
  futureFrom: number;
}

/** Where the content of files goes. */
export interface GatherInto {
  book: MeterBook;
  spool: Spool;
  problems: ProblemBook;
  /** Is told after each chunk how many values were read in all. */
  progress: (values: number) => void;
}

/** What was read. */
export interface Gathered {
  /** Unpacked files by number, with their format; null when it was not recognised. */
  files: { name: string; format: string | null }[];
  /** Values of intervals, also missing ones. */
  values: number;
  /** States of registers, which are not stored. */
  readings: number;
}

/** A series of the file at hand. */
interface OpenSeries {
  item: SeriesItem;
  /** Number of the metering point; null when the series was refused. */
  meter: number | null;
  granules: Granules;
  /** Numbers of the planned series by length of the interval. */
  planned: Map<string, number | undefined>;
  readings: number;
}

/** More unpacked files than that are not told apart any more. */
const filesMax = 65_535;

/** Reads files, unpacked, into a spool. Whatever is wrong with them ends up among the problems. */
export async function gather(
  sources: readonly FileSource[],
  options: GatherOptions,
  into: GatherInto,
): Promise<Gathered> {
  const got: Gathered = { files: [], values: 0, readings: 0 };
  for (const source of sources) {
    for await (const { name, format, items } of openFiles(source, options)) {
      if (got.files.length >= filesMax) throw new Error("more files than the limits of unpacking allow");
      got.files.push({ name, format });
      await new FileGatherer(name, { options, into, got }).gather(items);
    }
  }
  return got;
}

class FileGatherer {
  readonly #file: string;
  readonly #number: number;
  readonly #options: GatherOptions;
  readonly #into: GatherInto;
  readonly #got: Gathered;
  readonly #series: OpenSeries[] = [];
  readonly #qualityCodes: Record<Quality, number>;
  #tooMany = false;
  /** Handed to the spool again and again. */
  readonly #value = { start: 0, value: 0, quality: 0, line: 0, file: 0, version: 0 };

  constructor(file: string, context: { options: GatherOptions; into: GatherInto; got: Gathered }) {
    this.#file = file;
    this.#options = context.options;
    this.#into = context.into;
    this.#got = context.got;
    this.#qualityCodes = codesOf(context.options.qualities);
    this.#number = context.got.files.length - 1;
  }

  async gather(items: AsyncIterable<Item[]>): Promise<void> {
    for await (const some of items) {
      for (const item of some) this.#take(item);
      this.#into.progress(this.#got.values);
    }
    for (const { item, readings } of this.#series) {
      if (readings > 0) {
        this.#problem(
          "warning",
          `${readings} readings of the register ${nameOf(item)} were not stored: only values of intervals are.`,
        );
      }
    }
  }

  #take(item: Item): void {
    if (item.kind === "interval") this.#interval(item);
    else if (item.kind === "reading") {
      this.#got.readings++;
      this.#series[item.series]!.readings++;
    } else if (item.kind === "series") this.#series[item.series] = this.#open(item);
    else
      this.#into.problems.add(item.severity, item.message, {
        file: this.#file,
        line: item.line,
        field: item.field,
      });
  }

  #open(item: SeriesItem): OpenSeries {
    const zone = item.timezone;
    const refusal =
      zone !== null && !isZone(zone)
        ? `Unknown time zone "${zone.slice(0, 64)}".`
        : refusalOfMetric(item, this.#options.units);
    // Readings of registers are not stored, so nothing has to be known about whose they are.
    const found =
      refusal !== undefined ? { refusal } : item.register === true ? null : this.#into.book.meterOf(item);
    const refused = typeof found === "object" && found !== null;
    if (refused) this.#problem("error", found.refusal);
    const meter = refused ? null : found;
    const inZone = meter === null ? "UTC" : this.#into.book.meters[meter]!.timezone;
    return { item, meter, granules: new Granules(inZone), planned: new Map(), readings: 0 };
  }

  #interval(item: IntervalItem): void {
    this.#got.values++;
    const series = this.#series[item.series]!;
    if (series.meter === null) return;
    const planned = this.#plannedFor(series, item);
    if (planned === undefined) return;
    const value = this.#value;
    value.start = item.start;
    value.value = item.value ?? Number.NaN;
    value.quality = this.#qualityCodes[item.quality];
    value.line = item.line;
    value.file = this.#number;
    value.version = item.version ?? Number.NaN;
    this.#into.spool.add(planned, value);
  }

  #plannedFor(series: OpenSeries, { start, seconds, line }: IntervalItem): number | undefined {
    if (!(start >= earliest && start < latest))
      return void this.#problem("error", "The time is outside of 1970-2099.", line);
    if (start >= this.#options.futureFrom) {
      return void this.#problem("error", `${formatTimestamp(start)} lies in the future.`, line);
    }
    const granularity = series.granules.kindOf(start, seconds);
    if (granularity === undefined)
      return void this.#problem("error", noGranule(start, seconds, series.granules.zone), line);
    if (!series.planned.has(granularity)) {
      const number = this.#into.book.seriesOf(series.meter!, series.item.metric, granularity);
      series.planned.set(granularity, number);
      if (number === undefined && !this.#tooMany) {
        this.#tooMany = true;
        this.#problem("error", `More than ${plannedMax} series in one import. Split the upload.`, line);
      }
    }
    return series.planned.get(granularity);
  }

  #problem(severity: "error" | "warning", message: string, line: number | null = null): void {
    this.#into.problems.add(severity, message, { file: this.#file, line });
  }
}

/** Codes of the store by quality; a missing value is not stored, so it needs none of its own. */
function codesOf(names: readonly string[]): Record<Quality, number> {
  const code = (name: string) => Math.max(0, names.indexOf(name));
  return {
    unknown: code("unknown"),
    measured: code("measured"),
    estimated: code("estimated"),
    calculated: code("calculated"),
    substituted: code("substituted"),
    missing: code("unknown"),
  };
}

function refusalOfMetric({ metric, unit }: SeriesItem, units: GatherOptions["units"]): string | undefined {
  if (!Object.hasOwn(units, metric)) {
    return `There is no metric "${metric}" to store values of. Metrics: ${Object.keys(units).join(", ")}.`;
  }
  const wanted = units[metric];
  return wanted === unit
    ? undefined
    : `Values of ${metric} are stored in ${wanted}, not in ${unit}. State the unit.`;
}

function noGranule(start: number, seconds: number, zone: string): string {
  return (
    `The interval of ${seconds} s from ${formatTimestamp(start)} is no 5, 10, 15 or 30 minutes, hour, day or month ` +
    `of ${zone}. If the file belongs to another time zone, state it.`
  );
}

const nameOf = ({ meter, channel }: SeriesItem) => `${meter} ${channel}`.trim() || "without a name";
