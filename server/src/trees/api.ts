import { z } from "zod";
import { location, meterObjectEndpoints } from "../meters/meters.ts";
import { sql } from "../platform/db.ts";
import { type Caller, type Endpoint, endpoint, Message, Page } from "../platform/http/endpoint.ts";
import { type Fields, fieldsOf, readList } from "../platform/http/filter.ts";
import { decimal, id } from "../platform/http/schema.ts";
import { Problem } from "../platform/problem.ts";
import { addNode, changeNode, deleteNode, placeMeters, removeMeter } from "./change.ts";
import { nodeById, nodesById, nodesFrom, showNodes, type Viewer } from "./node.ts";
import { places } from "./places.ts";

/** Largest factor: even 64 of them multiplied with any value stay finite. */
const factorMax = 10_000;
/** Most characters of custom fields, as JSON. */
const fieldsCharsMax = 16_384;

const nodeView = z.object({
  _id: z.string(),
  name: z.string(),
  custom_identifier: z.string().nullable().describe("External id"),
  factor: z.number(),
  app_custom_fields: z.record(z.string(), z.unknown()).describe("Visible only to the client that wrote them"),
  custom_fields: z.record(z.string(), z.unknown()).describe("Visible only to the account's own credentials"),
  parent: z.string().nullable(),
  location: z.tuple([z.number(), z.number()]).nullable(),
  meters: z.array(z.object({ _id: z.string(), root_id: z.string(), factor: z.number() })),
  open_channel_ids: z.array(z.string()),
});

const factor = decimal().pipe(z.number().min(-factorMax).max(factorMax));

const customFields = z
  .record(z.string().max(200), z.unknown())
  .refine(
    (fields) => JSON.stringify(fields).length <= fieldsCharsMax,
    `must be at most ${fieldsCharsMax} characters as JSON`,
  )
  .refine(isStorable, "must not contain the character NUL or half a character");

/** The database keeps no NUL and no half of a surrogate pair in JSON. */
function isStorable(fields: object): boolean {
  let storable = true;
  const sane = (text: string) => text.isWellFormed() && !text.includes("\0");
  JSON.stringify(fields, (name, value) => {
    storable &&= sane(name) && (typeof value !== "string" || sane(value));
    return value;
  });
  return storable;
}

const text = (charsMax: number) =>
  z
    .string()
    .trim()
    .max(charsMax)
    .refine((value) => !value.includes("\0"), "must not contain the character NUL");

const nodeChange = z
  .object({
    name: text(500).min(1),
    parent: z.preprocess((value) => (value === "" || value === "null" ? null : value), id().nullable()),
    custom_identifier: text(200)
      .nullable()
      .transform((value) => (value === "" ? null : value)),
    factor,
    location,
    custom_fields: customFields,
    app_custom_fields: customFields,
  })
  .partial();
const nodeCreation = nodeChange.required({ name: true });

const oneNode = z.object({ id: id() });

const viewerOf = ({ accountId, clientId }: Caller): Viewer => ({ accountId, clientId });

function assertOwnFields(who: Caller, fields: object | undefined): void {
  if (who.clientId === null || fields === undefined || Object.keys(fields).length === 0) return;
  const remedy = "belongs to the account's own credentials; a connected application writes app_custom_fields";
  throw new Problem("forbidden", `custom_fields ${remedy}`, { errors: { custom_fields: [remedy] } });
}

const create = endpoint({
  method: "POST",
  path: "/trees",
  access: "write_trees",
  summary: "Adds a node below a parent, or a new root.",
  ids: { parent: "tree" },
  body: nodeCreation,
  reply: nodeView.extend({ children: z.array(z.unknown()) }),
  async handle({ who, body }, { db, clock }) {
    assertOwnFields(who, body.custom_fields);
    const viewer = viewerOf(who);
    const node = await db.transaction((tx) => addNode(tx, viewer, { ...body, now: clock.now() }));
    return { ...(await showNodes(db, viewer, [node]))[0], children: [] };
  },
});

const change = endpoint({
  method: "PUT",
  path: "/trees/:id",
  access: "write_trees",
  summary: "Changes or moves a node; what the body leaves out stays. Custom fields are replaced as a whole.",
  ids: { id: "tree", parent: "tree" },
  params: oneNode,
  body: nodeChange,
  reply: nodeView,
  async handle({ who, params, body }, { db }) {
    assertOwnFields(who, body.custom_fields);
    const viewer = viewerOf(who);
    const node = await db.transaction((tx) => changeNode(tx, viewer, { ...body, id: params.id }));
    return (await showNodes(db, viewer, [node]))[0];
  },
});

const remove = endpoint({
  method: "DELETE",
  path: "/trees/:id",
  access: "write_trees",
  summary: "Deletes a node and everything below it. Meters stay in the account.",
  ids: { id: "tree" },
  params: oneNode,
  reply: nodeView,
  async handle({ who, params }, { db }) {
    const viewer = viewerOf(who);
    return db.transaction(async (tx) => {
      const [shown] = await showNodes(tx, viewer, [await nodeById(tx, viewer, params.id)]);
      await deleteNode(tx, viewer, params.id);
      return new Message("Deleted tree.", shown);
    });
  },
});

const read = endpoint({
  method: "GET",
  path: "/trees/:id",
  access: "basic",
  summary: "Reads a node.",
  ids: { id: "tree" },
  params: oneNode,
  reply: nodeView,
  async handle({ who, params }, { db }) {
    const viewer = viewerOf(who);
    return (await showNodes(db, viewer, [await nodeById(db, viewer, params.id)]))[0];
  },
});

/** Fields that everybody may filter by; the account's own custom fields are unknown to OAuth clients. */
const sharedFields = {
  _id: { kind: "id", column: sql`n.id` },
  parent: { kind: "id", column: sql`n.parent_id` },
  name: { kind: "text-contains", column: sql`n.search`, sort: sql`n.name` },
  custom_identifier: { kind: "text-exact", column: sql`n.custom_identifier` },
  factor: { kind: "number", column: sql`n.factor` },
  created: { kind: "timestamp", column: sql`n.created` },
  app_custom_fields: { kind: "json", column: sql`f.fields` },
} as const;
const clientFields: Fields = fieldsOf(sharedFields);
const ownFields: Fields = fieldsOf({
  ...sharedFields,
  custom_fields: { kind: "json", column: sql`n.custom_fields` },
});

const list = endpoint({
  method: "GET",
  path: "/trees",
  access: "basic",
  summary: "Lists nodes: `parent=null` the roots, `parent={id}` the children of a node.",
  ids: { parent: "tree" },
  filters: () => true,
  reply: z.array(nodeView),
  list: true,
  async handle({ who, search, ignored }, { db, settings }) {
    const viewer = viewerOf(who);
    const query = readList(search, {
      fields: viewer.clientId === null ? ownFields : clientFields,
      words: (pattern) => sql`n.search like ${pattern}`,
      ignored,
      pageMax: settings.pageMax,
    });
    const from = sql`${nodesFrom(viewer)}${query.where}`;
    const [{ count }, page] = await Promise.all([
      db.one<{ count: number }>(sql`select count(*) as count ${from}`),
      db.rows<{ id: string }>(
        sql`select n.id ${from} order by ${query.orderBy} offset ${query.skip} limit ${query.limit}`,
      ),
    ]);
    const nodes = await nodesById(
      db,
      viewer,
      page.map((row) => row.id),
    );
    return new Page(await showNodes(db, viewer, nodes), { count, skip: query.skip, limit: query.limit });
  },
});

const placement = z.object({ _id: id(), factor: factor.default(1) });

const addMeters = endpoint({
  method: "POST",
  path: "/trees/:id/meters",
  access: "write_trees",
  summary: "Puts a meter, or a list of meters, at a node; `factor` is the share that it contributes.",
  ids: { id: "tree", _id: "meter" },
  params: oneNode,
  body: z.preprocess((sent) => (Array.isArray(sent) ? sent : [sent]), z.array(placement).min(1).max(10_000)),
  bodyBytesMax: 2 * 1024 * 1024,
  reply: nodeView,
  async handle({ who, params, body }, { db }) {
    const viewer = viewerOf(who);
    const node = await db.transaction((tx) => placeMeters(tx, viewer, { id: params.id, meters: body }));
    return (await showNodes(db, viewer, [node]))[0];
  },
});

const takeMeter = endpoint({
  method: "DELETE",
  path: "/trees/:id/meters/:meter_id",
  access: "write_trees",
  summary: "Takes a meter away from a node.",
  ids: { id: "tree", meter_id: "meter" },
  params: z.object({ id: id(), meter_id: id() }),
  reply: nodeView,
  async handle({ who, params }, { db }) {
    const viewer = viewerOf(who);
    const node = await db.transaction((tx) =>
      removeMeter(tx, viewer, { id: params.id, meterId: params.meter_id }),
    );
    return (await showNodes(db, viewer, [node]))[0];
  },
});

/** Endpoints of trees, and those of meters that show where a meter is in them. */
export const treeEndpoints: Endpoint[] = [
  create,
  change,
  remove,
  list,
  read,
  addMeters,
  takeMeter,
  ...meterObjectEndpoints(places),
];
