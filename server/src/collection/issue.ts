import { accountById } from "../accounts/accounts.ts";
import { any, type Queryable, sql, type Tx } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { newId } from "../platform/id.ts";
import { emit } from "../webhooks/webhooks.ts";
import type { Connection } from "./connection.ts";
import { type IssueKind, meaningOf } from "./consequence.ts";
import { wordsIn } from "./provider.ts";

/** The part of a connection that an issue is about. */
export type Concerned = Pick<Connection, "id" | "accountId" | "name">;

/** An issue to open; `meterId` for those of a meter, `fileId` for those of a file. */
export interface NewIssue {
  kind: IssueKind;
  meterId?: string;
  fileId?: string;
  now: number;
}

/**
 * Opens an issue unless there is one, and tells the webhooks of the account and of its manager, in the language of
 * each.
 */
export async function openIssue(
  tx: Tx,
  deps: Pick<Deps, "clock">,
  { connection, kind, meterId = "", fileId = "", now }: NewIssue & { connection: Concerned },
): Promise<void> {
  const opened = await tx.run(sql`
    insert into connection_issue (id, connection_id, kind, meter_id, file_id, opened)
    values (${newId(now)}, ${connection.id}, ${kind}, ${meterId}, ${fileId}, ${new Date(now)})
    on conflict (connection_id, kind, meter_id, file_id) where resolved is null do nothing`);
  if (opened === 0) return;
  const { manager_id, language } = await accountById(tx, connection.accountId);
  const told = [{ accountId: connection.accountId, language }];
  if (manager_id !== null) {
    told.push({ accountId: manager_id, language: (await accountById(tx, manager_id)).language });
  }
  for (const each of told) {
    await emit(tx, deps, {
      accountId: each.accountId,
      event: "connection.needs_person",
      data: {
        connection: { _id: connection.id, name: connection.name },
        reason: wordsIn(meaningOf(kind).what, each.language),
      },
    });
  }
}

/** Exactly these meters of a connection have an issue of a kind: it opens for new ones, and resolves for all others. */
export async function settleMeterIssues(
  tx: Tx,
  deps: Pick<Deps, "clock">,
  {
    connection,
    kind,
    meterIds,
    now,
  }: { connection: Concerned; kind: IssueKind; meterIds: readonly string[]; now: number },
): Promise<void> {
  for (const meterId of meterIds) await openIssue(tx, deps, { connection, kind, meterId, now });
  await tx.run(sql`
    update connection_issue set resolved = ${new Date(now)}
    where connection_id = ${connection.id} and resolved is null and kind = ${kind}
      and not meter_id = ${any(meterIds)}`);
}

/** Somebody has said where a meter's holder went: nobody has to ask any more. */
export async function resolveVanished(tx: Tx, meterId: string, now: number): Promise<void> {
  await tx.run(sql`
    update connection_issue set resolved = ${new Date(now)}
    where connection_id in (select connection_id from meter_source where meter_id = ${meterId})
      and meter_id = ${meterId} and kind = 'meter_vanished' and resolved is null`);
}

/** Closes open issues of these kinds that have passed. */
export async function resolveIssues(
  tx: Queryable,
  { connectionId, kinds, now }: { connectionId: string; kinds: readonly IssueKind[]; now: number },
): Promise<void> {
  await tx.run(sql`
    update connection_issue set resolved = ${new Date(now)}
    where connection_id = ${connectionId} and resolved is null and kind = ${any(kinds)}`);
}

/** Refused files that were read after all, or that nobody finds any more, need nobody. */
export async function resolveFileIssues(
  tx: Queryable,
  fileIds: readonly string[],
  now: number,
): Promise<void> {
  await tx.run(sql`
    update connection_issue set resolved = ${new Date(now)}
    where kind = 'file_refused' and file_id = ${any(fileIds)} and resolved is null`);
}

/** Issues of files other than these have passed: the files are not there any more. */
export async function settleFileIssues(
  tx: Queryable,
  { connectionId, fileIds, now }: { connectionId: string; fileIds: readonly string[]; now: number },
): Promise<void> {
  await tx.run(sql`
    update connection_issue set resolved = ${new Date(now)}
    where connection_id = ${connectionId} and kind = 'file_refused' and resolved is null
      and not file_id = ${any(fileIds)}`);
}
