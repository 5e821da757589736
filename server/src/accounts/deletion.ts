import { type Queryable, sql, type Tx } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { notFound, Problem } from "../platform/problem.ts";
import { subaccountsOf } from "./account.ts";
import { forgetTokens } from "./tokens.ts";

/** Refuses to delete an account that still manages others: their owners must not lose data by the way. */
export async function assertMayDelete(db: Queryable, id: string): Promise<void> {
  const subaccounts = await subaccountsOf(db, id);
  if (subaccounts.length > 0) {
    throw new Problem(
      "conflict",
      `The account still has ${subaccounts.length} subaccounts. Delete them first.`,
    );
  }
}

/**
 * Makes an account vanish at once: nobody sees it, its credentials stop working, its user name is free, and with its
 * key its sealed secrets are gone for good. Its rows and data are erased by a job afterwards. 404 when it is not
 * there; holds the account until the commit, so that no subaccount appears meanwhile.
 */
export async function markDeleted(
  tx: Tx,
  { db, keys }: Pick<Deps, "db" | "keys">,
  { id, now }: { id: string; now: number },
): Promise<void> {
  const held = await tx.maybe(sql`select from account where id = ${id} and deleted is null for update`);
  if (held === undefined) throw notFound(`account ${id}`);
  await assertMayDelete(tx, id);
  await tx.run(sql`update account set deleted = ${new Date(now)}, password_hash = null where id = ${id}`);
  await tx.run(sql`delete from session where account_id = ${id}`);
  await tx.run(sql`delete from login_token where account_id = ${id}`);
  await tx.run(sql`delete from invitation where account_id = ${id}`);
  await tx.run(
    sql`update access_token set revoked = ${new Date(now)}, sealed = '' where account_id = ${id} and revoked is null`,
  );
  await keys.forget(tx, id);
  forgetTokens(tx, db);
}

/** Takes the row of a deleted account away with everything that hangs on it; nothing when it is gone already. */
export async function removeAccount(tx: Tx, id: string): Promise<void> {
  await tx.run(sql`delete from account where id = ${id} and deleted is not null`);
}
