import { accountById, personsToTell } from "../accounts/accounts.ts";
import type { Deps } from "../platform/deps.ts";
import type { JobKind } from "../platform/jobs.ts";
import { sendMail } from "../platform/mail.ts";
import { exportById } from "./export.ts";
import { noticeJobName } from "./job-sending.ts";

/** Mails the people of an account that an export fails; nothing when it, or the account, is gone. */
async function notify(data: object, { db, settings }: Deps): Promise<void> {
  const { exportId, reason, paused } = data as { exportId: string; reason: string; paused: boolean };
  const of = await exportById(db, exportId);
  if (of === undefined || settings.smtpUrl === null) return;
  const to = await personsToTell(db, of.accountId);
  if (to.length === 0) return;
  const account = await accountById(db, of.accountId);
  const called = of.name === null ? `${of.format}, ${of.frequency}` : `"${of.name}"`;
  const next = paused
    ? "It is paused. When the reason is gone, let it go on; nothing is lost meanwhile:\n" +
      `POST ${settings.publicUrl}/api/v2/exports/${of.id}/resume\n`
    : "It is tried again by itself, and nothing is lost meanwhile.\n";
  await sendMail(settings.smtpUrl, {
    from: settings.smtpFrom,
    to,
    subject: `An export of ${account.name} ${paused ? "is paused" : "fails"}`,
    text: `The export ${called} of the account ${account.name} could not be delivered.\n\n${reason}\n\n${next}`,
  });
}

/** The job that mails it. */
export const noticeJob: JobKind = {
  name: noticeJobName,
  retries: 10,
  secondsMax: 120,
  atOnce: 1,
  run: notify,
};
