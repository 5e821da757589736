import { type Connector, type MeterOutlook, outlooksOf } from "../collection/collection.ts";
import { type Meter, metersById, statsOf, wantedAfter } from "../meters/meters.ts";
import { any, type Db, type Queryable, sql } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { type Granularity, granularities, isGranularity } from "../platform/granularity.ts";
import type { JobKind } from "../platform/jobs.ts";
import { knownNames } from "./asked.ts";
import { checkCase } from "./case.ts";
import {
  type Complaint,
  closeEmptyCases,
  complaintColumns,
  endComplaints,
  noteChecked,
  openComplaint,
  showComplaints,
} from "./complaint.ts";
import { clip, type Evaluated, evaluate, summed } from "./evaluate.ts";
import type { Gap } from "./gaps.ts";
import { completeness } from "./look.ts";
import { needsComplaint } from "./reason.ts";
import { firstOf, heldIn } from "./why.ts";

const day = 86_400_000;
/** Meters that are looked at, and written about, together. */
const metersAtOnce = 500;
const complaintsAtOnce = 500;
/** How far back the daily check looks, and how long it waits after a value counts as missing. */
const backDays = { month: 100, other: 35 };
const waitMs = 3 * day;

/** A series that the daily check looks after. */
interface Expected {
  meter: Meter;
  metric: string;
  granularity: Granularity;
}

/** A series and what somebody has to follow up in it. */
interface Found extends Expected {
  gaps: Gap[];
}

/**
 * Opens complaints about what is missing of the meters that somebody wants values of, and resolves those whose values
 * came, or whose meters nobody wants any more. Safe to repeat.
 */
async function checkAll(_data: object, { db, clock }: Deps, signal: AbortSignal): Promise<void> {
  const now = clock.now();
  let after = "";
  while (!signal.aborted) {
    const ids = await wantedAfter(db, after, metersAtOnce);
    if (ids.length === 0) break;
    await checkMeters(db, ids, now);
    after = ids.at(-1)!;
  }
  await settleOthers(db, now, signal);
  await db.transaction((tx) => closeEmptyCases(tx, sql`true`, now));
}

/** Complaints that the check of meters did not come by: of people, and of meters that nobody wants any more. */
async function settleOthers(db: Db, now: number, signal: AbortSignal): Promise<void> {
  let after = "";
  while (!signal.aborted) {
    const some = await db.rows<Complaint>(sql`
      select ${complaintColumns} from complaint c
      where c.ended is null and c.checked < ${new Date(now)} and c.id > ${after} order by c.id
      limit ${complaintsAtOnce}`);
    if (some.length === 0) return;
    await settle(db, some, { connectors: [], now });
    after = some.at(-1)!.id;
  }
}

/** Looks at open complaints, and writes down what was found: those without a missing value resolve. */
export async function settle(
  db: Db,
  complaints: readonly Complaint[],
  { connectors, now }: { connectors: readonly Connector[]; now: number },
): Promise<Map<string, Evaluated>> {
  const evaluated = await evaluate(db, complaints, { connectors, now });
  await db.transaction(async (tx) => {
    const resolved: Complaint[] = [];
    const gone: Complaint[] = [];
    for (const complaint of complaints) {
      const found = evaluated.get(complaint.id);
      // The meter was erased meanwhile, and the complaint with it.
      if (found === undefined) continue;
      // What is not over may still go missing.
      const isOver = complaint.ends <= now;
      if (found.isGone) gone.push(complaint);
      else if (found.missing === 0 && isOver) resolved.push(complaint);
      else
        await noteChecked(
          tx,
          complaint.id,
          { ...complaint, missing: found.missing, reason: found.reason },
          now,
        );
    }
    const idsOf = (some: readonly Complaint[]) => some.map(({ id }) => id);
    await endComplaints(tx, idsOf(resolved), { outcome: "resolved", now });
    await endComplaints(tx, idsOf(gone), { outcome: "closed", now });
    await showComplaints(tx, [...new Set([...resolved, ...gone].map(({ rootId }) => rootId))], now);
  });
  return evaluated;
}

/** Complaints of the daily check about some meters: the open ones, and those about values that nobody misses. */
async function complaintsAbout(db: Queryable, rootIds: readonly string[]): Promise<Complaint[]> {
  return db.rows(sql`
    select ${complaintColumns} from complaint c
    where c.root_id = ${any(rootIds)} and c.meter_id = c.root_id and c.outcome is distinct from 'resolved'
      and (c.origin = 'check' or c.ended is not null)`);
}

async function checkMeters(db: Db, rootIds: readonly string[], now: number): Promise<void> {
  const known = Map.groupBy(await complaintsAbout(db, rootIds), keyOf);
  const expected = await expectedOf(db, rootIds);
  const found: Found[] = [];
  for (const group of Map.groupBy(
    expected,
    ({ granularity, metric }) => `${granularity} ${metric}`,
  ).values()) {
    found.push(...(await gapsIn(db, group, { known, now })));
  }
  await db.transaction(async (tx) => {
    const changed = new Set<string>();
    for (const { meter, metric, granularity, gaps } of found) {
      const open = known
        .get(keyOf({ rootId: meter.id, metric, granularity }))
        ?.find(({ ended }) => ended === null);
      const { missing, reason } = summed(gaps);
      if (missing === 0) {
        if (open === undefined) continue;
        await endComplaints(tx, [open.id], { outcome: "resolved", now });
        changed.add(meter.id);
        continue;
      }
      const seen = { begins: gaps[0]!.from, ends: gaps.at(-1)!.to, missing, reason };
      if (open !== undefined) {
        await noteChecked(tx, open.id, seen, now);
        continue;
      }
      const accountId = meter.root_holder_id;
      const connectionId = gaps.find((gap) => gap.reason === reason)!.connectionId;
      const caseId = await checkCase(tx, { accountId, connectionId }, now);
      const about = { accountId, meterId: meter.id, rootId: meter.id, metric, granularity };
      await openComplaint(tx, { ...about, ...seen, origin: "check", caseId }, now);
      changed.add(meter.id);
    }
    await showComplaints(tx, [...changed], now);
  });
}

const keyOf = ({ rootId, metric, granularity }: Pick<Complaint, "rootId" | "metric" | "granularity">) =>
  `${rootId} ${metric} ${granularity}`;

/** What somebody has to follow up in series of one metric and granularity. */
async function gapsIn(
  db: Queryable,
  series: readonly Expected[],
  { known, now }: { known: ReadonlyMap<string, Complaint[]>; now: number },
): Promise<Found[]> {
  const { granularity, metric } = series[0]!;
  const back = now - backDays[granularity === "month" ? "month" : "other"] * day;
  const complaintsOf = ({ root_id }: Meter) =>
    known.get(keyOf({ rootId: root_id, metric, granularity })) ?? [];
  const beginOf = (meter: Meter) =>
    Math.min(
      back,
      ...complaintsOf(meter)
        .filter(({ ended }) => ended === null)
        .map(({ begins }) => begins),
    );
  const period = { from: Math.min(...series.map(({ meter }) => beginOf(meter))), to: now - waitMs };
  const look = {
    meters: series.map(({ meter }) => ({ id: meter.id, rootId: meter.root_id })),
    metrics: [metric],
    granularity,
    periods: () => [period],
    connectors: [],
    insiders: null,
    now,
  };
  const found: Found[] = [];
  for await (const { meter, periods } of completeness(db, look)) {
    const waived = complaintsOf(meter).filter(({ ended }) => ended !== null);
    const gaps = periods[0]!.gaps
      .filter(({ reason }) => needsComplaint(reason))
      .flatMap((gap) => clip(gap, { from: beginOf(meter), to: period.to }, granularity, meter.timezone) ?? [])
      .flatMap((gap) => without(gap, waived, meter.timezone));
    found.push({ meter, metric, granularity, gaps });
  }
  return found;
}

/** What is left of a gap without the values that nobody misses. */
function without(gap: Gap, waived: readonly Complaint[], zone: string): Gap[] {
  let left = [gap];
  for (const { begins, ends, granularity } of waived) {
    left = left.flatMap((each) =>
      [
        { from: Number.NEGATIVE_INFINITY, to: begins },
        { from: ends, to: Number.POSITIVE_INFINITY },
      ].flatMap((rest) => clip(each, rest, granularity, zone) ?? []),
    );
  }
  return left;
}

/**
 * What values are expected of meters: of each metric that its sources bring or that it has values of, in the
 * granularity that its holder said, or else the finest that is brought and ever came, or that there is, or is brought.
 */
async function expectedOf(db: Queryable, rootIds: readonly string[]): Promise<Expected[]> {
  const meters = await metersById(db, rootIds);
  const stats = await statsOf(
    db,
    meters.map(({ id, part }) => ({ rootId: id, part })),
  );
  const outlooks = await outlooksOf(db, meters, []);
  return meters.flatMap((meter) => {
    const brought = broughtBy(outlooks.get(meter.id)!);
    const held = stats.get(meter.id) ?? {};
    return knownNames.flatMap((metric) => {
      const some = brought.get(metric) ?? [];
      const came = some.filter((each) => firstOf(held[metric], each, meter.timezone) !== null);
      const finest = finestOf(came) ?? finestOf(heldIn(held[metric])) ?? finestOf(some);
      if (finest === undefined) return [];
      const said = meter.expected_granularity ?? "";
      return { meter, metric, granularity: isGranularity(said) ? said : finest };
    });
  });
}

const finestOf = (some: readonly Granularity[]) => granularities.find((each) => some.includes(each));

function broughtBy({ outlooks }: MeterOutlook): Map<string, Granularity[]> {
  const brought = new Map<string, Granularity[]>();
  for (const { source, connection } of outlooks) {
    if (connection === null) continue;
    for (const { metric, granularities: some } of source.found.metrics) {
      brought.set(metric, [...(brought.get(metric) ?? []), ...some]);
    }
  }
  return brought;
}

/** Looks after missing values, every night when most providers have published. */
export const checkCompletenessJob: JobKind = {
  name: "check-completeness",
  retries: 3,
  secondsMax: 6 * 3600,
  atOnce: 1,
  cron: "41 4 * * *",
  run: checkAll,
};
