import { z } from "zod";
import { type HttpAnswer, ProviderFailure, type Visit } from "../../collection/connector.ts";
import { changedAnswer, readAnswer } from "../answer.ts";
import type { Values } from "../one-series.ts";
import { readReadings } from "./readings.ts";

const utilities = ["electricity", "gas"] as const;
export type Utility = (typeof utilities)[number];

/** What is read: what came from the grid, and what went to it. */
export const readingTypes = ["consumption", "production"] as const;
export type ReadingType = (typeof readingTypes)[number];

/** Half-hours of a meter. */
export interface Readings {
  /** Of each device; `metric` says what the values are, when it is known. */
  devices: Values[];
  metric: "energy" | "flow" | undefined;
  /** Epoch ms: n3rgy has nothing of what began before. */
  begins: number;
}

const listSchema = z.object({ total: z.int(), entries: z.array(z.string().regex(/^\d{1,13}$/)) });
const utilitiesSchema = z.object({ entries: z.array(z.enum(utilities)) });
const devicesSchema = z.object({
  devices: z.array(z.object({ deviceId: z.string(), availableDataTypes: z.array(z.string()) })),
});

/** What its answers call the reading types that there are two names for. */
const typeNames: Readonly<Record<string, ReadingType>> = {
  consumption: "consumption",
  import: "consumption",
  production: "production",
  export: "production",
};

/** The most numbers in one answer. */
const listMax = 100;

/** The API of one visit. */
export class Api {
  readonly #visit: Visit<{ api_key: string }>;
  readonly #origin: string;

  constructor(visit: Visit<{ api_key: string }>, origin: string) {
    this.#visit = visit;
    this.#origin = origin;
  }

  /** Every number that has given consent to the holder of the key. */
  async consented(): Promise<string[]> {
    const numbers: string[] = [];
    for (;;) {
      const query = { startAt: String(numbers.length), maxResults: String(listMax) };
      const { total, entries } = readAnswer(await this.#get("/", query), listSchema);
      numbers.push(...entries);
      if (numbers.length >= total || entries.length === 0) return numbers;
    }
  }

  /** @throws ProviderFailure `consent` when there is none */
  async utilities(mpxn: string): Promise<Utility[]> {
    const answer = await this.#get(`/mpxn/${mpxn}`);
    return answer.status === 404 ? [] : readAnswer(answer, utilitiesSchema).entries;
  }

  async devices(mpxn: string, utility: Utility): Promise<{ id: string; types: ReadingType[] }[]> {
    const answer = await this.#get(`/mpxn/${mpxn}/utility/${utility}`);
    if (answer.status === 404) return [];
    return readAnswer(answer, devicesSchema).devices.map(({ deviceId, availableDataTypes }) => ({
      id: deviceId,
      types: availableDataTypes.flatMap((name) => typeNames[name] ?? []),
    }));
  }

  /** Half-hours that begin in the span, of the last day when it is left out. */
  async readings(
    { mpxn, utility, type }: { mpxn: string; utility: Utility; type: ReadingType },
    span?: { from: number; to: number },
  ): Promise<Readings> {
    const answer = await this.#get(`/mpxn/${mpxn}/utility/${utility}/readingtype/${type}`, {
      // Half-hours go by their end, and both ends are meant.
      ...(span === undefined ? {} : { start: minuteText(span.from + 1_800_000), end: minuteText(span.to) }),
      granularity: "halfhour",
      outputFormat: "json",
    });
    if (answer.status === 404) return { devices: [], metric: undefined, begins: Number.POSITIVE_INFINITY };
    return readReadings(answer, { utility, span });
  }

  async #get(path: string, query: Record<string, string> = {}): Promise<HttpAnswer> {
    const { http, settings } = this.#visit;
    const answer = await http.send(this.#origin + path, {
      query,
      headers: { "x-api-key": settings.api_key, accept: "application/json" },
      redirectsMax: 0,
    });
    const { status } = answer;
    if (status === 403 && /consent/i.test(answer.text())) {
      throw new ProviderFailure("consent", "there is no consent, or it allows nothing to be read");
    }
    if (status === 401 || status === 403) throw new ProviderFailure("credentials", "the key is refused");
    if (status !== 200 && status !== 206 && status !== 404) {
      throw changedAnswer(answer, "an unknown status");
    }
    return answer;
  }
}

/** `202610250130` */
const minuteText = (at: number) => new Date(at).toISOString().slice(0, 16).replace(/[-T:]/g, "");
