import { type ChildProcess, fork } from "node:child_process";
import { repeat } from "../../platform/repeat.ts";
import { BrowserFault } from "./fault.ts";
import { makeFolder, removeFolder } from "./folder.ts";
import { killTree, processTree } from "./process-tree.ts";
import { type Exchanged, type Launch, type Order, type Word, word } from "./protocol.ts";

/** How the process of a browser is started and held. */
export interface ProcessOptions {
  launch: Omit<Launch, "folder">;
  /** Most memory of the browser and all its processes. */
  memoryBytesMax: number;
  /** Ends it at once. */
  signal: AbortSignal;
  exchanged(exchange: Exchanged): void;
}

type Done = Extract<Word, { say: "done" }>;

const watchMs = 500;

/** A browser in a process of its own. Whatever ends it, nothing of it is left. */
export class BrowserProcess {
  readonly #child: ChildProcess;
  readonly #folder: string;
  /** Resolves when its process has ended. */
  readonly gone: Promise<void>;
  /** Why it has ended. */
  #fault = new BrowserFault("broken", "the browser has ended");
  #waiting: { resolve(done: Done): void; reject(error: unknown): void } | undefined;

  /** Starts a browser. @throws BrowserFault when it does not start */
  static async start(options: ProcessOptions): Promise<BrowserProcess> {
    const folder = await makeFolder(options.launch.account);
    const started = new BrowserProcess(folder, options);
    try {
      await started.order({ do: "launch", ...options.launch, folder });
      return started;
    } catch (error) {
      await started.close();
      throw error;
    }
  }

  private constructor(folder: string, { memoryBytesMax, signal, exchanged }: ProcessOptions) {
    this.#folder = folder;
    this.#child = fork(new URL("./host.ts", import.meta.url), [], {
      // Nothing of what this server was started with is the browser's business.
      env: {},
      execArgv: ["--max-old-space-size=192"],
      cwd: "/",
      detached: true,
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
    this.#child.on("message", (message) => this.#hear(message, exchanged));
    const watching = repeat(
      watchMs,
      async () => this.#watch(memoryBytesMax),
      () => undefined,
    );
    const abort = () => this.#end("the browser was ended");
    signal.addEventListener("abort", abort, { once: true });
    this.gone = new Promise((resolve) => {
      // `error`: it could not even be started.
      for (const event of ["exit", "error"]) this.#child.once(event, () => resolve());
    });
    void this.gone.then(() => {
      watching();
      signal.removeEventListener("abort", abort);
      this.#waiting?.reject(this.#fault);
      this.#waiting = undefined;
    });
    if (signal.aborted) abort();
  }

  /** Has one order carried out. @throws BrowserFault */
  order(order: Order): Promise<Done> {
    return new Promise((resolve, reject) => {
      if (this.#waiting !== undefined)
        reject(new Error("a browser does one thing at a time: await each step"));
      else if (!this.#child.connected) reject(this.#fault);
      else {
        this.#waiting = { resolve, reject };
        this.#child.send(order, (error) => {
          if (error !== null) reject(this.#fault);
        });
      }
    });
  }

  /** Ends it, and removes its folder. */
  async close(): Promise<void> {
    this.#end("the browser was closed");
    await this.gone;
    await removeFolder(this.#folder);
  }

  #hear(message: unknown, exchanged: ProcessOptions["exchanged"]): void {
    const heard = word.safeParse(message);
    if (!heard.success) this.#end("the browser says what nobody understands");
    else if (heard.data.say === "exchanged") exchanged(heard.data.exchange);
    else {
      const waiting = this.#waiting;
      this.#waiting = undefined;
      if (heard.data.say === "done") waiting?.resolve(heard.data);
      else {
        const { reason, message: text, ...more } = heard.data.fault;
        waiting?.reject(new BrowserFault(reason, text, more));
      }
    }
  }

  #watch(bytesMax: number): void {
    const bytes = processTree(this.#child.pid ?? 0).reduce((sum, member) => sum + member.bytes, 0);
    if (bytes > bytesMax) this.#end(`the browser takes more than ${Math.round(bytesMax / 1e6)} MB of memory`);
  }

  #end(why: string): void {
    const { pid, exitCode, signalCode } = this.#child;
    if (pid === undefined || exitCode !== null || signalCode !== null) return;
    this.#fault = new BrowserFault("broken", why);
    killTree(pid);
  }
}
