import { setTimeout as delay } from "node:timers/promises";
import type { Client, Operations } from "@metertree/client";
import type { Command } from "commander";
import { mappingIn, mappingText } from "../mapping-option.ts";
import { openProgress, type Progress } from "../progress.ts";
import { addServerFlags, clientOf, filesToSend, type ServerOptions, told } from "../server.ts";
import { counted, plain, tableText } from "../table.ts";

type Import = Operations["GET /imports/{id}"]["data"];
type Problem = Import["first_problems"][number];
type Upload = Operations["POST /imports"]["body"];

interface Options extends ServerOptions {
  account?: string;
  mapping?: string;
  timezone?: string;
  unit?: string;
  meter?: string;
  format?: string;
  source?: string;
  active?: true;
  dryRun?: true;
  json?: true;
}

/** Time between two looks at an import that is not done. */
const lookEveryMs = 300;
/** Problems that are printed; the server has more. */
const printedMax = 50;

/** `metertree import`: uploads files to a server and waits until they are stored or refused. */
export function registerImport(program: Command): void {
  const command = program
    .command("import")
    .argument("<file...>", "files of meter values, also packed; stored all together or not at all")
    .description("upload files of meter values to a server");
  addServerFlags(command)
    .option(
      "--account <account>",
      "subaccount that gets the meters: its id, or external: and its custom identifier",
    )
    .option(
      "--mapping <mapping>",
      "how a table is to be read: a file with a mapping as JSON, or the name of a saved one",
    )
    .option("--timezone <zone>", "time zone that overrides what the files say")
    .option("--unit <unit>", "unit of values whose file names none")
    .option("--meter <ean>", "EAN of values whose file names no meter")
    .option("--format <name>", "format, when it is not to be recognised")
    .option("--source <name>", "shown as the origin of the values")
    .option("--active", "put new meters into the box active, not into the inbox")
    .option("--dry-run", "only tell what would be stored")
    .option("--json", "print the result as JSON")
    .action(async (paths: string[], options: Options) => {
      const done = await importFiles(paths, options);
      console.log(options.json === true ? JSON.stringify(done, null, 2) : textOf(done));
      if (done.status !== "completed") process.exitCode = 1;
    });
}

async function importFiles(paths: readonly string[], options: Options): Promise<Import> {
  const client = clientOf(options);
  const body = await formOf(paths, options);
  const progress = openProgress(options.json === true ? undefined : process.stderr);
  try {
    const made = await client.call("POST /imports", {
      body,
      onProgress: (sent, total) => progress.show({ phase: "uploading", done: sent, total }),
    });
    return await whenDone(client, made, progress);
  } catch (error) {
    throw told(error);
  } finally {
    progress.close();
  }
}

async function formOf(paths: readonly string[], options: Options): Promise<Upload> {
  const files = await filesToSend(paths);
  const { account, timezone, unit, meter, format, source } = options;
  const given = Object.entries({
    account,
    timezone,
    unit,
    meter,
    format,
    source,
    mapping: await mappingOf(options),
  });
  return {
    files,
    dry_run: options.dryRun === true,
    active: options.active === true,
    ...Object.fromEntries(given.filter(([, value]) => value !== undefined)),
  };
}

/** A file with a mapping is sent as it is; any other text is the name of a saved one. */
async function mappingOf({ mapping }: Options): Promise<string | undefined> {
  if (mapping === undefined) return undefined;
  const text = await mappingText(mapping);
  return text === undefined ? mapping : JSON.stringify(mappingIn(text, mapping));
}

async function whenDone(client: Client, made: Import, progress: Progress): Promise<Import> {
  for (let now = made; ; now = await client.call("GET /imports/{id}", { path: { id: made._id } })) {
    if (now.status === "completed" || now.status === "failed") return now;
    const { bytes, bytes_total, values } = now.progress;
    if (now.status === "storing") {
      progress.show({ phase: "storing", done: values, total: now.result?.values ?? values });
    } else progress.show({ phase: now.status, done: bytes, total: bytes_total });
    await delay(lookEveryMs);
  }
}

function textOf(done: Import): string {
  const lines = [headline(done)];
  const { error, warning, info } = done.problems;
  const shown = done.first_problems.slice(0, printedMax);
  if (shown.length > 0) lines.push("", tableText(["", "where", "field", "message"], shown.map(problemRow)));
  const more = error + warning + info - shown.length;
  if (more > 0)
    lines.push(`… and ${counted(more, "more problem")}: GET /api/v2/imports/${done._id}/problems`);
  return lines.join("\n");
}

function headline({ _id, status, dry_run, result, same_content_as }: Import): string {
  if (status === "failed") return `Nothing was stored. Import ${_id} was refused:`;
  if (result === null) return `Import ${_id} is ${status}.`;
  const made = result.meters_created === 0 ? "" : ` (${result.meters_created} new)`;
  const whose = `of ${counted(result.meters, "meter")}${made}`;
  if (dry_run)
    return `Would store ${counted(result.values - result.missing - result.duplicates, "value")} ${whose}.`;
  const { added, replaced, unchanged, older } = result;
  const parts = [
    `${added} added`,
    `${replaced} replaced`,
    `${unchanged} unchanged`,
    `${older} older than what is stored`,
  ];
  const again =
    same_content_as === null ? "" : `\nThe same content was imported before, as ${same_content_as}.`;
  return `Stored values ${whose}: ${parts.join(", ")}. Import ${_id}.${again}`;
}

function problemRow({ severity, file, line, field, message }: Problem): string[] {
  const where = file === null ? "" : line === null ? file : `${file}:${line}`;
  return [severity, plain(where), plain(field ?? ""), plain(message)];
}
