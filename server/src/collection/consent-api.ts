import { z } from "zod";
import { accountById, actorOf, audit } from "../accounts/accounts.ts";
import { sql } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { type Caller, type Endpoint, endpoint, Raw } from "../platform/http/endpoint.ts";
import { Problem } from "../platform/problem.ts";
import { type Connection, connectionColumns } from "./connection.ts";
import {
  act,
  auditLine,
  type ConnectorOf,
  connectorIn,
  oneConnection,
  refusePaused,
  tryAgain,
} from "./connection-api.ts";
import { connectionView } from "./connection-view.ts";
import type { Connector } from "./connector.ts";
import { askConsent, attemptOf, keepAnswer, personOf, type Returned, returnUrl } from "./consent.ts";
import { consentPage } from "./consent-page.ts";
import { openSettings } from "./credentials.ts";

function ask(connectorOf: ConnectorOf): Endpoint {
  return endpoint({
    method: "POST",
    path: "/connections/:id/consent",
    access: "collection",
    summary:
      "Makes a new link at which the customer gives consent: the first one was too old, or it has run out.",
    description:
      "Good for one use within 15 minutes, in the place of earlier ones. What is collected until then goes on. A link that " +
      "a person made who is logged in works in that person's browser alone.",
    ids: { id: "connection_by_link" },
    params: oneConnection,
    body: z.object({ return_url: returnUrl.optional() }),
    reply: connectionView,
    async handle({ who, params, body }, deps) {
      const { db, keys, clock } = deps;
      return act(db, { who, params }, async (tx, connection) => {
        const connector = connectorOf(connection.provider);
        if (connector.consent === undefined) {
          throw new Problem("conflict", "This provider takes credentials, no consent by a link.");
        }
        refusePaused(connection);
        const settings = await openSettings(tx, { keys, of: connection }, connection);
        const link = await askConsent(tx, deps, {
          connector,
          connection,
          settings,
          actorId: personOf(who),
          returnUrl: body.return_url ?? null,
        });
        await auditLine(tx, who, { now: clock.now(), action: "connection.consent_asked", connection });
        return link;
      });
    },
  });
}

const callback = endpoint({
  method: "GET",
  path: "/connections/callback",
  access: "optional",
  summary: "Where providers send browsers of customers back to, after they gave consent or declined.",
  description:
    "No request for programs: it takes what the provider has added to the address, and answers with a page.",
  query: z.object({ state: z.string().max(200).default("") }),
  filters: () => true,
  reply: z.unknown(),
  async handle({ who, query, search, header }, deps) {
    header(
      "content-security-policy",
      "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    );
    const { state } = query;
    const attempt = await attemptOf(deps.db, { state, now: deps.clock.now() });
    if (attempt === undefined) return page(400, "old", "en");
    if (attempt.actorId !== null && attempt.actorId !== who?.actorId) return page(403, "stranger", "en");
    const answer = new URLSearchParams(search);
    answer.delete("access_token");
    const connection = await takeBack(deps, { attempt, state, answer, who });
    if (connection === undefined) return page(400, "old", "en");
    const isGiven = !answer.has("error");
    if (attempt.returnUrl !== null) {
      header("location", wayOn(attempt.returnUrl, { connection, isGiven }));
      return new Raw("text/plain; charset=utf-8", Buffer.from(""), 303);
    }
    const { language } = await accountById(deps.db, connection.accountId);
    return page(200, isGiven ? "given" : "declined", language);
  },
});

type Ending = Parameters<typeof consentPage>[0];

const page = (status: number, ending: Ending, language: string) =>
  new Raw("text/html; charset=utf-8", Buffer.from(consentPage(ending, language)), status);

function wayOn(url: string, { connection, isGiven }: { connection: Connection; isGiven: boolean }): string {
  const address = new URL(url);
  address.searchParams.set("connection", connection.id);
  address.searchParams.set("consent", isGiven ? "given" : "declined");
  return address.href;
}

/** Takes what the browser brought, once, and lets the connection run; `undefined` when somebody was faster. */
async function takeBack(
  deps: Deps,
  {
    attempt,
    state,
    answer,
    who,
  }: { attempt: Returned; state: string; answer: URLSearchParams; who: Caller | null },
): Promise<Connection | undefined> {
  const { db, clock } = deps;
  const now = clock.now();
  return db.transaction(async (tx) => {
    const connection = await tx.maybe<Connection>(sql`
      select ${connectionColumns} from connection c
      where c.id = ${attempt.connectionId} and c.deleting is null for no key update`);
    if (connection === undefined) return undefined;
    if (!(await keepAnswer(tx, deps, { connection, state, answer }))) return undefined;
    if (connection.state !== "paused") {
      await tryAgain(tx, deps, { before: connection, reason: "credentials" });
    }
    await audit(tx, {
      at: now,
      accountId: connection.accountId,
      actor: who === null ? null : actorOf(who),
      action: answer.has("error") ? "connection.consent_declined" : "connection.consent_given",
      subject: connection.id,
    });
    return connection;
  });
}

/** Consents by a link. */
export const consentEndpoints = (connectors: readonly Connector[]): Endpoint[] => [
  callback,
  ask(connectorIn(connectors)),
];
