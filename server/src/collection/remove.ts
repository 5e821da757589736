import { eraseRoots } from "../erasure/erasure.ts";
import { rootMeters } from "../meters/meters.ts";
import { type Db, sql } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import type { Browsers } from "./browser/browsers.ts";
import type { Claimed } from "./claim.ts";
import { type Connector, ProviderFailure } from "./connector.ts";
import { loginIn, openSettings } from "./credentials.ts";
import { eraseBrought } from "./invoice.ts";
import { leaveToLogIn, noteLogin } from "./refused.ts";
import { openVisit } from "./visit.ts";

/** Meters erased in one transaction: bounds its locks and its work. */
const metersAtOnce = 50;

/**
 * Ends a connection that was deleted: gives the access back at the provider if there is a way to, erases the meters
 * and invoices that it alone had found if that was asked for, and removes it. What cannot be given back is no reason to keep it.
 */
export async function removeConnection(
  deps: Deps,
  { connector, claimed, browsers }: { connector: Connector; claimed: Claimed; browsers: Browsers },
  signal: AbortSignal,
): Promise<void> {
  const settings = await openSettings(deps.db, { keys: deps.keys, of: claimed }, claimed);
  const { accountId, provider } = claimed;
  const login = { accountId, provider, settings: loginIn(connector, settings) };
  const leave = connector.revoke === undefined ? "no" : await leaveToLogIn(deps, login);
  if (connector.revoke !== undefined && leave !== "no") {
    const open = await openVisit(deps, { connector, claimed, settings, browsers }, signal);
    const { visit, scrubber, told } = open;
    try {
      await connector.revoke(visit);
    } catch (error) {
      if (error instanceof ProviderFailure) await noteLogin(deps, login, { failure: error, leave });
      const reason = scrubber.scrub(error instanceof Error ? error.message : String(error));
      deps.log.warn({ connection: claimed.id, reason }, "access was not given back to the provider");
    } finally {
      await open.close();
    }
    await told();
  }
  signal.throwIfAborted();
  if (claimed.deleting === "delete") {
    await eraseFound(deps.db, claimed.id);
    await eraseBrought(deps, claimed.id);
  }
  await deps.db.transaction(async (tx) => {
    await tx.run(sql`update meter_source set connection_id = null where connection_id = ${claimed.id}`);
    await tx.run(sql`delete from connection where id = ${claimed.id} and run_id = ${claimed.runId}`);
  });
}

/** Erases the meters that no other connection has found. */
async function eraseFound(db: Db, connectionId: string): Promise<void> {
  const rows = await db.rows<{ meter_id: string }>(sql`
    select distinct s.meter_id from meter_source s
    where s.connection_id = ${connectionId} and not exists (
      select from meter_source o
      where o.meter_id = s.meter_id and o.connection_id is not null and o.connection_id <> ${connectionId})`);
  const roots = await rootMeters(
    db,
    rows.map((row) => row.meter_id),
  );
  for (const [part, some] of Map.groupBy(roots, (root) => root.part)) {
    for (let from = 0; from < some.length; from += metersAtOnce) {
      const ids = some.slice(from, from + metersAtOnce).map(({ id }) => id);
      await db.transaction((tx) => eraseRoots(tx, part, ids));
    }
  }
}
