import { resolve } from "node:path";
import type { Command } from "commander";
import { adminCommand, plainCommand } from "./context.ts";

/** `metertree backup FILE` and `metertree restore FILE`. */
export function registerBackup(program: Command): void {
  const write = program
    .command("backup")
    .description("write everything but the keys to a file, also beside a running server")
    .argument("<file>", "file to write, such as metertree.backup");
  adminCommand(write, async (context, _options, [file]) => {
    const { backup } = await import("./backup-write.ts");
    return backup(context, resolve(file!));
  });
  const read = program
    .command("restore")
    .description("fill an empty database from a backup; no server may run on it")
    .argument("<file>", "file that `metertree backup` wrote")
    .option("--force", "throw away what the database holds now");
  plainCommand(read, async (config, options, [file]) => {
    const { restore } = await import("./backup-restore.ts");
    return restore(config, { path: resolve(file!), force: options.force === true });
  });
}
