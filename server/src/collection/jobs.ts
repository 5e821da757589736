import { sql } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import type { JobKind } from "../platform/jobs.ts";

const day = 86_400_000;
const removedAtOnce = 5_000;

/** Removes runs and questions that were kept for long enough. Issues stay with their connection. */
async function tidy(_data: object, { db, clock, settings }: Deps, signal: AbortSignal): Promise<void> {
  const now = clock.now();
  await db.run(sql`delete from provider_question where until <= ${new Date(now)}`);
  const before = new Date(now - settings.deliveryDays * day);
  for (let removed = removedAtOnce; removed === removedAtOnce && !signal.aborted; ) {
    removed = await db.run(sql`
      delete from connection_run where id in (
        select id from connection_run where began < ${before} and outcome <> 'running' order by began
        limit ${removedAtOnce})`);
  }
}

/** Removes old runs, every night. */
export const tidyCollectionJob: JobKind = {
  name: "tidy-collection",
  retries: 3,
  secondsMax: 3600,
  atOnce: 1,
  cron: "23 2 * * *",
  run: tidy,
};
