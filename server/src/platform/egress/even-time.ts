/**
 * Runs `work`. When it fails, the failure is held back to the next multiple of `stepMs`: how long a connection took
 * to fail tells a closed port from a silent one.
 */
export async function inSteps<Out>(work: () => Promise<Out>, stepMs: number): Promise<Out> {
  const from = performance.now();
  try {
    return await work();
  } catch (error) {
    const spent = performance.now() - from;
    const rest = Math.ceil(spent / stepMs) * stepMs - spent;
    await new Promise((resolve) => setTimeout(resolve, rest));
    throw error;
  }
}
