import { createReadStream } from "node:fs";
import { z } from "zod";
import { sql } from "../platform/db.ts";
import { type Endpoint, endpoint, Page, Raw } from "../platform/http/endpoint.ts";
import { fieldsOf, readList } from "../platform/http/filter.ts";
import { id } from "../platform/http/schema.ts";
import { Problem } from "../platform/problem.ts";
import { type ExportRunRow, ownExport, runColumns, runOf, runStatuses } from "./export.ts";
import { sendAgain } from "./job-sending.ts";
import { deliveredFile } from "./rights.ts";
import { flatName } from "./targets/target.ts";
import { runView, showRun } from "./view.ts";

const oneRun = z.object({ id: id(), run_id: id() });
const runIds = { id: "export", run_id: "export_run" } as const;

const fields = fieldsOf({
  _id: { kind: "id", column: sql`r.id` },
  created: { kind: "timestamp", column: sql`r.cut` },
  file: { kind: "text-exact", column: sql`r.file` },
  status: { kind: "enum", column: sql`r.status`, values: runStatuses },
  bytes: { kind: "number", column: sql`r.bytes` },
  rows: { kind: "number", column: sql`r.rows` },
  attempts: { kind: "number", column: sql`r.attempts` },
  started: { kind: "timestamp", column: sql`r.started` },
  finished: { kind: "timestamp", column: sql`r.finished` },
  offset_to: { kind: "number", column: sql`r.offset_to` },
});

const listRuns = endpoint({
  method: "GET",
  path: "/exports/:id/runs",
  access: "basic",
  summary: "Lists the files of an export, oldest first: what became of each.",
  ids: { id: "export" },
  params: z.object({ id: id() }),
  filters: () => true,
  reply: z.array(runView),
  list: true,
  async handle({ who, params, search, ignored }, { db, settings }) {
    const of = await ownExport(db, who, params.id);
    const { where, orderBy, skip, limit } = readList(search, { fields, ignored, pageMax: settings.pageMax });
    const from = sql`from export_run r where r.export_id = ${of.id}${where}`;
    const { count } = await db.one<{ count: number }>(sql`select count(*) as count ${from}`);
    const rows = await db.rows<ExportRunRow>(
      sql`select ${runColumns} ${from} order by ${orderBy} offset ${skip} limit ${limit}`,
    );
    return new Page(
      rows.map((run) => showRun(of, run)),
      { count, skip, limit },
    );
  },
});

const readRun = endpoint({
  method: "GET",
  path: "/exports/:id/runs/:run_id",
  access: "basic",
  summary: "Reads what became of a file.",
  ids: runIds,
  params: oneRun,
  reply: runView,
  async handle({ who, params }, { db }) {
    const of = await ownExport(db, who, params.id);
    return showRun(of, await runOf(db, of.id, params.run_id));
  },
});

const resend = endpoint({
  method: "POST",
  path: "/exports/:id/runs/:run_id/resend",
  access: "basic",
  summary: "Sends a file that was delivered once more, as it was and under its name.",
  description: "Answers before the work is done: `resent` and `resend_error` of the file tell how it ended.",
  ids: runIds,
  params: oneRun,
  reply: runView,
  async handle({ who, params }, deps) {
    const { db, jobs } = deps;
    const of = await ownExport(db, who, params.id);
    const run = await runOf(db, of.id, params.run_id);
    if (run.status !== "delivered") {
      throw new Problem(
        "conflict",
        run.status === "withdrawn"
          ? "The file was never sent: all that it held may not be read any more"
          : "The file was not delivered yet; POST /exports/{id}/run tries it at once",
      );
    }
    await deliveredFile(deps, of, run);
    await db.transaction(async (tx) => {
      await tx.run(sql`update export_run set resend_error = null where id = ${run.id}`);
      await sendAgain(tx, jobs, of, { runId: run.id, attempt: 1 });
    });
    return showRun(of, { ...run, resendError: null });
  },
});

const download = endpoint({
  method: "GET",
  path: "/exports/:id/runs/:run_id/file",
  access: "basic",
  summary: "Downloads a file of an export.",
  ids: runIds,
  params: oneRun,
  reply: z.unknown(),
  async handle({ who, params, header }, deps) {
    const of = await ownExport(deps.db, who, params.id);
    const run = await runOf(deps.db, of.id, params.run_id);
    const path = await deliveredFile(deps, of, run);
    // Names are ours: letters, digits and a few signs.
    header("Content-Disposition", `attachment; filename="${flatName(run.file)}"`);
    header("Content-Length", String(run.bytes));
    header("X-Content-Type-Options", "nosniff");
    return new Raw(run.mediaType, createReadStream(path));
  },
});

/** Endpoints of the files of exports. */
export const runEndpoints: Endpoint[] = [listRuns, readRun, resend, download];
