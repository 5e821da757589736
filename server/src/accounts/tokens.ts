import { LRUCache } from "lru-cache";
import type { Clock } from "../platform/clock.ts";
import { type Db, type Queryable, type Sql, sql, type Tx } from "../platform/db.ts";
import { newId } from "../platform/id.ts";
import { notFound } from "../platform/problem.ts";
import type { Keys, Place } from "../platform/secrets.ts";
import { newSecret, secretHash } from "../platform/token.ts";

/** A private token as it is stored, without the secret. Times in epoch milliseconds. */
export interface Token {
  id: string;
  account_id: string;
  name: string | null;
  /** The last characters, to tell tokens apart. */
  ending: string;
  scopes: string[];
  created: number;
  created_by: string | null;
  expires: number | null;
  last_used: number | null;
}

export interface NewToken {
  accountId: string;
  name?: string | null;
  scopes: readonly string[];
  /** Epoch milliseconds; never when absent. */
  expires?: number | null;
  /** The person who makes it. */
  createdBy?: string | null;
  now: number;
}

const ms = (column: Sql) => sql`(extract(epoch from ${column}) * 1000)::float8`;
/** Columns of `Token`. */
export const tokenColumns = sql`id, account_id, name, ending, scopes, created_by, ${ms(sql`created`)} as created,
  ${ms(sql`expires`)} as expires, ${ms(sql`last_used`)} as last_used`;

/**
 * Makes a private token of 60 hex characters: its hash is what requests are compared with, a sealed copy can be shown
 * again. Returns the secret next to the row.
 */
export async function createToken(
  tx: Tx,
  keys: Keys,
  options: NewToken,
): Promise<{ token: string; row: Token }> {
  const id = newId(options.now);
  const token = newSecret();
  const sealed = await keys.seal(tx, options.accountId, token, placeOf(id));
  const row = await tx.one<Token>(
    sql`insert into access_token (id, account_id, name, hash, sealed, ending, scopes, created, created_by, expires)
        values (${id}, ${options.accountId}, ${options.name ?? null}, ${secretHash(token)}, ${sealed},
                ${token.slice(-4)}, ${[...options.scopes]}, ${new Date(options.now)}, ${options.createdBy ?? null},
                ${options.expires == null ? null : new Date(options.expires)})
        returning ${tokenColumns}`,
  );
  return { token, row };
}

function placeOf(id: string): Place {
  return { table: "access_token", row: id, column: "sealed" };
}

/** A token of the account that is not revoked, or 404. */
export async function tokenById(db: Queryable, accountId: string, id: string): Promise<Token> {
  const row = await db.maybe<Token>(
    sql`select ${tokenColumns} from access_token
        where id = ${id} and account_id = ${accountId} and revoked is null`,
  );
  if (row === undefined) throw notFound(`token ${id}`);
  return row;
}

/** The secret itself. Whoever calls this checks the password first and writes an audit line. */
export async function revealToken(
  db: Queryable,
  keys: Keys,
  { accountId, id }: { accountId: string; id: string },
): Promise<string> {
  const row = await db.maybe<{ sealed: Buffer }>(
    sql`select sealed from access_token where id = ${id} and account_id = ${accountId} and revoked is null`,
  );
  if (row === undefined) throw notFound(`token ${id}`);
  return keys.open(db, accountId, row.sealed, placeOf(id));
}

/** Ends a token: the sealed copy is destroyed, and this process forgets it when the transaction commits. */
export async function revokeToken(
  tx: Tx,
  db: Db,
  options: { accountId: string; id: string; now: number },
): Promise<void> {
  const { accountId, id, now } = options;
  const touched = await tx.run(
    sql`update access_token set revoked = ${new Date(now)}, sealed = ''
        where id = ${id} and account_id = ${accountId} and revoked is null`,
  );
  if (touched === 0) throw notFound(`token ${id}`);
  forgetTokens(tx, db);
}

/** What authentication needs to know of a token. */
export interface KnownToken {
  id: string;
  account_id: string;
  scopes: ReadonlySet<string>;
  expires: number | null;
}

/**
 * How long a token that was looked up is believed. Bounds how long another process goes on after a revocation here;
 * in this process a revocation is seen at once.
 */
const believedMs = 500;
const believedMax = 10_000;
/** `last_used` is for people; a write per request would cost more than the request. */
const lastUsedEveryMs = 60_000;

/** What a process believes of the tokens in one database. */
interface Beliefs {
  tokens: LRUCache<string, KnownToken>;
  /** Counts revocations: what was read before one is not kept after it. */
  revocations: number;
}

const beliefsOf = new WeakMap<Db, Beliefs>();

function beliefs(db: Db, clock: Clock): Beliefs {
  let found = beliefsOf.get(db);
  if (found === undefined) {
    const perf = { now: () => clock.now() };
    found = {
      tokens: new LRUCache({ max: believedMax, ttl: believedMs, ttlResolution: 0, perf }),
      revocations: 0,
    };
    beliefsOf.set(db, found);
  }
  return found;
}

/** After the commit, every token of `db` is looked up again. */
export function forgetTokens(tx: Tx, db: Db): void {
  tx.afterCommit(() => {
    const known = beliefsOf.get(db);
    if (known === undefined) return;
    known.revocations++;
    known.tokens.clear();
  });
}

/** The token of this secret, or `undefined` when it is unknown, revoked, expired or its account deleted. */
export async function knownToken(db: Db, clock: Clock, secret: string): Promise<KnownToken | undefined> {
  if (!/^[0-9a-f]{60}$/.test(secret)) return undefined;
  const hash = secretHash(secret);
  const key = hash.toString("base64");
  const known = beliefs(db, clock);
  const now = clock.now();
  let token = known.tokens.get(key);
  if (token === undefined) {
    const { revocations } = known;
    token = await lookUp(db, hash, now);
    if (token !== undefined && revocations === known.revocations) known.tokens.set(key, token);
  }
  return token === undefined || (token.expires !== null && token.expires <= now) ? undefined : token;
}

async function lookUp(db: Db, hash: Buffer, now: number): Promise<KnownToken | undefined> {
  const row = await db.maybe<{
    id: string;
    account_id: string;
    scopes: string[];
    expires: number | null;
    last_used: number | null;
  }>({
    name: "token-by-hash",
    text: `select t.id, t.account_id, t.scopes, (extract(epoch from t.expires) * 1000)::float8 as expires,
                  (extract(epoch from t.last_used) * 1000)::float8 as last_used
           from access_token t join account a on a.id = t.account_id
           where t.hash = $1 and t.revoked is null and a.deleted is null`,
    values: [hash],
  });
  if (row === undefined) return undefined;
  if (row.last_used === null || row.last_used <= now - lastUsedEveryMs) {
    const before = new Date(now - lastUsedEveryMs);
    await db.run(
      sql`update access_token set last_used = ${new Date(now)}
          where id = ${row.id} and (last_used is null or last_used <= ${before})`,
    );
  }
  return { id: row.id, account_id: row.account_id, scopes: new Set(row.scopes), expires: row.expires };
}
