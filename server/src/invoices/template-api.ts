import { z } from "zod";
import { parseTemplate, TemplateError } from "../formats/format.ts";
import { type Queryable, sql } from "../platform/db.ts";
import { type Endpoint, endpoint, Message, Page } from "../platform/http/endpoint.ts";
import { fieldsOf, readList } from "../platform/http/filter.ts";
import { formatTimestamp, id, timestampText } from "../platform/http/schema.ts";
import { unlessTaken } from "../platform/http/taken.ts";
import { newId } from "../platform/id.ts";
import { notFound, Problem } from "../platform/problem.ts";
import { type SavedTemplate, templateColumns } from "./template.ts";

const name = z
  .string()
  .trim()
  .min(1)
  .max(100)
  .refine((text) => !/\p{Cc}/u.test(text) && text.isWellFormed(), "must not contain control characters");
const content = z
  .record(z.string(), z.unknown())
  .refine((template) => JSON.stringify(template).length <= 100_000, "must be at most 100 KB")
  .meta({ description: "How a layout is read: anchor words, tables, notations. See `docs/invoices.md`." });

const templateView = z.object({
  _id: z.string(),
  name: z.string(),
  template: z.record(z.string(), z.unknown()),
  created: timestampText(),
  updated: timestampText(),
});

const oneTemplate = z.object({ id: id() });

const view = (saved: SavedTemplate) => ({
  _id: saved.id,
  name: saved.name,
  template: saved.template,
  created: formatTimestamp(saved.created),
  updated: formatTimestamp(saved.updated),
});

/** Refuses a template that cannot be used, with a message per mistake. */
function check(template: unknown): void {
  try {
    parseTemplate(template);
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    const mistakes = error.message.split("\n");
    throw new Problem("invalid", `template: ${mistakes[0]}`, { errors: { template: mistakes } });
  }
}

async function ownTemplate(db: Queryable, accountId: string, templateId: string): Promise<SavedTemplate> {
  const found = await db.maybe<SavedTemplate>(sql`
    select ${templateColumns} from invoice_template t where t.id = ${templateId} and t.account_id = ${accountId}`);
  if (found === undefined) throw notFound(`invoice template ${templateId} of account ${accountId}`);
  return found;
}

const fields = fieldsOf({
  _id: { kind: "id", column: sql`t.id` },
  name: { kind: "text-exact", column: sql`t.name` },
  created: { kind: "timestamp", column: sql`t.created` },
});

const listTemplates = endpoint({
  method: "GET",
  path: "/invoice_templates",
  access: "basic",
  summary: "Templates of the account for PDF invoices",
  filters: () => true,
  reply: z.array(templateView),
  list: true,
  async handle({ who, search, ignored }, { db, settings }) {
    const { where, orderBy, skip, limit } = readList(search, { fields, ignored, pageMax: settings.pageMax });
    const of = sql`from invoice_template t where t.account_id = ${who.accountId}${where}`;
    const { count } = await db.one<{ count: number }>(sql`select count(*) as count ${of}`);
    const rows = await db.rows<SavedTemplate>(
      sql`select ${templateColumns} ${of} order by ${orderBy} offset ${skip} limit ${limit}`,
    );
    return new Page(rows.map(view), { count, skip, limit });
  },
});

const readTemplate = endpoint({
  method: "GET",
  path: "/invoice_templates/:id",
  access: "basic",
  summary: "One template for PDF invoices",
  ids: { id: "invoice_template" },
  params: oneTemplate,
  reply: templateView,
  handle: async ({ who, params }, { db }) => view(await ownTemplate(db, who.accountId, params.id)),
});

const createTemplate = endpoint({
  method: "POST",
  path: "/invoice_templates",
  access: "write_meters",
  summary: "Saves how PDF invoices of one layout are read",
  description: "Invoices of the account, and of those that it manages, are tried with it from then on.",
  body: z.object({ name, template: content }),
  reply: templateView,
  async handle({ who, body }, { db, clock }) {
    check(body.template);
    const made = newId(clock.now());
    const at = new Date(clock.now());
    await unlessTaken(
      "template",
      db.run(sql`
        insert into invoice_template (id, account_id, name, template, created, updated)
        values (${made}, ${who.accountId}, ${body.name}, ${JSON.stringify(body.template)}::jsonb, ${at}, ${at})`),
    );
    return view(await ownTemplate(db, who.accountId, made));
  },
});

const changeTemplate = endpoint({
  method: "PUT",
  path: "/invoice_templates/:id",
  access: "write_meters",
  summary: "Changes a template; what the body leaves out stays",
  description: "Invoices that were read before stay as they are until they are read again.",
  ids: { id: "invoice_template" },
  params: oneTemplate,
  body: z.object({ name, template: content }).partial(),
  reply: templateView,
  async handle({ who, params, body }, { db, clock }) {
    await ownTemplate(db, who.accountId, params.id);
    if (body.template !== undefined) check(body.template);
    const template = body.template === undefined ? null : JSON.stringify(body.template);
    await unlessTaken(
      "template",
      db.run(sql`
        update invoice_template set name = coalesce(${body.name ?? null}, name),
          template = coalesce(${template}::jsonb, template), updated = ${new Date(clock.now())}
        where id = ${params.id} and account_id = ${who.accountId}`),
    );
    return view(await ownTemplate(db, who.accountId, params.id));
  },
});

const deleteTemplate = endpoint({
  method: "DELETE",
  path: "/invoice_templates/:id",
  access: "write_meters",
  summary: "Deletes a template for PDF invoices",
  ids: { id: "invoice_template" },
  params: oneTemplate,
  reply: z.undefined(),
  async handle({ who, params }, { db }) {
    await ownTemplate(db, who.accountId, params.id);
    await db.run(sql`delete from invoice_template where id = ${params.id} and account_id = ${who.accountId}`);
    return new Message("Deleted template.");
  },
});

/** Endpoints of templates for PDF invoices. */
export const templateEndpoints: Endpoint[] = [
  listTemplates,
  readTemplate,
  createTemplate,
  changeTemplate,
  deleteTemplate,
];
