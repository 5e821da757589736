import { type Queryable, sql } from "../platform/db.ts";
import { isId } from "../platform/id.ts";
import { Problem } from "../platform/problem.ts";
import { type Account, accountById, accountByUsername, shownColumns, shownFrom } from "./account.ts";
import { type Token, tokenColumns } from "./tokens.ts";

/** Is there no account at all, as after the very first start? */
export async function hasNoAccounts(db: Queryable): Promise<boolean> {
  const row = await db.one<{ empty: boolean }>(
    sql`select not exists (select from account where deleted is null) as empty`,
  );
  return row.empty;
}

/** Every account of the installation, each manager before its subaccounts. For operators: it knows no tenants. */
export async function allAccounts(db: Queryable): Promise<Account[]> {
  return db.rows<Account>(
    sql`select ${shownColumns} ${shownFrom}
        order by coalesce(m.created, a.created), coalesce(m.id, a.id), a.manager_id nulls first, a.created, a.id`,
  );
}

/** The account that an operator means: by user name or id. The message of the 404 says what was looked for. */
export async function accountNamed(db: Queryable, name: string): Promise<Account> {
  const byName = await accountByUsername(db, name);
  if (byName !== undefined) return byName;
  if (isId(name)) return accountById(db, name);
  throw new Problem(
    "not_found",
    `There is no account with the user name ${name}. \`account list\` shows all.`,
  );
}

/** Tokens of an account that are not revoked, oldest first. */
export async function tokensOf(db: Queryable, accountId: string): Promise<Token[]> {
  return db.rows<Token>(
    sql`select ${tokenColumns} from access_token
        where account_id = ${accountId} and revoked is null order by created, id`,
  );
}

/** Parts of the series store that any account has or had, ascending. */
export async function allParts(db: Queryable): Promise<number[]> {
  const rows = await db.rows<{ part: number }>(
    sql`select distinct generate_series(part, part + parts - 1) as part from account order by part`,
  );
  return rows.map((row) => row.part);
}
