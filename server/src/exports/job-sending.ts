import type { Tx } from "../platform/db.ts";
import type { Jobs } from "../platform/jobs.ts";
import type { Export } from "./export.ts";

/** Names of the jobs that endpoints send. */
export const exportJobName = "export";
export const resendJobName = "export-resend";
export const noticeJobName = "export-notice";

type Of = Pick<Export, "id" | "accountId">;

/** Sends the job that brings an export up to date. */
export async function sendRun(tx: Tx, jobs: Jobs, { id, accountId }: Of): Promise<void> {
  await jobs.send(tx, exportJobName, { exportId: id }, { account: accountId });
}

/** Sends the job that delivers a file again, as its n-th attempt. */
export async function sendAgain(
  tx: Tx,
  jobs: Jobs,
  { id, accountId }: Of,
  { notBefore, ...what }: { runId: string; attempt: number; notBefore?: number },
): Promise<void> {
  const when = notBefore === undefined ? {} : { notBefore };
  await jobs.send(tx, resendJobName, { exportId: id, ...what }, { account: accountId, ...when });
}
