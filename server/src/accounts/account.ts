import { createHash } from "node:crypto";
import { any, type Queryable, type Sql, sql, sqlState, type Tx } from "../platform/db.ts";
import { fold } from "../platform/http/filter.ts";
import { newId } from "../platform/id.ts";
import { invalid, notFound, Problem } from "../platform/problem.ts";

/** What an account may be, for statistics and forms. */
export const entityTypes = [
  "person",
  "business",
  "utility_provider",
  "metering_operator",
  "hardware",
  "landlord",
  "facility_manager",
] as const;

/** What can be set of an account; all optional except the name. */
export interface Profile {
  name: string;
  username: string | null;
  custom_identifier: string | null;
  locale_string: string | null;
  language: string;
  is_organization: boolean;
  entity_type: string | null;
  /** IANA zone of meters whose source states none. */
  timezone: string;
  /** ISO 4217. */
  currency: string;
}

/** An account as it is stored, with what every view shows of others. */
export interface Account extends Profile {
  id: string;
  manager_id: string | null;
  manager_name: string | null;
  manager_username: string | null;
  sub_accounts_count: number;
  /** Epoch milliseconds. */
  created: number;
}

/** `_id`, `name` and `username`: how other resources show an account. */
export interface AccountRef {
  _id: string;
  name: string;
  username: string | null;
}

/** Columns of `Account`; goes with `shownFrom`. */
export const shownColumns = sql`a.id, a.manager_id, a.name, a.username, a.custom_identifier, a.locale_string,
  a.language, a.is_organization, a.entity_type, a.timezone, a.currency,
  (extract(epoch from a.created) * 1000)::float8 as created, m.name as manager_name, m.username as manager_username,
  (select count(*)::int4 from account s where s.manager_id = a.id and s.deleted is null) as sub_accounts_count`;
/** Accounts that are there (`a`) and who manages them (`m`); conditions follow. */
export const shownFrom = sql`from account a left join account m on m.id = a.manager_id where a.deleted is null`;

/** The account of that id, or the 404 of the contract. */
export async function accountById(db: Queryable, id: string): Promise<Account> {
  const found = await db.maybe<Account>(sql`select ${shownColumns} ${shownFrom} and a.id = ${id}`);
  if (found === undefined) throw notFound(`account ${id}`);
  return found;
}

/** The account that logs in with this name, whatever the case; `undefined` when there is none. */
export async function accountByUsername(db: Queryable, username: string): Promise<Account | undefined> {
  return db.maybe<Account>(
    sql`select ${shownColumns} ${shownFrom} and a.username_folded = ${fold(username)}`,
  );
}

/** How other resources show these accounts. Unknown and deleted ids are absent from the map. */
export async function accountRefs(db: Queryable, ids: readonly string[]): Promise<Map<string, AccountRef>> {
  if (ids.length === 0) return new Map();
  const rows = await db.rows<AccountRef>(
    sql`select id as "_id", name, username from account where id = ${any([...new Set(ids)])} and deleted is null`,
  );
  return new Map(rows.map((row) => [row._id, row]));
}

/** Id of the account that manages this one, or null. */
export async function managerOf(db: Queryable, id: string): Promise<string | null> {
  const row = await db.maybe<{ manager_id: string | null }>(
    sql`select manager_id from account where id = ${id} and deleted is null`,
  );
  return row?.manager_id ?? null;
}

/** Ids of the accounts that this one manages, oldest first. */
export async function subaccountsOf(db: Queryable, id: string): Promise<string[]> {
  const rows = await db.rows<{ id: string }>(
    sql`select id from account where manager_id = ${id} and deleted is null order by created, id`,
  );
  return rows.map((row) => row.id);
}

/** Default zone of the account's meters; 404 when the account is not there. */
export async function timezoneOf(db: Queryable, id: string): Promise<string> {
  const row = await db.maybe<{ timezone: string }>(
    sql`select timezone from account where id = ${id} and deleted is null`,
  );
  if (row === undefined) throw notFound(`account ${id}`);
  return row.timezone;
}

/**
 * The parts of the series store that root meters of this account belong to, in the order of their ids. Computed once,
 * when a meter is made, and stored with it: the account may be given more parts later.
 */
export async function partsOf(
  db: Queryable,
  accountId: string,
  meterIds: readonly string[],
): Promise<number[]> {
  const row = await db.maybe<{ part: number; parts: number }>(
    sql`select part, parts from account where id = ${accountId}`,
  );
  if (row === undefined) throw notFound(`account ${accountId}`);
  return meterIds.map(
    (id) => row.part + (createHash("sha256").update(id).digest().readUInt32BE(0) % row.parts),
  );
}

/** Every part that meters of an account may be in, ascending; the first one also orders what is not of a meter. */
export async function partRange(db: Queryable, accountId: string): Promise<number[]> {
  const row = await db.maybe<{ part: number; parts: number }>(
    sql`select part, parts from account where id = ${accountId}`,
  );
  if (row === undefined) throw notFound(`account ${accountId}`);
  return Array.from({ length: row.parts }, (_, i) => row.part + i);
}

/** The first of the parts of each of these accounts, by account. */
export async function firstParts(db: Queryable, accountIds: readonly string[]): Promise<Map<string, number>> {
  const rows = await db.rows<{ id: string; part: number }>(
    sql`select id, part from account where id = ${any(accountIds)}`,
  );
  return new Map(rows.map((row) => [row.id, row.part]));
}

export interface NewAccount extends Partial<Profile> {
  name: string;
  /** The account that will manage this one; without, the account stands by itself. */
  managerId?: string;
  /** From `newPasswordHash`. */
  passwordHash?: string;
  /** Epoch milliseconds. */
  now: number;
}

/**
 * Makes an account. One that stands by itself gets a part of the series store of its own; a subaccount shares its
 * manager's part, so that what the manager reads over all of them stays in one place, and has the manager's zone,
 * currency and language unless told otherwise. Throws `conflict` when the user name is taken.
 */
export async function createAccount(tx: Tx, options: NewAccount): Promise<Account> {
  const manager = options.managerId === undefined ? undefined : await managerFor(tx, options.managerId);
  const place = manager ?? {
    ...(await tx.one<{ part: number }>(sql`select nextval('part_seq')::int4 as part`)),
    parts: 1,
  };
  const id = newId(options.now);
  const username = options.username ?? null;
  const insert = sql`
    insert into account (id, manager_id, name, name_folded, username, username_folded, password_hash,
                         custom_identifier, locale_string, language, is_organization, entity_type, timezone, currency,
                         part, parts, created)
    values (${id}, ${manager?.id ?? null}, ${options.name}, ${fold(options.name)}, ${username},
            ${username === null ? null : fold(username)}, ${options.passwordHash ?? null},
            ${options.custom_identifier ?? null}, ${options.locale_string ?? null},
            ${options.language ?? manager?.language ?? "en"}, ${options.is_organization ?? false},
            ${options.entity_type ?? null}, ${options.timezone ?? manager?.timezone ?? "Etc/GMT-1"},
            ${options.currency ?? manager?.currency ?? "SEK"}, ${place.part}, ${place.parts}, ${new Date(options.now)})`;
  await unlessTaken(tx.run(insert));
  return accountById(tx, id);
}

interface Manager {
  id: string;
  manager_id: string | null;
  part: number;
  parts: number;
  timezone: string;
  currency: string;
  language: string;
}

/** Holds the manager until the commit, so that it cannot be deleted meanwhile. */
async function managerFor(tx: Tx, id: string): Promise<Manager> {
  const manager = await tx.maybe<Manager>(
    sql`select id, manager_id, part, parts, timezone, currency, language from account
        where id = ${id} and deleted is null for share`,
  );
  if (manager === undefined) throw notFound(`manager ${id}`);
  if (manager.manager_id !== null) {
    throw new Problem(
      "forbidden",
      "A subaccount cannot have subaccounts. Create it in the account that manages this one.",
    );
  }
  return manager;
}

/** Changes what is given and leaves the rest. Throws `conflict` when the user name is taken. */
export async function updateAccount(tx: Tx, id: string, change: Partial<Profile>): Promise<Account> {
  const sets: Sql[] = [];
  const set = (column: keyof Profile, sqlColumn: Sql) => {
    const value = change[column];
    if (value !== undefined) sets.push(sql`${sqlColumn} = ${value}`);
  };
  set("name", sql`name`);
  set("username", sql`username`);
  set("custom_identifier", sql`custom_identifier`);
  set("locale_string", sql`locale_string`);
  set("language", sql`language`);
  set("is_organization", sql`is_organization`);
  set("entity_type", sql`entity_type`);
  set("timezone", sql`timezone`);
  set("currency", sql`currency`);
  if (change.name !== undefined) sets.push(sql`name_folded = ${fold(change.name)}`);
  if (change.username !== undefined) {
    sets.push(sql`username_folded = ${change.username === null ? null : fold(change.username)}`);
  }
  if (sets.length > 0) {
    const assignments = sets.reduce((all, one) => sql`${all}, ${one}`);
    await unlessTaken(tx.run(sql`update account set ${assignments} where id = ${id} and deleted is null`));
  }
  return accountById(tx, id);
}

async function unlessTaken(write: Promise<unknown>): Promise<void> {
  try {
    await write;
  } catch (error) {
    const taken =
      sqlState(error) === "23505" && (error as { constraint?: string }).constraint === "account_username";
    if (!taken) throw error;
    const message = "is taken by another account; choose another one";
    throw new Problem("conflict", `username: ${message}`, { errors: { username: [message] } });
  }
}

/** Is `child` an account that `manager` manages now? */
export async function manages(db: Queryable, manager: string, child: string): Promise<boolean> {
  return (await managerOf(db, child)) === manager;
}

/** Refuses a change that only the manager may make; `field` names it. */
export function onlyManager(field: string): Problem {
  return invalid(field, "can only be changed by the account that manages this one");
}
