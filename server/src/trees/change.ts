import { ownMeter, resolveForReading } from "../meters/meters.ts";
import { type Queryable, sql, type Tx } from "../platform/db.ts";
import { fold } from "../platform/http/filter.ts";
import { newId } from "../platform/id.ts";
import { invalid, notFound, Problem } from "../platform/problem.ts";
import { belowPath, depthOf, idChars, nodeById, type TreeNode, type Viewer } from "./node.ts";

/** Deepest node: a root has depth 1. Paths of this depth fit an index entry. */
export const depthMax = 64;
/** Most nodes of an account. */
export const nodesMax = 100_000;
/** Most meters directly at a node. */
export const nodeMetersMax = 100_000;

/** What can be written of a node. */
export interface NodeChange {
  name?: string | undefined;
  parent?: string | null | undefined;
  custom_identifier?: string | null | undefined;
  factor?: number | undefined;
  location?: [number, number] | null | undefined;
  custom_fields?: object | undefined;
  app_custom_fields?: object | undefined;
}

/**
 * Holds all trees of an account until the commit. Two moves that are each harmless can make a circle together, so
 * whoever changes the shape of a tree or its limits takes turns.
 */
async function holdTrees(tx: Tx, accountId: string): Promise<void> {
  await tx.run(sql`select pg_advisory_xact_lock(hashtextextended(${`trees of ${accountId}`}, 0))`);
}

/** Adds a node. Throws 404 when the parent is not the account's, 400 at the limits. */
export async function addNode(
  tx: Tx,
  viewer: Viewer,
  { now, ...given }: NodeChange & { name: string; now: number },
): Promise<TreeNode> {
  await holdTrees(tx, viewer.accountId);
  const { count } = await tx.one<{ count: number }>(
    sql`select count(*) as count from tree_node where account_id = ${viewer.accountId}`,
  );
  if (count >= nodesMax)
    throw new Problem("invalid", `An account has at most ${nodesMax} tree nodes; delete some first`);
  const id = newId(now);
  const path = `${await parentPath(tx, viewer, given.parent ?? null)}${id}`;
  assertDepth(depthOf(path));
  await tx.run(sql`
    insert into tree_node (id, account_id, parent_id, path, name, search, custom_identifier, factor, location, created)
    values (${id}, ${viewer.accountId}, ${given.parent ?? null}, ${path}, ${given.name}, ${fold(given.name)},
            ${given.custom_identifier ?? null}, ${given.factor ?? 1}, ${given.location ?? null}::float8[],
            ${new Date(now)})`);
  await writeFields(tx, viewer, { id, ...given });
  return nodeById(tx, viewer, id);
}

/** The child of a node that has this name; it is added when there is none. Throws 404 for a foreign parent. */
export async function childNamed(
  tx: Tx,
  viewer: Viewer,
  { parent, name, now }: { parent: string; name: string; now: number },
): Promise<string> {
  await nodeById(tx, viewer, parent);
  await holdTrees(tx, viewer.accountId);
  const known = await tx.maybe<{ id: string }>(sql`
    select id from tree_node where account_id = ${viewer.accountId} and parent_id = ${parent} and name = ${name}
    order by created, id limit 1`);
  return known?.id ?? (await addNode(tx, viewer, { parent, name, now })).id;
}

async function parentPath(db: Queryable, viewer: Viewer, parent: string | null): Promise<string> {
  return parent === null ? "" : (await nodeById(db, viewer, parent)).path;
}

function assertDepth(depth: number): void {
  if (depth > depthMax)
    throw invalid("parent", `a tree is at most ${depthMax} levels deep; choose a node further up`);
}

/** Changes a node; what is absent stays. A move takes everything below along. Throws 400 for a move into itself. */
export async function changeNode(
  tx: Tx,
  viewer: Viewer,
  { id, ...change }: NodeChange & { id: string },
): Promise<TreeNode> {
  await nodeById(tx, viewer, id);
  if (change.parent !== undefined) await holdTrees(tx, viewer.accountId);
  const node = await nodeById(tx, viewer, id);
  if (change.parent !== undefined && change.parent !== node.parent_id)
    await move(tx, viewer, { node, to: change.parent });
  const {
    name = node.name,
    custom_identifier = node.custom_identifier,
    factor = node.factor,
    location = node.location,
  } = change;
  await tx.run(sql`
    update tree_node set name = ${name}, search = ${fold(name)}, custom_identifier = ${custom_identifier},
      factor = ${factor}, location = ${location}::float8[] where id = ${id}`);
  await writeFields(tx, viewer, { id, ...change });
  return nodeById(tx, viewer, id);
}

async function move(
  tx: Tx,
  viewer: Viewer,
  { node, to }: { node: TreeNode; to: string | null },
): Promise<void> {
  const above = await parentPath(tx, viewer, to);
  if (above.startsWith(node.path)) throw invalid("parent", "is this node or lies below it; choose another");
  const { deepest } = await tx.one<{ deepest: number }>(sql`
    select max(length(n.path)) as deepest from tree_node n
    where n.account_id = ${viewer.accountId} and ${belowPath(node.path)}`);
  assertDepth(depthOf(above) + (deepest - node.path.length) / idChars + 1);
  await tx.run(sql`update tree_node set parent_id = ${to} where id = ${node.id}`);
  await tx.run(sql`
    update tree_node n set path = ${`${above}${node.id}`} || substr(n.path, ${node.path.length + 1}::int4)
    where n.account_id = ${viewer.accountId} and ${belowPath(node.path)}`);
}

async function writeFields(tx: Tx, viewer: Viewer, change: NodeChange & { id: string }): Promise<void> {
  if (change.custom_fields !== undefined && viewer.clientId === null) {
    await tx.run(
      sql`update tree_node set custom_fields = ${JSON.stringify(change.custom_fields)}::jsonb where id = ${change.id}`,
    );
  }
  if (change.app_custom_fields !== undefined) {
    await tx.run(sql`
      insert into tree_app_fields (node_id, client_id, fields)
      values (${change.id}, ${viewer.clientId ?? ""}, ${JSON.stringify(change.app_custom_fields)}::jsonb)
      on conflict (node_id, client_id) do update set fields = excluded.fields`);
  }
}

/** Deletes a node with everything below it; meters stay with the account. Returns the node as it was. */
export async function deleteNode(tx: Tx, viewer: Viewer, id: string): Promise<TreeNode> {
  await holdTrees(tx, viewer.accountId);
  const node = await nodeById(tx, viewer, id);
  await tx.run(
    sql`delete from tree_node n where n.account_id = ${viewer.accountId} and ${belowPath(node.path)}`,
  );
  return node;
}

/** A meter to put at a node: an own reference, or the root of one, and its share. */
export interface Placement {
  _id: string;
  factor: number;
}

/** Puts meters at a node, all or none; one that is there already gets the new factor. */
export async function placeMeters(
  tx: Tx,
  viewer: Viewer,
  { id, meters }: { id: string; meters: readonly Placement[] },
): Promise<TreeNode> {
  const node = await nodeById(tx, viewer, id);
  const factors = new Map<string, number>();
  const found = await resolveForReading(
    tx,
    viewer,
    meters.map((meter) => meter._id),
  );
  for (const [index, { _id, factor }] of meters.entries()) {
    const one = found[index]!;
    if (one.outcome === "not_found" || one.meter.holderId !== viewer.accountId)
      throw notFound(`meter ${_id}`);
    if (one.meter.revoked)
      throw new Problem("forbidden", "Access to this meter was withdrawn; it has no place in a tree");
    factors.set(one.meter.id, factor);
  }
  await tx.run(sql`
    insert into tree_meter (node_id, meter_id, factor)
    select ${node.id}, new.meter_id, new.factor
    from unnest(${[...factors.keys()]}::text[], ${[...factors.values()]}::float8[]) with ordinality
      as new (meter_id, factor, n)
    order by new.n
    on conflict (node_id, meter_id) do update set factor = excluded.factor`);
  const { count } = await tx.one<{ count: number }>(
    sql`select count(*) as count from tree_meter where node_id = ${node.id}`,
  );
  if (count > nodeMetersMax)
    throw invalid("_id", `a node has at most ${nodeMetersMax} meters; add nodes below it`);
  return node;
}

/** Takes a meter, named by its own id or its root's, away from a node. */
export async function removeMeter(
  tx: Tx,
  viewer: Viewer,
  { id, meterId }: { id: string; meterId: string },
): Promise<TreeNode> {
  const node = await nodeById(tx, viewer, id);
  const meter = await ownMeter(tx, viewer.accountId, meterId);
  const removed = await tx.run(
    sql`delete from tree_meter where node_id = ${node.id} and meter_id = ${meter.id}`,
  );
  if (removed === 0) throw notFound(`meter ${meterId} at node ${id}`);
  return node;
}
