import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { type FailureKind, failureKinds } from "../collection/connector.ts";

/** Grades of connectors, each with everything below it. */
export const grades = ["basic", "reliable", "proven"] as const;
export type Grade = (typeof grades)[number];

interface Criterion {
  grade: Grade;
  /** What is true of a connector that has it done. */
  about: string;
}

/** What a connector is graded by: honest answers of its author, in `quality.json`. What a machine can check is not here. */
export const criteria = {
  "access-steps": {
    grade: "basic",
    about: "The README leads a customer to access, step by step, as somebody has walked them.",
  },
  "all-meters": {
    grade: "basic",
    about: "Every meter of a customer is found, over all contracts and pages.",
  },
  "stable-keys": {
    grade: "basic",
    about: "The key of a meter stays when its number, name or device changes at the provider.",
  },
  units: {
    grade: "basic",
    about: "Units are read from the answer, or fixed by the provider's documentation.",
  },
  "time-zones": {
    grade: "basic",
    about: "Cases or tests cover the days with 23 and 25 hours in the zone of the provider.",
  },
  "unknown-layout": {
    grade: "basic",
    about: "An answer with a missing, renamed or unknown part is `changed`, and nothing of it is yielded.",
  },
  "absent-values": {
    grade: "basic",
    about: "Values that are not there yet are not yielded; null means that the provider says there is none.",
  },
  qualities: {
    grade: "reliable",
    about: "Every quality code of the provider is mapped; an unknown one is `changed`.",
  },
  corrections: {
    grade: "reliable",
    about: "Values that the provider corrects are read again, and the days for it are known, not guessed.",
  },
  limits: { grade: "reliable", about: "The limits are those that the provider states or enforces." },
  windows: {
    grade: "reliable",
    about: "Long periods are cut as the provider allows, and cover what is wanted exactly once.",
  },
  sessions: {
    grade: "reliable",
    about: "Tokens and sessions are kept in memory, and a session that ends half-way is begun anew.",
  },
  "one-login": {
    grade: "reliable",
    about: "A password that is refused is sent once, never again by itself.",
  },
  "moved-out": { grade: "reliable", about: "A contract that ends is `ended`, after its last values." },
  "whole-engine": {
    grade: "proven",
    about: "Against an emulator with faults, the values that are stored equal those that it published.",
  },
  "real-provider": {
    grade: "proven",
    about: "It has collected from the provider itself for a month, and a case was recorded there.",
  },
  "meter-exchange": { grade: "proven", about: "A new device at the same place goes on in the same series." },
  revoke: { grade: "proven", about: "Access is given back when a connection is deleted." },
} as const satisfies Record<string, Criterion>;
export type CriterionName = keyof typeof criteria;

const because = z.string().min(15, "say why, in a sentence");
const answer = z.union([
  z.literal("done"),
  z.strictObject({ todo: because }),
  z.strictObject({ exempt: because }),
]);

const names = Object.keys(criteria) as CriterionName[];

const qualityFile = z.strictObject({
  /** `"done"`, `{"todo": why}` or `{"exempt": why}` for each. */
  criteria: z.strictObject(Object.fromEntries(names.map((name) => [name, answer]))),
  /** Kinds of failure that no case shows, and why. */
  failures_without_case: z.partialRecord(z.enum(failureKinds), because).default({}),
  /** Members of the provider's JSON that it may leave out, by their path without places in lists, and what that means. */
  optional_parts: z.record(z.string(), because).default({}),
  /** Why there are no cases of meters found and values delivered. */
  no_recorded_talk: because.optional(),
});

/** The grade file of a connector. */
export interface Quality {
  criteria: Record<CriterionName, "done" | { todo: string } | { exempt: string }>;
  failures_without_case: Partial<Record<FailureKind, string>>;
  optional_parts: Record<string, string>;
  no_recorded_talk?: string | undefined;
}

/**
 * Reads `quality.json` of a connector.
 * @throws Error that names what is missing, unknown or not explained
 */
export function readQuality(connectorFolder: string): Quality {
  const path = join(connectorFolder, "quality.json");
  const result = qualityFile.safeParse(JSON.parse(readFileSync(path, "utf8")));
  if (!result.success) throw new Error(`${path}:\n${z.prettifyError(result.error)}`);
  return result.data as Quality;
}

/** The highest grade whose criteria, and those below, are all done or exempt; `null` when something basic is to do. */
export function gradeOf({ criteria: answers }: Quality): Grade | null {
  const isOpen = (grade: Grade) =>
    names.some((name) => {
      const given = answers[name];
      return criteria[name].grade === grade && typeof given === "object" && "todo" in given;
    });
  const at = grades.findIndex(isOpen);
  return at < 0 ? grades.at(-1)! : (grades[at - 1] ?? null);
}
