import { audit } from "../accounts/accounts.ts";
import { sql, type Tx } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import type { Outcome } from "./post.ts";
import { failingMsMax, nextAttempt } from "./schedule.ts";

/** Attempts that are kept of a delivery, the last ones. */
const attemptsShown = 50;

/** The job that tells the owner of a paused webhook. */
export const noticeJobName = "webhook-notice";

interface Held {
  accountId: string;
  name: string | null;
  url: string;
  enabled: boolean;
  failingSince: number | null;
}

/**
 * Writes down how an attempt ended: done, when to try again, or given up; and what follows for the webhook. Nothing
 * when the delivery or its webhook was deleted meanwhile.
 */
export async function settle(
  deps: Deps,
  delivery: { id: string; webhookId: string },
  outcome: Outcome,
): Promise<void> {
  await deps.db.transaction(async (tx) => {
    const webhook = await tx.maybe<Held>(sql`
      select account_id as "accountId", name, url, enabled,
        (extract(epoch from failing_since) * 1000)::float8 as "failingSince"
      from webhook where id = ${delivery.webhookId} for no key update`);
    if (webhook === undefined) return;
    await settleDelivery(tx, delivery.id, outcome);
    const { webhookId } = delivery;
    if (outcome.delivered) {
      if (webhook.failingSince !== null)
        await tx.run(sql`update webhook set failing_since = null where id = ${webhookId}`);
      return;
    }
    const since = webhook.failingSince ?? outcome.began;
    if (webhook.failingSince === null) {
      await tx.run(sql`update webhook set failing_since = ${new Date(since)} where id = ${webhookId}`);
    }
    const reason = whyPaused(outcome, outcome.began - since);
    if (reason !== null && webhook.enabled) await pause(tx, deps, { ...webhook, id: webhookId, reason });
  });
}

/** Writes an outcome into a delivery that waits. */
async function settleDelivery(tx: Tx, id: string, outcome: Outcome): Promise<void> {
  const found = await tx.maybe<{ failures: number }>(
    sql`select failures from webhook_delivery where id = ${id} and status = 'waiting' for update`,
  );
  if (found === undefined) return;
  const failures = found.failures + (outcome.delivered ? 0 : 1);
  const again =
    outcome.delivered || outcome.isGone
      ? null
      : nextAttempt({ id, failures }, { now: outcome.ended, retryAfterMs: outcome.retryAfterMs });
  const status = outcome.delivered ? "delivered" : again === null ? "failed" : "waiting";
  await writeOutcome(tx, { id, status, failures, next: again }, outcome);
}

/** Writes an outcome and what it makes of a delivery. */
export async function writeOutcome(
  tx: Tx,
  to: { id: string; status: "waiting" | "delivered" | "failed"; failures: number; next: number | null },
  { began, responseStatus, reason }: Outcome,
): Promise<void> {
  const attempt = JSON.stringify([{ at: began, response_status: responseStatus, reason }]);
  await tx.run(sql`
    update webhook_delivery set status = ${to.status}, failures = ${to.failures},
      next_attempt = ${to.next === null ? null : new Date(to.next)}, response_status = ${responseStatus},
      reason = ${reason},
      attempts = case when jsonb_array_length(attempts) < ${attemptsShown} then attempts else attempts - 0 end
        || ${attempt}::jsonb
    where id = ${to.id}`);
}

function whyPaused({ isGone }: Outcome, failingMs: number): string | null {
  if (isGone) return "The receiver answered 410 Gone: it wants no more.";
  if (failingMs < failingMsMax) return null;
  return "Every attempt of the last three days has failed.";
}

/** Stops a webhook; its deliveries wait until somebody turns it on again. Its owner is told. */
async function pause(
  tx: Tx,
  { clock, jobs }: Deps,
  { id, accountId, reason }: { id: string; accountId: string; reason: string },
): Promise<void> {
  const now = clock.now();
  await tx.run(sql`
    update webhook set enabled = false, paused = ${new Date(now)}, paused_reason = ${reason}, updated = ${new Date(now)}
    where id = ${id}`);
  await audit(tx, {
    at: now,
    accountId,
    actor: null,
    action: "webhook.paused",
    subject: id,
    detail: { reason },
  });
  await jobs.send(tx, noticeJobName, { webhookId: id });
}
