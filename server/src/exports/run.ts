import { sql, type Tx } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { type EgressFailure, failureOf } from "../platform/egress/egress.ts";
import { Problem } from "../platform/problem.ts";
import { commit } from "../streams/streams.ts";
import { type MadeCut, makeCut } from "./cut.ts";
import { type Export, type ExportRunRow, exportById, lockExport, openCut } from "./export.ts";
import { recordFailure } from "./failure.ts";
import { exportFormatNamed } from "./formats/all.ts";
import { alone } from "./lock.ts";
import { statesOf } from "./rights.ts";
import { discardFile, fileOf, replaceFile } from "./spool.ts";
import { deliverFile } from "./target.ts";
import type { MadeFile } from "./writing.ts";

/** What is said of an attempt that failed by a fault of ours. */
const ourFault = "A fault of the server kept the file from being made. Its log says more.";

/**
 * Brings an export up to date: finishes the batch that is open, then cuts further ones until nothing is new. Safe to
 * repeat: the name of a file and what it holds are fixed before it is sent for the first time, and the stream moves
 * on only in the transaction that notes the last file of a batch as delivered.
 */
export async function runExport(data: object, deps: Deps, signal: AbortSignal): Promise<void> {
  const { exportId } = data as { exportId: string };
  await alone(deps.db, exportId, async () => {
    try {
      let isFirst = true;
      while (await step(deps, exportId, { signal, isFirst })) isFirst = false;
    } catch (error) {
      if (!signal.aborted && !isBusy(error)) await noteFault(deps, exportId);
      throw error;
    }
  });
}

/** A worker that died holds the stream for some seconds more; the job is repeated. */
const isBusy = (error: unknown) => error instanceof Problem && error.code === "too_many_requests";

/** One batch: made, or found, and sent. Returns whether there may be more to do. */
async function step(
  deps: Deps,
  exportId: string,
  { signal, isFirst }: { signal: AbortSignal; isFirst: boolean },
): Promise<boolean> {
  signal.throwIfAborted();
  const of = await exportById(deps.db, exportId);
  if (of === undefined || of.paused !== null) return false;
  let files = await openCut(deps.db, of.id);
  if (files.length === 0) {
    const cut = await makeCut(deps, of, { after: of.committed, upTo: null, signal });
    if (cut === null) {
      if (isFirst) await noteNothingNew(deps, of.id);
      return false;
    }
    files = await storeCut(deps, of, cut);
  } else if (!(await allGood(deps, of, files))) {
    files = await makeAgain(deps, of, { files, signal });
    if (!(await allGood(deps, of, files))) throw new Error("a file that was just made again is not good");
  }
  for (const run of files.filter(isOpen)) {
    if (!(await send(deps, of, { run, signal }))) return false;
  }
  return true;
}

async function allGood(deps: Deps, of: Export, files: readonly ExportRunRow[]): Promise<boolean> {
  return (await statesOf(deps, of, files.filter(isOpen))).every((state) => state === "good");
}

const isOpen = ({ status }: ExportRunRow) => status === "waiting" || status === "failed";

/** Notes the files of a new batch. Their names hold from here on. A batch without files only moves the stream on. */
async function storeCut(deps: Deps, of: Export, cut: MadeCut): Promise<ExportRunRow[]> {
  await deps.db.transaction(async (tx) => {
    const held = await lockExport(tx, of.id);
    if (held === undefined) return;
    if (cut.files.length === 0) return moveOn(tx, of.id, { streamId: of.streamId, offset: cut.offset });
    const second = 1000;
    const now = Math.floor(deps.clock.now() / second) * second;
    const stamp = Math.max(now, (held.lastStamp ?? 0) + second);
    await tx.run(sql`update export set last_stamp = ${new Date(stamp)} where id = ${of.id}`);
    const offsets = { from: of.committed, to: cut.offset };
    for (const file of cut.files) await insertRun(tx, held, { file, stamp, offsets });
  });
  return openCut(deps.db, of.id);
}

async function insertRun(
  tx: Tx,
  of: Export,
  { file, stamp, offsets }: { file: MadeFile; stamp: number; offsets: { from: number | null; to: number } },
): Promise<void> {
  const { ending, mediaType } = exportFormatNamed(of.format)!;
  const digits = new Date(stamp).toISOString().replace(/\D/g, "").slice(0, 14);
  await tx.run(sql`
    insert into export_run (id, export_id, cut, file, media_type, bytes, rows, sha256, offset_from, offset_to, status)
    values (${file.id}, ${of.id}, ${new Date(stamp)}, ${`${file.folder}${of.id}_${digits}.${ending}`}, ${mediaType},
            ${file.bytes}, ${file.rows}, ${file.sha256}, ${offsets.from}, ${offsets.to}, 'waiting')`);
}

/**
 * Makes the files of a batch again from the same offsets, because one is gone from the disk or holds values that may
 * not be read any more. They keep their names; those that come out equal and were delivered stay delivered.
 */
async function makeAgain(
  deps: Deps,
  of: Export,
  { files, signal }: { files: readonly ExportRunRow[]; signal: AbortSignal },
): Promise<ExportRunRow[]> {
  const { dataDir } = deps.settings;
  const { offsetFrom, offsetTo, cut: stamp } = files[0]!;
  const made = await makeCut(deps, of, { after: offsetFrom, upTo: offsetTo, signal });
  const offset = made?.offset ?? offsetTo;
  const byFolder = new Map((made?.files ?? []).map((file) => [file.folder, file]));
  const pairs = files.map((run) => ({
    run,
    file: byFolder.get(run.file.slice(0, run.file.lastIndexOf("/") + 1)),
  }));
  for (const { run, file } of pairs) {
    const path = fileOf(dataDir, of.id, run.id);
    if (file === undefined) await discardFile(path);
    else {
      byFolder.delete(file.folder);
      // Until the row knows its size, the file counts as gone and is made once more.
      await replaceFile(fileOf(dataDir, of.id, file.id), path);
    }
  }
  await deps.db.transaction(async (tx) => {
    if ((await lockExport(tx, of.id)) === undefined) return;
    for (const { run, file } of pairs) await replaceRun(tx, run, { file, offset });
    const offsets = { from: offsetFrom, to: offset };
    for (const file of byFolder.values()) await insertRun(tx, of, { file, stamp, offsets });
    await finishCut(tx, of);
  });
  return openCut(deps.db, of.id);
}

/** Notes what was made again in the place of a file; `undefined` when nothing is left of it. */
async function replaceRun(
  tx: Tx,
  run: ExportRunRow,
  { file, offset }: { file: MadeFile | undefined; offset: number },
): Promise<void> {
  if (file === undefined) {
    await tx.run(sql`
      update export_run set offset_to = ${offset}, kept = false,
        status = case when status = 'delivered' then status else 'withdrawn' end
      where id = ${run.id}`);
    return;
  }
  await tx.run(sql`
    update export_run set bytes = ${file.bytes}, rows = ${file.rows}, sha256 = ${file.sha256}, offset_to = ${offset},
      kept = true,
      status = case when status in ('delivered', 'withdrawn') and sha256 <> ${file.sha256} then 'waiting' else status end
    where id = ${run.id}`);
}

/** Sends one file; returns whether the target confirmed it. */
async function send(
  deps: Deps,
  of: Export,
  { run, signal }: { run: ExportRunRow; signal: AbortSignal },
): Promise<boolean> {
  const { db, clock } = deps;
  // Everything may have changed while the file before it was sent.
  const present = await exportById(db, of.id);
  if (present === undefined || present.paused !== null) return false;
  const [state] = await statesOf(deps, present, [run]);
  if (state !== "good") return true;
  await db.run(
    sql`update export_run set attempts = attempts + 1, started = ${new Date(clock.now())} where id = ${run.id}`,
  );
  try {
    await deliverFile(deps, present, { run, signal });
  } catch (error) {
    if (signal.aborted) throw error;
    await noteFailure(deps, of.id, { runId: run.id, failure: failureOf(error) });
    return false;
  }
  await noteDelivered(deps, of.id, run.id);
  return true;
}

async function noteDelivered({ db, clock }: Deps, exportId: string, runId: string): Promise<void> {
  await db.transaction(async (tx) => {
    const of = await lockExport(tx, exportId);
    if (of === undefined) return;
    const at = new Date(clock.now());
    await tx.run(sql`
      update export_run set status = 'delivered', error = null, finished = ${at} where id = ${runId}`);
    await tx.run(sql`
      update export set failures = 0, login_failures = 0, told = false, retry_at = null, last_run = ${at},
        last_status = 'delivered', last_error = null
      where id = ${exportId}`);
    await finishCut(tx, of);
  });
}

/** Moves the stream on when every file of the open batch is delivered or withdrawn. */
async function finishCut(tx: Tx, of: Export): Promise<void> {
  const left = await tx.maybe(
    sql`select 1 as one from export_run where export_id = ${of.id} and status in ('waiting', 'failed') limit 1`,
  );
  if (left !== undefined) return;
  const last = await tx.maybe<{ offset: number }>(sql`
    select offset_to as offset from export_run where export_id = ${of.id} order by cut desc, id desc limit 1`);
  if (last !== undefined) await moveOn(tx, of.id, { streamId: of.streamId, offset: last.offset });
}

async function moveOn(tx: Tx, exportId: string, to: { streamId: string; offset: number }): Promise<void> {
  await commit(tx, to.streamId, to.offset);
  await tx.run(sql`update export set committed = ${to.offset} where id = ${exportId}`);
}

async function noteFailure(
  deps: Deps,
  exportId: string,
  { runId, failure }: { runId: string; failure: EgressFailure },
): Promise<void> {
  deps.log.warn(
    { export: exportId, run: runId, reason: failure.reason, inner: failure.inner },
    "a file was not delivered",
  );
  await deps.db.transaction(async (tx) => {
    const of = await lockExport(tx, exportId);
    if (of !== undefined) await recordFailure(tx, deps, of, { runId, failure, now: deps.clock.now() });
  });
}

async function noteNothingNew({ db, clock }: Deps, exportId: string): Promise<void> {
  await db.run(sql`
    update export set last_run = ${new Date(clock.now())}, last_status = 'nothing_new', last_error = null, retry_at = null
    where id = ${exportId}`);
}

async function noteFault({ db, clock }: Deps, exportId: string): Promise<void> {
  await db.run(sql`
    update export set last_run = ${new Date(clock.now())}, last_status = 'failed', last_error = ${ourFault}
    where id = ${exportId}`);
}
