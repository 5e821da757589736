import { rm } from "node:fs/promises";
import { Worker } from "node:worker_threads";
import {
  type KnownMeter,
  type News,
  newBatchMemory,
  type Order,
  type ReadingTask,
  type Report,
  type ValueRun,
} from "./messages.ts";
import type { PlannedMeter } from "./meter-book.ts";

/** Bounds of the thread, in MB. Values on their way lie outside of the heap and have a bound of their own. */
const heapMax = { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 16 };

/** The files need more memory than a thread may have. */
export class TooMuchMemory extends Error {
  constructor() {
    super("The files need more memory than an import may use. Split the upload.");
    this.name = "TooMuchMemory";
  }
}

export interface ReaderOptions {
  /** Ends the thread; whoever waits for it gets the reason. */
  signal: AbortSignal;
  progress: (done: { bytes: number; values: number }) => void;
}

/** Reads the files of an import on a thread of its own. Its answers are asked for in order: meters, report, batches. */
export class Reader {
  readonly #worker: Worker;
  readonly #spoolPath: string;
  readonly #options: ReaderOptions;
  readonly #failed: Promise<never>;
  /** News that nobody has asked for yet, and whoever waits for the next. */
  readonly #arrived: News[] = [];
  #waiting: ((news: News) => void) | undefined;

  readonly #memory = newBatchMemory();

  constructor(task: Omit<ReadingTask, "memory">, options: ReaderOptions) {
    options.signal.throwIfAborted();
    this.#options = options;
    this.#spoolPath = task.spoolPath;
    this.#worker = new Worker(new URL("./reader-thread.ts", import.meta.url), {
      workerData: { ...task, memory: this.#memory } satisfies ReadingTask,
      resourceLimits: heapMax,
      // What the process was started with is for its main thread.
      execArgv: [],
    });
    this.#worker.on("message", (news: News) => {
      const waiting = this.#waiting;
      this.#waiting = undefined;
      if (waiting === undefined) this.#arrived.push(news);
      else waiting(news);
    });
    this.#failed = new Promise<never>((_, reject) => {
      this.#worker.once("error", (error: NodeJS.ErrnoException) => {
        reject(error.code === "ERR_WORKER_OUT_OF_MEMORY" ? new TooMuchMemory() : error);
      });
      options.signal.addEventListener("abort", () => reject(options.signal.reason), { once: true });
    });
    // Nobody may be waiting when it fails; whoever asks next is told.
    this.#failed.catch(() => undefined);
  }

  /** The metering points that the files name, once all is read. */
  async meters(): Promise<PlannedMeter[]> {
    for (;;) {
      const news = await this.#next();
      if (news.kind === "progress") this.#options.progress(news);
      else if (news.kind === "read") return news.meters;
    }
  }

  /** What the files hold, told what is known of each of `meters()`. */
  async report(known: KnownMeter[]): Promise<Report> {
    this.#order({ kind: "settle", known });
    const news = await this.#next();
    if (news.kind !== "report") throw new Error(`asked for a report, got ${news.kind}`);
    return news.report;
  }

  /** The values of a batch, `null` after the last one; they hold until the next one is asked for. */
  async batch(number: number): Promise<ValueRun[] | null> {
    this.#order({ kind: "batch", number });
    const news = await this.#next();
    if (news.kind !== "batch") throw new Error(`asked for a batch, got ${news.kind}`);
    const { starts, values, qualities } = this.#memory;
    return (
      news.runs?.map(({ from, to, ...run }) => ({
        ...run,
        starts: starts.subarray(from, to),
        values: values.subarray(from, to),
        qualities: qualities.subarray(from, to),
      })) ?? null
    );
  }

  /** Ends the thread and removes what it left. */
  async close(): Promise<void> {
    await this.#worker.terminate();
    await rm(this.#spoolPath, { force: true });
  }

  #order(order: Order): void {
    this.#worker.postMessage(order);
  }

  async #next(): Promise<News> {
    const arrived = this.#arrived.shift();
    if (arrived !== undefined) return arrived;
    const next = new Promise<News>((resolve) => (this.#waiting = resolve));
    return Promise.race([next, this.#failed]);
  }
}
