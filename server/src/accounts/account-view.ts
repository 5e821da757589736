import { z } from "zod";
import { sql } from "../platform/db.ts";
import { fieldsOf } from "../platform/http/filter.ts";
import { formatTimestamp, timestampText } from "../platform/http/schema.ts";
import { type Account, entityTypes } from "./account.ts";
import { accountRefView } from "./fields.ts";

const inside = z.object({
  _id: z.string(),
  name: z.string(),
  username: z.string().nullable().describe("E-mail address to log in with"),
  custom_identifier: z.string().nullable().describe("External ID, set by the manager"),
  sub_accounts_count: z.int(),
  created: timestampText(),
  locale_string: z.string().nullable(),
  language: z.string(),
  is_organization: z.boolean(),
  entity_type: z.enum(entityTypes).nullable(),
  timezone: z.string().describe("Zone of meters whose source states none"),
  currency: z.string(),
  manager: accountRefView.optional().describe("Only on a subaccount"),
});

/** An account as the API shows it. */
export const accountView = inside.extend({
  sub_accounts: z
    .array(inside.extend({ sub_accounts: z.array(z.unknown()) }))
    .describe(
      "The first 50 subaccounts, when one account is read. Deprecated: read /accounts/{id}/subaccounts",
    ),
});

/** Shows an account; `subaccounts` only when one account is read. */
export function viewAccount(account: Account, subaccounts: Account[] = []): z.output<typeof accountView> {
  return {
    ...viewAlone(account),
    sub_accounts: subaccounts.map((sub) => ({ ...viewAlone(sub), sub_accounts: [] })),
  };
}

function viewAlone(account: Account): z.output<typeof inside> {
  const { manager_id, manager_name, manager_username } = account;
  return {
    _id: account.id,
    name: account.name,
    username: account.username,
    custom_identifier: account.custom_identifier,
    sub_accounts_count: account.sub_accounts_count,
    created: formatTimestamp(account.created),
    locale_string: account.locale_string,
    language: account.language,
    is_organization: account.is_organization,
    entity_type: account.entity_type as (typeof entityTypes)[number] | null,
    timezone: account.timezone,
    currency: account.currency,
    ...(manager_id === null || manager_name === null
      ? {}
      : { manager: { _id: manager_id, name: manager_name, username: manager_username } }),
  };
}

/** What accounts are filtered and sorted by. */
export const accountFields = fieldsOf({
  _id: { kind: "id", column: sql`a.id` },
  name: { kind: "text-contains", column: sql`a.name_folded` },
  username: { kind: "text-contains", column: sql`a.username_folded` },
  custom_identifier: { kind: "text-exact", column: sql`a.custom_identifier` },
  created: { kind: "timestamp", column: sql`a.created` },
  locale_string: { kind: "text-exact", column: sql`a.locale_string` },
  language: { kind: "text-exact", column: sql`a.language` },
  is_organization: { kind: "boolean", column: sql`a.is_organization` },
  entity_type: { kind: "enum", column: sql`a.entity_type`, values: entityTypes },
  timezone: { kind: "text-exact", column: sql`a.timezone` },
  currency: { kind: "text-exact", column: sql`a.currency` },
  "manager._id": { kind: "id", column: sql`a.manager_id` },
});

/** Words of `q` are looked for in the names and the external ID. */
export const accountWords = (pattern: string) =>
  sql`(a.name_folded like ${pattern} or a.username_folded like ${pattern} or a.custom_identifier ilike ${pattern})`;
