import { z } from "zod";
import { type Queryable, sql } from "../platform/db.ts";
import { type Caller, type Endpoint, endpoint, Page, Raw } from "../platform/http/endpoint.ts";
import { fieldsOf, readList } from "../platform/http/filter.ts";
import { formatTimestamp, id, timestampText } from "../platform/http/schema.ts";
import { notFound } from "../platform/problem.ts";
import { type RunReason, reachConnection, runReasons } from "./connection.ts";
import { oneConnection } from "./connection-api.ts";
import { stepView, viewSteps } from "./connection-view.ts";
import { type FailureKind, failureKinds } from "./connector.ts";
import type { TraceLine } from "./http.ts";
import { keptPage } from "./kept-page.ts";
import type { Step } from "./visit.ts";

const outcomes = ["running", "complete", "failed", "interrupted"] as const;

interface Run {
  id: string;
  reason: RunReason;
  began: number;
  ended: number | null;
  outcome: (typeof outcomes)[number];
  failure: FailureKind | null;
  message: string | null;
  steps: Step[];
  counts: Record<string, number>;
  trace: TraceLine[];
  hasPage: boolean;
}

const columns = sql`r.id, r.reason, (extract(epoch from r.began) * 1000)::float8 as began,
  (extract(epoch from r.ended) * 1000)::float8 as ended, r.outcome, r.failure, r.message, r.steps, r.counts, r.trace,
  r.page is not null as "hasPage"`;

const runView = z.object({
  _id: z.string(),
  reason: z.enum(runReasons).describe("Why it began"),
  began: timestampText(),
  ended: timestampText().nullable(),
  seconds: z.number().nullable().describe("How long it took; null while it is on"),
  outcome: z.enum(outcomes),
  failure: z.enum(failureKinds).nullable(),
  message: z.string().nullable().describe("What the connector met, for its author; in English"),
  steps: z.array(stepView),
  counts: z.record(z.string(), z.number()).describe("Meters found, values added, replaced, unchanged, …"),
  has_page: z
    .boolean()
    .describe("A page was not understood and is kept: `/connections/{id}/runs/{run_id}/page`"),
});

const wholeRunView = runView.extend({
  trace: z
    .array(
      z.object({
        at: timestampText(),
        method: z.string(),
        url: z.string(),
        status: z.int().nullable().describe("Null when no answer came"),
        ms: z.int(),
        bytes: z.int(),
      }),
    )
    .describe("The first 300 requests, without headers, bodies and secrets"),
});

function view(run: Run): z.output<typeof runView> {
  const { began, ended, hasPage, steps, id: _id, reason, outcome, failure, message, counts } = run;
  return {
    _id,
    reason,
    began: formatTimestamp(began),
    ended: ended === null ? null : formatTimestamp(ended),
    seconds: ended === null ? null : (ended - began) / 1000,
    outcome,
    failure,
    message,
    steps: viewSteps(steps),
    counts,
    has_page: hasPage,
  };
}

const fields = fieldsOf({
  _id: { kind: "id", column: sql`r.id` },
  outcome: { kind: "enum", column: sql`r.outcome`, values: outcomes },
  reason: { kind: "enum", column: sql`r.reason`, values: runReasons },
  failure: { kind: "enum", column: sql`r.failure`, values: failureKinds },
  began: { kind: "timestamp", column: sql`r.began` },
  created: { kind: "timestamp", column: sql`r.began` },
});

const list = endpoint({
  method: "GET",
  path: "/connections/:id/runs",
  access: "collection",
  summary: "Lists the runs of a connection; `sort=-began` for the latest first.",
  ids: { id: "connection" },
  params: oneConnection,
  filters: () => true,
  reply: z.array(runView),
  list: true,
  async handle({ who, params, search, ignored }, { db, settings }) {
    const connection = await reachConnection(db, who, { id: params.id });
    const { where, orderBy, skip, limit } = readList(search, { fields, ignored, pageMax: settings.pageMax });
    const of = sql`from connection_run r where r.connection_id = ${connection.id}${where}`;
    const { count } = await db.one<{ count: number }>(sql`select count(*) as count ${of}`);
    const rows = await db.rows<Run>(
      sql`select ${columns} ${of} order by ${orderBy} offset ${skip} limit ${limit}`,
    );
    return new Page(rows.map(view), { count, skip, limit });
  },
});

const oneRun = z.object({ id: id(), run_id: id() });
const ids = { id: "connection", run_id: "connection_run" } as const;

const one = endpoint({
  method: "GET",
  path: "/connections/:id/runs/:run_id",
  access: "collection",
  summary: "One run: what it did, step by step, and which requests it sent.",
  ids,
  params: oneRun,
  reply: wholeRunView,
  async handle({ who, params }, { db }) {
    await reachConnection(db, who, { id: params.id });
    const run = await runOf(db, params);
    return {
      ...view(run),
      trace: run.trace.map((line) => ({ ...line, at: formatTimestamp(line.at) })),
    };
  },
});

async function runOf(db: Queryable, { id: connectionId, run_id }: z.output<typeof oneRun>): Promise<Run> {
  const run = await db.maybe<Run>(
    sql`select ${columns} from connection_run r where r.id = ${run_id} and r.connection_id = ${connectionId}`,
  );
  if (run === undefined) throw notFound(`run ${run_id} of connection ${connectionId}`);
  return run;
}

const page = endpoint({
  method: "GET",
  path: "/connections/:id/runs/:run_id/page",
  access: "collection",
  summary: "The page of the provider that a run did not understand, for the author of the connector.",
  ids,
  params: oneRun,
  reply: z.unknown(),
  async handle({ who, params, header }, { db, keys }) {
    await reachConnection(db, who as Caller, { id: params.id });
    await runOf(db, params);
    const text = (await keptPage(db, { keys, runId: params.run_id })) ?? "";
    // It is somebody else's page: never shown as one of ours.
    header("Content-Disposition", 'attachment; filename="page.txt"');
    return new Raw("text/plain; charset=utf-8", Buffer.from(text));
  },
});

/** What happened in runs. */
export const runEndpoints: Endpoint[] = [list, one, page];
