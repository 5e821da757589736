import { type Connector, outlooksOf } from "../collection/collection.ts";
import { type ActiveReference, type Meter, metersById, statsOf, wantedRoots } from "../meters/meters.ts";
import type { Queryable } from "../platform/db.ts";
import type { Granularity } from "../platform/granularity.ts";
import type { Period } from "../platform/time/period.ts";
import { defaultMetric, missingIn, type Presence } from "../series/series.ts";
import { type Completeness, completenessOf, type Granules, gapsOf, granulesOf } from "./gaps.ts";
import { forOutsiders } from "./reason.ts";
import { firstOf, heldIn, type Why, whyMissing } from "./why.ts";

/** Meters that are looked at together: bounds the memory of a look at all meters of an account. */
const metersAtOnce = 1_000;

/** What to look at. */
export interface Look {
  /** The meters, as the asking account has them. */
  meters: readonly ActiveReference[];
  /** Null: the default metric of each meter. */
  metrics: readonly string[] | null;
  granularity: Granularity;
  /** The periods, in the zone of a meter. */
  periods: (zone: string) => readonly Period[];
  connectors: readonly Connector[];
  /**
   * Accounts whose meters the asking one holds or manages: of others it is not told how their connections fare. Null:
   * nobody asks.
   */
  insiders: ReadonlySet<string> | null;
  now: number;
}

/** How complete one metric of a meter is. */
export interface Found {
  meter: Meter;
  metric: string;
  /** One for each period that was asked for, in the zone of the meter. */
  periods: (Completeness & { from: number; to: number })[];
}

/** How complete meters are, in their order; those that are gone meanwhile are left out. */
export async function* completeness(db: Queryable, look: Look): AsyncGenerator<Found> {
  for (let from = 0; from < look.meters.length; from += metersAtOnce) {
    const some = look.meters.slice(from, from + metersAtOnce);
    const meters = await metersById(
      db,
      some.map(({ id }) => id),
    );
    yield* await lookAt(db, meters, look);
  }
}

const metricsOf = ({ type }: Meter, { metrics }: Look) => metrics ?? [defaultMetric(type)];

async function lookAt(db: Queryable, meters: readonly Meter[], look: Look): Promise<Found[]> {
  const presences = new Map<string, { presence: Presence; granules: Granules[] }>();
  // Meters of one zone and list of metrics are read together.
  const groups = Map.groupBy(meters, (meter) => `${meter.timezone} ${metricsOf(meter, look)}`);
  for (const group of groups.values()) {
    const zone = group[0]!.timezone;
    const granules = look.periods(zone).map((each) => granulesOf({ ...look, zone }, each));
    const found = await missingIn(db, {
      meters: group.map(({ root_id, part }) => ({ rootId: root_id, part })),
      metrics: metricsOf(group[0]!, look),
      grids: granules.map(({ grid }) => grid),
    });
    for (const presence of found)
      presences.set(`${presence.rootId} ${presence.metric}`, { presence, granules });
  }
  const whyOf = await reasonsFor(db, meters, look, (meter) =>
    metricsOf(meter, look).some((metric) =>
      presences.get(`${meter.root_id} ${metric}`)!.presence.missing.some((ranges) => ranges.length > 0),
    ),
  );
  return meters.flatMap((meter) =>
    metricsOf(meter, look).map((metric): Found => {
      const { presence, granules } = presences.get(`${meter.root_id} ${metric}`)!;
      const why = whyOf(meter, metric);
      const periods = granules.map((each, i) => ({
        ...each.period,
        ...completenessOf(presence.received[i]!, gapsOf(presence.missing[i]!, each, why)),
      }));
      return { meter, metric, periods };
    }),
  );
}

/** Makes the reasons for gaps; asks only about meters that have some. */
async function reasonsFor(
  db: Queryable,
  all: readonly Meter[],
  { granularity, connectors, insiders, now }: Look,
  hasGaps: (meter: Meter) => boolean,
): Promise<(meter: Meter, metric: string) => Why> {
  const meters = all.filter(hasGaps);
  const roots = [
    ...new Map(meters.map(({ root_id, timezone }) => [root_id, { id: root_id, timezone }])).values(),
  ];
  const stats = await statsOf(
    db,
    meters.map(({ root_id, part }) => ({ rootId: root_id, part })),
  );
  const outlooks = await outlooksOf(db, roots, connectors);
  const wanted = await wantedRoots(
    db,
    roots.map(({ id }) => id),
  );
  return ({ root_id, root_holder_id, timezone }, metric) => {
    const why = whyMissing({
      metric,
      granularity,
      zone: timezone,
      first: firstOf(stats.get(root_id)?.[metric], granularity, timezone),
      hasValues: heldIn(stats.get(root_id)?.[metric]).length > 0,
      isCollected: wanted.has(root_id),
      outlook: outlooks.get(root_id) ?? { outlooks: [], from: null, to: null },
      now,
    });
    if (insiders === null || insiders.has(root_holder_id)) return why;
    return { ...why, verdictAt: (start) => forOutsiders(why.verdictAt(start)) };
  };
}
