import type { Direction, MeterType, Quality } from "../item.ts";
import { type Unit, unitOf } from "../units.ts";

/** Code lists of the ESPI schema (NAESB REQ.21, espi.xsd), as far as they matter for meter data. */

/** `uom` to a unit that we store. Compensated volumes are volumes: the unit says how they were measured. */
const storedUnits: Record<string, string> = {
  23: "C",
  31: "J",
  38: "W",
  42: "m3",
  71: "VAh",
  72: "Wh",
  73: "varh",
  119: "ft3",
  120: "ft3",
  128: "US gal",
  130: "Imp gal",
  132: "Btu",
  134: "l",
  156: "l",
  157: "l",
  166: "m3",
  167: "m3",
  169: "therm",
};

/** `uom` of quantities that are measured beside consumption and that we do not store. */
const otherUnits: Record<string, string> = {
  5: "A",
  29: "V",
  33: "Hz",
  61: "VA",
  63: "var",
  65: "cos phi",
  80: "money",
  106: "Ah",
  125: "m3/h",
  133: "Btu/h",
  153: "W/VA",
};

/** Name and unit of a stored `uom`; only the name when we do not store it; undefined when not known. */
export function unitOfCode(uom: string): { printed: string; unit?: Unit } | undefined {
  const printed = storedUnits[uom];
  if (printed !== undefined) {
    const unit = unitOf(printed);
    return unit === undefined ? undefined : { printed, unit };
  }
  const other = otherUnits[uom];
  return other === undefined ? undefined : { printed: other };
}

/** `flowDirection`: delivered is consumption, received is production; 0 and the quadrants say neither. */
export function directionOf(flowDirection: string): Direction {
  if (flowDirection === "1") return "consumption";
  if (flowDirection === "19") return "production";
  return flowDirection === "4" ? "net" : "unknown";
}

/** Bulk quantity, continuous cumulative, cumulative, summation: the value is the state of a register. */
export const registerBehaviours = new Set(["1", "2", "3", "9"]);

/** Indicating, instantaneous: the value holds at one instant. */
export const instantBehaviours = new Set(["6", "12"]);

const services: Record<string, MeterType> = { 0: "electricity", 1: "gas", 2: "water", 4: "heat" };
const commodities: Record<string, MeterType> = {
  1: "electricity",
  2: "electricity",
  7: "gas",
  8: "gas",
  9: "water",
  10: "heat",
  11: "water",
  12: "heat",
  13: "cooling",
  14: "water",
  26: "electricity",
};
const byUnit: Record<string, MeterType> = {
  Wh: "electricity",
  W: "electricity",
  VAh: "electricity",
  varh: "electricity",
  therm: "gas",
  Btu: "gas",
  ft3: "gas",
  "US gal": "water",
  "Imp gal": "water",
  l: "water",
  m3: "water",
};

/** Kind of meter: by the service of the usage point, else by the commodity, else by what is usual for the unit. */
export function meterTypeOf(service: string, commodity: string, printedUnit: string): MeterType {
  return services[service] ?? commodities[commodity] ?? byUnit[printedUnit] ?? "sensor";
}

const qualities: Record<string, Quality> = {
  0: "measured", // valid
  7: "substituted", // manually edited
  8: "estimated", // reference day
  9: "estimated", // linear interpolation
  10: "unknown", // questionable
  11: "calculated", // derived
  12: "estimated", // projected
  13: "estimated", // mixed: at least a part is
  14: "measured", // raw
  15: "calculated", // normalised for weather
  16: "unknown", // other
  17: "measured", // validated
  18: "measured", // verified
  19: "measured", // revenue quality
};

const fromWorst: Quality[] = ["estimated", "substituted", "calculated", "unknown", "measured"];

/** The least trustworthy of several quality codes; `unknown` when there is none. */
export function qualityOf(codes: readonly string[]): Quality {
  const said = new Set(codes.map((code) => qualities[code] ?? "unknown"));
  return fromWorst.find((quality) => said.has(quality)) ?? "unknown";
}
