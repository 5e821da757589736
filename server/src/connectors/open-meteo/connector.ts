import { z } from "zod";
import {
  type Connector,
  connector,
  type Delivery,
  line,
  optional,
  optionalSecret,
  ProviderFailure,
  titled,
  type Visit,
  type Wanted,
} from "../../collection/connector.ts";
import { granuleStarts } from "../../platform/time/granule.ts";
import { isZone, offsetAt } from "../../platform/time/zone.ts";
import { dayOf, daySpans, dayText } from "../windows.ts";
import { Archive, type Archives } from "./archive.ts";
import { degreeDay } from "./degree-days.ts";

/** Days in a question: every two weeks of it count as a request. */
const daysMax = 92;
const remembered = "zone";

const degrees = (max: number) => z.number().min(-max).max(max);

const settings = z.object({
  latitude: titled(
    degrees(90),
    { en: "Latitude", sv: "Latitud" },
    { en: "Degrees north, such as 59.33", sv: "Grader nord, till exempel 59.33" },
  ),
  longitude: titled(
    degrees(180),
    { en: "Longitude", sv: "Longitud" },
    { en: "Degrees east, such as 18.07", sv: "Grader öst, till exempel 18.07" },
  ),
  name: titled(optional(line(100)), { en: "Name of the place", sv: "Platsens namn" }),
  base: titled(
    z.number().min(-20).max(40).default(17),
    { en: "Base of degree days, °C", sv: "Bas för graddagar, °C" },
    { en: "17 unless stated otherwise", sv: "17 om inget annat anges" },
  ),
  limit: titled(
    optional(z.number().min(-20).max(40)),
    { en: "Heating limit, °C", sv: "Eldningsgräns, °C" },
    {
      en: "Days as warm as this count no degree days; the base unless stated otherwise",
      sv: "Så varma dagar ger inga graddagar; basen om inget annat anges",
    },
  ),
  api_key: titled(
    optionalSecret("Key of a paid subscription; without it only non-commercial use is allowed."),
    { en: "API key", sv: "API-nyckel" },
    {
      en: "Of a subscription at open-meteo.com; needed for commercial use",
      sv: "Från ett abonnemang på open-meteo.com; krävs för kommersiell användning",
    },
  ),
});
type Settings = z.output<typeof settings>;

/** Open-Meteo as it is reached under these addresses: the real ones, or those that a test plays. */
export function openMeteoAt(archives: Archives): Connector {
  return connector({
    name: "open-meteo",
    title: "Open-Meteo (weather)",
    countries: [],
    types: ["sensor"],
    granularities: ["hour", "day"],
    historyDays: 3_653,
    latenessHours: 30,
    // Forecasts of the last days are replaced by an analysis after five days.
    correctionDays: 10,
    terms: "https://open-meteo.com/en/terms",
    help: {
      en:
        "No login is needed for non-commercial use: enter the coordinates of a place. Whoever shows the data says that " +
        "they are from Open-Meteo.com (CC BY 4.0).",
      sv:
        "Ingen inloggning krävs för icke-kommersiell användning: ange en plats koordinater. Den som visar data anger att " +
        "de kommer från Open-Meteo.com (CC BY 4.0).",
    },
    settings,
    // 600 a minute are allowed, and a question of 92 days counts as seven.
    limits: { perMinute: 60, atOnce: 2 },
    async *discover(visit) {
      const { name } = visit.settings;
      const key = keyOf(visit.settings);
      yield {
        key,
        ean: null,
        name: name ?? key,
        type: "sensor",
        representation: "temperature",
        timezone: await zoneOf(visit, archives),
        text: "Weather data by Open-Meteo.com, CC BY 4.0",
        metrics: [
          { metric: "temperature", granularities: ["hour"] },
          { metric: "degree_days", granularities: ["day"] },
        ],
      };
    },
    async *collect(visit, wanted) {
      const timezone = await zoneOf(visit, archives);
      const archive = new Archive(visit, archives);
      const hours = new Map<number, number>();
      for (const { first, last } of daySpans(wanted, { zone: "UTC", daysMax })) {
        visit.step("read hours", { days: last - first + 1 });
        const answered = await archive.hours({ first, last });
        for (const [at, temperature] of answered.hours) hours.set(at, temperature);
      }
      for (const asked of wanted) {
        const delivery = deliveryOf(asked, { hours, timezone, settings: visit.settings });
        if (delivery.starts.length > 0) yield delivery;
      }
    },
  });
}

/** Weather of any place: temperatures by the hour from reanalysis, and heating degree days. */
export const openMeteo = openMeteoAt({
  free: "https://archive-api.open-meteo.com",
  paid: "https://customer-archive-api.open-meteo.com",
});

const keyOf = ({ latitude, longitude }: Settings) => `${latitude},${longitude}`;

/**
 * The zone of the place, by which its days are counted. Where the clock differs from UTC by parts of an hour, hours of the
 * clock are none of the archive's: there days are those of UTC.
 */
async function zoneOf(visit: Visit<Settings>, archives: Archives): Promise<string> {
  const place = keyOf(visit.settings);
  const [before, known] = visit.memory.get(remembered)?.split(" ") ?? [];
  if (before === place && known !== undefined) return known;
  visit.step("look up the time zone");
  const lastWeek = dayOf("UTC", visit.now) - 7;
  const { timezone } = await new Archive(visit, archives).hours({
    first: lastWeek,
    last: lastWeek,
    zone: true,
  });
  if (!isZone(timezone))
    throw new ProviderFailure("changed", `the time zone ${timezone.slice(0, 60)} is unknown`);
  const year = 365 * 86_400_000;
  const isWhole = [0, 0.25, 0.5, 0.75].every(
    (part) => offsetAt(timezone, visit.now - part * year) % 3_600_000 === 0,
  );
  const zone = isWhole ? timezone : "UTC";
  await visit.memory.set(remembered, `${place} ${zone}`);
  return zone;
}

interface Known {
  hours: ReadonlyMap<number, number>;
  timezone: string;
  settings: Settings;
}

/** What is known of what is wanted: a day only when all its hours are. */
function deliveryOf(
  { key, metric, granularity, from, to }: Wanted,
  { hours, timezone, settings }: Known,
): Delivery {
  const found = granuleStarts(granularity, timezone, { from, to }).flatMap(
    (start, i, all): [number, number][] => {
      if (granularity === "hour") {
        const temperature = hours.get(start);
        return temperature === undefined ? [] : [[start, temperature]];
      }
      const temperatures = granuleStarts("hour", timezone, { from: start, to: all[i + 1] ?? to }).map((at) =>
        hours.get(at),
      );
      if (temperatures.some((each) => each === undefined)) return [];
      const { base, limit } = settings;
      return [[start, degreeDay(temperatures as number[], { base, limit: limit ?? base })]];
    },
  );
  return {
    key,
    metric,
    granularity,
    starts: found.map(([start]) => start),
    values: found.map(([, value]) => value),
    // No station has measured it: it is what models make of all that was measured around.
    quality: "calculated",
    document: { id: `${metric}-${dayText(dayOf(timezone, from))}-${dayText(dayOf(timezone, to - 1))}` },
  };
}
