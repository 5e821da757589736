import { createReadStream } from "node:fs";
import { access } from "node:fs/promises";
import { z } from "zod";
import { actorOf, audit, reach, subaccountsOf } from "../accounts/accounts.ts";
import { resolveForReading } from "../meters/meters.ts";
import { any, empty, type Queryable, type Sql, sql, type Tx } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { type Caller, type Endpoint, endpoint, Message, Page, Raw } from "../platform/http/endpoint.ts";
import { type Fields, fieldsOf, readList } from "../platform/http/filter.ts";
import { commaList, id } from "../platform/http/schema.ts";
import { Problem } from "../platform/problem.ts";
import { correction, correctionsAfter } from "./correct.ts";
import { discardFile, fileOf } from "./files.ts";
import { type Invoice, invoiceById, invoiceColumns, lockSubstance, readAgain, statuses } from "./invoice.ts";
import { readInvoiceJob } from "./jobs.ts";
import { holdParts, removeInvoice, settle } from "./settle.ts";
import { receive, storeUpload, uploadForm } from "./upload.ts";
import { type InvoiceView, invoiceView, showInvoices } from "./view.ts";

const oneInvoice = z.object({ id: id() });

/** An invoice of an account within reach of the caller; the 404 of the contract otherwise. */
async function reachInvoice(db: Queryable, who: Caller, invoiceId: string): Promise<Invoice> {
  const found = await invoiceById(db, invoiceId);
  await reach(db, who, found.account_id);
  return found;
}

async function show(db: Queryable, who: Caller, invoiceId: string): Promise<InvoiceView> {
  const [shown] = await showInvoices(db, [await invoiceById(db, invoiceId)], who.accountId);
  return shown!;
}

/** Everything that changes an invoice: held with its parts, within reach, and written down in the audit log. */
async function changing<T>(
  call: { who: Caller; params: { id: string } },
  { db, clock }: Deps,
  { action, work }: { action: string; work: (tx: Tx, invoice: Invoice, now: number) => Promise<T> },
): Promise<T> {
  const { who, params } = call;
  return db.transaction(async (tx) => {
    const now = clock.now();
    const invoice = await reachInvoice(tx, who, params.id);
    await holdParts(tx, invoice.account_id);
    const result = await work(tx, invoice, now);
    await audit(tx, {
      at: now,
      accountId: invoice.account_id,
      actor: actorOf(who),
      action,
      subject: invoice.id,
      detail: { file: invoice.file_name },
    });
    return result;
  });
}

const createInvoices = endpoint({
  method: "POST",
  path: "/invoices",
  access: "write_meters",
  summary: "Uploads invoices",
  description:
    "Answers as soon as the documents are safe, with one invoice per file; they are read after that: ask " +
    "`GET /invoices/{id}` until the status is `completed` or `failed`. A file that the account has is the same " +
    "invoice: nothing is doubled, and one that had failed is read once more.\n\n" +
    "Send `multipart/form-data` with one or several parts `file`; fields may stand before or after them.",
  ids: { account: "account" },
  bodyKind: "multipart",
  body: uploadForm,
  reply: z.array(invoiceView),
  async handle(call, deps) {
    const ids = await storeUpload(await receive(call, deps), deps, call.who);
    const found = await Promise.all(ids.map((invoiceId) => invoiceById(deps.db, invoiceId)));
    return showInvoices(deps.db, found, call.who.accountId);
  },
});

const table: Fields = fieldsOf({
  _id: { kind: "id", column: sql`i.id` },
  account: { kind: "id", column: sql`i.account_id` },
  "account._id": { kind: "id", column: sql`i.account_id` },
  status: { kind: "enum", column: sql`i.status`, values: statuses },
  "results.ean": { kind: "any-of", column: sql`i.eans` },
  "results.invoice_number": { kind: "any-of", column: sql`i.numbers` },
  dry_run: { kind: "boolean", column: sql`i.dry_run` },
  unresolved: {
    kind: "boolean",
    column: sql`exists (select from invoice_result r
      where r.invoice_id = i.id and (r.unresolved or r.meter_id is null))`,
  },
  created: { kind: "timestamp", column: sql`i.created` },
  updated: { kind: "timestamp", column: sql`i.updated` },
  "file.name": { kind: "text-exact", column: sql`i.file_name` },
  "file.sha256": { kind: "text-exact", column: sql`i.sha256` },
});

const listInvoices = endpoint({
  method: "GET",
  path: "/invoices",
  access: "basic",
  summary: "Invoices of the account and of those that it manages",
  ids: { "account._id": "account", meter_ids: "meter" },
  query: z.object({
    meter_ids: commaList(z.string(), 1000).optional().meta({
      description: "Invoices of these meters: your own ids of them, or those of their root meters.",
    }),
  }),
  filters: () => true,
  reply: z.array(invoiceView),
  list: true,
  async handle({ who, query, search, ignored }, { db, settings }) {
    const { where, orderBy, skip, limit } = readList(search, {
      fields: table,
      ignored,
      pageMax: settings.pageMax,
    });
    const accounts = [who.accountId, ...(await subaccountsOf(db, who.accountId))];
    const ofMeters = await meterCondition(db, who, query.meter_ids);
    const of = sql`from invoice i where i.account_id = ${any(accounts)}${ofMeters}${where}`;
    const { count } = await db.one<{ count: number }>(sql`select count(*) as count ${of}`);
    const rows = await db.rows<Invoice>(
      sql`select ${invoiceColumns} ${of} order by ${orderBy} offset ${skip} limit ${limit}`,
    );
    return new Page(await showInvoices(db, rows, who.accountId), { count, skip, limit });
  },
});

/** Meters that the caller does not have have no invoices. */
async function meterCondition(db: Queryable, who: Caller, ids: readonly string[] | undefined): Promise<Sql> {
  if (ids === undefined || ids.length === 0) return empty;
  const found = await resolveForReading(db, who, ids);
  const roots = found.flatMap((each) => (each.outcome === "not_found" ? [] : each.meter.rootId));
  return sql` and i.id in (select r.invoice_id from invoice_result r where r.meter_id = ${any(roots)})`;
}

const readInvoice = endpoint({
  method: "GET",
  path: "/invoices/:id",
  access: "basic",
  summary: "One invoice: where it is, what it says, and what could not be known",
  ids: { id: "invoice" },
  params: oneInvoice,
  reply: invoiceView,
  async handle({ who, params }, { db }) {
    await reachInvoice(db, who, params.id);
    return show(db, who, params.id);
  },
});

const downloadInvoice = endpoint({
  method: "GET",
  path: "/invoices/:id/file",
  access: "basic",
  summary: "The document as it was uploaded",
  ids: { id: "invoice" },
  params: oneInvoice,
  reply: z.unknown(),
  async handle({ who, params, header }, { db, settings }) {
    const invoice = await reachInvoice(db, who, params.id);
    const path = fileOf(settings.dataDir, invoice.id);
    const isThere = await access(path).then(
      () => true,
      () => false,
    );
    if (!isThere) throw new Problem("conflict", "The document is gone. Upload it again.");
    const name = encodeURIComponent(invoice.file_name).replaceAll(/['()*]/g, escaped);
    header("content-disposition", `attachment; filename*=UTF-8''${name}`);
    // Whatever it holds, no browser may show it under this address.
    return new Raw("application/octet-stream", createReadStream(path));
  },
});

const escaped = (char: string) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`;

const correctInvoice = endpoint({
  method: "PUT",
  path: "/invoices/:id",
  access: "write_meters",
  summary: "Says what could not be read: meters, and the contract type, metric and period of rows",
  description:
    "Corrections are kept with the invoice and hold whenever it is read again; costs are written anew at once. " +
    "`null` takes a correction back.",
  ids: { id: "invoice", meter: "meter" },
  params: oneInvoice,
  body: correction,
  bodyBytesMax: 5_000_000,
  reply: invoiceView,
  async handle(call, deps) {
    await changing(call, deps, {
      action: "invoice.correct",
      async work(tx, invoice, now) {
        const held = await lockSubstance(tx, invoice.id);
        if (held.status !== "completed") {
          throw new Problem(
            "conflict",
            `The invoice is ${held.status}; only a completed one can be corrected.`,
          );
        }
        const corrections = await correctionsAfter(tx, { who: call.who, invoice: held }, call.body);
        await tx.run(sql`
          update invoice set corrections = ${JSON.stringify(corrections)}::jsonb, updated = ${new Date(now)}
          where id = ${invoice.id}`);
        await settle(tx, invoice.id, now);
      },
    });
    return show(deps.db, call.who, call.params.id);
  },
});

const retryInvoice = endpoint({
  method: "POST",
  path: "/invoices/:id/retry",
  access: "write_meters",
  summary: "Reads the document once more",
  description: "With the templates, meters and consumption of now. Corrections by hand are kept.",
  ids: { id: "invoice" },
  params: oneInvoice,
  reply: invoiceView,
  async handle(call, deps) {
    await changing(call, deps, {
      action: "invoice.retry",
      async work(tx, invoice, now) {
        // One that waits, or is being read, needs no second job.
        if (await readAgain(tx, invoice.id, now))
          await deps.jobs.send(tx, readInvoiceJob.name, { invoiceId: invoice.id });
      },
    });
    return show(deps.db, call.who, call.params.id);
  },
});

const deleteInvoice = endpoint({
  method: "DELETE",
  path: "/invoices/:id",
  access: "write_meters",
  summary: "Removes an invoice and its document, and takes its costs back",
  ids: { id: "invoice" },
  params: oneInvoice,
  reply: z.undefined(),
  async handle(call, deps) {
    await changing(call, deps, {
      action: "invoice.delete",
      work: (tx, invoice, now) => removeInvoice(tx, invoice.id, now),
    });
    await discardFile(deps.settings.dataDir, call.params.id);
    return new Message("Deleted invoice.");
  },
});

/** Endpoints of invoices. */
export const invoiceObjectEndpoints: Endpoint[] = [
  createInvoices,
  listInvoices,
  readInvoice,
  downloadInvoice,
  correctInvoice,
  retryInvoice,
  deleteInvoice,
];
