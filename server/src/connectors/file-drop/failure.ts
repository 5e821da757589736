import { type FailureKind, ProviderFailure } from "../../collection/connector.ts";
import { EgressFailure, type EgressReason, failureOf } from "../../platform/egress/egress.ts";

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

/** `work`, with its failures told as those of the provider. */
export async function told<Out>(what: string, work: () => Promise<Out>, tell?: Tell): Promise<Out> {
  try {
    return await work();
  } catch (error) {
    throw dropFailure(error, what, tell);
  }
}

/** The same for the content of a file. */
export async function* toldContent(
  what: string,
  content: AsyncIterable<Uint8Array>,
  tell?: Tell,
): AsyncGenerator<Uint8Array> {
  try {
    yield* content;
  } catch (error) {
    throw dropFailure(error, what, tell);
  }
}

/** A content that ended before all of it was there. */
export function cutShort(bytes: number, expected: number): EgressFailure {
  return new EgressFailure("no_connection", { inner: `${bytes} of ${expected} bytes arrived` });
}
