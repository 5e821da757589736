import { type Emulator, emulate, type Heard, type Told } from "../../../../test/harness/emulator.ts";
import { granuleStarts } from "../../platform/time/granule.ts";
import { localOf } from "../../platform/time/zone.ts";

const minute = 60_000;
const day = 1_440 * minute;

/** A supply of the emulated platform: kWh by the start of the hour or quarter, epoch ms. */
export interface EmulatedSupply {
  cups: string;
  hours: Map<number, number>;
  quarters?: Map<number, number>;
  surplus?: Map<number, number>;
  pointType?: number;
  distributorCode?: string;
  postalCode?: string;
  validDateFrom?: string;
  validDateTo?: string;
  /** Holder, when it is not the user. */
  nif?: string;
  method?: string;
}

/** Datadis as its documentation and its users describe it, for tests. */
export interface DatadisEmulator extends Emulator {
  password: string;
  supplies: EmulatedSupply[];
  zone: string;
  now(): number;
  /** Tokens that began before are refused. */
  tokensFrom: number;
  /** Distributors that do not answer. */
  failing: string[];
  /** Questions that were answered, and when: the same is refused for a day. */
  asked: Map<string, number>;
}

export const credentials = { username: "12345678Z", password: "correcta" };

/** Starts one. */
export async function datadisEmulator(now: () => number): Promise<DatadisEmulator> {
  const state = {
    password: credentials.password,
    supplies: [] as EmulatedSupply[],
    zone: "Europe/Madrid",
    now,
    tokensFrom: 0,
    failing: [] as string[],
    asked: new Map<string, number>(),
  };
  const server: Emulator = await emulate((heard) => answerOf(heard, Object.assign(state, server)));
  return Object.assign(state, server);
}

type State = Omit<DatadisEmulator, keyof Emulator>;

function answerOf({ method, path, query, headers, body }: Heard, state: State): Told | undefined {
  if (method === "POST" && path === "/nikola-auth/tokens/login")
    return logIn(new URLSearchParams(body), state);
  const token = (headers.authorization ?? "").replace("Bearer ", "");
  const { iat = 0, exp = 0 } = payloadOf(token);
  if (headers.accept === undefined) return { status: 400, text: "Parámetro en cabecera requerido" };
  if (iat * 1000 < state.tokensFrom || exp * 1000 < state.now())
    return { status: 401, json: { status: 401 } };
  const nif = query.get("authorizedNif") ?? undefined;
  const own = state.supplies.filter((supply) => supply.nif === nif);
  if (path.endsWith("/get-supplies-v2")) return suppliesTold(own, { nif, failing: state.failing });
  const supply = own.find(({ cups }) => cups === query.get("cups"));
  if (supply === undefined) return { status: 400, text: "No se encuentra autorizado el cups introducido" };
  if (path.endsWith("/get-contract-detail-v2")) {
    const code = supply.surplus === undefined ? null : "41";
    return {
      json: { contract: [{ cups: supply.cups, selfConsumptionTypeCode: code }], distributorError: [] },
    };
  }
  if (path.endsWith("/get-consumption-data-v2")) return consumption(supply, { query, state });
  return undefined;
}

function logIn(form: URLSearchParams, { password, now }: State): Told {
  if (form.get("username") !== credentials.username || form.get("password") !== password) {
    return { status: 401, text: "Unauthorized" };
  }
  const part = (json: object) => Buffer.from(JSON.stringify(json)).toString("base64url");
  const iat = Math.floor(now() / 1000);
  return { text: `${part({ alg: "RS256" })}.${part({ sub: "user", iat, exp: iat + 86_400 })}.c2ln` };
}

function payloadOf(token: string): { iat?: number; exp?: number } {
  return JSON.parse(Buffer.from(token.split(".")[1] ?? "e30", "base64url").toString() || "{}");
}

function errorsOf(failing: readonly string[]) {
  return failing.map((code) => ({
    distributorCode: code,
    distributorName: "X",
    errorCode: "500",
    errorDescription: "Sin respuesta",
  }));
}

function suppliesTold(
  own: readonly EmulatedSupply[],
  { nif, failing }: { nif: string | undefined; failing: readonly string[] },
): Told {
  if (own.length === 0 && nif !== undefined) return { status: 403, text: "No authorized supplies" };
  if (own.length === 0) return { status: 404, text: "No supplies" };
  const supplies = own.map((supply) => ({
    address: "CALLE MAYOR 1, 28013-MADRID",
    cups: supply.cups,
    postalCode: supply.postalCode ?? "28013",
    province: "Madrid",
    municipality: "MADRID",
    distributor: "I-DE REDES ELÉCTRICAS INTELIGENTES, S.A.U.",
    validDateFrom: supply.validDateFrom ?? "",
    validDateTo: supply.validDateTo ?? "",
    pointType: supply.pointType ?? 5,
    distributorCode: supply.distributorCode ?? "8",
  }));
  return {
    json: {
      supplies: supplies.filter(({ distributorCode }) => !failing.includes(distributorCode)),
      distributorError: errorsOf(failing),
    },
  };
}

const wrongDates: Told = {
  status: 400,
  text: "Fechas incorrectas revise: Formato de fechas YYYY/MM. La fecha inicio no puede ser superior a dos años.",
};

function consumption(
  supply: EmulatedSupply,
  { query, state }: { query: URLSearchParams; state: State },
): Told {
  const { now, asked, zone, failing } = state;
  const month = query.get("startDate") ?? "";
  const { validDateFrom = "", distributorCode = "8" } = supply;
  const oldest = new Date(now());
  oldest.setUTCFullYear(oldest.getUTCFullYear() - 2);
  const isOld = Date.parse(`${month.replace("/", "-")}-01`) < oldest.getTime();
  const isEarly = validDateFrom !== "" && `${month}/01` < validDateFrom;
  if (!/^\d{4}\/\d\d$/.test(month) || month !== query.get("endDate") || isOld || isEarly) return wrongDates;
  const question = query.toString();
  if (now() - (asked.get(question) ?? 0) < day) {
    return { status: 429, text: "Consulta ya realizada en las últimas 24 horas." };
  }
  asked.set(question, now());
  if (failing.includes(distributorCode)) {
    return { json: { timeCurve: [], distributorError: errorsOf([distributorCode]) } };
  }
  const isQuarter = query.get("measurementType") === "1";
  const values = isQuarter ? (supply.quarters ?? new Map<number, number>()) : supply.hours;
  const rows = [...values].flatMap(([start, value]) => {
    const { date, time } = labelOf(start, { zone, minutes: isQuarter ? 15 : 60 });
    if (!date.startsWith(month)) return [];
    const row = { cups: supply.cups, date, time, consumptionKWh: value };
    return [
      { ...row, obtainMethod: supply.method ?? "Real", surplusEnergyKWh: supply.surplus?.get(start) ?? null },
    ];
  });
  return { json: { timeCurve: rows, distributorError: [] } };
}

/** Day and end of an hour or quarter, by the clock that holds during it. */
export function labelOf(start: number, { zone, minutes }: { zone: string; minutes: number }) {
  const local = localOf(zone, start);
  const end = (local % day) / minute + minutes;
  const time = `${String(Math.floor(end / 60)).padStart(2, "0")}:${String(end % 60).padStart(2, "0")}`;
  return { date: new Date(local).toISOString().slice(0, 10).replaceAll("-", "/"), time };
}

/** Values for all hours or quarters of a span, of three decimals; another seed gives others. */
export function curve(
  from: string,
  to: string,
  { seed = 1, granularity = "hour" }: { seed?: number; granularity?: "hour" | "15min" } = {},
): Map<number, number> {
  const starts = granuleStarts(granularity, "UTC", { from: Date.parse(from), to: Date.parse(to) });
  return new Map(starts.map((start) => [start, (((start / 900_000) * 43 * seed) % 1_987) / 1_000 + 0.001]));
}
