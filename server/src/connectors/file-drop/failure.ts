import { type FailureKind, ProviderFailure } from "../../collection/connector.ts";
import { EgressFailure, type EgressReason, failureOf } from "../../platform/egress/egress.ts";
import { unlessAborted } from "../../platform/transfer/call.ts";

const kindOf: Readonly<Partial<Record<EgressReason, FailureKind>>> = {
  login: "credentials",
  // Somebody has to open the folder, and then run it again; the credentials are not wrong.
  permission: "consent",
};

/** Says what an error of a library means. */
export type Tell = (error: unknown) => EgressFailure;

/**
 * What a server answered, as a failure of the provider: a refused login is never tried again by itself, a folder that
 * is not there or a host key that has changed waits for a person, everything else passes by itself.
 */
export function dropFailure(error: unknown, what: string, tell: Tell = failureOf): ProviderFailure {
  if (error instanceof ProviderFailure) return error;
  const failure = tell(error);
  const isForPeople = failure.reason === "certificate" && failure.retry === "stop";
  const kind = isForPeople ? "consent" : (kindOf[failure.reason] ?? "unreachable");
  return new ProviderFailure(kind, `${what}: ${failure.message}`, {
    cause: error,
    ...(failure.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: failure.retryAfterSeconds }),
  });
}

/** A server that lets us wait for longer is given up: others wait for the place of this run. */
const answerMs = 120_000;
const chunkMs = 60_000;

/** `work`, with its failures told as those of the provider. */
export async function told<Out>(what: string, work: () => Promise<Out>, tell?: Tell): Promise<Out> {
  try {
    return await unlessAborted(AbortSignal.timeout(answerMs), { work: work(), stop: () => undefined });
  } catch (error) {
    throw dropFailure(error, what, tell);
  }
}

/** The same for the content of a file, which must go on coming. */
export async function* toldContent(
  what: string,
  content: AsyncIterable<Uint8Array>,
  { tell, stallMs = chunkMs }: { tell?: Tell; stallMs?: number } = {},
): AsyncGenerator<Uint8Array> {
  const chunks = content[Symbol.asyncIterator]();
  let isStalled = false;
  try {
    for (;;) {
      const stop = () => void (isStalled = true);
      const next = await unlessAborted(AbortSignal.timeout(stallMs), { work: chunks.next(), stop });
      if (next.done === true) return;
      yield next.value;
    }
  } catch (error) {
    throw dropFailure(error, what, tell);
  } finally {
    // One that stalls would not hear that nobody listens any more; it ends with its session.
    if (!isStalled) await chunks.return?.();
  }
}

/** A content that ended before all of it was there. */
export function cutShort(bytes: number, expected: number): EgressFailure {
  return new EgressFailure("no_connection", { inner: `${bytes} of ${expected} bytes arrived` });
}
