import { visibleRoots } from "../meters/meters.ts";
import type { Queryable } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { Problem } from "../platform/problem.ts";
import type { Export, ExportRunRow } from "./export.ts";
import { fileOf, metersIn } from "./spool.ts";

/** What may be done with a file on disk: `gone` when it, or a part of it, is not there any more. */
export type FileState = "good" | "gone" | "forbidden";

/** Looks at each file: is it there, and may the account still read every meter whose values it holds? */
export async function statesOf(
  { db, settings }: Pick<Deps, "db" | "settings">,
  of: Export,
  runs: readonly ExportRunRow[],
): Promise<FileState[]> {
  const readable = await readableRoots(db, of.accountId);
  const states: FileState[] = [];
  for (const run of runs) {
    const roots = await metersIn(fileOf(settings.dataDir, of.id, run.id), run.bytes);
    if (roots === undefined) states.push("gone");
    else states.push(roots.every((root) => readable.has(root)) ? "good" : "forbidden");
  }
  return states;
}

async function readableRoots(db: Queryable, accountId: string): Promise<Set<string>> {
  return new Set((await visibleRoots(db, accountId)).map(({ id }) => id));
}

/**
 * The path of a file that was delivered, for whoever asks for it again.
 * @throws Problem when it is not kept any more, or holds values that the account may no longer read
 */
export async function deliveredFile(
  deps: Pick<Deps, "db" | "settings">,
  of: Export,
  run: ExportRunRow,
): Promise<string> {
  const days = deps.settings.deliveryDays;
  const [state] = run.kept ? await statesOf(deps, of, [run]) : ["gone" as const];
  if (state === "gone")
    throw new Problem("conflict", `The file is not here any more: files are kept ${days} days`);
  if (state === "forbidden") {
    throw new Problem(
      "forbidden",
      "The file holds values of a meter that the account may no longer read, or that is not in the box active",
    );
  }
  return fileOf(deps.settings.dataDir, of.id, run.id);
}
