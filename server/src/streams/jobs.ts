import { allParts } from "../accounts/accounts.ts";
import { purgeChanges } from "../changes/changes.ts";
import { sql } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import type { JobKind } from "../platform/jobs.ts";

const day = 86_400_000;
/** Batches removed in one statement. */
const batchesAtOnce = 5_000;

/**
 * Removes batches that were confirmed and are older than `deliveryDays`. The last one that was confirmed stays, as do
 * all behind it.
 */
export async function purgeBatches(
  { db, clock, settings }: Pick<Deps, "db" | "clock" | "settings">,
  signal?: AbortSignal,
): Promise<number> {
  const before = new Date(clock.now() - settings.deliveryDays * day);
  let removed = 0;
  while (signal?.aborted !== true) {
    const { count } = await db.one<{ count: number }>(sql`
      with old as (
        select b.stream_id, b.off from stream_batch b join stream s on s.id = b.stream_id
        where b.off < s.last_offset and b.created < ${before} limit ${batchesAtOnce}
      ), gone as (
        delete from stream_batch b using old where b.stream_id = old.stream_id and b.off = old.off
        returning b.stream_id, b.off
      ), marked as (
        update stream s set purged = greatest(s.purged, g.off)
        from (select stream_id, max(off) as off from gone group by stream_id) g where s.id = g.stream_id
      )
      select count(*) as count from gone`);
    removed += count;
    if (count < batchesAtOnce) break;
  }
  return removed;
}

async function purge(_data: object, deps: Deps, signal: AbortSignal): Promise<void> {
  const { db, clock, settings, log } = deps;
  const before = clock.now() - settings.changeDays * day;
  const entries = await purgeChanges(db, await allParts(db), { before, signal });
  const batches = await purgeBatches(deps, signal);
  log.info({ entries, batches }, "old changes and batches were removed");
}

/** Removes what is kept for streams only, and long enough. */
export const streamJobs: JobKind[] = [
  {
    name: "purge-changes",
    retries: 3,
    secondsMax: 6 * 3600,
    atOnce: 1,
    cron: "23 3 * * *",
    run: purge,
  },
];
