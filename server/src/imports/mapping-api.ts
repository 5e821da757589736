import { z } from "zod";
import { type Queryable, sql } from "../platform/db.ts";
import { type Endpoint, endpoint, Message, Page } from "../platform/http/endpoint.ts";
import { fieldsOf, readList } from "../platform/http/filter.ts";
import { formatTimestamp, id, timestampText } from "../platform/http/schema.ts";
import { unlessTaken } from "../platform/http/taken.ts";
import { newId } from "../platform/id.ts";
import { notFound } from "../platform/problem.ts";
import { checkMapping, mappingColumns, type SavedMapping } from "./mapping.ts";

const name = z
  .string()
  .trim()
  .min(1)
  .max(100)
  .refine((text) => !/\p{Cc}/u.test(text) && text.isWellFormed(), "must not contain control characters")
  .refine((text) => !text.startsWith("{"), "must not begin with {, so that it cannot be taken for a mapping");
const content = z
  .record(z.string(), z.unknown())
  .refine((mapping) => JSON.stringify(mapping).length <= 65_536, "must be at most 64 KB")
  .meta({ description: "How a table is to be read; `docs/mapping.md` describes every key." });

const mappingView = z.object({
  _id: z.string(),
  name: z.string(),
  mapping: z.record(z.string(), z.unknown()),
  created: timestampText(),
  updated: timestampText(),
});

const oneMapping = z.object({ id: id() });

const view = (saved: SavedMapping) => ({
  _id: saved.id,
  name: saved.name,
  mapping: saved.mapping,
  created: formatTimestamp(saved.created),
  updated: formatTimestamp(saved.updated),
});

async function ownMapping(db: Queryable, accountId: string, mappingId: string): Promise<SavedMapping> {
  const found = await db.maybe<SavedMapping>(
    sql`select ${mappingColumns} from mapping m where m.id = ${mappingId} and m.account_id = ${accountId}`,
  );
  if (found === undefined) throw notFound(`mapping ${mappingId} of account ${accountId}`);
  return found;
}

const fields = fieldsOf({
  _id: { kind: "id", column: sql`m.id` },
  name: { kind: "text-exact", column: sql`m.name` },
  created: { kind: "timestamp", column: sql`m.created` },
});

const listMappings = endpoint({
  method: "GET",
  path: "/mappings",
  access: "basic",
  summary: "Saved mappings of the account",
  filters: () => true,
  reply: z.array(mappingView),
  list: true,
  async handle({ who, search, ignored }, { db, settings }) {
    const { where, orderBy, skip, limit } = readList(search, { fields, ignored, pageMax: settings.pageMax });
    const of = sql`from mapping m where m.account_id = ${who.accountId}${where}`;
    const { count } = await db.one<{ count: number }>(sql`select count(*) as count ${of}`);
    const rows = await db.rows<SavedMapping>(
      sql`select ${mappingColumns} ${of} order by ${orderBy} offset ${skip} limit ${limit}`,
    );
    return new Page(rows.map(view), { count, skip, limit });
  },
});

const readMapping = endpoint({
  method: "GET",
  path: "/mappings/:id",
  access: "basic",
  summary: "One saved mapping",
  ids: { id: "mapping" },
  params: oneMapping,
  reply: mappingView,
  handle: async ({ who, params }, { db }) => view(await ownMapping(db, who.accountId, params.id)),
});

const createMapping = endpoint({
  method: "POST",
  path: "/mappings",
  access: "write_meters",
  summary: "Saves how a table is to be read, under a name that imports can use",
  body: z.object({ name, mapping: content }),
  reply: mappingView,
  async handle({ who, body }, { db, clock }) {
    await checkMapping("mapping", body.mapping);
    const made = newId(clock.now());
    const at = new Date(clock.now());
    await unlessTaken(
      "mapping",
      db.run(sql`
        insert into mapping (id, account_id, name, mapping, created, updated)
        values (${made}, ${who.accountId}, ${body.name}, ${JSON.stringify(body.mapping)}::jsonb, ${at}, ${at})`),
    );
    return view(await ownMapping(db, who.accountId, made));
  },
});

const changeMapping = endpoint({
  method: "PUT",
  path: "/mappings/:id",
  access: "write_meters",
  summary: "Changes a saved mapping; what the body leaves out stays",
  description: "Imports that were uploaded before keep the mapping that they came with.",
  ids: { id: "mapping" },
  params: oneMapping,
  body: z.object({ name, mapping: content }).partial(),
  reply: mappingView,
  async handle({ who, params, body }, { db, clock }) {
    await ownMapping(db, who.accountId, params.id);
    if (body.mapping !== undefined) await checkMapping("mapping", body.mapping);
    const mapping = body.mapping === undefined ? null : JSON.stringify(body.mapping);
    await unlessTaken(
      "mapping",
      db.run(sql`
        update mapping set name = coalesce(${body.name ?? null}, name), mapping = coalesce(${mapping}::jsonb, mapping),
          updated = ${new Date(clock.now())}
        where id = ${params.id} and account_id = ${who.accountId}`),
    );
    return view(await ownMapping(db, who.accountId, params.id));
  },
});

const deleteMapping = endpoint({
  method: "DELETE",
  path: "/mappings/:id",
  access: "write_meters",
  summary: "Deletes a saved mapping",
  ids: { id: "mapping" },
  params: oneMapping,
  reply: z.undefined(),
  async handle({ who, params }, { db }) {
    await ownMapping(db, who.accountId, params.id);
    await db.run(sql`delete from mapping where id = ${params.id} and account_id = ${who.accountId}`);
    return new Message("Deleted mapping.");
  },
});

/** Endpoints of saved mappings. */
export const mappingEndpoints: Endpoint[] = [
  listMappings,
  readMapping,
  createMapping,
  changeMapping,
  deleteMapping,
];
