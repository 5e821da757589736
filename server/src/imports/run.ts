import { lockPart } from "../changes/changes.ts";
import { rootMeters } from "../meters/meters.ts";
import { any, sql, type Tx } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { Problem } from "../platform/problem.ts";
import { type Batch, ingestIn, type RootMeter } from "../series/series.ts";
import { type Import, importById, moveOn, setProgress } from "./import.ts";
import type { Report, ValueRun } from "./messages.ts";
import { beginStoring, lookUp, summaryOf, writeProblems, writeSeries } from "./plan.ts";
import { problemsKept } from "./problem-book.ts";
import { Reader, TooMuchMemory } from "./reader.ts";
import { readingTask } from "./task.ts";
import { sendUndo } from "./undo.ts";
import { discardFiles, fileOf } from "./upload.ts";

/** Unexpected errors after which an import is given up. */
const failuresMax = 5;
/** Progress is stored this often while files are read. */
const progressEveryMs = 500;

/**
 * Reads the files of an import and stores them, or refuses them whole. Safe to repeat: what a killed run has stored
 * is not stored again, and every count is kept in the transaction of its values.
 */
export async function runImport(data: object, deps: Deps, signal: AbortSignal): Promise<void> {
  const { importId } = data as { importId: string };
  try {
    await new Run(importId, deps, signal).run();
  } catch (error) {
    if (signal.aborted) throw error;
    await giveUpOr(error, importId, deps);
  }
}

class Run {
  readonly #id: string;
  readonly #deps: Deps;
  readonly #signal: AbortSignal;

  constructor(id: string, deps: Deps, signal: AbortSignal) {
    this.#id = id;
    this.#deps = deps;
    this.#signal = signal;
  }

  async run(): Promise<void> {
    const { db, clock, settings } = this.#deps;
    await moveOn(db, this.#id, { from: ["waiting"], to: "reading", now: clock.now() });
    const found = await db.maybe<{ status: string }>(sql`select status from import where id = ${this.#id}`);
    // It was cancelled, or a run before this one came to its end.
    if (found?.status !== "reading" && found?.status !== "storing") return;
    const about = await importById(db, this.#id);
    const task = readingTask(settings, {
      files: about.files.map(({ name, bytes }, n) => ({
        name,
        bytes,
        path: fileOf(settings.dataDir, about.id, n),
      })),
      spoolPath: fileOf(settings.dataDir, about.id, about.files.length),
      options: about.options,
      received: about.created,
    });
    const reader = new Reader(task, { signal: this.#signal, progress: this.#progress(about) });
    try {
      await this.#read(about, reader);
    } finally {
      await reader.close();
    }
    await discardFiles(settings.dataDir, this.#id);
  }

  async #read(about: Import, reader: Reader): Promise<void> {
    const { db, clock } = this.#deps;
    const meters = await reader.meters();
    const known = await lookUp(db, { import: about, now: clock.now() }, meters);
    const report = await reader.report(known);
    const created = known.filter(({ isNew }) => isNew);
    if (report.counts.error > 0 || about.dry_run) {
      await this.#finishUnstored(report, { created: created.length, known });
      return;
    }
    const batches = await this.#begin(about, report);
    for (let number = batches; ; number++) {
      const runs = await reader.batch(number);
      this.#signal.throwIfAborted();
      if (runs === null) break;
      await this.#store(about, report, { number, runs });
    }
    await moveOn(db, this.#id, { from: ["storing"], to: "completed", now: clock.now() });
  }

  /** A dry run, or files that are refused: what would have been stored, and why it was not. */
  async #finishUnstored(
    report: Report,
    about: { created: number; known: { isNew: boolean }[] },
  ): Promise<void> {
    const { db, clock } = this.#deps;
    const refused = report.counts.error > 0;
    await db.transaction(async (tx) => {
      const summary = summaryOf(report, about.created);
      await tx.run(sql`update import set summary = ${JSON.stringify(summary)}::jsonb where id = ${this.#id}`);
      await writeProblems(tx, this.#id, report);
      const meters = about.known.map(({ isNew }) => ({ id: null, created: isNew }));
      await writeSeries(tx, this.#id, report, meters);
      await moveOn(tx, this.#id, {
        from: ["reading", "storing"],
        to: refused ? "failed" : "completed",
        now: clock.now(),
      });
    });
  }

  /** Makes the meters, unless an earlier run did; returns how many batches are stored already. */
  async #begin(about: Import, report: Report): Promise<number> {
    const { db, clock } = this.#deps;
    if (about.status === "storing" && about.summary?.digest === summaryOf(report, 0).digest)
      return about.batches;
    await db.transaction(async (tx) => {
      const now = clock.now();
      const moved = await moveOn(tx, this.#id, { from: ["reading", "storing"], to: "storing", now });
      if (!moved) throw new Superseded();
      await setProgress(tx, this.#id, { phase: "storing", bytes: about.bytes, values: 0 });
      await beginStoring(tx, { import: about, now }, report);
    });
    return 0;
  }

  async #store(
    about: Import,
    report: Report,
    batch: { number: number; runs: readonly ValueRun[] },
  ): Promise<void> {
    const { db, clock } = this.#deps;
    const { number, runs } = batch;
    const now = clock.now();
    await db.transaction(async (tx) => {
      const values = runs.reduce((sum, run) => sum + run.starts.length, 0);
      const claimed = await tx.run(sql`
        update import set batches = ${number + 1},
          progress = jsonb_set(progress, '{values}',
            to_jsonb((progress ->> 'values')::bigint + ${values}::bigint))
        where id = ${this.#id} and status = 'storing' and batches = ${number}`);
      if (claimed !== 1) throw new Superseded();
      const meters = await this.#metersOf(tx, report, runs);
      const batches = runs.map(
        (run): Batch => batchOf(about, run, { report, meter: meters.get(run.series)! }),
      );
      const stored = await ingestIn(tx, batches, now);
      const count = (name: "added" | "replaced" | "unchanged" | "older") => stored.map((each) => each[name]);
      // A series has one run for each version.
      await tx.run(sql`
        update import_series s set added = s.added + more.added, replaced = s.replaced + more.replaced,
          unchanged = s.unchanged + more.unchanged, older = s.older + more.older
        from (select n, sum(added) as added, sum(replaced) as replaced, sum(unchanged) as unchanged, sum(older) as older
              from unnest(${runs.map((run) => run.series)}::int[], ${count("added")}::int[], ${count("replaced")}::int[],
                          ${count("unchanged")}::int[], ${count("older")}::int[])
                as counted (n, added, replaced, unchanged, older) group by n) as more
        where s.import_id = ${this.#id} and s.n = more.n`);
    });
  }

  /** The stored meters of runs, by series. Their parts are held from here on, so that none is deleted meanwhile. */
  async #metersOf(tx: Tx, report: Report, runs: readonly ValueRun[]): Promise<Map<number, RootMeter>> {
    const numbers = [...new Set(runs.map((run) => report.series[run.series]!.meter))];
    const rows = await tx.rows<{ n: number; id: string; part: number }>(sql`
      select n, meter_id as id, part from import_meter where import_id = ${this.#id} and n = ${any(numbers, "int4")}`);
    for (const part of [...new Set(rows.map((row) => row.part))].sort((a, b) => a - b))
      await lockPart(tx, part);
    const roots = await rootMeters(
      tx,
      rows.map((row) => row.id),
    );
    const byId = new Map(roots.map(({ id, part, timezone }) => [id, { id, part, timezone }]));
    const gone = rows.find((row) => !byId.has(row.id));
    if (gone !== undefined) {
      throw new Problem(
        "conflict",
        `Meter ${report.meters[gone.n]!.ean} was deleted while its values were stored.`,
      );
    }
    const byNumber = new Map(rows.map((row) => [row.n, byId.get(row.id)!]));
    return new Map(runs.map((run) => [run.series, byNumber.get(report.series[run.series]!.meter)!]));
  }

  #progress(about: Import): (done: { bytes: number; values: number }) => Promise<void> {
    const { db, clock } = this.#deps;
    let last = Number.NEGATIVE_INFINITY;
    return async ({ bytes, values }) => {
      const now = clock.now();
      if (about.status === "storing" || now - last < progressEveryMs) return;
      last = now;
      // Of archives the table of contents is read too: never more than there is.
      await setProgress(db, this.#id, { phase: "reading", bytes: Math.min(bytes, about.bytes), values });
    };
  }
}

function batchOf(
  about: Import,
  run: ValueRun,
  { report, meter }: { report: Report; meter: RootMeter },
): Batch {
  const { metric } = report.series[run.series]!;
  return {
    document: { source: about.source, version: run.version ?? about.created, importId: about.id },
    runs: [
      {
        meter,
        metric,
        granularity: run.granularity,
        starts: run.starts,
        values: run.values,
        quality: run.qualities,
      },
    ],
  };
}

/** Another run stores the same import: this one has nothing more to do. */
class Superseded extends Error {
  constructor() {
    super("another worker stores this import");
    this.name = "Superseded";
  }
}

/** Ends an import that cannot be finished, or throws the error so that the job is repeated. */
async function giveUpOr(error: unknown, importId: string, deps: Deps): Promise<void> {
  if (error instanceof Superseded) return;
  const reason = reasonOf(error);
  const { db, log } = deps;
  const counted = await db.maybe<{ failures: number }>(
    sql`update import set failures = failures + 1 where id = ${importId} returning failures`,
  );
  if (counted === undefined) return;
  if (reason === undefined && counted.failures < failuresMax) throw error;
  log.error({ err: error, import: importId }, "the import is given up");
  await giveUp(
    importId,
    reason ?? "A fault of the server kept the import from being finished. Its log says more.",
    deps,
  );
  await discardFiles(deps.settings.dataDir, importId);
}

/** What the caller may know, when trying again does not help. */
function reasonOf(error: unknown): string | undefined {
  if (error instanceof TooMuchMemory) return error.message;
  if (error instanceof Problem && error.status < 500) return error.message;
  if ((error as NodeJS.ErrnoException).code === "ENOENT")
    return "The uploaded file is gone. Upload it again.";
  return undefined;
}

async function giveUp(importId: string, reason: string, { db, clock, jobs }: Deps): Promise<void> {
  await db.transaction(async (tx) => {
    const now = clock.now();
    await tx.run(sql`
      insert into import_problem (import_id, n, severity, message)
      select ${importId}, coalesce(max(n) + 1, 0), 'error', ${reason.slice(0, 2_000)}
      from import_problem where import_id = ${importId} having count(*) < ${problemsKept.error + problemsKept.warning}`);
    await tx.run(
      sql`update import set problems = jsonb_set(problems, '{error}', to_jsonb((problems ->> 'error')::int + 1)) where id = ${importId}`,
    );
    const failed = await moveOn(tx, importId, { from: ["reading"], to: "failed", now });
    // Nothing stays half stored: what there is goes again.
    if (!failed && (await moveOn(tx, importId, { from: ["storing"], to: "undoing", now }))) {
      await sendUndo(tx, jobs, importId);
    }
  });
}
