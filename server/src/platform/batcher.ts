interface Waiting<Key, Value> {
  key: Key;
  resolve(value: Value): void;
  reject(error: unknown): void;
}

/**
 * Asks one question for many callers: what is asked while an answer is under way waits and goes together into the
 * next question. Nothing is remembered, so an answer is never older than the question, and an idle server answers
 * at once.
 */
export class Batcher<Key, Value> {
  readonly #ask: (keys: Key[]) => Promise<Value[]>;
  readonly #most: number;
  readonly #atOnce: number;
  readonly #waitMs: number;
  #waiting: Waiting<Key, Value>[] = [];
  #running = 0;

  /**
   * `ask` answers one value per key, in order; `most` keys go together, `atOnce` questions are under way. The first
   * key after a pause waits `waitMs` for company, else only for the turn of the event loop.
   */
  constructor(
    ask: (keys: Key[]) => Promise<Value[]>,
    options: { most: number; atOnce: number; waitMs?: number },
  ) {
    this.#ask = ask;
    this.#most = options.most;
    this.#atOnce = options.atOnce;
    this.#waitMs = options.waitMs ?? 0;
  }

  /** The value of a key, from a question that is asked after this call. */
  load(key: Key): Promise<Value> {
    const value = new Promise<Value>((resolve, reject) => this.#waiting.push({ key, resolve, reject }));
    if (this.#running < this.#atOnce) this.#start(this.#waitMs);
    return value;
  }

  #start(waitMs: number): void {
    this.#running++;
    // What arrives meanwhile, or in the same turn of the event loop, goes along.
    if (waitMs > 0) setTimeout(() => void this.#run(), waitMs);
    else setImmediate(() => void this.#run());
  }

  async #run(): Promise<void> {
    const group = this.#waiting.splice(0, this.#most);
    if (group.length > 0) {
      try {
        const values = await this.#ask(group.map((each) => each.key));
        for (const [i, each] of group.entries()) each.resolve(values[i]!);
      } catch (error) {
        for (const each of group) each.reject(error);
      }
    }
    this.#running--;
    if (this.#waiting.length > 0 && this.#running < this.#atOnce) this.#start(0);
  }
}
