import type { Severity } from "../formats/format.ts";

/** Something about the content of an uploaded file. */
export interface FileProblem {
  severity: Severity;
  /** File that it is in, as in `archive.zip/may.csv`; null when it concerns the whole import. */
  file: string | null;
  /** 1-based line of the unpacked file. */
  line: number | null;
  /** Column or element as printed. */
  field: string | null;
  /** What is wrong and the remedy. */
  message: string;
}

/** How many problems there are of each severity. */
export type ProblemCounts = Record<Severity, number>;

/** How many of each severity are kept; the rest is counted. */
export const problemsKept: Readonly<ProblemCounts> = { error: 1_000, warning: 500, info: 100 };

/** Collects the problems of all files of an import: errors can never be crowded out by lesser ones. */
export class ProblemBook {
  readonly kept: FileProblem[] = [];
  readonly counts: ProblemCounts = { error: 0, warning: 0, info: 0 };

  add(
    severity: Severity,
    message: string,
    place: Partial<Omit<FileProblem, "severity" | "message">> = {},
  ): void {
    this.counts[severity]++;
    if (this.counts[severity] > problemsKept[severity]) return;
    const { file = null, line = null, field = null } = place;
    this.kept.push({ severity, file, line, field, message });
  }
}
