import { type Queryable, type Sql, sql, sqlState, type Tx } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { pause } from "../platform/pause.ts";
import type { FailureKind, ProviderFailure } from "./connector.ts";
import type { Settings } from "./credentials.ts";

/** Credentials of an account with a provider. */
export interface Login {
  accountId: string;
  provider: string;
  /** Those that say who logs in where. */
  settings: Settings;
}

/** May they be sent? `once`: a person has asked for it, and that is used up now. */
export type Leave = "yes" | "once" | "no";

/** Credentials whose logins got so many answers that nobody understood may be wrong ones: they are not sent either. */
const unclearMax = 2;
/** A person who asks again sooner has hardly been at the provider, and would lock the login there. */
const againAfterMs = 3_600_000;
/** Tries to write down what the provider has said, while the database is away. */
const noteTriesMax = 60;
const noteEveryMs = 1_000;
const foreignKeyViolation = "23503";
/** Whoever is told this has got in. */
const behindLogin: ReadonlySet<FailureKind> = new Set(["code", "consent", "person", "ended"]);

/**
 * Asked before anything is sent: credentials that the provider has refused are never sent again, whichever connection of
 * the account they are in, except once when a person has asked for it.
 */
export async function leaveToLogIn(deps: Pick<Deps, "db" | "keys">, login: Login): Promise<Leave> {
  const { db } = deps;
  const row = await rowOf(db, deps, login);
  const { permitted, known } = await db.one<{ permitted: boolean; known: boolean }>(sql`
    with used as (update refused_credentials set again = false where ${row} and again returning 1)
    select exists (select from used) as permitted,
           exists (select from refused_credentials where ${row} and ${isKnown}) as known`);
  return permitted ? "once" : known ? "no" : "yes";
}

const isKnown = sql`(is_refused or unclear >= ${unclearMax})`;

/**
 * Keeps what a failure says about the credentials that were sent, whether the run still has its connection or not: the
 * provider has counted. Tries for a minute when the database is away.
 */
export async function noteLogin(
  deps: Pick<Deps, "db" | "keys" | "clock">,
  login: Login,
  { failure, leave }: { failure: ProviderFailure; leave: Leave },
): Promise<void> {
  const { kind, isLogin } = failure;
  const note = async () => {
    if (kind === "credentials" || (kind === "changed" && isLogin)) await addRefusal(deps, login, kind);
    else if (behindLogin.has(kind)) await noteAccepted(deps.db, deps, { login, leave });
  };
  for (let tries = 1; ; tries++) {
    try {
      return await note();
    } catch (error) {
      // The account was deleted meanwhile.
      if (sqlState(error) === foreignKeyViolation) return;
      if (tries === noteTriesMax) throw error;
      await pause(noteEveryMs, new AbortController().signal);
    }
  }
}

async function addRefusal(
  deps: Pick<Deps, "db" | "keys" | "clock">,
  login: Login,
  kind: "credentials" | "changed",
): Promise<void> {
  const print = await fingerprint(deps.db, deps, login);
  const isRefused = kind === "credentials";
  await deps.db.run(sql`
    insert into refused_credentials as r (account_id, provider, fingerprint, at, is_refused, unclear)
    values (${login.accountId}, ${login.provider}, ${print}, ${new Date(deps.clock.now())}, ${isRefused},
            ${isRefused ? 0 : 1})
    on conflict (account_id, provider, fingerprint) do update
      set at = excluded.at, is_refused = r.is_refused or excluded.is_refused,
        unclear = least(r.unclear + excluded.unclear, ${unclearMax})`);
}

/**
 * The provider let them in. A refusal stands all the same when nobody had asked for another attempt: a session of before
 * may have let the run in, while others were refused.
 */
export async function noteAccepted(
  db: Queryable,
  deps: Pick<Deps, "keys">,
  { login, leave }: { login: Login; leave: Leave },
): Promise<void> {
  const row = await rowOf(db, deps, login);
  await db.run(sql`delete from refused_credentials where ${row} and (not is_refused or ${leave === "once"})`);
}

/**
 * A person wants credentials to be tried once more. Answers since when that is possible, epoch ms: it is permitted when
 * that lies in the past; null when they are not refused at all.
 */
export async function permitAgain(
  tx: Tx,
  deps: Pick<Deps, "keys">,
  { login, now }: { login: Login; now: number },
): Promise<number | null> {
  const row = await rowOf(tx, deps, login);
  const refused = await tx.maybe<{ at: number }>(sql`
    select (extract(epoch from at) * 1000)::float8 as at from refused_credentials
    where ${row} and ${isKnown} for no key update`);
  if (refused === undefined) return null;
  const from = refused.at + againAfterMs;
  if (from <= now) await tx.run(sql`update refused_credentials set again = true where ${row}`);
  return from;
}

async function rowOf(db: Queryable, deps: Pick<Deps, "keys">, login: Login): Promise<Sql> {
  const print = await fingerprint(db, deps, login);
  return sql`account_id = ${login.accountId} and provider = ${login.provider} and fingerprint = ${print}`;
}

/** Tells credentials apart without holding them: a keyed hash, the same in whatever order they were written. */
export function fingerprint(
  db: Queryable,
  { keys }: Pick<Deps, "keys">,
  { accountId, provider, settings }: Login,
): Promise<Buffer> {
  const entries = Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1));
  const place = { table: "refused_credentials", row: provider, column: "fingerprint" };
  return keys.mac(db, accountId, JSON.stringify(entries), place);
}
