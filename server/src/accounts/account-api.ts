import { z } from "zod";
import { type Db, sql, type Tx } from "../platform/db.ts";
import { type Caller, type Endpoint, endpoint } from "../platform/http/endpoint.ts";
import { accountId, id } from "../platform/http/schema.ts";
import { Problem } from "../platform/problem.ts";
import {
  type Account,
  accountByUsername,
  createAccount,
  onlyManager,
  shownColumns,
  shownFrom,
  updateAccount,
} from "./account.ts";
import { accountFields, accountView, accountWords, viewAccount } from "./account-view.ts";
import { actorOf, audit } from "./audit.ts";
import { type AccountChange, accountChange, accountCreation, accountRefView } from "./fields.ts";
import { listPage } from "./page.ts";
import { reach, reachSubaccount } from "./reach.ts";

const oneAccount = z.object({ id: accountId() });
const oneSubaccount = z.object({ id: accountId(), sub: id() });
const subaccountsShown = 50;

const readAccount = endpoint({
  method: "GET",
  path: "/accounts/:id",
  access: "basic",
  summary: "Reads an account: your own (`me`) or one that you manage.",
  ids: { id: "account" },
  params: oneAccount,
  reply: accountView,
  async handle({ who, params }, { db }) {
    return viewWhole(db, await reach(db, who, params.id));
  },
});

/** A single account carries its first subaccounts. */
async function viewWhole(db: Db, account: Account) {
  const subaccounts =
    account.sub_accounts_count === 0
      ? []
      : await db.rows<Account>(
          sql`select ${shownColumns} ${shownFrom} and a.manager_id = ${account.id}
              order by a.created, a.id limit ${subaccountsShown}`,
        );
  return viewAccount(account, subaccounts);
}

const changeAccount = endpoint({
  method: "PUT",
  path: "/accounts/:id",
  access: "write_accounts",
  role: "administrator",
  summary: "Changes an account; what the body leaves out stays.",
  ids: { id: "account" },
  params: oneAccount,
  body: accountChange,
  reply: accountView,
  async handle({ who, params, body }, { db, clock }) {
    const account = await db.transaction(async (tx) => {
      return change(tx, { who, account: await reach(tx, who, params.id), body, now: clock.now() });
    });
    return viewWhole(db, account);
  },
});

const changeSubaccount = endpoint({
  method: "PUT",
  path: "/accounts/:id/subaccounts/:sub",
  access: "write_accounts",
  role: "administrator",
  summary: "Changes a subaccount.",
  ids: { id: "account", sub: "subaccount" },
  params: oneSubaccount,
  body: accountChange,
  reply: accountView,
  async handle({ who, params, body }, { db, clock }) {
    const account = await db.transaction(async (tx) => {
      return change(tx, { who, account: await reachSubaccount(tx, who, params), body, now: clock.now() });
    });
    return viewWhole(db, account);
  },
});

/** Writes what differs. Clients send back what they read, so only a real change of a protected field is refused. */
async function change(
  tx: Tx,
  { who, account, body, now }: { who: Caller; account: Account; body: AccountChange; now: number },
): Promise<Account> {
  const differing = Object.fromEntries(
    Object.entries(body).filter(
      ([key, value]) => value !== undefined && value !== account[key as keyof Account],
    ),
  ) as AccountChange;
  const manages =
    account.manager_id !== null && [who.accountId, who.ownAccountId].includes(account.manager_id);
  if (differing.custom_identifier !== undefined && !manages) throw onlyManager("custom_identifier");
  if (differing.username !== undefined && !manages && who.kind !== "session") {
    throw new Problem(
      "forbidden",
      "A token cannot change the user name of its own account. Log in to change it.",
    );
  }
  const changed = Object.keys(differing);
  if (changed.length === 0) return account;
  const after = await updateAccount(tx, account.id, differing as Partial<Account>);
  await audit(tx, {
    at: now,
    accountId: account.id,
    actor: actorOf(who),
    action: "account.changed",
    detail: { changed },
  });
  return after;
}

const listAccounts = endpoint({
  method: "GET",
  path: "/accounts",
  access: "basic",
  summary: "Lists your own account and those that you manage.",
  filters: () => true,
  reply: z.array(accountView),
  list: true,
  handle(call, deps) {
    const { accountId } = call.who;
    return listPage<Account>(deps, call, {
      columns: shownColumns,
      from: sql`${shownFrom} and (a.id = ${accountId} or a.manager_id = ${accountId})`,
      fields: accountFields,
      words: accountWords,
      view: (row) => viewAccount(row),
    });
  },
});

const listSubaccounts = endpoint({
  method: "GET",
  path: "/accounts/:id/subaccounts",
  access: "basic",
  summary: "Lists the accounts that an account manages.",
  ids: { id: "account" },
  params: oneAccount,
  filters: () => true,
  reply: z.array(accountView),
  list: true,
  async handle(call, deps) {
    const manager = await reach(deps.db, call.who, call.params.id);
    return listPage<Account>(deps, call, {
      columns: shownColumns,
      from: sql`${shownFrom} and a.manager_id = ${manager.id}`,
      fields: accountFields,
      words: accountWords,
      view: (row) => viewAccount(row),
    });
  },
});

const readSubaccount = endpoint({
  method: "GET",
  path: "/accounts/:id/subaccounts/:sub",
  access: "basic",
  summary: "Reads a subaccount; the same as reading it at `/accounts/{id}`.",
  ids: { id: "account", sub: "subaccount" },
  params: oneSubaccount,
  reply: accountView,
  async handle({ who, params }, { db }) {
    return viewWhole(db, await reachSubaccount(db, who, params));
  },
});

const createHere = endpoint({
  method: "POST",
  path: "/accounts",
  access: "write_accounts",
  role: "administrator",
  summary: "Creates a subaccount of your account.",
  body: accountCreation,
  reply: accountView,
  handle({ who, body }, { db, clock }) {
    return db.transaction((tx) =>
      createSubaccount(tx, { who, managerId: who.accountId, body, now: clock.now() }),
    );
  },
});

const createBelow = endpoint({
  method: "POST",
  path: "/accounts/:id/subaccounts",
  access: "write_accounts",
  role: "administrator",
  summary: "Creates a subaccount.",
  description:
    "The subaccount takes over time zone, currency and language from its manager unless the body says otherwise. " +
    "Subaccounts have no subaccounts of their own.",
  ids: { id: "account" },
  params: oneAccount,
  body: accountCreation,
  reply: accountView,
  handle({ who, params, body }, { db, clock }) {
    return db.transaction(async (tx) => {
      const manager = await reach(tx, who, params.id);
      return createSubaccount(tx, { who, managerId: manager.id, body, now: clock.now() });
    });
  },
});

async function createSubaccount(
  tx: Tx,
  {
    who,
    managerId,
    body,
    now,
  }: { who: Caller; managerId: string; body: z.output<typeof accountCreation>; now: number },
) {
  const account = await createAccount(tx, { ...body, managerId, now });
  const entry = { at: now, accountId: account.id, actor: actorOf(who), action: "account.created" };
  await audit(tx, { ...entry, detail: { manager: managerId } });
  return viewAccount(account);
}

const exists = endpoint({
  method: "GET",
  path: "/accounts/exists",
  access: "write_accounts",
  summary: "Tells whether a user name is taken.",
  query: z.object({ username: z.string().trim().min(1).max(254) }),
  reply: z.object({ exists: z.boolean() }),
  async handle({ query }, { db }) {
    return { exists: (await accountByUsername(db, query.username)) !== undefined };
  },
});

const readCollaborator = endpoint({
  method: "GET",
  path: "/accounts/:id/authenticated_collaborator",
  access: "basic",
  summary: "The person who is logged in, or who made the token.",
  ids: { id: "account" },
  params: oneAccount,
  reply: z.object({ _id: z.string(), role: z.string(), account: accountRefView }),
  async handle({ who, params }, { db }) {
    const account = await reach(db, who, params.id);
    const person = await personOf(db, who);
    if (person === account.id) {
      const own = { _id: account.id, name: account.name, username: account.username };
      return { _id: account.id, role: "administrator", account: own };
    }
    const found = await db.maybe<{
      collaborator: string;
      role: string;
      id: string;
      name: string;
      username: string | null;
    }>(
      sql`select c.id as collaborator, c.role, p.id, p.name, p.username
          from collaborator c join account p on p.id = c.account_id
          where c.organization_id = ${account.id} and c.account_id = ${person} and p.deleted is null`,
    );
    if (found === undefined) throw new Problem("not_found", "No person of this account is logged in");
    const ref = { _id: found.id, name: found.name, username: found.username };
    return { _id: found.collaborator, role: found.role, account: ref };
  },
});

async function personOf(db: Db, who: Caller): Promise<string | null> {
  if (who.actorId !== null || who.kind !== "token") return who.actorId;
  const row = await db.maybe<{ created_by: string | null }>(
    sql`select created_by from access_token where id = ${who.credentialId}`,
  );
  return row?.created_by ?? null;
}

/** Accounts and subaccounts. */
export const accountEndpoints: Endpoint[] = [
  exists,
  listAccounts,
  createHere,
  readAccount,
  changeAccount,
  listSubaccounts,
  createBelow,
  readSubaccount,
  changeSubaccount,
  readCollaborator,
];
