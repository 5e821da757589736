import type { Command } from "commander";
import type { Config } from "../config.ts";
import type { Database } from "../database.ts";
import { type Clock, systemClock } from "../platform/clock.ts";
import type { Db } from "../platform/db.ts";
import { type KeySource, type Keys, loadKeys } from "../platform/secrets.ts";
import { keySource } from "../settings.ts";
import { addConfigFlags, configOf } from "./options.ts";

/** What an admin command works with. It runs beside a server, or runs the embedded database by itself meanwhile. */
export interface Context {
  config: Config;
  database: Database;
  db: Db;
  clock: Clock;
  /** Loaded when first asked for; the first command ever makes the key file. */
  keys(): Promise<Keys>;
  keySource: KeySource;
}

/** Values of the options of a command, by the names that commander gives them. */
export type Options = Record<string, unknown>;

/** What a command has to say: `json` with `--json`, else `text`. */
export interface Outcome {
  json: unknown;
  text: string;
  /** Exit code; 0 when left out. */
  code?: number;
}

/** Adds what every admin command takes, and runs it against the migrated database of the configuration. */
export function adminCommand(
  command: Command,
  work: (context: Context, options: Options, words: string[]) => Promise<Outcome>,
): Command {
  return plainCommand(command, async (config, options, words) =>
    withContext(config, (context) => work(context, options, words)),
  );
}

/** The same without opening anything: for commands that look at a database before it may be used. */
export function plainCommand(
  command: Command,
  work: (config: Config, options: Options, words: string[]) => Promise<Outcome>,
): Command {
  command.option("--json", "print the result as JSON");
  return addConfigFlags(command, "commands").action(async (...received: unknown[]) => {
    // Commander hands over the arguments, the options and the command itself.
    const words = received.slice(0, -2) as string[];
    const options = received.at(-2) as Options;
    const outcome = await work(configOf(options, "commands"), options, words);
    console.log(options.json === true ? JSON.stringify(outcome.json, null, 2) : printable(outcome.text));
    process.exitCode = outcome.code ?? 0;
  });
}

/** Opens the database of a configuration, brings it up to date, and closes everything after the work. */
export async function withContext<T>(config: Config, work: (context: Context) => Promise<T>): Promise<T> {
  const { checkRole, migrateDatabase, openDatabase, openPool } = await import("../database.ts");
  // People at a terminal want the result; what the database has to say is in its own log.
  const database = await openDatabase(config, { mode: "beside", log: () => undefined });
  try {
    await migrateDatabase(database);
    const db = openPool(database, config, "metertree command");
    try {
      await checkRole(db, config);
      const source = keySource(config, true);
      let keys: Promise<Keys> | undefined;
      return await work({
        config,
        database,
        db,
        clock: systemClock,
        keySource: source,
        keys: () => (keys ??= loadKeys({ db, clock: systemClock, source })),
      });
    } finally {
      await db.close();
    }
  } finally {
    await database.stop();
  }
}

/** Text of an option, `undefined` when it was not given. */
export function textOf(options: Options, name: string): string | undefined {
  const value = options[name];
  return typeof value === "string" ? value : undefined;
}

/** A text without what a terminal would obey: names, messages and pages come from strangers. */
export const printable = (text: string): string => text.replace(/(?![\n\t])\p{Cc}/gu, "\ufffd");

/** Rows as a table for people: columns as wide as their longest cell. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join("  ")
      .trimEnd();
  return [line(head), ...rows.map(line)].join("\n");
}
