import { type Command, InvalidArgumentError } from "commander";
import type { Distributed } from "../distribution.ts";
import { Problem } from "../platform/problem.ts";
import { type Outcome, plainCommand } from "./context.ts";

/** `metertree distribute`: spreads the values over the machines of Citus. */
export function registerDistribute(program: Command): void {
  const command = program
    .command("distribute")
    .description("spread the values over the machines of a database server with Citus; safe to repeat")
    .option(
      "--shards <number>",
      "pieces that each table is cut into (default: what the server has set)",
      wholeShards,
    );
  plainCommand(command, async (config, options) => {
    if (config.databaseUrl === null) {
      throw new Problem(
        "invalid",
        "The embedded database is one machine. Set DATABASE_URL to the coordinator of a server with Citus; backup and restore carry the data over.",
      );
    }
    const { migrateDatabase, openDatabase } = await import("../database.ts");
    const { distribute } = await import("../distribution.ts");
    const database = await openDatabase(config, { mode: "beside", log: () => undefined });
    try {
      await migrateDatabase(database);
      const shards = typeof options.shards === "number" ? options.shards : null;
      // Progress is for people: the result alone goes to standard output.
      return outcomeOf(await distribute(database, { shards, say: (line) => console.error(line) }));
    } finally {
      await database.stop();
    }
  });
}

function wholeShards(text: string): number {
  const shards = Number(text);
  if (/^\d{1,4}$/.test(text) && shards >= 1 && shards <= 4096) return shards;
  throw new InvalidArgumentError("It must be a whole number from 1 to 4096.");
}

function outcomeOf(done: Distributed): Outcome {
  const holders = done.nodes.filter((node) => node.holdsShards);
  const lines = [
    `Distributed: ${done.tables.length} tables in ${done.shards} shards on ${holders.length === 1 ? "1 machine" : `${holders.length} machines`}.`,
  ];
  if (holders.length === 1) {
    lines.push(
      "Add machines in this database and move shards to them:",
      "  select citus_set_coordinator_host('<this host>', 5432);",
      "  select citus_add_node('<other host>', 5432);",
      "  select citus_rebalance_start();",
    );
  }
  const json = {
    citus: done.citus,
    shards: done.shards,
    nodes: done.nodes.map(({ isCoordinator, holdsShards, ...node }) => ({
      name: node.name,
      port: node.port,
      coordinator: isCoordinator,
      holds_shards: holdsShards,
      shards: node.shards,
    })),
    tables: done.tables.map(({ table, isNew, bytes }) => ({ table, new: isNew, bytes })),
  };
  return { json, text: lines.join("\n") };
}
