import type { Command } from "commander";
import { plainCommand } from "./context.ts";

/** `metertree migrate`: brings the tables up to date, as every start does. */
export function registerMigrate(program: Command): void {
  const command = program
    .command("migrate")
    .description("bring the tables up to date, as every start does")
    .option("--dry-run", "only tell what would be done");
  plainCommand(command, async (config, options) => {
    const { migrateDatabase, openDatabase } = await import("../database.ts");
    const database = await openDatabase(config, { mode: "beside", log: () => undefined });
    try {
      const report = await migrateDatabase(database, { dryRun: options.dryRun === true });
      const todo = [...report.applied, ...(report.jobs ? ["the tables of the job queue"] : [])];
      const verb = options.dryRun === true ? "Would apply" : "Applied";
      return {
        json: { database: database.place, ...report, dry_run: options.dryRun === true },
        text:
          todo.length === 0
            ? `Schema ${report.after} is up to date (${database.place}).`
            : `${verb}:\n${todo.map((name) => `  ${name}`).join("\n")}\n${database.place}`,
      };
    } finally {
      await database.stop();
    }
  });
}
