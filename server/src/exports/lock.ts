import { createHash } from "node:crypto";
import type { Db } from "../platform/db.ts";

/**
 * Runs `work` unless somebody else does for the same export: two workers must not make a batch of the same values
 * each. The lock ends with its connection, so that of a dead worker is free at once. Returns whether it ran.
 */
export async function alone(db: Db, exportId: string, work: () => Promise<void>): Promise<boolean> {
  const key = createHash("sha256").update(`export ${exportId}`).digest().readBigInt64BE(0).toString();
  return db.borrow(async (connection) => {
    const { rows } = await connection.query<{ ok: boolean }>("select pg_try_advisory_lock($1::int8) as ok", [
      key,
    ]);
    if (!rows[0]!.ok) return false;
    try {
      await work();
      return true;
    } finally {
      await connection.query("select pg_advisory_unlock($1::int8)", [key]);
    }
  });
}
