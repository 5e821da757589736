import { type Db, type Queryable, sql, type Tx } from "../platform/db.ts";
import { sessionCookieName } from "../platform/http/access.ts";
import { newId } from "../platform/id.ts";
import { notFound } from "../platform/problem.ts";
import { newSecret, secretHash } from "../platform/token.ts";

const day = 86_400_000;
/** NIST SP 800-63B-4 wants a person to log in again at least every 30 days. */
const lifetimeMs = 30 * day;
/** A session that nobody used for so long is over. */
const idleMs = 7 * day;
/** A write per request would cost more than the request. */
const lastUsedEveryMs = 60_000;
/** A link to log in with is used at once or not at all. */
export const loginTokenMs = 15 * 60_000;

/** How a person proved who they are. */
export type LoginMethod = "password" | "login_token";

/** Times in epoch milliseconds. */
export interface Session {
  id: string;
  account_id: string;
  method: LoginMethod;
  created: number;
  expires: number;
}

const columns = sql`id, account_id, method, (extract(epoch from created) * 1000)::float8 as created,
  (extract(epoch from expires) * 1000)::float8 as expires`;

/** Begins a session under a new secret; only its hash is stored. Forgets sessions that are over. */
export async function openSession(
  tx: Tx,
  options: { accountId: string; method: LoginMethod; now: number },
): Promise<{ secret: string; session: Session }> {
  const { accountId, method, now } = options;
  const secret = newSecret(32);
  await tx.run(
    sql`delete from session where account_id = ${accountId}
        and (expires <= ${new Date(now)} or last_used <= ${new Date(now - idleMs)})`,
  );
  const session = await tx.one<Session>(
    sql`insert into session (id, hash, account_id, method, created, expires, last_used)
        values (${newId(now)}, ${secretHash(secret)}, ${accountId}, ${method}, ${new Date(now)},
                ${new Date(now + lifetimeMs)}, ${new Date(now)})
        returning ${columns}`,
  );
  return { secret, session };
}

/** The session of this secret, or `undefined` when it is unknown, over, or the account was deleted. */
export async function knownSession(db: Db, secret: string, now: number): Promise<Session | undefined> {
  if (!/^[0-9a-f]{64}$/.test(secret)) return undefined;
  const found = await db.maybe<Session & { last_used: number }>({
    name: "session-by-hash",
    text: `select s.id, s.account_id, s.method, (extract(epoch from s.created) * 1000)::float8 as created,
                  (extract(epoch from s.expires) * 1000)::float8 as expires,
                  (extract(epoch from s.last_used) * 1000)::float8 as last_used
           from session s join account a on a.id = s.account_id
           where s.hash = $1 and a.deleted is null`,
    values: [secretHash(secret)],
  });
  if (found === undefined || found.expires <= now || found.last_used <= now - idleMs) return undefined;
  if (found.last_used <= now - lastUsedEveryMs) {
    await db.run(sql`update session set last_used = ${new Date(now)} where id = ${found.id}`);
  }
  return found;
}

export async function sessionById(db: Queryable, id: string): Promise<Session> {
  return db.one<Session>(sql`select ${columns} from session where id = ${id}`);
}

/** Ends one session. */
export async function endSession(db: Queryable, id: string): Promise<void> {
  await db.run(sql`delete from session where id = ${id}`);
}

/**
 * `Set-Cookie` of a session; without a secret it removes the cookie. `Lax` lets a link from another site open the
 * portal logged in; writes from other sites are refused by their origin.
 */
export function sessionCookie(secret: string | null, publicUrl: string): string {
  const secure = publicUrl.startsWith("https:") ? "; Secure" : "";
  const age = secret === null ? 0 : lifetimeMs / 1000;
  return `${sessionCookieName}=${secret ?? ""}; Path=/; HttpOnly; SameSite=Lax; Max-Age=${age}${secure}`;
}

/** A one-off login token as lists show it. Times in epoch milliseconds. */
export interface LoginToken {
  id: string;
  account_id: string;
  created: number;
  expires: number;
  used: number | null;
}

/** Columns of `LoginToken`. */
export const loginTokenColumns = sql`id, account_id, (extract(epoch from created) * 1000)::float8 as created,
  (extract(epoch from expires) * 1000)::float8 as expires, (extract(epoch from used) * 1000)::float8 as used`;

/** Makes a token that logs a person of the account in once, within 15 minutes. */
export async function createLoginToken(
  tx: Tx,
  options: { accountId: string; createdBy: string | null; now: number },
): Promise<{ token: string; row: LoginToken }> {
  const { accountId, createdBy, now } = options;
  const token = newSecret();
  const row = await tx.one<LoginToken>(
    sql`insert into login_token (id, hash, account_id, created, created_by, expires)
        values (${newId(now)}, ${secretHash(token)}, ${accountId}, ${new Date(now)}, ${createdBy},
                ${new Date(now + loginTokenMs)})
        returning ${loginTokenColumns}`,
  );
  return { token, row };
}

/** Uses a login token up: the id of its account, or `null` when it is unknown, used, or too old. */
export async function useLoginToken(tx: Tx, token: string, now: number): Promise<string | null> {
  const row = await tx.maybe<{ account_id: string }>(
    sql`update login_token set used = ${new Date(now)}
        where hash = ${secretHash(token)} and used is null and expires > ${new Date(now)}
          and exists (select from account where account.id = login_token.account_id and deleted is null)
        returning account_id`,
  );
  return row?.account_id ?? null;
}

/** Deletes a login token of the account, or 404. */
export async function removeLoginToken(tx: Tx, accountId: string, id: string): Promise<void> {
  const touched = await tx.run(sql`delete from login_token where id = ${id} and account_id = ${accountId}`);
  if (touched === 0) throw notFound(`login token ${id}`);
}
