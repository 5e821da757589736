import { sqlState } from "../platform/db.ts";
import { LostConnection } from "./claim.ts";
import { ProviderFailure } from "./connector.ts";

/**
 * What a connector yields. What it throws is a failure of the provider that it has no word for: an answer that it does
 * not know. One that does not hear the signal is left alone. What comes back for an item is handed on.
 */
export async function* guarded<Item, End, Back>(
  items: { [Symbol.asyncIterator](): AsyncIterator<Item, End, Back> },
  signal: AbortSignal,
): AsyncGenerator<Item, End, Back> {
  const iterator = items[Symbol.asyncIterator]();
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  aborted.catch(() => undefined);
  let isOver = false;
  let back: Back | undefined;
  try {
    for (;;) {
      signal.throwIfAborted();
      const next = await Promise.race([iterator.next(back as Back), aborted]).catch((error: unknown) => {
        isOver = true;
        throw foreign(error);
      });
      isOver = next.done === true;
      if (next.done === true) return next.value;
      back = yield next.value;
    }
  } finally {
    if (!isOver) await iterator.return?.().catch(() => undefined);
  }
}

/** What came out of a connector, as a failure of the provider or one of ours. */
export function foreign(error: unknown): unknown {
  if (error instanceof ProviderFailure || isOurs(error)) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new ProviderFailure("changed", `the connector stumbled: ${message}`, { cause: error });
}

/** The database was away, or the run was ended. */
function isOurs(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof LostConnection) return true;
  if (sqlState(error) !== undefined || error.name === "AbortError" || error.name === "TimeoutError")
    return true;
  return "syscall" in error || /^(Connection terminated|timeout exceeded)/.test(error.message);
}
