import { Command, CommanderError } from "commander";
import { registerImport } from "./commands/import.ts";
import { registerInspect } from "./commands/inspect.ts";
import { registerInvoice } from "./commands/invoice.ts";

/** Runs the command line. Failures go to standard error as one message, and set the exit code. */
export async function run(words: readonly string[]): Promise<void> {
  const program = new Command("metertree")
    .description("Collects utility-meter data and hands it on")
    .showHelpAfterError("(metertree --help, or --help after a command, tells more)")
    .exitOverride();
  registerImport(program);
  registerInspect(program);
  registerInvoice(program);
  await addServerCommands(program);
  try {
    await program.parseAsync(words, { from: "user" });
  } catch (error) {
    // Commander has told what was wrong with the words itself.
    if (error instanceof CommanderError) process.exitCode = error.exitCode;
    else fail(error);
  }
}

/** The server's own commands, where the server is installed beside this program. */
async function addServerCommands(program: Command): Promise<void> {
  const name = "@metertree/server/commands";
  let commands: typeof import("@metertree/server/commands");
  try {
    commands = await import(name);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ERR_MODULE_NOT_FOUND" && message.includes("@metertree/server")) return;
    throw error;
  }
  commands.registerCommands(program);
}

function fail(error: unknown): void {
  process.exitCode = 1;
  const isTold = error instanceof Error && ["Problem", "ClientError"].includes(error.name);
  console.error(isTold ? `Error: ${error.message}` : error);
}
