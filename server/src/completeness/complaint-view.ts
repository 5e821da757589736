import { z } from "zod";
import { accountById, accountRefs, accountRefView } from "../accounts/accounts.ts";
import { wordsIn } from "../collection/collection.ts";
import { metersById } from "../meters/meters.ts";
import { any, type Queryable, sql } from "../platform/db.ts";
import { granularities } from "../platform/granularity.ts";
import type { Caller } from "../platform/http/endpoint.ts";
import { formatTimestamp, timestampText } from "../platform/http/schema.ts";
import { type Case, casesOf } from "./case.ts";
import { accountsOf, type Complaint, origins } from "./complaint.ts";
import { reasonMeanings, reasons } from "./reason.ts";

/** States of a complaint that are shown. */
export const complaintStates = ["open", "resolved", "closed"] as const;

/** A complaint as answers show it. */
export const complaintView = z.object({
  _id: z.string(),
  state: z.enum(complaintStates).describe("resolved: the values came; closed: its case was closed before"),
  origin: z.enum(origins).describe("Who made it: the daily check, or a person"),
  account: accountRefView.nullable().describe("Whose complaint it is"),
  meter: z.object({
    _id: z.string(),
    root_id: z.string(),
    ean: z.string().nullable(),
    name: z.string().nullable(),
  }),
  metric: z.string(),
  granularity: z.enum(granularities),
  from: timestampText().describe("Values are missing from here"),
  to: timestampText().describe("up to here"),
  missing: z.int().describe("How many, when it was last checked"),
  reason: z.enum(reasons).nullable().describe("Why most of them, see `/completeness`"),
  who_acts: z.enum(["nobody", "customer", "operator", "provider"]).nullable(),
  what_to_do: z.string().nullable().describe("In the language of the asking account"),
  text: z.string().nullable(),
  case: z.object({ _id: z.string() }).nullable(),
  opened: timestampText(),
  checked: timestampText(),
  ended: timestampText().nullable(),
});

/** A case as answers show it. */
export const caseView = z.object({
  _id: z.string(),
  state: z.enum(["open", "closed"]),
  origin: z.enum(origins),
  account: accountRefView.nullable(),
  connection: z
    .object({ _id: z.string() })
    .nullable()
    .describe("The connection that the values are missing from"),
  title: z.string().nullable(),
  text: z.string().nullable(),
  complaints: z.object({ open: z.int(), total: z.int() }),
  opened: timestampText(),
  closed: timestampText().nullable(),
  closed_by: z.enum(origins).nullable().describe("check: nothing was missing any more"),
});

const at = (instant: number | null) => (instant === null ? null : formatTimestamp(instant));

/** Shows complaints, in order, to a caller. */
export async function viewComplaints(
  db: Queryable,
  who: Pick<Caller, "accountId">,
  complaints: readonly Complaint[],
): Promise<z.output<typeof complaintView>[]> {
  const meters = await metersById(db, [...new Set(complaints.map(({ meterId }) => meterId))]);
  const byId = new Map(meters.map((meter) => [meter.id, meter]));
  const accounts = await accountRefs(
    db,
    complaints.map(({ accountId }) => accountId),
  );
  const cases = await visibleCases(db, who, complaints);
  const { language } = await accountById(db, who.accountId);
  return complaints.flatMap((complaint) => {
    const { meterId, rootId, reason, caseId } = complaint;
    const meter = byId.get(meterId);
    if (meter === undefined) return [];
    return {
      _id: complaint.id,
      state: complaint.ended === null ? "open" : complaint.outcome === "resolved" ? "resolved" : "closed",
      origin: complaint.origin,
      account: accounts.get(complaint.accountId) ?? null,
      meter: { _id: meterId, root_id: rootId, ean: meter.ean, name: meter.name },
      metric: complaint.metric,
      granularity: complaint.granularity,
      from: formatTimestamp(complaint.begins),
      to: formatTimestamp(complaint.ends),
      missing: complaint.missing,
      reason,
      who_acts: reason === null ? null : reasonMeanings[reason].who,
      what_to_do: reason === null ? null : wordsIn(reasonMeanings[reason].what, language),
      text: complaint.note,
      case: caseId !== null && cases.has(caseId) ? { _id: caseId } : null,
      opened: formatTimestamp(complaint.opened),
      checked: formatTimestamp(complaint.checked),
      ended: at(complaint.ended),
    };
  });
}

/** The cases of complaints that a caller may see: a manager may have put a complaint of its subaccount into its own. */
async function visibleCases(
  db: Queryable,
  who: Pick<Caller, "accountId">,
  complaints: readonly Complaint[],
): Promise<Set<string>> {
  const ids = complaints.flatMap(({ caseId }) => caseId ?? []);
  const rows = await db.rows<{ id: string }>(
    sql`select k.id ${casesOf(await accountsOf(db, who))} and k.id = ${any(ids)}`,
  );
  return new Set(rows.map((row) => row.id));
}

/** Shows cases, in order. */
export async function viewCases(db: Queryable, cases: readonly Case[]): Promise<z.output<typeof caseView>[]> {
  const accounts = await accountRefs(
    db,
    cases.map(({ accountId }) => accountId),
  );
  return cases.map(
    ({ id, accountId, origin, connectionId, title, note, open, total, opened, closed, closedBy }) => ({
      _id: id,
      state: closed === null ? "open" : "closed",
      origin,
      account: accounts.get(accountId) ?? null,
      connection: connectionId === "" ? null : { _id: connectionId },
      title,
      text: note,
      complaints: { open, total },
      opened: formatTimestamp(opened),
      closed: at(closed),
      closed_by: closedBy,
    }),
  );
}
