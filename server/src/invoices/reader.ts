import { Worker } from "node:worker_threads";
import type { Reason } from "./invoice.ts";
import type { Reading, ReadingTask } from "./messages.ts";

/** Bounds of the thread, in MB. */
const heapMax = { maxOldGenerationSizeMb: 192, maxYoungGenerationSizeMb: 32 };
/** A document that takes longer is refused. */
const secondsMax = 60;

/** Reads a document on a thread of its own, within bounds of time and memory. */
export async function readDocument(task: ReadingTask, signal: AbortSignal): Promise<Reading> {
  signal.throwIfAborted();
  const tooLong = AbortSignal.timeout(secondsMax * 1000);
  const worker = new Worker(new URL("./reader-thread.ts", import.meta.url), {
    workerData: task,
    resourceLimits: heapMax,
    // What the process was started with is for its main thread.
    execArgv: [],
  });
  try {
    return await new Promise<Reading>((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", (error: NodeJS.ErrnoException) => {
        if (error.code !== "ERR_WORKER_OUT_OF_MEMORY") reject(error);
        else resolve(refused("The document needs more memory than reading may use. Split it."));
      });
      worker.once("exit", () => reject(new Error("the thread ended without an answer")));
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      tooLong.addEventListener("abort", () =>
        resolve(refused(`Reading took longer than ${secondsMax} seconds. Split the document.`)),
      );
    });
  } finally {
    await worker.terminate();
  }
}

function refused(message: string): Reading {
  const reason: Reason = { message, line: null, field: null, difference: null };
  return { kind: "refused", reason };
}
