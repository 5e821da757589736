import { manages, subaccountsOf } from "../accounts/accounts.ts";
import { any, empty, type Queryable, type Sql, sql, type Tx } from "../platform/db.ts";
import type { Caller } from "../platform/http/endpoint.ts";
import { notFound } from "../platform/problem.ts";
import type { FailureKind, Words } from "./connector.ts";
import type { ConnectionState } from "./consequence.ts";

/** Why a run begins. */
export const runReasons = [
  "created",
  "schedule",
  "by_hand",
  "credentials",
  "backfill",
  "activated",
  "repeated",
] as const;
export type RunReason = (typeof runReasons)[number];

/** A connection as it is stored. Times are epoch ms. */
export interface Connection {
  id: string;
  accountId: string;
  provider: string;
  name: string | null;
  settings: Record<string, unknown>;
  sealed: Buffer;
  memory: Buffer | null;
  state: ConnectionState;
  stateSince: number;
  failure: FailureKind | null;
  failures: number;
  failingSince: number | null;
  nextRun: number | null;
  nextReason: RunReason;
  runId: string | null;
  version: number;
  codePrompt: Words | null;
  codeUntil: number | null;
  discovered: number | null;
  collected: number | null;
  invoiced: number | null;
  backfillFrom: number | null;
  backfillTo: number | null;
  deleting: "keep" | "delete" | null;
  created: number;
  updated: number;
}

const ms = (column: Sql) => sql`(extract(epoch from ${column}) * 1000)::float8`;

/** Columns of a `Connection`, of the table under the name `c`. */
export const connectionColumns = sql`c.id, c.account_id as "accountId", c.provider, c.name, c.settings, c.sealed,
  c.memory, c.state, ${ms(sql`c.state_since`)} as "stateSince", c.failure, c.failures,
  ${ms(sql`c.failing_since`)} as "failingSince", ${ms(sql`c.next_run`)} as "nextRun", c.next_reason as "nextReason",
  c.run_id as "runId", c.version, c.code_prompt as "codePrompt", ${ms(sql`c.code_until`)} as "codeUntil",
  ${ms(sql`c.discovered`)} as discovered, ${ms(sql`c.collected`)} as collected, ${ms(sql`c.invoiced`)} as invoiced,
  ${ms(sql`c.backfill_from`)} as "backfillFrom", ${ms(sql`c.backfill_to`)} as "backfillTo", c.deleting,
  ${ms(sql`c.created`)} as created, ${ms(sql`c.updated`)} as updated`;

/** `from … where …` of the connections that an account may see: its own and those of the accounts it manages. */
export async function visibleConnections(
  db: Queryable,
  { accountId }: Pick<Caller, "accountId">,
): Promise<Sql> {
  const accounts = [accountId, ...(await subaccountsOf(db, accountId))];
  return sql`from connection c where c.account_id = ${any(accounts)} and c.deleting is null`;
}

/** A connection that the caller may see, locked until the end of the transaction if asked; 404 otherwise. */
export async function reachConnection(
  db: Queryable,
  { accountId }: Pick<Caller, "accountId">,
  { id, lock = false }: { id: string; lock?: boolean },
): Promise<Connection> {
  const locked = lock ? sql` for no key update` : empty;
  const found = await db.maybe<Connection>(
    sql`select ${connectionColumns} from connection c where c.id = ${id} and c.deleting is null${locked}`,
  );
  const isTheirs = found?.accountId === accountId;
  if (found === undefined || !(isTheirs || (await manages(db, accountId, found.accountId)))) {
    throw notFound(`connection ${id} for account ${accountId}`);
  }
  return found;
}

/** A connection by its id, whoever asks; `undefined` when it is gone. */
export async function connectionById(db: Queryable, id: string): Promise<Connection | undefined> {
  return db.maybe<Connection>(sql`select ${connectionColumns} from connection c where c.id = ${id}`);
}

/** When and why a connection runs next, by somebody's wish. */
export interface Wake {
  connectionId: string;
  reason: RunReason;
  now: number;
}

/**
 * Lets a connection run at once. A run that is on is ended: its worker finds that it has lost the connection, and what
 * it had stored stays.
 */
export async function runNow(tx: Tx, { connectionId, reason, now }: Wake): Promise<void> {
  await endRun(tx, connectionId, now);
  await tx.run(sql`
    update connection set next_run = ${new Date(now)}, next_reason = ${reason}, version = version + 1
    where id = ${connectionId}`);
}

/** Takes a connection away from the run that is on, if there is one. */
export async function endRun(tx: Tx, connectionId: string, now: number): Promise<void> {
  await tx.run(sql`
    update connection_run r set ended = ${new Date(now)}, outcome = 'interrupted'
    from connection c where c.id = ${connectionId} and r.id = c.run_id and r.outcome = 'running'`);
  await tx.run(sql`
    update connection set run_id = null, code = null, code_prompt = null, code_until = null
    where id = ${connectionId} and run_id is not null`);
}
