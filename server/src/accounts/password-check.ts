import { sql, type Tx } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { fold } from "../platform/http/filter.ts";
import { passwordFits } from "../platform/password.ts";
import { giveTryBack, takeTry } from "./login-budget.ts";

/**
 * The account that logs in with this name and password, or `null`. Names that nobody has, accounts without a password
 * and wrong passwords take the same time and give the same answer. Throws 429 when too many were tried.
 */
export async function checkLogin(
  { db, clock }: Deps,
  login: { username: string; password: string; remoteAddress: string },
): Promise<{ id: string } | null> {
  await takeTry(db, login, clock.now());
  const row = await db.maybe<{ id: string; password_hash: string | null }>(
    sql`select id, password_hash from account
        where username_folded = ${fold(login.username)} and deleted is null`,
  );
  if (!(await passwordFits(login.password, row?.password_hash ?? null))) return null;
  await giveTryBack(db, login, clock.now());
  return { id: row!.id };
}

/** Is this the password of the person? Counts as a try to log in. */
export async function checkOwnPassword(
  { db, clock }: Deps,
  person: { id: string; password: string; remoteAddress: string },
): Promise<boolean> {
  const row = await db.maybe<{ username: string | null; password_hash: string | null }>(
    sql`select username, password_hash from account where id = ${person.id} and deleted is null`,
  );
  const attempt = { username: row?.username ?? person.id, remoteAddress: person.remoteAddress };
  await takeTry(db, attempt, clock.now());
  if (!(await passwordFits(person.password, row?.password_hash ?? null))) return false;
  await giveTryBack(db, attempt, clock.now());
  return true;
}

/** Can the person log in by password? */
export async function hasPassword(deps: Deps, id: string): Promise<boolean> {
  const row = await deps.db.maybe<{ has: boolean }>(
    sql`select password_hash is not null as has from account where id = ${id} and deleted is null`,
  );
  return row?.has ?? false;
}

/**
 * Gives the account a new password (a hash from `newPasswordHash`) and ends its sessions, except the one that the
 * change was made in: whoever knew the old password is out.
 */
export async function setPassword(
  tx: Tx,
  change: { accountId: string; passwordHash: string; keepSession?: string },
): Promise<void> {
  await tx.run(sql`update account set password_hash = ${change.passwordHash} where id = ${change.accountId}`);
  await tx.run(
    sql`delete from session where account_id = ${change.accountId} and id <> ${change.keepSession ?? ""}`,
  );
  await tx.run(sql`delete from login_token where account_id = ${change.accountId} and used is null`);
}
