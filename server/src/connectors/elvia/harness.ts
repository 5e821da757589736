import { type Emulator, emulate, type Told } from "../../../../test/harness/emulator.ts";

/** A metering point that the emulator holds. */
export interface EmulatedPoint {
  id: string;
  produces?: boolean;
  /** Values are there, and nothing about the contract. */
  hidesContract?: boolean;
  /** Epoch ms. */
  contract: { startTime: number; endTime?: number };
}

/** Elvia's interface on a real server, with the answers and limits that its documentation describes. */
export interface EmulatedElvia extends Emulator {
  token: string;
  points: EmulatedPoint[];
  /** Hours until then are there, those until `verifiedUntil` are verified; epoch ms. */
  publishedUntil: number;
  verifiedUntil: number;
  /** Added to an hour, in Wh: a correction. */
  corrections: Map<number, number>;
  /** Starts of hours without a value. */
  missing: Set<number>;
  /** Changes the text of answers. */
  distort: ((text: string) => string) | undefined;
  /** What is published of a point in [from, to): start and kWh. */
  truth(id: string, period: { from: number; to: number; production?: boolean }): [number, number][];
}

const hour = 3_600_000;
const year = 366 * 86_400_000;

/** Starts it; `now` is the time by its own clock, epoch ms. */
export async function emulateElvia(now: number): Promise<EmulatedElvia> {
  const server = await emulate(({ path, headers, query }) => {
    if (path !== "/customer/metervalues/api/v1/metervalues") return undefined;
    if (headers.authorization !== `Bearer ${elvia.token}`) return { status: 401, text: "" };
    const [from, to] = ["startTime", "endTime"].map((name) => Date.parse(query.get(name) ?? "")) as [
      number,
      number,
    ];
    const ids = query.get("meteringPointIds")?.split(",");
    return answer(elvia, { from, to, now, ids, production: query.get("includeProduction") === "true" });
  });
  const elvia: EmulatedElvia = {
    ...server,
    token: "eyJhbGciOiJSUzI1NiJ9.e30.x",
    points: [],
    publishedUntil: now,
    verifiedUntil: now,
    corrections: new Map(),
    missing: new Set(),
    distort: undefined,
    truth: (id, { from, to, production = false }) => {
      const { contract } = elvia.points.find((point) => point.id === id)!;
      const end = Math.min(to, elvia.publishedUntil, contract.endTime ?? Number.POSITIVE_INFINITY);
      return startsIn(Math.max(from, contract.startTime), end).flatMap((start): [number, number][] =>
        elvia.missing.has(start) ? [] : [[start, wattHours(elvia, { id, start, production }) / 1000]],
      );
    },
  };
  return elvia;
}

const startsIn = (from: number, to: number) => {
  const first = Math.ceil(from / hour);
  return Array.from({ length: Math.max(0, Math.floor(to / hour) - first) }, (_, i) => (first + i) * hour);
};

function wattHours(
  { corrections }: EmulatedElvia,
  { id, start, production }: { id: string; start: number; production: boolean },
): number {
  let hash = 2_166_136_261;
  for (const char of `${id} ${start} ${production}`)
    hash = Math.imul(hash ^ char.charCodeAt(0), 16_777_619) >>> 0;
  return (hash % 4_000) + (corrections.get(start) ?? 0);
}

interface Asked {
  from: number;
  to: number;
  now: number;
  ids: string[] | undefined;
  production: boolean;
}

function answer(elvia: EmulatedElvia, { from, to, now, ids, production }: Asked): Told {
  const points = elvia.points.filter(({ id }) => ids === undefined || ids.includes(id));
  const isIllegal = Number.isNaN(from + to) || from >= to || to - from > year || now - from > 3 * year;
  if (isIllegal || points.some(({ contract }) => to <= contract.startTime)) {
    return { status: 400, json: { statusCode: 400, message: "Invalid period" } };
  }
  const meteringpoints = points.map((point) => {
    const { id, contract } = point;
    const entries = (way: boolean) =>
      startsIn(
        Math.max(from, contract.startTime),
        Math.min(to, elvia.publishedUntil, contract.endTime ?? Number.POSITIVE_INFINITY),
      ).map((start) => ({
        startTime: osloText(start),
        endTime: osloText(start + hour),
        value: elvia.missing.has(start) ? null : wattHours(elvia, { id, start, production: way }) / 1000,
        uom: "kWh",
        production: way,
        verified: start < elvia.verifiedUntil,
      }));
    return {
      meteringPointId: id,
      ...(point.hidesContract === true ? {} : { customerContract: contractOf(contract) }),
      metervalue: {
        fromHour: osloText(from),
        toHour: osloText(to),
        resolutionMinutes: 60,
        timeSeries: [...entries(false), ...(production && point.produces === true ? entries(true) : [])],
      },
    };
  });
  const text = JSON.stringify({ meteringpoints });
  return { text: elvia.distort?.(text) ?? text, headers: { "content-type": "application/json" } };
}

const contractOf = ({ startTime, endTime }: EmulatedPoint["contract"]) => ({
  startTime: osloText(startTime),
  endTime: osloText(endTime ?? Date.parse("2099-12-31T23:00:00Z")),
});

/** `2026-10-25T02:00:00+02:00` */
function osloText(at: number): string {
  const parts = new Intl.DateTimeFormat("en", { timeZone: "Europe/Oslo", timeZoneName: "longOffset" });
  const offset = /GMT([+-]\d\d:\d\d)/.exec(parts.format(at))![1]!;
  const shift = Number(offset.slice(0, 3)) * hour;
  return `${new Date(at + shift).toISOString().slice(0, 19)}${offset}`;
}
