import { type PathStep, type Places, type ReadingMeter, readingMeters } from "../meters/meters.ts";
import { any, join, type Queryable, type Sql, sql } from "../platform/db.ts";
import { multiplyExact } from "../platform/decimal.ts";
import { belowPath, depthOf, idChars, nodeById, stepsOf } from "./node.ts";

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

/** The paths are read first, because the planner can only judge a range whose ends it sees. */
async function below(db: Queryable, accountId: string, nodeIds: readonly string[]): Promise<Sql | null> {
  const tops = await db.rows<{ path: string }>(
    sql`select n.path from tree_node n where n.account_id = ${accountId} and n.id = ${any(nodeIds)} order by n.path`,
  );
  if (tops.length === 0) return null;
  const ranges = join(
    tops.map(({ path }) => sql`(${belowPath(path)})`),
    " or ",
  );
  return sql`select p.meter_id from tree_node n join tree_meter p on p.node_id = n.id
    where n.account_id = ${accountId} and (${ranges})`;
}

/** A meter below a node, with its share of the node. */
export interface MeterBelow extends ReadingMeter {
  /** Factor of the meter at its place times the factors of the nodes between it and the node asked for. */
  factor: number;
}

interface PlacedMeter {
  node_id: string;
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
      sql`select p.meter_id, p.node_id, p.factor
          from tree_node n join tree_meter p on p.node_id = n.id where ${inside}`,
    ),
  ]);
  const places = placesBelow(top.path, nodes);
  const chosen = new Map<string, Counted>();
  for (const meter of meters) {
    const place = places.get(meter.node_id);
    // A node that was added between the two statements.
    if (place === undefined) continue;
    const counted = { meter, place };
    const known = chosen.get(meter.rootId);
    if (known === undefined || goesBefore(counted, known)) chosen.set(meter.rootId, counted);
  }
  return [...chosen.values()].map(withFactor).sort((one, other) => compare(one.id, other.id));
}

/** A meter at one of its places. */
interface Counted {
  meter: ReadingMeter & PlacedMeter;
  place: NodePlace;
}

function withFactor({ meter, place }: Counted): MeterBelow {
  const { node_id: _, ...rest } = meter;
  return { ...rest, factor: times(meter.factor, place.factor) };
}

/** Most factors are 1. */
const times = (one: number, other: number) =>
  one === 1 ? other : other === 1 ? one : multiplyExact(one, other);

interface NodePlace {
  /** Product of the factors of the nodes between the one asked for, not included, and this one. */
  factor: number;
  depth: number;
}

/** Nodes come in the order of their paths: parents before children. */
function placesBelow(top: string, nodes: readonly NodeFactor[]): Map<string, NodePlace> {
  const places = new Map<string, NodePlace>();
  for (const { id, path, factor } of nodes) {
    const depth = depthOf(path);
    const parent = path === top ? undefined : places.get(path.slice(-2 * idChars, -idChars));
    places.set(id, { factor: parent === undefined ? 1 : times(parent.factor, factor), depth });
  }
  return places;
}

function goesBefore(one: Counted, other: Counted): boolean {
  const rank = ({ meter }: Counted) => (meter.box === "active" && !meter.revoked ? 0 : 1);
  const order =
    rank(one) - rank(other) ||
    one.place.depth - other.place.depth ||
    compare(one.meter.node_id, other.meter.node_id) ||
    compare(one.meter.id, other.meter.id);
  return order < 0;
}

const compare = (one: string, other: string) => (one < other ? -1 : one > other ? 1 : 0);
