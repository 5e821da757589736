import { z } from "zod";
import { reach, subaccountsOf } from "../accounts/accounts.ts";
import { any, type Queryable, sql } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { type Caller, type Endpoint, endpoint, Message, Page } from "../platform/http/endpoint.ts";
import { fieldsOf, readList, readPaging } from "../platform/http/filter.ts";
import { id } from "../platform/http/schema.ts";
import { notFound, Problem } from "../platform/problem.ts";
import { receive, uploadForm } from "./form.ts";
import {
  type Import,
  importById,
  importColumns,
  insertImport,
  lockImport,
  moveOn,
  statuses,
} from "./import.ts";
import { importJob } from "./jobs.ts";
import { sendUndo } from "./undo.ts";
import { discardFiles } from "./upload.ts";
import {
  importView,
  problemsOf,
  problemView,
  seriesOf,
  seriesView,
  showImports,
  shownMax,
  wholeImportView,
} from "./view.ts";

const oneImport = z.object({ id: id() });

/** An import into an account within reach of the caller; the 404 of the contract otherwise. */
async function reachImport(db: Queryable, who: Caller, importId: string): Promise<Import> {
  const found = await importById(db, importId);
  await reach(db, who, found.account_id);
  return found;
}

async function showWhole(db: Queryable, found: Import): Promise<z.output<typeof wholeImportView>> {
  const first = { skip: 0, limit: shownMax };
  const [[shown], series, problems] = await Promise.all([
    showImports(db, [found]),
    seriesOf(db, found.id, first),
    problemsOf(db, found.id, first),
  ]);
  return { ...shown!, series, first_problems: problems };
}

const createImport = endpoint({
  method: "POST",
  path: "/imports",
  access: "write_meters",
  summary: "Uploads files of values",
  description:
    "Answers as soon as the files are safe; they are read and stored after that: ask `GET /imports/{id}` until the status is " +
    "`completed` or `failed`. Files are stored whole or refused whole, all of one upload together, with every reason. " +
    "Meters that the account does not have are made. The same files again change nothing.\n\n" +
    "Send `multipart/form-data` with one or several parts `file`; fields may stand before or after them.",
  ids: { account: "account" },
  bodyKind: "multipart",
  body: uploadForm,
  reply: wholeImportView,
  async handle(call, deps) {
    const { who } = call;
    const { db, clock, jobs, settings } = deps;
    const { importId, account, upload, source, dryRun, options } = await receive(call, deps);
    try {
      await upload.seal();
      await db.transaction(async (tx) => {
        await insertImport(tx, {
          id: importId,
          account_id: account.id,
          created: clock.now(),
          created_by: who.actorId ?? who.ownAccountId,
          source,
          files: upload.files,
          contentHash: upload.contentHash,
          options,
          dry_run: dryRun,
        });
        await jobs.send(tx, importJob.name, { importId });
      });
    } catch (error) {
      await discardFiles(settings.dataDir, importId);
      throw error;
    }
    return showWhole(db, await importById(db, importId));
  },
});

const fields = fieldsOf({
  _id: { kind: "id", column: sql`i.id` },
  account: { kind: "id", column: sql`i.account_id` },
  "account._id": { kind: "id", column: sql`i.account_id` },
  status: { kind: "enum", column: sql`i.status`, values: statuses },
  dry_run: { kind: "boolean", column: sql`i.dry_run` },
  source: { kind: "text-exact", column: sql`i.source` },
  created: { kind: "timestamp", column: sql`i.created` },
});

const listImports = endpoint({
  method: "GET",
  path: "/imports",
  access: "basic",
  summary: "Uploads of the account and of those that it manages",
  ids: { "account._id": "account" },
  filters: () => true,
  reply: z.array(importView),
  list: true,
  async handle({ who, search, ignored }, { db, settings }) {
    const { where, orderBy, skip, limit } = readList(search, { fields, ignored, pageMax: settings.pageMax });
    const accounts = [who.accountId, ...(await subaccountsOf(db, who.accountId))];
    const of = sql`from import i where i.account_id = ${any(accounts)}${where}`;
    const { count } = await db.one<{ count: number }>(sql`select count(*) as count ${of}`);
    const rows = await db.rows<Import>(
      sql`select ${importColumns} ${of} order by ${orderBy} offset ${skip} limit ${limit}`,
    );
    return new Page(await showImports(db, rows), { count, skip, limit });
  },
});

const readImport = endpoint({
  method: "GET",
  path: "/imports/:id",
  access: "basic",
  summary: "Where an upload is, and what became of it",
  ids: { id: "import" },
  params: oneImport,
  reply: wholeImportView,
  handle: async ({ who, params }, { db }) => showWhole(db, await reachImport(db, who, params.id)),
});

const listProblems = endpoint({
  method: "GET",
  path: "/imports/:id/problems",
  access: "basic",
  summary: "What is wrong or remarkable in the files: errors first, then in the order of the files",
  description:
    "The first 1,000 errors, 500 warnings and 100 notes are kept; `problems` of the import counts all.",
  ids: { id: "import" },
  params: oneImport,
  reply: z.array(problemView),
  list: true,
  async handle({ who, params, search }, { db, settings }) {
    const { id: importId } = await reachImport(db, who, params.id);
    const paging = readPaging(search, settings.pageMax);
    const { count } = await db.one<{ count: number }>(
      sql`select count(*) as count from import_problem where import_id = ${importId}`,
    );
    return new Page(await problemsOf(db, importId, paging), { count, ...paging });
  },
});

const listSeries = endpoint({
  method: "GET",
  path: "/imports/:id/series",
  access: "basic",
  summary: "Series of an upload, and what became of their values",
  ids: { id: "import" },
  params: oneImport,
  reply: z.array(seriesView),
  list: true,
  async handle({ who, params, search }, { db, settings }) {
    const { id: importId } = await reachImport(db, who, params.id);
    const paging = readPaging(search, settings.pageMax);
    const { count } = await db.one<{ count: number }>(
      sql`select count(*) as count from import_series where import_id = ${importId}`,
    );
    return new Page(await seriesOf(db, importId, paging), { count, ...paging });
  },
});

const undoImport = endpoint({
  method: "POST",
  path: "/imports/:id/undo",
  access: "write_meters",
  summary: "Takes back what an upload stored",
  description:
    "Values go, and those that they had replaced return; values that somebody else has written since stay. A meter that the " +
    "import made goes too, with its copies, when it holds no other values and its holder has changed nothing about it " +
    "(name, address, tags, box, open channels) and no other import names it; otherwise it stays as it is. " +
    "The work is done after the answer; the status becomes `undone`. Asking again changes nothing.",
  ids: { id: "import" },
  params: oneImport,
  reply: wholeImportView,
  async handle({ who, params }, { db, clock, jobs }) {
    const found = await db.transaction(async (tx) => {
      const { id: importId } = await reachImport(tx, who, params.id);
      const { status, dry_run } = await lockImport(tx, importId);
      if (status !== "undoing" && status !== "undone") {
        if (status !== "completed" || dry_run) throw nothingToUndo(status);
        await moveOn(tx, importId, { from: ["completed"], to: "undoing", now: clock.now() });
        await sendUndo(tx, jobs, importId);
      }
      return importById(tx, importId);
    });
    return showWhole(db, found);
  },
});

function nothingToUndo(status: Import["status"]): Problem {
  const isRunning = status === "waiting" || status === "reading" || status === "storing";
  const message = isRunning
    ? `The import is ${status}; undo it when it is completed`
    : "The import has stored nothing, so there is nothing to undo";
  return new Problem("conflict", message);
}

const deleteImport = endpoint({
  method: "DELETE",
  path: "/imports/:id",
  access: "write_meters",
  summary: "Cancels an upload that waits",
  description:
    "Files that are being read, or were stored, cannot be cancelled: undo the import when it is completed.",
  ids: { id: "import" },
  params: oneImport,
  reply: z.undefined(),
  async handle({ who, params }, { db, settings }) {
    const { id: importId } = await reachImport(db, who, params.id);
    const deleted = await db.run(sql`delete from import where id = ${importId} and status = 'waiting'`);
    if (deleted === 0) throw await whyNotDeleted(db, importId);
    await discardFiles(settings.dataDir, importId);
    return new Message("Deleted import.");
  },
});

async function whyNotDeleted(db: Deps["db"], importId: string): Promise<Problem> {
  const found = await db.maybe<{ status: string }>(sql`select status from import where id = ${importId}`);
  if (found === undefined) return notFound(`import ${importId} was deleted meanwhile`);
  return new Problem(
    "conflict",
    `The import is ${found.status}; only a waiting one can be cancelled. Undo a completed one.`,
  );
}

/** Endpoints of uploads. */
export const uploadEndpoints: Endpoint[] = [
  createImport,
  listImports,
  readImport,
  listProblems,
  listSeries,
  undoImport,
  deleteImport,
];
