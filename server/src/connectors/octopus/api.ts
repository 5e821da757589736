import { z } from "zod";
import { type HttpAnswer, ProviderFailure, type Visit } from "../../collection/connector.ts";
import { changedAnswer, readAnswer } from "../answer.ts";
import type { Values } from "../one-series.ts";
import { readPage } from "./half-hours.ts";

/** A meter point of an account, as the connector needs it. Times are epoch ms. */
export interface MeterPoint {
  fuel: "electricity" | "gas";
  /** MPAN or MPRN. */
  number: string;
  /** Serial numbers of all meters there, those that were taken down too. */
  serials: string[];
  isExport: boolean;
  /** Codes of the tariffs that run now. */
  tariffs: string[];
  /** When its last agreement ends, or has ended. */
  ended: number | undefined;
}

export interface Property {
  address: string;
  movedIn: number | undefined;
  movedOut: number | undefined;
  points: MeterPoint[];
}

export interface Account {
  number: string;
  properties: Property[];
}

const text = z.string().nullish();
const agreement = z.object({ tariff_code: z.string(), valid_from: z.string(), valid_to: text });
const point = {
  meters: z.array(z.object({ serial_number: z.string() })),
  agreements: z.array(agreement).nullish(),
};
const accountSchema = z.object({
  number: z.string(),
  properties: z.array(
    z.object({
      moved_in_at: text,
      moved_out_at: text,
      address_line_1: text,
      address_line_2: text,
      address_line_3: text,
      town: text,
      postcode: text,
      electricity_meter_points: z.array(
        z.object({ mpan: z.string().regex(/^\d{13}$/), is_export: z.boolean(), ...point }),
      ),
      gas_meter_points: z.array(z.object({ mprn: z.string().regex(/^\d{6,10}$/), ...point })),
    }),
  ),
});

interface Login {
  account_number: string;
  api_key: string;
}

/** More than so many half-hours a page are not asked for; the API gives at most 25,000. */
const pageSize = 2_500;
const pagesMax = 100;

/** The API of one visit. */
export class Api {
  readonly #visit: Visit<Login>;
  readonly #origin: string;

  constructor(visit: Visit<Login>, origin: string) {
    this.#visit = visit;
    this.#origin = origin;
  }

  /** @throws ProviderFailure `credentials` when the key does not open the account */
  async account(): Promise<Account> {
    const { account_number: number } = this.#visit.settings;
    const answer = await this.#get(
      `${this.#origin}/v1/accounts/${encodeURIComponent(number.toUpperCase())}/`,
    );
    if (answer.status === 403 || answer.status === 404) {
      throw new ProviderFailure("credentials", "the key does not open this account");
    }
    return accountOf(readAnswer(expectOk(answer), accountSchema), this.#visit.now);
  }

  /** Half-hours of a meter that begin in [from, to). None for a meter that the API does not show (any more). */
  async consumption(
    { fuel, number }: MeterPoint,
    { serial, from, to }: { serial: string; from: number; to: number },
  ): Promise<Values> {
    const path = `/v1/${fuel}-meter-points/${number}/meters/${encodeURIComponent(serial)}/consumption/`;
    const all: Values = new Map();
    let next: string | null = `${this.#origin}${path}?${new URLSearchParams({
      period_from: new Date(from).toISOString(),
      period_to: new Date(to).toISOString(),
      page_size: String(pageSize),
      order_by: "period",
    })}`;
    for (let page = 1; next !== null; page++) {
      const answer = await this.#get(next);
      if (answer.status === 404) return new Map();
      const read = readPage(expectOk(answer), all, { from, to });
      if (read !== null && (page === pagesMax || !isSamePlace(read, this.#origin + path))) {
        throw changedAnswer(answer, "pages lead elsewhere");
      }
      next = read;
    }
    return all;
  }

  async #get(url: string): Promise<HttpAnswer> {
    const { http, settings } = this.#visit;
    const login = Buffer.from(`${settings.api_key}:`).toString("base64");
    const headers = { authorization: `Basic ${login}`, accept: "application/json" };
    const answer = await http.send(url, { headers, redirectsMax: 0, timeoutMs: 120_000 });
    if (answer.status === 401) throw new ProviderFailure("credentials", "the key is refused");
    return answer;
  }
}

function expectOk(answer: HttpAnswer): HttpAnswer {
  if (answer.status !== 200) throw changedAnswer(answer, "an unknown status");
  return answer;
}

/** The key goes along: a page elsewhere is not asked for. */
function isSamePlace(next: string, here: string): boolean {
  const url = URL.parse(next);
  return url !== null && url.origin + url.pathname === here;
}

function accountOf({ number, properties }: z.output<typeof accountSchema>, now: number): Account {
  return {
    number,
    properties: properties.map((each) => ({
      address: [each.address_line_1, each.address_line_2, each.address_line_3, each.town, each.postcode]
        .filter((part) => part != null && part !== "")
        .join(", "),
      movedIn: instantOf(each.moved_in_at),
      movedOut: instantOf(each.moved_out_at),
      points: [
        ...each.electricity_meter_points.map(({ mpan, is_export, ...rest }) =>
          pointOf("electricity", { number: mpan, isExport: is_export, ...rest }, now),
        ),
        ...each.gas_meter_points.map(({ mprn, ...rest }) =>
          pointOf("gas", { number: mprn, isExport: false, ...rest }, now),
        ),
      ],
    })),
  };
}

interface Shown {
  number: string;
  isExport: boolean;
  meters: { serial_number: string }[];
  agreements?: z.output<typeof agreement>[] | null | undefined;
}

function pointOf(
  fuel: MeterPoint["fuel"],
  { number, isExport, meters, agreements }: Shown,
  now: number,
): MeterPoint {
  const ends = (agreements ?? []).map(({ valid_to }) => instantOf(valid_to) ?? Number.POSITIVE_INFINITY);
  const ended = Math.max(...ends);
  return {
    fuel,
    number,
    isExport,
    serials: [...new Set(meters.map(({ serial_number }) => serial_number.trim()))].filter(
      (serial) => serial !== "",
    ),
    tariffs: (agreements ?? []).flatMap(({ tariff_code }, i) => (ends[i]! > now ? [tariff_code] : [])),
    ended: Number.isFinite(ended) && ended <= now ? ended : undefined,
  };
}

function instantOf(iso: string | null | undefined): number | undefined {
  if (iso == null || iso === "") return undefined;
  const at = Date.parse(iso);
  if (Number.isNaN(at)) throw new ProviderFailure("changed", `no point in time: ${iso}`);
  return at;
}
