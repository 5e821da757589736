import { type Queryable, type Sql, sql, type Tx } from "../platform/db.ts";
import { notFound } from "../platform/problem.ts";
import type { ProblemCounts } from "./problem-book.ts";

/**
 * Where an import is. `waiting` → `reading` → `storing` → `completed`, or `failed`: then nothing of it is stored.
 * `undoing` → `undone`, or `failed` when values had been stored before it failed.
 */
export const statuses = [
  "waiting",
  "reading",
  "storing",
  "completed",
  "failed",
  "undoing",
  "undone",
] as const;
export type Status = (typeof statuses)[number];

/** What the caller said about the files. */
export interface ImportOptions {
  /** IANA zone that overrides what the files say. */
  timezone?: string;
  /** Unit of values whose file names none. */
  unit?: string;
  /** Metering point of files that name none. */
  meter?: string;
  /** Name of the format, when it is not to be recognised. */
  format?: string;
  /** How tables are read, as it was when the files came. */
  mapping?: unknown;
  /** Name under which the mapping is saved. */
  mapping_name?: string;
  /** New meters go to the box active, not inbox. */
  active: boolean;
  /** Default zone of the account when the files came: kept, so that every attempt reads them alike. */
  account_timezone: string;
}

export interface ImportedFile {
  name: string;
  bytes: number;
  /** Hexadecimal. */
  sha256: string;
}

/** What the files hold. */
export interface Summary {
  formats: string[];
  meters: number;
  meters_created: number;
  series: number;
  /** As printed, missing ones too. */
  values: number;
  missing: number;
  duplicates: number;
  readings: number;
  /** Of everything that batches follow from: equal ones have equal batches. */
  digest: string;
}

export interface Progress {
  phase: Status;
  /** Bytes read of the uploaded files. */
  bytes: number;
  /** Values read, then values stored. */
  values: number;
}

export interface Undone {
  /** Values that were taken away. */
  removed: number;
  /** Values that got back what they had been before. */
  restored: number;
  /** Meters that the import had made: taken away, or kept because they have come to mean something. */
  meters_removed: number;
  meters_kept: number;
}

/** An import as it is stored. */
export interface Import {
  id: string;
  account_id: string;
  /** Epoch milliseconds, as all instants here. */
  created: number;
  created_by: string | null;
  source: string;
  files: ImportedFile[];
  bytes: number;
  options: ImportOptions;
  dry_run: boolean;
  status: Status;
  progress: Progress;
  summary: Summary | null;
  problems: ProblemCounts;
  batches: number;
  failures: number;
  undone: Undone | null;
  started: number | null;
  finished: number | null;
}

const at = (column: Sql) => sql`(extract(epoch from ${column}) * 1000)::float8`;

/** The columns of `Import`, of the table `import` under the name `i`. */
export const importColumns = sql`i.id, i.account_id, ${at(sql`i.created`)} as created, i.created_by, i.source, i.files,
  i.bytes, i.options, i.dry_run, i.status, i.progress, i.summary, i.problems, i.batches, i.failures, i.undone,
  ${at(sql`i.started`)} as started, ${at(sql`i.finished`)} as finished`;

/** The import of that id; throws the 404 of the contract. */
export async function importById(db: Queryable, id: string): Promise<Import> {
  const found = await db.maybe<Import>(sql`select ${importColumns} from import i where i.id = ${id}`);
  if (found === undefined) throw notFound(`import ${id}`);
  return found;
}

/** Like `importById`; nobody else changes the import until the end of the transaction. */
export async function lockImport(tx: Tx, id: string): Promise<Import> {
  await tx.run(sql`select from import where id = ${id} for update`);
  return importById(tx, id);
}

export type NewImport = Pick<
  Import,
  "id" | "account_id" | "created" | "created_by" | "source" | "files" | "options" | "dry_run"
> & { contentHash: Buffer };

/** Stores an import that waits. */
export async function insertImport(tx: Tx, made: NewImport): Promise<void> {
  const bytes = made.files.reduce((sum, file) => sum + file.bytes, 0);
  const progress: Progress = { phase: "waiting", bytes: 0, values: 0 };
  await tx.run(sql`
    insert into import (id, account_id, created, created_by, source, files, bytes, content_hash, options, dry_run, status,
                        progress)
    values (${made.id}, ${made.account_id}, ${new Date(made.created)}, ${made.created_by}, ${made.source},
            ${JSON.stringify(made.files)}::jsonb, ${bytes}, ${made.contentHash}, ${JSON.stringify(made.options)}::jsonb,
            ${made.dry_run}, 'waiting', ${JSON.stringify(progress)}::jsonb)`);
}

/** Shows where the work is. */
export async function setProgress(db: Queryable, id: string, progress: Progress): Promise<void> {
  await db.run(
    sql`update import set progress = ${JSON.stringify(progress)}::jsonb where id = ${id} and status = ${progress.phase}`,
  );
}

/** Moves an import on when it is where it is expected; returns whether it was. */
export async function moveOn(
  db: Queryable,
  id: string,
  { from, to, now }: { from: readonly Status[]; to: Status; now: number },
): Promise<boolean> {
  const ends = to === "completed" || to === "failed" || to === "undone";
  const moved = await db.run(sql`
    update import set status = ${to}, progress = jsonb_set(progress, '{phase}', to_jsonb(${to}::text)),
      started = coalesce(started, ${new Date(now)}), finished = ${ends ? new Date(now) : null}
    where id = ${id} and status = any(${from}::text[])`);
  return moved === 1;
}
