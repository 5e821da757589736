import { z } from "zod";
import type { Connector } from "../collection/collection.ts";
import type { Deps } from "../platform/deps.ts";
import { granularities } from "../platform/granularity.ts";
import { type Endpoint, endpoint, Page } from "../platform/http/endpoint.ts";
import { readPaging } from "../platform/http/filter.ts";
import { boolean, formatTimestamp, timestampText } from "../platform/http/schema.ts";
import { type Asked, askedOf, assertBounded, completenessIds, completenessQuery } from "./asked.ts";
import { gapView, viewGap } from "./completeness-view.ts";
import { completeness, type Found } from "./look.ts";
import { type Reason, reasons } from "./reason.ts";

/** Gaps of one answer at most; of the others there is the count. */
const gapsMax = 20_000;

const reasonCounts = z
  .partialRecord(z.enum(reasons), z.int())
  .describe("How many values are not there, by reason");

const seriesView = z.object({
  metric: z.string(),
  complete: z.boolean().describe("Everything that is expected is there, in all periods"),
  periods: z.array(
    z.object({
      from: timestampText(),
      to: timestampText().describe("Where the period ends; values are expected up to now at most"),
      expected: z.int().describe("Values that are there or should be"),
      received: z.int().describe("Values that are there, derived ones too"),
      missing: z.int(),
      reasons: reasonCounts,
      gaps: z.array(gapView),
      gaps_left_out: z.int().describe("Gaps that this answer had no room for; ask for fewer meters"),
    }),
  ),
});

const elementView = z.object({
  meter: z.object({
    _id: z.string(),
    root_id: z.string(),
    ean: z.string().nullable(),
    name: z.string().nullable(),
    timezone: z.string(),
    type: z.string(),
    has_active_complaints: z.boolean(),
  }),
  granularity: z.enum(granularities),
  series: z.array(seriesView),
});

const isComplete = ({ periods }: Pick<Found, "periods">) =>
  periods.every(({ expected, received }) => expected === received);

/** Elements of an answer, which share the room for gaps. */
class Shown {
  readonly elements: z.output<typeof elementView>[] = [];
  #room = gapsMax;

  add({ meter, metric, periods }: Found, granularity: Asked["granularity"]): void {
    const series = {
      metric,
      complete: isComplete({ periods }),
      periods: periods.map(({ from, to, expected, received, reasons: counts, gaps }) => {
        const shown = gaps.slice(0, this.#room);
        this.#room -= shown.length;
        return {
          from: formatTimestamp(from),
          to: formatTimestamp(to),
          expected,
          received,
          missing: expected - received,
          reasons: counts,
          gaps: shown.map(viewGap),
          gaps_left_out: gaps.length - shown.length,
        };
      }),
    };
    const last = this.elements.at(-1);
    if (last?.meter._id === meter.id) last.series.push(series);
    else {
      const { id, root_id, ean, name, timezone, type, has_active_complaints } = meter;
      this.elements.push({
        meter: { _id: id, root_id, ean, name, timezone, type, has_active_complaints },
        granularity,
        series: [series],
      });
    }
  }
}

const paging = { skip: z.string().optional(), offset: z.string().optional(), limit: z.string().optional() };

const list = (connectors: readonly Connector[]) =>
  endpoint({
    method: "GET",
    path: "/completeness",
    access: "basic",
    summary: "How complete the values of meters are: expected and received, with a reason for each gap.",
    description:
      "Of the meters that you may read, or those that you name. Values are expected up to now, in the zone of each " +
      "meter. Gaps are half-open, in order, and each says why and when it is tried again. `complete=false` lists " +
      "only meters that something is missing of.",
    ids: completenessIds,
    query: completenessQuery.extend({ complete: boolean().optional(), ...paging }),
    reply: z.array(elementView),
    list: true,
    async handle({ who, query, search }, deps) {
      const asked = await askedOf(query, { who, connectors }, deps);
      const { skip, limit } = readPaging(search, deps.settings.pageMax);
      if (query.complete === undefined) {
        const meters = asked.meters.slice(skip, skip + limit);
        assertBounded(asked, meters.length, deps);
        const shown = new Shown();
        for await (const found of completeness(deps.db, { ...asked, meters }))
          shown.add(found, asked.granularity);
        return new Page(shown.elements, { count: asked.meters.length, skip, limit });
      }
      assertBounded(asked, asked.meters.length, deps);
      return filtered(asked, { complete: query.complete, skip, limit }, deps);
    },
  });

/** A page of the meters that are complete, or of those that are not; all have to be looked at. */
async function filtered(
  asked: Asked,
  { complete, skip, limit }: { complete: boolean; skip: number; limit: number },
  { db }: Pick<Deps, "db">,
): Promise<Page> {
  const shown = new Shown();
  let count = 0;
  for await (const series of byMeter(completeness(db, asked))) {
    if (series.every(isComplete) !== complete) continue;
    count++;
    if (count > skip && count <= skip + limit) for (const each of series) shown.add(each, asked.granularity);
  }
  return new Page(shown.elements, { count, skip, limit });
}

/** The metrics of each meter together. */
async function* byMeter(found: AsyncIterable<Found>): AsyncGenerator<Found[]> {
  let some: Found[] = [];
  for await (const each of found) {
    if (some.length > 0 && some[0]!.meter.id !== each.meter.id) {
      yield some;
      some = [];
    }
    some.push(each);
  }
  if (some.length > 0) yield some;
}

const summaryView = z.object({
  meters: z.int(),
  complete_meters: z.int().describe("Meters of which everything that is expected is there"),
  expected: z.int(),
  received: z.int(),
  missing: z.int(),
  reasons: reasonCounts,
});

const summary = (connectors: readonly Connector[]) =>
  endpoint({
    method: "GET",
    path: "/completeness/summary",
    access: "basic",
    summary: "How complete the values of many meters are together.",
    description: "Takes the parameters of `/completeness`, and counts over all meters and periods.",
    ids: completenessIds,
    query: completenessQuery,
    reply: summaryView,
    async handle({ who, query }, deps) {
      const asked = await askedOf(query, { who, connectors }, deps);
      assertBounded(asked, asked.meters.length, deps);
      const total = { meters: 0, complete_meters: 0, expected: 0, received: 0 };
      const counts: Partial<Record<Reason, number>> = {};
      for await (const series of byMeter(completeness(deps.db, asked))) {
        total.meters++;
        if (series.every(isComplete)) total.complete_meters++;
        for (const { expected, received, reasons: some } of series.flatMap(({ periods }) => periods)) {
          total.expected += expected;
          total.received += received;
          for (const [reason, n] of Object.entries(some) as [Reason, number][]) {
            counts[reason] = (counts[reason] ?? 0) + n;
          }
        }
      }
      return { ...total, missing: total.expected - total.received, reasons: counts };
    },
  });

/** How complete meters are. */
export const lookEndpoints = (connectors: readonly Connector[]): Endpoint[] => [
  summary(connectors),
  list(connectors),
];
