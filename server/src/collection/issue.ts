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

/** An issue to open; `meterId` for those of a meter. */
export interface NewIssue {
  kind: IssueKind;
  meterId?: string;
  now: number;
}

/**
 * Opens an issue unless there is one, and tells the webhooks of the account and of its manager, in the language of
 * each.
 */
export async function openIssue(
  tx: Tx,
  deps: Pick<Deps, "clock">,
  { connection, kind, meterId = "", now }: NewIssue & { connection: Concerned },
): Promise<void> {
  const opened = await tx.run(sql`
    insert into connection_issue (id, connection_id, kind, meter_id, opened)
    values (${newId(now)}, ${connection.id}, ${kind}, ${meterId}, ${new Date(now)})
    on conflict (connection_id, kind, meter_id) where resolved is null do nothing`);
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

/** Closes open issues of these kinds that have passed; of one meter when it is named. */
export async function resolveIssues(
  tx: Queryable,
  { connectionId, kinds, meterIds, now }: Resolved,
): Promise<void> {
  const ofMeters = meterIds === undefined ? sql`` : sql` and meter_id = ${any(meterIds)}`;
  await tx.run(sql`
    update connection_issue set resolved = ${new Date(now)}
    where connection_id = ${connectionId} and resolved is null and kind = ${any(kinds)}${ofMeters}`);
}

interface Resolved {
  connectionId: string;
  kinds: readonly IssueKind[];
  meterIds?: readonly string[];
  now: number;
}
