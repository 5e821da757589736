import { z } from "zod";
import {
  type Connector,
  connector,
  type Delivery,
  type HttpAnswer,
  ProviderFailure,
  secret,
  titled,
  type Visit,
} from "../../collection/connector.ts";
import type { Granularity } from "../../platform/granularity.ts";
import { changedAnswer, readAnswer } from "../answer.ts";
import { dayOf, dayText } from "../windows.ts";
import { authorizationsAnswer, mergedPoints, metersOf, type Point, pointsAnswer, zone } from "./points.ts";
import { type Question, questionsOf } from "./questions.ts";
import { Strange, seriesAnswer, valuesOf } from "./series.ts";
import { kindOf, type Refusal, Session } from "./session.ts";

/** What the granularities are called in a question. */
const aggregations: Readonly<Partial<Record<Granularity, string>>> = {
  "15min": "Quarter",
  hour: "Hour",
  month: "Month",
};

const settings = z.object({
  token: titled(
    secret(
      z
        .string()
        .trim()
        .max(10_000)
        .regex(/^[\w.~+/=-]+$/, "must be a token, without blanks"),
    ),
    { en: "Token", sv: "Nyckel (token)" },
    {
      en: "Made at eloverblik.dk under API access, good for a year",
      sv: "Skapas på eloverblik.dk under API-adgang och gäller ett år",
    },
  ),
});

/** Eloverblik as it is reached under an address: the real one, or one that a test plays. */
export function eloverblikAt(origin: string): Connector {
  return connector({
    name: "eloverblik",
    title: "Eloverblik (Energinet)",
    countries: ["DK"],
    types: ["electricity"],
    granularities: ["15min", "hour", "month"],
    historyDays: 1_826,
    latenessHours: 48,
    correctionDays: 30,
    help: {
      en:
        "Log in to eloverblik.dk with MitID, choose API access in the menu, make a token and copy it. It shows the " +
        "metering points that are linked to your login there, and must be renewed every year. The token of a third party " +
        "shows those of all its powers of attorney.",
      sv:
        "Logga in på eloverblik.dk med MitID, välj API-adgang i menyn, skapa en token och kopiera den. Den visar de " +
        "mätpunkter som är knutna till inloggningen där, och måste förnyas varje år. En tredje parts token visar dem som " +
        "den har fullmakt för.",
    },
    settings,
    // 120 requests a minute are allowed, 2 of them for tokens. Fewer, as a minute may begin with those of ten seconds.
    limits: { perMinute: 100, atOnce: 4, named: { token: 1.7 } },
    async *discover(visit) {
      const points = await listPoints(new Session(visit, origin));
      const meters = metersOf(points, dayText(dayOf(zone, visit.now)));
      visit.step("list metering points", { points: points.length, meters: meters.length });
      yield* meters;
    },
    async *collect(visit, wanted) {
      const session = new Session(visit, origin);
      for (const question of questionsOf(wanted, visit.now)) {
        const { keys, granularity, from, to } = question;
        visit.step(`read ${granularity}`, { points: keys.length, days: to - from });
        yield* collectPoints(visit, { session, question });
      }
    },
  });
}

/** Energinet's hub of all Danish electricity meters, through its interfaces for customers and third parties. */
export const eloverblik = eloverblikAt("https://api.eloverblik.dk");

async function listPoints(session: Session): Promise<Point[]> {
  if (!session.isThirdParty)
    return list(session, "meteringpoints/meteringpoints?includeAll=false", pointsAnswer);
  const found: Point[] = [];
  for (const { id } of await list(session, "authorization/authorizations", authorizationsAnswer)) {
    const path = `authorization/authorization/meteringpoints/authorizationId/${id}`;
    found.push(...(await list(session, path, pointsAnswer)));
  }
  return mergedPoints(found);
}

async function list<Item>(
  session: Session,
  path: string,
  schema: z.ZodType<{ result: Item[] | null }>,
): Promise<Item[]> {
  const answer = await session.send(path);
  if ("code" in answer) throw new ProviderFailure("unreachable", `no list: ${answer.text}`);
  return readAnswer(answer, schema).result ?? [];
}

interface Asking {
  session: Session;
  question: Question;
}

async function* collectPoints(
  visit: Visit<unknown>,
  { session, question }: Asking,
): AsyncGenerator<Delivery> {
  const { keys, granularity, from, to } = question;
  const path = `meterdata/gettimeseries/${dayText(from)}/${dayText(to)}/${aggregations[granularity]}`;
  const answer = await session.send(path, { meteringPoints: { meteringPoint: keys } });
  if ("code" in answer) {
    // When one of several is refused it does not say which.
    if (keys.length === 1) tell(visit, answer, keys);
    else
      for (const key of keys)
        yield* collectPoints(visit, { session, question: { ...question, keys: [key] } });
    return;
  }
  const { deliveries, refusals } = readDeliveries(answer, question);
  yield* deliveries;
  for (const { keys, ...refusal } of refusals) tell(visit, refusal, keys);
}

/** @throws ProviderFailure `unreachable` when it is a fault of theirs */
function tell({ step, refused }: Visit<unknown>, refusal: Refusal, keys: readonly string[]): void {
  const kind = kindOf(refusal);
  if (kind === "fault")
    throw new ProviderFailure("unreachable", `a metering point has the error ${refusal.code}`);
  if (kind !== "empty") for (const key of keys) refused(key);
  step(kind === "empty" ? "no values" : "no access", { code: refusal.code });
}

/**
 * All values of an answer, and the metering points that it refuses although its status is 200.
 * @throws ProviderFailure `changed` when a part of it is unknown: then nothing of it is taken
 */
function readDeliveries(
  answer: HttpAnswer,
  { keys, granularity, from, to }: Question,
): { deliveries: Delivery[]; refusals: (Refusal & { keys: readonly string[] })[] } {
  const deliveries: Delivery[] = [];
  const refusals: (Refusal & { keys: readonly string[] })[] = [];
  for (const result of readAnswer(answer, seriesAnswer).result ?? []) {
    if (!result.success) {
      const refusal = { code: result.errorCode, text: result.errorText ?? "" };
      if (kindOf(refusal) === undefined) throw changedAnswer(answer, `the error ${refusal.code} is unknown`);
      // Without a name it may be any of them.
      refusals.push({ ...refusal, keys: result.id == null ? keys : [result.id] });
      continue;
    }
    const { createdDateTime: version, TimeSeries } = result.MyEnergyData_MarketDocument;
    for (const [key, values] of strictly(answer, () => valuesOf(TimeSeries ?? [], granularity))) {
      if (!keys.includes(key)) throw changedAnswer(answer, "a metering point that nobody asked for");
      if (values.starts.length === 0) continue;
      const id = `${key}-${granularity}-${dayText(from)}-${dayText(to)}`;
      deliveries.push({ key, metric: "energy", granularity, ...values, document: { id, version } });
    }
  }
  return { deliveries, refusals };
}

function strictly<Read>(answer: HttpAnswer, read: () => Read): Read {
  try {
    return read();
  } catch (error) {
    if (error instanceof Strange) throw changedAnswer(answer, error.message);
    throw error;
  }
}
