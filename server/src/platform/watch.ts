/** Somebody who waits for a value to move. */
interface Waiting<Key> {
  keys: ReadonlyMap<Key, number>;
  wake(): void;
}

/**
 * Waits for numbers to move, with one question for everybody who waits: it is asked every `everyMs`, and only while
 * somebody waits.
 */
export class Watch<Key> {
  readonly #read: (keys: Key[]) => Promise<Map<Key, number>>;
  readonly #everyMs: number;
  readonly #waiting = new Set<Waiting<Key>>();
  #running = false;

  /** `read` answers the present numbers of keys; a key that it leaves out is 0. */
  constructor(read: (keys: Key[]) => Promise<Map<Key, number>>, everyMs: number) {
    this.#read = read;
    this.#everyMs = everyMs;
  }

  /**
   * Resolves when one of the keys has another number than the one given, or when `signal` is aborted. It may also
   * resolve early, so ask again.
   */
  async moved(keys: ReadonlyMap<Key, number>, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const wake = () => {
        signal.removeEventListener("abort", wake);
        this.#waiting.delete(waiting);
        resolve();
      };
      const waiting = { keys, wake };
      signal.addEventListener("abort", wake);
      this.#waiting.add(waiting);
      if (!this.#running) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#waiting.size > 0) {
      const asked = [...this.#waiting];
      try {
        const now = await this.#read([...new Set(asked.flatMap((each) => [...each.keys.keys()]))]);
        for (const each of asked) {
          for (const [key, number] of each.keys) {
            if ((now.get(key) ?? 0) === number) continue;
            each.wake();
            break;
          }
        }
      } catch {
        // Those who wait ask for themselves, and meet the error where it can be told.
        for (const each of asked) each.wake();
      }
      await new Promise((resolve) => setTimeout(resolve, this.#everyMs));
    }
    this.#running = false;
  }
}
