import { z } from "zod";
import { sql } from "../platform/db.ts";
import {
  type Caller,
  type Endpoint,
  endpoint,
  Message,
  type Scope,
  scopes,
} from "../platform/http/endpoint.ts";
import { fieldsOf } from "../platform/http/filter.ts";
import {
  accountId,
  commaList,
  formatTimestamp,
  id,
  timestamp,
  timestampText,
} from "../platform/http/schema.ts";
import { invalid, Problem } from "../platform/problem.ts";
import { actorOf, audit } from "./audit.ts";
import { nameText } from "./fields.ts";
import { listPage } from "./page.ts";
import { checkOwnPassword, hasPassword } from "./password-check.ts";
import { reach } from "./reach.ts";
import { createLoginToken, type LoginToken, loginTokenColumns, removeLoginToken } from "./sessions.ts";
import { createToken, revealToken, revokeToken, type Token, tokenById, tokenColumns } from "./tokens.ts";

const ofAccount = z.object({ id: accountId() });
const oneToken = z.object({ id: accountId(), token_id: id() });
const tokenIds = { id: "account", token_id: "token" } as const;
const administrators = { access: "write_accounts", role: "administrator" } as const;

const tokenView = z.object({
  _id: z.string(),
  name: z.string().nullable(),
  token: z.string().describe("Masked except for the last characters; whole in the answer that creates it"),
  scopes: z.array(z.string()),
  created: timestampText(),
  expires: timestampText().nullable(),
  last_used: timestampText().nullable(),
});

function viewToken(row: Token, secret?: string): z.output<typeof tokenView> {
  return {
    _id: row.id,
    name: row.name,
    token: secret ?? `********${row.ending}`,
    scopes: row.scopes,
    created: formatTimestamp(row.created),
    expires: row.expires === null ? null : formatTimestamp(row.expires),
    last_used: row.last_used === null ? null : formatTimestamp(row.last_used),
  };
}

const tokenFields = fieldsOf({
  _id: { kind: "id", column: sql`id` },
  name: { kind: "text-exact", column: sql`name` },
  scopes: { kind: "any-of", column: sql`scopes`, values: scopes },
  created: { kind: "timestamp", column: sql`created` },
  expires: { kind: "timestamp", column: sql`expires` },
  last_used: { kind: "timestamp", column: sql`last_used` },
});

const listTokens = endpoint({
  ...administrators,
  method: "GET",
  path: "/accounts/:id/tokens",
  summary: "Lists the private access tokens of an account, masked.",
  ids: { id: "account" },
  params: ofAccount,
  filters: () => true,
  reply: z.array(tokenView),
  list: true,
  async handle(call, deps) {
    const account = await reach(deps.db, call.who, call.params.id);
    return listPage<Token>(deps, call, {
      columns: tokenColumns,
      from: sql`from access_token where account_id = ${account.id} and revoked is null`,
      fields: tokenFields,
      view: (row) => viewToken(row),
    });
  },
});

const readToken = endpoint({
  ...administrators,
  method: "GET",
  path: "/accounts/:id/tokens/:token_id",
  summary: "Reads a private access token, masked.",
  ids: tokenIds,
  params: oneToken,
  reply: tokenView,
  async handle({ who, params }, { db }) {
    const account = await reach(db, who, params.id);
    return viewToken(await tokenById(db, account.id, params.token_id));
  },
});

const makeToken = endpoint({
  ...administrators,
  method: "POST",
  path: "/accounts/:id/tokens",
  summary: "Creates a private access token. The answer shows it.",
  description:
    "Scopes are `basic` unless the body names others. A token can only create tokens with scopes that it has itself " +
    "and that do not outlive it.",
  ids: { id: "account" },
  params: ofAccount,
  body: z.object({
    name: nameText.nullable().optional(),
    scopes: commaList(z.enum(scopes), 50).optional(),
    expires: timestamp().nullable().optional(),
  }),
  reply: tokenView,
  handle({ who, params, body }, { db, keys, clock }) {
    const now = clock.now();
    const wanted = [...new Set<Scope>(body.scopes ?? ["basic"])];
    if (wanted.length === 0) throw invalid("scopes", `name at least one of ${scopes.join(", ")}`);
    return db.transaction(async (tx) => {
      const account = await reach(tx, who, params.id);
      const own = who.kind === "token" ? await tokenById(tx, who.ownAccountId, who.credentialId) : null;
      assertGrantable(who, { wanted, expires: body.expires ?? null, own, now });
      const { token, row } = await createToken(tx, keys, {
        accountId: account.id,
        name: body.name ?? null,
        scopes: wanted,
        expires: body.expires ?? null,
        createdBy: who.actorId,
        now,
      });
      const entry = {
        at: now,
        accountId: account.id,
        actor: actorOf(who),
        action: "token.created",
        subject: row.id,
      };
      await audit(tx, { ...entry, detail: { scopes: wanted } });
      return viewToken(row, token);
    });
  },
});

function assertGrantable(
  who: Caller,
  token: { wanted: readonly Scope[]; expires: number | null; own: Token | null; now: number },
): void {
  if (token.expires !== null && token.expires <= token.now) throw invalid("expires", "must be in the future");
  const beyond = token.wanted.filter((scope) => !who.scopes.has(scope));
  if (beyond.length > 0) {
    throw new Problem("forbidden", `The token lacks the scope ${beyond.join(", ")} and cannot grant it`);
  }
  const limit = token.own?.expires ?? null;
  if (limit !== null && (token.expires === null || token.expires > limit)) {
    throw invalid("expires", `cannot be later than that of the token used, ${formatTimestamp(limit)}`);
  }
}

const renameToken = endpoint({
  ...administrators,
  method: "PUT",
  path: "/accounts/:id/tokens/:token_id",
  summary: "Renames a private access token. Scopes and expiry cannot be changed: create another one.",
  ids: tokenIds,
  params: oneToken,
  body: z.object({ name: nameText.nullable().optional() }),
  reply: tokenView,
  handle({ who, params, body }, { db, clock }) {
    return db.transaction(async (tx) => {
      const account = await reach(tx, who, params.id);
      const before = await tokenById(tx, account.id, params.token_id);
      if (body.name === undefined || body.name === before.name) return viewToken(before);
      await tx.run(sql`update access_token set name = ${body.name} where id = ${before.id}`);
      const entry = { at: clock.now(), accountId: account.id, actor: actorOf(who) };
      await audit(tx, { ...entry, action: "token.renamed", subject: before.id });
      return viewToken({ ...before, name: body.name });
    });
  },
});

const endToken = endpoint({
  ...administrators,
  method: "DELETE",
  path: "/accounts/:id/tokens/:token_id",
  summary: "Revokes a private access token, at once.",
  ids: tokenIds,
  params: oneToken,
  reply: z.null(),
  async handle({ who, params }, { db, clock }) {
    const now = clock.now();
    await db.transaction(async (tx) => {
      const account = await reach(tx, who, params.id);
      await revokeToken(tx, db, { accountId: account.id, id: params.token_id, now });
      const entry = { at: now, accountId: account.id, actor: actorOf(who) };
      await audit(tx, { ...entry, action: "token.revoked", subject: params.token_id });
    });
    return new Message("Deleted token.");
  },
});

const viewSecret = endpoint({
  method: "POST",
  path: "/accounts/:id/tokens/:token_id/view",
  access: "session",
  role: "administrator",
  summary: "Shows a private access token again, after the password. Every view is in the audit log.",
  ids: tokenIds,
  params: oneToken,
  body: z.object({ password: z.string().min(1).max(1024) }),
  reply: tokenView,
  async handle({ who, params, body, remoteAddress }, deps) {
    const { db, keys, clock } = deps;
    const account = await reach(db, who, params.id);
    await tokenById(db, account.id, params.token_id);
    const person = who.actorId!;
    if (!(await hasPassword(deps, person)))
      throw new Problem("forbidden", "Set a password first: PUT /accounts/me/password");
    if (!(await checkOwnPassword(deps, { id: person, password: body.password, remoteAddress }))) {
      throw invalid("password", "is wrong");
    }
    return db.transaction(async (tx) => {
      const row = await tokenById(tx, account.id, params.token_id);
      const secret = await revealToken(tx, keys, { accountId: account.id, id: row.id });
      const entry = { at: clock.now(), accountId: account.id, actor: actorOf(who) };
      await audit(tx, { ...entry, action: "token.viewed", subject: row.id });
      return viewToken(row, secret);
    });
  },
});

const loginTokenView = z.object({
  _id: z.string(),
  created: timestampText(),
  expires: timestampText(),
  used: timestampText().nullable(),
  token: z.string().optional().describe("Only in the answer that creates it"),
});

function viewLoginToken(row: LoginToken): z.output<typeof loginTokenView> {
  return {
    _id: row.id,
    created: formatTimestamp(row.created),
    expires: formatTimestamp(row.expires),
    used: row.used === null ? null : formatTimestamp(row.used),
  };
}

const loginTokenFields = fieldsOf({
  _id: { kind: "id", column: sql`id` },
  created: { kind: "timestamp", column: sql`created` },
  expires: { kind: "timestamp", column: sql`expires` },
  used: { kind: "timestamp", column: sql`used` },
});

const listLoginTokens = endpoint({
  ...administrators,
  method: "GET",
  path: "/accounts/:id/login_tokens",
  summary: "Lists the one-off login tokens of an account.",
  ids: { id: "account" },
  params: ofAccount,
  filters: () => true,
  reply: z.array(loginTokenView),
  list: true,
  async handle(call, deps) {
    const account = await reach(deps.db, call.who, call.params.id);
    return listPage<LoginToken>(deps, call, {
      columns: loginTokenColumns,
      from: sql`from login_token where account_id = ${account.id}`,
      fields: loginTokenFields,
      view: viewLoginToken,
    });
  },
});

const makeLoginToken = endpoint({
  ...administrators,
  method: "POST",
  path: "/accounts/:id/login_tokens",
  summary: "Creates a token that logs a person in once, within 15 minutes: `POST /sessions {login_token}`.",
  description: "A session has every right, so the caller must have every scope.",
  ids: { id: "account" },
  params: ofAccount,
  reply: loginTokenView,
  handle({ who, params }, { db, clock }) {
    const missing = scopes.filter((scope) => !who.scopes.has(scope));
    if (missing.length > 0) {
      throw new Problem("forbidden", `A login has every right; the token lacks ${missing.join(", ")}`);
    }
    const now = clock.now();
    return db.transaction(async (tx) => {
      const account = await reach(tx, who, params.id);
      const { token, row } = await createLoginToken(tx, {
        accountId: account.id,
        createdBy: who.actorId,
        now,
      });
      const entry = { at: now, accountId: account.id, actor: actorOf(who) };
      await audit(tx, { ...entry, action: "login_token.created", subject: row.id });
      return { ...viewLoginToken(row), token };
    });
  },
});

const endLoginToken = endpoint({
  ...administrators,
  method: "DELETE",
  path: "/accounts/:id/login_tokens/:token_id",
  summary: "Deletes a one-off login token.",
  ids: tokenIds,
  params: oneToken,
  reply: z.null(),
  async handle({ who, params }, { db, clock }) {
    await db.transaction(async (tx) => {
      const account = await reach(tx, who, params.id);
      await removeLoginToken(tx, account.id, params.token_id);
      const entry = { at: clock.now(), accountId: account.id, actor: actorOf(who) };
      await audit(tx, { ...entry, action: "login_token.deleted", subject: params.token_id });
    });
    return new Message("Deleted login token.");
  },
});

/** Private access tokens and one-off login tokens. */
export const tokenEndpoints: Endpoint[] = [
  listTokens,
  readToken,
  makeToken,
  renameToken,
  endToken,
  viewSecret,
  listLoginTokens,
  makeLoginToken,
  endLoginToken,
];
