import { lookup, Resolver } from "node:dns/promises";
import { EgressFailure } from "./failure.ts";

/** All addresses of a name. Rejects when there are none. */
export type Resolve = (name: string) => Promise<readonly string[]>;

export interface ResolverOptions {
  /** Names that only this machine knows (its hosts file, its search domains) count too. */
  hasLocalNames: boolean;
  /** Of one question to one name server; there are two tries. */
  timeoutMs?: number;
  /** Name servers (`192.0.2.1:53`) to ask instead of those of this machine. */
  servers?: readonly string[];
}

/** Threads that looking up names of this machine may hold; Node has four for all files, and one can wait 30 s. */
const lookupsMax = 2;

/**
 * Asks the name servers of this machine from the event loop, so that slow ones hold no thread. With `hasLocalNames`
 * a name that they do not know is looked up as other programs do, few at a time.
 */
export function dnsResolver({ hasLocalNames, timeoutMs = 2_000, servers }: ResolverOptions): Resolve {
  const resolver = new Resolver({ timeout: timeoutMs, tries: 2 });
  if (servers !== undefined) resolver.setServers(servers);
  const localNames = limited(lookupsMax, async (name) =>
    (await lookup(name, { all: true })).map(({ address }) => address),
  );
  return async (name) => {
    const answers = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
    const addresses = answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
    if (addresses.length > 0) return addresses;
    const errors = answers.flatMap((answer) => (answer.status === "rejected" ? [answer.reason] : []));
    const isSlow = errors.some((error: NodeJS.ErrnoException) => error.code === "ETIMEOUT");
    if (hasLocalNames && !isSlow) {
      const found = await localNames(name).catch(() => []);
      if (found.length > 0) return found;
    }
    throw new EgressFailure("name_not_found", { inner: `${name}: ${errors[0]?.message ?? "no address"}` });
  };
}

/** `work`, at most `max` at a time; the others wait their turn. */
function limited<Out>(max: number, work: (name: string) => Promise<Out>): (name: string) => Promise<Out> {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (name) => {
    if (running >= max) await new Promise<void>((resolve) => waiting.push(resolve));
    running++;
    try {
      return await work(name);
    } finally {
      running--;
      waiting.shift()?.();
    }
  };
}
