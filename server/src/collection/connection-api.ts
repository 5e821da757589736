import { z } from "zod";
import { actorOf, audit, reach, timezoneOf } from "../accounts/accounts.ts";
import { type Db, type Queryable, sql, type Tx } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { type Caller, type Endpoint, endpoint, Message, Page } from "../platform/http/endpoint.ts";
import { fieldsOf, readList } from "../platform/http/filter.ts";
import { accountId, id } from "../platform/http/schema.ts";
import { newId } from "../platform/id.ts";
import { invalid, Problem } from "../platform/problem.ts";
import { parsePeriods, periodIn } from "../platform/time/period.ts";
import {
  type Connection,
  connectionColumns,
  endRun,
  reachConnection,
  runNow,
  visibleConnections,
} from "./connection.ts";
import { connectionView, languageOfAccount, viewConnections, withLink } from "./connection-view.ts";
import { type Connector, failureKinds } from "./connector.ts";
import { askConsent, type ConsentLink, personOf, returnUrl } from "./consent.ts";
import { connectionStates } from "./consequence.ts";
import { checkedSettings, openSettings, type Settings, sealed, storedSettings } from "./credentials.ts";
import type { Concerned } from "./issue.ts";
import { assertAvailable } from "./readiness.ts";
import { enteredSetup } from "./setup.ts";
import { changeState } from "./state.ts";
import { assertPlace } from "./structure.ts";

/** Path parameters of one connection. */
export const oneConnection = z.object({ id: id() });
const ids = { id: "connection" } as const;

const name = z
  .string()
  .trim()
  .max(200)
  .refine((text) => !/\p{Cc}/u.test(text) && text.isWellFormed(), "must not contain control characters")
  .nullable()
  .transform((text) => (text === "" ? null : text));
const credentials = z.record(z.string(), z.unknown()).meta({
  description: "What `GET /providers/{provider}` asks for in `credentials`.",
});

const fields = fieldsOf({
  _id: { kind: "id", column: sql`c.id` },
  "account._id": { kind: "id", column: sql`c.account_id` },
  provider: { kind: "text-exact", column: sql`c.provider` },
  name: { kind: "text-exact", column: sql`c.name` },
  state: { kind: "enum", column: sql`c.state`, values: connectionStates },
  failure: { kind: "enum", column: sql`c.failure`, values: failureKinds },
  created: { kind: "timestamp", column: sql`c.created` },
});

/** One connection as answers show it. */
export async function show(
  db: Queryable,
  who: Caller,
  connectionId: string,
): Promise<z.output<typeof connectionView>> {
  const connection = await reachConnection(db, who, { id: connectionId });
  return (await viewConnections(db, [connection], await languageOfAccount(db, who.accountId)))[0]!;
}

interface Line {
  now: number;
  action: string;
  connection: { id: string; accountId: string };
  detail?: Record<string, unknown>;
}

/** Writes down who did what with a connection. */
export function auditLine(tx: Tx, who: Caller, { now, action, connection, detail }: Line): Promise<void> {
  const entry = {
    at: now,
    accountId: connection.accountId,
    actor: actorOf(who),
    action,
    subject: connection.id,
  };
  return audit(tx, { ...entry, ...(detail === undefined ? {} : { detail }) });
}

const list = endpoint({
  method: "GET",
  path: "/connections",
  access: "collection",
  summary: "Lists connections with providers: those of the account and of its subaccounts.",
  ids: { "account._id": "account" },
  filters: () => true,
  reply: z.array(connectionView),
  list: true,
  async handle({ who, search, ignored }, { db, settings }) {
    const { where, orderBy, skip, limit } = readList(search, { fields, ignored, pageMax: settings.pageMax });
    const of = sql`${await visibleConnections(db, who)}${where}`;
    const { count } = await db.one<{ count: number }>(sql`select count(*) as count ${of}`);
    const rows = await db.rows<Connection>(
      sql`select ${connectionColumns} ${of} order by ${orderBy} offset ${skip} limit ${limit}`,
    );
    const language = await languageOfAccount(db, who.accountId);
    return new Page(await viewConnections(db, rows, language), { count, skip, limit });
  },
});

const one = endpoint({
  method: "GET",
  path: "/connections/:id",
  access: "collection",
  summary: "One connection: its state, who has to act, and the steps of the run that is on.",
  ids,
  params: oneConnection,
  reply: connectionView,
  handle: ({ who, params }, { db }) => show(db, who, params.id),
});

function create(connectorOf: ConnectorOf): Endpoint {
  return endpoint({
    method: "POST",
    path: "/connections",
    access: "collection",
    summary:
      "Connects with a provider: checks the credentials, looks for meters and begins to collect, at once.",
    description:
      "The answer comes before the provider was asked: read `/connections/{id}` or listen to its events. Credentials " +
      "are never shown again. Where customers give consent by a link, the answer holds it as `consent.url`, and what " +
      "follows begins when they have been there.",
    ids: { account: "account" },
    body: z.object({
      provider: z.string().max(100),
      credentials,
      name: name.optional(),
      account: accountId().optional(),
      return_url: returnUrl.optional(),
    }),
    reply: connectionView,
    async handle({ who, body }, deps) {
      const { db, keys, clock, settings: server } = deps;
      const now = clock.now();
      const at = new Date(now);
      const connector = connectorOf(body.provider);
      await assertAvailable(db, connector, { settings: server.browser, now });
      const account = await reach(db, who, body.account ?? "me");
      await assertPlace(db, account);
      const entered = checkedSettings(connector, body.credentials, null);
      enteredSetup(connector, entered, server.providers);
      const connection = { id: newId(now), accountId: account.id, name: body.name ?? null };
      return db.transaction(async (tx) => {
        const { settings, sealed: box } = await storedSettings(
          tx,
          { keys, of: connection, connector },
          entered,
        );
        await tx.run(sql`
          insert into connection (id, account_id, provider, name, settings, sealed, state, state_since, next_run,
            next_reason, created, updated)
          values (${connection.id}, ${account.id}, ${connector.name}, ${connection.name},
            ${JSON.stringify(settings)}::jsonb, ${box}, 'checking', ${at}, ${at}, 'created', ${at}, ${at})`);
        const detail = { provider: connector.name };
        await auditLine(tx, who, { now, action: "connection.created", connection, detail });
        const link = await linkFor(tx, deps, { connector, connection, entered, who, to: body.return_url });
        return withLink(await show(tx, who, connection.id), link);
      });
    },
  });
}

/** Has a connection wait for the consent of its customer, where the provider wants one by a link; else null. */
async function linkFor(
  tx: Tx,
  deps: Pick<Deps, "keys" | "clock" | "settings">,
  {
    connector,
    connection,
    entered,
    who,
    to,
  }: {
    connector: Connector;
    connection: Concerned;
    entered: Settings;
    who: Caller;
    to: string | undefined;
  },
): Promise<ConsentLink | null> {
  if (connector.consent === undefined) {
    if (to === undefined) return null;
    throw invalid("return_url", "is for providers with consent by a link; leave it out");
  }
  await halt(tx, deps, { connection, state: "waiting_for_consent" });
  const options = { connector, connection, settings: entered, actorId: personOf(who) };
  return askConsent(tx, deps, { ...options, returnUrl: to ?? null });
}

/** The connector of a provider. @throws Problem when there is none */
export type ConnectorOf = (name: string) => Connector;

function change(connectorOf: ConnectorOf): Endpoint {
  return endpoint({
    method: "PUT",
    path: "/connections/:id",
    access: "collection",
    summary: "Changes the name or the credentials of a connection; new credentials are tried at once.",
    description:
      "Fields that hold `********` keep their value. A paused connection stays paused. Where customers give consent by a " +
      "link, a new one comes with new credentials.",
    ids,
    params: oneConnection,
    body: z.object({ credentials: credentials.optional(), name: name.optional() }),
    reply: connectionView,
    async handle({ who, params, body }, deps) {
      const { db, clock } = deps;
      const now = clock.now();
      return act(db, { who, params }, async (tx, before) => {
        const named = body.name === undefined ? before.name : body.name;
        await tx.run(sql`
          update connection set name = ${named}, updated = ${new Date(now)}, version = version + 1
          where id = ${before.id}`);
        const link =
          body.credentials === undefined
            ? null
            : await enter(tx, deps, { who, before, connectorOf, sent: body.credentials });
        const detail = { credentials: body.credentials !== undefined };
        await auditLine(tx, who, { now, action: "connection.updated", connection: before, detail });
        return link;
      });
    },
  });
}

/** Gives a connection other credentials; unless it is paused, they are tried, or consent is asked for. */
async function enter(
  tx: Tx,
  deps: Pick<Deps, "keys" | "clock" | "settings">,
  {
    who,
    before,
    connectorOf,
    sent,
  }: { who: Caller; before: Connection; connectorOf: ConnectorOf; sent: unknown },
): Promise<ConsentLink | null> {
  const { keys, clock, settings: server } = deps;
  const connector = connectorOf(before.provider);
  await assertAvailable(tx, connector, { settings: server.browser, now: clock.now() });
  const old = await openSettings(tx, { keys, of: before }, before);
  const entered = checkedSettings(connector, sent, old);
  enteredSetup(connector, entered, server.providers);
  const stored = await storedSettings(tx, { keys, of: before, connector }, entered);
  // What was kept between runs belongs to the login of before, and so does a consent that is under way.
  await tx.run(sql`
    update connection set settings = ${JSON.stringify(stored.settings)}::jsonb, sealed = ${stored.sealed},
      memory = null, failure = null, failures = 0, failing_since = null
    where id = ${before.id}`);
  await tx.run(sql`delete from connection_consent where connection_id = ${before.id}`);
  if (before.state === "paused") return null;
  if (connector.consent !== undefined) {
    return linkFor(tx, deps, { connector, connection: before, entered, who, to: undefined });
  }
  await tryAgain(tx, deps, { before, reason: "credentials" });
  return null;
}

/**
 * Does something to a connection that the caller reaches, while nobody else changes it, and shows what became of it:
 * with the link when `work` has asked for consent.
 */
export function act(
  db: Db,
  { who, params }: { who: Caller; params: { id: string } },
  work: (tx: Tx, connection: Connection) => Promise<ConsentLink | null>,
): Promise<z.output<typeof connectionView>> {
  return db.transaction(async (tx) => {
    const connection = await reachConnection(tx, who, { id: params.id, lock: true });
    const link = await work(tx, connection);
    return withLink(await show(tx, who, connection.id), link);
  });
}

/** Ends a run that is on, and none begins by itself in the state that follows. */
async function halt(
  tx: Tx,
  { clock }: Pick<Deps, "clock">,
  { connection, state }: { connection: Concerned; state: "paused" | "waiting_for_consent" },
): Promise<void> {
  const now = clock.now();
  await endRun(tx, connection.id, now);
  await tx.run(sql`update connection set next_run = null where id = ${connection.id}`);
  await changeState(tx, { clock }, { connection, state, issue: null, now });
}

/** Begins a run now; unless it works already, the connection is checked anew. */
export async function tryAgain(
  tx: Tx,
  deps: { clock: { now(): number } },
  { before, reason }: { before: Connection; reason: "credentials" | "by_hand" | "backfill" },
): Promise<void> {
  const now = deps.clock.now();
  await runNow(tx, { connectionId: before.id, reason, now });
  if (before.state === "collecting" && reason !== "credentials") return;
  await changeState(tx, deps, { connection: before, state: "checking", issue: null, now });
}

const pause = endpoint({
  method: "POST",
  path: "/connections/:id/pause",
  access: "collection",
  summary: "Stops collecting until the connection is resumed; a run that is on is ended.",
  ids,
  params: oneConnection,
  reply: connectionView,
  async handle({ who, params }, { db, clock }) {
    return act(db, { who, params }, async (tx, connection) => {
      await halt(tx, { clock }, { connection, state: "paused" });
      await auditLine(tx, who, { now: clock.now(), action: "connection.paused", connection });
      return null;
    });
  },
});

const resume = endpoint({
  method: "POST",
  path: "/connections/:id/resume",
  access: "collection",
  summary: "Goes on with a paused connection, at once.",
  ids,
  params: oneConnection,
  reply: connectionView,
  async handle({ who, params }, { db, clock }) {
    return act(db, { who, params }, async (tx, before) => {
      if (before.state !== "paused") return null;
      await tryAgain(tx, { clock }, { before, reason: "by_hand" });
      await auditLine(tx, who, { now: clock.now(), action: "connection.resumed", connection: before });
      return null;
    });
  },
});

function run(connectorOf: ConnectorOf): Endpoint {
  return endpoint({
    method: "POST",
    path: "/connections/:id/run",
    access: "collection",
    summary: "Runs a connection now: looks for meters and asks for everything that is wanted.",
    description:
      "One that is on is left alone. Credentials that the provider has refused are not sent again: the run fails then, " +
      "and says so; see `/connections/{id}/credentials/retry`. Limits of the provider hold.",
    ids,
    params: oneConnection,
    reply: connectionView,
    async handle({ who, params }, { db, clock, settings }) {
      const now = clock.now();
      return act(db, { who, params }, async (tx, before) => {
        refusePaused(before);
        await assertAvailable(tx, connectorOf(before.provider), { settings: settings.browser, now });
        if (before.runId === null) await tryAgain(tx, { clock }, { before, reason: "by_hand" });
        await auditLine(tx, who, { now, action: "connection.run", connection: before });
        return null;
      });
    },
  });
}

/** @throws Problem 409 for a connection that nothing may begin on */
export function refusePaused({ state }: Connection): void {
  if (state === "paused") throw new Problem("conflict", "The connection is paused. Resume it first.");
}

const backfill = endpoint({
  method: "POST",
  path: "/connections/:id/backfill",
  access: "collection",
  summary: "Reads a period again, in steps, whether values are there already or not.",
  description:
    "`period` is written as everywhere, such as `2025` or `20250101-20250331`. A new one replaces another.",
  ids,
  params: oneConnection,
  body: z.object({ period: z.string().max(200) }),
  reply: connectionView,
  async handle({ who, params, body }, { db, clock }) {
    const now = clock.now();
    const [period, ...more] = parsePeriods(body.period);
    if (period === undefined || more.length > 0) throw invalid("period", "must be one period");
    return act(db, { who, params }, async (tx, before) => {
      refusePaused(before);
      const { from, to } = periodIn(await timezoneOf(tx, before.accountId), period, now);
      if (from >= now) throw invalid("period", "has not begun yet: there is nothing to read");
      await tx.run(sql`
        update connection set backfill_from = ${new Date(from)}, backfill_to = ${new Date(Math.min(to, now))}
        where id = ${before.id}`);
      if (before.runId === null) await tryAgain(tx, { clock }, { before, reason: "backfill" });
      const detail = { period: body.period };
      await auditLine(tx, who, { now, action: "connection.backfill", connection: before, detail });
      return null;
    });
  },
});

const code = endpoint({
  method: "POST",
  path: "/connections/:id/code",
  access: "collection",
  summary: "Hands over the code that the provider has sent to the customer, to the login that waits for it.",
  ids,
  params: oneConnection,
  body: z.object({ code: z.string().trim().min(1).max(100) }),
  reply: connectionView,
  async handle({ who, params, body }, { db, keys, clock }) {
    const now = clock.now();
    return act(db, { who, params }, async (tx, connection) => {
      if (connection.codeUntil === null || connection.codeUntil <= now) {
        const { state, failure } = connection;
        const isLate = state === "waiting_for_code" && (failure === "code" || connection.codeUntil !== null);
        const why = isLate ? "The login that waited for a code has ended" : "No login waits for a code";
        throw new Problem("conflict", `${why}. Start a run to get a new one.`);
      }
      const box = await sealed(tx, { keys, of: connection, column: "code" }, body.code);
      await tx.run(sql`update connection set code = ${box} where id = ${connection.id}`);
      return null;
    });
  },
});

const remove = endpoint({
  method: "DELETE",
  path: "/connections/:id",
  access: "collection",
  summary: "Deletes a connection and gives the access back at the provider, where that is possible.",
  description:
    "`data=keep` (the default) leaves its meters and their values; `data=delete` erases the meters that no other " +
    "connection has found, with everything that was ever stored for them.",
  ids,
  params: oneConnection,
  query: z.object({ data: z.enum(["keep", "delete"]).default("keep") }),
  reply: z.undefined(),
  async handle({ who, params, query }, { db, clock }) {
    const now = clock.now();
    await db.transaction(async (tx) => {
      const connection = await reachConnection(tx, who, { id: params.id, lock: true });
      await runNow(tx, { connectionId: connection.id, reason: "by_hand", now });
      await tx.run(sql`update connection set deleting = ${query.data} where id = ${connection.id}`);
      const detail = { data: query.data };
      await auditLine(tx, who, { now, action: "connection.deleted", connection, detail });
    });
    return new Message("Deleted connection.");
  },
});

/** Finds the connector of a provider. */
export function connectorIn(connectors: readonly Connector[]): ConnectorOf {
  return (wanted) => {
    const found = connectors.find((each) => each.name === wanted);
    if (found === undefined) throw invalid("provider", "is not known; GET /providers lists them");
    return found;
  };
}

/** Connections with the providers of these connectors. */
export function connectionEndpoints(connectors: readonly Connector[]): Endpoint[] {
  const connectorOf = connectorIn(connectors);
  return [
    list,
    create(connectorOf),
    one,
    change(connectorOf),
    pause,
    resume,
    run(connectorOf),
    backfill,
    code,
    remove,
  ];
}
