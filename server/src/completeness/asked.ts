import { z } from "zod";
import { type Account, reach, subaccountsOf } from "../accounts/accounts.ts";
import type { Connector } from "../collection/collection.ts";
import { type ActiveReference, activeReferences, resolveForReading } from "../meters/meters.ts";
import type { Queryable } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { type Granularity, granularities } from "../platform/granularity.ts";
import type { Caller } from "../platform/http/endpoint.ts";
import { accountId, commaList } from "../platform/http/schema.ts";
import { invalid, notFound, Problem } from "../platform/problem.ts";
import { calendarIndex } from "../platform/time/granule.ts";
import { parsePeriods, periodIn } from "../platform/time/period.ts";
import { consumptionMetrics, estimatedFrom, pointsAtMost } from "../series/series.ts";
import { metersBelow } from "../trees/trees.ts";
import type { Look } from "./look.ts";

/** Meters of one request at most. */
export const metersMax = 100_000;
const nodesMax = 300;
/** So many times the values that a request for values gives may be looked at: all meters together, and each series. */
const looksPerValue = 200;
const looksPerSeries = 10;
const periodsMax = 100;

/** What completeness is asked of. */
export const completenessQuery = z.object({
  account: accountId().optional().meta({ description: "Whose meters: yours, unless you name a subaccount." }),
  tree_structure_ids: commaList(z.string())
    .optional()
    .meta({ description: "Only meters below these tree nodes." }),
  meters: commaList(z.string()).optional().meta({ description: "Only these meters." }),
  period: z.string().optional().meta({
    example: "202610",
    description: "START or START-END; several joined by +. The last whole month unless given.",
  }),
  granularity: z.enum(granularities).default("month"),
  metrics: commaList(z.string())
    .optional()
    .meta({ description: "The default metric of each meter unless given." }),
});

/** Which parameters are ids. */
export const completenessIds = { account: "account", tree_structure_ids: "tree", meters: "meter" } as const;

/** A request, resolved and found small enough. */
export interface Asked extends Look {
  account: Account;
}

/**
 * Resolves a request: which meters, in which order, and whose connections the caller may know about. 404 for what is
 * not the account's, 403 for meters whose values may not be read.
 */
export async function askedOf(
  search: z.output<typeof completenessQuery>,
  { who, connectors }: { who: Caller; connectors: readonly Connector[] },
  { db, clock, settings }: Pick<Deps, "db" | "clock" | "settings">,
): Promise<Asked> {
  const now = clock.now();
  const account = await reach(db, who, search.account ?? "me");
  const metrics = search.metrics === undefined ? null : knownMetrics(search.metrics);
  const periods = parsePeriods(search.period ?? lastMonth(settings.timezone, now));
  if (periods.length > periodsMax) throw invalid("period", `at most ${periodsMax} periods at once`);
  const asked: Asked = {
    account,
    meters: await metersOf(db, account.id, search),
    metrics,
    granularity: search.granularity,
    periods: (zone) => periods.map((each) => periodIn(zone, each, now)),
    connectors,
    insiders: await insidersOf(db, who.accountId),
    now,
  };
  assertSeriesBounded(asked, settings);
  return asked;
}

/** Refuses a look at more values of one series than one request may take. */
export function assertSeriesBounded(
  look: Pick<Look, "granularity" | "periods">,
  { valuesMax }: Pick<Deps["settings"], "valuesMax">,
): void {
  const points = pointsOf(look);
  const most = valuesMax * looksPerSeries;
  if (points <= most) return;
  throw invalid("period", `looks at ${points} values of each meter, at most ${most} at once; shorten it`);
}

/** Metrics that values can be missing of: those that are stored, without costs. */
export const knownNames = consumptionMetrics.filter((name) => estimatedFrom(name) === undefined);

/** Names of such metrics; 400 for others. */
export function knownMetrics(names: readonly string[]): string[] {
  const unknown = names.find((name) => !knownNames.includes(name));
  if (unknown !== undefined) {
    throw invalid("metrics", `unknown metric "${unknown}"; known are ${knownNames.join(", ")}`);
  }
  if (names.length === 0) throw invalid("metrics", "name at least one, or leave it out");
  return [...new Set(names)];
}

/** The last month that is over, as a period is written. */
export function lastMonth(zone: string, now: number): string {
  const start = new Date(Date.UTC(1970, calendarIndex("month", zone, now) - 1, 1));
  return start.toISOString().slice(0, 7).replace("-", "");
}

/** How many values of a series a look looks at, about. */
const pointsOf = ({ granularity, periods }: Pick<Look, "granularity" | "periods">) =>
  periods("UTC").reduce((sum, each) => sum + pointsAtMost(granularity, "UTC", each), 0);

/** Accounts whose connections an account may know about. */
export async function insidersOf(db: Queryable, accountId: string): Promise<Set<string>> {
  return new Set([accountId, ...(await subaccountsOf(db, accountId))]);
}

/** Refuses a look at more values than one request may take. `meters`: of how many. */
export function assertBounded(asked: Look, meters: number, { settings }: Pick<Deps, "settings">): void {
  const looks = pointsOf(asked) * (asked.metrics?.length ?? 1) * meters;
  const most = settings.valuesMax * looksPerValue;
  if (looks > most) {
    throw invalid(
      "period",
      `looks at ${looks} values of ${meters} meters, at most ${most} at once; shorten it, or name fewer meters`,
    );
  }
}

/** The first of these complaints that one request may look at together: at least one. */
export function lookable<Each extends { granularity: Granularity; begins: number; ends: number }>(
  complaints: readonly Each[],
  { valuesMax }: Pick<Deps["settings"], "valuesMax">,
): Each[] {
  let left = valuesMax * looksPerValue;
  const end = complaints.findIndex(({ granularity, begins, ends }, i) => {
    left -= pointsAtMost(granularity, "UTC", { from: begins, to: ends });
    return left < 0 && i > 0;
  });
  return complaints.slice(0, end === -1 ? undefined : end);
}

/** The meters of an account that all conditions of a request hold for; each root meter once. */
async function metersOf(
  db: Queryable,
  accountId: string,
  { meters, tree_structure_ids: nodes }: z.output<typeof completenessQuery>,
): Promise<ActiveReference[]> {
  const named = meters === undefined ? undefined : await namedMeters(db, accountId, meters);
  if (nodes === undefined) return named ?? all(db, accountId);
  if (nodes.length > nodesMax) throw invalid("tree_structure_ids", `at most ${nodesMax} nodes at once`);
  const below = new Map<string, ActiveReference>();
  for (const node of new Set(nodes)) {
    for (const { id, rootId, box, revoked } of await metersBelow(db, accountId, node)) {
      if (box === "active" && !revoked && !below.has(rootId)) below.set(rootId, { id, rootId });
    }
  }
  if (named !== undefined) return named.filter(({ rootId }) => below.has(rootId));
  return [...below.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

async function all(db: Queryable, accountId: string): Promise<ActiveReference[]> {
  const found = await activeReferences(db, accountId, metersMax + 1);
  if (found.length > metersMax) {
    throw invalid("account", `has more than ${metersMax} meters; name meters or tree nodes`);
  }
  return found;
}

async function namedMeters(
  db: Queryable,
  accountId: string,
  ids: readonly string[],
): Promise<ActiveReference[]> {
  if (ids.length === 0) throw invalid("meters", "name at least one, or leave it out");
  const found = await resolveForReading(db, { accountId }, ids);
  const references = new Map<string, ActiveReference>();
  for (const [i, one] of found.entries()) {
    // A meter of an open channel is not the account's own.
    if (one.outcome === "not_found" || one.meter.holderId !== accountId) {
      throw notFound(`meter ${ids[i]} of account ${accountId}`);
    }
    if (one.outcome === "forbidden") throw new Problem("forbidden", one.reason);
    const { id, rootId } = one.meter;
    if (!references.has(rootId)) references.set(rootId, { id, rootId });
  }
  return [...references.values()];
}
