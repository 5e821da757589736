import type { IntervalItem, Item, ReadingItem, SeriesItem } from "../item.ts";
import { Fault, type Problems } from "../problems.ts";
import { SeriesBook, seriesMax } from "../series-book.ts";
import { type Scale, scaleOf, type Unit, unitOf } from "../units.ts";
import {
  directionOf,
  instantBehaviours,
  meterTypeOf,
  qualityOf,
  registerBehaviours,
  unitOfCode,
} from "./codes.ts";
import type { RawReading } from "./columns.ts";
import { after, type Directory, type Found, type Links, type ReadingType } from "./directory.ts";
import { zoneOf } from "./zone.ts";

/** Largest printable power of ten in the schema is 9, the smallest -12. */
const powersOfTen = { min: -12, max: 12 };

/** Where the readings of a block go. */
export interface Target {
  key: string;
  found: Found;
  links: Links;
  /** Undefined when the unit is not known or not stored: the readings are then left out. */
  unit: { unit: Unit; printed: string; scale: Scale } | undefined;
  register: boolean;
  defaultQuality: string;
  /** Seconds by the reading type, -1 when it says nothing. */
  intervalSeconds: number;
  /** Numbers of the announced series, by "are these readings of a register". */
  interval: number | undefined;
  reading: number | undefined;
}

/** What the series of one feed share. */
export interface SeriesOptions {
  timezone: string | undefined;
  unit: string | undefined;
}

/** Finds the target of blocks and turns raw readings into items, announcing series on their first value. */
export class BlockSeries {
  #directory: Directory;
  #problems: Problems;
  #options: SeriesOptions;
  #targets = new Map<string, Target>();
  #book: SeriesBook;
  #pathOfMeter = new Map<string, string>();
  #told = new Set<string>();
  /** When the feed was made, epoch milliseconds. */
  version: number | undefined;
  /** True as soon as a block used the only reading type of the file without a link. */
  assumedType: ReadingType | undefined;

  constructor(directory: Directory, problems: Problems, options: SeriesOptions) {
    this.#book = new SeriesBook(problems);
    this.#directory = directory;
    this.#problems = problems;
    this.#options = options;
  }

  /** Target of a block, undefined while resources that it needs may still come (never with `all`). */
  target(links: Links, line: number, all: boolean): Target | undefined {
    const found = this.#directory.find(links, all);
    const { usagePoint, meterReading, readingType } = found;
    if (!all) {
      if (readingType === undefined || usagePoint === undefined) return undefined;
      const stated = this.#options.timezone !== undefined;
      if (!stated && this.#directory.localTimeOf(usagePoint, false) === undefined) return undefined;
    }
    if (found.assumed) this.assumedType = readingType;
    const typeKey = readingType?.links.self ?? "";
    const key = `${meterReading?.links.self ?? blocksOwner(links)} ${typeKey}`;
    const known = this.#targets.get(key);
    if (known !== undefined) return known;
    if (this.#targets.size >= seriesMax) {
      throw new Fault(`The file holds more than ${seriesMax} series. Split it.`, { line });
    }
    const target = this.#newTarget({ key, found, links, line });
    this.#targets.set(key, target);
    return target;
  }

  /** Appends the item of one reading to `out`, after its series when that is new. */
  emit(raw: RawReading, target: Target, out: Item[]): void {
    if (target.unit === undefined) return;
    const seconds = raw.seconds >= 0 ? raw.seconds : target.intervalSeconds;
    if (seconds < 0) {
      const message = "The reading has no duration and its reading type no intervalLength.";
      this.#problems.error(message, { line: raw.line, field: "duration" });
      return;
    }
    const register = target.register || seconds === 0;
    const series = (register ? target.reading : target.interval) ?? this.#announce(target, register, out);
    if (series === undefined) return;
    const shared = {
      series,
      value: raw.value === null ? null : target.unit.scale.toBase(raw.value),
      quality: raw.value === null ? "missing" : this.#quality(raw.code, target),
      code: raw.code,
      line: raw.line,
      ...(this.version === undefined ? {} : { version: this.version }),
    } as const;
    const item: IntervalItem | ReadingItem = register
      ? { kind: "reading", time: raw.start + seconds * 1_000, ...shared }
      : { kind: "interval", start: raw.start, seconds, ...shared };
    out.push(item);
  }

  #qualities = new Map<string, ReturnType<typeof qualityOf>>();

  #quality(code: string, target: Target) {
    const codes = code === "" ? target.defaultQuality : code;
    let quality = this.#qualities.get(codes);
    if (quality === undefined) {
      quality = qualityOf(codes === "" ? [] : codes.split(","));
      if (this.#qualities.size < 1_000) this.#qualities.set(codes, quality);
    }
    return quality;
  }

  #newTarget({ key, found, links, line }: { key: string; found: Found; links: Links; line: number }): Target {
    const type = found.readingType;
    const unit = this.#unit(type, line);
    const behaviour = type?.accumulationBehaviour ?? "";
    const instant = instantBehaviours.has(behaviour) && unit?.unit.metric !== "power";
    const length = type === undefined || type.intervalLength === "" ? -1 : Number(type.intervalLength);
    return {
      key,
      found,
      links,
      unit,
      register: registerBehaviours.has(behaviour) || instant,
      defaultQuality: type?.defaultQuality ?? "",
      intervalSeconds: Number.isInteger(length) && length > 0 && length < 2 ** 31 ? length : -1,
      interval: undefined,
      reading: undefined,
    };
  }

  #unit(type: ReadingType | undefined, line: number): Target["unit"] {
    const stated = this.#options.unit;
    const known = type === undefined ? undefined : unitOfCode(type.uom);
    const named = known ?? (stated === undefined ? undefined : { printed: stated, unit: unitOf(stated) });
    if (named === undefined) {
      this.#tell("error", line, type === undefined ? noType : noUnit(type.uom));
      return undefined;
    }
    if (named.unit === undefined) {
      if (known === undefined) this.#tell("error", line, `The stated unit "${stated}" is not known.`);
      else
        this.#tell("warning", type!.line, `Values in ${named.printed} are no consumption and are left out.`);
      return undefined;
    }
    const power =
      type === undefined || type.powerOfTenMultiplier === "" ? 0 : Number(type.powerOfTenMultiplier);
    if (!Number.isInteger(power) || power < powersOfTen.min || power > powersOfTen.max) {
      const message = `powerOfTenMultiplier "${type?.powerOfTenMultiplier}" is no whole number from -12 to 12.`;
      this.#problems.error(message, { line: type?.line ?? line, field: "powerOfTenMultiplier" });
      return undefined;
    }
    const printed = power === 0 ? named.printed : `10^${power} ${named.printed}`;
    return { unit: named.unit, printed, scale: scaleOf(named.unit, power) };
  }

  #announce(target: Target, register: boolean, out: Item[]): number | undefined {
    const { usagePoint, meterReading, readingType } = target.found;
    const { unit, printed } = target.unit!;
    const series: Omit<SeriesItem, "kind" | "series"> = {
      meter: this.#meter(target),
      channel: after(meterReading?.links.self ?? target.links.up, "MeterReading"),
      type: meterTypeOf(usagePoint?.service ?? "", readingType?.commodity ?? "", printed.split(" ").at(-1)!),
      metric: unit.metric,
      direction: directionOf(readingType?.flowDirection ?? ""),
      unit: unit.base,
      printedUnit: printed,
      timezone: this.#zone(target),
    };
    if (usagePoint !== undefined && usagePoint.title !== "") series.name = usagePoint.title;
    if (register) series.register = true;
    const number = this.#book.open(`${target.key} ${register}`, series, out);
    if (register) target.reading = number;
    else target.interval = number;
    return number;
  }

  #meter({ found, links }: Target): string {
    const paths = [found.usagePoint?.links.self, found.meterReading?.links.self, links.up, links.self];
    const path =
      paths.find((candidate) => candidate !== undefined && after(candidate, "UsagePoint") !== "") ?? "";
    const meter = after(path, "UsagePoint");
    const owner = path.slice(0, path.lastIndexOf(`UsagePoint/${meter}`));
    const known = this.#pathOfMeter.get(meter);
    if (known === undefined) this.#pathOfMeter.set(meter, owner);
    else if (known !== owner) {
      const message =
        `Two usage points are called "${meter}", below "${known}" and below "${owner}". ` +
        "Import each in a file of its own.";
      this.#tell("error", found.usagePoint?.line ?? null, message);
    }
    return meter;
  }

  #zone({ found }: Target): string | null {
    if (this.#options.timezone !== undefined) return this.#options.timezone;
    const local = this.#directory.localTimeOf(found.usagePoint, true);
    if (local === undefined) return null;
    if (local === "several") {
      this.#tell("warning", null, `Several local times and no link says which holds. ${stateZone}`);
      return null;
    }
    const answer = zoneOf(local);
    if ("zone" in answer) return answer.zone;
    this.#tell(
      "warning",
      local.line,
      `The local time parameters are not usable: ${answer.problem}. ${stateZone}`,
    );
    return null;
  }

  /** Once per file and message: the same defect usually holds for every series. */
  #tell(severity: "error" | "warning", line: number | null, message: string): void {
    if (this.#told.has(message)) return;
    this.#told.add(message);
    this.#problems[severity](message, { line });
  }
}

const stateUnit = "State the unit of the values when you import the file, for example Wh, kWh, m3 or therm.";
const stateZone = "State the time zone when you import the file.";
const noType = `No reading type says what unit the values have. ${stateUnit}`;
const noUnit = (uom: string) => `The reading type names no unit that we know (uom "${uom}"). ${stateUnit}`;

/** Address of what a block without known meter reading belongs to. */
function blocksOwner({ up, self }: Links): string {
  const path = up !== "" ? up : self;
  const at = path.lastIndexOf("/IntervalBlock");
  return at < 0 ? path : path.slice(0, at);
}
