import { type Account, subaccountsOf } from "../accounts/accounts.ts";
import { any, type Queryable, sql, type Tx } from "../platform/db.ts";
import { invalid } from "../platform/problem.ts";

/**
 * Where the connections of an account belong. `property_manager`: in subaccounts, one per customer; the meters belong
 * to the subaccount and are shared with the manager. `classic`: in the account itself; meters carry no customer, rules
 * can place them in a tree.
 */
export const structures = ["property_manager", "classic"] as const;
export type Structure = (typeof structures)[number];

/** The structure of an account and since when; null while none was chosen. */
export async function structureOf(
  db: Queryable,
  accountId: string,
): Promise<{ structure: Structure; since: number } | null> {
  const row = await db.maybe<{ structure: Structure; since: number }>(sql`
    select structure, (extract(epoch from since) * 1000)::float8 as since
    from collection_structure where account_id = ${accountId}`);
  return row ?? null;
}

/** Chooses or changes the structure; what is there already stays where it is. */
export async function chooseStructure(
  tx: Tx,
  { accountId, structure, now }: { accountId: string; structure: Structure; now: number },
): Promise<void> {
  await tx.run(sql`
    insert into collection_structure (account_id, structure, since)
    values (${accountId}, ${structure}, ${new Date(now)})
    on conflict (account_id) do update set structure = excluded.structure, since = excluded.since
      where collection_structure.structure <> excluded.structure`);
}

/**
 * May a new connection live in this account? Its own choice counts, or its manager's; without one every place is fine.
 * Throws 400 that names the place where it belongs.
 */
export async function assertPlace(db: Queryable, account: Pick<Account, "id" | "manager_id">): Promise<void> {
  const { manager_id: managerId } = account;
  const chosen = await structureOf(db, managerId ?? account.id);
  if (chosen?.structure === "property_manager" && managerId === null) {
    throw invalid("account", "this account collects for its customers: name the subaccount of one");
  }
  if (chosen?.structure === "classic" && managerId !== null) {
    throw invalid(
      "account",
      "this account collects for itself: leave the field out, or change its structure",
    );
  }
}

/** Connections of an account itself and of its subaccounts, and the meters that they found. */
export interface Collecting {
  account: { connections: number; meters: number };
  subaccounts: { connections: number; meters: number };
}

/** How much an account and its subaccounts collect. */
export async function collectingIn(db: Queryable, accountId: string): Promise<Collecting> {
  const countOf = (accountIds: readonly string[]) =>
    db.one<{ connections: number; meters: number }>(sql`
      select
        (select count(*) from connection where account_id = ${any(accountIds)} and deleting is null) as connections,
        (select count(distinct meter_id) from meter_source
         where account_id = ${any(accountIds)} and connection_id is not null) as meters`);
  return {
    account: await countOf([accountId]),
    subaccounts: await countOf(await subaccountsOf(db, accountId)),
  };
}
