/**
 * Repeats work every `everyMs` until it is stopped; never twice at the same time. What the work throws ends the
 * repetition and is handed to `failed`.
 */
export function repeat(
  everyMs: number,
  work: () => Promise<void>,
  failed: (error: unknown) => void,
): () => void {
  let stopped = false;
  let timer: NodeJS.Timeout;
  const next = () => {
    timer = setTimeout(() => {
      work().then(() => {
        if (!stopped) next();
      }, failed);
    }, everyMs);
    // Work that nobody waits for must not keep a process from ending.
    timer.unref();
  };
  next();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
