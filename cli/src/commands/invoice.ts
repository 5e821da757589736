import { setTimeout as delay } from "node:timers/promises";
import type { Client, Operations } from "@metertree/client";
import { type Command, Option } from "commander";
import { openProgress, type Progress } from "../progress.ts";
import { addServerFlags, clientOf, filesToSend, type ServerOptions, told } from "../server.ts";
import { counted, plain, tableText } from "../table.ts";

type Invoice = Operations["GET /invoices/{id}"]["data"];
type Upload = Operations["POST /invoices"]["body"];

interface Options extends ServerOptions {
  account?: string;
  contractType?: "grid" | "retail";
  currency?: string;
  dryRun?: true;
  json?: true;
}

/** Files that one request carries: what it refuses is refused for all of them. */
const filesAtOnce = 20;
/** Open questions that are printed of an invoice; the server has more. */
const printedMax = 50;
/** Time between two looks at an invoice that is not read yet. */
const lookEveryMs = 300;

/** `metertree invoice`: commands about invoices. */
export function registerInvoice(program: Command): void {
  const invoice = program.command("invoice").description("invoices: documents that become costs");
  const upload = invoice
    .command("upload")
    .argument("<file...>", "e-invoices and PDF invoices, each a document of its own")
    .description("upload invoices to a server, and wait until they are read");
  addServerFlags(upload)
    .option(
      "--account <account>",
      "subaccount whose invoices these are: its id, or external: and its custom identifier",
    )
    .addOption(
      new Option("--contract-type <type>", "what rows are about whose words do not say").choices([
        "grid",
        "retail",
      ]),
    )
    .option("--currency <currency>", "currency of documents that name none, as in SEK")
    .option("--dry-run", "only tell what would be stored")
    .option("--json", "print the result as JSON")
    .action(async (paths: string[], options: Options) => {
      const read = await uploadFiles(paths, options);
      console.log(options.json === true ? JSON.stringify(read, null, 2) : read.map(textOf).join("\n\n"));
      if (read.some(({ status }) => status === "failed")) process.exitCode = 1;
    });
}

/** Uploads all files and waits for them; answers the invoices in the order of the files, each once. */
async function uploadFiles(paths: readonly string[], options: Options): Promise<Invoice[]> {
  const client = clientOf(options);
  const files = await filesToSend(paths);
  const { account, contractType: contract_type, currency } = options;
  const given = Object.entries({ account, contract_type, currency });
  const fields = Object.fromEntries(given.filter(([, value]) => value !== undefined));
  const progress = openProgress(options.json === true ? undefined : process.stderr);
  try {
    const invoices = new Map<string, Invoice>();
    for (let from = 0; from < files.length; from += filesAtOnce) {
      const some = files.slice(from, from + filesAtOnce);
      const body: Upload = { ...fields, files: some, dry_run: options.dryRun === true };
      for (const made of await client.call("POST /invoices", { body })) invoices.set(made._id, made);
      progress.show({ phase: "uploading", done: from + some.length, total: files.length });
    }
    return await whenRead(client, [...invoices.values()], progress);
  } catch (error) {
    throw told(error);
  } finally {
    progress.close();
  }
}

async function whenRead(
  client: Client,
  invoices: readonly Invoice[],
  progress: Progress,
): Promise<Invoice[]> {
  const read: Invoice[] = [];
  for (const invoice of invoices) {
    let now = invoice;
    while (now.status !== "completed" && now.status !== "failed") {
      progress.show({ phase: "reading", done: read.length, total: invoices.length });
      await delay(lookEveryMs);
      now = await client.call("GET /invoices/{id}", { path: { id: now._id } });
    }
    read.push(now);
  }
  return read;
}

function textOf(invoice: Invoice): string {
  const { file, dry_run, reason, results, _id } = invoice;
  const name = plain(file.name);
  if (reason !== null) return `${name}: nothing was stored${placeOf(reason)}. ${plain(reason.message)}`;
  const stored = dry_run ? "would be stored" : `invoice ${_id}`;
  const lines = [`${name}: ${stored}, ${counted(results.length, "result")}`, resultsText(invoice)];
  return [...lines, ...waitingLines(invoice)].join("\n");
}

function placeOf({ line, field }: NonNullable<Invoice["reason"]>): string {
  const place = [line === null ? [] : `line ${line}`, field ?? []].flat();
  return place.length === 0 ? "" : ` (${plain(place.join(", "))})`;
}

function resultsText({ results, dry_run }: Invoice): string {
  const standing = ({ counts, replaced_by }: Invoice["results"][number]) =>
    counts || dry_run ? "" : replaced_by === null ? "does not count" : `replaced by ${replaced_by}`;
  const rows = results.map((result) => [
    plain(result.invoice_number),
    plain(result.ean ?? ""),
    result.meter?._id ?? "?",
    result.period ?? "?",
    result.total_amount_excl_vat,
    result.currency,
    standing(result),
  ]);
  return tableText(["invoice", "EAN", "meter", "period", "without VAT", "", ""], rows);
}

/** What a person must say. */
function waitingLines({ unresolved, _id }: Invoice): string[] {
  if (unresolved.length === 0) return [];
  const shown = unresolved.slice(0, printedMax).map(({ ean, message }) => `  ${ean ?? "no EAN"}: ${message}`);
  const more = unresolved.length - shown.length;
  return [
    `Not known, to be said by PUT /api/v2/invoices/${_id}:`,
    ...shown.map(plain),
    ...(more > 0 ? [`  … and ${more} more`] : []),
  ];
}
