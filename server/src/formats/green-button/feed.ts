import { parseDecimal } from "../../platform/decimal.ts";
import { instantOf } from "../instant.ts";
import type { Item } from "../item.ts";
import { Fault, type Problems } from "../problems.ts";
import { detached } from "../text.ts";
import type { XmlElement, XmlHandler } from "../xml.ts";
import { type RawReading, ReadingColumns, waitingMax } from "./columns.ts";
import {
  Directory,
  type Links,
  type LocalTimeParameters,
  type MeterReading,
  normalised,
  type ReadingType,
  type UsagePoint,
} from "./directory.ts";
import { BlockSeries, type SeriesOptions, type Target } from "./series.ts";

const espi = "http://naesb.org/espi";
const atom = "http://www.w3.org/2005/Atom";

/** Instants that a meter can have measured: 1970 until 2100, as everywhere in time arithmetic. */
const latestSeconds = 4_102_444_800;
const durationMax = 100 * 366 * 86_400;
/** Items handed on at once when waiting readings get their unit. */
const drainItems = 8_192;

interface Block {
  links: Links;
  line: number;
  /** Undefined while the readings wait in the columns. */
  target: Target | undefined;
}

interface WaitingBlock {
  links: Links;
  line: number;
  from: number;
  to: number;
}

/** Follows an Atom feed of ESPI resources and collects the items of its interval blocks. */
export class Feed implements XmlHandler {
  #problems: Problems;
  #directory = new Directory();
  #book: BlockSeries;
  #out: Item[] = [];
  #path: string[] = [];
  #text = "";

  #links: Links = { self: "", up: "", related: [] };
  #title = "";
  #point: UsagePoint | undefined;
  #meterReading: MeterReading | undefined;
  #type: ReadingType | undefined;
  #local: LocalTimeParameters | undefined;
  #block: Block | undefined;

  #raw = { start: "", duration: "", value: undefined as string | undefined, codes: [] as string[], line: 0 };
  #waiting: WaitingBlock[] = [];
  #columns = new ReadingColumns();
  #waitingMax: number;
  /** True once waiting readings had to be settled early: from then on only a reading type is waited for. */
  #settled = false;

  #readings = 0;
  #costs = 0;
  #resources = new Set<string>();

  constructor(problems: Problems, options: SeriesOptions & { waitingMax?: number }) {
    this.#waitingMax = options.waitingMax ?? waitingMax;
    this.#problems = problems;
    this.#book = new BlockSeries(this.#directory, problems, options);
  }

  /** Items since the last call. */
  take(): Item[] {
    const taken = this.#out;
    this.#out = [];
    return taken;
  }

  /** True when so many readings wait that they must be settled before the file goes on. */
  get full(): boolean {
    return this.#columns.length >= this.#waitingMax;
  }

  open({ name, namespace, attribute }: XmlElement, line: number): void {
    this.#text = "";
    const parent = this.#path.at(-1);
    if (namespace === espi) {
      this.#path.push(name);
      if (parent === "atom:content") this.#addResource(name);
      this.#openResource(name, line);
    } else if (namespace === atom) {
      this.#path.push(`atom:${name}`);
      if (name === "entry") this.#openEntry();
      else if (name === "link" && parent === "atom:entry") {
        this.#addLink(attribute("rel") ?? "", normalised(attribute("href") ?? ""));
      }
    } else {
      this.#path.push("");
      if (parent === "atom:content") this.#addResource(name);
    }
  }

  text(text: string): void {
    this.#text += text;
  }

  close({ name, namespace }: XmlElement, line: number): void {
    this.#path.pop();
    const text = this.#text.trim();
    this.#text = "";
    if (namespace === espi) this.#closeResource(name, text);
    else if (namespace === atom) this.#closeAtom(name, text, line);
  }

  #addResource(name: string): void {
    if (this.#resources.size < 8) this.#resources.add(detached(name.slice(0, 40)));
  }

  #openEntry(): void {
    this.#links = { self: "", up: "", related: [] };
    this.#title = "";
    this.#point = this.#meterReading = this.#type = this.#local = this.#block = undefined;
  }

  #addLink(relation: string, href: string): void {
    if (relation === "self") this.#links.self = href;
    else if (relation === "up") this.#links.up = href;
    else if (relation === "related") {
      this.#links.related.push(href);
      if (this.#links.related.length > 100_000) throw new Fault("An entry has more than 100,000 links.");
    }
  }

  #openResource(name: string, line: number): void {
    const links = this.#links;
    if (name === "IntervalReading") {
      this.#raw = { start: "", duration: "", value: undefined, codes: [], line };
    } else if (name === "IntervalBlock") {
      const target = this.#settled ? undefined : this.#book.target(links, line, false);
      this.#block = { links, line, target: target ?? this.#settledTarget(links, line) };
      if (this.#block.target === undefined) {
        this.#waiting.push({ links, line, from: this.#columns.length, to: this.#columns.length });
      }
    } else if (name === "UsagePoint") this.#point = { links, line, service: "", title: "" };
    else if (name === "MeterReading") this.#meterReading = { links, line };
    else if (name === "LocalTimeParameters") {
      this.#local = { links, line, tzOffset: "", dstOffset: "", dstStartRule: "", dstEndRule: "" };
    } else if (name === "ReadingType") {
      const own =
        this.#meterReading === undefined ? links : { self: `${links.self}#type`, up: "", related: [] };
      this.#type = {
        links: own,
        line,
        accumulationBehaviour: "",
        commodity: "",
        currency: "",
        defaultQuality: "",
        flowDirection: "",
        intervalLength: "",
        powerOfTenMultiplier: "",
        uom: "",
      };
    }
  }

  /** After an early settlement a block waits for its reading type alone. */
  #settledTarget(links: Links, line: number): Target | undefined {
    if (!this.#settled || this.#directory.find(links, true).readingType === undefined) return undefined;
    return this.#book.target(links, line, true);
  }

  #closeResource(name: string, text: string): void {
    const parent = this.#path.at(-1);
    if (this.#block !== undefined) this.#closeInBlock(name, text, parent);
    else if (this.#type !== undefined) {
      if (name === "ReadingType") this.#endReadingType();
      else if (
        parent === "ReadingType" &&
        Object.hasOwn(this.#type, name) &&
        name !== "links" &&
        name !== "line"
      ) {
        this.#type[name as "uom"] = detached(text.slice(0, 40));
      }
    } else if (this.#local !== undefined) {
      if (name === "tzOffset" || name === "dstOffset" || name === "dstStartRule" || name === "dstEndRule") {
        this.#local[name] = text.slice(0, 40);
      }
    } else if (this.#point !== undefined) {
      if (name === "kind" && parent === "ServiceCategory") this.#point.service = text.slice(0, 40);
    }
  }

  #endReadingType(): void {
    const type = this.#type!;
    this.#type = undefined;
    if (this.#meterReading !== undefined) this.#meterReading.own = type;
    this.#directory.addReadingType(type);
    if (this.#book.assumedType !== undefined && this.#directory.readingTypes.size > 1) {
      const message =
        "A second reading type appears after readings without a link to theirs: their unit is not certain. " +
        "Import each reading type in a file of its own.";
      throw new Fault(message, { line: type.line });
    }
  }

  #closeInBlock(name: string, text: string, parent: string | undefined): void {
    if (name === "IntervalReading") this.#endReading();
    else if (name === "IntervalBlock") this.#block = undefined;
    else if (parent === "timePeriod") {
      if (name === "start") this.#raw.start = text;
      else if (name === "duration") this.#raw.duration = text;
    } else if (parent === "IntervalReading") {
      if (name === "value") this.#raw.value = text;
      else if (name === "cost" && text !== "") this.#costs += 1;
    } else if (name === "quality" && parent === "ReadingQuality" && this.#raw.codes.length < 8) {
      this.#raw.codes.push(text.slice(0, 16));
    }
  }

  #endReading(): void {
    const raw = this.#checked();
    this.#readings += 1;
    if (raw === undefined) return;
    const { target } = this.#block!;
    if (target !== undefined) this.#book.emit(raw, target, this.#out);
    else {
      this.#columns.push(raw);
      this.#waiting.at(-1)!.to = this.#columns.length;
    }
  }

  #checked(): RawReading | undefined {
    const { start, duration, value, codes, line } = this.#raw;
    const wrong = (field: string, text: string, wanted: string) => {
      this.#problems.error(
        `${field} is "${text.slice(0, 40)}", not ${wanted}. Correct it or ask for a new file.`,
        {
          line,
          field,
        },
      );
      return undefined;
    };
    const startSeconds = parseDecimal(start, { mark: "." })?.value ?? -1;
    const startMs = Math.round(startSeconds * 1_000);
    if (startMs < 0 || startSeconds > latestSeconds) {
      return wrong("start", start, "a time in seconds since 1970, before 2100");
    }
    const seconds = duration === "" ? -1 : (parseDecimal(duration, { mark: "." })?.value ?? -2);
    if (
      !Number.isInteger(seconds) ||
      seconds < -1 ||
      (seconds === -1 && duration !== "") ||
      seconds > durationMax
    ) {
      return wrong("duration", duration, "a whole number of seconds");
    }
    const code = codes.join(",");
    if (value === undefined || value === "") return { start: startMs, seconds, value: null, code, line };
    const number = parseDecimal(value, { mark: "." });
    if (number === undefined) return wrong("value", value, "a number");
    if (number.digits > 15)
      this.#problems.warning(`The value ${value.slice(0, 40)} is kept with 15 digits.`, { line });
    return { start: startMs, seconds, value: number.value, code, line };
  }

  #closeAtom(name: string, text: string, line: number): void {
    const parent = this.#path.at(-1);
    if (name === "entry") this.#endEntry();
    else if (name === "title" && parent === "atom:entry") this.#title = detached(text.slice(0, 200));
    else if (name === "updated" && parent === "atom:feed" && this.#book.version === undefined) {
      const version = changedAt(text);
      if (!Number.isNaN(version)) this.#book.version = version;
      else
        this.#problems.warning(`"${text.slice(0, 40)}" is no time of the last change.`, {
          line,
          field: "updated",
        });
    }
  }

  #endEntry(): void {
    if (this.#point !== undefined) this.#directory.addUsagePoint({ ...this.#point, title: this.#title });
    if (this.#meterReading !== undefined) this.#directory.addMeterReading(this.#meterReading);
    if (this.#local !== undefined) this.#directory.addLocalTime(this.#local);
  }

  /** Items of all readings that waited, some thousand at a time. The file need not be at its end. */
  *settle(): Generator<Item[]> {
    this.#settled = true;
    let out: Item[] = [];
    for (const block of this.#waiting) {
      if (block.from === block.to) continue;
      const target = this.#book.target(block.links, block.line, true)!;
      for (let at = block.from; at < block.to; at++) {
        this.#book.emit(this.#columns.at(at), target, out);
        if (out.length >= drainItems) {
          yield out;
          out = [];
        }
      }
    }
    yield out;
    this.#columns = new ReadingColumns();
    // The block that is still open goes on behind what is settled.
    this.#waiting = this.#block === undefined ? [] : [{ ...this.#block, from: 0, to: 0 }];
    if (this.#block !== undefined)
      this.#block.target = this.#settledTarget(this.#block.links, this.#block.line);
  }

  /** Tells what the file as a whole lacks; call after the last item. */
  end(): void {
    if (this.#costs > 0) {
      this.#problems.info(`Costs are not read from this format; readings with a cost: ${this.#costs}.`);
    }
    if (this.#readings > 0 || this.#problems.errors > 0) return;
    const found = [...this.#resources].join(", ");
    this.#problems.info(`There is no meter data in this file${found === "" ? "" : `: it holds ${found}`}.`);
  }
}

/** Time of an Atom `updated`. Seen: a date alone, and times without a zone; both are read as UTC. */
function changedAt(text: string): number {
  if (text.length > 40) return Number.NaN;
  const instant = instantOf(text.length === 10 ? `${text}T00:00:00Z` : text);
  return Number.isNaN(instant) ? instantOf(`${text}Z`) : instant;
}
