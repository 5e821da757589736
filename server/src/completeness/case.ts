import { any, type Queryable, type Sql, sql, type Tx } from "../platform/db.ts";
import type { Caller } from "../platform/http/endpoint.ts";
import { newId } from "../platform/id.ts";
import { notFound } from "../platform/problem.ts";
import { accountsOf, type Complaint, complaintColumns, type Origin } from "./complaint.ts";

/** Complaints that are followed up together. Instants are epoch ms. */
export interface Case {
  id: string;
  accountId: string;
  origin: Origin;
  /** `""` when it is about no connection. */
  connectionId: string;
  title: string | null;
  note: string | null;
  opened: number;
  closed: number | null;
  closedBy: Origin | null;
  /** Complaints that are open, and all. */
  open: number;
  total: number;
}

/** Columns of a `Case`, of the table under the name `k`. */
export const caseColumns = sql`k.id, k.account_id as "accountId", k.origin, k.connection_id as "connectionId", k.title,
  k.note, (extract(epoch from k.opened) * 1000)::float8 as opened,
  (extract(epoch from k.closed) * 1000)::float8 as closed, k.closed_by as "closedBy",
  (select count(*) from complaint c where c.case_id = k.id and c.ended is null) as open,
  (select count(*) from complaint c where c.case_id = k.id and c.outcome is distinct from 'deleted') as total`;

/** `from … where …` of the cases that these accounts have. */
export const casesOf = (accounts: readonly string[]): Sql =>
  sql`from complaint_case k where k.account_id = ${any(accounts)}`;

/** A case of the caller or of an account that it manages; 404 otherwise. */
export async function caseById(db: Queryable, who: Pick<Caller, "accountId">, id: string): Promise<Case> {
  const found = await db.maybe<Case>(
    sql`select ${caseColumns} ${casesOf(await accountsOf(db, who))} and k.id = ${id}`,
  );
  if (found === undefined) throw notFound(`complaint case ${id} for account ${who.accountId}`);
  return found;
}

/** The open complaints of a case, in the order in which they were opened, at most `limit`. */
export async function openComplaintsIn(db: Queryable, caseId: string, limit: number): Promise<Complaint[]> {
  return db.rows(sql`
    select ${complaintColumns} from complaint c where c.case_id = ${caseId} and c.ended is null
    order by c.opened, c.id limit ${limit}`);
}

/** These complaints of a case as they are now, in the same order. */
export async function complaintsIn(
  db: Queryable,
  caseId: string,
  ids: readonly string[],
): Promise<Complaint[]> {
  return db.rows(sql`
    select ${complaintColumns} from complaint c
    where c.id = ${any(ids)} and c.case_id = ${caseId} and c.outcome is distinct from 'deleted'
    order by c.opened, c.id`);
}

/** A case that a person makes. Returns its id. */
export async function addCase(
  tx: Tx,
  { accountId, actorId }: Pick<Caller, "accountId" | "actorId">,
  { title, note, now }: { title: string | null; note: string | null; now: number },
): Promise<string> {
  const id = newId(now);
  await tx.run(sql`
    insert into complaint_case (id, account_id, origin, title, note, opened, actor_id)
    values (${id}, ${accountId}, 'person', ${title}, ${note}, ${new Date(now)}, ${actorId})`);
  return id;
}

/** The open case of the daily check about a connection, or about none, of an account; it is opened when there is none. */
export async function checkCase(
  tx: Tx,
  { accountId, connectionId }: { accountId: string; connectionId: string | null },
  now: number,
): Promise<string> {
  const about = connectionId ?? "";
  await tx.run(sql`
    insert into complaint_case (id, account_id, origin, connection_id, opened)
    values (${newId(now)}, ${accountId}, 'check', ${about}, ${new Date(now)})
    on conflict (account_id, connection_id) where origin = 'check' and closed is null do nothing`);
  const { id } = await tx.one<{ id: string }>(sql`
    select id from complaint_case
    where account_id = ${accountId} and connection_id = ${about} and origin = 'check' and closed is null
    for no key update`);
  return id;
}

/** Moves complaints into a case. Returns the cases that they were in. */
export async function moveToCase(
  tx: Tx,
  caseId: string,
  complaints: readonly Complaint[],
): Promise<string[]> {
  await tx.run(
    sql`update complaint set case_id = ${caseId} where id = ${any(complaints.map(({ id }) => id))}`,
  );
  return [...new Set(complaints.flatMap((each) => each.caseId ?? []))];
}

/** Closes a case that is open. */
export async function closeCase(
  tx: Tx,
  id: string,
  { note, now }: { note: string | null; now: number },
): Promise<void> {
  await tx.run(sql`
    update complaint_case set closed = ${new Date(now)}, closed_by = 'person', note = coalesce(${note}, note)
    where id = ${id} and closed is null`);
}
