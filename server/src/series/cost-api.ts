import { z } from "zod";
import { resolveForReading } from "../meters/meters.ts";
import type { Deps } from "../platform/deps.ts";
import { type Endpoint, endpoint } from "../platform/http/endpoint.ts";
import { answer } from "./answer.ts";
import type { Element } from "./answer-json.ts";
import {
  type Asked,
  type AskedMeter,
  askedOf,
  period,
  periodsIn,
  periodsReply,
  readable,
  readQuery,
  treeFilter,
} from "./asked.ts";
import { type Summed, treeSum } from "./elements.ts";
import { type Grid, gridOf } from "./grid.ts";
import { costNames } from "./metric.ts";
import { query, querySum } from "./query.ts";

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

/** Answers by currency, in alphabetical order; one empty element without any, so that clients find the array that they asked for. */
function perCurrency<Each extends { currency: string }>(answers: readonly Each[]): [string | null, Each[]][] {
  const groups = Map.groupBy(answers, (each) => each.currency);
  return groups.size === 0 ? [[null, []]] : [...groups].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Endpoints that read costs. */
export const costEndpoints: Endpoint[] = [readCosts];
