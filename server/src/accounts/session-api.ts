import { z } from "zod";
import { type Db, sql } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { cookieNamed, sessionCookieName } from "../platform/http/access.ts";
import {
  type Call,
  type Caller,
  type Endpoint,
  endpoint,
  Message,
  roles,
} from "../platform/http/endpoint.ts";
import { accountId, formatTimestamp, timestampText } from "../platform/http/schema.ts";
import { invalid, Problem } from "../platform/problem.ts";
import { secretHash } from "../platform/token.ts";
import { accountById } from "./account.ts";
import { actorOf, audit } from "./audit.ts";
import { accountRefView } from "./fields.ts";
import { checkLogin, checkOwnPassword, hasPassword, setPassword } from "./password-check.ts";
import { newPasswordHash } from "./password-rules.ts";
import { reach } from "./reach.ts";
import {
  endSession,
  type LoginMethod,
  openSession,
  type Session,
  sessionById,
  sessionCookie,
  useLoginToken,
} from "./sessions.ts";

const sessionView = z.object({
  _id: z.string(),
  account: accountRefView.describe("The person"),
  acting_account: accountRefView.describe("The account that requests act in"),
  role: z.enum(roles),
  method: z.enum(["password", "login_token"]),
  created: timestampText(),
  expires: timestampText(),
  organizations: z
    .array(accountRefView.extend({ role: z.enum(roles) }))
    .describe("Where the person works; `X-Organization` acts in one"),
});

async function viewSession(
  db: Db,
  session: Session,
  acting: Pick<Caller, "accountId" | "role">,
): Promise<z.output<typeof sessionView>> {
  const refOf = async (id: string) => {
    const { name, username } = await accountById(db, id);
    return { _id: id, name, username };
  };
  const organizations = await db.rows<z.output<typeof sessionView>["organizations"][number]>(
    sql`select o.id as "_id", o.name, o.username, c.role
        from collaborator c join account o on o.id = c.organization_id
        where c.account_id = ${session.account_id} and o.deleted is null and o.is_organization
        order by o.name_folded, o.id limit 1000`,
  );
  return {
    _id: session.id,
    account: await refOf(session.account_id),
    acting_account: await refOf(acting.accountId),
    role: acting.role,
    method: session.method,
    created: formatTimestamp(session.created),
    expires: formatTimestamp(session.expires),
    organizations,
  };
}

const logIn = endpoint({
  method: "POST",
  path: "/sessions",
  access: "public",
  summary: "Logs a person in, by user name and password or with a one-off login token. Sets a cookie.",
  body: z.object({
    username: z.string().trim().min(1).max(254).optional(),
    password: z.string().min(1).max(1024).optional(),
    login_token: z.string().min(1).max(200).optional(),
  }),
  reply: sessionView,
  async handle(call, deps) {
    // A page of another site must not log a visitor in under an account of its own.
    if (call.headers["sec-fetch-site"] === "cross-site") {
      throw new Problem("forbidden", "A page of another site may not log you in");
    }
    const { login_token } = call.body;
    return login_token === undefined ? byPassword(call, deps) : byLoginToken(call, deps, login_token);
  },
});

type AnyCall = Pick<Call<z.ZodAny, z.ZodAny, z.ZodAny>, "headers" | "header" | "remoteAddress">;

async function byPassword(
  call: AnyCall & { body: { username?: string | undefined; password?: string | undefined } },
  deps: Deps,
) {
  const { username, password } = call.body;
  if (username === undefined) throw invalid("username", "is required");
  if (password === undefined) throw invalid("password", "is required");
  const found = await checkLogin(deps, { username, password, remoteAddress: call.remoteAddress });
  if (found === null) {
    deps.log.warn({ remoteAddress: call.remoteAddress }, "login refused");
    throw new Problem("unauthenticated", "The user name or the password is wrong");
  }
  return begin(call, deps, { accountId: found.id, method: "password" });
}

async function byLoginToken(call: AnyCall, deps: Deps, token: string) {
  const { db, clock } = deps;
  const accountId = await db.transaction((tx) => useLoginToken(tx, token, clock.now()));
  if (accountId === null) throw new Problem("unauthenticated", "The login token is wrong, used or too old");
  return begin(call, deps, { accountId, method: "login_token" });
}

/** A login always gets a new secret, and ends the session that the browser had: none can be planted in advance. */
async function begin(call: AnyCall, deps: Deps, person: { accountId: string; method: LoginMethod }) {
  const { db, clock, settings } = deps;
  const now = clock.now();
  const earlier =
    call.headers.cookie === undefined ? null : cookieNamed(call.headers.cookie, sessionCookieName);
  const { secret, session } = await db.transaction(async (tx) => {
    if (earlier !== null) await tx.run(sql`delete from session where hash = ${secretHash(earlier)}`);
    const opened = await openSession(tx, { ...person, now });
    const entry = {
      at: now,
      accountId: person.accountId,
      actor: person.accountId,
      subject: opened.session.id,
    };
    await audit(tx, { ...entry, action: "session.started", detail: { method: person.method } });
    return opened;
  });
  call.header("Set-Cookie", sessionCookie(secret, settings.publicUrl));
  return viewSession(db, session, { accountId: person.accountId, role: "administrator" });
}

const readSession = endpoint({
  method: "GET",
  path: "/sessions/me",
  access: "session",
  summary: "Who is logged in, and where they work.",
  reply: sessionView,
  async handle({ who }, { db }) {
    return viewSession(db, await sessionById(db, who.credentialId), who);
  },
});

const logOut = endpoint({
  method: "DELETE",
  path: "/sessions/me",
  access: "session",
  role: "reader",
  summary: "Logs out.",
  reply: z.null(),
  async handle(call, { db, clock, settings }) {
    const { who } = call;
    await db.transaction(async (tx) => {
      await endSession(tx, who.credentialId);
      const entry = { at: clock.now(), accountId: who.ownAccountId, actor: actorOf(who) };
      await audit(tx, { ...entry, action: "session.ended", subject: who.credentialId });
    });
    call.header("Set-Cookie", sessionCookie(null, settings.publicUrl));
    return new Message("Logged out.");
  },
});

const changePassword = endpoint({
  method: "PUT",
  path: "/accounts/:id/password",
  access: "session",
  role: "reader",
  summary: "Changes your password and ends your other sessions.",
  description:
    "`current_password` may be left out by who has none yet, for example after a login with a login token.",
  ids: { id: "account" },
  params: z.object({ id: accountId() }),
  body: z.object({
    current_password: z.string().min(1).max(1024).optional(),
    new_password: z.string().max(1024),
  }),
  reply: z.null(),
  async handle({ who, params, body, remoteAddress }, deps) {
    const { db, clock } = deps;
    const person = who.actorId!;
    // A password belongs to a person: nobody else's can be changed here, that of a subaccount neither.
    if (params.id !== "me" && params.id !== person) {
      await reach(db, who, params.id);
      throw new Problem(
        "forbidden",
        "You can only change your own password. Create a login token for others.",
      );
    }
    if (await hasPassword(deps, person)) {
      const password = body.current_password;
      if (password === undefined) throw invalid("current_password", "is required");
      if (!(await checkOwnPassword(deps, { id: person, password, remoteAddress }))) {
        throw invalid("current_password", "is wrong");
      }
    }
    const { name, username } = await accountById(db, person);
    const passwordHash = await newPasswordHash(body.new_password, [name, username], "new_password");
    await db.transaction(async (tx) => {
      await setPassword(tx, { accountId: person, passwordHash, keepSession: who.credentialId });
      await audit(tx, {
        at: clock.now(),
        accountId: person,
        actor: actorOf(who),
        action: "password.changed",
      });
    });
    return new Message("Changed password.");
  },
});

/** Login, logout, password. */
export const sessionEndpoints: Endpoint[] = [logIn, readSession, logOut, changePassword];
