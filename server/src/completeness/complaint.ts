import { subaccountsOf } from "../accounts/accounts.ts";
import { setComplained } from "../meters/meters.ts";
import { any, type Queryable, type Sql, sql, type Tx } from "../platform/db.ts";
import type { Granularity } from "../platform/granularity.ts";
import type { Caller } from "../platform/http/endpoint.ts";
import { newId } from "../platform/id.ts";
import { notFound } from "../platform/problem.ts";
import type { Reason } from "./reason.ts";

/** Who made a complaint or a case. */
export const origins = ["check", "person"] as const;
export type Origin = (typeof origins)[number];

/** How a complaint ended. */
export type Outcome = "resolved" | "closed" | "deleted";

/** A complaint: values of a metric of a meter are missing in [begins, ends). Instants are epoch ms. */
export interface Complaint {
  id: string;
  accountId: string;
  /** The account's reference. */
  meterId: string;
  rootId: string;
  metric: string;
  granularity: Granularity;
  begins: number;
  ends: number;
  missing: number;
  reason: Reason | null;
  note: string | null;
  origin: Origin;
  caseId: string | null;
  opened: number;
  checked: number;
  ended: number | null;
  outcome: Outcome | null;
}

const ms = (column: Sql) => sql`(extract(epoch from ${column}) * 1000)::float8`;

/** Columns of a `Complaint`, of the table under the name `c`. */
export const complaintColumns = sql`c.id, c.account_id as "accountId", c.meter_id as "meterId", c.root_id as "rootId",
  c.metric, c.granularity, ${ms(sql`c.begins`)} as begins, ${ms(sql`c.ends`)} as ends, c.missing, c.reason, c.note,
  c.origin, c.case_id as "caseId", ${ms(sql`c.opened`)} as opened, ${ms(sql`c.checked`)} as checked,
  ${ms(sql`c.ended`)} as ended, c.outcome`;

/** Accounts whose complaints a caller sees: its own, and those that it manages. */
export async function accountsOf(db: Queryable, { accountId }: Pick<Caller, "accountId">): Promise<string[]> {
  return [accountId, ...(await subaccountsOf(db, accountId))];
}

/** `from … where …` of the complaints that these accounts have. */
export const complaintsOf = (accounts: readonly string[]): Sql =>
  sql`from complaint c where c.account_id = ${any(accounts)} and c.outcome is distinct from 'deleted'`;

/** Complaints of the caller by id, in the order of ids, locked until the end of the transaction; 404 if one is not there. */
export async function reachComplaints(tx: Tx, who: Caller, ids: readonly string[]): Promise<Complaint[]> {
  const found = await tx.rows<Complaint>(sql`
    select ${complaintColumns} ${complaintsOf(await accountsOf(tx, who))} and c.id = ${any(ids)}
    order by c.id for no key update`);
  if (found.length < new Set(ids).size) throw notFound(`complaints ${ids} for account ${who.accountId}`);
  return found;
}

/** A complaint to open. */
export type NewComplaint = Pick<
  Complaint,
  | "accountId"
  | "meterId"
  | "rootId"
  | "metric"
  | "granularity"
  | "begins"
  | "ends"
  | "missing"
  | "reason"
  | "origin"
  | "caseId"
> & { note?: string | null; actorId?: string | null };

/** Opens a complaint; the caller shows it in the meters afterwards. Returns its id. */
export async function openComplaint(tx: Tx, complaint: NewComplaint, now: number): Promise<string> {
  const id = newId(now);
  const { accountId, meterId, rootId, metric, granularity, begins, ends, missing, reason, origin, caseId } =
    complaint;
  await tx.run(sql`
    insert into complaint (id, account_id, meter_id, root_id, metric, granularity, begins, ends, missing, reason, note,
                           origin, case_id, opened, checked, actor_id)
    values (${id}, ${accountId}, ${meterId}, ${rootId}, ${metric}, ${granularity}, ${new Date(begins)}, ${new Date(ends)},
            ${missing}, ${reason}, ${complaint.note ?? null}, ${origin}, ${caseId}, ${new Date(now)}, ${new Date(now)},
            ${complaint.actorId ?? null})`);
  return id;
}

/** What a look at an open complaint has found. */
export type Checked = Pick<Complaint, "begins" | "ends" | "missing" | "reason">;

/** Writes down what is missing now. */
export async function noteChecked(
  tx: Tx,
  id: string,
  { begins, ends, missing, reason }: Checked,
  now: number,
): Promise<void> {
  await tx.run(sql`
    update complaint set begins = ${new Date(begins)}, ends = ${new Date(ends)}, missing = ${missing}, reason = ${reason},
      checked = ${new Date(now)}
    where id = ${id} and ended is null`);
}

/** Ends complaints that are open; the caller shows it in the meters afterwards. What was resolved misses nothing. */
export async function endComplaints(
  tx: Tx,
  ids: readonly string[],
  { outcome, now }: { outcome: Outcome; now: number },
): Promise<void> {
  await tx.run(sql`
    update complaint set ended = ${new Date(now)}, outcome = ${outcome}, checked = ${new Date(now)},
      missing = case when ${outcome} = 'resolved' then 0 else missing end
    where id = ${any(ids)} and ended is null`);
}

/**
 * Shows in meters whether there are open complaints about them: those of an account in its own reference, those of the
 * holder of a root meter in all copies. Closes cases without an open complaint that had one of these.
 */
export async function showComplaints(tx: Tx, rootIds: readonly string[], now: number): Promise<void> {
  await setComplained(tx, rootIds, async () => {
    const rows = await tx.rows<{ meter_id: string }>(sql`
      select distinct meter_id from complaint where root_id = ${any(rootIds)} and ended is null`);
    return rows.map((row) => row.meter_id);
  });
  await closeEmptyCases(tx, sql`id in (select case_id from complaint where root_id = ${any(rootIds)})`, now);
}

/** Closes the open cases that a condition holds for, and in which no complaint is open. */
export async function closeEmptyCases(tx: Tx, condition: Sql, now: number): Promise<void> {
  await tx.run(sql`
    update complaint_case k set closed = ${new Date(now)}, closed_by = 'check'
    where k.closed is null and ${condition}
      and not exists (select from complaint c where c.case_id = k.id and c.ended is null)`);
}
