import { accountById, personsToTell } from "../accounts/accounts.ts";
import { sql } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import type { JobKind } from "../platform/jobs.ts";
import { sendMail } from "../platform/mail.ts";
import { noticeJobName } from "./settle.ts";

interface Paused {
  accountId: string;
  name: string | null;
  url: string;
  reason: string;
}

/** Tells the people of an account that the server has paused one of its webhooks; nothing when it is on again. */
async function notify(data: object, { db, settings }: Deps): Promise<void> {
  const { webhookId } = data as { webhookId: string };
  if (settings.smtpUrl === null) return;
  const webhook = await db.maybe<Paused>(sql`
    select account_id as "accountId", name, url, paused_reason as reason from webhook
    where id = ${webhookId} and not enabled and paused_reason is not null`);
  if (webhook === undefined) return;
  const to = await personsToTell(db, webhook.accountId);
  if (to.length === 0) return;
  const account = await accountById(db, webhook.accountId);
  const { host } = new URL(webhook.url);
  const called = webhook.name === null ? `to ${host}` : `"${webhook.name}" to ${host}`;
  await sendMail(settings.smtpUrl, {
    from: settings.smtpFrom,
    to,
    subject: `A webhook of ${account.name} is paused`,
    text:
      `The webhook ${called} of the account ${account.name} is paused.\n\n` +
      `${webhook.reason}\n\n` +
      "What happens waits, and nothing is sent. When the receiver works again, turn the webhook on:\n" +
      `PUT ${settings.publicUrl}/api/v2/webhooks/${webhookId} {"enabled": true}\n`,
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
