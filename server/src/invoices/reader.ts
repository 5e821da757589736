import { Worker } from "node:worker_threads";
import { after } from "../platform/pause.ts";
import type { Reason } from "./invoice.ts";
import type { Reading, ReadingTask } from "./messages.ts";

/** Bounds of a thread, in MB. */
const heapMax = { maxOldGenerationSizeMb: 192, maxYoungGenerationSizeMb: 32 };
/** A document that takes longer is refused. */
const secondsMax = 60;
/** A thread waits for so long for the next document: to start one takes longer than to read most documents. */
const restMs = 10_000;
/** After so many documents a thread makes room for a new one. */
const documentsMax = 200;

interface Thread {
  worker: Worker;
  /** How many it has read. */
  documents: number;
}

/** The thread that waits for a document, and what ends its rest. */
let resting: (Thread & { stayUp: () => void }) | undefined;

/** Reads a document on a thread, within bounds of time and memory. */
export async function readDocument(task: ReadingTask, signal: AbortSignal): Promise<Reading> {
  signal.throwIfAborted();
  const thread = takeThread();
  let answer: Reading | "too much memory" | "too long" | undefined;
  try {
    answer = await readOn(thread.worker, task, signal);
  } finally {
    if (typeof answer === "object") rest({ ...thread, documents: thread.documents + 1 });
    else await thread.worker.terminate();
  }
  if (typeof answer === "object") return answer;
  if (answer === "too long") {
    return refused(`Reading took longer than ${secondsMax} seconds. Split the document.`);
  }
  // The documents before it may have left something.
  if (thread.documents > 0) return readDocument(task, signal);
  return refused("The document needs more memory than reading may use. Split it.");
}

function readOn(
  worker: Worker,
  task: ReadingTask,
  signal: AbortSignal,
): Promise<Reading | "too much memory" | "too long"> {
  const { promise, resolve, reject } = Promise.withResolvers<Reading | "too much memory" | "too long">();
  const inTime = after(secondsMax * 1000, () => resolve("too long"));
  const stop = () => reject(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  worker.once("message", resolve);
  worker.once("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "ERR_WORKER_OUT_OF_MEMORY") resolve("too much memory");
    else reject(error);
  });
  worker.once("exit", () => reject(new Error("the thread ended without an answer")));
  worker.postMessage(task);
  return promise.finally(() => {
    inTime();
    signal.removeEventListener("abort", stop);
    forget(worker);
  });
}

function takeThread(): Thread {
  if (resting === undefined) {
    const worker = new Worker(new URL("./reader-thread.ts", import.meta.url), {
      resourceLimits: heapMax,
      // What the process was started with is for its main thread.
      execArgv: [],
    });
    return { worker, documents: 0 };
  }
  const { worker, documents, stayUp } = resting;
  resting = undefined;
  stayUp();
  forget(worker);
  worker.ref();
  return { worker, documents };
}

/** Takes away our listeners; a thread has others, without which its messages do not come. */
function forget(worker: Worker): void {
  for (const event of ["message", "error", "exit"]) worker.removeAllListeners(event);
}

/** Keeps a thread for the next document. It keeps no process from ending. */
function rest({ worker, documents }: Thread): void {
  if (resting !== undefined || documents >= documentsMax) return void worker.terminate();
  const end = () => {
    if (resting?.worker === worker) resting = undefined;
    void worker.terminate();
  };
  worker.once("error", end);
  worker.once("exit", end);
  worker.unref();
  resting = { worker, documents, stayUp: after(restMs, end) };
}

function refused(message: string): Reading {
  const reason: Reason = { message, line: null, field: null, difference: null };
  return { kind: "refused", reason };
}
