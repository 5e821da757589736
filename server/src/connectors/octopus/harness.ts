import { type Emulator, emulate, type Told } from "../../../../test/harness/emulator.ts";
import { granuleStarts } from "../../platform/time/granule.ts";
import { localOf, offsetAt } from "../../platform/time/zone.ts";

const zone = "Europe/London";
const halfHour = 1_800_000;

/** A meter of the emulated company: its values by start of the half-hour, epoch ms. */
export interface EmulatedMeter {
  serial: string;
  values: Map<number, number>;
}

export interface EmulatedPoint {
  fuel: "electricity" | "gas";
  number: string;
  isExport?: boolean;
  meters: EmulatedMeter[];
  validTo?: string | null;
}

/** Octopus Energy as its documentation describes it, for tests: one account. */
export interface OctopusEmulator extends Emulator {
  key: string;
  points: EmulatedPoint[];
  movedIn: string | null;
  movedOut: string | null;
  /** More results than so many are not on a page. */
  pageMax: number;
}

export const account = "A-1A2B3C4D";
export const credentials = { account_number: account, api_key: "sk_live_right", gas_unit: "m3" };

/** Starts one. */
export async function octopusEmulator(): Promise<OctopusEmulator> {
  const state = {
    key: "sk_live_right",
    points: [] as EmulatedPoint[],
    movedIn: "2020-11-30T00:00:00Z" as string | null,
    movedOut: null as string | null,
    pageMax: 1_000,
  };
  const server: Emulator = await emulate(({ path, query, headers }) => {
    const login = Buffer.from((headers.authorization ?? "").replace("Basic ", ""), "base64").toString();
    if (login !== `${state.key}:`) return { status: 401, json: { detail: "Invalid API key." } };
    if (path === `/v1/accounts/${account}/`) return { json: accountJson(state) };
    const found = /^\/v1\/(electricity|gas)-meter-points\/(\d+)\/meters\/([^/]+)\/consumption\/$/.exec(path);
    const point = state.points.find(({ fuel, number }) => fuel === found?.[1] && number === found[2]);
    const meter = point?.meters.find(({ serial }) => serial === decodeURIComponent(found?.[3] ?? ""));
    if (meter === undefined) return { status: 404, json: { detail: "Not found." } };
    return consumption(meter, { query, url: server.url + path, pageMax: state.pageMax });
  });
  return Object.assign(state, server);
}

function accountJson({
  points,
  movedIn,
  movedOut,
}: Pick<OctopusEmulator, "points" | "movedIn" | "movedOut">) {
  const rest = ({ meters, validTo = null }: EmulatedPoint) => ({
    consumption_standard: 2560,
    meters: meters.map(({ serial }) => ({ serial_number: serial, registers: [] })),
    agreements: [
      {
        tariff_code: "E-1R-VAR-20-09-22-N",
        valid_from: "2020-12-17T00:00:00Z",
        valid_to: "2023-04-01T00:00:00+01:00",
      },
      { tariff_code: "E-1R-VAR-22-11-01-N", valid_from: "2023-04-01T00:00:00+01:00", valid_to: validTo },
    ],
  });
  const of = (wanted: EmulatedPoint["fuel"]) => points.filter(({ fuel }) => fuel === wanted);
  return {
    number: account,
    properties: [
      {
        id: 1234567,
        moved_in_at: movedIn,
        moved_out_at: movedOut,
        address_line_1: "10 Downing Street",
        address_line_2: "",
        address_line_3: "",
        town: "LONDON",
        county: "",
        postcode: "SW1A 2AA",
        electricity_meter_points: of("electricity").map((point) => ({
          mpan: point.number,
          profile_class: 1,
          ...rest(point),
          is_export: point.isExport ?? false,
        })),
        gas_meter_points: of("gas").map((point) => ({ mprn: point.number, ...rest(point) })),
      },
    ],
  };
}

function consumption(
  { values }: EmulatedMeter,
  { query, url, pageMax }: { query: URLSearchParams; url: string; pageMax: number },
): Told {
  const from = Date.parse(query.get("period_from") ?? "1970-01-01T00:00:00Z");
  const to = Date.parse(query.get("period_to") ?? "2100-01-01T00:00:00Z");
  const size = Math.min(Number(query.get("page_size") ?? 100), pageMax);
  if (Number.isNaN(from + to + size)) return { status: 400, json: { detail: "Bad request" } };
  const all = [...values].filter(([start]) => start >= from && start < to).sort(([a], [b]) => a - b);
  if (query.get("order_by") !== "period") all.reverse();
  const page = Number(query.get("page") ?? 1);
  const link = (to: number) => {
    const next = new URLSearchParams(query);
    next.set("page", String(to));
    return `${url}?${next}`;
  };
  return {
    json: {
      count: all.length,
      next: page * size < all.length ? link(page + 1) : null,
      previous: page > 1 ? link(page - 1) : null,
      results: all.slice((page - 1) * size, page * size).map(([start, value]) => ({
        consumption: value,
        interval_start: localText(start),
        interval_end: localText(start + halfHour),
      })),
    },
  };
}

function localText(at: number): string {
  const local = new Date(localOf(zone, at)).toISOString().slice(0, 19);
  return `${local}${offsetAt(zone, at) === 0 ? "Z" : "+01:00"}`;
}

/** Values for all half-hours of a span, of three decimals; another seed gives others. */
export function halfHours(from: string, to: string, seed = 1): Map<number, number> {
  const starts = granuleStarts("30min", zone, { from: Date.parse(from), to: Date.parse(to) });
  return new Map(starts.map((start) => [start, (((start / halfHour) * 37 * seed) % 1_997) / 1_000 + 0.001]));
}
