import { any, sql } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { goneExports } from "./export.ts";
import { discardFile, discardFolder, fileOf, filesBefore, folders } from "./spool.ts";

const day = 86_400_000;
/** Files that are being made for the first time have no row yet; a batch never takes so long. */
const unfinishedMs = day;
/** Rows of files outlast the files themselves, as the history of the export. */
const historyFactor = 4;

/** Removes files whose time is over, and those of exports and accounts that are gone. */
export async function tidyExports(_data: object, { db, clock, settings }: Deps): Promise<void> {
  const now = clock.now();
  const keptMs = settings.deliveryDays * day;
  await db.run(sql`
    update export_run set kept = false
    where kept and status in ('delivered', 'withdrawn') and cut < ${new Date(now - keptMs)}`);
  await db.run(sql`
    delete from export_run where not kept and status in ('delivered', 'withdrawn')
      and cut < ${new Date(now - historyFactor * keptMs)}`);
  const found = await folders(settings.dataDir);
  const gone = new Set(await goneExports(db, found));
  for (const exportId of found) {
    if (gone.has(exportId)) await discardFolder(settings.dataDir, exportId);
    else await discardUnkept(exportId, { db, dataDir: settings.dataDir, before: now - unfinishedMs });
  }
}

async function discardUnkept(
  exportId: string,
  { db, dataDir, before }: { db: Deps["db"]; dataDir: string; before: number },
): Promise<void> {
  const files = await filesBefore(dataDir, exportId, before);
  if (files.length === 0) return;
  const kept = await db.rows<{ id: string }>(
    sql`select id from export_run where export_id = ${exportId} and kept and id = ${any(files)}`,
  );
  const needed = new Set(kept.map(({ id }) => id));
  for (const runId of files) if (!needed.has(runId)) await discardFile(fileOf(dataDir, exportId, runId));
}
