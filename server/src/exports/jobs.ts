import type { JobKind } from "../platform/jobs.ts";
import { sendDue } from "./due.ts";
import { exportJobName, resendJobName } from "./job-sending.ts";
import { noticeJob } from "./notice.ts";
import { resendFile } from "./resend.ts";
import { runExport } from "./run.ts";
import { tidyExports } from "./tidy.ts";

const due: JobKind = {
  name: "exports-due",
  retries: 2,
  secondsMax: 300,
  atOnce: 1,
  cron: "* * * * *",
  run: sendDue,
};

const run: JobKind = {
  name: exportJobName,
  // Only what is no failure of the target comes here: the database away, a stream that a dead worker still holds.
  retries: 8,
  secondsMax: 6 * 3600,
  // A target that hangs holds its job for minutes.
  atOnce: 4,
  oneByAccount: true,
  run: runExport,
};

const resend: JobKind = {
  name: resendJobName,
  retries: 3,
  secondsMax: 6 * 3600,
  atOnce: 2,
  oneByAccount: true,
  run: resendFile,
};

const tidy: JobKind = {
  name: "tidy-exports",
  retries: 3,
  secondsMax: 3600,
  atOnce: 1,
  cron: "41 * * * *",
  run: tidyExports,
};

/** Every kind of job of exports. */
export const exportJobs: readonly JobKind[] = [due, run, resend, noticeJob, tidy];
