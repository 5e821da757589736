import type { Box, MeterType } from "../meters/meters.ts";
import type { Granularity } from "../platform/granularity.ts";

/** A city of the demo: where the weather comes from. */
export interface City {
  name: string;
  timezone: string;
  currency: string;
  location: [number, number];
  /** Mean temperature of the year and half the difference between July and January, in °C. */
  meanC: number;
  swingC: number;
}

/** What a meter measures; the generator knows how each behaves. */
export type Use =
  | "electricity"
  | "office"
  | "heat"
  | "cooling"
  | "water"
  | "hot-water"
  | "solar"
  | "indoor"
  | "outdoor";

/** A meter of the demo. */
export interface DemoMeter {
  ean: string;
  name: string;
  type: MeterType;
  use: Use;
  granularity: Granularity;
  /** Size: kWh, m³ or °C of a usual hour. */
  scale: number;
  box: Box;
  tags: string[];
  /** It has monthly costs. */
  hasCosts: boolean;
  /** What went wrong with its values, as it does. */
  flaw?: "long gap" | "scattered gaps" | "corrected";
}

/** A building: a leaf of the tree. */
export interface Building {
  name: string;
  externalId: string;
  address: string;
  meters: DemoMeter[];
}

/** A customer of the property manager: a subaccount with one property in one city. */
export interface Customer {
  name: string;
  externalId: string;
  city: City;
  property: { name: string; externalId: string };
  buildings: Building[];
}

const stockholm: City = {
  name: "Stockholm",
  timezone: "Europe/Stockholm",
  currency: "SEK",
  location: [18.0686, 59.3293],
  meanC: 7.5,
  swingC: 10.5,
};
const gothenburg: City = {
  name: "Göteborg",
  timezone: "Europe/Stockholm",
  currency: "SEK",
  location: [11.9746, 57.7089],
  meanC: 8.8,
  swingC: 9,
};
const helsinki: City = {
  name: "Helsinki",
  timezone: "Europe/Helsinki",
  currency: "EUR",
  location: [24.9384, 60.1699],
  meanC: 6.5,
  swingC: 11.5,
};
const oslo: City = {
  name: "Oslo",
  timezone: "Europe/Oslo",
  currency: "NOK",
  location: [10.7522, 59.9139],
  meanC: 7,
  swingC: 11,
};

type Kind = Omit<DemoMeter, "ean" | "name" | "box" | "tags" | "scale"> & { title: string; tags?: string[] };

const kinds = {
  electricity: {
    title: "electricity",
    type: "electricity",
    use: "electricity",
    granularity: "hour",
    hasCosts: true,
    tags: ["common areas"],
  },
  office: {
    title: "office electricity",
    type: "electricity",
    use: "office",
    granularity: "15min",
    hasCosts: true,
    tags: ["tenants"],
  },
  heat: { title: "district heating", type: "heat", use: "heat", granularity: "hour", hasCosts: true },
  cooling: {
    title: "district cooling",
    type: "cooling",
    use: "cooling",
    granularity: "hour",
    hasCosts: false,
  },
  water: { title: "cold water", type: "water", use: "water", granularity: "hour", hasCosts: false },
  hotWater: { title: "hot water", type: "hot_water", use: "hot-water", granularity: "hour", hasCosts: false },
  solar: {
    title: "solar cells",
    type: "electricity",
    use: "solar",
    granularity: "hour",
    hasCosts: false,
    tags: ["production"],
  },
  indoor: {
    title: "indoor temperature",
    type: "sensor",
    use: "indoor",
    granularity: "hour",
    hasCosts: false,
  },
  outdoor: {
    title: "outdoor temperature",
    type: "sensor",
    use: "outdoor",
    granularity: "hour",
    hasCosts: false,
  },
} as const satisfies Record<string, Kind>;

type KindName = keyof typeof kinds;
type Part = [kind: KindName, scale: number, more?: Partial<Pick<DemoMeter, "box" | "flaw">>];

/** GS1 prefixes of the countries' metering points, and one counter: numbers of the demo are made up. */
function numbering(): (city: City) => string {
  const prefixes: Record<string, string> = { SEK: "735999", EUR: "643007", NOK: "707057" };
  let count = 0;
  return (city) => {
    const body = `${prefixes[city.currency]}${String(26_000_000_000 + ++count * 37)}`;
    const sum = [...body].reduce((all, digit, i) => all + Number(digit) * (i % 2 === 0 ? 3 : 1), 0);
    return `${body}${(10 - (sum % 10)) % 10}`;
  };
}

/** Makes a building; meters are numbered in the order in which they are made. */
type Build = (
  city: City,
  named: [name: string, externalId: string, address: string],
  parts: Part[],
) => Building;

function builder(): Build {
  const nextNumber = numbering();
  return (city, [name, externalId, address], parts) => ({
    name,
    externalId,
    address: `${address}, ${city.name}`,
    meters: parts.map(([kindName, scale, more]) => {
      const { title, tags = [], ...kind }: Kind = kinds[kindName];
      const common = { ean: nextNumber(city), name: `${name} ${title}`, scale, tags: [...tags] };
      return { ...kind, ...common, box: "active", ...more };
    }),
  });
}

/** The customers of the demo's property manager, the same at every call: 4 customers, 8 buildings, 41 meters. */
export function demoCustomers(): Customer[] {
  const build = builder();
  return [solsidan(build), tornet(build), satama(build), fjellheim(build)];
}

function solsidan(build: Build): Customer {
  return {
    name: "BRF Solsidan",
    externalId: "C-1001",
    city: stockholm,
    property: { name: "Solsidan 3", externalId: "P-1001" },
    buildings: [
      build(
        stockholm,
        ["Solsidan 3 A", "B-1001-A", "Solvägen 3 A"],
        [
          ["electricity", 14],
          ["heat", 48, { flaw: "corrected" }],
          ["water", 0.62],
          ["hotWater", 0.31],
          ["indoor", 21.4],
          ["solar", 22],
        ],
      ),
      build(
        stockholm,
        ["Solsidan 3 B", "B-1001-B", "Solvägen 3 B"],
        [
          ["electricity", 11],
          ["heat", 39],
          ["water", 0.5, { flaw: "scattered gaps" }],
          ["hotWater", 0.24],
          ["indoor", 21],
          ["outdoor", 0],
        ],
      ),
    ],
  };
}

function tornet(build: Build): Customer {
  return {
    name: "Fastighets AB Tornet",
    externalId: "C-1002",
    city: gothenburg,
    property: { name: "Tornet 12", externalId: "P-1002" },
    buildings: [
      build(
        gothenburg,
        ["Tornet office", "B-1002-A", "Hamngatan 12"],
        [
          ["electricity", 36],
          ["office", 84],
          ["heat", 72],
          ["cooling", 41],
          ["water", 0.45],
          ["indoor", 22],
        ],
      ),
      build(
        gothenburg,
        ["Tornet garage", "B-1002-B", "Hamngatan 14"],
        [
          ["electricity", 9, { flaw: "long gap" }],
          ["office", 12],
          ["outdoor", 0],
        ],
      ),
    ],
  };
}

function satama(build: Build): Customer {
  return {
    name: "Kiinteistö Oy Satama",
    externalId: "C-1003",
    city: helsinki,
    property: { name: "Satama 5", externalId: "P-1003" },
    buildings: [
      build(
        helsinki,
        ["Satama 5 north", "B-1003-A", "Satamakatu 5"],
        [
          ["electricity", 17],
          ["heat", 66],
          ["water", 0.71],
          ["hotWater", 0.35],
          ["indoor", 21.8],
        ],
      ),
      build(
        helsinki,
        ["Satama 5 south", "B-1003-B", "Satamakatu 7"],
        [
          ["electricity", 15],
          ["heat", 58],
          ["water", 0.66],
          ["hotWater", 0.3],
          ["outdoor", 0],
        ],
      ),
    ],
  };
}

function fjellheim(build: Build): Customer {
  return {
    name: "Eiendom Fjellheim AS",
    externalId: "C-1004",
    city: oslo,
    property: { name: "Fjellheim 8", externalId: "P-1004" },
    buildings: [
      build(
        oslo,
        ["Fjellheim 8 shop", "B-1004-A", "Fjellveien 8"],
        [
          ["electricity", 21],
          ["office", 34],
          ["heat", 31],
          ["cooling", 12],
          ["water", 0.2],
          ["indoor", 20.5],
        ],
      ),
      // Bought lately: its meters wait in the inbox to be sorted in.
      build(
        oslo,
        ["Fjellheim 8 annex", "B-1004-B", "Fjellveien 10"],
        [
          ["electricity", 7, { box: "inbox" }],
          ["heat", 19, { box: "inbox" }],
          ["water", 0.11, { box: "inbox" }],
          ["outdoor", 0, { box: "inbox" }],
        ],
      ),
    ],
  };
}
