import { Readable } from "node:stream";
import { z } from "zod";
import { type Account, reachNamed } from "../accounts/accounts.ts";
import { sql, type Tx } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import type { Call, Caller, Part } from "../platform/http/endpoint.ts";
import { boolean } from "../platform/http/schema.ts";
import { newId } from "../platform/id.ts";
import { invalid, Problem } from "../platform/problem.ts";
import { discardFile, keepFile, moveFile, type TakenFile } from "./files.ts";
import { contractTypes, type InvoiceOptions, insertInvoice, readAgain } from "./invoice.ts";
import { readInvoiceJob } from "./jobs.ts";

/** Invoices are small; a larger document is something else. */
const fileBytesMax = 25_000_000;

// Forms send empty fields for what was not filled in.
const filled = <Schema extends z.ZodType>(schema: Schema) =>
  z.preprocess((value) => (value === "" ? undefined : value), schema.optional());

/** The fields of an upload. Files come as parts named `file`, in any order with the fields. */
export const uploadForm = z.object({
  file: z.array(z.string()).optional().meta({
    description: "One or several documents, each with one invoice or several.",
    contentMediaType: "application/octet-stream",
  }),
  account: filled(z.string().trim().max(230)).meta({
    description:
      "Whose invoices these are: `me`, the id of a subaccount, or `external:` and its custom identifier.",
  }),
  contract_type: filled(z.enum(contractTypes)).meta({
    description: "What the invoices are about, for rows whose words do not say.",
  }),
  currency: filled(z.string().regex(/^[A-Z]{3}$/, "must be three letters such as SEK")).meta({
    description: "Currency of documents that name none.",
  }),
  dry_run: boolean().default(false).meta({ description: "Only tell what would be stored." }),
});

type Form = z.output<typeof uploadForm>;

/** An upload that came whole: its files are kept under new ids. */
export interface Received {
  account: Account;
  files: (TakenFile & { id: string })[];
  dryRun: boolean;
  options: InvoiceOptions;
}

/**
 * Takes in a multipart upload. Nothing of it is left when it throws.
 * @throws Problem with a message per wrong field; `too_large`
 */
export async function receive(
  call: Pick<Call<z.ZodType, z.ZodType, z.ZodType>, "parts" | "ignored"> & { who: Caller },
  { db, clock, settings }: Deps,
): Promise<Received> {
  const begun: string[] = [];
  const { dataDir } = settings;
  const bytesMax = Math.min(fileBytesMax, settings.uploadBytesMax);
  const take = async ({ fileName: name, stream }: Part & { kind: "file" }) => {
    const id = newId(clock.now());
    begun.push(id);
    return { id, ...(await keepFile({ dataDir, invoiceId: id }, { name, stream, bytesMax })) };
  };
  try {
    const { form, files } = await readParts(call.parts, take, call.ignored);
    if (files.length === 0) throw invalid("file", "is missing: send at least one file");
    const empty = files.find(({ bytes }) => bytes === 0);
    if (empty !== undefined) throw invalid("file", `${empty.name} is empty`);
    const { contract_type, currency } = form;
    return {
      account: await reachNamed(db, call.who, form.account ?? "me"),
      files,
      dryRun: form.dry_run,
      options: {
        ...(contract_type === undefined ? {} : { contract_type }),
        ...(currency === undefined ? {} : { currency }),
      },
    };
  } catch (error) {
    for (const id of begun) await discardFile(dataDir, id);
    throw error;
  }
}

async function readParts<File>(
  parts: AsyncIterable<Part>,
  take: (part: Part & { kind: "file" }) => Promise<File>,
  ignored: (name: string) => void,
): Promise<{ form: Form; files: File[] }> {
  const fields: Record<string, string> = {};
  const files: File[] = [];
  for await (const part of parts) {
    if (part.kind === "file") {
      if (part.name === "file") files.push(await take(part));
      else {
        part.stream.resume();
        ignored(part.name);
      }
    } else if (part.name !== "file" && Object.hasOwn(uploadForm.shape, part.name))
      fields[part.name] = part.value;
    else ignored(part.name);
  }
  const parsed = uploadForm.safeParse(fields);
  if (parsed.success) return { form: parsed.data, files };
  const errors: Record<string, string[]> = {};
  for (const { path, message } of parsed.error.issues) (errors[path.join(".")] ??= []).push(message);
  const [field, [message]] = Object.entries(errors)[0] as [string, [string]];
  throw new Problem("invalid", `${field}: ${message}`, { errors });
}

/**
 * Stores the invoices of an upload, to be read by jobs; returns their ids in the order of the files. A file that the
 * account has is the same invoice: nothing is doubled, and one that had failed is read once more.
 */
export async function storeUpload(
  { account, files, dryRun, options }: Received,
  { db, clock, jobs, settings }: Deps,
  who: Caller,
): Promise<string[]> {
  const { dataDir } = settings;
  const now = clock.now();
  const store = async (tx: Tx) => {
    const ids: { came: string; id: string }[] = [];
    for (const { id: came, name, bytes, sha256 } of files) {
      const made = await insertInvoice(tx, {
        id: came,
        account_id: account.id,
        created: now,
        created_by: who.actorId ?? who.ownAccountId,
        file_name: name,
        bytes,
        sha256,
        dry_run: dryRun,
        options,
      });
      const mustRead = made.isNew || (await again(tx, made.id, { options, dryRun, now }));
      if (mustRead) await jobs.send(tx, readInvoiceJob.name, { invoiceId: made.id });
      ids.push({ came, id: made.id });
    }
    return ids;
  };
  const stored = await db.transaction(store).catch(async (error: unknown) => {
    for (const { id } of files) await discardFile(dataDir, id);
    throw error;
  });
  for (const { came, id } of stored) if (came !== id) await moveFile(dataDir, { from: came, to: id });
  return [...new Set(stored.map(({ id }) => id))];
}

/** A document that a program hands in. */
export interface HandedIn {
  accountId: string;
  /** Who did it, for the record: the id of an account. */
  by: string;
  fileName: string;
  content: Uint8Array;
}

/**
 * Keeps a document as an upload does, in the caller's transaction; a job reads it after the commit. Returns the id of
 * the invoice, and whether the account did not have it. @throws Problem `too_large`. A file of a transaction that ends without one is removed by the job that tidies up.
 */
export async function storeDocument(
  tx: Tx,
  { clock, jobs, settings }: Deps,
  given: HandedIn,
): Promise<{ id: string; isNew: boolean }> {
  const now = clock.now();
  const id = newId(now);
  const { accountId, by, fileName, content } = given;
  const file = { name: fileName, stream: Readable.from([content]), bytesMax: fileBytesMax };
  const { name, bytes, sha256 } = await keepFile({ dataDir: settings.dataDir, invoiceId: id }, file);
  const made = await insertInvoice(tx, {
    id,
    account_id: accountId,
    created: now,
    created_by: by,
    file_name: name,
    bytes,
    sha256,
    dry_run: false,
    options: {},
  });
  if (made.isNew) await jobs.send(tx, readInvoiceJob.name, { invoiceId: made.id });
  else await discardFile(settings.dataDir, id);
  return made;
}

/** A document that failed, or was only tried, is read with what was said this time. */
async function again(
  tx: Tx,
  id: string,
  { options, dryRun, now }: { options: InvoiceOptions; dryRun: boolean; now: number },
): Promise<boolean> {
  const { status } = await tx.one<{ status: string }>(
    sql`select status from invoice where id = ${id} for update`,
  );
  if (status !== "failed" && !dryRun) return false;
  await tx.run(sql`update invoice set options = ${JSON.stringify(options)}::jsonb where id = ${id}`);
  return readAgain(tx, id, now);
}
