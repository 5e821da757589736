import { partRange } from "../accounts/accounts.ts";
import { append, lockPart } from "../changes/changes.ts";
import { any, type Queryable, sql, type Tx } from "../platform/db.ts";
import { invoicesById } from "./invoice.ts";
import { type InvoiceView, showInvoices } from "./view.ts";

/**
 * Writes down that invoices of an account changed. The offsets are drawn from the head of the first part of the
 * account, which the transaction holds from here on: order of offsets is order of commits, also beside values of
 * that part.
 */
export async function logChanges(
  tx: Tx,
  { accountId, now }: { accountId: string; now: number },
  invoiceIds: readonly string[],
): Promise<void> {
  const part = (await partRange(tx, accountId))[0]!;
  let head = await lockPart(tx, part);
  for (const invoiceId of new Set(invoiceIds)) {
    head = await append(tx, { part, head, now }, []);
    await tx.run(
      sql`insert into invoice_change (account_id, off, invoice_id) values (${accountId}, ${head}, ${invoiceId})`,
    );
  }
}

/** An invoice that changed, and where in the log. */
export interface ChangedInvoice {
  off: number;
  accountId: string;
  invoice: InvoiceView | GoneInvoice;
}

/** What a reader of the log is told of an invoice that is not there any more. */
export interface GoneInvoice {
  _id: string;
  status: "deleted";
  results: [];
}

/**
 * Invoices of some accounts that changed after an offset, each once at its last change up to `upTo`, in the order of
 * offsets: completed ones as they are now, ones that have failed since without results, deleted ones as such.
 * Offsets are those of the heads of the first parts of the accounts (`partRange`).
 *
 * @param viewerId the account that reads: meters are shown by its own ids
 */
export async function changedInvoices(
  db: Queryable,
  question: {
    accountIds: readonly string[];
    after: number;
    upTo: number;
    limit: number;
    viewerId?: string;
  },
): Promise<ChangedInvoice[]> {
  const { accountIds, after, upTo, limit } = question;
  if (accountIds.length === 0) return [];
  const rows = await db.rows<{ off: number; account_id: string; invoice_id: string }>(sql`
    select c.off, c.account_id, c.invoice_id from invoice_change c
    where c.account_id = ${any(accountIds)} and c.off > ${after} and c.off <= ${upTo}
      and not exists (select from invoice_change l
                      where l.invoice_id = c.invoice_id and l.off > c.off and l.off <= ${upTo})
    order by c.off, c.account_id limit ${limit}`);
  const found = await invoicesById(
    db,
    rows.map((row) => row.invoice_id),
  );
  const shown = await showInvoices(db, found, question.viewerId ?? accountIds[0]!);
  const byId = new Map(shown.map((invoice) => [invoice._id, invoice]));
  return rows.map(({ off, account_id, invoice_id }) => ({
    off,
    accountId: account_id,
    invoice: byId.get(invoice_id) ?? { _id: invoice_id, status: "deleted", results: [] },
  }));
}
