import pg from "pg";
import { sqlState } from "./db.ts";
import { Problem } from "./problem.ts";

/** A machine of a distributed database. */
export interface CitusNode {
  name: string;
  port: number;
  isCoordinator: boolean;
  isActive: boolean;
  /** It may hold parts of distributed tables. */
  holdsShards: boolean;
  /** How many pieces of distributed tables it holds. */
  shards: number;
}

/** A table that is spread over machines. */
export interface SpreadTable {
  column: string;
  /** Tables of one group have the rows of equal columns on the same machine. */
  group: number;
  shards: number;
}

/** What a database makes of Citus. */
export interface CitusState {
  /** Version of the extension in this database. */
  version: string;
  /** This server is a worker of another one. */
  isWorker: boolean;
  nodes: CitusNode[];
  tables: Map<string, SpreadTable>;
}

/** Runs one statement; so much of a connection or pool is needed to look at the state. */
export type Ask = (text: string) => Promise<{ rows: unknown[] }>;

/** The state of Citus in a database, `null` where the extension is not in use. Any role may ask. */
export async function readCitus(ask: Ask): Promise<CitusState | null> {
  const [extension] = await rows<{ version: string }>(
    ask,
    "select extversion as version from pg_extension where extname = 'citus'",
  );
  if (extension === undefined) return null;
  const [local] = await rows<{ group: number }>(ask, 'select groupid as "group" from pg_dist_local_group');
  const nodes = await rows<CitusNode>(
    ask,
    `select nodename as name, nodeport as port, groupid = 0 as "isCoordinator", isactive as "isActive",
            shouldhaveshards as "holdsShards",
            (select count(*)::int from pg_dist_placement p where p.groupid = n.groupid) as shards
     from pg_dist_node n where noderole = 'primary' order by groupid`,
  );
  const tables = await rows<SpreadTable & { name: string }>(
    ask,
    `select logicalrelid::text as name, column_to_column_name(logicalrelid, partkey) as column,
            p.colocationid as "group", shardcount as shards
     from pg_dist_partition p join pg_dist_colocation c using (colocationid) where partmethod = 'h'`,
  );
  return {
    version: extension.version,
    isWorker: (local?.group ?? 0) !== 0,
    nodes,
    tables: new Map(tables.map(({ name, ...table }) => [name, table])),
  };
}

async function rows<Row>(ask: Ask, text: string): Promise<Row[]> {
  return (await ask(text)).rows as Row[];
}

/**
 * Makes sure that this database can spread tables: the server has Citus, the extension is there, this is the
 * coordinator, and all machines answer. Makes the extension when it is missing. Throws a `Problem` with the remedy.
 */
export async function openCitus(client: pg.Client): Promise<CitusState> {
  await ensureExtension(client);
  const state = (await readCitus((text) => client.query(text)))!;
  const coordinator = state.nodes.find((node) => node.isCoordinator);
  if (state.isWorker) {
    const where = coordinator === undefined ? "" : `: ${coordinator.name}, port ${coordinator.port}`;
    throw new Problem(
      "unavailable",
      `This server is a Citus worker. Use the address of the coordinator${where}.`,
    );
  }
  if (state.nodes.length > 0 && !state.nodes.some((node) => node.holdsShards)) {
    throw new Problem(
      "unavailable",
      "The coordinator knows no machine to spread tables over. Make the database and the extension citus on each " +
        "worker, then run in this database, for each: select citus_add_node('<host>', 5432);",
    );
  }
  const silent = state.nodes.filter((node) => !node.isActive);
  if (silent.length > 0) {
    const names = silent.map((node) => `${node.name}:${node.port}`).join(", ");
    throw new Problem(
      "unavailable",
      `These machines are not active: ${names}. Start them and run select citus_activate_node('<host>', <port>), or take them out with citus_remove_node.`,
    );
  }
  return state;
}

async function ensureExtension(client: pg.Client): Promise<void> {
  const found = await client.query<{ installed: string | null; loaded: string | null }>(
    `select installed_version as installed, current_setting('citus.shard_count', true) as loaded
     from pg_available_extensions where name = 'citus'`,
  );
  const extension = found.rows[0];
  if (extension === undefined) {
    throw new Problem(
      "unavailable",
      "The database server has no Citus. Install it there, add it to shared_preload_libraries and restart the " +
        "server. Without Citus everything works on one machine, and nothing needs to be done.",
    );
  }
  if (extension.loaded === null) {
    throw new Problem(
      "unavailable",
      "The database server has Citus, but does not load it. Put citus first in shared_preload_libraries and restart the server.",
    );
  }
  if (extension.installed !== null) return;
  try {
    await client.query("create extension citus");
  } catch (error) {
    if (sqlState(error) !== "42501") throw error;
    throw new Problem(
      "unavailable",
      "The database user may not create the extension. Run this in the database as a superuser, once: create extension citus;",
      { cause: error },
    );
  }
}

/**
 * Takes a role to all machines, as it is here and able to log in: the coordinator asks them as the role that asks it.
 * They copy the roles that a spread table is granted to, so one is made for it and dropped again.
 */
export async function spreadRole(client: pg.Client, role: string): Promise<void> {
  const name = pg.escapeIdentifier(role);
  const { rows: found } = await client.query<{ login: boolean }>(
    "select rolcanlogin as login from pg_roles where rolname = $1",
    [role],
  );
  if (found[0]?.login === false) await client.query(`alter role ${name} login`);
  await client.query("drop table if exists metertree_probe; create table metertree_probe (part int)");
  try {
    await client.query(`grant select on metertree_probe to ${name}`);
    await client.query(
      "select create_distributed_table('metertree_probe', 'part', colocate_with => 'none', shard_count => 1)",
    );
  } finally {
    await client.query("drop table metertree_probe");
  }
}

/** A worker that did not answer as expected, and what it said; `undefined` when all did. */
export async function oddWorker(
  ask: Ask,
  { statement, expected }: { statement: string; expected: string },
): Promise<{ worker: string; said: string } | undefined> {
  const answers = await rows<{ worker: string; said: string; good: boolean }>(
    ask,
    `select nodename || ':' || nodeport as worker, result as said, success and result = ${pg.escapeLiteral(expected)} as good
     from run_command_on_workers(${pg.escapeLiteral(statement)}) order by 1`,
  );
  return answers.find((answer) => !answer.good);
}

/** How to spread tables. */
export interface SpreadPlan {
  /** Names; the others follow the first one to its machines. */
  tables: readonly string[];
  column: string;
  /** Number of pieces of each table; `null` leaves it to the server. */
  shards: number | null;
}

/** What became of one table. */
export interface Spread {
  table: string;
  /** It was not spread before. */
  isNew: boolean;
  /** What it took on the coordinator before. */
  bytes: number;
}

// So long a table is waited for: writers of a batch are done much earlier, and everybody who comes later waits behind.
const lockTimeout = "30s";

/**
 * Spreads tables by a column, one transaction each, with what they hold. What is spread already stays as it is, so a
 * run that was cut off is finished by the next one. Throws a `Problem` when a table is spread in another way.
 */
export async function* spreadTables(
  client: pg.Client,
  plan: SpreadPlan,
  state: CitusState,
): AsyncGenerator<Spread> {
  assertFits(plan, state);
  const leader = plan.tables.find((table) => state.tables.has(table)) ?? plan.tables[0]!;
  const order = [leader, ...plan.tables.filter((table) => table !== leader)];
  for (const table of order) {
    const isNew = !state.tables.has(table);
    const { rows: sizes } = await client.query<{ total: string; own: string }>(
      "select pg_total_relation_size($1::regclass)::text as total, pg_relation_size($1::regclass)::text as own",
      [table],
    );
    if (isNew) await spread(client, table, { ...plan, leader });
    // The rows were copied; what is left on the coordinator is out of sight but takes up room.
    if (Number(sizes[0]!.own) > 0)
      await client.query("select truncate_local_data_after_distributing_table($1::regclass)", [table]);
    yield { table, isNew, bytes: isNew ? Number(sizes[0]!.total) : 0 };
  }
}

function assertFits(plan: SpreadPlan, { tables }: CitusState): void {
  const known = plan.tables.flatMap((name) => {
    const table = tables.get(name);
    return table === undefined ? [] : [{ name, ...table }];
  });
  const first = known[0];
  if (first === undefined) return;
  const odd = known.find((table) => table.column !== plan.column || table.group !== first.group);
  if (odd !== undefined) {
    throw new Problem(
      "conflict",
      `The table ${odd.name} is spread by ${odd.column}, apart from ${first.name}. All must be spread by ${plan.column} in one colocation group: see alter_distributed_table in the manual of Citus.`,
    );
  }
  if (plan.shards !== null && plan.shards !== first.shards) {
    throw new Problem(
      "conflict",
      `The tables are spread over ${first.shards} shards already. To change that, run as the owner: select alter_distributed_table('${first.name}', shard_count => ${plan.shards}, cascade_to_colocated => true);`,
    );
  }
}

async function spread(
  client: pg.Client,
  table: string,
  plan: SpreadPlan & { leader: string },
): Promise<void> {
  const isLeader = table === plan.leader;
  await client.query("begin");
  try {
    await client.query(`set local lock_timeout = '${lockTimeout}'`);
    await client.query(
      "select create_distributed_table($1::regclass, $2, colocate_with => $3, shard_count => $4::int)",
      [table, plan.column, isLeader ? "none" : plan.leader, isLeader ? plan.shards : null],
    );
    await client.query("commit");
  } catch (error) {
    await client.query("rollback").catch(() => undefined);
    if (sqlState(error) !== "55P03") throw error;
    throw new Problem(
      "unavailable",
      `The table ${table} is in use for longer than ${lockTimeout}. Stop the servers, or run this again later: what is done stays done.`,
      { cause: error },
    );
  }
}
