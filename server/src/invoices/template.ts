import type { Account } from "../accounts/accounts.ts";
import { type Queryable, sql } from "../platform/db.ts";

/** A saved template of the reader of PDF text. */
export interface SavedTemplate {
  id: string;
  name: string;
  template: unknown;
  /** Epoch milliseconds. */
  created: number;
  updated: number;
}

/** The columns of `SavedTemplate`, of the table `invoice_template` under the name `t`. */
export const templateColumns = sql`t.id, t.name, t.template, (extract(epoch from t.created) * 1000)::float8 as created,
  (extract(epoch from t.updated) * 1000)::float8 as updated`;

/** The templates that documents of an account are tried with: its own first, then those of the account that manages it. */
export async function templatesFor(
  db: Queryable,
  { id, manager_id }: Pick<Account, "id" | "manager_id">,
): Promise<unknown[]> {
  const rows = await db.rows<SavedTemplate>(sql`
    select ${templateColumns} from invoice_template t where t.account_id = any(${[id, manager_id]}::text[])
    order by (t.account_id = ${id}) desc, t.created, t.id`);
  return rows.map(({ template }) => template);
}
