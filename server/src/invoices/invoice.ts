import type { ParsedInvoice } from "../formats/format.ts";
import { any, type Queryable, type Sql, sql, type Tx } from "../platform/db.ts";
import { notFound } from "../platform/problem.ts";
import type { ClassifiedRow } from "./classify.ts";

/** Where an invoice is: `pending` → `processing` → `completed`, or `failed` with a reason; then nothing of it is stored. */
export const statuses = ["pending", "processing", "completed", "failed"] as const;
export type Status = (typeof statuses)[number];

/** Who sells: the owner of the network, or the supplier. */
export const contractTypes = ["grid", "retail"] as const;
export type ContractType = (typeof contractTypes)[number];

/** What the sender said for what the document does not say. */
export interface InvoiceOptions {
  contract_type?: ContractType;
  currency?: string;
}

/** Why an invoice failed. */
export interface Reason {
  message: string;
  line: number | null;
  field: string | null;
  /** By how much the totals miss each other, as decimal text; null when they are not the reason. */
  difference: string | null;
}

/** An invoice as the reader found it, each row with the rule that matched. */
export interface ReadInvoice extends Omit<ParsedInvoice, "rows"> {
  rows: ClassifiedRow[];
}

/** The meter of a metering point, as a person said. */
export interface ResultCorrection {
  /** Null: of the rows that name no metering point. */
  ean: string | null;
  /** Only in the invoice of this number; in all of the document when null. */
  invoice_number: string | null;
  /** Id of the root meter. */
  meter: string;
}

/** What a person said of a row. Absent: what the reader and the rules say. */
export interface RowCorrection {
  /** Id of the row. */
  row: string;
  /** Of the row that was meant: when another reading finds another row in its place, this is not for it. */
  description: string;
  contract_type?: ContractType;
  metric?: string;
  /** As invoices show it: `20190101-20190131`. */
  period?: string;
}

export interface Corrections {
  results: ResultCorrection[];
  rows: RowCorrection[];
}

/** An invoice as it is stored, without what was read. */
export interface Invoice {
  id: string;
  account_id: string;
  /** Epoch milliseconds, as all instants here. */
  created: number;
  updated: number;
  file_name: string;
  bytes: number;
  /** Hexadecimal. */
  sha256: string;
  dry_run: boolean;
  options: InvoiceOptions;
  status: Status;
  reason: Reason | null;
  failures: number;
  started: number | null;
  finished: number | null;
}

const at = (column: Sql) => sql`(extract(epoch from ${column}) * 1000)::float8`;

/** The columns of `Invoice`, of the table `invoice` under the name `i`. */
export const invoiceColumns = sql`i.id, i.account_id, ${at(sql`i.created`)} as created,
  ${at(sql`i.updated`)} as updated, i.file_name, i.bytes, i.sha256, i.dry_run, i.options, i.status, i.reason,
  i.failures, ${at(sql`i.started`)} as started, ${at(sql`i.finished`)} as finished`;

/** The invoice of that id; throws the 404 of the contract. */
export async function invoiceById(db: Queryable, id: string): Promise<Invoice> {
  const found = await db.maybe<Invoice>(sql`select ${invoiceColumns} from invoice i where i.id = ${id}`);
  if (found === undefined) throw notFound(`invoice ${id}`);
  return found;
}

/** Invoices by id, in the order of the ids; missing ones are left out. */
export async function invoicesById(db: Queryable, ids: readonly string[]): Promise<Invoice[]> {
  const rows = await db.rows<Invoice>(sql`select ${invoiceColumns} from invoice i where i.id = ${any(ids)}`);
  const byId = new Map(rows.map((row) => [row.id, row]));
  return ids.flatMap((id) => byId.get(id) ?? []);
}

/** What was read of an invoice and what people said of it. */
export interface Substance {
  parsed: ReadInvoice[] | null;
  corrections: Corrections;
}

/** The substance of an invoice; nobody else changes the invoice until the end of the transaction. */
export async function lockSubstance(tx: Tx, id: string): Promise<Invoice & Substance> {
  const held = await tx.maybe<Substance>(
    sql`select parsed, corrections from invoice where id = ${id} for update`,
  );
  if (held === undefined) throw notFound(`invoice ${id}`);
  return { ...(await invoiceById(tx, id)), ...held };
}

export type NewInvoice = Pick<
  Invoice,
  "id" | "account_id" | "created" | "file_name" | "bytes" | "sha256" | "dry_run" | "options"
> & { created_by: string | null };

/** Stores an invoice that waits; answers the id of the one with the same content when the account has it. */
export async function insertInvoice(tx: Tx, made: NewInvoice): Promise<{ id: string; isNew: boolean }> {
  const inserted = await tx.run(sql`
    insert into invoice (id, account_id, created, created_by, updated, file_name, bytes, sha256, dry_run, options, status)
    values (${made.id}, ${made.account_id}, ${new Date(made.created)}, ${made.created_by}, ${new Date(made.created)},
            ${made.file_name}, ${made.bytes}, ${made.sha256}, ${made.dry_run},
            ${JSON.stringify(made.options)}::jsonb, 'pending')
    on conflict (account_id, sha256, dry_run) do nothing`);
  if (inserted === 1) return { id: made.id, isNew: true };
  const { id } = await tx.one<{ id: string }>(sql`
    select id from invoice
    where account_id = ${made.account_id} and sha256 = ${made.sha256} and dry_run = ${made.dry_run}`);
  return { id, isNew: false };
}

/** Moves an invoice on when it is where it is expected; returns whether it was. */
export async function moveOn(
  db: Queryable,
  id: string,
  { from, to, now }: { from: readonly Status[]; to: Status; now: number },
): Promise<boolean> {
  const ends = to === "completed" || to === "failed";
  const moved = await db.run(sql`
    update invoice set status = ${to}, updated = ${new Date(now)},
      started = ${to === "pending" ? sql`null` : sql`coalesce(started, ${new Date(now)})`},
      finished = ${ends ? new Date(now) : null}
    where id = ${id} and status = any(${from}::text[])`);
  return moved === 1;
}

/** Makes an invoice wait to be read once more: what was wrong with it is forgotten, what people said is not. */
export async function readAgain(tx: Tx, id: string, now: number): Promise<boolean> {
  const moved = await moveOn(tx, id, { from: ["completed", "failed"], to: "pending", now });
  if (moved) await tx.run(sql`update invoice set reason = null, failures = 0 where id = ${id}`);
  return moved;
}
