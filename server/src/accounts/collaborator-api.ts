import { z } from "zod";
import { sql } from "../platform/db.ts";
import { type Endpoint, endpoint, Message, roles } from "../platform/http/endpoint.ts";
import { fieldsOf } from "../platform/http/filter.ts";
import { accountId, formatTimestamp, id, timestampText } from "../platform/http/schema.ts";
import { actorOf, audit } from "./audit.ts";
import { accountRefView } from "./fields.ts";
import {
  type Collaborator,
  changeCollaborator,
  collaboratorById,
  collaboratorColumns,
  collaboratorFrom,
} from "./members.ts";
import { listPage } from "./page.ts";
import { reach } from "./reach.ts";

const administrators = { access: "write_accounts", role: "administrator" } as const;

/** One who works in an organisation, as the API shows it. */
export const collaboratorView = z.object({
  _id: z.string(),
  role: z.enum(roles),
  created: timestampText(),
  account: accountRefView,
});

/** Shows one who works in an organisation. */
export function viewCollaborator(row: Collaborator): z.output<typeof collaboratorView> {
  return {
    _id: row.id,
    role: row.role,
    created: formatTimestamp(row.created),
    account: { _id: row.account_id, name: row.account_name, username: row.account_username },
  };
}

const collaboratorFields = fieldsOf({
  _id: { kind: "id", column: sql`c.id` },
  role: { kind: "enum", column: sql`c.role`, values: roles },
  created: { kind: "timestamp", column: sql`c.created` },
  "account._id": { kind: "id", column: sql`p.id` },
  "account.name": { kind: "text-contains", column: sql`p.name_folded` },
  "account.username": { kind: "text-contains", column: sql`p.username_folded` },
});

const ofAccount = z.object({ id: accountId() });
const oneCollaborator = z.object({ id: accountId(), collaborator_id: id() });
const collaboratorIds = { id: "account", collaborator_id: "collaborator" } as const;

const listCollaborators = endpoint({
  method: "GET",
  path: "/accounts/:id/collaborators",
  access: "basic",
  summary: "Lists the people who work in an organisation.",
  ids: { id: "account" },
  params: ofAccount,
  filters: () => true,
  reply: z.array(collaboratorView),
  list: true,
  async handle(call, deps) {
    const account = await reach(deps.db, call.who, call.params.id);
    return listPage<Collaborator>(deps, call, {
      columns: collaboratorColumns,
      from: sql`${collaboratorFrom} and c.organization_id = ${account.id}`,
      fields: collaboratorFields,
      view: viewCollaborator,
    });
  },
});

const readCollaborator = endpoint({
  method: "GET",
  path: "/accounts/:id/collaborators/:collaborator_id",
  access: "basic",
  summary: "Reads one of the people who work in an organisation.",
  ids: collaboratorIds,
  params: oneCollaborator,
  reply: collaboratorView,
  async handle({ who, params }, { db }) {
    const account = await reach(db, who, params.id);
    return viewCollaborator(await collaboratorById(db, account.id, params.collaborator_id));
  },
});

const changeRole = endpoint({
  ...administrators,
  method: "PUT",
  path: "/accounts/:id/collaborators/:collaborator_id",
  summary: "Changes the role of a person.",
  ids: collaboratorIds,
  params: oneCollaborator,
  body: z.object({ role: z.enum(roles) }),
  reply: collaboratorView,
  handle({ who, params, body }, { db, clock }) {
    return db.transaction(async (tx) => {
      const account = await reach(tx, who, params.id);
      const change = { organizationId: account.id, id: params.collaborator_id, role: body.role };
      await changeCollaborator(tx, change);
      const entry = { at: clock.now(), accountId: account.id, actor: actorOf(who), subject: change.id };
      await audit(tx, { ...entry, action: "collaborator.changed", detail: { role: body.role } });
      return viewCollaborator(await collaboratorById(tx, account.id, change.id));
    });
  },
});

const removeCollaborator = endpoint({
  ...administrators,
  method: "DELETE",
  path: "/accounts/:id/collaborators/:collaborator_id",
  summary: "Removes a person from an organisation; their own account stays.",
  ids: collaboratorIds,
  params: oneCollaborator,
  reply: z.null(),
  async handle({ who, params }, { db, clock }) {
    await db.transaction(async (tx) => {
      const account = await reach(tx, who, params.id);
      await changeCollaborator(tx, { organizationId: account.id, id: params.collaborator_id, role: null });
      const entry = { at: clock.now(), accountId: account.id, actor: actorOf(who) };
      await audit(tx, { ...entry, action: "collaborator.removed", subject: params.collaborator_id });
    });
    return new Message("Deleted collaborator.");
  },
});

/** People of an organisation. */
export const collaboratorEndpoints: Endpoint[] = [
  listCollaborators,
  readCollaborator,
  changeRole,
  removeCollaborator,
];
