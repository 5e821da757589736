import type { Queryable } from "../platform/db.ts";
import type { Caller } from "../platform/http/endpoint.ts";
import { notFound } from "../platform/problem.ts";
import { type Account, accountById } from "./account.ts";

/**
 * The account that `id` names for this caller: `me`, the account acted in, or one that it manages. Every other id
 * answers 404, whether it exists or not.
 */
export async function reach(db: Queryable, who: Caller, id: string): Promise<Account> {
  const wanted = id === "me" ? who.accountId : id;
  const account = await accountById(db, wanted);
  if (account.id !== who.accountId && account.manager_id !== who.accountId) {
    throw notFound(`account ${wanted} is neither ${who.accountId} nor managed by it`);
  }
  return account;
}

/** The subaccount `sub` of the account `id`, both within reach. */
export async function reachSubaccount(
  db: Queryable,
  who: Caller,
  ids: { id: string; sub: string },
): Promise<Account> {
  const manager = await reach(db, who, ids.id);
  const account = await reach(db, who, ids.sub);
  if (account.manager_id !== manager.id) throw notFound(`${account.id} is not managed by ${manager.id}`);
  return account;
}
