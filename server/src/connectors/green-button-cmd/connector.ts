import { z } from "zod";
import {
  connector,
  type Delivery,
  type FoundMeter,
  line,
  ProviderFailure,
  titled,
  type Visit,
  type Wanted,
} from "../../collection/connector.ts";
import { type Granularity, granularities } from "../../platform/granularity.ts";
import { consentAddress, tokensOf } from "../oauth.ts";
import { timeSpans } from "../windows.ts";
import { clientOf, custodianSchema } from "./custodian.ts";
import { type PointSeries, type ReadFeed, type Representation, readFeed } from "./feed.ts";
import { accessText, remembered, Session } from "./session.ts";

const day = 86_400_000;
/** Meters are those that have values in so many days. */
const lookBackDays = 60;
/** One question covers so many days. */
const windowDays = 90;

const settings = z.object({
  custodian: titled(
    line(100),
    { en: "Utility", sv: "Leverantör" },
    {
      en: "One of those that this server is registered with",
      sv: "En av dem som servern är registrerad hos",
    },
  ),
});
type Settings = z.output<typeof settings>;

/** Green Button Connect My Data (NAESB REQ.21): utilities of North America, and who holds their data. */
export const greenButtonCmd = connector({
  name: "green-button-cmd",
  title: "Green Button Connect My Data",
  countries: ["US", "CA"],
  types: ["electricity", "gas", "water", "heat"],
  granularities: ["5min", "10min", "15min", "30min", "hour", "day", "month"],
  historyDays: 1_095,
  latenessHours: 48,
  correctionDays: 30,
  help: {
    en: "Choose the utility, follow the link, log in there and allow this server to read your usage. Whoever runs the server registers it with each utility first.",
    sv: "Välj leverantör, följ länken, logga in där och tillåt servern att läsa din förbrukning. Den som driver servern registrerar den först hos varje leverantör.",
  },
  settings,
  operator: { field: "custodian", setup: custodianSchema },
  limits: { perMinute: 60, atOnce: 4 },
  consent: {
    address({ setup, ...asked }) {
      const custodian = custodianSchema.parse(setup);
      return consentAddress(clientOf(custodian), asked, {
        ...(custodian.scope === null ? {} : { scope: custodian.scope }),
      });
    },
    async take({ http, now }, asked) {
      const custodian = custodianSchema.parse(asked.setup);
      const tokens = await tokensOf(http, clientOf(custodian), asked);
      return { [remembered]: accessText(tokens, custodian, now) };
    },
  },
  async *discover(visit) {
    const session = new Session(visit);
    const points = await pointsOf(session, visit);
    visit.step("list usage points", { points: points.length });
    for (const point of points) yield meterOf(point, { visit, session });
  },
  async *collect(visit, wanted) {
    const session = new Session(visit);
    for (const [usagePoint, some] of Map.groupBy(wanted, ({ key }) => pointIn(key))) {
      for (const { from, to } of timeSpans(some, windowDays * day)) {
        visit.step("read a usage point", { days: Math.ceil((to - from) / day) });
        const path = `/UsagePoint/${usagePoint}`;
        const feed = await ask(session, visit, { path, period: { from, to } });
        if (feed === "refused") visit.step("not answered for this time");
        const points = typeof feed === "string" ? [] : feed.points;
        yield* deliveriesOf(points, some, { from, to, custodian: visit.settings.custodian });
      }
    }
  },
  async revoke(visit) {
    if (visit.memory.get(remembered) === undefined) return;
    visit.step("end the authorization");
    await new Session(visit).end();
    await visit.memory.set(remembered, null);
  },
});

interface Question {
  path: string;
  /** Epoch milliseconds, half-open; all that there is without it. */
  period?: { from: number; to: number };
}

/**
 * All that the customer has, by their values of the last weeks. A consent may not reach back so far: then by all that it
 * reaches.
 */
async function pointsOf(session: Session, visit: Visit<Settings>): Promise<PointSeries[]> {
  const period = { from: visit.now - lookBackDays * day, to: visit.now };
  const some = await ask(session, visit, { path: "", period });
  const feed = some === "refused" ? await ask(session, visit, { path: "" }) : some;
  // Otherwise meters that are there would be taken for gone.
  if (feed === "refused") throw new ProviderFailure("unreachable", "the subscription is refused, and active");
  return feed === "none" ? [] : feed.points;
}

async function ask(
  session: Session,
  { step, now }: Visit<Settings>,
  { path, period }: Question,
): Promise<ReadFeed | "none" | "refused"> {
  const { timezone, published } = session.custodian;
  // When an entry was published is after its values, and later again when they were corrected.
  const last = period !== undefined && published === "values" ? period.to : now;
  const query: Record<string, string> =
    period === undefined ? {} : { "published-min": instant(period.from), "published-max": instant(last) };
  const told = await session.batch(path, query);
  if (typeof told === "string") return told;
  const feed = await readFeed(told, timezone);
  const { odd, ambiguous } = feed;
  if (odd > 0 || ambiguous > 0) step("left out", { odd, ambiguous });
  return feed;
}

/** As ESPI writes instants. */
const instant = (at: number) => new Date(at).toISOString().replace(/\.\d{3}Z$/, "Z");

const suffixes: Readonly<Record<Representation, string>> = {
  consumption: "",
  production: "/production",
  net_consumption: "/net",
};

/** Usage points have names of one part of an address: no blanks and slashes. */
const keyOf = (custodian: string, { usagePoint, representation }: PointSeries) =>
  `${custodian} ${usagePoint}${suffixes[representation]}`;

const pointIn = (key: string) => key.slice(key.lastIndexOf(" ") + 1).replace(/\/(production|net)$/, "");

function meterOf(
  point: PointSeries,
  { visit, session }: { visit: Visit<Settings>; session: Session },
): FoundMeter {
  const { type, representation, name, values } = point;
  const metrics = [...values].map(([metric, byGranularity]) => ({
    metric,
    granularities: [finestOf([...byGranularity.keys()])],
  }));
  return {
    key: keyOf(visit.settings.custodian, point),
    ean: null,
    ...(name === undefined ? {} : { name }),
    type,
    representation,
    timezone: session.custodian.timezone,
    metrics,
  };
}

/** Coarser values of the same meter are added up by Metertree. */
function finestOf(present: readonly Granularity[]): Granularity {
  return granularities.find((each) => present.includes(each))!;
}

function* deliveriesOf(
  points: readonly PointSeries[],
  wanted: readonly Wanted[],
  { from, to, custodian }: { from: number; to: number; custodian: string },
): Generator<Delivery> {
  const asked = new Set(wanted.map(({ key, metric, granularity }) => `${key} ${metric} ${granularity}`));
  for (const point of points) {
    const key = keyOf(custodian, point);
    for (const [metric, byGranularity] of point.values) {
      for (const [granularity, values] of byGranularity) {
        if (!asked.has(`${key} ${metric} ${granularity}`)) continue;
        const some = [...values].filter(([start]) => start >= from && start < to).sort(([a], [b]) => a - b);
        if (some.length === 0) continue;
        yield {
          key,
          metric,
          granularity,
          starts: some.map(([start]) => start),
          values: some.map(([, { value }]) => value),
          quality: some.map(([, { quality }]) => quality),
          document: { id: `${key}-${metric}-${granularity}-${instant(from)}-${instant(to)}` },
        };
      }
    }
  }
}
