import type { Command } from "commander";
import { registerServe } from "./commands/serve.ts";

/** Adds the commands that need the server's own code to the command line. */
export function registerCommands(program: Command): void {
  registerServe(program);
}
