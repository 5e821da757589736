import { z } from "zod";
import { type HttpAnswer, ProviderFailure, type Visit } from "../../collection/connector.ts";
import { changedAnswer, readAnswer } from "../answer.ts";
import { dayOf, dayText } from "../windows.ts";

const hour = 3_600_000;
const day = 24 * hour;
/** A request is repeated so often when the limit of a minute is reached. */
const busyMax = 3;

/** Where the archive is: for everybody, and for customers with a key. */
export interface Archives {
  free: string;
  paid: string;
}

/** A place, and the key of a customer. */
export interface Place {
  latitude: number;
  longitude: number;
  api_key: string | null;
}

const archived = z.object({
  timezone: z.string(),
  hourly_units: z.object({ time: z.literal("unixtime"), temperature_2m: z.literal("°C") }),
  hourly: z.object({ time: z.array(z.int()), temperature_2m: z.array(z.number().nullable()) }),
});

const refusal = z.object({ error: z.literal(true), reason: z.string() });

/** Hours of days of UTC, both included. */
export interface Answered {
  /** IANA zone of the place, when it was asked for; else GMT. */
  timezone: string;
  /** Temperatures, °C, by the hour at whose begin they were; epoch ms. */
  hours: Map<number, number>;
}

/** The archive of the weather for the time of one visit. */
export class Archive {
  readonly #visit: Visit<Place>;
  readonly #origin: string;

  constructor(visit: Visit<Place>, { free, paid }: Archives) {
    this.#visit = visit;
    this.#origin = visit.settings.api_key === null ? free : paid;
  }

  /**
   * Temperatures of days of UTC since 1970-01-01, both included. The archive ends at yesterday or before: what lies behind
   * is left out. With `zone` the days are those of the place, and its zone is told.
   */
  async hours({
    first,
    last,
    zone = false,
  }: {
    first: number;
    last: number;
    zone?: boolean;
  }): Promise<Answered> {
    const yesterday = dayOf("UTC", this.#visit.now) - 1;
    const end = Math.min(last, yesterday);
    if (first > end) return { timezone: "GMT", hours: new Map() };
    const answer = await this.#send({ first, last: end, zone });
    if (answer.status === 200) return read(answer);
    const known = lastKnown(answer);
    if (known === undefined || known >= end) throw refused(answer);
    if (first > known) return { timezone: "GMT", hours: new Map() };
    const shorter = await this.#send({ first, last: known, zone });
    if (shorter.status !== 200) throw refused(shorter);
    return read(shorter);
  }

  async #send({ first, last, zone }: { first: number; last: number; zone: boolean }): Promise<HttpAnswer> {
    const { http, settings, wait, now } = this.#visit;
    const { latitude, longitude, api_key: key } = settings;
    for (let times = 0; ; times++) {
      const answer = await http.send(`${this.#origin}/v1/archive`, {
        query: {
          latitude: String(latitude),
          longitude: String(longitude),
          start_date: dayText(first),
          end_date: dayText(last),
          hourly: "temperature_2m",
          timeformat: "unixtime",
          ...(zone ? { timezone: "auto" } : {}),
          ...(key === null ? {} : { apikey: key }),
        },
        anyStatus: true,
      });
      const { status } = answer;
      if (status >= 500) throw new ProviderFailure("unreachable", `the archive answered ${status}`);
      if (status !== 429) return answer;
      const seconds = secondsOf(reasonOf(answer), now);
      if (times === busyMax)
        throw new ProviderFailure("busy", "the archive stays busy", { retryAfterSeconds: seconds });
      await wait(seconds);
    }
  }
}

function read(answer: HttpAnswer): Answered {
  const { timezone, hourly } = readAnswer(answer, archived);
  const { time, temperature_2m: temperatures } = hourly;
  if (time.length !== temperatures.length)
    throw changedAnswer(answer, "as many times as temperatures are needed");
  const hours = new Map<number, number>();
  for (const [i, second] of time.entries()) {
    const at = second * 1000;
    if (at % hour !== 0 || (i > 0 && second !== time[i - 1]! + 3_600)) {
      throw changedAnswer(answer, "times that are no hours in order");
    }
    const temperature = temperatures[i];
    if (temperature != null) hours.set(at, temperature);
  }
  return { timezone, hours };
}

function reasonOf(answer: HttpAnswer): string {
  try {
    return refusal.safeParse(JSON.parse(answer.text())).data?.reason ?? "";
  } catch {
    return "";
  }
}

/** The last day that is there, from a refusal of a later one; days since 1970-01-01. */
function lastKnown(answer: HttpAnswer): number | undefined {
  const text = /'end_date' is out of allowed range from \S+ to (\d{4}-\d\d-\d\d)/.exec(reasonOf(answer))?.[1];
  return answer.status === 400 && text !== undefined ? Date.parse(`${text}T00:00:00Z`) / day : undefined;
}

function refused(answer: HttpAnswer): ProviderFailure {
  const reason = reasonOf(answer);
  if ([401, 403].includes(answer.status) || (answer.status === 400 && /api ?key/i.test(reason))) {
    return new ProviderFailure("credentials", `the key is refused: ${reason}`);
  }
  return changedAnswer(answer, "not expected");
}

/** How long a limit holds: the reason names a minute, an hour or a day of UTC. */
function secondsOf(reason: string, now: number): number {
  if (/daily/i.test(reason)) return Math.ceil((day - (now % day)) / 1000);
  return /hourly/i.test(reason) ? 3_600 : 60;
}
