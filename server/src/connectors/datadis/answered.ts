import type { Memory } from "../../collection/connector.ts";

const hourMs = 3_600_000;
/** As long as the ledger of questions says no, counted in hours that have begun. */
const hoursMax = 24;
/** Of the 64 KB that a connection may remember. Older answers are forgotten: they count as open, and are asked for later. */
const charsMax = 40_000;

/** Months from `first` to `last`, answered in one hour of the clock. */
type Range = [first: number, last: number, hour: number];

/**
 * Remembers for a day which months were answered, and stored, for whom. Without that a question that the provider
 * refuses to repeat could be one whose answer was lost.
 */
export class Answered {
  readonly #memory: Memory;
  readonly #hour: number;
  readonly #topics: Map<string, Range[]>;

  constructor(memory: Memory, now: number) {
    this.#memory = memory;
    this.#hour = Math.floor(now / hourMs);
    const kept = JSON.parse(memory.get("answered") ?? "{}") as Record<string, Range[]>;
    this.#topics = new Map(
      Object.entries(kept).flatMap(([topic, ranges]): [string, Range[]][] => {
        const valid = ranges.filter(([, , hour]) => this.#hour - hour <= hoursMax);
        return valid.length === 0 ? [] : [[topic, valid]];
      }),
    );
  }

  has(topic: string, month: number): boolean {
    return (this.#topics.get(topic) ?? []).some(([first, last]) => first <= month && month <= last);
  }

  /** Call it when the values are stored. */
  async note(topics: readonly string[], month: number): Promise<void> {
    for (const topic of topics) {
      const ranges = this.#topics.get(topic) ?? [];
      const near = ranges.find(
        ([first, last, hour]) => hour === this.#hour && first - 1 <= month && month <= last + 1,
      );
      if (near === undefined) ranges.push([month, month, this.#hour]);
      else {
        near[0] = Math.min(near[0], month);
        near[1] = Math.max(near[1], month);
      }
      // To the end: the oldest is the first to be forgotten.
      this.#topics.delete(topic);
      this.#topics.set(topic, ranges);
    }
    let text = this.#text();
    while (text.length > charsMax) {
      this.#topics.delete(this.#topics.keys().next().value!);
      text = this.#text();
    }
    await this.#memory.set("answered", text);
  }

  #text(): string {
    return JSON.stringify(Object.fromEntries(this.#topics));
  }
}
