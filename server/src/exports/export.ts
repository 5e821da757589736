import { accountRefs } from "../accounts/accounts.ts";
import { any, empty, type Queryable, type Sql, sql, type Tx } from "../platform/db.ts";
import type { Caller } from "../platform/http/endpoint.ts";
import { notFound } from "../platform/problem.ts";
import type { Frequency } from "./schedule.ts";

/** An export as it is stored. Instants are epoch milliseconds. */
export interface Export {
  id: string;
  accountId: string;
  clientId: string | null;
  created: number;
  name: string | null;
  format: string;
  /** As sent; null when none were. */
  params: Record<string, unknown> | null;
  streamId: string;
  frequency: Frequency;
  cron: string | null;
  timezone: string;
  targetType: string;
  /** As answers show it, without secrets. */
  target: Record<string, unknown>;
  targetSealed: Buffer;
  /** Null while paused. */
  nextRun: number | null;
  /** When what failed is tried again. */
  retryAt: number | null;
  paused: number | null;
  pausedReason: string | null;
  /** Offset of the stream that the target has confirmed. */
  committed: number | null;
  lastStamp: number | null;
  failures: number;
  loginFailures: number;
  told: boolean;
  lastRun: number | null;
  lastStatus: "delivered" | "nothing_new" | "failed" | null;
  lastError: string | null;
}

const at = (column: Sql) => sql`(extract(epoch from ${column}) * 1000)::float8`;

/** Columns of `Export`, of the table `export` under the name `e`. */
export const exportColumns = sql`e.id, e.account_id as "accountId", e.client_id as "clientId",
  ${at(sql`e.created`)} as created, e.name, e.format, e.params, e.stream_id as "streamId", e.frequency, e.cron,
  e.timezone, e.target_type as "targetType", e.target, e.target_sealed as "targetSealed",
  ${at(sql`e.next_run`)} as "nextRun", ${at(sql`e.retry_at`)} as "retryAt", ${at(sql`e.paused`)} as paused,
  e.paused_reason as "pausedReason", e.committed, ${at(sql`e.last_stamp`)} as "lastStamp", e.failures,
  e.login_failures as "loginFailures", e.told, ${at(sql`e.last_run`)} as "lastRun", e.last_status as "lastStatus",
  e.last_error as "lastError"`;

/** `from … where …` of the exports that a caller may see: an OAuth client sees those that it made. */
export function visibleExports({ accountId, clientId }: Pick<Caller, "accountId" | "clientId">): Sql {
  const ofClient = clientId === null ? empty : sql` and e.client_id = ${clientId}`;
  return sql`from export e where e.account_id = ${accountId}${ofClient}`;
}

/** An export that the caller may see, held until the end of the transaction if asked; the 404 of the contract otherwise. */
export async function ownExport(
  db: Queryable,
  who: Pick<Caller, "accountId" | "clientId">,
  id: string,
  options: { lock?: boolean } = {},
): Promise<Export> {
  const lock = options.lock === true ? sql` for update` : empty;
  const found = await db.maybe<Export>(
    sql`select ${exportColumns} ${visibleExports(who)} and e.id = ${id}${lock}`,
  );
  if (found === undefined) throw notFound(`export ${id} of account ${who.accountId}`);
  return found;
}

/** The export of that id, `undefined` when it, or its account, is gone. */
export async function exportById(db: Queryable, id: string): Promise<Export | undefined> {
  const found = await db.maybe<Export>(sql`select ${exportColumns} from export e where e.id = ${id}`);
  if (found === undefined) return undefined;
  return (await accountRefs(db, [found.accountId])).has(found.accountId) ? found : undefined;
}

/** Ids among these that no export has, or whose account is deleted. */
export async function goneExports(db: Queryable, ids: readonly string[]): Promise<string[]> {
  const rows = await db.rows<{ id: string; accountId: string }>(
    sql`select id, account_id as "accountId" from export where id = ${any(ids)}`,
  );
  const accounts = await accountRefs(
    db,
    rows.map(({ accountId }) => accountId),
  );
  const there = new Set(rows.filter(({ accountId }) => accounts.has(accountId)).map(({ id }) => id));
  return ids.filter((id) => !there.has(id));
}

/** Like `exportById`; nobody else changes it until the end of the transaction. */
export async function lockExport(tx: Tx, id: string): Promise<Export | undefined> {
  await tx.run(sql`select from export where id = ${id} for update`);
  return exportById(tx, id);
}

/** Where a file of an export is: `failed` ones are tried again; `withdrawn` ones have lost all that they held. */
export const runStatuses = ["waiting", "failed", "delivered", "withdrawn"] as const;
export type RunStatus = (typeof runStatuses)[number];

/** A file of an export. Instants are epoch milliseconds. */
export interface ExportRunRow {
  id: string;
  exportId: string;
  cut: number;
  file: string;
  mediaType: string;
  bytes: number;
  rows: number;
  sha256: string;
  offsetFrom: number | null;
  offsetTo: number;
  status: RunStatus;
  attempts: number;
  error: string | null;
  started: number | null;
  finished: number | null;
  resent: number | null;
  resendError: string | null;
  kept: boolean;
}

/** Columns of `ExportRunRow`, of the table `export_run` under the name `r`. */
export const runColumns = sql`r.id, r.export_id as "exportId", ${at(sql`r.cut`)} as cut, r.file,
  r.media_type as "mediaType", r.bytes, r.rows, r.sha256, r.offset_from as "offsetFrom", r.offset_to as "offsetTo",
  r.status, r.attempts, r.error, ${at(sql`r.started`)} as started, ${at(sql`r.finished`)} as finished,
  ${at(sql`r.resent`)} as resent, r.resend_error as "resendError", r.kept`;

/** One file of an export; the 404 of the contract when it is not of it. */
export async function runOf(db: Queryable, exportId: string, runId: string): Promise<ExportRunRow> {
  const found = await db.maybe<ExportRunRow>(
    sql`select ${runColumns} from export_run r where r.id = ${runId} and r.export_id = ${exportId}`,
  );
  if (found === undefined) throw notFound(`file ${runId} of export ${exportId}`);
  return found;
}

/** Files of the batch that is not finished, all of it, in the order of their names; empty when there is none. */
export async function openCut(db: Queryable, exportId: string): Promise<ExportRunRow[]> {
  return db.rows<ExportRunRow>(sql`
    select ${runColumns} from export_run r where r.export_id = ${exportId} and r.cut =
      (select min(o.cut) from export_run o where o.export_id = ${exportId} and o.status in ('waiting', 'failed'))
    order by r.file, r.id`);
}
