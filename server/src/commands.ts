import type { Command } from "commander";
import { registerAccount } from "./commands/account.ts";
import { registerBackup } from "./commands/backup.ts";
import { registerConnector } from "./commands/connector.ts";
import { registerDemo } from "./commands/demo.ts";
import { registerDistribute } from "./commands/distribute.ts";
import { registerDoctor } from "./commands/doctor.ts";
import { registerKeys } from "./commands/keys.ts";
import { registerMigrate } from "./commands/migrate.ts";
import { registerServe } from "./commands/serve.ts";
import { registerToken } from "./commands/token.ts";

/** Adds the commands that need the server's own code to the command line. */
export function registerCommands(program: Command): void {
  registerServe(program);
  registerDemo(program);
  registerAccount(program);
  registerToken(program);
  registerMigrate(program);
  registerDoctor(program);
  registerDistribute(program);
  registerBackup(program);
  registerKeys(program);
  registerConnector(program);
}
