import { rootMeters } from "../meters/meters.ts";
import { any, type Db, sql, type Tx } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import type { JobKind, Jobs } from "../platform/jobs.ts";
import { undoImport } from "../series/series.ts";
import { importById, lockImport, moveOn, type Undone } from "./import.ts";
import { removeSome } from "./made-meters.ts";
import { discardFiles } from "./upload.ts";

/** Meters in one transaction: all their values are looked at, and their part is held meanwhile. */
const metersAtOnce = 10;

/** The job that takes an import back. */
export const undoJob: JobKind = {
  name: "undo-import",
  retries: 20,
  secondsMax: 6 * 3600,
  atOnce: 1,
  run: undo,
};

const nothing: Undone = { removed: 0, restored: 0, meters_removed: 0, meters_kept: 0 };

/** Starts to take an import back when the transaction commits; its status is `undoing` then. */
export async function sendUndo(tx: Tx, jobs: Jobs, importId: string): Promise<void> {
  await tx.run(sql`
    update import set undone = ${JSON.stringify(nothing)}::jsonb
    where id = ${importId} and undone is null`);
  await jobs.send(tx, undoJob.name, { importId });
}

/**
 * Takes back what an import stored, some meters at a time: first values, those that somebody else has written since
 * stay; then the meters that it made, unless they have come to mean something. Safe to repeat.
 */
async function undo(data: object, { db, clock, settings }: Deps, signal: AbortSignal): Promise<void> {
  const { importId } = data as { importId: string };
  const found = await db.maybe<{ status: string }>(sql`select status from import where id = ${importId}`);
  if (found?.status !== "undoing") return;
  while (await undoSome(db, importId, clock.now())) signal.throwIfAborted();
  while (await removeSome(db, importId)) signal.throwIfAborted();
  const { problems } = await importById(db, importId);
  // An import that failed half way ends as what it is.
  const to = problems.error > 0 ? "failed" : "undone";
  await moveOn(db, importId, { from: ["undoing"], to, now: clock.now() });
  await discardFiles(settings.dataDir, importId);
}

interface WaitingMeter {
  n: number;
  id: string;
  part: number;
}

/** Undoes the next meters of one part; returns whether there were any. */
async function undoSome(db: Db, importId: string, now: number): Promise<boolean> {
  return db.transaction(async (tx) => {
    const { status } = await lockImport(tx, importId);
    const waiting = await tx.rows<WaitingMeter>(sql`
      select n, meter_id as id, part from import_meter where import_id = ${importId} and not undone
      order by part, n limit ${metersAtOnce}`);
    const part = waiting[0]?.part;
    if (part === undefined || status !== "undoing") return false;
    const some = waiting.filter((meter) => meter.part === part);
    // Meters that were deleted since have no values; the others may have got another zone.
    const meters = await rootMeters(
      tx,
      some.map(({ id }) => id),
    );
    const { removed, replaced } = await undoImport(tx, { part, importId, meters, now });
    const numbers = some.map(({ n }) => n);
    await tx.run(
      sql`update import_meter set undone = true where import_id = ${importId} and n = ${any(numbers, "int4")}`,
    );
    await tx.run(sql`
      update import set undone = undone || jsonb_build_object(
        'removed', (undone ->> 'removed')::bigint + ${removed}::bigint,
        'restored', (undone ->> 'restored')::bigint + ${replaced}::bigint)
      where id = ${importId}`);
    return true;
  });
}
