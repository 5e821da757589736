import { z } from "zod";
import { type Queryable, sql, type Tx } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { apiRoots, type Caller } from "../platform/http/endpoint.ts";
import { newId } from "../platform/id.ts";
import { newSecret, secretHash } from "../platform/token.ts";
import { type Connector, ProviderFailure } from "./connector.ts";
import { type Owned, opened, type Settings, sealed } from "./credentials.ts";
import { foreign } from "./guarded.ts";
import { enteredSetup } from "./setup.ts";
import type { OpenVisit } from "./visit.ts";

/** So long may it take from the link to the way back. */
const linkMs = 900_000;
/** Longest query that a provider may send the browser back with. */
const answerCharsMax = 8_192;

/** Where an application wants the browser of its customer to come back to. */
export const returnUrl = z
  .url({ protocol: /^https?$/ })
  .max(2_000)
  .refine((url) => URL.parse(url)?.username === "" && URL.parse(url)?.password === "", {
    error: "must not hold a login",
  })
  .describe(
    "Where the browser goes at last, with `connection` and `consent` (`given` or `declined`) added. Without it a short " +
      "page says how it went",
  );

/** The person who must come back: the one at the browser. Tokens act for somebody else. */
export function personOf({ kind, actorId }: Caller): string | null {
  return kind === "session" ? actorId : null;
}

/** What is sealed of an attempt. */
interface Attempt {
  state: string;
  verifier: string;
  /** What the browser brought back, as a query. */
  answer?: string;
}

/** Where providers send browsers back to: what operators register there. */
export const redirectUriOf = ({ publicUrl }: Pick<Deps["settings"], "publicUrl">) =>
  `${publicUrl}${apiRoots[0]}/connections/callback`;

/** Where a customer gives consent, and until when. */
export interface ConsentLink {
  url: string;
  /** Epoch milliseconds. */
  until: number;
}

export interface ConsentOptions {
  connector: Connector;
  connection: Owned;
  /** As they were entered. */
  settings: Settings;
  /** The person who asks for it in a browser; null for tokens. */
  actorId: string | null;
  returnUrl: string | null;
}

/** Begins an attempt to get consent for a connection, in the place of any other. */
export async function askConsent(
  tx: Tx,
  { keys, clock, settings: server }: Pick<Deps, "keys" | "clock" | "settings">,
  { connector, connection, settings, actorId, returnUrl }: ConsentOptions,
): Promise<ConsentLink> {
  const now = clock.now();
  const attempt: Attempt = { state: newSecret(32), verifier: newSecret(32) };
  const url = await connector.consent!.address({
    ...attempt,
    settings,
    setup: enteredSetup(connector, settings, server.providers),
    redirectUri: redirectUriOf(server),
  });
  const until = now + linkMs;
  const box = await sealed(tx, { keys, of: connection, column: "consent" }, JSON.stringify(attempt));
  await tx.run(sql`delete from connection_consent where connection_id = ${connection.id}`);
  await tx.run(sql`
    insert into connection_consent (id, connection_id, state_hash, actor_id, return_url, until, sealed)
    values (${newId(now)}, ${connection.id}, ${secretHash(attempt.state)}, ${actorId}, ${returnUrl}, ${new Date(until)},
            ${box})`);
  return { url, until };
}

/** An attempt whose browser has come back. */
export interface Returned {
  connectionId: string;
  actorId: string | null;
  returnUrl: string | null;
}

/** The attempt that a state names, while it lasts; nothing changes yet. */
export async function attemptOf(
  db: Queryable,
  { state, now }: { state: string; now: number },
): Promise<Returned | undefined> {
  return db.maybe<Returned>(sql`
    select connection_id as "connectionId", actor_id as "actorId", return_url as "returnUrl" from connection_consent
    where state_hash = ${secretHash(state)} and until > ${new Date(now)}`);
}

/**
 * Keeps what the browser brought back, for the next run of the connection, which the transaction holds. False when that
 * state was used already.
 */
export async function keepAnswer(
  tx: Tx,
  { keys }: Pick<Deps, "keys">,
  { connection, state, answer }: { connection: Owned; state: string; answer: URLSearchParams },
): Promise<boolean> {
  const row = await tx.maybe<{ id: string; sealed: Buffer }>(sql`
    select id, sealed from connection_consent
    where connection_id = ${connection.id} and state_hash = ${secretHash(state)} for update`);
  const query = answer.toString();
  if (row === undefined || query.length > answerCharsMax) return false;
  const of = { keys, of: connection, column: "consent" } as const;
  const attempt = JSON.parse((await opened(tx, of, row.sealed))!) as Attempt;
  const box = await sealed(tx, of, JSON.stringify({ ...attempt, answer: query }));
  await tx.run(sql`update connection_consent set state_hash = null, sealed = ${box} where id = ${row.id}`);
  return true;
}

/** Lets the connector make access of a consent that waits for it, if one does. */
export async function takeConsent(
  { db, keys, settings: server }: Deps,
  { connector, connection, open }: { connector: Connector; connection: Owned; open: OpenVisit },
): Promise<void> {
  const row = await db.maybe<{ id: string; sealed: Buffer }>(
    sql`select id, sealed from connection_consent where connection_id = ${connection.id} and state_hash is null`,
  );
  if (row === undefined || connector.consent === undefined) return;
  const text = (await opened(db, { keys, of: connection, column: "consent" }, row.sealed))!;
  const { state, verifier, answer } = JSON.parse(text) as Attempt;
  const query = new URLSearchParams(answer);
  const { visit, scrubber, keepAccess } = open;
  scrubber.add(state, verifier, ...query.values());
  visit.step("take up the consent");
  const asked = { state, verifier, answer: query, redirectUri: redirectUriOf(server), setup: visit.setup };
  try {
    await keepAccess(await connector.consent.take(visit, asked), row.id);
  } catch (thrown) {
    const error = foreign(thrown);
    if (error instanceof ProviderFailure && isOver(error)) {
      await db.run(sql`delete from connection_consent where id = ${row.id}`);
    }
    throw error;
  }
}

/** Nothing was heard of the provider, so that the same may be sent again; everything else was its answer. */
const isOver = ({ kind }: ProviderFailure) => kind !== "unreachable" && kind !== "busy";
