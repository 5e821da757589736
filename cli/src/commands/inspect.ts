import { open, stat } from "node:fs/promises";
import { basename } from "node:path";
import type { Command } from "commander";
import { fail } from "../failure.ts";
import { mappingIn, mappingText } from "../mapping-option.ts";
import { plain, tableText } from "../table.ts";
import {
  type InvoiceInspection,
  inspectInvoiceFile,
  invoiceText,
  pagesText,
  pdfPages,
} from "./inspect-invoice.ts";

type Formats = typeof import("@metertree/server/inspect");
type Inspection =
  Awaited<ReturnType<Formats["inspectFile"]>> extends infer Either ? Exclude<Either, unknown[]> : never;
type FileSource = Parameters<Formats["inspectFile"]>[0];

interface Options {
  json?: true;
  mapping?: string;
  timezone?: string;
  unit?: string;
  format?: string;
  template?: string[];
  text?: true;
}

/** `metertree inspect`: what files hold, without storing anything and without a server. */
export function registerInspect(program: Command): void {
  program
    .command("inspect")
    .argument("<file...>", "files of meter values, also packed (zip, gzip), and invoices")
    .description("say what files hold, without storing anything")
    .option("--json", "print the result as JSON")
    .option("--mapping <file>", "how a table is to be read: a file with a mapping as JSON")
    .option("--timezone <zone>", "time zone that overrides what the files say, as in Europe/Stockholm")
    .option("--unit <unit>", "unit of values whose file names none, as in kWh")
    .option("--format <name>", "format, when it is not to be recognised")
    .option(
      "--template <file>",
      "template of PDF invoices as JSON (may be repeated); a single one is applied to any PDF",
      (path: string, before: string[] = []) => [...before, path],
    )
    .option("--text", "print the text of PDF files with its places, to write a template by")
    .action(async (paths: string[], options: Options) => {
      if (options.text === true) {
        const all = await Promise.all(paths.map(pdfPages));
        console.log(
          options.json === true ? JSON.stringify(all.flat(), null, 2) : all.map(pagesText).join("\n\n"),
        );
        return;
      }
      const found = await inspectAll(paths, options);
      // One file is one object, as its reader expects; more are a list.
      console.log(
        options.json === true
          ? JSON.stringify(found.length === 1 ? found[0] : found, null, 2)
          : found.map((each) => ("invoices" in each ? invoiceText(each) : textOf(each))).join("\n\n"),
      );
    });
}

async function inspectAll(
  paths: readonly string[],
  options: Options,
): Promise<(Inspection | InvoiceInspection)[]> {
  const { inspectFile } = await import("@metertree/server/inspect");
  const { mapping, timezone, unit, format } = options;
  const told = mapping === undefined ? undefined : await mappingText(mapping);
  if (mapping !== undefined && told === undefined) throw fail(`--mapping ${mapping}: there is no such file`);
  const asked = {
    ...(timezone === undefined ? {} : { timezone }),
    ...(unit === undefined ? {} : { unit }),
    ...(format === undefined ? {} : { format }),
    ...(told === undefined ? {} : { mapping: mappingIn(told, mapping!), format: "mapper" }),
  };
  const found: (Inspection | InvoiceInspection)[] = [];
  for (const path of paths) {
    const source = await sourceOf(path);
    // A mapping is for tables of values.
    const invoice = told === undefined ? await inspectInvoiceFile(path, options) : undefined;
    if (invoice !== undefined) {
      found.push(invoice);
      continue;
    }
    const inspected = await inspectFile(source, asked).catch((error: unknown) => {
      if (error instanceof RangeError) throw fail(`--timezone: ${error.message}`);
      throw error;
    });
    found.push(...(Array.isArray(inspected) ? inspected : [inspected]));
  }
  return found;
}

async function sourceOf(path: string): Promise<FileSource> {
  const about = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw fail(error.code === "ENOENT" ? `${path}: there is no such file` : error.message);
  });
  if (!about.isFile()) throw fail(`${path} is no file`);
  return {
    name: basename(path),
    size: about.size,
    async *read(from, to) {
      if (to <= from) return;
      const file = await open(path);
      // The end is included.
      yield* file.createReadStream({
        start: from,
        end: to - 1,
        highWaterMark: 256 * 1024,
      }) as AsyncIterable<Buffer>;
    },
  };
}

const series = [
  "meter",
  "channel",
  "metric",
  "direction",
  "unit",
  "every",
  "values",
  "missing",
  "from",
  "to",
  "total",
];

function textOf({ file, format, series: found, problems }: Inspection): string {
  const lines = [`${plain(file)}: ${format ?? "format not recognised"}, ${found.length} series`];
  if (found.length > 0) {
    const rows = found.map((each) => [
      plain(each.meter),
      plain(each.channel),
      each.metric,
      each.direction,
      each.unit,
      each.interval_seconds === null ? "reading" : lengthText(each.interval_seconds),
      each.count,
      each.missing,
      each.first_start_utc,
      each.last_end_utc,
      each.total,
    ]);
    lines.push("", tableText(series, rows));
  }
  if (problems.length > 0) {
    const rows = problems.map(({ severity, line, field, message }) => [
      severity,
      line,
      plain(field ?? ""),
      plain(message),
    ]);
    lines.push("", tableText(["", "line", "field", "message"], rows));
  }
  return lines.join("\n");
}

function lengthText(seconds: number): string {
  if (seconds % 86_400 === 0) return `${seconds / 86_400} d`;
  if (seconds % 3600 === 0) return `${seconds / 3600} h`;
  return seconds % 60 === 0 ? `${seconds / 60} min` : `${seconds} s`;
}
