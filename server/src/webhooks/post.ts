import type { Deps } from "../platform/deps.ts";
import { failureOf } from "../platform/egress/egress.ts";
import { retryAfterOf } from "./schedule.ts";
import { signatureHeaders } from "./secret.ts";

/** A delivery that is about to be sent. */
export interface Post {
  id: string;
  webhookId: string;
  accountId: string;
  url: string;
  body: string;
}

/** How an attempt ended. */
export interface Outcome {
  /** When it began, epoch ms. */
  began: number;
  /** From when on the pause before the next attempt counts, epoch ms. */
  ended: number;
  delivered: boolean;
  /** Status of the answer; null when there was none. */
  responseStatus: number | null;
  /** Why it failed, in words that are safe to show; null when it did not. */
  reason: string | null;
  /** The receiver asked to wait so long. */
  retryAfterMs: number;
  /** The receiver said that it is gone for good (410). */
  isGone: boolean;
  /** A connection was tried and came to nothing: how soon would tell what is at that port. */
  isUnanswered: boolean;
}

/** An answer has to come within this time. */
export const timeoutMs = 20_000;

/**
 * Signs and sends one delivery. Whatever becomes of it is an outcome; throws only for faults of ours. What the receiver
 * says beside its status is not even read, and redirects are answers like any other, and no success.
 */
export async function post(deps: Deps, delivery: Post, signal?: AbortSignal): Promise<Outcome> {
  const { clock, egress, log } = deps;
  const began = clock.now();
  const { id, webhookId, accountId, url, body } = delivery;
  const signatures = await signatureHeaders(deps, { id: webhookId, accountId }, { id, at: began, body });
  const failed = { began, delivered: false, retryAfterMs: 0, isGone: false, isUnanswered: false };
  try {
    const { status, headers } = await egress.request(url, {
      method: "POST",
      headers: { "content-type": "application/json", "user-agent": "Metertree-Webhooks", ...signatures },
      body,
      timeoutMs,
      isBodyIgnored: true,
      ...(signal === undefined ? {} : { signal }),
    });
    const ended = clock.now();
    const answered = { ...failed, ended, responseStatus: status };
    if (status >= 200 && status < 300) return { ...answered, delivered: true, reason: null };
    const mayAsk = status === 429 || status === 503;
    const retryAfterMs = mayAsk ? retryAfterOf(headers["retry-after"], ended) : 0;
    return { ...answered, reason: wordsOf(status), retryAfterMs, isGone: status === 410 };
  } catch (error) {
    const failure = failureOf(error);
    log.info({ err: error, delivery: id, webhook: webhookId }, "a receiver was not reached");
    const isUnanswered = failure.reason !== "address_refused" && failure.reason !== "name_not_found";
    // Counted as if the whole time had passed, so that the time of the next attempt does not tell how long it took.
    const ended = isUnanswered ? began + timeoutMs : clock.now();
    return { ...failed, ended, responseStatus: null, reason: failure.message, isUnanswered };
  }
}

function wordsOf(status: number): string {
  if (status === 410) return "The receiver answered 410: it is gone for good.";
  if (status >= 300 && status < 400) {
    return `The receiver answered ${status}: redirects are not followed. Enter the address that it leads to.`;
  }
  return `The receiver answered ${status}; anything from 200 to 299 is a success.`;
}
