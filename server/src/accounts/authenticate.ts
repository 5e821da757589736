import { type Queryable, sql } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import type { Authenticate, Credential } from "../platform/http/access.ts";
import { type Caller, type Role, scopes } from "../platform/http/endpoint.ts";
import { Problem } from "../platform/problem.ts";
import { knownSession } from "./sessions.ts";
import { knownToken } from "./tokens.ts";

const allScopes: ReadonlySet<string> = new Set(scopes);

/**
 * Who asks, from a private token or a session; `null` when the credential is wrong. The one place where callers are
 * made. Throws 403 when the credential is right but may not act in the account that a header names.
 */
export const authenticate: Authenticate = async (credential, deps) => {
  const caller = await callerOf(credential, deps);
  return caller === null ? null : actIn(deps.db, caller, credential);
};

async function callerOf(credential: Credential, { db, clock }: Deps): Promise<Caller | null> {
  const { authorization, accessToken, cookie } = credential;
  if (authorization !== null || accessToken !== null) {
    const secret = authorization === null ? accessToken! : bearerOf(authorization);
    const token = secret === null ? undefined : await knownToken(db, clock, secret);
    if (token === undefined) return null;
    return {
      kind: "token",
      accountId: token.account_id,
      ownAccountId: token.account_id,
      actorId: null,
      clientId: null,
      credentialId: token.id,
      scopes: token.scopes,
      role: "administrator",
    };
  }
  const session = cookie === null ? undefined : await knownSession(db, cookie, clock.now());
  if (session === undefined) return null;
  return {
    kind: "session",
    accountId: session.account_id,
    ownAccountId: session.account_id,
    actorId: session.account_id,
    clientId: null,
    credentialId: session.id,
    scopes: allScopes,
    role: "administrator",
  };
}

function bearerOf(authorization: string): string | null {
  return authorization.startsWith("Bearer ") ? authorization.slice("Bearer ".length) : null;
}

/**
 * The caller in the account that the headers name: `X-Organization` (one that the caller works in) first, then
 * `X-Subaccount` (one that the account acted in manages). Both are looked up at every request, so that a caller is
 * out as soon as the relation ends. Throws 403; ids that do not exist get the same answer as foreign ones.
 */
export async function actIn(
  db: Queryable,
  caller: Caller,
  { organization, subaccount }: Pick<Credential, "organization" | "subaccount">,
): Promise<Caller> {
  if (organization !== null && organization !== "me" && organization !== caller.accountId) {
    const role = await roleIn(db, organization, caller.ownAccountId);
    caller = { ...caller, accountId: organization, role, scopes: scopesIn(caller, role) };
  }
  if (subaccount !== null && subaccount !== "me" && subaccount !== caller.accountId) {
    const managed = await db.maybe(
      sql`select from account where id = ${subaccount} and manager_id = ${caller.accountId} and deleted is null`,
    );
    if (managed === undefined) throw mayNotAct("X-Subaccount", "an account that yours manages");
    caller = { ...caller, accountId: subaccount };
  }
  return caller;
}

async function roleIn(db: Queryable, organizationId: string, personId: string): Promise<Role> {
  const row = await db.maybe<{ role: Role }>(
    sql`select c.role from collaborator c join account a on a.id = c.organization_id
        where c.organization_id = ${organizationId} and c.account_id = ${personId}
          and a.is_organization and a.deleted is null`,
  );
  if (row === undefined) throw mayNotAct("X-Organization", "an organisation that you work in");
  return row.role;
}

/** Roles bind persons; a token is bound by scopes alone, so it keeps only those that its person's role covers. */
function scopesIn(caller: Caller, role: Role): ReadonlySet<string> {
  if (caller.kind === "session" || role === "administrator") return caller.scopes;
  if (role === "editor") return new Set([...caller.scopes].filter((scope) => scope !== "write_accounts"));
  throw new Problem("forbidden", "A token cannot act for a reader; log in instead");
}

function mayNotAct(header: string, what: string): Problem {
  return new Problem("forbidden", `${header} must name ${what}`);
}
