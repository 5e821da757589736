import type { Connector } from "../collection/collection.ts";
import { stillActive } from "../meters/meters.ts";
import type { Queryable } from "../platform/db.ts";
import type { Granularity } from "../platform/granularity.ts";
import { granuleStarts } from "../platform/time/granule.ts";
import type { Period } from "../platform/time/period.ts";
import { insidersOf } from "./asked.ts";
import type { Complaint } from "./complaint.ts";
import type { Gap } from "./gaps.ts";
import { completeness } from "./look.ts";
import { needsComplaint, type Reason } from "./reason.ts";

/** What is missing of what a complaint is about. */
export interface Evaluated {
  gaps: Gap[];
  missing: number;
  /** Why most of it is missing; null when nothing is. */
  reason: Reason | null;
  /** The reference is not active any more, or was revoked: nobody follows it up. */
  isGone: boolean;
}

/** Complaints that are looked at together. */
const atOnce = 200;

/** The part of a gap within a period; undefined when there is none. Counts are of whole granules. */
export function clip(
  gap: Gap,
  { from, to }: Period,
  granularity: Granularity,
  zone: string,
): Gap | undefined {
  if (gap.from >= from && gap.to <= to) return gap;
  const part = { from: Math.max(gap.from, from), to: Math.min(gap.to, to) };
  if (part.from >= part.to) return undefined;
  const starts = granuleStarts(granularity, zone, part);
  const count = starts.filter((start, i) => start !== starts[i + 1]).length;
  return count === 0 ? undefined : { ...gap, ...part, count };
}

/** Sums up gaps. */
export function summed(gaps: Gap[]): Pick<Evaluated, "gaps" | "missing" | "reason"> {
  const counts = new Map<Reason, number>();
  for (const { reason, count } of gaps) counts.set(reason, (counts.get(reason) ?? 0) + count);
  const [most = null] = [...counts].sort((a, b) => b[1] - a[1])[0] ?? [];
  return { gaps, missing: gaps.reduce((sum, { count }) => sum + count, 0), reason: most };
}

/**
 * Looks at what complaints are about. The daily check complains about what somebody has to follow up, a person about
 * everything that is not there.
 */
export async function evaluate(
  db: Queryable,
  complaints: readonly Complaint[],
  { connectors, now }: { connectors: readonly Connector[]; now: number },
): Promise<Map<string, Evaluated>> {
  const found = new Map<string, Evaluated>();
  // What a person complains about may lie anywhere, so that looking at several together may look at too much.
  const groups = Map.groupBy(complaints, ({ id, origin, granularity, metric }) =>
    origin === "person" ? id : `${granularity} ${metric}`,
  );
  for (const group of groups.values()) {
    for (let from = 0; from < group.length; from += atOnce) {
      await evaluateAlike(db, group.slice(from, from + atOnce), { connectors, now, found });
    }
  }
  return found;
}

/** Looks at complaints of one origin, metric and granularity. */
async function evaluateAlike(
  db: Queryable,
  complaints: readonly Complaint[],
  {
    connectors,
    now,
    found,
  }: { connectors: readonly Connector[]; now: number; found: Map<string, Evaluated> },
): Promise<void> {
  const { origin, metric, granularity, accountId } = complaints[0]!;
  const period = {
    from: Math.min(...complaints.map(({ begins }) => begins)),
    to: Math.max(...complaints.map(({ ends }) => ends)),
  };
  const references = new Map(complaints.map(({ meterId, rootId }) => [meterId, { id: meterId, rootId }]));
  const active = origin === "check" ? null : await stillActive(db, [...references.keys()]);
  const look = {
    meters: [...references.values()],
    metrics: [metric],
    granularity,
    periods: () => [period],
    connectors,
    insiders: origin === "check" ? null : await insidersOf(db, accountId),
    now,
  };
  const byMeter = Map.groupBy(complaints, ({ meterId }) => meterId);
  for await (const { meter, periods } of completeness(db, look)) {
    for (const { id, begins, ends } of byMeter.get(meter.id) ?? []) {
      const gaps = periods[0]!.gaps
        .filter(({ reason }) => origin === "person" || needsComplaint(reason))
        .flatMap((gap) => clip(gap, { from: begins, to: ends }, granularity, meter.timezone) ?? []);
      found.set(id, { ...summed(gaps), isGone: active !== null && !active.has(meter.id) });
    }
  }
}
