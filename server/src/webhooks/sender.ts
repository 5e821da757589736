import { any, sql } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { type Post, post } from "./post.ts";
import { settle } from "./settle.ts";

/** Requests that are open at once: in all, of one account, of one webhook, and of one that is failing. */
const openMax = { all: 64, account: 10, webhook: 4, failing: 1 };
/** A look takes so many at most; more is looked for at once. */
const dueMax = 500;

interface Due extends Omit<Post, "body"> {
  isFailing: boolean;
}

/** Sends what is due. One at a time works, whoever it is: see `steadyJob`. */
export interface Sender {
  /** Begins to send what is due and may be sent now, and goes on in the background. */
  step(): Promise<void>;
  /** Waits for the attempts that were begun. */
  idle(): Promise<void>;
}

/**
 * Makes a sender. What it has begun is known to it alone: when its process dies before an outcome is written, the next
 * one sends the same delivery again, under the same id. When `signal` is aborted, open requests end and do not count.
 *
 * A slow receiver holds up nobody else: each webhook and account has few requests open at once, and of those that
 * wait, the first of every webhook comes before the second of any.
 */
export function openSender(deps: Deps, signal: AbortSignal): Sender {
  const open = new Map<string, Due>();
  const running = new Set<Promise<void>>();
  /** Sent, but the outcome could not be written: left to the next run, or they would be sent every second. */
  const unsettled = new Set<string>();
  const countOpen = (is: (due: Due) => boolean) => [...open.values()].filter(is).length;

  const mayBegin = (due: Due) =>
    countOpen(({ webhookId }) => webhookId === due.webhookId) <
      (due.isFailing ? openMax.failing : openMax.webhook) &&
    countOpen(({ accountId }) => accountId === due.accountId) < openMax.account;

  const send = async (due: Due) => {
    const found = await deps.db.maybe<{ body: string }>(
      sql`select body from webhook_delivery where id = ${due.id} and status = 'waiting'`,
    );
    if (found === undefined) return;
    const outcome = await post(deps, { ...due, ...found }, signal);
    if (signal.aborted && !outcome.delivered) return;
    await settle(deps, due, outcome);
  };

  return {
    async step() {
      if (open.size >= openMax.all) return;
      for (const due of await findDue(deps, [...open.keys(), ...unsettled])) {
        if (signal.aborted || open.size >= openMax.all) return;
        if (!mayBegin(due)) continue;
        open.set(due.id, due);
        const run = send(due)
          .catch((error: unknown) => {
            unsettled.add(due.id);
            deps.log.error({ err: error, delivery: due.id }, "the outcome of a delivery was not written");
          })
          .finally(() => {
            open.delete(due.id);
            running.delete(run);
          });
        running.add(run);
      }
    },
    async idle() {
      while (running.size > 0) await Promise.all(running);
    },
  };
}

/** What is due, the first of every webhook before the second of any; some of each. */
async function findDue({ db, clock }: Deps, without: readonly string[]): Promise<Due[]> {
  return db.rows<Due>(sql`
    select d.id, w.id as "webhookId", w.account_id as "accountId", w.url,
      w.failing_since is not null as "isFailing"
    from webhook w cross join lateral (
      select id, next_attempt, row_number() over (order by next_attempt, id) as n
      from webhook_delivery
      where webhook_id = w.id and status = 'waiting' and next_attempt <= ${new Date(clock.now())}
        and not id = ${any(without)}
      order by next_attempt, id limit ${openMax.webhook}
    ) d
    where w.enabled order by d.n, d.next_attempt, d.id limit ${dueMax}`);
}
