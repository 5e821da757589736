import { any, type Queryable, sql, type Tx } from "../platform/db.ts";
import { type Role, roles } from "../platform/http/endpoint.ts";
import { fold } from "../platform/http/filter.ts";
import { newId } from "../platform/id.ts";
import { notFound, Problem } from "../platform/problem.ts";
import { newSecret, secretHash } from "../platform/token.ts";

/** An invitation is open for two weeks. */
const invitationMs = 14 * 86_400_000;

/** A person who works in an organisation. Times in epoch milliseconds. */
export interface Collaborator {
  id: string;
  role: Role;
  created: number;
  account_id: string;
  account_name: string;
  account_username: string | null;
}

/** Columns of `Collaborator`; goes with `collaboratorFrom`. */
export const collaboratorColumns = sql`c.id, c.role, (extract(epoch from c.created) * 1000)::float8 as created,
  p.id as account_id, p.name as account_name, p.username as account_username`;
/** People (`p`) who work somewhere (`c`); conditions follow. */
export const collaboratorFrom = sql`from collaborator c join account p on p.id = c.account_id
  where p.deleted is null`;

/** One who works in the organisation, or 404. */
export async function collaboratorById(
  db: Queryable,
  organizationId: string,
  id: string,
): Promise<Collaborator> {
  const row = await db.maybe<Collaborator>(
    sql`select ${collaboratorColumns} ${collaboratorFrom} and c.organization_id = ${organizationId} and c.id = ${id}`,
  );
  if (row === undefined) throw notFound(`collaborator ${id}`);
  return row;
}

/** E-mail addresses of those who answer for an account: whoever logs in as it, and its administrators. */
export async function personsToTell(db: Queryable, accountId: string): Promise<string[]> {
  const rows = await db.rows<{ username: string }>(sql`
    select username from account where id = ${accountId} and deleted is null and username is not null
    union
    select p.username ${collaboratorFrom} and c.organization_id = ${accountId} and c.role = 'administrator'
      and p.username is not null
    order by username`);
  return rows.map((row) => row.username);
}

/** Gives a person a role in an organisation; a person who works there already gets the higher of both roles. */
export async function addCollaborator(
  tx: Tx,
  {
    organizationId,
    accountId,
    role,
    now,
  }: { organizationId: string; accountId: string; role: Role; now: number },
): Promise<Collaborator> {
  const higher = roles.slice(0, roles.indexOf(role) + 1);
  const { id } = await tx.one<{ id: string }>(
    sql`insert into collaborator (id, organization_id, account_id, role, created)
        values (${newId(now)}, ${organizationId}, ${accountId}, ${role}, ${new Date(now)})
        on conflict (organization_id, account_id) do update
        set role = case when collaborator.role = ${any(higher)} then collaborator.role else excluded.role end
        returning id`,
  );
  return collaboratorById(tx, organizationId, id);
}

/** Changes the role, or removes the person with `role: null`. The last one who can let others in stays. */
export async function changeCollaborator(
  tx: Tx,
  { organizationId, id, role }: { organizationId: string; id: string; role: Role | null },
): Promise<void> {
  const organization = await tx.one<{ has_password: boolean }>(
    sql`select password_hash is not null as has_password from account where id = ${organizationId} for update`,
  );
  const before = await collaboratorById(tx, organizationId, id);
  if (role === null) await tx.run(sql`delete from collaborator where id = ${id}`);
  else await tx.run(sql`update collaborator set role = ${role} where id = ${id}`);
  if (before.role !== "administrator" || role === "administrator" || organization.has_password) return;
  const left = await tx.maybe(
    sql`select ${collaboratorFrom} and c.organization_id = ${organizationId} and c.role = 'administrator' limit 1`,
  );
  if (left === undefined) {
    throw new Problem("conflict", "This is the last administrator. Make somebody else administrator first.");
  }
}

/** Times in epoch milliseconds. */
export interface Invitation {
  id: string;
  account_id: string;
  email: string;
  role: Role;
  created: number;
  expires: number;
  accepted: number | null;
}

/** Columns of `Invitation`. */
export const invitationColumns = sql`id, account_id, email, role, (extract(epoch from created) * 1000)::float8 as created,
  (extract(epoch from expires) * 1000)::float8 as expires, (extract(epoch from accepted) * 1000)::float8 as accepted`;

/** Invites somebody; an earlier open invitation of the same address ends. The token is known only now. */
export async function createInvitation(
  tx: Tx,
  { accountId, email, role, now }: { accountId: string; email: string; role: Role; now: number },
): Promise<{ token: string; row: Invitation }> {
  await tx.run(
    sql`delete from invitation
        where account_id = ${accountId} and email_folded = ${fold(email)} and accepted is null`,
  );
  const token = newSecret();
  const row = await tx.one<Invitation>(
    sql`insert into invitation (id, account_id, email, email_folded, role, token_hash, created, expires)
        values (${newId(now)}, ${accountId}, ${email}, ${fold(email)}, ${role}, ${secretHash(token)}, ${new Date(now)},
                ${new Date(now + invitationMs)})
        returning ${invitationColumns}`,
  );
  return { token, row };
}

/** An invitation of the account, or 404. */
export async function invitationById(db: Queryable, accountId: string, id: string): Promise<Invitation> {
  const row = await db.maybe<Invitation>(
    sql`select ${invitationColumns} from invitation where id = ${id} and account_id = ${accountId}`,
  );
  if (row === undefined) throw notFound(`invitation ${id}`);
  return row;
}

/** The open invitation of this token, held until the commit; 404 when it is unknown, used, or too old. */
export async function invitationByToken(tx: Tx, token: string, now: number): Promise<Invitation> {
  const row = await tx.maybe<Invitation>(
    sql`select ${invitationColumns} from invitation
        where token_hash = ${secretHash(token)} and accepted is null and expires > ${new Date(now)}
          and exists (select from account a
                      where a.id = invitation.account_id and a.deleted is null and a.is_organization)
        for update`,
  );
  if (row === undefined) {
    throw new Problem("not_found", "The invitation is unknown, used or too old. Ask for a new one.");
  }
  return row;
}
