import pg from "pg";
import type { Database } from "./database.ts";
import { distributedTables } from "./distributed-tables.ts";
import {
  type CitusNode,
  oddWorker,
  openCitus,
  readCitus,
  type Spread,
  spreadRole,
  spreadTables,
} from "./platform/citus.ts";
import { holdSchema } from "./platform/migrate.ts";
import { Problem } from "./platform/problem.ts";

/** What `distribute` left behind. */
export interface Distributed {
  citus: string;
  shards: number;
  nodes: CitusNode[];
  tables: Spread[];
}

/**
 * Spreads the tables of a migrated database, with what they hold. Servers may go on, but wait for the table that is
 * being copied. Throws a `Problem` when the server has no Citus, is not the coordinator, or when its machines do not
 * let the role of the server in.
 */
export async function distribute(
  database: Pick<Database, "ownerUrl" | "runtime" | "runtimeRole">,
  { shards, say }: { shards: number | null; say: (line: string) => void },
): Promise<Distributed> {
  if (database.ownerUrl === null) {
    throw new Problem(
      "unavailable",
      "DATABASE_URL may not change the tables. Set DATABASE_MIGRATION_URL to their owner.",
    );
  }
  const client = new pg.Client({
    connectionString: database.ownerUrl,
    application_name: "metertree distribute",
  });
  await client.connect();
  try {
    await holdSchema(client);
    const state = await openCitus(client);
    say(`Citus ${state.version}: ${machines(state.nodes)}`);
    await letIn(client, database);
    const plan = { tables: distributedTables, column: "part", shards };
    const tables: Spread[] = [];
    for await (const table of spreadTables(client, plan, state)) {
      tables.push(table);
      say(`${table.table}: ${table.isNew ? `spread, ${megabytes(table.bytes)}` : "was spread before"}`);
    }
    await client.query("analyze head, document, series, meter_stat, chg, revision, block");
    const after = (await readCitus((text) => client.query(text)))!;
    return {
      citus: after.version,
      shards: after.tables.get("block")!.shards,
      nodes: after.nodes,
      tables,
    };
  } finally {
    await client.end();
  }
}

/** Makes sure that the role of the server gets through to the workers, before anything is moved there. */
async function letIn(
  client: pg.Client,
  { runtime, runtimeRole }: Pick<Database, "runtime" | "runtimeRole">,
): Promise<void> {
  await spreadRole(client, runtimeRole);
  const server = new pg.Client({
    connectionString: runtime.url,
    application_name: "metertree distribute",
    ...(runtime.role === undefined ? {} : { options: `-c role=${runtime.role}` }),
  });
  await server.connect();
  try {
    const refused = await oddWorker((text) => server.query(text), {
      statement: "select current_user",
      expected: runtimeRole,
    });
    if (refused === undefined) return;
    throw new Problem(
      "unavailable",
      `The worker ${refused.worker} does not let the role ${runtimeRole} in (${refused.said}). ` +
        "Allow it in pg_hba.conf there, or give the coordinator its password: insert into pg_dist_authinfo values (0, '<role>', 'password=<password>');",
    );
  } finally {
    await server.end();
  }
}

function machines(nodes: readonly CitusNode[]): string {
  const holders = nodes.filter((node) => node.holdsShards);
  if (holders.length === 0) return "no other machine yet, all stays on this one";
  return `spread over ${holders.map((node) => `${node.name}:${node.port}`).join(", ")}`;
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
