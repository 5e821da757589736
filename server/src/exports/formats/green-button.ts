import { createHash } from "node:crypto";
import { createCB } from "xmlbuilder2";
import { z } from "zod";
import type { Granularity } from "../../platform/granularity.ts";
import { minutesOf } from "../../platform/granularity.ts";
import type { SpoolFile } from "../spool-file.ts";
import { endOf, instantText, plainNumber } from "./cells.ts";
import { decimalsOf, shifted } from "./digits.ts";
import { localTimeOf } from "./espi-zone.ts";
import { type ExportMeter, type ExportRun, exportFormat, type FormatWriter } from "./format.ts";
import { granularityParam, metricsParam } from "./params.ts";

const atom = "http://www.w3.org/2005/Atom";
const espi = "http://naesb.org/espi";

/** How a metric is said in ESPI: its unit, and the power of ten of our unit in it. */
const kinds: Readonly<Record<string, { uom: string; power: number; behaviour: string }>> = {
  // Wh, varh, VAh and W: ours are kilo.
  energy: { uom: "72", power: 3, behaviour: "4" },
  energy_reactive: { uom: "73", power: 3, behaviour: "4" },
  energy_apparent: { uom: "71", power: 3, behaviour: "4" },
  power: { uom: "38", power: 3, behaviour: "12" },
  flow: { uom: "42", power: 0, behaviour: "4" },
  temperature: { uom: "23", power: 0, behaviour: "0" },
};
const metricNames = Object.keys(kinds);

/** Smallest power of ten that readers of ESPI take. */
const powerMin = -12;

/** Kinds of meters as ESPI services and commodities. */
const services: Readonly<Record<string, { service: string; commodity: string }>> = {
  electricity: { service: "0", commodity: "1" },
  gas: { service: "1", commodity: "7" },
  water: { service: "2", commodity: "9" },
  hot_water: { service: "2", commodity: "9" },
  heat: { service: "4", commodity: "10" },
  cooling: { service: "4", commodity: "13" },
};
const otherService = { service: "9", commodity: "0" };

/** Green Button (ESPI): an Atom feed with usage points, meter readings, reading types and interval blocks. */
export const greenButtonXml = exportFormat({
  name: "GreenButtonXML",
  title: "Consumption, Green Button (ESPI XML)",
  ending: "xml",
  mediaType: "application/atom+xml",
  resource: "consumption",
  params: z.strictObject({
    metrics: metricsParam(metricNames, "all that the format has a word for"),
    granularity: granularityParam,
  }),
  rowsMax: 500_000,
  accepts: (metric, params) => (params.metrics ?? metricNames).includes(metric),
  async open({ now, create }): Promise<FormatWriter> {
    const file = await create("");
    const feed = new FeedWriter(file, now);
    feed.begin();
    return {
      async write(run) {
        await feed.add(run);
        file.rows += run.starts.length;
      },
      finish: () => feed.end(),
    };
  },
});

/** Values are written as whole numbers, as the schema wants them, with the power of ten that makes them so. */
class FeedWriter {
  readonly #file: SpoolFile;
  readonly #now: number;
  readonly #xml;
  #text: string[] = [];
  readonly #known = new Set<string>();
  #blocks = 0;

  constructor(file: SpoolFile, now: number) {
    this.#file = file;
    this.#now = now;
    this.#xml = createCB({
      data: (chunk: string) => void this.#text.push(chunk),
      // What XML cannot hold, such as control characters in a name.
      invalidCharReplacement: " ",
    });
  }

  begin(): void {
    this.#xml.dec({ encoding: "UTF-8" });
    this.#xml.ele(atom, "feed");
    this.#leaf("id", urn(`feed ${this.#now}`));
    this.#leaf("title", "Green Button Usage Feed");
    this.#leaf("updated", instantText(this.#now));
  }

  async add(run: ExportRun): Promise<void> {
    const { meter, metric } = run;
    const point = `/espi/1_1/resource/RetailCustomer/1/UsagePoint/${meter.id}`;
    if (this.#isNew(point)) this.#addMeter(meter, point);
    const power = powerOf(run);
    const name = `${metric}-${run.granularity}${power === kinds[metric]!.power ? "" : `-e${power}`}`;
    const reading = `${point}/MeterReading/${name}`;
    if (this.#isNew(reading)) this.#addSeries(run, { point, reading, power });
    this.#blocks++;
    const self = `${reading}/IntervalBlock/${this.#blocks}`;
    this.#entry(
      "",
      [
        ["self", self],
        ["up", `${reading}/IntervalBlock`],
      ],
      () => {
        this.#xml.ele(espi, "IntervalBlock");
        const { starts } = run;
        if (starts.length > 0) this.#interval("interval", starts[0]!, endOf(run, starts.at(-1)!));
        this.#readings(run, power);
        this.#xml.up();
      },
    );
    await this.#flush();
  }

  async end(): Promise<void> {
    this.#xml.end();
    await this.#flush();
  }

  /**
   * Readings are digits alone and most of the file. They are put behind the builder's own text, which takes a
   * fiftieth of the time that it needs for their elements; the element before them is closed, so the texts fit together.
   */
  #readings(run: ExportRun, power: number): void {
    const shift = kinds[run.metric]!.power - power;
    for (let i = 0; i < run.starts.length; i++) {
      const value = run.values[i]!;
      const start = run.starts[i]!;
      const seconds = (endOf(run, start) - start) / 1000;
      // A reading without a value says that there is none any more.
      const text = Number.isNaN(value) ? "" : `<value>${shifted(plainNumber(value), shift)}</value>`;
      this.#text.push(
        `<IntervalReading><timePeriod><duration>${seconds}</duration><start>${start / 1000}</start></timePeriod>` +
          `${text}</IntervalReading>`,
      );
    }
  }

  #addMeter(meter: ExportMeter, point: string): void {
    const zone = `/espi/1_1/resource/LocalTimeParameters/${meter.timezone.replaceAll(/[^A-Za-z0-9]/g, "_")}`;
    if (this.#isNew(zone)) {
      this.#entry(
        "",
        [
          ["self", zone],
          ["up", "/espi/1_1/resource/LocalTimeParameters"],
        ],
        () => {
          this.#xml.ele(espi, "LocalTimeParameters");
          for (const [name, value] of Object.entries(localTimeOf(meter.timezone, this.#now)))
            this.#leaf(name, value);
          this.#xml.up();
        },
      );
    }
    const links: [string, string][] = [
      ["self", point],
      ["up", "/espi/1_1/resource/RetailCustomer/1/UsagePoint"],
      ["related", `${point}/MeterReading`],
      ["related", zone],
    ];
    this.#entry(meter.name ?? meter.ean ?? meter.id, links, () => {
      this.#xml.ele(espi, "UsagePoint");
      this.#xml.ele("ServiceCategory");
      this.#leaf("kind", (services[meter.type] ?? otherService).service);
      this.#xml.up();
      if (meter.ean !== null) {
        this.#xml.ele("ServiceDeliveryPoint");
        this.#leaf("name", meter.ean);
        this.#xml.up();
      }
      this.#xml.up();
    });
  }

  #addSeries(
    run: ExportRun,
    { point, reading, power }: { point: string; reading: string; power: number },
  ): void {
    const type = `/espi/1_1/resource/ReadingType/${run.meter.id}-${reading.slice(reading.lastIndexOf("/") + 1)}`;
    const links: [string, string][] = [
      ["self", reading],
      ["up", `${point}/MeterReading`],
      ["related", `${reading}/IntervalBlock`],
      ["related", type],
    ];
    this.#entry(`${run.metric}, ${run.granularity}`, links, () => this.#xml.ele(espi, "MeterReading").up());
    this.#entry(
      "",
      [
        ["self", type],
        ["up", "/espi/1_1/resource/ReadingType"],
      ],
      () => {
        const kind = kinds[run.metric]!;
        this.#xml.ele(espi, "ReadingType");
        this.#leaf("accumulationBehaviour", kind.behaviour);
        this.#leaf("commodity", (services[run.meter.type] ?? otherService).commodity);
        this.#leaf("dataQualifier", "12");
        this.#leaf("flowDirection", run.meter.representation === "production" ? "19" : "1");
        const seconds = secondsOf(run.granularity);
        if (seconds !== undefined) this.#leaf("intervalLength", String(seconds));
        this.#leaf("powerOfTenMultiplier", String(power));
        this.#leaf("uom", kind.uom);
        this.#xml.up();
      },
    );
  }

  #entry(title: string, links: readonly [string, string][], content: () => void): void {
    this.#xml.ele(atom, "entry");
    this.#leaf("id", urn(links[0]![1]));
    for (const [rel, href] of links) this.#xml.ele("link", { rel, href }).up();
    this.#leaf("title", title);
    this.#leaf("updated", instantText(this.#now));
    this.#xml.ele("content", { type: "application/xml" });
    content();
    this.#xml.up().up();
  }

  #interval(name: string, from: number, to: number): void {
    this.#xml.ele(name);
    this.#leaf("duration", String((to - from) / 1000));
    this.#leaf("start", String(from / 1000));
    this.#xml.up();
  }

  #leaf(name: string, text: string): void {
    this.#xml.ele(name);
    if (text !== "") this.#xml.txt(text);
    this.#xml.up();
  }

  #isNew(address: string): boolean {
    if (this.#known.has(address)) return false;
    this.#known.add(address);
    return true;
  }

  async #flush(): Promise<void> {
    const text = this.#text.join("");
    this.#text = [];
    await this.#file.write(text);
  }
}

/** The power of ten in which all values of the run are whole: of those that the schema has a prefix for. */
function powerOf(run: ExportRun): number {
  const exact = kinds[run.metric]!.power - decimalsOf(run.values);
  return Math.max(powerMin, 3 * Math.floor(exact / 3));
}

/** Seconds of a value; days and months vary and say it themselves. */
function secondsOf(granularity: Granularity): number | undefined {
  return granularity === "day" || granularity === "month" ? undefined : minutesOf[granularity] * 60;
}

/** The same address has the same id in every file. */
function urn(address: string): string {
  const hex = createHash("sha256").update(address).digest("hex");
  const parts = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `5${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ];
  return `urn:uuid:${parts.join("-")}`;
}
