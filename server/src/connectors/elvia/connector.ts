import { z } from "zod";
import {
  type Connector,
  connector,
  type Delivery,
  type FoundMeter,
  type HttpAnswer,
  ProviderFailure,
  secret,
  titled,
  type Visit,
  type Wanted,
} from "../../collection/connector.ts";
import type { Granularity } from "../../platform/granularity.ts";
import { localToUtc } from "../../platform/time/zone.ts";
import { changedAnswer } from "../answer.ts";
import { dayOf, daySpans, dayText } from "../windows.ts";
import { granularityOf, type Point, pointsOf, valuesOf } from "./values.ts";

const zone = "Europe/Oslo";
const day = 86_400_000;
/** A year at most is answered at once. */
const daysMax = 365;
/** Metering points in a question; no limit is known, and addresses have one. */
const pointsMax = 10;
/** Meters are looked for in the values of so many days. */
const lookBackDays = 7;
/** What keys of production end in. */
const suffix = "-production";
const remembered = "production";

const minutesOf = { "15min": 15, hour: 60 };

const settings = z.object({
  token: titled(
    secret(
      z
        .string()
        .trim()
        .max(10_000)
        .regex(/^[\w.~+/=-]+$/, "must be a token, without blanks"),
    ),
    { en: "Personal token", sv: "Personlig nyckel (token)" },
    {
      en: "Made on Min side at elvia.no, under Tilganger",
      sv: "Skapas på Min side på elvia.no, under Tilganger",
    },
  ),
});
type Settings = z.output<typeof settings>;

/** Elvia as it is reached under an address: the real one, or one that a test plays. */
export function elviaAt(origin: string): Connector {
  return connector({
    name: "elvia",
    title: "Elvia",
    countries: ["NO"],
    types: ["electricity"],
    granularities: ["15min", "hour"],
    // Three years back are answered; the first day that is asked for begins before the first hour.
    historyDays: 1_090,
    latenessHours: 3,
    correctionDays: 30,
    help: {
      en:
        "Log in on Min side at elvia.no, choose Tilganger and then Opprett token, choose the meter, name the token and " +
        "copy it. Elvia offers this to private customers.",
      sv:
        "Logga in på Min side på elvia.no, välj Tilganger och sedan Opprett token, välj mätare, namnge nyckeln och " +
        "kopiera den. Elvia erbjuder detta för privatkunder.",
    },
    settings,
    limits: { perMinute: 60, atOnce: 4 },
    async *discover(visit) {
      const to = midnight(dayOf(zone, visit.now));
      const period = { from: midnight(dayOf(zone, visit.now) - lookBackDays), to };
      const consumed = await ask(visit, { origin, ...period, production: false });
      const points = pointsOf(expectOk(consumed));
      const produced = pointsOf(expectOk(await ask(visit, { origin, ...period, production: true })));
      const producing = await producingOf(visit, produced);
      visit.step("list metering points", { points: points.length, producing: producing.length });
      for (const point of points) {
        yield meterOf(point, { production: false, now: visit.now });
        if (producing.includes(point.meteringPointId))
          yield meterOf(point, { production: true, now: visit.now });
      }
    },
    async *collect(visit, wanted) {
      for (const question of questionsOf(wanted)) {
        const { ids, granularity, first, last } = question;
        visit.step(`read ${granularity}`, { points: ids.length, days: last - first + 1 });
        yield* collectPoints(visit, { origin, question });
      }
    },
  });
}

/** The grid of Oslo and the counties around it, through its interface for values of meters. */
export const elvia = elviaAt("https://elvia.azure-api.net");

async function* collectPoints(
  visit: Visit<Settings>,
  { origin, question }: { origin: string; question: Question },
): AsyncGenerator<Delivery> {
  const { ids, first, last, production } = question;
  const period = { from: midnight(first), to: Math.min(midnight(last + 1), visit.now) };
  const answer = await ask(visit, { origin, ...period, production, ids });
  const isRefused = answer.status === 400 && question.isHistory;
  if (!isRefused) yield* deliveriesOf(expectOk(answer), question);
  // Before the contract there is nothing, and Elvia refuses to look.
  else if (ids.length === 1) visit.step("no history", { status: 400 });
  // It does not say whose contract it is: the history of the others must not pass as read.
  else for (const id of ids) yield* collectPoints(visit, { origin, question: { ...question, ids: [id] } });
}

const midnight = (index: number) => localToUtc(zone, index * day).utc;

interface Asked {
  origin: string;
  from: number;
  to: number;
  production: boolean;
  /** All of the token's contracts when they are left out. */
  ids?: readonly string[];
}

async function ask(
  visit: Visit<Settings>,
  { origin, from, to, production, ids }: Asked,
): Promise<HttpAnswer> {
  const answer = await visit.http.send(`${origin}/customer/metervalues/api/v1/metervalues`, {
    headers: { authorization: `Bearer ${visit.settings.token}`, accept: "application/json" },
    query: {
      startTime: new Date(from).toISOString(),
      endTime: new Date(to).toISOString(),
      ...(ids === undefined ? {} : { meteringPointIds: ids.join(",") }),
      includeProduction: String(production),
    },
    timeoutMs: 120_000,
  });
  if (answer.status === 401 || answer.status === 403) {
    throw new ProviderFailure("credentials", `the token is refused with status ${answer.status}`);
  }
  return answer;
}

function expectOk(answer: HttpAnswer): HttpAnswer {
  if (answer.status !== 200) throw changedAnswer(answer, "not expected");
  return answer;
}

/** Points that produce. One that did once is kept: in the winter nothing may be there, and the meter is. */
async function producingOf({ memory }: Visit<Settings>, points: readonly Point[]): Promise<string[]> {
  const before = memory.get(remembered)?.split(" ") ?? [];
  const now = points
    .filter(({ metervalue }) => metervalue.timeSeries.some(({ production }) => production))
    .map(({ meteringPointId }) => meteringPointId);
  const all = [...new Set([...before, ...now])];
  if (all.length > before.length) await memory.set(remembered, all.join(" "));
  return all;
}

function meterOf(
  { meteringPointId: id, customerContract, metervalue }: Point,
  { production, now }: { production: boolean; now: number },
): FoundMeter {
  const { startTime, endTime } = customerContract ?? {};
  const granularity = granularityOf[metervalue.resolutionMinutes];
  return {
    key: production ? id + suffix : id,
    ean: id,
    type: "electricity",
    representation: production ? "production" : "consumption",
    timezone: zone,
    metrics: [{ metric: "energy", granularities: [granularity] }],
    ...(startTime == null ? {} : { from: dayText(dayOf(zone, startTime)) }),
    // Contracts without an end have one in the far future.
    ...(endTime == null || endTime > now ? {} : { ended: dayText(dayOf(zone, endTime)) }),
  };
}

/** One question: days since 1970-01-01, both included, of some points. */
export interface Question {
  ids: string[];
  production: boolean;
  granularity: Granularity;
  first: number;
  last: number;
  /** Only history is asked for. */
  isHistory: boolean;
}

/** Legal questions that hold what is wanted exactly once. */
export function questionsOf(wanted: readonly Wanted[]): Question[] {
  const byWindow = new Map<string, Question>();
  for (const asked of Map.groupBy(wanted, ({ key, granularity }) => `${granularity} ${key}`).values()) {
    const { key, granularity } = asked[0]!;
    const production = key.endsWith(suffix);
    const id = production ? key.slice(0, -suffix.length) : key;
    for (const { first, last } of daySpans(asked, { zone, daysMax })) {
      const within = asked.filter(
        ({ from, to }) => dayOf(zone, from) <= last && dayOf(zone, to - 1) >= first,
      );
      const isHistory = within.every(({ reason }) => reason === "backfill");
      const name = [granularity, production, first, last, isHistory].join();
      const question = byWindow.get(name);
      if (question === undefined) {
        byWindow.set(name, { ids: [id], production, granularity, first, last, isHistory });
      } else question.ids.push(id);
    }
  }
  return [...byWindow.values()].flatMap((question) =>
    Array.from({ length: Math.ceil(question.ids.length / pointsMax) }, (_, i) => ({
      ...question,
      ids: question.ids.slice(i * pointsMax, (i + 1) * pointsMax),
    })),
  );
}

/** All values of an answer; when a part of it is unknown, nothing of it. */
function deliveriesOf(answer: HttpAnswer, question: Question): Delivery[] {
  const { ids, production, granularity, first, last } = question;
  const minutes = minutesOf[granularity as keyof typeof minutesOf];
  return pointsOf(answer).flatMap((point): Delivery[] => {
    const { meteringPointId: id, metervalue } = point;
    if (!ids.includes(id)) throw changedAnswer(answer, "a metering point that nobody asked for");
    // Days before it was read more often are kept as they were.
    if (metervalue.resolutionMinutes !== minutes) return [];
    const values = valuesOf(answer, point, { production, minutes });
    if (values.starts.length === 0) return [];
    const key = production ? id + suffix : id;
    const document = { id: `${key}-${dayText(first)}-${dayText(last)}` };
    return [{ key, metric: "energy", granularity, ...values, document }];
  });
}
