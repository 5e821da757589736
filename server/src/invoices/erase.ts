import { sql } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { discardFile } from "./files.ts";
import { holdParts, removeInvoice } from "./settle.ts";

/** Removes invoices, their documents and the costs that they stored; those that are gone already are left out. */
export async function eraseInvoices(
  { db, clock, settings }: Pick<Deps, "db" | "clock" | "settings">,
  ids: readonly string[],
): Promise<void> {
  for (const id of ids) {
    await db.transaction(async (tx) => {
      const invoice = await tx.maybe<{ account_id: string }>(
        sql`select account_id from invoice where id = ${id}`,
      );
      if (invoice === undefined) return;
      await holdParts(tx, invoice.account_id);
      await removeInvoice(tx, id, clock.now());
    });
    await discardFile(settings.dataDir, id);
  }
}
