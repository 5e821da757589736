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
  /** When it ended, epoch ms. */
  at: number;
  delivered: boolean;
  /** Status of the answer; null when there was none. */
  responseStatus: number | null;
  /** Why it failed, in words that are safe to show; null when it did not. */
  reason: string | null;
  /** The receiver asked to wait so long. */
  retryAfterMs: number;
  /** The receiver said that it is gone for good (410). */
  isGone: boolean;
}

const timeoutMs = 20_000;

/**
 * Signs and sends one delivery. Never throws: whatever happens is an outcome; what the receiver said beside its status
 * is not even read. Redirects are answers like any other, and no success.
 */
export async function post(deps: Deps, delivery: Post, signal?: AbortSignal): Promise<Outcome> {
  const { clock, egress, log } = deps;
  const failed = { delivered: false, retryAfterMs: 0, isGone: false };
  try {
    const signed = { id: delivery.id, at: clock.now(), body: delivery.body };
    const signatures = await signatureHeaders(
      deps,
      { id: delivery.webhookId, accountId: delivery.accountId },
      signed,
    );
    const answer = await egress.request(delivery.url, {
      method: "POST",
      headers: { "content-type": "application/json", "user-agent": "Metertree-Webhooks", ...signatures },
      body: delivery.body,
      timeoutMs,
      isBodyIgnored: true,
      ...(signal === undefined ? {} : { signal }),
    });
    const { status } = answer;
    const at = clock.now();
    if (status >= 200 && status < 300) {
      return { ...failed, at, delivered: true, responseStatus: status, reason: null };
    }
    const mayAsk = status === 429 || status === 503;
    return {
      ...failed,
      at,
      responseStatus: status,
      reason: wordsOf(status),
      retryAfterMs: mayAsk ? retryAfterOf(answer.headers["retry-after"], at) : 0,
      isGone: status === 410,
    };
  } catch (error) {
    const failure = failureOf(error);
    log.info({ err: error, delivery: delivery.id, webhook: delivery.webhookId }, "a webhook was not reached");
    return { ...failed, at: clock.now(), responseStatus: null, reason: failure.message };
  }
}

function wordsOf(status: number): string {
  if (status === 410) return "The receiver answered 410: it is gone for good.";
  if (status >= 300 && status < 400) {
    return `The receiver answered ${status}: redirects are not followed. Enter the address that it leads to.`;
  }
  return `The receiver answered ${status}; anything from 200 to 299 is a success.`;
}
