import type { Item, SeriesItem } from "./item.ts";
import type { Problems } from "./problems.ts";
import { detached } from "./text.ts";

/** Most series in one file. More is a sign of a wrong column, and each costs memory. */
export const seriesMax = 10_000;

/** Numbers the series of a file by a key of the format's choice. */
export class SeriesBook {
  /** True after too many series; the format stops reading. */
  full = false;
  readonly #numbers = new Map<string, number>();
  readonly #problems: Problems;

  constructor(problems: Problems) {
    this.#problems = problems;
  }

  /** Series so far. */
  get size(): number {
    return this.#numbers.size;
  }

  /** The number of a series that was opened before. */
  find(key: string): number | undefined {
    return this.#numbers.get(key);
  }

  /** Numbers a new series and announces it in `items`; undefined when there are too many. */
  open(key: string, series: Omit<SeriesItem, "kind" | "series">, items: Item[]): number | undefined {
    if (this.#numbers.size >= seriesMax) {
      if (!this.full) {
        this.#problems.error(
          `More than ${seriesMax} series in one file: a column may be taken for the meter that is not. ` +
            "Split the file, or correct the columns.",
        );
      }
      this.full = true;
      return undefined;
    }
    const number = this.#numbers.size;
    this.#numbers.set(detached(key), number);
    items.push({ kind: "series", series: number, ...series } satisfies SeriesItem);
    return number;
  }
}
