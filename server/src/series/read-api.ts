import { z } from "zod";
import { type ReadingMeter, type Resolved, resolveForReading } from "../meters/meters.ts";
import type { Deps } from "../platform/deps.ts";
import { type Granularity, granularities } from "../platform/granularity.ts";
import { type Caller, type Endpoint, endpoint, Raw } from "../platform/http/endpoint.ts";
import { commaList, timestamp as instant } from "../platform/http/schema.ts";
import { invalid, notFound, Problem } from "../platform/problem.ts";
import { type Period, type PeriodText, parsePeriods, periodIn } from "../platform/time/period.ts";
import { isZone } from "../platform/time/zone.ts";
import { JsonBytes } from "../platform/value-json.ts";
import { metersBelow } from "../trees/trees.ts";
import { AnswerCache, etagOf } from "./answer-cache.ts";
import { type Element, writeElements } from "./answer-json.ts";
import { estimates } from "./estimate.ts";
import { type Grid, gridOf, pointsAtMost } from "./grid.ts";
import { consumptionMetrics, costNames, defaultMetric, estimatedFrom } from "./metric.ts";
import { type Member, query, querySum } from "./query.ts";

/** One answer value may stand for this many stored ones at most, in sums over many meters. */
const readsPerValueMax = 500;

/** A request for values, parsed and bound to its periods. */
interface Asked {
  granularity: Granularity;
  periods: PeriodText[];
  metrics: string[];
  timezone?: string | undefined;
  asOf?: number | undefined;
  origin: boolean;
  status: boolean;
}

const readQuery = z.object({
  metrics: commaList(z.string())
    .optional()
    .meta({ description: "Metrics; the default depends on the meter." }),
  timezone: z
    .string()
    .optional()
    .meta({ description: "Zone that decides the period, instead of the meter's." }),
  as_of: instant().optional().meta({ description: "Values as they were known at this instant." }),
  include: commaList(z.enum(["origin", "status"]))
    .optional()
    .meta({ description: "`origin`: delivered or derived; `status`: measured, estimated, …" }),
});

const meterList = z.object({ meters: commaList(z.string()) });
const treeFilter = z.object({ type: commaList(z.string()).optional() });
const granularity = z.enum(granularities);
const period = z.string().meta({ example: "2026", description: "START or START-END; several joined by +" });

const periodsReply = z.array(z.record(z.string(), z.unknown()));

function askedOf(
  params: { granularity: Granularity; period: string },
  search: z.output<typeof readQuery>,
  known: readonly string[],
): Asked {
  for (const metric of search.metrics ?? []) {
    if (!known.includes(metric))
      throw invalid("metrics", `unknown metric "${metric}"; known are ${known.join(", ")}`);
  }
  if (search.timezone !== undefined && !isZone(search.timezone)) {
    throw invalid(
      "timezone",
      `"${search.timezone}" is not a time zone; write an IANA name such as Europe/Stockholm`,
    );
  }
  return {
    granularity: params.granularity,
    periods: parsePeriods(params.period),
    metrics: [...new Set(search.metrics ?? [])],
    timezone: search.timezone,
    asOf: search.as_of,
    origin: search.include?.includes("origin") ?? false,
    status: search.include?.includes("status") ?? false,
  };
}

/** The periods of a request in a zone, after its size was found small enough. */
function periodsIn(
  zone: string,
  asked: Asked,
  about: { series: number; reads: number },
  deps: Deps,
): Period[] {
  const periods = asked.periods.map((each) => periodIn(zone, each, deps.clock.now()));
  let points = 0;
  for (const each of periods) points += pointsAtMost(asked.granularity, zone, each);
  const { valuesMax } = deps.settings;
  const values = points * about.series;
  if (values > valuesMax) {
    throw invalid(
      "period",
      `asks for ${values} values, at most ${valuesMax} are given at once; split the request`,
    );
  }
  if (points * about.reads > valuesMax * readsPerValueMax) {
    throw invalid(
      "period",
      `sums ${points * about.reads} values, at most ${valuesMax * readsPerValueMax} at once; split the period`,
    );
  }
  return periods;
}

/** A meter as it was asked for: answers name it by the id that the caller used. */
interface AskedMeter extends ReadingMeter {
  askedId: string;
}

/** The meter when its values may be read now, `undefined` when there is none. */
function readable(resolved: Resolved, askedId: string): AskedMeter | undefined {
  if (resolved.outcome === "not_found") return undefined;
  if (resolved.outcome === "forbidden") throw new Problem("forbidden", resolved.reason);
  return { ...resolved.meter, askedId };
}

async function metersOf(ids: readonly string[], who: Caller | null, deps: Deps): Promise<AskedMeter[]> {
  if (ids.length === 0) throw invalid("meters", "name at least one meter");
  const found = await resolveForReading(deps.db, who, ids);
  // A foreign id among many refuses all: first what does not exist, then what may not be read.
  if (found.some((each) => each.outcome === "not_found")) throw missing(who);
  return found.map((each, i) => readable(each, ids[i]!)!);
}

/** Without a credential only open channels can be read; a foreign id is the same as none. */
function missing(who: Caller | null): Problem {
  return who === null
    ? new Problem("unauthenticated", "A credential is needed to read this meter")
    : notFound();
}

/** Values of one meter, as elements of the answer. */
async function meterElements(meters: readonly AskedMeter[], asked: Asked, deps: Deps): Promise<Element[]> {
  const elements: Element[] = [];
  const names = (meter: AskedMeter) =>
    asked.metrics.length > 0 ? asked.metrics : [defaultMetric(meter.type)];
  const series = meters.reduce((sum, meter) => sum + names(meter).length, 0);
  // Meters of one zone, part and list of metrics are read together.
  const groups = Map.groupBy(meters, (meter) => `${meter.timezone}/${meter.part}/${names(meter).join()}`);
  for (const group of groups.values()) {
    const zone = asked.timezone ?? group[0]!.timezone;
    const periods = periodsIn(zone, asked, { series, reads: 0 }, deps);
    const grids = periods.map((each) => gridOf(asked.granularity, zone, each));
    const wanted = names(group[0]!);
    const stored = [...new Set(wanted.map((name) => estimatedFrom(name) ?? name))];
    const answers = await query(deps.db, {
      meters: group,
      metrics: stored,
      grids,
      ...(asked.asOf === undefined ? {} : { asOf: asked.asOf }),
      flags: asked.origin || asked.status,
    });
    const byKey = new Map(answers.map((answer) => [`${answer.rootId}/${answer.metric}`, answer]));
    for (const meter of group) {
      const columns = [];
      for (const name of wanted) {
        const source = estimatedFrom(name);
        const answer = byKey.get(`${meter.rootId}/${source ?? name}`);
        const values =
          source === undefined
            ? answer?.values
            : await estimates(deps, { meter, metric: source, grids, values: answer?.values });
        columns.push({ name, values, flags: answer?.flags });
      }
      elements.push({
        ids: { meter_id: meter.askedId },
        grids,
        periods,
        columns,
        origin: asked.origin,
        status: asked.status,
      });
    }
  }
  const order = new Map(meters.map((meter, i) => [meter.askedId, i]));
  return elements.sort((a, b) => order.get(a.ids.meter_id!)! - order.get(b.ids.meter_id!)!);
}

/** What a sum is made of. */
interface Summed {
  members: (Member & { metrics: readonly string[]; type: string })[];
  zone: string;
}

/** Sums per metric, with the share of members that have a value. */
async function sumElement(summed: Summed, asked: Asked, ids: Element["ids"], deps: Deps): Promise<Element> {
  const zone = asked.timezone ?? summed.zone;
  const wanted = asked.metrics.length > 0 ? asked.metrics : ["energy"];
  const periods = periodsIn(
    zone,
    asked,
    { series: wanted.length, reads: wanted.length * summed.members.length },
    deps,
  );
  const grids = periods.map((each) => gridOf(asked.granularity, zone, each));
  const columns = [];
  for (const name of wanted) {
    const metric = estimatedFrom(name) ?? name;
    const members = summed.members.filter((member) => expects(member, metric));
    const [answer] = await querySum(deps.db, {
      members,
      metric,
      grids,
      ...(asked.asOf === undefined ? {} : { asOf: asked.asOf }),
    });
    columns.push({ name, values: answer?.values, present: answer?.present, expected: members.length });
  }
  return { ids, grids, periods, columns, origin: false, status: false };
}

/** Does a sum of the metric wait for this meter? A sensor is not missing from a sum of energy. */
function expects(member: { metrics: readonly string[]; type: string }, metric: string): boolean {
  if (member.metrics.length > 0) return member.metrics.includes(metric);
  return defaultMetric(member.type) === metric;
}

/** The zone of most meters; of equals the first. */
function commonZone(meters: readonly { timezone: string }[]): string {
  const counts = Map.groupBy(meters, (meter) => meter.timezone);
  let best = "Etc/GMT-1";
  let most = 0;
  for (const [zone, group] of counts) {
    if (group.length > most) [best, most] = [zone, group.length];
  }
  return best;
}

/** 404 when the node is not the account's. */
async function treeSum(
  nodeId: string,
  who: Caller,
  types: string[] | undefined,
  deps: Deps,
): Promise<Summed> {
  const found = await metersBelow(deps.db, who.accountId, nodeId);
  const meters = found.filter(
    (meter) =>
      !meter.revoked &&
      meter.box === "active" &&
      (types === undefined || types.length === 0 || types.includes(meter.type)),
  );
  return { members: meters, zone: commonZone(meters) };
}

const jsonType = "application/json; charset=utf-8";

function bytesOf(elements: readonly Element[]): Buffer {
  const json = new JsonBytes(1 << 16);
  json.raw('{"code":200,"message":"OK","profiling":null,"data":');
  writeElements(json, elements);
  json.raw("}");
  return json.finish();
}

function answer(elements: readonly Element[]): Raw {
  return new Raw(jsonType, bytesOf(elements));
}

/** One cache of answers per database. */
const caches = new WeakMap<Deps["db"], AnswerCache>();

function cacheOf(db: Deps["db"]): AnswerCache {
  let found = caches.get(db);
  if (found === undefined) caches.set(db, (found = new AnswerCache(db)));
  return found;
}

/** The answer for one meter; from memory when neither the values nor the question changed. */
async function meterAnswer(
  meter: AskedMeter,
  asked: Asked,
  deps: Deps,
  header: (name: string, value: string) => void,
): Promise<Raw> {
  const write = async () => bytesOf(await meterElements([meter], asked, deps));
  const metrics = asked.metrics.length > 0 ? asked.metrics : [defaultMetric(meter.type)];
  const onlyValues = asked.asOf === undefined && !asked.origin && !asked.status;
  // Open ends and estimates move with the clock.
  const timeless =
    asked.periods.every((each) => each.end !== null) && !metrics.some((name) => estimatedFrom(name));
  if (!onlyValues || !timeless) return new Raw(jsonType, await write());
  const periods = asked.periods.map((each) => each.text).join("+");
  const shape = `${meter.askedId}/${periods}/${asked.timezone ?? meter.timezone}`;
  const key = { meter, granularity: asked.granularity, metrics, shape };
  const cache = cacheOf(deps.db);
  const version = await cache.version(key);
  header("ETag", etagOf(key, version));
  return new Raw(jsonType, await cache.body(key, version, write));
}

const readConsumption = endpoint({
  method: "GET",
  path: "/consumptions/:id/:granularity/:period",
  access: "optional",
  summary: "Values of a meter, or sums of the meters below a tree node",
  description:
    "`id` is a meter (its own id or its root's) or a tree node. One value per granule of each period, `null` where nothing is known. A node adds `<metric>_quality`: values present / values expected.",
  ids: { id: "meter_or_tree" },
  params: z.object({ id: z.string(), granularity, period }),
  query: readQuery.extend(treeFilter.shape),
  reply: periodsReply,
  async handle({ params, query: search, who, header }, deps) {
    const asked = askedOf(params, search, consumptionMetrics);
    const found = readable(await cacheOf(deps.db).resolve(who, params.id), params.id);
    if (found !== undefined) return meterAnswer(found, asked, deps, header);
    if (who === null) throw missing(who);
    const summed = await treeSum(params.id, who, search.type, deps);
    return answer([await sumElement(summed, asked, { tree_id: params.id }, deps)]);
  },
});

const readMulti = endpoint({
  method: "GET",
  path: "/consumptions/multi/:granularity/:period",
  access: "optional",
  summary: "Values of several meters, in the order asked",
  ids: { meters: "meter" },
  params: z.object({ granularity, period }),
  query: readQuery.extend(meterList.shape),
  reply: periodsReply,
  async handle({ params, query: search, who }, deps) {
    const asked = askedOf(params, search, consumptionMetrics);
    if (asked.metrics.length === 0) asked.metrics.push("energy");
    const elements = await meterElements(await metersOf([...new Set(search.meters)], who, deps), asked, deps);
    const byId = new Map(elements.map((element) => [element.ids.meter_id, element]));
    return answer(search.meters.map((id) => byId.get(id)!));
  },
});

const readSum = endpoint({
  method: "GET",
  path: "/consumptions/sum/:granularity/:period",
  access: "optional",
  summary: "The sum of several meters, in the zone of the first",
  ids: { meters: "meter" },
  params: z.object({ granularity, period }),
  query: readQuery.extend(meterList.shape),
  reply: periodsReply,
  async handle({ params, query: search, who }, deps) {
    const asked = askedOf(params, search, consumptionMetrics);
    const meters = await metersOf([...new Set(search.meters)], who, deps);
    // Two references to one root meter are one meter: nothing is counted twice.
    const roots = new Map(meters.map((meter) => [meter.rootId, { ...meter, factor: 1 }]));
    return answer([
      await sumElement({ members: [...roots.values()], zone: meters[0]!.timezone }, asked, {}, deps),
    ]);
  },
});

const readCosts = endpoint({
  method: "GET",
  path: "/costs/:id/month/:period",
  access: "basic",
  summary: "Costs of a meter per month, or sums of the meters below a tree node; one element per currency",
  ids: { id: "meter_or_tree" },
  params: z.object({ id: z.string(), period }),
  query: readQuery.extend(treeFilter.shape),
  reply: periodsReply,
  async handle({ params, query: search, who }, deps) {
    const asked = askedOf({ granularity: "month", period: params.period }, search, costNames);
    if (asked.metrics.length === 0) asked.metrics.push("retail_total", "grid_total");
    const found = readable((await resolveForReading(deps.db, who, [params.id]))[0]!, params.id);
    if (found !== undefined) return answer(await costElements(found, asked, deps));
    const summed = await treeSum(params.id, who, search.type, deps);
    return answer(await treeCosts(summed, asked, { account_id: who.accountId, tree_id: params.id }, deps));
  },
});

async function costElements(meter: AskedMeter, asked: Asked, deps: Deps): Promise<Element[]> {
  const zone = asked.timezone ?? meter.timezone;
  const periods = periodsIn(zone, asked, { series: asked.metrics.length, reads: 0 }, deps);
  const grids = periods.map((each) => gridOf("month", zone, each));
  const answers = await query(deps.db, {
    meters: [meter],
    metrics: asked.metrics.map((name) => `cost_${name}`),
    grids,
    ...(asked.asOf === undefined ? {} : { asOf: asked.asOf }),
    flags: asked.origin || asked.status,
  });
  return perCurrency(answers).map(([currency, group]) => ({
    ids: { account_id: meter.holderId, meter_id: meter.askedId, currency },
    grids,
    periods,
    columns: asked.metrics.map((name) => {
      const found = group.find((each) => each.metric === `cost_${name}`);
      return { name, values: found?.values, flags: found?.flags };
    }),
    origin: asked.origin,
    status: asked.status,
  }));
}

async function treeCosts(summed: Summed, asked: Asked, ids: Element["ids"], deps: Deps): Promise<Element[]> {
  const zone = asked.timezone ?? summed.zone;
  const periods = periodsIn(
    zone,
    asked,
    { series: asked.metrics.length, reads: summed.members.length },
    deps,
  );
  const grids: (Grid | null)[] = periods.map((each) => gridOf("month", zone, each));
  const answers = [];
  for (const name of asked.metrics) {
    const sums = await querySum(deps.db, {
      members: summed.members,
      metric: `cost_${name}`,
      grids,
      ...(asked.asOf === undefined ? {} : { asOf: asked.asOf }),
    });
    answers.push(...sums);
  }
  return perCurrency(answers).map(([currency, group]) => ({
    ids: { ...ids, currency },
    grids,
    periods,
    columns: asked.metrics.map((name) => {
      const found = group.find((each) => each.metric === `cost_${name}`);
      return { name, values: found?.values, present: found?.present, expected: summed.members.length };
    }),
    origin: false,
    status: false,
  }));
}

/** Answers by currency; one empty element without any, so that clients find the array that they asked for. */
function perCurrency<Each extends { currency: string }>(answers: readonly Each[]): [string | null, Each[]][] {
  const groups = [...Map.groupBy(answers, (each) => each.currency as string | null)];
  return groups.length === 0 ? [[null, []]] : groups;
}

/** Endpoints that read values. */
export const readEndpoints: Endpoint[] = [readMulti, readSum, readConsumption, readCosts];
