import { type PathStep, type Places, type ReadingMeter, readingMeters } from "../meters/meters.ts";
import { any, type Queryable, type Sql, sql } from "../platform/db.ts";
import { multiplyExact } from "../platform/decimal.ts";
import { belowPath, depthOf, nodeById, stepsOf } from "./node.ts";

/** What meters show of trees: where a meter is, and which meters are below nodes. */
export const places: Places = { pathsOf, below };

interface Place {
  meter_id: string;
  path: string;
}

async function pathsOf(
  db: Queryable,
  accountId: string,
  meterIds: readonly string[],
): Promise<Map<string, PathStep[][]>> {
  const rows = await db.rows<Place>(sql`
    select p.meter_id, n.path from tree_meter p join tree_node n on n.id = p.node_id
    where p.meter_id = ${any(meterIds)} and n.account_id = ${accountId} order by p.added`);
  const steps = [...new Set(rows.flatMap((row) => stepsOf(row.path)))];
  const names = await db.rows<PathStep>(
    sql`select n.id as "_id", n.name from tree_node n where n.id = ${any(steps)} and n.account_id = ${accountId}`,
  );
  const byId = new Map(names.map((step) => [step._id, step]));
  const paths = new Map<string, PathStep[][]>();
  for (const { meter_id, path } of rows) {
    const ofMeter = paths.get(meter_id) ?? [];
    // A node that was moved or deleted between the two statements is left out.
    ofMeter.push(stepsOf(path).flatMap((step) => byId.get(step) ?? []));
    paths.set(meter_id, ofMeter);
  }
  return paths;
}

function below(accountId: string, nodeIds: readonly string[]): Sql {
  return sql`select p.meter_id from tree_node top
    join tree_node n on n.account_id = top.account_id and ${belowPath(sql`top.path`)}
    join tree_meter p on p.node_id = n.id
    where top.account_id = ${accountId} and top.id = ${any(nodeIds)}`;
}

/** A meter below a node, with its share of the node. */
export interface MeterBelow extends ReadingMeter {
  /** Factor of the meter at its place times the factors of the nodes between it and the node asked for. */
  factor: number;
}

interface PlacedMeter {
  node_id: string;
  path: string;
  factor: number;
}

interface NodeFactor {
  id: string;
  path: string;
  factor: number;
}

/**
 * The meters at and below a node of an account, by root meter. A metering point counts once, even when it has
 * several places or the account several references to it: a readable place goes before others, then the one nearest
 * to the node, then the lower node id, then the lower meter id. Throws 404 when the node is not the account's.
 */
export async function metersBelow(db: Queryable, accountId: string, nodeId: string): Promise<MeterBelow[]> {
  const top = await nodeById(db, { accountId, clientId: null }, nodeId);
  const inside = sql`n.account_id = ${accountId} and ${belowPath(top.path)}`;
  const [nodes, meters] = await Promise.all([
    db.rows<NodeFactor>(sql`select n.id, n.path, n.factor from tree_node n where ${inside} order by n.path`),
    readingMeters<PlacedMeter>(
      db,
      accountId,
      sql`select p.meter_id, p.node_id, p.factor, n.path
          from tree_node n join tree_meter p on p.node_id = n.id where ${inside}`,
    ),
  ]);
  const factors = factorsBelow(top.path, nodes);
  const chosen = new Map<string, (typeof meters)[number]>();
  for (const meter of meters) {
    const known = chosen.get(meter.rootId);
    if (known === undefined || goesBefore(meter, known)) chosen.set(meter.rootId, meter);
  }
  return [...chosen.values()]
    .map(({ node_id, path: _, factor, ...meter }) => ({
      ...meter,
      factor: multiplyExact(factor, factors.get(node_id) ?? 1),
    }))
    .sort((one, other) => (one.id < other.id ? -1 : 1));
}

/** Product of the factors of the nodes between `top`, not included, and each node. Parents come before children. */
function factorsBelow(top: string, nodes: readonly NodeFactor[]): Map<string, number> {
  const factors = new Map<string, number>();
  for (const { id, path, factor } of nodes) {
    if (path === top) factors.set(id, 1);
    else factors.set(id, multiplyExact(factor, factors.get(stepsOf(path).at(-2)!) ?? 1));
  }
  return factors;
}

function goesBefore(one: ReadingMeter & PlacedMeter, other: ReadingMeter & PlacedMeter): boolean {
  const rank = (meter: ReadingMeter) => (meter.box === "active" && !meter.revoked ? 0 : 1);
  return (
    (rank(one) - rank(other) ||
      depthOf(one.path) - depthOf(other.path) ||
      compare(one.node_id, other.node_id) ||
      compare(one.id, other.id)) < 0
  );
}

const compare = (one: string, other: string) => (one < other ? -1 : one > other ? 1 : 0);
