import { type Queryable, sql } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { repeat } from "../platform/repeat.ts";
import type { Browsers } from "./browser/browsers.ts";
import { type Claimed, keepLease, LostConnection } from "./claim.ts";
import { type Connector, type FoundMeter, ProviderFailure } from "./connector.ts";
import { takeConsent } from "./consent.ts";
import { loginIn, openSettings } from "./credentials.ts";
import { cursorsOf, learnLateness, noteAsked, seriesKey } from "./cursor.ts";
import { type Collecting, store } from "./deliver.ts";
import { guarded } from "./guarded.ts";
import { takeIn } from "./intake.ts";
import { storedKeys, storeInvoice } from "./invoice.ts";
import { settleMeterIssues } from "./issue.ts";
import { receive } from "./receive.ts";
import { leaveToLogIn, noteAccepted, noteLogin } from "./refused.ts";
import { removeConnection } from "./remove.ts";
import { type Next, nextRun, type Progress } from "./schedule.ts";
import { holds, type Report, settleComplete, settleFailed, settleInterrupted } from "./settle.ts";
import { type CollectedSource, sourcesToCollect } from "./source.ts";
import { type OpenVisit, openVisit } from "./visit.ts";
import { handStep, type Plan, planOf } from "./wanted.ts";

/** Meters and invoices are looked for so often. */
const dailyMs = 86_400_000;
const runMsMax = 3_600_000;
const heartbeatMs = 10_000;
/** What was not the provider's fault is tried again after so long, and after the second time in a row. */
const repeatMs = 60_000;
const repeatAgainMs = 900_000;
/** A provider that shows more meters than this to one customer is not understood. */
const foundMax = 100_000;
/** The next step of the history follows so soon. */
const stepMs = 1_000;

/**
 * One run of a connection, from the credentials to the state that follows. Whatever happens, it ends in one of three
 * ways that are written down; killed anywhere, it is repeated and changes nothing twice. It never throws because of a
 * provider or a connector.
 */
export async function runConnection(
  deps: Deps,
  { connector, claimed, browsers }: Pick<Running, "connector" | "claimed" | "browsers">,
  stopping: AbortSignal,
): Promise<void> {
  const lost = new AbortController();
  const stopBeating = repeat(
    heartbeatMs,
    async () => {
      if (!(await keepLease(deps.db, claimed, deps.clock.now()))) lost.abort(new LostConnection());
    },
    (error) => lost.abort(error),
  );
  const signal = AbortSignal.any([stopping, lost.signal, AbortSignal.timeout(runMsMax)]);
  try {
    if (claimed.deleting !== null) await removeConnection(deps, { connector, claimed, browsers }, signal);
    else {
      const taken = AbortSignal.any([stopping, lost.signal]);
      await collectOnce(deps, { connector, claimed, browsers, taken }, signal);
    }
  } finally {
    stopBeating();
  }
}

interface Running {
  connector: Connector;
  claimed: Claimed;
  browsers: Browsers;
  /** Aborted when the server stops, or the connection was lost to another worker. */
  taken: AbortSignal;
}

async function collectOnce(deps: Deps, running: Running, signal: AbortSignal): Promise<void> {
  const { connector, claimed, browsers } = running;
  const counts: Record<string, number> = {};
  const settings = await openSettings(deps.db, { keys: deps.keys, of: claimed }, claimed);
  const open = await openVisit(deps, { connector, claimed, settings, browsers }, signal);
  const report: Report = { ...open, counts };
  const { accountId, provider } = claimed;
  const login = { accountId, provider, settings: loginIn(connector, settings) };
  const leave = await leaveToLogIn(deps, login);
  try {
    if (leave === "no") throw new ProviderFailure("credentials", knownWrong);
    await takeConsent(deps, { connector, connection: claimed, open });
    const next =
      connector.receive === undefined
        ? await ask(deps, running, { open, counts })
        : await receive(deps, { connector, claimed, visit: open.visit, counts });
    if (areInvoicesDue(claimed, deps.clock.now())) await bringInvoices(deps, running, { open, counts });
    await open.told();
    await noteAccepted(deps.db, deps, { login, leave });
    await settleComplete(deps, { claimed, report, next });
    deps.log.info({ connection: claimed.id, run: claimed.runId, counts }, "collected");
  } catch (error) {
    // First of all: until it is written, a kill would make the next run send them again.
    if (error instanceof ProviderFailure && leave !== "no") {
      await noteLogin(deps, login, { failure: error, leave });
    }
    await open.told();
    await settle(deps, { running, report, error }, signal);
  } finally {
    await open.close();
  }
}

const knownWrong = "the provider has refused these credentials before: nothing was sent";

/** What this server could not do is told like a failure of the provider when it happens again. */
const isProviders = (error: unknown, { nextReason }: Claimed): boolean =>
  error instanceof ProviderFailure && (!error.isOwn || nextReason === "repeated");

async function settle(
  deps: Deps,
  { running, report, error }: { running: Running; report: Report; error: unknown },
  signal: AbortSignal,
): Promise<void> {
  const { connector, claimed, taken } = running;
  const line = { connection: claimed.id, run: claimed.runId };
  if (taken.aborted || error instanceof LostConnection) {
    await settleInterrupted(deps, { claimed, report, afterMs: 0 });
  } else if (isProviders(error, claimed) || signal.aborted) {
    const failure =
      error instanceof ProviderFailure
        ? error
        : new ProviderFailure("unreachable", "the run took more than an hour");
    await settleFailed(deps, { connector, claimed, report, failure });
    const told = { ...line, failure: failure.kind, reason: report.scrubber.scrub(failure.message) };
    if (failure.kind === "changed") deps.log.error(told, "a provider answers in an unknown way");
    else deps.log.info(told, "a run failed");
  } else {
    const own = error instanceof ProviderFailure ? error : undefined;
    const reason = own && report.scrubber.scrub(own.message);
    deps.log.error({ ...line, ...(own ? { reason } : { err: error }) }, "a run was interrupted");
    const afterMs = claimed.nextReason === "repeated" ? repeatAgainMs : repeatMs;
    await settleInterrupted(deps, { claimed, report, afterMs, message: own?.message });
  }
}

/** What is done once a day, and whenever somebody wants to see that it works. */
function isDue({ nextReason }: Claimed, last: number | null, now: number): boolean {
  if (last === null || now - last >= dailyMs) return true;
  return nextReason === "by_hand" || nextReason === "credentials";
}

/** The first run shows the meters soon; invoices have time until the next one. */
function areInvoicesDue(claimed: Claimed, now: number): boolean {
  return claimed.discovered !== null && isDue(claimed, claimed.invoiced, now);
}

interface Visiting {
  open: OpenVisit;
  counts: Record<string, number>;
}

async function discover(
  deps: Deps,
  { connector, claimed }: Running,
  { open, counts }: Visiting,
): Promise<void> {
  const found: FoundMeter[] = [];
  open.visit.step("discover");
  for await (const meter of guarded(connector.discover(open.visit), open.visit.signal)) {
    found.push(meter);
    if (found.length > foundMax) throw new ProviderFailure("changed", `more than ${foundMax} meters`);
  }
  const now = deps.clock.now();
  await deps.db.transaction(async (tx) => {
    if (!(await holds(tx, claimed))) return;
    const taken = await takeIn(tx, { connection: claimed, found, now });
    await tx.run(sql`update connection set discovered = ${new Date(now)} where id = ${claimed.id}`);
    for (const [kind, sources] of [
      ["meter_vanished", taken.missing],
      ["meter_id_conflict", taken.conflicting],
    ] as const) {
      const meterIds = sources.map((source) => source.meterId);
      await settleMeterIssues(tx, deps, { connection: claimed, kind, meterIds, now });
    }
    counts.meters = found.length;
    counts.meters_new = taken.created.length;
  });
  open.visit.step("discovered", { meters: found.length });
}

/** Looks for meters when it is time to, then asks for everything that is wanted. */
async function ask(deps: Deps, running: Running, visiting: Visiting): Promise<Next> {
  const { claimed } = running;
  if (isDue(claimed, claimed.discovered, deps.clock.now())) await discover(deps, running, visiting);
  return collect(deps, running, visiting);
}

/** Invoices that the provider shows and that did not come yet. */
async function bringInvoices(
  deps: Deps,
  { connector, claimed }: Running,
  { open, counts }: Visiting,
): Promise<void> {
  if (connector.invoices === undefined) return;
  open.visit.step("invoices");
  const stored = await storedKeys(deps, claimed.id);
  const known = async (key: string) => stored.has(key);
  for await (const document of guarded(connector.invoices(open.visit, known), open.visit.signal)) {
    if (await storeInvoice(deps, claimed, document)) counts.invoices = (counts.invoices ?? 0) + 1;
  }
  const at = new Date(deps.clock.now());
  await deps.db.run(
    sql`update connection set invoiced = ${at} where id = ${claimed.id} and run_id = ${claimed.runId}`,
  );
}

/** Asks for everything that is wanted; returns when and why the next run begins. */
async function collect(
  deps: Deps,
  { connector, claimed }: Running,
  { open, counts }: Visiting,
): Promise<Next> {
  const { db, clock } = deps;
  const sources = await sourcesToCollect(db, claimed.id);
  const plan = await planOf(db, { connector, connection: claimed, sources, now: clock.now() });
  const { questions } = plan;
  if (questions.length > 0) {
    open.visit.step("collect", { meters: sources.length, questions: questions.length });
    const byKey = new Map(sources.map((source) => [source.key, source]));
    const collecting: Collecting = { connector, claimed, sources: byKey, questions };
    const wanted = questions.map(({ sourceId: _, isOld: __, ...question }) => question);
    for await (const delivery of guarded(connector.collect(open.visit, wanted), open.visit.signal)) {
      const stored = await store(deps, collecting, delivery);
      for (const [name, count] of Object.entries(stored ?? {})) counts[name] = (counts[name] ?? 0) + count;
    }
    const answered = questions.filter(({ key }) => !open.refused.has(key));
    await finish(deps, { connector, claimed }, { ...plan, questions: answered });
    open.visit.step("collected", { ...counts });
  }
  const hasMore = [...plan.more].some((key) => !open.refused.has(key));
  return nextOf(deps, { claimed, sources, hasMore });
}

/** Every question was answered: the cursors say so. */
async function finish(
  { db, clock }: Deps,
  { connector, claimed }: Pick<Running, "connector" | "claimed">,
  { questions, cursors }: Plan,
): Promise<void> {
  const usualLatenessMs = connector.latenessHours * 3_600_000;
  const byHand = handStep(claimed);
  await db.transaction(async (tx) => {
    if (!(await holds(tx, claimed))) return;
    await noteAsked(tx, questions, { usualLatenessMs, now: clock.now() });
    await learnLateness(tx, cursors, clock.now());
    if (byHand === undefined) return;
    const isOver = byHand.to >= claimed.backfillTo!;
    await tx.run(sql`
      update connection set backfill_from = ${isOver ? null : new Date(byHand.to)},
        backfill_to = ${isOver ? null : new Date(claimed.backfillTo!)}
      where id = ${claimed.id}`);
  });
}

async function nextOf(
  { db, clock }: Deps,
  { claimed, sources, hasMore }: { claimed: Claimed; sources: readonly CollectedSource[]; hasMore: boolean },
): Promise<Next> {
  const now = clock.now();
  const known = new Set(sources.map(({ id }) => id));
  const present = await sourcesToCollect(db, claimed.id);
  if (present.some(({ id }) => !known.has(id))) return { at: now, reason: "activated" };
  const byHand = handStep(claimed);
  const isMoreByHand = byHand !== undefined && byHand.to < claimed.backfillTo!;
  if (hasMore || isMoreByHand) return { at: now + stepMs, reason: "backfill" };
  return { at: nextRun(await progressOf(db, present), { id: claimed.id, now }), reason: "schedule" };
}

/** How far the series of sources have come. */
async function progressOf(db: Queryable, sources: readonly CollectedSource[]): Promise<Progress[]> {
  const ids = sources.map(({ id }) => id);
  const cursors = await cursorsOf(db, ids);
  return sources.flatMap(({ id: sourceId, found, meter, to }) =>
    found.metrics.flatMap(({ metric, granularities }) =>
      granularities.flatMap((granularity) => {
        const cursor = cursors.get(seriesKey({ sourceId, metric, granularity }));
        // Whoever has moved out is not waited for.
        if (cursor === undefined || (to !== null && cursor.until >= to)) return [];
        const { until, latenessMs } = cursor;
        return [{ granularity, zone: meter.timezone, until, latenessMs }];
      }),
    ),
  );
}
