import { z } from "zod";
import type { Connector } from "../collection/collection.ts";
import { type Meter, metersById, resolveForReading } from "../meters/meters.ts";
import { type Queryable, sql } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { granularities, isGranularity } from "../platform/granularity.ts";
import { type Caller, type Endpoint, endpoint, Message, Page } from "../platform/http/endpoint.ts";
import { fieldsOf, readList } from "../platform/http/filter.ts";
import { id } from "../platform/http/schema.ts";
import { invalid, notFound, Problem } from "../platform/problem.ts";
import { parsePeriods, periodIn } from "../platform/time/period.ts";
import { defaultMetric } from "../series/series.ts";
import { assertSeriesBounded, knownMetrics } from "./asked.ts";
import {
  accountsOf,
  type Complaint,
  complaintColumns,
  complaintsOf,
  endComplaints,
  openComplaint,
  origins,
  reachComplaints,
  showComplaints,
} from "./complaint.ts";
import { complaintStates, complaintView, viewComplaints } from "./complaint-view.ts";
import { evaluate } from "./evaluate.ts";
import { reasons } from "./reason.ts";

const fields = fieldsOf({
  _id: { kind: "id", column: sql`c.id` },
  state: {
    kind: "enum",
    column: sql`(case when c.ended is null then 'open' else c.outcome end)`,
    values: complaintStates,
  },
  origin: { kind: "enum", column: sql`c.origin`, values: origins },
  "account._id": { kind: "id", column: sql`c.account_id` },
  "meter._id": { kind: "id", column: sql`c.meter_id` },
  "meter.root_id": { kind: "id", column: sql`c.root_id` },
  "case._id": { kind: "id", column: sql`c.case_id` },
  metric: { kind: "text-exact", column: sql`c.metric` },
  granularity: { kind: "enum", column: sql`c.granularity`, values: granularities },
  reason: { kind: "enum", column: sql`c.reason`, values: reasons },
  missing: { kind: "number", column: sql`c.missing` },
  opened: { kind: "timestamp", column: sql`c.opened` },
  created: { kind: "timestamp", column: sql`c.opened` },
});

const list = endpoint({
  method: "GET",
  path: "/complaints",
  access: "collection",
  summary: "Lists complaints about missing values, of the account and those that it manages.",
  ids: { "account._id": "account", "meter._id": "meter", "case._id": "complaint_case" },
  filters: () => true,
  reply: z.array(complaintView),
  list: true,
  async handle({ who, search, ignored }, { db, settings }) {
    const { where, orderBy, skip, limit } = readList(search, { fields, ignored, pageMax: settings.pageMax });
    const of = sql`${complaintsOf(await accountsOf(db, who))}${where}`;
    const { count } = await db.one<{ count: number }>(sql`select count(*) as count ${of}`);
    const rows = await db.rows<Complaint>(
      sql`select ${complaintColumns} ${of} order by ${orderBy} offset ${skip} limit ${limit}`,
    );
    return new Page(await viewComplaints(db, who, rows), { count, skip, limit });
  },
});

async function show(
  db: Queryable,
  who: Caller,
  complaintId: string,
): Promise<z.output<typeof complaintView>> {
  const found = await db.maybe<Complaint>(sql`
    select ${complaintColumns} ${complaintsOf(await accountsOf(db, who))} and c.id = ${complaintId}`);
  const [view] = found === undefined ? [] : await viewComplaints(db, who, [found]);
  if (view === undefined) throw notFound(`complaint ${complaintId} for account ${who.accountId}`);
  return view;
}

const oneComplaint = z.object({ id: id() });

const read = endpoint({
  method: "GET",
  path: "/complaints/:id",
  access: "collection",
  summary: "One complaint",
  ids: { id: "complaint" },
  params: oneComplaint,
  reply: complaintView,
  handle: ({ who, params }, { db }) => show(db, who, params.id),
});

const complaintBody = z.object({
  meter: id(),
  metric: z.string().optional().meta({ description: "The default metric of the meter unless given." }),
  granularity: z.enum(granularities).optional().meta({
    description: "The granularity that is expected of the meter unless given, or else months.",
  }),
  period: z.string().meta({ example: "202610", description: "START or START-END" }),
  text: z.string().trim().max(2_000).nullish(),
});

/** The reference of a meter that the caller may read; 404, or 403 with the remedy. */
async function readableMeter(db: Queryable, who: Caller, meterId: string): Promise<Meter> {
  const [found] = await resolveForReading(db, who, [meterId]);
  if (found!.outcome === "not_found" || found!.meter.holderId !== who.accountId) {
    throw notFound(`meter ${meterId} of account ${who.accountId}`);
  }
  if (found!.outcome === "forbidden") throw new Problem("forbidden", found!.reason);
  return (await metersById(db, [found!.meter.id]))[0]!;
}

/** What a person complains about, with what is missing of it; 400 when nothing is. */
async function complaintOf(
  body: z.output<typeof complaintBody>,
  { who, connectors }: { who: Caller; connectors: readonly Connector[] },
  { db, clock, settings }: Pick<Deps, "db" | "clock" | "settings">,
): Promise<Complaint> {
  const now = clock.now();
  const meter = await readableMeter(db, who, body.meter);
  const expected = meter.expected_granularity ?? "month";
  const granularity = body.granularity ?? (isGranularity(expected) ? expected : "month");
  const [metric] = knownMetrics([body.metric ?? defaultMetric(meter.type)]);
  const texts = parsePeriods(body.period);
  if (texts.length > 1) throw invalid("period", "takes one period; complain once for each");
  const { from: begins, to: ends } = periodIn(meter.timezone, texts[0]!, now);
  assertSeriesBounded({ granularity, periods: () => [{ from: begins, to: ends }] }, settings);
  const complaint: Complaint = {
    id: "",
    accountId: who.accountId,
    meterId: meter.id,
    rootId: meter.root_id,
    metric: metric!,
    granularity,
    begins,
    ends,
    missing: 0,
    reason: null,
    note: body.text ?? null,
    origin: "person",
    caseId: null,
    opened: now,
    checked: now,
    ended: null,
    outcome: null,
  };
  const found = (await evaluate(db, [complaint], { connectors, now })).get("");
  if (found === undefined || found.missing === 0) {
    throw invalid("period", "no value of the meter is missing there that should be over by now");
  }
  return { ...complaint, missing: found.missing, reason: found.reason };
}

/** Each is looked at every night, by itself. */
const openMax = 10_000;

async function assertRoom(db: Queryable, accountId: string): Promise<void> {
  const { count } = await db.one<{ count: number }>(sql`
    select count(*) as count from complaint
    where account_id = ${accountId} and origin = 'person' and ended is null`);
  if (count < openMax) return;
  throw new Problem(
    "conflict",
    `People of an account have at most ${openMax} open complaints. Take some back, or close their cases.`,
  );
}

const create = (connectors: readonly Connector[]) =>
  endpoint({
    method: "POST",
    path: "/complaints",
    access: "collection",
    summary: "Complains about values of a meter that are missing. It resolves by itself when they are there.",
    ids: { meter: "meter" },
    body: complaintBody,
    reply: complaintView,
    async handle({ who, body }, deps) {
      await assertRoom(deps.db, who.accountId);
      const complaint = await complaintOf(body, { who, connectors }, deps);
      const made = await deps.db.transaction(async (tx) => {
        const opened = await openComplaint(tx, { ...complaint, actorId: who.actorId }, complaint.opened);
        await showComplaints(tx, [complaint.rootId], complaint.opened);
        return opened;
      });
      return show(deps.db, who, made);
    },
  });

const remove = endpoint({
  method: "DELETE",
  path: "/complaints/:id",
  access: "collection",
  summary: "Takes a complaint back. The daily check does not complain about these values again.",
  ids: { id: "complaint" },
  params: oneComplaint,
  reply: z.null(),
  async handle({ who, params }, { db, clock }) {
    const now = clock.now();
    await db.transaction(async (tx) => {
      const [complaint] = await reachComplaints(tx, who, [params.id]);
      await endComplaints(tx, [params.id], { outcome: "deleted", now });
      await tx.run(sql`update complaint set outcome = 'deleted' where id = ${params.id}`);
      await showComplaints(tx, [complaint!.rootId], now);
    });
    return new Message("Deleted complaint.");
  },
});

/** Complaints about missing values. */
export const complaintEndpoints = (connectors: readonly Connector[]): Endpoint[] => [
  list,
  create(connectors),
  read,
  remove,
];
