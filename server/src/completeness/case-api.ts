import { z } from "zod";
import type { Connector } from "../collection/collection.ts";
import { any, sql } from "../platform/db.ts";
import { type Endpoint, endpoint, Page } from "../platform/http/endpoint.ts";
import { fieldsOf, readList } from "../platform/http/filter.ts";
import { formatTimestamp, id } from "../platform/http/schema.ts";
import { invalid } from "../platform/problem.ts";
import { lookable } from "./asked.ts";
import {
  addCase,
  type Case,
  caseById,
  caseColumns,
  casesOf,
  closeCase,
  complaintsIn,
  moveToCase,
  openComplaintsIn,
} from "./case.ts";
import { settle } from "./check.ts";
import {
  accountsOf,
  closeEmptyCases,
  endComplaints,
  origins,
  reachComplaints,
  showComplaints,
} from "./complaint.ts";
import { caseView, complaintView, viewCases, viewComplaints } from "./complaint-view.ts";
import { gapView, viewGap } from "./completeness-view.ts";

/** Complaints of a case that one request makes, or looks at. */
const complaintsMax = 1_000;
const gapsShown = 20;

const fields = fieldsOf({
  _id: { kind: "id", column: sql`k.id` },
  state: {
    kind: "enum",
    column: sql`(case when k.closed is null then 'open' else 'closed' end)`,
    values: ["open", "closed"],
  },
  origin: { kind: "enum", column: sql`k.origin`, values: origins },
  "account._id": { kind: "id", column: sql`k.account_id` },
  "connection._id": { kind: "id", column: sql`k.connection_id` },
  opened: { kind: "timestamp", column: sql`k.opened` },
  created: { kind: "timestamp", column: sql`k.opened` },
  closed: { kind: "timestamp", column: sql`k.closed` },
});

const list = endpoint({
  method: "GET",
  path: "/complaint_cases",
  access: "collection",
  summary: "Lists the cases in which complaints are followed up, of the account and those that it manages.",
  ids: { "account._id": "account", "connection._id": "connection" },
  filters: () => true,
  reply: z.array(caseView),
  list: true,
  async handle({ who, search, ignored }, { db, settings }) {
    const { where, orderBy, skip, limit } = readList(search, { fields, ignored, pageMax: settings.pageMax });
    const of = sql`${casesOf(await accountsOf(db, who))}${where}`;
    const { count } = await db.one<{ count: number }>(sql`select count(*) as count ${of}`);
    const rows = await db.rows<Case>(
      sql`select ${caseColumns} ${of} order by ${orderBy} offset ${skip} limit ${limit}`,
    );
    return new Page(await viewCases(db, rows), { count, skip, limit });
  },
});

const oneCase = z.object({ id: id() });

const read = endpoint({
  method: "GET",
  path: "/complaint_cases/:id",
  access: "collection",
  summary: "One case",
  ids: { id: "complaint_case" },
  params: oneCase,
  reply: caseView,
  handle: async ({ who, params }, { db }) => (await viewCases(db, [await caseById(db, who, params.id)]))[0],
});

const text = z.string().trim().max(2_000).nullish();

const create = endpoint({
  method: "POST",
  path: "/complaint_cases",
  access: "collection",
  summary: "Puts open complaints into a case, to follow them up together.",
  description: "A complaint is in one case: it leaves the one that it was in.",
  ids: { complaints: "complaint" },
  body: z.object({
    complaints: z.array(id()).min(1).max(complaintsMax),
    title: z.string().trim().min(1).max(200).nullish(),
    text,
  }),
  reply: caseView,
  async handle({ who, body }, { db, clock }) {
    const now = clock.now();
    const made = await db.transaction(async (tx) => {
      const complaints = await reachComplaints(tx, who, body.complaints);
      if (complaints.some(({ ended }) => ended !== null)) {
        throw invalid("complaints", "names one that is not open any more");
      }
      const caseId = await addCase(tx, who, { title: body.title ?? null, note: body.text ?? null, now });
      const left = await moveToCase(tx, caseId, complaints);
      await closeEmptyCases(tx, sql`k.id = ${any(left)}`, now);
      return caseId;
    });
    return (await viewCases(db, [await caseById(db, who, made)]))[0];
  },
});

const close = endpoint({
  method: "PUT",
  path: "/complaint_cases/:id/close",
  access: "collection",
  summary: "Closes a case and its complaints, whether the values are there or not.",
  description:
    "The daily check does not complain about these values again. A case that is closed stays as it is.",
  ids: { id: "complaint_case" },
  params: oneCase,
  body: z.object({ text }).optional(),
  reply: caseView,
  async handle({ who, params, body }, { db, clock }) {
    const now = clock.now();
    await db.transaction(async (tx) => {
      await caseById(tx, who, params.id);
      await closeCase(tx, params.id, { note: body?.text ?? null, now });
      const rows = await tx.rows<{ id: string; root_id: string }>(sql`
        select id, root_id from complaint where case_id = ${params.id} and ended is null order by id for no key update`);
      await endComplaints(
        tx,
        rows.map((row) => row.id),
        { outcome: "closed", now },
      );
      await showComplaints(tx, [...new Set(rows.map((row) => row.root_id))], now);
    });
    return (await viewCases(db, [await caseById(db, who, params.id)]))[0];
  },
});

const checkup = (connectors: readonly Connector[]) =>
  endpoint({
    method: "GET",
    path: "/complaint_cases/:id/checkup",
    access: "collection",
    summary: "Looks now whether the values of a case are there. Complaints whose values are there resolve.",
    ids: { id: "complaint_case" },
    params: oneCase,
    reply: caseView.extend({
      checked: z.array(
        complaintView.extend({
          gaps: z.array(gapView).describe("What is missing now: the first 20 gaps of each"),
          next_try: gapView.shape.next_try.describe("The first of all gaps"),
        }),
      ),
      left_out: z
        .int()
        .describe("Open complaints beyond the first 1,000, or as many as one request may look at"),
    }),
    async handle({ who, params }, { db, clock, settings }) {
      const { open } = await caseById(db, who, params.id);
      const complaints = lookable(await openComplaintsIn(db, params.id, complaintsMax), settings);
      const evaluated = await settle(db, complaints, { connectors, now: clock.now() });
      const [view] = await viewCases(db, [await caseById(db, who, params.id)]);
      const looked = complaints.map((each) => each.id);
      const views = await viewComplaints(db, who, await complaintsIn(db, params.id, looked));
      return {
        ...view,
        checked: views.map((each) => {
          const gaps = evaluated.get(each._id)?.gaps ?? [];
          const tries = gaps.flatMap(({ nextTry }) => nextTry ?? []);
          return {
            ...each,
            gaps: gaps.slice(0, gapsShown).map(viewGap),
            next_try: tries.length === 0 ? null : formatTimestamp(Math.min(...tries)),
          };
        }),
        left_out: open - complaints.length,
      };
    },
  });

/** Cases in which complaints are followed up. */
export const caseEndpoints = (connectors: readonly Connector[]): Endpoint[] => [
  list,
  create,
  read,
  checkup(connectors),
  close,
];
