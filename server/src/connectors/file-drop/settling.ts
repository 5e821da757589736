import type { Visit } from "../../collection/connector.ts";

/** A file in a folder, as its server lists it. */
export interface Listed {
  name: string;
  bytes: number;
  /** Epoch milliseconds; null when the server does not say it in a way that can be trusted. */
  modified: number | null;
  /** Whatever else changes with the file: the time as printed, a version. */
  mark: string;
}

/** Most files that are watched while they grow; more are looked at the next time. */
const watchedMax = 300;
const memoryKey = "looks";

/** `[bytes, mark, epoch ms since when it looks like this]` by name. */
type Looks = Record<string, [number, string, number]>;

/**
 * Tells which files stand still: their time of change is long enough ago, or they looked the same at a look that long
 * ago. What may still grow is remembered for the next look.
 */
export class Settling {
  readonly #visit: Pick<Visit<unknown>, "memory" | "now">;
  readonly #waitMs: number;
  readonly #before: Looks;
  readonly #now: Looks = {};

  constructor(visit: Pick<Visit<unknown>, "memory" | "now">, waitMinutes: number) {
    this.#visit = visit;
    this.#waitMs = waitMinutes * 60_000;
    this.#before = JSON.parse(visit.memory.get(memoryKey) ?? "{}") as Looks;
  }

  isSettled(file: Listed): boolean {
    const { now } = this.#visit;
    const { modified } = file;
    if (this.#waitMs === 0 || (modified !== null && now - modified >= this.#waitMs)) return true;
    return now - this.#since(file) >= this.#waitMs;
  }

  /** A file that is waited for. */
  watch(file: Listed): void {
    if (Object.keys(this.#now).length >= watchedMax) return;
    this.#now[file.name] = [file.bytes, file.mark, this.#since(file)];
  }

  #since({ name, bytes, mark }: Listed): number {
    const before = Object.hasOwn(this.#before, name) ? this.#before[name] : undefined;
    const isSame = before !== undefined && before[0] === bytes && before[1] === mark;
    return isSame ? before[2] : this.#visit.now;
  }

  /** Remembers what is waited for. */
  async end(): Promise<void> {
    const text = JSON.stringify(this.#now);
    const before = this.#visit.memory.get(memoryKey);
    if (text === (before ?? "{}")) return;
    await this.#visit.memory.set(memoryKey, text === "{}" ? null : text);
  }
}
