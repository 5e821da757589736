import type { Problems } from "../problems.ts";

/** How a key of the mapping came to its value. */
export type How =
  /** The caller said so. */
  | "told"
  /** The file shows it. */
  | "seen"
  /** The file hints at it; the caller is told and can say otherwise. */
  | "assumed"
  /** The file does not show it: the caller must say. */
  | "open";

/** One key of the mapping: what was decided and why. */
export interface Decision {
  key: string;
  how: How;
  /** What was decided, as text; for open keys what is to be chosen from. */
  value: string;
  reason: string;
}

/** Collects how a table is read, so that nothing is guessed in silence. */
export class Decisions {
  readonly all: Decision[] = [];

  /** The file shows it. */
  seen(key: string, value: string, reason: string): void {
    this.all.push({ key, how: "seen", value, reason });
  }

  /** The file only hints at it; told once when it is so for several columns. */
  assumed(key: string, value: string, reason: string): void {
    const same = (one: Decision): boolean => one.how === "assumed" && one.key === key && one.value === value;
    if (!this.all.some(same)) this.all.push({ key, how: "assumed", value, reason });
  }

  /** The caller has to choose. */
  open(key: string, candidates: string, reason: string): void {
    if (!this.openKeys.includes(key)) this.all.push({ key, how: "open", value: candidates, reason });
  }

  /** Keys that are open. */
  get openKeys(): string[] {
    return this.all.filter((decision) => decision.how === "open").map((decision) => decision.key);
  }

  /** 0 when a key is open, else less the more was assumed, at most 1. */
  get confidence(): number {
    if (this.openKeys.length > 0) return 0;
    return 0.8 ** this.all.filter((decision) => decision.how === "assumed").length;
  }

  /** Tells open keys as errors, assumptions as warnings and the rest in one line. */
  tell(problems: Problems): void {
    const seen = this.all.filter((decision) => decision.how === "seen");
    if (seen.length > 0) {
      problems.info(`Read as: ${seen.map(({ key, value }) => `${key} ${value}`).join(", ")}.`);
    }
    for (const { key, how, value, reason } of this.all) {
      if (how === "assumed") {
        problems.warning(
          `Taken as ${key} ${value}: ${reason}. If that is wrong, state "${key}" in the mapping.`,
          {
            field: key,
          },
        );
      } else if (how === "open") {
        problems.error(`${reason} State "${key}" in the mapping: ${value}.`, { field: key });
      }
    }
  }
}
