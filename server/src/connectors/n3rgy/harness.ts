import { type Emulator, emulate, type Heard, type Told } from "../../../../test/harness/emulator.ts";

const halfHour = 1_800_000;

/** A device of a property: readings by the start of the half-hour, epoch ms. */
export interface EmulatedDevice {
  id: string;
  utility: "electricity" | "gas";
  type: "consumption" | "production";
  values: Map<number, number | "invalid value">;
  /** Of the second element, where there is one. */
  second?: Map<number, number>;
}

/** What several numbers lead to. */
export interface EmulatedProperty {
  numbers: string[];
  devices: EmulatedDevice[];
  hasConsent: boolean;
}

/** n3rgy's Customer Service API as its documentation describes it, for tests. */
export interface N3rgyEmulator extends Emulator {
  key: string;
  properties: EmulatedProperty[];
  /** The start of the oldest half-hour that is kept, epoch ms. */
  cacheFrom: number;
  cacheTo: number;
  gasUnit: string;
  /** Numbers on a page of the list. */
  pageMax: number;
}

export const credentials = { api_key: "d7a1c0de-0000-4000-8000-00000000cafe" };

/** Starts one. */
export async function n3rgyEmulator(): Promise<N3rgyEmulator> {
  const state = {
    key: credentials.api_key,
    properties: [] as EmulatedProperty[],
    cacheFrom: 0,
    cacheTo: 0,
    gasUnit: "m3",
    pageMax: 2,
  };
  const server = await emulate((heard) => {
    if (heard.headers["x-api-key"] !== state.key) {
      return error(403, "User is not authorized to access this resource with an explicit deny.");
    }
    return answerOf(heard, state);
  });
  return Object.assign(state, server);
}

type State = Omit<N3rgyEmulator, keyof Emulator>;

const error = (code: number, message: string): Told => ({
  status: code,
  json: { errors: [{ code, message }] },
});
const stamp = { responseTimestamp: "2026-11-01T12:00:00.000Z" };

function answerOf({ path, query }: Heard, state: State): Told | undefined {
  if (path === "/") return list(query, state);
  const [, mpxn, utility, type] =
    /^\/mpxn\/(\d+)(?:\/utility\/(\w+)(?:\/readingtype\/(\w+))?)?$/.exec(path) ?? [];
  if (mpxn === undefined) return undefined;
  const property = state.properties.find(({ numbers }) => numbers.includes(mpxn));
  if (property?.hasConsent !== true) return error(403, "Consent for the given MPxN not found.");
  const { devices } = property;
  if (utility === undefined) {
    return { json: { resource: path, ...stamp, entries: [...new Set(devices.map((each) => each.utility))] } };
  }
  const those = devices.filter(
    (each) => each.utility === utility && (type === undefined || each.type === type),
  );
  if (those.length === 0) {
    return { status: 404, json: { message: "There is no available information for the specified utility" } };
  }
  return type === undefined ? inventory(path, those) : readings(those, { path, query, state });
}

function list(query: URLSearchParams, { properties, pageMax }: State): Told {
  const all = properties.filter(({ hasConsent }) => hasConsent).flatMap(({ numbers }) => numbers);
  const startAt = Number(query.get("startAt") ?? 0);
  const entries = all.slice(startAt, startAt + pageMax);
  return { json: { resource: "/", ...stamp, startAt, maxResults: pageMax, total: all.length, entries } };
}

function inventory(path: string, devices: readonly EmulatedDevice[]): Told {
  const byId = Map.groupBy(devices, ({ id }) => id);
  return {
    json: {
      resource: path,
      ...stamp,
      devices: [...byId].map(([deviceId, those]) => ({
        deviceId,
        availableDataTypes: [...those.map(({ type }) => type), "tariff"],
      })),
    },
  };
}

function readings(
  devices: readonly EmulatedDevice[],
  { path, query, state }: { path: string; query: URLSearchParams; state: State },
): Told {
  const { cacheFrom, cacheTo, gasUnit } = state;
  const first = instantOf(query.get("start")) ?? cacheTo - 86_400_000 + halfHour;
  const last = instantOf(query.get("end")) ?? cacheTo;
  const isKept = (start: number) =>
    start >= cacheFrom && start < cacheTo && start + halfHour >= first && start + halfHour <= last;
  return {
    status: first < cacheFrom ? 206 : 200,
    json: {
      resource: path,
      ...stamp,
      availableCacheRange: { start: minuteText(cacheFrom + halfHour), end: minuteText(cacheTo) },
      start: minuteText(first),
      end: minuteText(last),
      granularity: "halfhour",
      unit: devices[0]!.utility === "gas" ? gasUnit : "kWh",
      devices: devices.map(({ id, values, second }) => ({
        deviceId: id,
        values: [...values]
          .filter(([start]) => isKept(start))
          .map(([start, value]) => ({
            primaryValue: value,
            ...(second?.has(start) === true ? { secondaryValue: second.get(start) } : {}),
            timestamp: new Date(start + halfHour).toISOString().slice(0, 16).replace("T", " "),
          })),
      })),
    },
  };
}

const minuteText = (at: number) => new Date(at).toISOString().slice(0, 16).replace(/[-T:]/g, "");

function instantOf(text: string | null): number | undefined {
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(text ?? "");
  if (parts === null) return undefined;
  const [, year, month, day, hour, minute] = parts;
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:00Z`);
}

/** Values for all half-hours of a span, of three decimals; another seed gives others. */
export function halfHours(from: string, to: string, seed = 1): Map<number, number> {
  const values = new Map<number, number>();
  for (let start = Date.parse(from); start < Date.parse(to); start += halfHour) {
    values.set(start, (((start / halfHour) * 41 * seed) % 1_993) / 1_000 + 0.001);
  }
  return values;
}
