import { partRange } from "../accounts/accounts.ts";
import { lockPart } from "../changes/changes.ts";
import { any, sql, type Tx } from "../platform/db.ts";
import { fold } from "../platform/http/filter.ts";
import { type Cost, type CostKey, costsOf, keysOfBills, storeMonths } from "./costs.ts";
import { type Draft, type DraftBill, type DraftResult, draftOf, type Open, plainId } from "./draft.ts";
import { type Invoice, lockSubstance, type Substance } from "./invoice.ts";
import { type CostMeter, isMeter, linksOf, writableHolders } from "./link.ts";
import { logChanges } from "./log.ts";
import { type Bill, standings } from "./standing.ts";

const rowsAtOnce = 1_000;

/**
 * Holds everything that costs of an invoice of this account may touch, until the end of the transaction, in the one
 * order that everybody takes. Call it first.
 */
export async function holdParts(tx: Tx, accountId: string): Promise<void> {
  const parts = new Set<number>();
  for (const holder of await writableHolders(tx, accountId)) {
    for (const part of await partRange(tx, holder)) parts.add(part);
  }
  for (const part of [...parts].sort((a, b) => a - b)) await lockPart(tx, part);
}

/** A result with the meter that it belongs to, or why there is none. */
interface Linked {
  result: DraftResult;
  bill: DraftBill;
  link: CostMeter | Open;
}

/**
 * Makes everything anew that follows from what was read of an invoice and what people said of it: results, links to
 * meters, who replaces whom, costs of months, the log. Repeating it changes nothing. Call it with `holdParts` done.
 */
export async function settle(tx: Tx, invoiceId: string, now: number): Promise<void> {
  const invoice = await lockSubstance(tx, invoiceId);
  const draft = draftOf(invoiceId, invoice.parsed ?? [], invoice.corrections);
  const links = await linksOf(tx, invoice.account_id, draft.results);
  const linked = draft.results.map(
    (result, i): Linked => ({ result, bill: draft.bills[result.bill]!, link: links[i]! }),
  );
  const withMeter = linked.flatMap(({ result, bill, link }) =>
    isMeter(link) ? { result, bill, meter: link } : [],
  );
  const costs = await costsOf(tx, withMeter);
  const before = await forgetResults(tx, invoiceId);
  await writeResults(tx, invoice, { draft, linked });
  if (invoice.dry_run) return;
  await writeBills(tx, invoice, { bills: draft.bills, costs });
  const numbers = [
    ...before.numbers,
    ...draft.bills.flatMap(({ number, replaces }) => [number, ...replaces]),
  ];
  const others = await standAnew(tx, invoice.account_id, numbers);
  const keys = [...before.keys, ...costs, ...(await keysOfBills(tx, others))];
  await storeMonths(tx, keys, { now, source: sourceOf(draft, invoice) });
  const changed = others.map((other) => other.invoiceId);
  const isNews = draft.bills.length > 0 || (await wasLogged(tx, invoiceId));
  await announce(tx, invoice, { ids: isNews ? [...changed, invoiceId] : changed, now });
}

/** Takes back what an invoice had stored, as if it had never come, and removes it. Call it with `holdParts` done. */
export async function removeInvoice(tx: Tx, invoiceId: string, now: number): Promise<void> {
  const invoice = await lockSubstance(tx, invoiceId);
  const before = await forgetResults(tx, invoiceId);
  await tx.run(sql`delete from invoice where id = ${invoiceId}`);
  if (invoice.dry_run) return;
  const others = await standAnew(tx, invoice.account_id, before.numbers);
  const keys = [...before.keys, ...(await keysOfBills(tx, others))];
  await storeMonths(tx, keys, { now, source: `removal of invoice ${invoice.file_name}` });
  const known = await wasLogged(tx, invoiceId);
  const changed = others.map((other) => other.invoiceId);
  await announce(tx, invoice, { ids: known ? [...changed, invoiceId] : changed, now });
}

/** Tells that invoices of the account changed. */
async function announce(
  tx: Tx,
  { account_id }: Invoice,
  { ids, now }: { ids: readonly string[]; now: number },
): Promise<void> {
  await tx.run(sql`update invoice set updated = ${new Date(now)} where id = ${any(ids)}`);
  await logChanges(tx, { accountId: account_id, now }, ids);
}

/** Nobody is told of the end of an invoice of which nobody was told. */
async function wasLogged(tx: Tx, invoiceId: string): Promise<boolean> {
  const found = await tx.one<{ logged: boolean }>(
    sql`select exists (select from invoice_change where invoice_id = ${invoiceId}) as logged`,
  );
  return found.logged;
}

function sourceOf({ bills }: Draft, { file_name }: Invoice): string {
  return bills.length === 0
    ? `invoice ${file_name}`
    : `invoice ${bills.map(({ number }) => number).join(", ")}`;
}

/** Removes what followed from an earlier reading; returns what that was part of. */
async function forgetResults(tx: Tx, invoiceId: string): Promise<{ keys: CostKey[]; numbers: string[] }> {
  const bills = await tx.rows<{ n: number; number: string; replaces: string[] }>(
    sql`select n, number, replaces from invoice_bill where invoice_id = ${invoiceId}`,
  );
  const keys = await keysOfBills(
    tx,
    bills.map(({ n }) => ({ invoiceId, n })),
  );
  await tx.run(sql`delete from invoice_result where invoice_id = ${invoiceId}`);
  await tx.run(sql`delete from invoice_bill where invoice_id = ${invoiceId}`);
  return { keys, numbers: bills.flatMap(({ number, replaces }) => [number, ...replaces]) };
}

async function writeResults(
  tx: Tx,
  invoice: Invoice & Substance,
  { draft, linked }: { draft: Draft; linked: readonly Linked[] },
): Promise<void> {
  const rows = linked.map(({ result, bill, link }, n) => ({
    n,
    bill: bill.n,
    ean: result.ean,
    meter_id: isMeter(link) ? link.id : null,
    unresolved: !isMeter(link) || result.rows.some(({ open }) => open.length > 0),
    content: {
      bill,
      rows: result.rows,
      open: isMeter(link) ? null : link,
      isByHand: result.meterByHand !== null,
    },
  }));
  for (let from = 0; from < rows.length; from += rowsAtOnce) {
    await tx.run(sql`
      insert into invoice_result (invoice_id, n, bill, ean, meter_id, unresolved, content)
      select ${invoice.id}, row.n, row.bill, row.ean, row.meter_id, row.unresolved, row.content
      from jsonb_to_recordset(${JSON.stringify(rows.slice(from, from + rowsAtOnce))}::jsonb)
        as row (n int, bill int, ean text, meter_id text, unresolved boolean, content jsonb)`);
  }
  const eans = [...new Set(draft.results.flatMap(({ ean }) => ean ?? []))];
  const numbers = [...new Set(draft.bills.map(({ number }) => number))];
  await tx.run(
    sql`update invoice set eans = ${eans}::text[], numbers = ${numbers}::text[] where id = ${invoice.id}`,
  );
}

async function writeBills(
  tx: Tx,
  invoice: Invoice,
  { bills, costs }: { bills: readonly DraftBill[]; costs: readonly Cost[] },
): Promise<void> {
  const rows = bills.map(({ n, number, kind, replaces, seller, issued, currency, totals }) => ({
    n,
    number,
    kind,
    replaces,
    seller_id: seller.id === null ? null : plainId(seller.id),
    seller_name: fold(seller.name),
    issued,
    currency,
    net: totals.net,
  }));
  await tx.run(sql`
    insert into invoice_bill (invoice_id, account_id, n, number, kind, replaces, seller_id, seller_name, issued, currency, net)
    select ${invoice.id}, ${invoice.account_id}, row.n, row.number, row.kind, row.replaces, row.seller_id,
      row.seller_name, row.issued, row.currency, row.net
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
      as row (n int, number text, kind text, replaces text[], seller_id text, seller_name text, issued date,
              currency text, net numeric)`);
  for (let from = 0; from < costs.length; from += rowsAtOnce) {
    await tx.run(sql`
      insert into invoice_cost (invoice_id, bill, meter_id, metric, currency, month, amount)
      select ${invoice.id}, row.bill, row.meter_id, row.metric, row.currency, row.month, row.amount
      from jsonb_to_recordset(${JSON.stringify(costs.slice(from, from + rowsAtOnce))}::jsonb)
        as row (bill int, meter_id text, metric text, currency text, month int, amount numeric)`);
  }
}

interface StoredBill extends Bill {
  counts: boolean;
  replacedBy: string | null;
}

/**
 * Decides anew how the bills around some numbers stand to each other; returns those of which that changed. Bills that
 * refer to bills that refer to bills are all looked at together.
 */
async function standAnew(tx: Tx, accountId: string, numbers: readonly string[]): Promise<StoredBill[]> {
  const bills = await billsAround(tx, accountId, numbers);
  const changed = [...standings(bills)].filter(([bill, { counts, replacedBy }]) => {
    const stored = bill as StoredBill;
    return stored.counts !== counts || stored.replacedBy !== replacedBy;
  });
  for (const [bill, { counts, replacedBy }] of changed) {
    await tx.run(sql`
      update invoice_bill set counts = ${counts}, replaced_by = ${replacedBy}
      where invoice_id = ${bill.invoiceId} and n = ${bill.n}`);
  }
  return changed.map(([bill]) => bill as StoredBill);
}

async function billsAround(tx: Tx, accountId: string, numbers: readonly string[]): Promise<StoredBill[]> {
  const asked = new Set(numbers);
  for (;;) {
    const list = [...asked];
    const bills = await tx.rows<StoredBill>(sql`
      select b.invoice_id as "invoiceId", b.n, b.number, b.kind, b.replaces, b.seller_id as "sellerId",
        b.seller_name as "sellerName", b.issued::text as issued, b.currency, b.net::text as net,
        (extract(epoch from i.created) * 1000)::float8 as created, b.counts, b.replaced_by as "replacedBy"
      from invoice_bill b join invoice i on i.id = b.invoice_id
      where b.account_id = ${accountId} and (b.number = ${any(list)} or b.replaces && ${list}::text[])`);
    for (const { number, replaces } of bills) for (const each of [number, ...replaces]) asked.add(each);
    if (asked.size === list.length) return bills;
  }
}
