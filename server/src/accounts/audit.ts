import { createHash } from "node:crypto";
import { type Queryable, sql, type Tx } from "../platform/db.ts";
import type { Caller } from "../platform/http/endpoint.ts";

/** One line of the audit log. Never put a secret into it. */
export interface AuditEntry {
  /** Epoch milliseconds. */
  at: number;
  /** The account that it happened to. */
  accountId: string;
  /** Who did it: see `actorOf`; null when it was nobody known. */
  actor: string | null;
  /** Noun and verb: `token.viewed`. */
  action: string;
  /** Id of what it was done to, when that is not the account. */
  subject?: string;
  detail?: Record<string, unknown>;
}

/** How the log names a caller: the person's id, else the credential. */
export function actorOf(who: Caller): string {
  return who.actorId ?? `${who.kind}:${who.credentialId}`;
}

// Any number will do, as long as nobody else uses it in this database.
const chainLock = 7_262_005;

/**
 * Adds a line to the audit log, as part of the caller's transaction. The server's role cannot change or remove lines;
 * each holds a hash over itself and the line before it of the same account, so that an edit by the owner of the
 * database shows in `brokenAudit`.
 */
export async function audit(tx: Tx, entry: AuditEntry): Promise<void> {
  await tx.run(sql`select pg_advisory_xact_lock(${chainLock}, hashtext(${entry.accountId}))`);
  const last = await tx.maybe<{ hash: Buffer }>(
    sql`select hash from audit where account_id = ${entry.accountId} order by id desc limit 1`,
  );
  const line = {
    // Whole milliseconds are what the hash and the column both keep.
    at: Math.floor(entry.at),
    account_id: entry.accountId,
    actor: entry.actor,
    action: entry.action,
    subject: entry.subject ?? null,
    detail: JSON.stringify(entry.detail ?? {}),
  };
  await tx.run(
    sql`insert into audit (at, account_id, actor, action, subject, detail, hash)
        values (${new Date(line.at)}, ${line.account_id}, ${line.actor}, ${line.action}, ${line.subject},
                ${line.detail}::json, ${chained(last?.hash, line)})`,
  );
}

type Line = {
  at: number;
  account_id: string;
  actor: string | null;
  action: string;
  subject: string | null;
  detail: string;
};

function chained(before: Buffer | undefined, line: Line): Buffer {
  const text = JSON.stringify([line.at, line.account_id, line.actor, line.action, line.subject, line.detail]);
  return createHash("sha256")
    .update(before ?? "")
    .update(text)
    .digest();
}

/** Walks the log of an account; returns the id of the first line that was changed, or whose predecessor is gone. */
export async function brokenAudit(db: Queryable, accountId: string): Promise<number | null> {
  let before: Buffer | undefined;
  let after = 0;
  for (;;) {
    const lines = await db.rows<Line & { id: number; hash: Buffer }>(
      sql`select id, (extract(epoch from at) * 1000)::float8 as at, account_id, actor, action, subject,
                 detail::text as detail, hash
          from audit where account_id = ${accountId} and id > ${after} order by id limit 1000`,
    );
    if (lines.length === 0) return null;
    for (const line of lines) {
      if (!chained(before, line).equals(line.hash)) return line.id;
      before = line.hash;
      after = line.id;
    }
  }
}
