import type { Account } from "../accounts/accounts.ts";
import { formats } from "../formats/format.ts";
import { type Queryable, sql } from "../platform/db.ts";
import { Problem } from "../platform/problem.ts";

/** A saved mapping of the reader of tables. */
export interface SavedMapping {
  id: string;
  name: string;
  mapping: unknown;
  /** Epoch milliseconds. */
  created: number;
  updated: number;
}

/** The columns of `SavedMapping`, of the table `mapping` under the name `m`. */
export const mappingColumns = sql`m.id, m.name, m.mapping, (extract(epoch from m.created) * 1000)::float8 as created,
  (extract(epoch from m.updated) * 1000)::float8 as updated`;

/** The mapping that an account, or the account that manages it, saved under a name. */
export async function mappingByName(
  db: Queryable,
  { id, manager_id }: Pick<Account, "id" | "manager_id">,
  name: string,
): Promise<unknown> {
  const found = await db.rows<SavedMapping>(sql`
    select ${mappingColumns} from mapping m
    where m.account_id = any(${[id, manager_id]}::text[]) and m.name = ${name}
    order by (m.account_id = ${id}) desc limit 1`);
  return found[0]?.mapping;
}

/** Asks the reader of tables whether it understands a mapping. @throws Problem that names what is wrong with `field` */
export async function checkMapping(field: string, mapping: unknown): Promise<void> {
  const reader = formats().find(({ name }) => name === "mapper");
  if (reader === undefined) throw new Error("there is no reader of tables");
  async function* nothing(): AsyncGenerator<Uint8Array> {}
  const wrong: string[] = [];
  for await (const items of reader.read(nothing(), { fileName: "mapping", mapping })) {
    for (const item of items)
      if (item.kind === "problem" && item.field === "mapping") wrong.push(item.message);
  }
  if (wrong.length > 0) throw new Problem("invalid", `${field}: ${wrong[0]}`, { errors: { [field]: wrong } });
}
