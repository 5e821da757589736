import { createHash } from "node:crypto";
import { sql, type Tx } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import type { EgressFailure } from "../platform/egress/egress.ts";
import { emit } from "../webhooks/webhooks.ts";
import type { Export } from "./export.ts";
import { noticeJobName } from "./job-sending.ts";

const minute = 60_000;
const firstDelayMs = 5 * minute;
const delayMsMax = 120 * minute;
/** Attempts one after the other after which the export is paused: about two days. */
const failuresMax = 24;
/** Repeating a wrong password locks accounts at the target; a login server that was away for a moment is forgiven. */
const loginFailuresMax = 3;
/** The owner is told after this many failures, half an hour after the first; what stops is told at once. */
const toldAfter = 4;

/**
 * How long to wait after so many failures, in milliseconds: 5 minutes, twice as long each time, 2 hours at most, and
 * up to a quarter more or less, so that exports do not come all at once. At most 24 attempts a day. Why from a hash:
 * a repeat of the same attempt waits as long.
 */
export function delayAfter(failures: number, seed: string): number {
  const delay = Math.min(delayMsMax, firstDelayMs * 2 ** Math.min(failures - 1, 10));
  const chance = createHash("sha256").update(`${seed} ${failures}`).digest().readUInt32BE(0) / 2 ** 32;
  return Math.round(delay * (0.75 + chance / 2));
}

/** What follows from one more failure. */
export interface Consequence {
  failures: number;
  loginFailures: number;
  /** Null when nothing more is tried until somebody resumes the export. */
  retryAt: number | null;
  tell: boolean;
}

/** Decides what follows from a failed attempt; pure. */
export function consequenceOf(
  of: Pick<Export, "id" | "failures" | "loginFailures" | "told">,
  failure: Pick<EgressFailure, "reason" | "retry" | "retryAfterSeconds">,
  now: number,
): Consequence {
  const failures = of.failures + 1;
  const isLogin = failure.reason === "login";
  const loginFailures = isLogin ? of.loginFailures + 1 : 0;
  const isStop = failure.retry === "stop" && (!isLogin || loginFailures >= loginFailuresMax);
  const isPaused = isStop || failures >= failuresMax;
  const delay = Math.max(delayAfter(failures, of.id), (failure.retryAfterSeconds ?? 0) * 1000);
  return {
    failures,
    loginFailures,
    retryAt: isPaused ? null : now + delay,
    tell: isPaused || (failures >= toldAfter && !of.told),
  };
}

/** Writes down a failed attempt of an export that the transaction holds, and tells its owner when it is time. */
export async function recordFailure(
  tx: Tx,
  deps: Deps,
  of: Export,
  { runId, failure, now }: { runId: string; failure: EgressFailure; now: number },
): Promise<void> {
  const { failures, loginFailures, retryAt, tell } = consequenceOf(of, failure, now);
  const at = new Date(now);
  const reason = failure.message;
  await tx.run(sql`
    update export_run set status = 'failed', error = ${reason}, finished = ${at}
    where id = ${runId} and status in ('waiting', 'failed')`);
  await tx.run(sql`
    update export set failures = ${failures}, login_failures = ${loginFailures},
      retry_at = ${retryAt === null ? null : new Date(retryAt)}, told = told or ${tell},
      last_run = ${at}, last_status = 'failed', last_error = ${reason}
    where id = ${of.id}`);
  if (retryAt === null) await pauseExport(tx, of.id, { reason, now });
  if (!tell) return;
  await emit(tx, deps, {
    accountId: of.accountId,
    event: "export.failed",
    data: {
      export: { _id: of.id, name: of.name },
      run: { _id: runId },
      reason,
      paused: retryAt === null,
    },
  });
  if (deps.settings.smtpUrl !== null) {
    await deps.jobs.send(tx, noticeJobName, { exportId: of.id, reason, paused: retryAt === null });
  }
}

/** Stops an export; `reason` says why in words. */
export async function pauseExport(
  tx: Tx,
  id: string,
  { reason, now }: { reason: string; now: number },
): Promise<void> {
  await tx.run(sql`
    update export set paused = ${new Date(now)}, paused_reason = ${reason}, next_run = null, retry_at = null
    where id = ${id}`);
}
