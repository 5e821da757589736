import {
  askedAgain,
  type Connection,
  type Cursor,
  type MeterOutlook,
  nextRunOf,
  type Outlook,
  usuallyAt,
} from "../collection/collection.ts";
import type { ConsumptionStats } from "../meters/meters.ts";
import { type Granularity, granularities } from "../platform/granularity.ts";
import { granuleEnd, granuleStart } from "../platform/time/granule.ts";
import { localToUtc } from "../platform/time/zone.ts";
import { mostHopeful, type Reason, type Verdict } from "./reason.ts";

/** What the reasons for missing values of one series follow from. */
export interface SeriesFacts {
  metric: string;
  granularity: Granularity;
  zone: string;
  /** Start of the first value, or of the first of those that it can be derived from; null when there never was one. */
  first: number | null;
  /** There are values of the metric, in whatever granularity. */
  hasValues: boolean;
  /** Somebody wants it, and its holder has not put it away. */
  isCollected: boolean;
  outlook: MeterOutlook;
  now: number;
}

const hour = 3_600_000;
const day = 24 * hour;
/** How long after the end of its day, or of the month, an uploaded value may come. */
const uploadLatenessMs = { month: 10 * day, other: 2 * day };
/** A value counts as late as usual for half as long again as it usually takes, at least for so long. */
const slackMsMin = 6 * hour;

/** Granularities whose values can stand for one of `granularity`, itself first, then the coarser ones before the finer. */
export function usable(granularity: Granularity): Granularity[] {
  const at = granularities.indexOf(granularity);
  const isDerived = at >= granularities.indexOf("hour");
  return isDerived ? granularities.slice(0, at + 1).reverse() : [granularity];
}

/** Granularities that there are values of, the finest first, by the statistics of a metric. */
export function heldIn(stats: ConsumptionStats[string] | undefined): Granularity[] {
  return granularities.filter((each) => (stats?.[each]?.count ?? 0) > 0);
}

/** Start of the first value of a metric, or of those that it can be derived from, by the statistics of its meter. */
export function firstOf(
  stats: ConsumptionStats[string] | undefined,
  granularity: Granularity,
  zone: string,
): number | null {
  const starts = usable(granularity).flatMap((each) => {
    const first = stats?.[each]?.first ?? null;
    return first === null ? [] : [startOfLabel(first, zone)];
  });
  return starts.length === 0 ? null : Math.min(...starts);
}

/** Of an hour that the clock repeats the later one: when the value is that of the earlier one, that is not missing. */
function startOfLabel(label: number, zone: string): number {
  const digits = String(label);
  const part = (from: number, to: number, other: number) => Number(digits.slice(from, to) || other);
  const local = Date.UTC(part(0, 4, 0), part(4, 6, 1) - 1, part(6, 8, 1), part(8, 10, 0), part(10, 12, 0));
  return localToUtc(zone, local, "later").utc;
}

/**
 * Where a granule lies in relation to everything that decides, as a text, and what follows from that. Each relation
 * holds from some granule on or until one, so that two granules with the same text have it in common with all between.
 */
export interface Why {
  placeAt(start: number): string;
  verdictAt(start: number): Verdict;
}

/** Makes it for one series. */
export function whyMissing(series: SeriesFacts): Why {
  const { outlook, first, granularity, metric } = series;
  const offering = outlook.outlooks.filter(
    ({ source }) => granularityFrom(source, metric, granularity) !== undefined,
  );
  const views =
    offering.length === 0 ? [withoutSource(series)] : offering.map((each) => viewOf(each, series));
  const isBefore = (start: number) => first !== null && start < first;
  const placesOf = (start: number) => views.map((view) => view.placeAt(start));
  return {
    placeAt: (start) => [isBefore(start), ...placesOf(start)].join(),
    verdictAt(start) {
      if (!series.isCollected) return plain("not_collected");
      const best = mostHopeful(views.map((view) => view.verdictAt(view.placeAt(start))));
      // A provider says which granularities it may have, not which it has of this meter.
      if (best.reason === "not_delivered" && first === null && series.hasValues) return plain("never_had");
      const isComing = best.reason === "history_pending" || best.reason === "not_asked_yet";
      return isBefore(start) && !isComing ? plain("not_started") : best;
    },
  };
}

const plain = (reason: Reason): Verdict => ({ reason, nextTry: null, connectionId: null });

/** The granularity that a source brings for one that is asked for; `undefined` when it brings none. */
function granularityFrom(
  { found }: Outlook["source"],
  metric: string,
  granularity: Granularity,
): Granularity | undefined {
  const offered = found.metrics
    .filter((each) => each.metric === metric)
    .flatMap((each) => each.granularities);
  return usable(granularity).find((each) => offered.includes(each));
}

/** One source's view: a number whose bits are the relations, and what follows from them. */
interface View {
  placeAt(start: number): number;
  verdictAt(place: number): Verdict;
}

/** Bits of a list of relations, and whether one of them is set. */
const bitsOf = (relations: readonly boolean[]) =>
  relations.reduce((bits, holds, i) => bits + (holds ? 2 ** i : 0), 0);
const has = (place: number, relation: number) => Math.floor(place / 2 ** relation) % 2 === 1;

/** Values that are uploaded: nobody promised when. */
function withoutSource({ outlook, granularity, zone, first, now }: SeriesFacts): View {
  const { from, to } = outlook;
  const usual = (start: number) => {
    if (granularity === "month") return granuleEnd("month", zone, start) + uploadLatenessMs.month;
    return granuleEnd("day", zone, granuleStart("day", zone, start)) + uploadLatenessMs.other;
  };
  return {
    placeAt: (start) =>
      bitsOf([
        from !== null && start >= from,
        to !== null && granuleEnd(granularity, zone, start) > to,
        usual(start) > now,
      ]),
    verdictAt(place) {
      if (first === null) return plain("never_had");
      if (from !== null && !has(place, 0)) return plain("not_started");
      if (has(place, 1)) return plain("ended");
      return plain(has(place, 2) ? "late_as_usual" : "not_uploaded");
    },
  };
}

/** What keeps a connection from bringing values, and since when, epoch ms; null when it works. */
function troubleOf({
  state,
  stateSince,
  failure,
  failingSince,
}: Connection): { reason: Reason; since: number } | null {
  const since = Math.min(stateSince, failingSince ?? stateSince);
  if (state === "collecting" || state === "checking") {
    if (failure !== null) return { reason: "provider_busy", since };
    return state === "checking" ? { reason: "not_asked_yet", since } : null;
  }
  return { reason: state, since };
}

function viewOf(outlook: Outlook, series: SeriesFacts): View {
  const { source, connection, cursors, connector } = outlook;
  const { metric, granularity, zone, now } = series;
  const brought = granularityFrom(source, metric, granularity)!;
  const cursor = cursors.find((each) => each.metric === metric && each.granularity === brought);
  const latenessMs = cursor?.latenessMs ?? (connector?.latenessHours ?? 24) * hour;
  const arrival = (start: number) => {
    const last = granuleStart(brought, zone, granuleEnd(granularity, zone, start) - 1);
    return usuallyAt({ granularity: brought, latenessMs }, zone, last);
  };
  const slackMs = Math.max(slackMsMin, latenessMs / 2);
  const historyFrom = connector === undefined ? Number.POSITIVE_INFINITY : now - connector.historyDays * day;
  const trouble = connection === null ? null : troubleOf(connection);
  const again = cursor === undefined ? [] : askedAgain(outlook, cursor, now);
  return {
    placeAt(start) {
      const at = arrival(start);
      return bitsOf([
        outlook.from !== null && start < outlook.from,
        outlook.to !== null && granuleEnd(granularity, zone, start) > outlook.to,
        at > source.lastFound,
        source.vanished !== null && at > source.vanished,
        cursor !== undefined && start < cursor.firstAsked,
        start >= historyFrom,
        trouble !== null && at >= trouble.since,
        at + slackMs > now,
        ...again.map(({ from }) => start >= from),
      ]);
    },
    verdictAt: (place) => sourceVerdict(place, { connection, cursor, trouble, again, now }),
  };
}

interface Known {
  connection: Connection | null;
  cursor: Cursor | undefined;
  trouble: ReturnType<typeof troubleOf>;
  again: ReturnType<typeof askedAgain>;
  now: number;
}

/** What follows from the relations of `viewOf`, in the order of its list. */
function sourceVerdict(place: number, { connection, cursor, trouble, again, now }: Known): Verdict {
  const [
    isBeforeHolder,
    isAfterHolder,
    isAfterFound,
    isVanished,
    isNotAsked,
    isInHistory,
    isTroubled,
    isLate,
  ] = Array.from({ length: 8 }, (_, i) => has(place, i));
  if (isBeforeHolder) return plain("not_started");
  if (isAfterHolder) return plain("ended");
  if (connection === null) return plain(isAfterFound ? "connection_removed" : "not_delivered");
  const by = (reason: Reason, nextTry: number | null = nextRunOf(connection, now)): Verdict => ({
    reason,
    nextTry,
    connectionId: connection.id,
  });
  if (isVanished) return by("meter_vanished", null);
  if (cursor === undefined) return by(trouble?.reason ?? "not_asked_yet");
  if (isNotAsked) return isInHistory ? by("history_pending") : plain("before_history");
  if (isTroubled) return by(trouble!.reason);
  if (isLate) return by("late_as_usual");
  const step = again.findLast((_, i) => has(place, 8 + i));
  return by("not_delivered", step?.at ?? null);
}
