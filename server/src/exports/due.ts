import { sql } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { type Export, exportColumns } from "./export.ts";
import { sendRun } from "./job-sending.ts";
import { nextRun } from "./schedule.ts";

/** Exports that are sent off in one transaction. */
const atOnce = 200;

/**
 * Sends off every export that is due. Its next time is set in the transaction that sends the job, and other workers
 * pass by what one holds: so a due time is neither lost nor used twice.
 */
export async function sendDue(_data: object, deps: Deps): Promise<void> {
  while ((await sendSome(deps)) === atOnce);
}

async function sendSome({ db, clock, jobs }: Deps): Promise<number> {
  const now = clock.now();
  const at = new Date(now);
  return db.transaction(async (tx) => {
    const due = await tx.rows<Export>(sql`
      select ${exportColumns} from export e
      where e.paused is null and (e.next_run <= ${at} or e.retry_at <= ${at})
      order by e.id limit ${atOnce} for update skip locked`);
    for (const of of due) {
      const isScheduled = of.nextRun !== null && of.nextRun <= now;
      const isRetry = of.retryAt !== null && of.retryAt <= now;
      const next = isScheduled ? nextRun(of, now) : of.nextRun;
      await tx.run(sql`
        update export set next_run = ${next === null ? null : new Date(next)},
          retry_at = ${isRetry || of.retryAt === null ? null : new Date(of.retryAt)}
        where id = ${of.id}`);
      // While a target fails its own rhythm holds: the file that waits takes along what is new.
      if (isRetry || of.retryAt === null) await sendRun(tx, jobs, of);
    }
    return due.length;
  });
}
