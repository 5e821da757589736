import type { Queryable } from "../platform/db.ts";
import type { Caller } from "../platform/http/endpoint.ts";
import { invalid, notFound } from "../platform/problem.ts";
import { type Account, accountById, subaccountsOf } from "./account.ts";

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

const external = "external:";

/**
 * The account that a form names: `me`, an id, or `external:` and the custom identifier of a subaccount. The same 404
 * for one that is not there and for one of others.
 */
export async function reachNamed(db: Queryable, who: Caller, named: string): Promise<Account> {
  if (!named.startsWith(external)) return reach(db, who, named);
  const identifier = named.slice(external.length);
  const found: Account[] = [];
  for (const id of await subaccountsOf(db, who.accountId)) {
    const account = await accountById(db, id);
    if (account.custom_identifier === identifier) found.push(account);
  }
  if (found.length > 1) throw invalid("account", "names more than one subaccount; use its id");
  if (found[0] === undefined) throw notFound(`no subaccount of ${who.accountId} is called ${named}`);
  return found[0];
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
