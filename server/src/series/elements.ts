import type { Deps } from "../platform/deps.ts";
import type { Caller } from "../platform/http/endpoint.ts";
import { invalid } from "../platform/problem.ts";
import { metersBelow } from "../trees/trees.ts";
import type { Column, Element } from "./answer-json.ts";
import { type Asked, type AskedMeter, periodsIn } from "./asked.ts";
import { estimates, yearBefore } from "./estimate.ts";
import { type Grid, gridOf } from "./grid.ts";
import { defaultMetric, estimatedFrom } from "./metric.ts";
import { type Member, query, querySum } from "./query.ts";

/** Values of one meter, as elements of the answer. */
export async function meterElements(
  meters: readonly AskedMeter[],
  asked: Asked,
  deps: Deps,
): Promise<Element[]> {
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
    const columnOf = await columnsOf(group, { names: names(group[0]!), grids, zone }, asked, deps);
    for (const meter of group) {
      elements.push({
        ids: { meter_id: meter.askedId },
        grids,
        periods,
        columns: names(meter).map((name) => columnOf(meter, name)),
        origin: asked.origin,
        status: asked.status,
      });
    }
  }
  const order = new Map(meters.map((meter, i) => [meter.askedId, i]));
  return elements.sort((a, b) => order.get(a.ids.meter_id!)! - order.get(b.ids.meter_id!)!);
}

/** Reads what meters of one part and zone are asked for; the columns are made of it one by one. */
async function columnsOf(
  group: readonly AskedMeter[],
  { names, grids, zone }: { names: readonly string[]; grids: readonly (Grid | null)[]; zone: string },
  asked: Asked,
  deps: Deps,
): Promise<(meter: AskedMeter, name: string) => Column> {
  const ask = async (metrics: readonly string[], on: readonly (Grid | null)[]) => {
    const asOf = asked.asOf === undefined ? {} : { asOf: asked.asOf };
    const flags = asked.origin || asked.status;
    const answers =
      metrics.length === 0 ? [] : await query(deps.db, { meters: group, metrics, grids: on, flags, ...asOf });
    return new Map(answers.map((answer) => [`${answer.rootId}/${answer.metric}`, answer]));
  };
  const sources = names.map(estimatedFrom).filter((name) => name !== undefined);
  const current = await ask([...new Set(names.map((name) => estimatedFrom(name) ?? name))], grids);
  const earlier = await ask(
    sources,
    grids.map((grid) => grid && yearBefore(grid)),
  );
  const now = Math.min(deps.clock.now(), asked.asOf ?? Number.POSITIVE_INFINITY);
  return (meter, name) => {
    const source = estimatedFrom(name);
    const known = current.get(`${meter.rootId}/${source ?? name}`);
    if (source === undefined) return { name, values: known?.values, flags: known?.flags };
    const last = earlier.get(`${meter.rootId}/${source}`);
    return { name, ...estimates({ grids, zone, now, current: known, earlier: last }) };
  };
}

/** What a sum is made of. */
export interface Summed {
  members: (Member & { metrics: readonly string[]; type: string })[];
  zone: string;
}

/** Sums per metric, with the share of members that have a value. */
export async function sumElement(
  summed: Summed,
  asked: Asked,
  ids: Element["ids"],
  deps: Deps,
): Promise<Element> {
  const zone = asked.timezone ?? summed.zone;
  const wanted = asked.metrics.length > 0 ? asked.metrics : ["energy"];
  const estimated = wanted.find((name) => estimatedFrom(name) !== undefined);
  if (estimated !== undefined) {
    throw invalid(
      "metrics",
      `${estimated} is given for single meters only; ask for ${estimatedFrom(estimated)}, or for the meters with multi`,
    );
  }
  const periods = periodsIn(
    zone,
    asked,
    { series: wanted.length, reads: wanted.length * summed.members.length },
    deps,
  );
  const grids = periods.map((each) => gridOf(asked.granularity, zone, each));
  const columns = [];
  for (const metric of wanted) {
    const members = summed.members.filter((member) => expects(member, metric));
    const [answer] = await querySum(deps.db, {
      members,
      metric,
      grids,
      ...(asked.asOf === undefined ? {} : { asOf: asked.asOf }),
    });
    columns.push({
      name: metric,
      values: answer?.values,
      present: answer?.present,
      expected: members.length,
    });
  }
  return { ids, grids, periods, columns, origin: false, status: false };
}

/** Does a sum of the metric wait for this meter? A sensor is not missing from a sum of energy. */
function expects(member: { metrics: readonly string[]; type: string }, metric: string): boolean {
  if (member.metrics.length > 0) return member.metrics.includes(metric);
  return defaultMetric(member.type) === metric;
}

/** The zone of most meters; of equals the first. */
export function commonZone(meters: readonly { timezone: string }[]): string {
  const counts = Map.groupBy(meters, (meter) => meter.timezone);
  let best = "Etc/GMT-1";
  let most = 0;
  for (const [zone, group] of counts) {
    if (group.length > most) [best, most] = [zone, group.length];
  }
  return best;
}

/** 404 when the node is not the account's. */
export async function treeSum(
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
