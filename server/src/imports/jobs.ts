import { any, sql } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import type { JobKind } from "../platform/jobs.ts";
import { runImport } from "./run.ts";
import { undoJob } from "./undo.ts";
import { discardFiles, foldersBefore } from "./upload.ts";

/** The job that reads the files of an import and stores them. */
export const importJob: JobKind = {
  name: "import",
  // The import itself counts unexpected errors and gives up; see `runImport`.
  retries: 20,
  secondsMax: 6 * 3600,
  atOnce: 1,
  run: runImport,
};

/** An upload that was cut off leaves its folder so long. */
const abandonedMs = 86_400_000;

/** Removes files that no import waits for: of uploads that were cut off by the end of the server. */
async function tidyUploads(_data: object, { db, clock, settings }: Deps): Promise<void> {
  const found = await foldersBefore(settings.dataDir, clock.now() - abandonedMs);
  if (found.length === 0) return;
  const waiting = await db.rows<{ id: string }>(sql`
    select id from import where id = ${any(found)} and status in ('waiting', 'reading', 'storing')`);
  const needed = new Set(waiting.map(({ id }) => id));
  for (const id of found) if (!needed.has(id)) await discardFiles(settings.dataDir, id);
}

const tidyUploadsJob: JobKind = {
  name: "tidy-uploads",
  retries: 3,
  secondsMax: 600,
  atOnce: 1,
  cron: "17 3 * * *",
  run: tidyUploads,
};

/** Every kind of job of imports. */
export const importJobs: readonly JobKind[] = [importJob, undoJob, tidyUploadsJob];
