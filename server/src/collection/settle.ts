import { sql, type Tx } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import type { Claimed } from "./claim.ts";
import type { Connector, ProviderFailure } from "./connector.ts";
import { type Consequence, consequences, type IssueKind } from "./consequence.ts";
import { noteProvider } from "./limits.ts";
import { type Next, nextAttempt } from "./schedule.ts";
import { changeState } from "./state.ts";
import type { OpenVisit } from "./visit.ts";

/** What a run has done, as it is written down. */
export type Report = Pick<OpenVisit, "scrubber" | "trace" | "steps" | "lastPage"> & {
  counts: Record<string, number>;
};

const messageCharsMax = 1_000;
const pageCharsMax = 200_000;
/** A secret that stands where a page is cut off would not be known by its half. */
const secretCharsMax = 20_000;

/** Holds the connection of a run, or says that the run has lost it. */
export async function holds(tx: Tx, { id, runId }: Claimed): Promise<boolean> {
  const row = await tx.maybe(
    sql`select id from connection where id = ${id} and run_id = ${runId} for no key update`,
  );
  return row !== undefined;
}

/** Writes down that a run has done all it had to; `next` is when and why the next one begins. */
export async function settleComplete(
  deps: Deps,
  { claimed, report, next }: { claimed: Claimed; report: Report; next: Next },
): Promise<void> {
  const now = deps.clock.now();
  await deps.db.transaction(async (tx) => {
    if (!(await holds(tx, claimed))) return;
    await noteProvider(tx, claimed.provider, { reached: true, now });
    await tx.run(sql`
      update connection set run_id = null, next_run = ${new Date(next.at)}, next_reason = ${next.reason},
        collected = ${new Date(now)}, failure = null, failures = 0, failing_since = null
      where id = ${claimed.id}`);
    await changeState(tx, deps, { connection: claimed, state: "collecting", issue: null, now });
    await endRow(tx, claimed, { ...report, outcome: "complete", now });
  });
}

/** Writes down that a run failed at the provider, with everything that the table of consequences says. */
export async function settleFailed(
  deps: Deps,
  { connector, claimed, report, failure }: Failed,
): Promise<void> {
  const now = deps.clock.now();
  const { kind, retryAfterSeconds } = failure;
  const consequence = consequences[kind];
  await deps.db.transaction(async (tx) => {
    if (!(await holds(tx, claimed))) return;
    const failures = claimed.failures + 1;
    const since = claimed.failingSince ?? now;
    const next = nextAttempt(consequence.retry, { id: claimed.id, failures, now, retryAfterSeconds });
    await tx.run(sql`
      update connection set run_id = null, next_run = ${next === null ? null : new Date(next)},
        next_reason = 'schedule', failure = ${kind}, failures = ${failures}, failing_since = ${new Date(since)},
        code = null, code_prompt = null, code_until = null
      where id = ${claimed.id}`);
    // What this server could not do says nothing of the provider.
    if (connector.limits.ownServers !== true && !failure.isOwn) {
      await noteProvider(tx, claimed.provider, {
        reached: !consequence.isProviders,
        retryAfterSeconds: kind === "busy" ? retryAfterSeconds : undefined,
        now,
      });
    }
    await changeState(tx, deps, {
      connection: claimed,
      state: consequence.state ?? stayIn(claimed),
      issue: issueOf(consequence, now - since),
      now,
    });
    await endRow(tx, claimed, { ...report, outcome: "failed", failure, now });
    await keepPage(tx, deps, { claimed, report, failure });
  });
}

interface Failed {
  connector: Connector;
  claimed: Claimed;
  report: Report;
  failure: ProviderFailure;
}

/** A provider that is busy changes nothing, except that nobody waits for a code any more. */
const stayIn = ({ state }: Claimed) => (state === "waiting_for_code" ? "checking" : state);

function issueOf({ state, issueAfterHours }: Consequence, failingMs: number): IssueKind | null {
  if (failingMs < issueAfterHours * 3_600_000) return null;
  return state === null ||
    state === "checking" ||
    state === "collecting" ||
    state === "waiting_for_consent" ||
    state === "paused"
    ? "provider_unreachable"
    : state;
}

/**
 * Ends a run that was not the provider's to decide: the server stops, the database was away, a browser did not start.
 * It is repeated; with `afterMs` not at once, or it would be forever. `message` says why, where that helps.
 */
export async function settleInterrupted(
  deps: Deps,
  { claimed, report, afterMs, message }: Interrupted,
): Promise<void> {
  const now = deps.clock.now();
  await deps.db.transaction(async (tx) => {
    if (!(await holds(tx, claimed))) return;
    await tx.run(sql`
      update connection set run_id = null, next_run = ${new Date(now + afterMs)}, next_reason = 'repeated',
        version = version + 1
      where id = ${claimed.id}`);
    await endRow(tx, claimed, { ...report, outcome: "interrupted", message, now });
  });
}

interface Interrupted {
  claimed: Claimed;
  report: Report;
  afterMs: number;
  message?: string | undefined;
}

interface Ended extends Report {
  outcome: "complete" | "failed" | "interrupted";
  failure?: ProviderFailure;
  message?: string | undefined;
  now: number;
}

async function endRow(
  tx: Tx,
  { runId }: Claimed,
  { outcome, failure, message = failure?.message, now, steps, trace, counts, scrubber }: Ended,
): Promise<void> {
  const told = message === undefined ? null : scrubber.scrub(message).slice(0, messageCharsMax);
  await tx.run(sql`
    update connection_run set ended = ${new Date(now)}, outcome = ${outcome}, failure = ${failure?.kind ?? null},
      message = ${storable(told)}, steps = ${JSON.stringify(steps)}::jsonb, counts = ${JSON.stringify(counts)}::jsonb,
      trace = ${JSON.stringify(trace)}::jsonb
    where id = ${runId}`);
}

/** Keeps the page that was not understood, for the author of the connector. */
async function keepPage(
  tx: Tx,
  { keys }: Deps,
  { claimed, report, failure }: { claimed: Claimed; report: Report; failure: ProviderFailure },
): Promise<void> {
  const page = failure.page ?? (failure.kind === "changed" ? report.lastPage() : undefined);
  if (page === undefined) return;
  const text = report.scrubber.scrub(page.slice(0, pageCharsMax + secretCharsMax)).slice(0, pageCharsMax);
  const place = { table: "connection_run", row: claimed.runId, column: "page" };
  const box = await keys.seal(tx, claimed.accountId, text, place);
  await tx.run(sql`update connection_run set page = ${box} where id = ${claimed.runId}`);
}

/** Text as the database takes it. */
const storable = (text: string | null) => text?.toWellFormed().replaceAll("\0", "") ?? null;
