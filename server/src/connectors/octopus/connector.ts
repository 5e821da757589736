import { z } from "zod";
import {
  type Connector,
  connector,
  type FoundMeter,
  line,
  optional,
  secret,
  titled,
} from "../../collection/connector.ts";
import { endWhenLeft } from "../left.ts";
import { deliveryOf, type Values } from "../one-series.ts";
import { dayOf as dayIndex, dayText, timeSpans } from "../windows.ts";
import { type Account, Api, type MeterPoint, type Property } from "./api.ts";

const zone = "Europe/London";
const day = 86_400_000;
/** A customer who has left is read for so long after that was first seen: the last values still come. */
const afterEndDays = 35;
/** Half-hours of so many days are asked for at once; the answer comes in pages. */
const daysMax = 100;

const unitPairs = /^\s*[\w-]+\s*=\s*(m3|kwh)\s*(,\s*[\w-]+\s*=\s*(m3|kwh)\s*)*$/i;
const settings = z.object({
  account_number: titled(
    line(20).regex(/^A-[0-9A-Za-z]{4,12}$/, "must look like A-1A2B3C4D"),
    { en: "Account number", sv: "Kontonummer" },
    { en: "Stands on bills: A-1A2B3C4D", sv: "Står på fakturan: A-1A2B3C4D" },
  ),
  api_key: titled(
    secret(),
    { en: "API key", sv: "API-nyckel" },
    {
      en: "octopus.energy: Account, Personal details, API access",
      sv: "octopus.energy: Account, Personal details, API access",
    },
  ),
  gas_unit: titled(
    z.enum(["m3", "kwh", "none"]),
    { en: "Unit of gas", sv: "Enhet för gas" },
    {
      en: "The API does not tell it. m3 for SMETS2 meters, kwh for SMETS1 meters; none: gas is not collected.",
      sv: "API:et anger den inte. m3 för SMETS2-mätare, kwh för SMETS1-mätare; none: gas samlas inte in.",
    },
  ),
  gas_unit_by_meter: titled(
    optional(line(1_000).regex(unitPairs, "must look like E6S123=kwh, G4A456=m3")),
    { en: "Gas meters with another unit", sv: "Gasmätare med annan enhet" },
    {
      en: "By serial number, such as E6S123=kwh, G4A456=m3",
      sv: "Per mätarnummer, som E6S123=kwh, G4A456=m3",
    },
  ),
});
export type Settings = z.output<typeof settings>;

/** Octopus Energy, at the address of its API. */
export function octopusAt(origin: string): Connector {
  return connector({
    name: "octopus",
    title: "Octopus Energy",
    countries: ["GB"],
    types: ["electricity", "gas"],
    granularities: ["30min"],
    historyDays: 3_650,
    latenessHours: 34,
    correctionDays: 10,
    terms: "https://octopus.energy/policies/terms-of-use/",
    help: {
      en: "Log in at octopus.energy, open Personal details, API access, and generate a key. The account number stands there too.",
      sv: "Logga in på octopus.energy, öppna Personal details, API access och skapa en nyckel. Kontonumret står också där.",
    },
    settings,
    limits: { perMinute: 60, atOnce: 4 },
    async *discover(visit) {
      const account = await new Api(visit, origin).account();
      const meters = pointsOf(account).map((each) => foundMeter({ account, ...each }, visit.settings));
      await endWhenLeft(visit, meters, {
        zone,
        days: afterEndDays,
        message: "the customer has left every meter point",
      });
      yield* meters;
    },
    async *collect(visit, wanted) {
      const api = new Api(visit, origin);
      const points = new Map(pointsOf(await api.account()).map(({ point }) => [keyOf(point), point]));
      for (const asked of Map.groupBy(wanted, ({ key, metric }) => `${key} ${metric}`).values()) {
        const { key, metric, granularity } = asked[0]!;
        const point = points.get(key);
        if (point === undefined || granularity !== "30min") continue;
        const serials = point.serials.filter((serial) => metricOf(point, serial, visit.settings) === metric);
        visit.step("read", { meters: serials.length, wanted: asked.length });
        for (const span of timeSpans(asked, daysMax * day)) {
          const meters: Values[] = [];
          for (const serial of serials) meters.push(await api.consumption(point, { serial, ...span }));
          yield* deliveryOf(visit, meters, { key, metric, granularity, ...span });
        }
      }
    },
  });
}

/** Octopus Energy. */
export const octopus = octopusAt("https://api.octopus.energy");

const keyOf = ({ fuel, number }: MeterPoint) => `${fuel}/${number}`;

/** Every meter point of an account; one that two properties show is the later one's. */
function pointsOf(account: Account): { property: Property; point: MeterPoint }[] {
  const points = account.properties.flatMap((property) =>
    property.points.map((point) => ({ property, point })),
  );
  return [...new Map(points.map((each) => [keyOf(each.point), each])).values()];
}

/** The metric that a meter's values are of; `undefined` when its unit is not known. */
function metricOf(
  { fuel }: MeterPoint,
  serial: string,
  { gas_unit, gas_unit_by_meter }: Settings,
): "energy" | "flow" | undefined {
  if (fuel === "electricity") return "energy";
  const pairs = (gas_unit_by_meter ?? "")
    .split(",")
    .map((pair) => pair.split("=").map((part) => part.trim()));
  const own = pairs.find(([name]) => name?.toUpperCase() === serial.toUpperCase())?.[1];
  const unit = (own ?? gas_unit).toLowerCase();
  return unit === "m3" ? "flow" : unit === "kwh" ? "energy" : undefined;
}

interface Shown {
  account: Account;
  property: Property;
  point: MeterPoint;
}

function foundMeter({ account, property, point }: Shown, settings: Settings): FoundMeter {
  const { fuel, number, serials, isExport } = point;
  const metrics = new Set(serials.flatMap((serial) => metricOf(point, serial, settings) ?? []));
  const { movedIn, movedOut, address } = property;
  const ended = [movedOut, point.ended].filter((at) => at !== undefined).sort((a, b) => a - b)[0];
  return {
    key: keyOf(point),
    ean: number,
    ...(address === "" ? {} : { address }),
    type: fuel,
    timezone: zone,
    representation: isExport ? "production" : "consumption",
    customer: { number: account.number, name: "" },
    text: [isExport ? "export" : fuel, ...serials, ...point.tariffs].join(" "),
    metrics: [...metrics].sort().map((metric) => ({ metric, granularities: ["30min"] })),
    ...(movedIn === undefined ? {} : { from: dayOf(movedIn) }),
    ...(ended === undefined ? {} : { ended: dayOf(ended) }),
  };
}

/** The local day of an instant. */
const dayOf = (at: number) => dayText(dayIndex(zone, at));
