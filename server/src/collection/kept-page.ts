import { type Queryable, sql } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";

/** A page that a run did not understand, without the page itself. */
export interface KeptPage {
  runId: string;
  provider: string;
  connectionId: string;
  /** Epoch milliseconds. */
  at: number;
  /** What the connector says about it. */
  message: string;
}

/** The latest pages that connectors did not understand, over all accounts: for whoever runs the server. */
export async function keptPages(db: Queryable, { limit }: { limit: number }): Promise<KeptPage[]> {
  return db.rows<KeptPage>(sql`
    select r.id as "runId", c.provider, c.id as "connectionId",
      (extract(epoch from r.ended) * 1000)::float8 as at, coalesce(r.message, '') as message
    from connection_run r join connection c on c.id = r.connection_id
    where r.page is not null order by r.ended desc, r.id desc limit ${limit}`);
}

/** A kept page as text, without secrets; `undefined` when that run has none. */
export async function keptPage(
  db: Queryable,
  { keys, runId }: { keys: Deps["keys"]; runId: string },
): Promise<string | undefined> {
  const row = await db.maybe<{ page: Buffer; accountId: string }>(sql`
    select r.page, c.account_id as "accountId" from connection_run r join connection c on c.id = r.connection_id
    where r.id = ${runId} and r.page is not null`);
  if (row === undefined) return undefined;
  return keys.open(db, row.accountId, row.page, { table: "connection_run", row: runId, column: "page" });
}
