import { Cron } from "croner";
import { invalid, type Problem } from "../platform/problem.ts";
import { granuleEnd, granuleStart } from "../platform/time/granule.ts";

/** How often an export runs. */
export const frequencies = ["hourly", "daily", "monthly", "cron"] as const;
export type Frequency = (typeof frequencies)[number];

/** When an export is due. */
export interface Schedule {
  frequency: Frequency;
  /** Five fields; only with the frequency `cron`. */
  cron: string | null;
  /** IANA zone. */
  timezone: string;
}

const granuleOf = { hourly: "hour", daily: "day", monthly: "month" } as const;

/** The first time after `now` at which an export is due, epoch milliseconds: the start of the next hour, day or month. */
export function nextRun({ frequency, cron, timezone }: Schedule, now: number): number {
  if (frequency !== "cron") {
    const granularity = granuleOf[frequency];
    return granuleEnd(granularity, timezone, granuleStart(granularity, timezone, now));
  }
  const next = new Cron(cron!, { timezone, mode: "5-part" }).nextRun(new Date(now));
  if (next === null) throw new Error(`the cron expression ${cron} has no next time`);
  return next.getTime();
}

/**
 * Checks that frequency and cron expression fit together and name a time.
 * @throws Problem that names the field
 */
export function checkSchedule({ frequency, cron, timezone }: Schedule, now: number): void {
  if (frequency !== "cron") {
    if (cron === null) return;
    throw invalid("cron", 'goes with the frequency "cron" only; leave it out, or change the frequency');
  }
  if (cron === null) {
    throw invalid(
      "cron",
      'is needed with the frequency "cron": minute, hour, day, month, weekday, as in "30 6 * * 1-5"',
    );
  }
  if (cron.trim().split(/\s+/).length !== 5) throw noExpression();
  let next: Date | null;
  try {
    next = new Cron(cron, { timezone, mode: "5-part" }).nextRun(new Date(now));
  } catch (error) {
    throw noExpression(wordsOf(error));
  }
  if (next === null) throw invalid("cron", "names a time that never comes; check day and month");
}

function noExpression(why = "minute, hour, day, month, weekday"): Problem {
  return invalid("cron", `is no cron expression of five fields, as in "30 6 * * 1-5": ${why}`);
}

/** The library's own words without its name. */
function wordsOf(error: unknown): string {
  const { message } = error as Error;
  return message.replace(/^CronPattern: /, "").slice(0, 200);
}
