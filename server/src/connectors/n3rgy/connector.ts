import { z } from "zod";
import {
  type Connector,
  connector,
  type FoundMeter,
  line,
  optional,
  ProviderFailure,
  secret,
  titled,
  type Visit,
} from "../../collection/connector.ts";
import { deliveryOf } from "../one-series.ts";
import { timeSpans } from "../windows.ts";
import { Api, type ReadingType, readingTypes, type Utility } from "./api.ts";

const day = 86_400_000;
/** Its portal gives three months at once. */
const daysMax = 90;

const settings = z.object({
  api_key: titled(
    secret(),
    { en: "API key", sv: "API-nyckel" },
    {
      en: "From n3rgy, for the live Customer Service API",
      sv: "Från n3rgy, för det riktiga Customer Service API",
    },
  ),
  mpxn: titled(
    optional(
      line(1_000).regex(/^\d{6,13}(\s*,\s*\d{6,13})*$/, "must be MPANs or MPRNs, separated by commas"),
    ),
    { en: "MPAN or MPRN", sv: "MPAN eller MPRN" },
    {
      en: "One number of each property, with commas between. Left out: all that have given consent.",
      sv: "Ett nummer per fastighet, med komma emellan. Tomt: alla som har gett medgivande.",
    },
  ),
});
type Settings = z.output<typeof settings>;

/** n3rgy, at the address of its API. */
export function n3rgyAt(origin: string): Connector {
  return connector({
    name: "n3rgy",
    title: "n3rgy",
    countries: ["GB"],
    types: ["electricity", "gas"],
    granularities: ["30min"],
    historyDays: 800,
    latenessHours: 34,
    correctionDays: 7,
    terms: "https://www.n3rgy.com/legal/",
    help: {
      en: "n3rgy gives a key to companies. Whoever lives there gives consent at data.n3rgy.com, with the code of the display that came with the meter.",
      sv: "n3rgy ger nycklar till företag. Den boende ger medgivande på data.n3rgy.com, med koden på displayen som kom med mätaren.",
    },
    settings,
    limits: { perMinute: 240, atOnce: 4 },
    async *discover(visit) {
      const api = new Api(visit, origin);
      const numbers = visit.settings.mpxn?.split(",").map((each) => each.trim()) ?? (await api.consented());
      const meters: Seen[] = [];
      let refused: ProviderFailure | undefined;
      for (const mpxn of new Set(numbers)) {
        try {
          meters.push(...(await metersBehind(api, mpxn)));
        } catch (error) {
          if (!isConsent(error)) throw error;
          refused = error;
          visit.step("no consent", { properties: 1 });
        }
      }
      if (meters.length === 0 && refused !== undefined) throw refused;
      for (const { key, candidates } of await named(visit, meters)) {
        yield foundMeter(key, candidates, await unitOf(api, candidates[0]!));
      }
    },
    async *collect(visit, wanted) {
      const api = new Api(visit, origin);
      let refused: ProviderFailure | undefined;
      let answers = 0;
      for (const asked of Map.groupBy(wanted, ({ key, metric }) => `${key} ${metric}`).values()) {
        const { key, metric, granularity } = asked[0]!;
        const meter = meterOf(key);
        if (granularity !== "30min") continue;
        visit.step("read", { wanted: asked.length });
        // The newest first: what lies before all that n3rgy has is not asked for.
        for (const { from, to } of timeSpans(asked, daysMax * day).reverse()) {
          const readings = await api.readings(meter, { from, to }).catch((error: unknown) => {
            if (!isConsent(error)) throw error;
            refused = error;
          });
          if (readings === undefined) {
            visit.refused(key);
            break;
          }
          answers++;
          if (readings.metric !== undefined && readings.metric !== metric) {
            throw new ProviderFailure("changed", `the unit of ${key} has changed`);
          }
          yield* deliveryOf(visit, readings.devices, { key, metric, granularity, from, to });
          if (from <= readings.begins) break;
        }
      }
      if (answers === 0 && refused !== undefined) throw refused;
    },
  });
}

/** n3rgy. */
export const n3rgy = n3rgyAt("https://api-v2.data.n3rgy.com");

const isConsent = (error: unknown): error is ProviderFailure =>
  error instanceof ProviderFailure && error.kind === "consent";

/** What a meter is asked for by: any number of its property. */
export interface Meter {
  mpxn: string;
  utility: Utility;
  type: ReadingType;
}

/** A meter as one of the numbers leads to it. */
interface Seen extends Meter {
  /** Devices that measure it. */
  devices: string;
}

async function metersBehind(api: Api, mpxn: string): Promise<Seen[]> {
  const meters: Seen[] = [];
  for (const utility of await api.utilities(mpxn)) {
    const devices = await api.devices(mpxn, utility);
    for (const type of readingTypes) {
      const those = devices.filter(({ types }) => types.includes(type)).map(({ id }) => id);
      if (those.length > 0) meters.push({ mpxn, utility, type, devices: those.sort().join(" ") });
    }
  }
  return meters;
}

const keyOf = ({ mpxn, utility, type }: Meter) => `${utility}/${type}/${mpxn}`;

function meterOf(key: string): Meter {
  const [utility, type, mpxn] = key.split("/");
  return { utility: utility as Utility, type: type as ReadingType, mpxn: mpxn! };
}

/** Electricity has 13 digits, gas fewer. */
const isOwn = ({ mpxn, utility }: Meter) => (mpxn.length === 13) === (utility === "electricity");

/**
 * Each meter once, though every number of a property leads to all its meters. Its key stays when further numbers come:
 * it is made of the number that was entered first; without any, of that of before, else of its own.
 */
async function named(
  { memory, settings }: Visit<Settings>,
  meters: readonly Seen[],
): Promise<{ key: string; candidates: Seen[] }[]> {
  const before = new Set(JSON.parse(memory.get("keys") ?? "[]") as string[]);
  const groups = Map.groupBy(meters, ({ utility, type, devices }) => `${utility} ${type} ${devices}`);
  const all = [...groups.values()].map((group) => {
    const rank = (meter: Seen) => (before.has(keyOf(meter)) ? 0 : isOwn(meter) ? 1 : 2);
    const candidates =
      settings.mpxn === null
        ? group.toSorted((a, b) => rank(a) - rank(b) || (a.mpxn < b.mpxn ? -1 : 1))
        : group;
    return { key: keyOf(candidates[0]!), candidates };
  });
  const keys = JSON.stringify(all.map(({ key }) => key));
  if (all.length <= 1_000 && keys !== memory.get("keys")) await memory.set("keys", keys);
  return all;
}

/** What gas is measured in is said only with the values; none while there are none. */
async function unitOf(api: Api, meter: Meter): Promise<"energy" | "flow" | undefined> {
  return meter.utility === "electricity" ? "energy" : (await api.readings(meter)).metric;
}

function foundMeter(
  key: string,
  candidates: readonly Seen[],
  metric: "energy" | "flow" | undefined,
): FoundMeter {
  const { utility, type, devices } = candidates[0]!;
  return {
    key,
    // The number of the export is another one, and not shown.
    ean: type === "production" ? null : (candidates.find(isOwn)?.mpxn ?? null),
    type: utility,
    timezone: "Europe/London",
    representation: type,
    text: `${utility} ${type} ${devices}`,
    metrics: metric === undefined ? [] : [{ metric, granularities: ["30min"] }],
  };
}
