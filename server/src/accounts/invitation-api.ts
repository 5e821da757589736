import { z } from "zod";
import { sql, type Tx } from "../platform/db.ts";
import { type Caller, type Endpoint, endpoint, Message, roles } from "../platform/http/endpoint.ts";
import { fieldsOf, fold } from "../platform/http/filter.ts";
import { formatTimestamp, id, timestampText } from "../platform/http/schema.ts";
import { notFound, Problem } from "../platform/problem.ts";
import { type Account, accountById, accountByUsername, createAccount } from "./account.ts";
import { actorOf, audit } from "./audit.ts";
import { collaboratorView, viewCollaborator } from "./collaborator-api.ts";
import { accountRefView, emailText, nameText } from "./fields.ts";
import {
  addCollaborator,
  createInvitation,
  type Invitation,
  invitationById,
  invitationByToken,
  invitationColumns,
} from "./members.ts";
import { listPage } from "./page.ts";
import { newPasswordHash } from "./password-rules.ts";

const administrators = { access: "write_accounts", role: "administrator" } as const;

const invitationView = z.object({
  _id: z.string(),
  email: z.string(),
  role: z.enum(roles),
  created: timestampText(),
  expires: timestampText(),
  accepted: timestampText().nullable(),
  token: z.string().optional().describe("Only in the answer that creates it"),
  link: z.string().optional().describe("Only in the answer that creates it; send it to the person"),
});

function viewInvitation(row: Invitation): z.output<typeof invitationView> {
  return {
    _id: row.id,
    email: row.email,
    role: row.role,
    created: formatTimestamp(row.created),
    expires: formatTimestamp(row.expires),
    accepted: row.accepted === null ? null : formatTimestamp(row.accepted),
  };
}

const invitationFields = fieldsOf({
  _id: { kind: "id", column: sql`id` },
  email: { kind: "text-contains", column: sql`email_folded` },
  role: { kind: "enum", column: sql`role`, values: roles },
  created: { kind: "timestamp", column: sql`created` },
  expires: { kind: "timestamp", column: sql`expires` },
  accepted: { kind: "timestamp", column: sql`accepted` },
});

const oneInvitation = z.object({ id: id() });

const listInvitations = endpoint({
  ...administrators,
  method: "GET",
  path: "/invitations",
  summary: "Lists the invitations of your organisation.",
  filters: () => true,
  reply: z.array(invitationView),
  list: true,
  handle(call, deps) {
    return listPage<Invitation>(deps, call, {
      columns: invitationColumns,
      from: sql`from invitation where account_id = ${call.who.accountId}`,
      fields: invitationFields,
      view: viewInvitation,
    });
  },
});

const readInvitation = endpoint({
  ...administrators,
  method: "GET",
  path: "/invitations/:id",
  summary: "Reads an invitation.",
  ids: { id: "invitation" },
  params: oneInvitation,
  reply: invitationView,
  async handle({ who, params }, { db }) {
    return viewInvitation(await invitationById(db, who.accountId, params.id));
  },
});

const invite = endpoint({
  ...administrators,
  method: "POST",
  path: "/invitations",
  summary: "Invites a person into your organisation. The answer carries the link, once: no mail is sent.",
  body: z.object({ email: emailText, role: z.enum(roles).optional() }),
  reply: invitationView,
  handle({ who, body }, { db, clock, settings }) {
    const now = clock.now();
    const role = body.role ?? "reader";
    return db.transaction(async (tx) => {
      const account = await accountById(tx, who.accountId);
      assertOrganization(account);
      const { token, row } = await createInvitation(tx, {
        accountId: account.id,
        email: body.email,
        role,
        now,
      });
      const entry = { at: now, accountId: account.id, actor: actorOf(who), subject: row.id };
      await audit(tx, { ...entry, action: "invitation.created", detail: { role } });
      // After #, because what stands there never reaches the log of a server.
      return {
        ...viewInvitation(row),
        token,
        link: `${settings.publicUrl}/invitations/accept#token=${token}`,
      };
    });
  },
});

function assertOrganization(account: Account): void {
  if (account.is_organization) return;
  throw new Problem(
    "conflict",
    "Only an organisation can have collaborators. Set is_organization of the account first.",
  );
}

const changeInvitation = endpoint({
  ...administrators,
  method: "PUT",
  path: "/invitations/:id",
  summary: "Changes the role that an open invitation gives.",
  ids: { id: "invitation" },
  params: oneInvitation,
  body: z.object({ role: z.enum(roles) }),
  reply: invitationView,
  handle({ who, params, body }, { db, clock }) {
    return db.transaction(async (tx) => {
      const before = await invitationById(tx, who.accountId, params.id);
      const touched = await tx.run(
        sql`update invitation set role = ${body.role} where id = ${before.id} and accepted is null`,
      );
      if (touched === 0)
        throw new Problem("conflict", "The invitation was accepted. Change the role of the collaborator.");
      const entry = { at: clock.now(), accountId: who.accountId, actor: actorOf(who), subject: before.id };
      await audit(tx, { ...entry, action: "invitation.changed", detail: { role: body.role } });
      return viewInvitation({ ...before, role: body.role });
    });
  },
});

const removeInvitation = endpoint({
  ...administrators,
  method: "DELETE",
  path: "/invitations/:id",
  summary: "Withdraws an invitation.",
  ids: { id: "invitation" },
  params: oneInvitation,
  reply: z.null(),
  async handle({ who, params }, { db, clock }) {
    await db.transaction(async (tx) => {
      const touched = await tx.run(
        sql`delete from invitation where id = ${params.id} and account_id = ${who.accountId}`,
      );
      if (touched === 0) throw notFound(`invitation ${params.id}`);
      const entry = { at: clock.now(), accountId: who.accountId, actor: actorOf(who) };
      await audit(tx, { ...entry, action: "invitation.deleted", subject: params.id });
    });
    return new Message("Deleted invitation.");
  },
});

const acceptInvitation = endpoint({
  method: "POST",
  path: "/invitations/accept",
  access: "optional",
  role: "reader",
  summary: "Accepts an invitation with the token of its link.",
  description:
    "Whoever has an account under the invited address logs in first. Without an account, `name` and `password` make one.",
  body: z.object({
    token: z.string().min(1).max(200),
    name: nameText.optional(),
    password: z.string().max(1024).optional(),
  }),
  reply: z.object({ organization: accountRefView, collaborator: collaboratorView }),
  async handle({ who, body }, { db, clock }) {
    const now = clock.now();
    return db.transaction(async (tx) => {
      const invitation = await invitationByToken(tx, body.token, now);
      const person = await invitedPerson(tx, { who, invitation, body, now });
      const { account_id: organizationId, role } = invitation;
      const collaborator = await addCollaborator(tx, { organizationId, accountId: person.id, role, now });
      await tx.run(sql`update invitation set accepted = ${new Date(now)} where id = ${invitation.id}`);
      const entry = { at: now, accountId: organizationId, actor: person.id, subject: invitation.id };
      await audit(tx, { ...entry, action: "invitation.accepted", detail: { role } });
      const { id: _id, name, username } = await accountById(tx, organizationId);
      return { organization: { _id, name, username }, collaborator: viewCollaborator(collaborator) };
    });
  },
});

/** Who accepts: the person logged in, whose address must be the invited one, or a new account. */
async function invitedPerson(
  tx: Tx,
  options: {
    who: Caller | null;
    invitation: Invitation;
    body: { name?: string | undefined; password?: string | undefined };
    now: number;
  },
): Promise<Account> {
  const { who, invitation, body, now } = options;
  const known = await accountByUsername(tx, invitation.email);
  if (known !== undefined) {
    if (who === null)
      throw new Problem("unauthenticated", "Log in as the invited person, then accept again.");
    if (who.actorId === known.id && known.id !== invitation.account_id) return known;
    throw new Problem("forbidden", "The invitation is for somebody else. Log in as the invited person.");
  }
  if (
    who !== null &&
    fold((await accountById(tx, who.ownAccountId)).username ?? "") !== fold(invitation.email)
  ) {
    throw new Problem("forbidden", "The invitation is for somebody else. Log out, then accept again.");
  }
  const { name, password } = body;
  if (name === undefined || password === undefined) {
    const errors = Object.fromEntries(
      Object.entries({ name, password }).flatMap(([field, value]) =>
        value === undefined ? [[field, ["is required"]]] : [],
      ),
    );
    throw new Problem("invalid", "A name and a password are needed to make your account", { errors });
  }
  const passwordHash = await newPasswordHash(password, [name, invitation.email]);
  const account = await createAccount(tx, {
    name,
    username: invitation.email,
    entity_type: "person",
    passwordHash,
    now,
  });
  await audit(tx, { at: now, accountId: account.id, actor: account.id, action: "account.created" });
  return account;
}

/** Invitations into an organisation. */
export const invitationEndpoints: Endpoint[] = [
  listInvitations,
  readInvitation,
  invite,
  changeInvitation,
  removeInvitation,
  acceptInvitation,
];
