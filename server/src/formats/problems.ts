import type { ProblemItem, Severity } from "./item.ts";

/** Problems told one by one for a file; the rest is only counted. */
export const problemsMax = 1_000;

const rank: Record<Severity, number> = { info: 0, warning: 1, error: 2 };

/** Where a problem is: line from 1, field as printed. Leave out what is not known. */
export interface Place {
  line?: number | null;
  field?: string | null;
}

/** Stops the reading of a file: what follows cannot be trusted. Told as an error problem. */
export class Fault extends Error {
  readonly place: Place;

  constructor(message: string, place: Place = {}) {
    super(message);
    this.name = "Fault";
    this.place = place;
  }
}

/**
 * Collects the problems of one file. The first 1,000 are handed out, the rest is counted and told
 * in one last problem which is as severe as the worst that it stands for.
 */
export class Problems {
  /** Errors found so far, told or only counted. */
  errors = 0;
  #waiting: ProblemItem[] = [];
  #told = 0;
  #untold = 0;
  #worstUntold: Severity = "info";

  /** The file is refused because of this. */
  error(message: string, place: Place = {}): void {
    this.errors += 1;
    this.#add("error", message, place);
  }

  /** The file is stored although this is odd. */
  warning(message: string, place: Place = {}): void {
    this.#add("warning", message, place);
  }

  /** Good to know. */
  info(message: string, place: Place = {}): void {
    this.#add("info", message, place);
  }

  /**
   * Tells why the reading stopped.
   * @throws what is handed in, when it is no fault of the file
   */
  stop(reason: unknown): void {
    if (!(reason instanceof Fault)) throw reason;
    this.error(reason.message, reason.place);
  }

  /** True when there is something to take. */
  get waiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** Problems since the last call, in the order in which they were found. */
  take(): ProblemItem[] {
    const taken = this.#waiting;
    this.#waiting = [];
    return taken;
  }

  /** As `take`, and how many more there were; call once, at the end of the file. */
  end(): ProblemItem[] {
    const taken = this.take();
    if (this.#untold > 0) {
      const message = `${this.#untold} more problems like these are not listed. Mend the listed ones first.`;
      taken.push({ kind: "problem", severity: this.#worstUntold, line: null, field: null, message });
    }
    return taken;
  }

  #add(severity: Severity, message: string, place: Place): void {
    if (this.#told >= problemsMax) {
      this.#untold += 1;
      if (rank[severity] > rank[this.#worstUntold]) this.#worstUntold = severity;
      return;
    }
    this.#told += 1;
    const { line = null, field = null } = place;
    this.#waiting.push({ kind: "problem", severity, line, field, message });
  }
}
