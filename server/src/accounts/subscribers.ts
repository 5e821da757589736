import { type Queryable, sql, type Tx } from "../platform/db.ts";
import { newId } from "../platform/id.ts";
import { notFound, Problem } from "../platform/problem.ts";
import type { AccountRef } from "./account.ts";

/** An account that gets the meters of another one by itself. */
export interface Subscriber {
  id: string;
  /** Whose meters are given. */
  account_id: string;
  subscriber: AccountRef;
  /** Epoch milliseconds. */
  created: number;
}

interface Row {
  id: string;
  account_id: string;
  created: number;
  subscriber_id: string;
  name: string;
  username: string | null;
}

/** The subscribers of an account, oldest first; those whose account was deleted are left out. */
export async function listSubscribers(db: Queryable, accountId: string): Promise<Subscriber[]> {
  const rows = await db.rows<Row>(
    sql`select s.id, s.account_id, (extract(epoch from s.created) * 1000)::float8 as created,
               a.id as subscriber_id, a.name, a.username
        from meter_subscriber s join account a on a.id = s.subscriber_id
        where s.account_id = ${accountId} and a.deleted is null
        order by s.created, s.id`,
  );
  return rows.map(subscriberOf);
}

function subscriberOf(row: Row): Subscriber {
  const { id, account_id, created, subscriber_id, name, username } = row;
  return { id, account_id, created, subscriber: { _id: subscriber_id, name, username } };
}

/** One subscriber of the account, or 404. */
export async function subscriberById(db: Queryable, accountId: string, id: string): Promise<Subscriber> {
  const found = (await listSubscribers(db, accountId)).find((subscriber) => subscriber.id === id);
  if (found === undefined) throw notFound(`subscriber ${id}`);
  return found;
}

/** Adds a subscriber; one that is there already stays as it is. Sharing the meters is the caller's part. */
export async function addSubscriber(
  tx: Tx,
  { accountId, subscriberId, now }: { accountId: string; subscriberId: string; now: number },
): Promise<Subscriber> {
  if (accountId === subscriberId) throw new Problem("conflict", "An account has its own meters already");
  const known = await tx.maybe(
    sql`select from account where id = ${subscriberId} and deleted is null for key share`,
  );
  if (known === undefined) throw notFound(`account ${subscriberId}`);
  const { id } = await tx.one<{ id: string }>(
    sql`insert into meter_subscriber (id, account_id, subscriber_id, created)
        values (${newId(now)}, ${accountId}, ${subscriberId}, ${new Date(now)})
        on conflict (account_id, subscriber_id) do update set subscriber_id = excluded.subscriber_id
        returning id`,
  );
  return subscriberById(tx, accountId, id);
}

/** Removes a subscriber, or 404. Revoking meters it got is the caller's part. */
export async function removeSubscriber(tx: Tx, accountId: string, id: string): Promise<Subscriber> {
  const found = await subscriberById(tx, accountId, id);
  await tx.run(sql`delete from meter_subscriber where id = ${id} and account_id = ${accountId}`);
  return found;
}
