import { type Emulator, emulate, type Told } from "../../../../test/harness/emulator.ts";

/** Open-Meteo's archive on a real server, with the answers and limits that its documentation describes. */
export interface EmulatedArchive extends Emulator {
  /** The key that works, for requests that have one. */
  key: string;
  timezone: string;
  /** The last day that is there, days since 1970-01-01. */
  lastDay: number;
  /** Added to hours, in tenths: a correction. */
  corrections: Map<number, number>;
  /** Hours that are null. */
  missing: Set<number>;
  /** Changes the text of answers. */
  distort: ((text: string) => string) | undefined;
  /** Temperature at the begin of an hour, °C; `undefined` where there is none. */
  temperature(at: number): number | undefined;
}

const hour = 3_600_000;
const day = 24 * hour;

/** Starts it; `now` is the time by its own clock, epoch ms. */
export async function emulateArchive(now: number): Promise<EmulatedArchive> {
  const server = await emulate(({ path, query }) => {
    if (path !== "/v1/archive") return undefined;
    const key = query.get("apikey");
    if (key !== null && key !== archive.key) return refused("The supplied API key is invalid.");
    const [from, to] = ["start_date", "end_date"].map(
      (name) => Date.parse(`${query.get(name)}T00:00:00Z`) / day,
    ) as [number, number];
    const bound = new Date(archive.lastDay * day).toISOString().slice(0, 10);
    for (const [name, value] of [
      ["start_date", from],
      ["end_date", to],
    ] as const) {
      if (!(value <= archive.lastDay)) {
        return refused(`Parameter '${name}' is out of allowed range from 1940-01-01 to ${bound}`);
      }
    }
    const starts = Array.from({ length: (to - from + 1) * 24 }, (_, i) => from * day + i * hour);
    const text = JSON.stringify({
      latitude: Number(query.get("latitude")),
      longitude: Number(query.get("longitude")),
      generationtime_ms: 0.1,
      utc_offset_seconds: 0,
      timezone: query.get("timezone") === "auto" ? archive.timezone : "GMT",
      timezone_abbreviation: "GMT",
      elevation: 28,
      hourly_units: { time: "unixtime", temperature_2m: "°C" },
      hourly: {
        time: starts.map((at) => at / 1000),
        temperature_2m: starts.map((at) => archive.temperature(at) ?? null),
      },
    });
    return {
      text: archive.distort?.(text) ?? text,
      headers: { "content-type": "application/json; charset=utf-8" },
    };
  });
  const archive: EmulatedArchive = {
    ...server,
    key: "hidden-key",
    timezone: "Europe/Stockholm",
    lastDay: Math.floor(now / day) - 1,
    corrections: new Map(),
    missing: new Set(),
    distort: undefined,
    temperature(at) {
      if (archive.missing.has(at) || at >= (archive.lastDay + 1) * day) return undefined;
      let hash = 2_166_136_261;
      for (const char of String(at)) hash = Math.imul(hash ^ char.charCodeAt(0), 16_777_619) >>> 0;
      const season = Math.round(120 * Math.sin((at / day / 365.25) * 2 * Math.PI - 1.9));
      return (60 + season + (hash % 61) - 30 + (archive.corrections.get(at) ?? 0)) / 10;
    },
  };
  return archive;
}

const refused = (reason: string): Told => ({ status: 400, json: { error: true, reason } });
