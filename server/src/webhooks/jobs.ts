import { sql } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import type { JobKind } from "../platform/jobs.ts";
import { steadyJob } from "../platform/steady.ts";
import { tellData } from "./data-watch.ts";
import { tellMeters } from "./meter-watch.ts";
import { noticeJob } from "./notice.ts";
import { openSender } from "./sender.ts";

const sendJob = steadyJob({
  name: "webhook-send",
  pauseMs: 1_000,
  begin(deps, signal) {
    const sender = openSender(deps, signal);
    return { step: () => sender.step(), end: () => sender.end() };
  },
});

const watchJob = steadyJob({
  name: "webhook-watch",
  pauseMs: 2_000,
  begin: (deps, signal) => ({ step: () => watch(deps, signal) }),
});

/** Turns what happened in lower folders into events. */
export async function watch(deps: Deps, signal: AbortSignal): Promise<void> {
  await tellMeters(deps, signal);
  await tellData(deps, signal);
}

const day = 86_400_000;
const removedAtOnce = 5_000;

/**
 * Removes deliveries that were kept for long enough, also those that wait for a webhook that nobody turns on, and secrets
 * that sign no more.
 */
async function tidy(_data: object, { db, clock, settings }: Deps, signal: AbortSignal): Promise<void> {
  await db.run(sql`delete from webhook_secret where expires <= ${new Date(clock.now())}`);
  const before = new Date(clock.now() - settings.deliveryDays * day);
  for (let removed = removedAtOnce; removed === removedAtOnce && !signal.aborted; ) {
    removed = await db.run(sql`
      delete from webhook_delivery where id in
        (select id from webhook_delivery where created < ${before} order by created limit ${removedAtOnce})`);
  }
}

/** Removes old deliveries, every night. */
export const tidyJob: JobKind = {
  name: "tidy-webhooks",
  retries: 3,
  secondsMax: 3600,
  atOnce: 1,
  cron: "41 2 * * *",
  run: tidy,
};

/** Every kind of job of webhooks. */
export const webhookJobs: readonly JobKind[] = [sendJob, watchJob, noticeJob, tidyJob];
