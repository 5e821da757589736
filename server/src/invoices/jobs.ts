import { accountById } from "../accounts/accounts.ts";
import { lockPart } from "../changes/changes.ts";
import { rootMeters } from "../meters/meters.ts";
import { any, type Db, sql } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import type { JobKind } from "../platform/jobs.ts";
import { Problem } from "../platform/problem.ts";
import { type CostKey, monthsBegun, storeMonths } from "./costs.ts";
import { discardFile, fileOf, filesBefore } from "./files.ts";
import {
  type Invoice,
  invoiceById,
  lockSubstance,
  moveOn,
  type ReadInvoice,
  type Reason,
} from "./invoice.ts";
import { isMeter, linksOf } from "./link.ts";
import { readDocument } from "./reader.ts";
import { holdParts, settle } from "./settle.ts";
import { templatesFor } from "./template.ts";

/** Unexpected errors after which an invoice is given up. */
const failuresMax = 5;

/** The job that reads an invoice and stores its costs. */
export const readInvoiceJob: JobKind = {
  name: "read-invoice",
  // The invoice itself counts unexpected errors and gives up.
  retries: 20,
  secondsMax: 900,
  atOnce: 1,
  run: readInvoice,
};

/**
 * Reads an invoice and stores what follows from it in one transaction, so that a killed run has stored nothing and the
 * next one does all of it.
 */
async function readInvoice(data: object, deps: Deps, signal: AbortSignal): Promise<void> {
  const { invoiceId } = data as { invoiceId: string };
  const { db, clock } = deps;
  await moveOn(db, invoiceId, { from: ["pending"], to: "processing", now: clock.now() });
  const found = await db.maybe<{ status: string }>(sql`select status from invoice where id = ${invoiceId}`);
  // It was deleted, or a run before this one came to its end.
  if (found?.status !== "processing") return;
  const invoice = await invoiceById(db, invoiceId);
  try {
    const reading = await readDocument(await taskOf(invoice, deps), signal);
    signal.throwIfAborted();
    if (reading.kind === "read") await finish(invoice, { parsed: reading.parsed, reason: null }, deps);
    else await finish(invoice, { parsed: null, reason: reading.reason }, deps);
  } catch (error) {
    if (signal.aborted) throw error;
    await giveUpOr(error, invoice, deps);
  }
}

async function taskOf(invoice: Invoice, { db, settings }: Deps) {
  const account = await accountById(db, invoice.account_id);
  return {
    path: fileOf(settings.dataDir, invoice.id),
    fileName: invoice.file_name,
    templates: await templatesFor(db, account),
    currency: invoice.options.currency ?? null,
    contractType: invoice.options.contract_type ?? null,
  };
}

/** Ends the work on an invoice: with what was read, or with the reason why nothing could be. */
async function finish(
  invoice: Invoice,
  { parsed, reason }: { parsed: ReadInvoice[] | null; reason: Reason | null },
  { db, clock }: Deps,
): Promise<void> {
  await db.transaction(async (tx) => {
    const now = clock.now();
    await holdParts(tx, invoice.account_id);
    const to = reason === null ? "completed" : "failed";
    // Another worker may have been given the job meanwhile, and the invoice may be gone.
    if (!(await moveOn(tx, invoice.id, { from: ["processing"], to, now }))) return;
    const json = (value: unknown) => (value === null ? null : JSON.stringify(value));
    await tx.run(sql`
      update invoice set parsed = ${json(parsed)}::jsonb, reason = ${json(reason)}::jsonb where id = ${invoice.id}`);
    await settle(tx, invoice.id, now);
  });
}

/** Ends an invoice that cannot be read, or throws the error so that the job is repeated. */
async function giveUpOr(error: unknown, invoice: Invoice, deps: Deps): Promise<void> {
  const reason = reasonOf(error);
  const counted = await deps.db.maybe<{ failures: number }>(
    sql`update invoice set failures = failures + 1 where id = ${invoice.id} returning failures`,
  );
  if (counted === undefined) return;
  if (reason === undefined && counted.failures < failuresMax) throw error;
  deps.log.error({ err: error, invoice: invoice.id }, "the invoice is given up");
  const message = reason ?? "A fault of the server kept the invoice from being read. Its log says more.";
  await finish(
    invoice,
    { parsed: null, reason: { message, line: null, field: null, difference: null } },
    deps,
  );
}

/** What the caller may know, when trying again does not help. */
function reasonOf(error: unknown): string | undefined {
  if (error instanceof Problem && error.status < 500) return error.message;
  if ((error as NodeJS.ErrnoException).code === "ENOENT") return "The document is gone. Upload it again.";
  return undefined;
}

/** The job that does what time and new meters bring about. */
const tendInvoicesJob: JobKind = {
  name: "tend-invoices",
  retries: 3,
  secondsMax: 1800,
  atOnce: 1,
  cron: "*/10 * * * *",
  run: tendInvoices,
};

async function tendInvoices(_data: object, deps: Deps, signal: AbortSignal): Promise<void> {
  for (let after = await storeBegunMonths(deps, null); after !== null; ) {
    signal.throwIfAborted();
    after = await storeBegunMonths(deps, after);
  }
  await linkWaiting(deps, signal);
  await discardForgotten(deps);
}

const monthsAtOnce = 2_000;

/** Stores some of the costs of months that lay ahead when their invoices came; returns where to go on. */
async function storeBegunMonths({ db, clock }: Deps, after: CostKey | null): Promise<CostKey | null> {
  return db.transaction(async (tx) => {
    const now = clock.now();
    const date = new Date(now);
    const month = date.getUTCFullYear() * 100 + date.getUTCMonth() + 1;
    const keys = await monthsBegun(tx, { month, after, limit: monthsAtOnce });
    const meters = await rootMeters(tx, [...new Set(keys.map(({ meter_id }) => meter_id))]);
    for (const part of [...new Set(meters.map((meter) => meter.part))].sort((a, b) => a - b))
      await lockPart(tx, part);
    await storeMonths(tx, keys, { now, source: "invoices of months that have begun" });
    return keys.length < monthsAtOnce ? null : keys.at(-1)!;
  });
}

/** Links metering points whose meters have appeared since. */
async function linkWaiting(deps: Deps, signal: AbortSignal): Promise<void> {
  const { db } = deps;
  const waiting = await db.rows<{ account_id: string; eans: string[] }>(sql`
    select i.account_id, array_agg(distinct r.ean) as eans
    from invoice_result r join invoice i on i.id = r.invoice_id
    where r.meter_id is null and r.ean is not null and i.status = 'completed' group by i.account_id`);
  for (const { account_id, eans } of waiting) {
    const points = eans.map((ean) => ({ bill: 0, ean, meterByHand: null, rows: [] }));
    const links = await linksOf(db, account_id, points);
    const appeared = eans.filter((_, i) => isMeter(links[i]!));
    for (const id of await invoicesWaitingFor(db, account_id, appeared)) {
      signal.throwIfAborted();
      await settleAgain(id, deps);
    }
  }
}

async function invoicesWaitingFor(db: Db, accountId: string, eans: readonly string[]): Promise<string[]> {
  if (eans.length === 0) return [];
  const rows = await db.rows<{ id: string }>(sql`
    select distinct i.id from invoice_result r join invoice i on i.id = r.invoice_id
    where i.account_id = ${accountId} and i.status = 'completed' and r.meter_id is null and r.ean = ${any(eans)}
      and not (r.content ->> 'isByHand')::boolean`);
  return rows.map(({ id }) => id);
}

/** Makes everything anew that follows from a completed invoice. */
async function settleAgain(invoiceId: string, { db, clock }: Deps): Promise<void> {
  await db.transaction(async (tx) => {
    const { account_id } = await invoiceById(tx, invoiceId);
    await holdParts(tx, account_id);
    const { status } = await lockSubstance(tx, invoiceId);
    if (status === "completed") await settle(tx, invoiceId, clock.now());
  });
}

/** An upload that was cut off leaves its file so long. */
const abandonedMs = 3_600_000;
const filesAtOnce = 5_000;

/** Removes documents of invoices that are not there: cut off while they came, or of accounts that were deleted. */
async function discardForgotten({ db, clock, settings }: Deps): Promise<void> {
  const found = await filesBefore(settings.dataDir, clock.now() - abandonedMs);
  for (let from = 0; from < found.length; from += filesAtOnce) {
    const some = found.slice(from, from + filesAtOnce);
    const rows = await db.rows<{ id: string }>(sql`select id from invoice where id = ${any(some)}`);
    const needed = new Set(rows.map(({ id }) => id));
    for (const id of some) if (!needed.has(id)) await discardFile(settings.dataDir, id);
  }
}

/** Every kind of job of invoices. */
export const invoiceJobs: readonly JobKind[] = [readInvoiceJob, tendInvoicesJob];
