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
  /** Begins to send what is due and may be sent now, and goes on in the background until nothing is left. */
  step(): Promise<void>;
  /** Waits until nothing is open. */
  idle(): Promise<void>;
  /** Begins nothing more, and waits for what is open. */
  end(): Promise<void>;
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
  /** Sent, but the outcome could not be written: left to the next run, or they would be sent again and again. */
  const unsettled = new Set<string>();
  let isEnding = false;
  let looking: Promise<void> | undefined;
  let isLookWanted = false;

  const countOpen = (is: (due: Due) => boolean) => [...open.values()].filter(is).length;
  const mayBegin = (due: Due) =>
    countOpen(({ webhookId }) => webhookId === due.webhookId) <
      (due.isFailing ? openMax.failing : openMax.webhook) &&
    countOpen(({ accountId }) => accountId === due.accountId) < openMax.account;
  const isFull = () => isEnding || signal.aborted || open.size >= openMax.all;

  const begin = (due: Due) => {
    open.set(due.id, due);
    const run = sendOne(deps, due, signal)
      .catch((error: unknown) => {
        unsettled.add(due.id);
        deps.log.error({ err: error, delivery: due.id }, "the outcome of a delivery was not written");
      })
      .finally(() => {
        open.delete(due.id);
        running.delete(run);
        // There is room for the next one. If looking fails, the next step meets the same and can tell it.
        look().catch(() => undefined);
      });
    running.add(run);
  };

  const look = (): Promise<void> => {
    isLookWanted = true;
    return isFull() ? Promise.resolve() : (looking ??= lookAround());
  };

  const lookAround = async () => {
    try {
      while (isLookWanted && !isFull()) {
        isLookWanted = false;
        for (const due of await findDue(deps, [...open.keys(), ...unsettled])) {
          if (!isFull() && mayBegin(due)) begin(due);
        }
      }
    } finally {
      looking = undefined;
    }
  };

  const idle = async () => {
    while (running.size > 0 || looking !== undefined) await Promise.all([...running, looking]);
  };
  return {
    step: look,
    idle,
    end() {
      isEnding = true;
      return idle();
    },
  };
}

async function sendOne(deps: Deps, due: Due, signal: AbortSignal): Promise<void> {
  const found = await deps.db.maybe<{ body: string }>(
    sql`select body from webhook_delivery where id = ${due.id} and status = 'waiting'`,
  );
  if (found === undefined) return;
  const outcome = await post(deps, { ...due, ...found }, signal);
  if (signal.aborted && !outcome.delivered) return;
  await settle(deps, due, outcome);
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
