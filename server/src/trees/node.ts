import { type ReadingMeter, readingMeters } from "../meters/meters.ts";
import { any, type Queryable, type Sql, sql } from "../platform/db.ts";
import { notFound } from "../platform/problem.ts";

/** A node of a tree, as it is stored. */
export interface TreeNode {
  id: string;
  parent_id: string | null;
  /** Ids of the nodes above it and its own, root first, joined; each is 24 characters long. */
  path: string;
  name: string;
  custom_identifier: string | null;
  factor: number;
  location: [number, number] | null;
  custom_fields: object;
  app_custom_fields: object | null;
  open_channel_ids: string[];
}

/** Length of an id in a path. */
export const idChars = 24;

/** How deep a node lies: 1 for a root. */
export const depthOf = (path: string): number => path.length / idChars;

/** Ids of the nodes on a path, root first. */
export function stepsOf(path: string): string[] {
  return Array.from({ length: depthOf(path) }, (_, step) => path.slice(step * idChars, (step + 1) * idChars));
}

/**
 * Who looks at a tree. Fields of an OAuth client are its own; the account's credentials count as a client named ''.
 * `custom_fields` belong to the account and are hidden from OAuth clients.
 */
export interface Viewer {
  accountId: string;
  clientId: string | null;
}

/** Columns of `TreeNode`; goes with `nodesFrom`. */
export const nodeColumns = sql`n.id, n.parent_id, n.path, n.name, n.custom_identifier, n.factor, n.location,
  n.custom_fields, f.fields as app_custom_fields, n.open_channel_ids`;

/** The nodes of the viewer's account (`n`) with the fields of its client (`f`); conditions follow. */
export function nodesFrom({ accountId, clientId }: Viewer): Sql {
  return sql`from tree_node n left join tree_app_fields f on f.node_id = n.id and f.client_id = ${clientId ?? ""}
    where n.account_id = ${accountId}`;
}

/** The node, or the 404 of the contract. */
export async function nodeById(db: Queryable, viewer: Viewer, id: string): Promise<TreeNode> {
  const node = await db.maybe<TreeNode>(sql`select ${nodeColumns} ${nodesFrom(viewer)} and n.id = ${id}`);
  if (node === undefined) throw notFound(`tree node ${id} of account ${viewer.accountId}`);
  return node;
}

/** Nodes at and below a path: one range of the index, because ids are hex and `g` follows `f`. */
export function belowPath(path: string): Sql {
  return sql`n.path >= ${path} and n.path < ${`${path}g`}`;
}

/** Nodes by id, in the order of the ids; missing ones are left out. */
export async function nodesById(db: Queryable, viewer: Viewer, ids: readonly string[]): Promise<TreeNode[]> {
  const rows = await db.rows<TreeNode>(
    sql`select ${nodeColumns} ${nodesFrom(viewer)} and n.id = ${any(ids)}`,
  );
  const byId = new Map(rows.map((row) => [row.id, row]));
  return ids.flatMap((id) => byId.get(id) ?? []);
}

interface Placed {
  node_id: string;
  factor: number;
}

/** Nodes as answers show them, in the order given. */
export async function showNodes(
  db: Queryable,
  viewer: Viewer,
  nodes: readonly TreeNode[],
): Promise<object[]> {
  if (nodes.length === 0) return [];
  const placed = await readingMeters<Placed & { added: number }>(
    db,
    viewer.accountId,
    sql`select node_id, meter_id, factor, added from tree_meter where node_id = ${any(nodes.map((node) => node.id))}`,
  );
  // A revoked meter keeps its place, and shows again when access comes back.
  const live = placed.filter((meter) => !meter.revoked).sort((one, other) => one.added - other.added);
  const metersOf = Map.groupBy(live, (meter) => meter.node_id);
  return nodes.map((node) => view(node, { viewer, meters: metersOf.get(node.id) ?? [] }));
}

function view(
  node: TreeNode,
  { viewer, meters }: { viewer: Viewer; meters: (ReadingMeter & Placed)[] },
): object {
  return {
    _id: node.id,
    name: node.name,
    custom_identifier: node.custom_identifier,
    factor: node.factor,
    app_custom_fields: node.app_custom_fields ?? {},
    custom_fields: viewer.clientId === null ? node.custom_fields : {},
    parent: node.parent_id,
    location: node.location,
    meters: meters.map(({ id, rootId, factor }) => ({ _id: id, root_id: rootId, factor })),
    open_channel_ids: node.open_channel_ids,
  };
}
