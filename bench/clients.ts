import autocannon from "autocannon";

/** Calls `work` with 0 to `count` - 1 from `clients` callers at a time; returns finished calls a second. */
export async function perSecond(
  options: { count: number; clients: number },
  work: (call: number) => Promise<unknown>,
): Promise<number> {
  let next = 0;
  const client = async () => {
    while (next < options.count) await work(next++);
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: options.clients }, client));
  return options.count / ((performance.now() - start) / 1000);
}

/** What is asked of a server again and again: one origin, its paths in turn. */
export interface Load {
  origin: string;
  paths: readonly string[];
  headers?: Record<string, string>;
}

const connections = 20;

/**
 * Answers a second that 20 connections get in 6 s, after 2 s that are not counted; bodies are received and not
 * decoded. Throws when an answer was refused or a connection broke.
 */
export async function requestRate(load: Load): Promise<number> {
  const requests = load.paths.map((path) => ({ path }));
  const options = { url: load.origin, headers: load.headers ?? {}, connections, requests };
  await autocannon({ ...options, duration: 2 });
  const result = await autocannon({ ...options, duration: 6 });
  if (result.non2xx > 0 || result.errors > 0)
    throw new Error(`${load.origin}: ${result.non2xx} refused, ${result.errors} errors`);
  return result.requests.average;
}
