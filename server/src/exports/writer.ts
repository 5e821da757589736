import { Worker } from "node:worker_threads";
import type { ExportRun } from "./formats/format.ts";
import type { MadeFile, WritingTask } from "./writing.ts";

/** What the thread is told; each order is answered under its number. */
export type Order = { number: number; batch: number } & (
  | { kind: "open"; task: WritingTask }
  | { kind: "write"; runs: readonly ExportRun[] }
  | { kind: "finish" }
  | { kind: "abandon" }
);
export interface Answer {
  number: number;
  value?: unknown;
  error?: unknown;
}

/** Without what the thread adds, for each kind of order. */
type Told = Order extends infer One ? (One extends Order ? Omit<One, "number" | "batch"> : never) : never;

interface Waiting {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** Most memory that the thread may use, in MB: workbooks and Parquet columns are put together in it. */
const heapMbMax = 768;

/**
 * The thread that writes files, one for the process: started by the first batch, and again after it died. It writes
 * several batches at a time.
 */
class WriterThread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #orders = 0;
  isDead = false;

  constructor() {
    this.#worker = new Worker(new URL("./writer-thread.ts", import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: heapMbMax },
      execArgv: [],
    });
    this.#worker.unref();
    this.#worker.on("message", ({ number, value, error }: Answer) => {
      const waiting = this.#waiting.get(number);
      this.#settled(number);
      if (error === undefined) waiting?.resolve(value);
      else waiting?.reject(error);
    });
    this.#worker.on("error", (error) => this.#die(error));
    this.#worker.on("exit", () => this.#die(new Error("the thread that writes files has ended")));
  }

  /** Sends an order and answers what came of it. */
  ask(batch: number, told: Told): Promise<unknown> {
    const number = ++this.#orders;
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject });
      // While somebody waits the process must not end.
      this.#worker.ref();
      this.#worker.postMessage({ ...told, number, batch });
    });
  }

  #settled(number: number): void {
    this.#waiting.delete(number);
    if (this.#waiting.size === 0) this.#worker.unref();
  }

  #die(error: unknown): void {
    this.isDead = true;
    for (const [number, { reject }] of this.#waiting) {
      this.#settled(number);
      reject(error);
    }
  }
}

let thread: WriterThread | undefined;
let batches = 0;

/** Files of one batch, written by the thread. */
export interface BatchWriter {
  /** Writes runs that the format accepts. */
  write(runs: readonly ExportRun[]): Promise<void>;
  /** Closes the files; none when nothing was written. They lie under the names of parts, see `partOf`. */
  finish(): Promise<MadeFile[]>;
  /** Removes what was written. */
  abandon(): Promise<void>;
}

/** Begins to write a batch. Rejects with whatever went wrong in the thread. */
export async function openWriter(task: WritingTask): Promise<BatchWriter> {
  if (thread === undefined || thread.isDead) thread = new WriterThread();
  const own = thread;
  const batch = ++batches;
  await own.ask(batch, { kind: "open", task });
  return {
    async write(runs) {
      await own.ask(batch, { kind: "write", runs: runs.map(detached) });
    },
    finish: () => own.ask(batch, { kind: "finish" }) as Promise<MadeFile[]>,
    async abandon() {
      if (!own.isDead) await own.ask(batch, { kind: "abandon" });
    },
  };
}

/** Arrays that are views go to a thread with all that lies below them. */
function detached(run: ExportRun): ExportRun {
  return { ...run, starts: run.starts.slice(), values: run.values.slice() };
}
