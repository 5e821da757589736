import { z } from "zod";
import { reach } from "../accounts/accounts.ts";
import { shownStats, statsOf, visibleRoots } from "../meters/meters.ts";
import { type Endpoint, endpoint } from "../platform/http/endpoint.ts";
import { accountId } from "../platform/http/schema.ts";
import { answer, cacheOf, meterAnswer } from "./answer.ts";
import {
  askedOf,
  granularity,
  meterList,
  metersOf,
  missing,
  period,
  periodsReply,
  readable,
  readQuery,
  treeFilter,
} from "./asked.ts";
import { commonZone, meterElements, sumElement, treeSum } from "./elements.ts";
import { consumptionMetrics } from "./metric.ts";

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
    const look = cacheOf(deps.db).look(who, params.id);
    const found = readable(await look.resolved, params.id);
    if (found !== undefined) return meterAnswer(found, asked, deps, { look, header });
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

const readStats = endpoint({
  method: "GET",
  path: "/consumptions/:id",
  access: "optional",
  summary: "Which values a meter has: statistics per metric and granularity",
  ids: { id: "meter" },
  params: z.object({ id: z.string() }),
  query: readQuery.pick({ metrics: true }),
  reply: z.record(z.string(), z.unknown()),
  async handle({ params, query: search, who }, deps) {
    const [meter] = await metersOf([params.id], who, deps);
    const stored = await statsOf(deps.db, [meter!]);
    const stats = shownStats(meter!.metrics, stored.get(meter!.rootId));
    const wanted = search.metrics ?? Object.keys(stats);
    return Object.fromEntries(Object.entries(stats).filter(([metric]) => wanted.includes(metric)));
  },
});

const readAccountSum = endpoint({
  method: "GET",
  path: "/consumptions/account/:id/:metric/:granularity/:period",
  access: "basic",
  summary: "The sum of all active meters of an account that have a metric",
  ids: { id: "account" },
  params: z.object({ id: accountId(), metric: z.string(), granularity, period }),
  query: readQuery.omit({ metrics: true, include: true }).extend(treeFilter.shape),
  reply: periodsReply,
  async handle({ params, query: search, who }, deps) {
    const asked = askedOf(params, { ...search, metrics: [params.metric] }, consumptionMetrics);
    const account = await reach(deps.db, who, params.id);
    const roots = await visibleRoots(deps.db, account.id);
    const members = roots
      .filter((root) => !search.type?.length || search.type.includes(root.type))
      .map((root) => ({ ...root, rootId: root.id, factor: 1 }));
    return answer([
      await sumElement({ members, zone: commonZone(members) }, asked, { account_id: account.id }, deps),
    ]);
  },
});

/** Endpoints that read consumption. */
export const consumptionEndpoints: Endpoint[] = [
  readMulti,
  readSum,
  readAccountSum,
  readStats,
  readConsumption,
];
