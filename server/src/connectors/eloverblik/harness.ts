import { type Emulator, emulate, type Heard, type Told } from "../../../../test/harness/emulator.ts";
import { granuleEnd, granuleStarts } from "../../platform/time/granule.ts";
import { localToUtc } from "../../platform/time/zone.ts";

const zone = "Europe/Copenhagen";
const day = 86_400_000;

/** A metering point that the emulator holds. */
export interface EmulatedPoint {
  id: string;
  typeOfMP: string;
  occurrence: "PT15M" | "PT1H" | "P1M" | "ANDET";
  /** Quarters are kept from then on, hours before; epoch ms. */
  quartersSince?: number;
  children?: EmulatedPoint[];
  more?: Record<string, unknown>;
}

/** Energinet's interface for customers on a real server, with the answers that its documentation describes. */
export interface EmulatedEloverblik extends Emulator {
  /** The time by its clock, epoch ms. */
  now: number;
  /** The token that works, and that of a third party. */
  token: string;
  thirdPartyToken: string;
  points: EmulatedPoint[];
  /** Powers of attorney of the third party: ids of points. */
  authorizations: Map<string, string[]>;
  /** Values of days before this one are there; epoch ms. */
  publishedUntil: number;
  /** Other qualities than A04, by start of a quarter or hour; A02 has no quantity. */
  qualities: Map<number, string>;
  /** Added to the values of an hour, in Wh: a correction. */
  corrections: Map<number, number>;
  /** Starts of values that are missing. */
  missing: Set<number>;
  /** Errors of metering points in answers with status 200, by their id. */
  errors: Map<string, number>;
  /** Changes the text of answers with values. */
  distort: ((text: string) => string) | undefined;
  /** Data tokens that were made. */
  tokens: number;
  /** Ends all data tokens, as a day does. */
  endTokens(): void;
  /** What is published of a metering point in [from, to): start and kWh. */
  truth(id: string, granularity: "15min" | "hour" | "month", period: Bounds): [number, number][];
}

interface Bounds {
  from: number;
  to: number;
}

const jwt = (claims: object) =>
  ["{}", JSON.stringify(claims), "signature"]
    .map((part) => Buffer.from(part).toString("base64url"))
    .join(".");

/** Starts it; `now` is the time by its own clock, epoch ms. */
export async function emulateEloverblik(now: number): Promise<EmulatedEloverblik> {
  /** Data tokens, and when they end. */
  const issued = new Map<string, number>();
  const dataToken = (): Told => {
    emulator.tokens++;
    const end = emulator.now + day;
    const token = jwt({ exp: end / 1000, tokenid: emulator.tokens });
    issued.set(token, end);
    return { json: { result: token } };
  };
  const server = await emulate((heard) => {
    const bearer = heard.headers.authorization?.replace("Bearer ", "") ?? "";
    const isThird = heard.path.startsWith("/thirdpartyapi/");
    const path = heard.path.replace(/^\/(customer|thirdparty)api\/api\//, "");
    const good = isThird ? emulator.thirdPartyToken : emulator.token;
    if (path === "token") return bearer === good ? dataToken() : refused(401, 50001, "Token not valid");
    if (!((issued.get(bearer) ?? 0) > emulator.now)) return { status: 401, text: "" };
    if (isThird && path.startsWith("authorization/")) return authorized(emulator, path);
    if (!isThird && path === "meteringpoints/meteringpoints") {
      return { json: { result: emulator.points.map(shown) } };
    }
    return path.startsWith("meterdata/gettimeseries/") ? timeSeries(emulator, heard) : undefined;
  });
  const emulator: EmulatedEloverblik = {
    ...server,
    now,
    token: jwt({ exp: now / 1000 + 300 * 86_400, tokenType: "CUSTOMERAPI_Refresh" }),
    thirdPartyToken: jwt({ exp: now / 1000 + 300 * 86_400, tokenType: "THIRDPARTYAPI_Refresh" }),
    points: [],
    authorizations: new Map(),
    publishedUntil: now,
    qualities: new Map(),
    corrections: new Map(),
    missing: new Set(),
    errors: new Map(),
    distort: undefined,
    tokens: 0,
    endTokens: () => issued.clear(),
    truth(id, granularity, { from, to }) {
      const steps = granuleStarts(granularity, zone, { from, to: Math.min(to, emulator.publishedUntil) });
      const point = pointOf(emulator, id)!;
      const since = granularity === "15min" ? (point.quartersSince ?? Number.POSITIVE_INFINITY) : 0;
      return steps.flatMap((start): [number, number][] => {
        const wh = whIn(emulator, point, { start, end: granuleEnd(granularity, zone, start) });
        return start < since || wh === undefined ? [] : [[start, wh / 1000]];
      });
    },
  };
  return emulator;
}

const refused = (status: number, code: number, text: string): Told => ({ status, json: `[${code}] ${text}` });

function authorized({ points, authorizations }: EmulatedEloverblik, path: string): Told | undefined {
  if (path === "authorization/authorizations") {
    const result = [...authorizations.keys()].map((id) => ({
      id,
      thirdPartyName: "Ejendomsdrift A/S",
      validFrom: "2021-01-01",
      validTo: "2030-01-01",
      customerName: "Anna Jensen",
      customerCVR: null,
      customerKey: null,
      includeFutureMeteringPoints: false,
      timeStamp: "2021-01-01T10:00:00Z",
    }));
    return { json: { result } };
  }
  const ids = authorizations.get(
    path.replace("authorization/authorization/meteringpoints/authorizationId/", ""),
  );
  return ids && { json: { result: points.filter(({ id }) => ids.includes(id)).map(shown) } };
}

function shown({ id, typeOfMP, occurrence, children = [], more }: EmulatedPoint): object {
  return {
    streetCode: "1234",
    streetName: "Vestergade",
    buildingNumber: "1A",
    floorId: "2",
    roomId: "th",
    citySubDivisionName: null,
    municipalityCode: "101",
    locationDescription: null,
    settlementMethod: "D01",
    meterReadingOccurrence: occurrence,
    firstConsumerPartyName: "Ejendomsselskabet Vestergade ApS",
    secondConsumerPartyName: null,
    meterNumber: "21012379",
    consumerStartDate: "2021-02-28T23:00:00.000Z",
    meteringPointId: id,
    typeOfMP,
    balanceSupplierName: "Elhandel A/S",
    postcode: "1450",
    cityName: "København K",
    hasRelation: true,
    consumerCVR: "12345678",
    dataAccessCVR: null,
    childMeteringPoints: children.map((child) => ({
      parentMeteringPointId: id,
      meteringPointId: child.id,
      typeOfMP: child.typeOfMP,
      meterReadingOccurrence: child.occurrence,
      meterNumber: null,
    })),
    ...more,
  };
}

function pointOf({ points }: EmulatedEloverblik, id: string): EmulatedPoint | undefined {
  return points.flatMap((point) => [point, ...(point.children ?? [])]).find((point) => point.id === id);
}

/** Wh of a quarter or an hour, by its start; up to 4 kWh. */
function drawn(id: string, start: number): number {
  let hash = 2_166_136_261;
  for (const char of `${id} ${start}`) hash = Math.imul(hash ^ char.charCodeAt(0), 16_777_619) >>> 0;
  return hash % 4_000;
}

/** Wh in [start, end); `undefined` when a part of it is not there. */
function whIn(
  { qualities, corrections, missing }: EmulatedEloverblik,
  { id, quartersSince = Number.POSITIVE_INFINITY }: EmulatedPoint,
  { start, end }: { start: number; end: number },
): number | undefined {
  let sum = 0;
  for (let at = start; at < end; ) {
    const hasQuarters = at >= quartersSince;
    if (missing.has(at) || qualities.get(at) === "A02") return undefined;
    sum += drawn(id, at) + (corrections.get(at) ?? 0);
    at += hasQuarters ? 900_000 : 3_600_000;
  }
  return sum;
}

const aggregations = { Quarter: "15min", Hour: "hour", Month: "month" } as const;
const resolutions = { "15min": "PT15M", hour: "PT1H", month: "P1M" };

function timeSeries(emulator: EmulatedEloverblik, { path, body }: Heard): Told {
  const [from = "", to = "", aggregation = ""] = path.split("/").slice(-3);
  const granularity = aggregations[aggregation as keyof typeof aggregations];
  const [first, end] = [from, to].map((text) => Date.parse(`${text}T00:00:00Z`)) as [number, number];
  const ids: string[] = JSON.parse(body).meteringPoints.meteringPoint;
  if (granularity === undefined || Number.isNaN(first + end))
    return refused(400, 30005, "Invalid parameters");
  if (first >= end) return refused(400, 30001, "From date is greater than to date");
  if (end - first > 730 * day) return refused(400, 30014, "Number of days exceeded");
  if (localToUtc(zone, end).utc > emulator.now) return refused(400, 30003, "To date is greater than today");
  if (ids.length > 10) return refused(429, 10004, "Maximum number of metering points exceeded");
  const bounds = { from: localToUtc(zone, first).utc, to: localToUtc(zone, end).utc };
  const json = { result: ids.map((id) => result(emulator, id, { granularity, bounds })) };
  const text = JSON.stringify(json);
  return { text: emulator.distort?.(text) ?? text, headers: { "content-type": "application/json" } };
}

interface Asked {
  granularity: "15min" | "hour" | "month";
  bounds: Bounds;
}

function result(emulator: EmulatedEloverblik, id: string, { granularity, bounds }: Asked): object {
  const point = pointOf(emulator, id);
  const errorCode = point === undefined ? 30006 : (emulator.errors.get(id) ?? 10000);
  const about = { errorCode, errorText: errorCode === 10000 ? "NoError" : "Error", id, stackTrace: null };
  if (point === undefined || errorCode !== 10000) return { ...about, success: false };
  const days = granuleStarts(granularity === "month" ? "month" : "day", zone, {
    ...bounds,
    to: Math.min(bounds.to, emulator.publishedUntil),
  });
  return {
    ...about,
    success: true,
    MyEnergyData_MarketDocument: {
      mRID: "80024a18-0001-ef00-b63f-84710c796700",
      createdDateTime: new Date(emulator.now).toISOString(),
      "sender_MarketParticipant.name": "",
      "sender_MarketParticipant.mRID": { codingScheme: null, name: null },
      "period.timeInterval": interval(bounds.from, bounds.to),
      TimeSeries: [
        {
          mRID: id,
          businessType: ["E18", "D06"].includes(point.typeOfMP) ? "A01" : "A04",
          curveType: "A01",
          "measurement_Unit.name": "KWH",
          MarketEvaluationPoint: { mRID: { codingScheme: "A10", name: id } },
          Period: days.map((start) => period(emulator, point, { start, granularity })),
        },
      ],
    },
  };
}

const interval = (start: number, end: number) => ({
  start: new Date(start).toISOString().replace(".000", ""),
  end: new Date(end).toISOString().replace(".000", ""),
});

function period(
  emulator: EmulatedEloverblik,
  point: EmulatedPoint,
  { start, granularity }: { start: number; granularity: Asked["granularity"] },
): object {
  const end = granuleEnd(granularity === "month" ? "month" : "day", zone, start);
  const kept = granularity === "15min" && start < (point.quartersSince ?? 0) ? "hour" : granularity;
  const starts = granuleStarts(kept, zone, { from: start, to: end });
  return {
    resolution: resolutions[kept],
    timeInterval: interval(start, end),
    Point: starts.flatMap((at, i) => {
      if (emulator.missing.has(at)) return [];
      const wh = whIn(emulator, point, { start: at, end: granuleEnd(kept, zone, at) });
      const quality = wh === undefined ? (emulator.qualities.get(at) ?? "A05") : emulator.qualities.get(at);
      const quantity =
        wh === undefined ? {} : { "out_Quantity.quantity": (wh / 1000).toFixed(3).replace(/0+$/, "0") };
      return [{ position: String(i + 1), ...quantity, "out_Quantity.quality": quality ?? "A04" }];
    }),
  };
}
