import { empty, type Queryable, type Sql, sql } from "../platform/db.ts";
import type { Caller } from "../platform/http/endpoint.ts";
import { notFound } from "../platform/problem.ts";

/** A webhook as it is stored. Times are epoch ms. */
export interface Webhook {
  id: string;
  accountId: string;
  name: string | null;
  url: string;
  events: string[];
  /** False: nothing is sent; what happens waits. */
  enabled: boolean;
  /** When and why the server turned it off; null when it did not. */
  paused: number | null;
  pausedReason: string | null;
  /** First failed attempt since the last success. */
  failingSince: number | null;
  created: number;
  updated: number;
}

/** Webhooks of one account at most. */
export const webhooksMax = 20;

/** Columns of a `Webhook`, of the table under the name `w`. */
export const webhookColumns = sql`w.id, w.account_id as "accountId", w.name, w.url, w.events, w.enabled,
  (extract(epoch from w.paused) * 1000)::float8 as paused, w.paused_reason as "pausedReason",
  (extract(epoch from w.failing_since) * 1000)::float8 as "failingSince",
  (extract(epoch from w.created) * 1000)::float8 as created,
  (extract(epoch from w.updated) * 1000)::float8 as updated`;

/** `from … where …` of the webhooks that a caller may see: an OAuth client sees those that it made. */
export function visibleWebhooks({ accountId, clientId }: Pick<Caller, "accountId" | "clientId">): Sql {
  const ofClient = clientId === null ? empty : sql` and w.client_id = ${clientId}`;
  return sql`from webhook w where w.account_id = ${accountId}${ofClient}`;
}

/** A webhook that the caller may see, locked until the end of the transaction if asked; 404 otherwise. */
export async function ownWebhook(
  db: Queryable,
  who: Pick<Caller, "accountId" | "clientId">,
  id: string,
  options: { lock?: boolean } = {},
): Promise<Webhook> {
  const lock = options.lock === true ? sql` for no key update` : empty;
  const found = await db.maybe<Webhook>(
    sql`select ${webhookColumns} ${visibleWebhooks(who)} and w.id = ${id}${lock}`,
  );
  if (found === undefined) throw notFound(`webhook ${id} of account ${who.accountId}`);
  return found;
}
