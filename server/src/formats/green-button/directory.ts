import { Fault } from "../problems.ts";
import { detached } from "../text.ts";
import type { LocalTime } from "./zone.ts";

/** Resources of one kind and links between them that are remembered; blocks themselves are not. */
const resourcesMax = 20_000;
const linksMax = 500_000;

/** The links of one Atom entry, normalised. Filled while the entry is read. */
export interface Links {
  self: string;
  up: string;
  related: string[];
}

interface Linked {
  links: Links;
  line: number;
}

/** A metering point. */
export interface UsagePoint extends Linked {
  service: string;
  title: string;
}

/** A series of a usage point; says only what it is linked to. */
export interface MeterReading extends Linked {
  /** A reading type that stands inside the meter reading instead of being linked. */
  own?: ReadingType;
}

/** What the numbers of a meter reading are; every code as printed, `""` when absent. */
export interface ReadingType extends Linked {
  accumulationBehaviour: string;
  commodity: string;
  currency: string;
  defaultQuality: string;
  flowDirection: string;
  intervalLength: string;
  powerOfTenMultiplier: string;
  uom: string;
}

/** Local time of a usage point. */
export interface LocalTimeParameters extends Linked, LocalTime {}

/** What is known about a block of readings. */
export interface Found {
  usagePoint: UsagePoint | undefined;
  meterReading: MeterReading | undefined;
  readingType: ReadingType | undefined;
  /** True when the reading type is not linked and merely the only one of the file. */
  assumed: boolean;
}

/** Remembers the resources of a feed and finds what belongs together by the links between them. */
export class Directory {
  readonly usagePoints = new Map<string, UsagePoint>();
  readonly meterReadings = new Map<string, MeterReading>();
  readonly readingTypes = new Map<string, ReadingType>();
  readonly localTimes = new Map<string, LocalTimeParameters>();
  #pointOfLink = new Map<string, UsagePoint>();
  #readingOfLink = new Map<string, MeterReading>();
  #typeOfLink = new Map<string, ReadingType>();
  #localTimeOfLink = new Map<string, LocalTimeParameters>();
  #links = 0;

  /** Remembers a usage point. */
  addUsagePoint(point: UsagePoint): void {
    this.#remember(this.usagePoints, point);
    for (const link of point.links.related) this.#link(this.#pointOfLink, link, point);
  }

  /** Remembers a meter reading. */
  addMeterReading(reading: MeterReading): void {
    this.#remember(this.meterReadings, reading);
    for (const link of reading.links.related) this.#link(this.#readingOfLink, link, reading);
  }

  /** Remembers a reading type. */
  addReadingType(type: ReadingType): void {
    this.#remember(this.readingTypes, type);
    for (const link of [type.links.up, ...type.links.related]) this.#link(this.#typeOfLink, link, type);
  }

  /** Remembers local time parameters. */
  addLocalTime(local: LocalTimeParameters): void {
    this.#remember(this.localTimes, local);
    for (const link of [local.links.up, ...local.links.related])
      this.#link(this.#localTimeOfLink, link, local);
  }

  /** What belongs to a block with these links. With `all`, the file is read whole: what is single is taken. */
  find(block: Links, all: boolean): Found {
    const reading =
      this.#readingOfLink.get(block.up) ??
      this.#readingOfLink.get(block.self) ??
      above(this.meterReadings, block.up) ??
      above(this.meterReadings, block.self) ??
      (all ? only(this.meterReadings) : undefined);
    const linked = reading === undefined ? undefined : this.#typeOf(reading);
    const readingType = linked ?? (all ? only(this.readingTypes) : undefined);
    return {
      usagePoint: this.#pointOf(block, reading) ?? (all ? only(this.usagePoints) : undefined),
      meterReading: reading,
      readingType,
      assumed: linked === undefined && readingType !== undefined,
    };
  }

  /** Local time of a usage point: linked, else the only one of the file. `"several"` when it cannot be told. */
  localTimeOf(point: UsagePoint | undefined, all: boolean): LocalTimeParameters | "several" | undefined {
    if (point !== undefined) {
      for (const link of point.links.related) {
        const local = this.localTimes.get(link);
        if (local !== undefined) return local;
      }
      const local = this.#localTimeOfLink.get(point.links.self);
      if (local !== undefined) return local;
      // It links to parameters that may still come.
      if (!all && point.links.related.some((link) => link.includes("LocalTimeParameters/"))) return undefined;
    }
    return this.localTimes.size > 1 ? "several" : only(this.localTimes);
  }

  #typeOf(reading: MeterReading): ReadingType | undefined {
    if (reading.own !== undefined) return reading.own;
    for (const link of reading.links.related) {
      const type = this.readingTypes.get(link);
      if (type !== undefined) return type;
    }
    return this.#typeOfLink.get(reading.links.self);
  }

  #pointOf(block: Links, reading: MeterReading | undefined): UsagePoint | undefined {
    const links = reading === undefined ? [] : [reading.links.self, reading.links.up];
    for (const link of [block.up, block.self, ...links]) {
      const point = above(this.usagePoints, link) ?? this.#pointOfLink.get(link);
      if (point !== undefined) return point;
    }
    return undefined;
  }

  #remember<T extends Linked>(known: Map<string, T>, resource: T): void {
    // Without an address of its own a resource can only be found as the single one of its kind.
    known.set(resource.links.self === "" ? `line ${resource.line}` : resource.links.self, resource);
    if (known.size > resourcesMax) {
      throw new Fault(
        `The file describes more than ${resourcesMax} resources of one kind. Split it.`,
        resource,
      );
    }
  }

  #link<T extends Linked>(links: Map<string, T>, link: string, resource: T): void {
    if (link === "") return;
    this.#links += 1;
    if (this.#links > linksMax) {
      throw new Fault(`The file has more than ${linksMax} links. Split it.`, resource);
    }
    links.set(link, resource);
  }
}

/** Address without scheme, host, query and outer slashes, so that different writings compare equal. */
export function normalised(href: string): string {
  const path = href
    .trim()
    .slice(0, 1_000)
    .replace(/^[A-Za-z][A-Za-z0-9+.-]{0,20}:\/\/[^/]*/, "")
    .replace(/[?#].*$/s, "");
  const parts = path.split("/").filter((part) => part !== "");
  return detached(parts.join("/"));
}

/** The path element after `name`, `""` when there is none: `after("a/UsagePoint/7/b", "UsagePoint")` is `7`. */
export function after(path: string, name: string): string {
  const parts = path.split("/");
  const at = parts.lastIndexOf(name);
  return at < 0 ? "" : (parts[at + 1] ?? "");
}

/** The nearest known resource at or above a path. */
function above<T>(known: Map<string, T>, path: string): T | undefined {
  let rest = path;
  while (rest !== "") {
    const found = known.get(rest);
    if (found !== undefined) return found;
    rest = rest.slice(0, Math.max(0, rest.lastIndexOf("/")));
  }
  return undefined;
}

function only<T>(known: Map<string, T>): T | undefined {
  if (known.size !== 1) return undefined;
  for (const value of known.values()) return value;
  return undefined;
}
