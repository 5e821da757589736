import { type Egress, EgressFailure } from "../egress/egress.ts";

/** How a server that somebody named is reached. */
export interface Reach {
  egress: Pick<Egress, "connect" | "connectTls" | "tlsOptions" | "agents">;
  /** Ends what is on. */
  signal: AbortSignal;
}

/**
 * Loads an optional package. Throws an `EgressFailure` that names it when it is not installed.
 */
export async function optionalPackage<Module>(name: string, load: () => Promise<Module>): Promise<Module> {
  try {
    return await load();
  } catch (error) {
    const inner = `the optional package ${name} is not installed: npm install ${name}`;
    throw new EgressFailure("other", { inner, cause: error, retry: "stop" });
  }
}

/** `work`, or the reason of `signal` as soon as it is given; then `stop` ends what `work` holds open. */
export async function unlessAborted<Out>(
  signal: AbortSignal,
  { work, stop }: { work: Promise<Out>; stop: () => void },
): Promise<Out> {
  let abort: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    abort = () => {
      stop();
      reject(new EgressFailure("no_connection", { inner: "took too long", cause: signal.reason }));
    };
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
    work.catch(() => undefined);
  }
}
