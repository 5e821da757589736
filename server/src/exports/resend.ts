import { sql } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { failureOf } from "../platform/egress/egress.ts";
import { Problem } from "../platform/problem.ts";
import { exportById, runOf } from "./export.ts";
import { delayAfter } from "./failure.ts";
import { sendAgain } from "./job-sending.ts";
import { deliveredFile } from "./rights.ts";
import { deliverFile } from "./target.ts";

/** A file that somebody asked for again is tried this often. */
const attemptsMax = 5;

/** Sends a delivered file again, as it was. Neither the stream nor the state of the export depend on it. */
export async function resendFile(data: object, deps: Deps, signal: AbortSignal): Promise<void> {
  const { exportId, runId, attempt } = data as { exportId: string; runId: string; attempt: number };
  const { db, clock, jobs, log } = deps;
  const of = await exportById(db, exportId);
  if (of === undefined) return;
  const run = await runOf(db, exportId, runId);
  try {
    await deliveredFile(deps, of, run);
    await deliverFile(deps, of, { run, signal });
  } catch (error) {
    if (signal.aborted) throw error;
    const failure = error instanceof Problem ? undefined : failureOf(error);
    const message = failure?.message ?? (error as Problem).message;
    log.warn({ export: exportId, run: runId, inner: failure?.inner ?? message }, "a file was not sent again");
    await db.transaction(async (tx) => {
      await tx.run(sql`update export_run set resend_error = ${message} where id = ${runId}`);
      if (failure?.retry !== "again" || attempt >= attemptsMax) return;
      const notBefore = clock.now() + delayAfter(attempt, runId);
      await sendAgain(tx, jobs, of, { runId, attempt: attempt + 1, notBefore });
    });
    return;
  }
  await db.run(sql`
    update export_run set resent = ${new Date(clock.now())}, resend_error = null where id = ${runId}`);
}
