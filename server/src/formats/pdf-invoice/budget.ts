import { Fault } from "../problems.ts";

/** What one document may cost: steps of the matcher, far more than the longest invoice needs (some seconds). */
const stepsMax = 60_000_000;

/** Counts the work that templates cause, so that one with many patterns and a long document end in an error. */
export class Budget {
  #left = stepsMax;

  /** @throws Fault when nothing is left */
  spend(steps: number): void {
    this.#left -= steps;
    if (this.#left < 0) {
      throw new Fault(
        "Applying the template takes too long. Give its fields labels instead of patterns without one, or a page.",
      );
    }
  }
}
