import { eraseInvoices, storeDocument } from "../invoices/invoices.ts";
import { sql } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { Problem } from "../platform/problem.ts";
import type { Claimed } from "./claim.ts";
import { type InvoiceDocument, ProviderFailure } from "./connector.ts";
import { holds } from "./settle.ts";

const keyCharsMax = 200;

/** Keys of the invoices that a connection brought already. Those that were deleted since count: they must not come back. */
export async function storedKeys({ db }: Pick<Deps, "db">, connectionId: string): Promise<Set<string>> {
  const rows = await db.rows<{ key: string }>(
    sql`select key from collected_invoice where connection_id = ${connectionId}`,
  );
  return new Set(rows.map(({ key }) => key));
}

/**
 * Keeps an invoice, to be read by a job, and its key, in one transaction. A document that the account has already is the
 * same invoice. Returns whether it is new to the account.
 * @throws ProviderFailure `changed` for what cannot be an invoice
 */
export async function storeInvoice(
  deps: Deps,
  claimed: Claimed,
  { key, fileName, content }: InvoiceDocument,
): Promise<boolean> {
  if (content.length === 0 || key === "" || key.length > keyCharsMax)
    throw new ProviderFailure("changed", `the invoice ${key.slice(0, keyCharsMax)} has no content or no key`);
  const { id: connectionId, accountId } = claimed;
  try {
    return await deps.db.transaction(async (tx) => {
      if (!(await holds(tx, claimed))) return false;
      const { id, isNew } = await storeDocument(tx, deps, { accountId, by: accountId, fileName, content });
      await tx.run(sql`
        insert into collected_invoice (connection_id, key, invoice_id, is_new, at)
        values (${connectionId}, ${key}, ${id}, ${isNew}, ${new Date(deps.clock.now())}) on conflict do nothing`);
      return isNew;
    });
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== "too_large") throw error;
    throw new ProviderFailure("changed", `the invoice ${key} is too large: ${error.message}`, {
      cause: error,
    });
  }
}

/** Erases the invoices that a connection brought, and that neither another one brought nor the account had before. */
export async function eraseBrought(deps: Deps, connectionId: string): Promise<void> {
  const rows = await deps.db.rows<{ id: string }>(sql`
    select distinct invoice_id as id from collected_invoice i
    where connection_id = ${connectionId} and is_new and not exists (
      select from collected_invoice o where o.invoice_id = i.invoice_id and o.connection_id <> ${connectionId})`);
  await eraseInvoices(
    deps,
    rows.map(({ id }) => id),
  );
}
