import type { Queryable } from "../platform/db.ts";
import type { Granularity } from "../platform/granularity.ts";
import { granuleEnd, granuleStart, granuleStarts } from "../platform/time/granule.ts";
import { gridOf, query } from "../series/series.ts";
import type { Connection } from "./connection.ts";
import type { Connector } from "./connector.ts";
import { type Cursor, cursorsOf, type Question, seriesKey } from "./cursor.ts";
import type { CollectedSource } from "./source.ts";

const day = 86_400_000;
/** The first run asks for so many days, so that something is there at once; the rest follows in steps. */
const firstDays = { fine: 30, day: 60, month: 400 };
const stepDays = { fine: 90, day: 400, month: 4_000 };
/** Gaps of so many days are asked for once a day, older ones once a week. */
const recentGapDays = 35;
const oldGapDays = 400;
/** Most gaps of a series that one run asks for, the latest. */
const gapsMax = 50;

const classOf = (granularity: Granularity) =>
  granularity === "month" || granularity === "day" ? granularity : "fine";

/** What a run asks for, and whether more history is left for the next one. */
export interface Plan {
  questions: Question[];
  /** Keys of meters of which history remains: run again soon. */
  more: Set<string>;
  cursors: Map<string, Cursor>;
}

export interface PlanOptions {
  connector: Connector;
  connection: Pick<Connection, "nextReason" | "backfillFrom" | "backfillTo">;
  sources: readonly CollectedSource[];
  now: number;
}

/**
 * Everything that a run asks for: what is new, the days that the provider corrects, gaps exactly as they are in the
 * store, a step of the history, and a step of a period that somebody asked for. A run that only reads history leaves
 * the rest alone.
 */
export async function planOf(db: Queryable, options: PlanOptions): Promise<Plan> {
  const { connector, sources } = options;
  const cursors = await cursorsOf(
    db,
    sources.map(({ id }) => id),
  );
  const plan: Plan = { questions: [], more: new Set(), cursors };
  for (const source of sources) {
    for (const { metric, granularities } of source.found.metrics) {
      for (const granularity of granularities) {
        const span = spanOf(source, granularity, options);
        if (span.from >= span.to) continue;
        const cursor = cursors.get(seriesKey({ sourceId: source.id, metric, granularity }));
        const asked = { source, metric, granularity, span, cursor };
        askHistory(plan, asked, options);
        if (options.connection.nextReason === "backfill" && cursor !== undefined) continue;
        askNew(plan, asked, connector);
        if (cursor !== undefined) await askGaps(db, plan, { ...asked, cursor }, options);
      }
    }
  }
  return plan;
}

interface Span {
  from: number;
  to: number;
}

interface Asked {
  source: CollectedSource;
  metric: string;
  granularity: Granularity;
  /** All that may be asked for: whole granules that are over, as far back as the provider has them. */
  span: Span;
  cursor: Cursor | undefined;
}

/** Granules that are over, belong to the meter's holder, and that the provider may have. */
function spanOf(source: CollectedSource, granularity: Granularity, { connector, now }: PlanOptions): Span {
  const zone = source.meter.timezone;
  const start = (at: number) => granuleStart(granularity, zone, at);
  const next = (at: number) => (start(at) === at ? at : granuleEnd(granularity, zone, start(at)));
  const from = Math.max(start(now - connector.historyDays * day), source.from ?? 0);
  return { from: next(from), to: Math.min(start(now), start(source.to ?? now)) };
}

function ask(
  plan: Plan,
  { source, metric, granularity }: Asked,
  { from, to, ...rest }: Span & Pick<Question, "reason" | "isOld">,
): void {
  if (from >= to) return;
  plan.questions.push({ sourceId: source.id, key: source.key, metric, granularity, from, to, ...rest });
}

function askNew(plan: Plan, asked: Asked, { correctionDays }: Connector): void {
  const { granularity, source, span, cursor } = asked;
  const start = (at: number) => Math.max(span.from, granuleStart(granularity, source.meter.timezone, at));
  if (cursor === undefined) {
    const from = start(span.to - firstDays[classOf(granularity)] * day);
    ask(plan, asked, { from, to: span.to, reason: "new" });
    return;
  }
  const { until, firstAsked } = cursor;
  const correctedFrom = Math.max(start(until - correctionDays * day), firstAsked);
  ask(plan, asked, { from: correctedFrom, to: Math.min(until, span.to), reason: "correction" });
  ask(plan, asked, { from: start(until), to: span.to, reason: "new" });
}

/** A step of the history, and of a period that was asked for by hand. */
function askHistory(plan: Plan, asked: Asked, { connection }: PlanOptions): void {
  const { granularity, source, span, cursor } = asked;
  const start = (at: number) => Math.max(span.from, granuleStart(granularity, source.meter.timezone, at));
  const step = stepDays[classOf(granularity)] * day;
  if (cursor === undefined) {
    if (start(span.to - firstDays[classOf(granularity)] * day) > span.from) plan.more.add(source.key);
  } else if (cursor.firstAsked > span.from) {
    const from = start(cursor.firstAsked - step);
    ask(plan, asked, { from, to: Math.min(cursor.firstAsked, span.to), reason: "backfill" });
    if (from > span.from) plan.more.add(source.key);
  }
  const byHand = handStep(connection);
  if (byHand === undefined) return;
  const from = start(byHand.from);
  const end = granuleStart(granularity, source.meter.timezone, byHand.to - 1);
  const to = Math.min(granuleEnd(granularity, source.meter.timezone, end), span.to);
  ask(plan, asked, { from, to, reason: "backfill" });
}

/** The step of a period asked for by hand that this run reads; `undefined` when there is none. */
export function handStep({
  backfillFrom,
  backfillTo,
}: Pick<Connection, "backfillFrom" | "backfillTo">): Span | undefined {
  if (backfillFrom === null || backfillTo === null || backfillFrom >= backfillTo) return undefined;
  return { from: backfillFrom, to: Math.min(backfillTo, backfillFrom + stepDays.fine * day) };
}

async function askGaps(
  db: Queryable,
  plan: Plan,
  asked: Asked & { cursor: Cursor },
  { connector, now }: PlanOptions,
): Promise<void> {
  const { cursor, source, metric, granularity, span } = asked;
  if (cursor.gapsAsked !== null && now - cursor.gapsAsked < day) return;
  const isOld = cursor.oldGapsAsked === null || now - cursor.oldGapsAsked >= 7 * day;
  const zone = source.meter.timezone;
  const back = now - (isOld ? oldGapDays : recentGapDays) * day;
  const from = Math.max(span.from, cursor.firstAsked, granuleStart(granularity, zone, back));
  // What is read again anyway needs no question of its own.
  const corrected = granuleStart(granularity, zone, cursor.until - connector.correctionDays * day);
  const to = Math.min(span.to, corrected);
  for (const gap of (await gapsOf(db, { source, metric, granularity, from, to })).slice(-gapsMax)) {
    ask(plan, asked, { ...gap, reason: "gap", ...(isOld ? { isOld } : {}) });
  }
}

/** From when on gaps may be asked for again that begin at `from` or later; null: they lie too far back to be asked for. */
export function gapsTried(
  { gapsAsked, oldGapsAsked }: Pick<Cursor, "gapsAsked" | "oldGapsAsked">,
  now: number,
): { from: number; at: number | null }[] {
  return [
    { from: Number.NEGATIVE_INFINITY, at: null },
    { from: now - oldGapDays * day, at: oldGapsAsked === null ? now : oldGapsAsked + 7 * day },
    { from: now - recentGapDays * day, at: gapsAsked === null ? now : gapsAsked + day },
  ];
}

/** Periods of which nothing is stored, exactly. */
async function gapsOf(
  db: Queryable,
  { source, metric, granularity, from, to }: Pick<Asked, "source" | "metric" | "granularity"> & Span,
): Promise<Span[]> {
  if (from >= to) return [];
  const { id, part, timezone } = source.meter;
  const grid = gridOf(granularity, timezone, { from, to });
  const question = { meters: [{ rootId: id, part }], metrics: [metric], grids: [grid] };
  const values = (await query(db, question))[0]?.values[0];
  const starts = granuleStarts(granularity, timezone, { from, to });
  const gaps: Span[] = [];
  for (const [i, start] of starts.entries()) {
    if (values !== undefined && !Number.isNaN(values[i]!)) continue;
    const end = starts[i + 1] ?? to;
    const last = gaps.at(-1);
    if (last?.to === start) last.to = end;
    else gaps.push({ from: start, to: end });
  }
  return gaps;
}
