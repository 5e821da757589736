import { type Db, type Sql, sql } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { Page } from "../platform/http/endpoint.ts";
import { type Fields, readList } from "../platform/http/filter.ts";

export interface ListPage<Row> {
  columns: Sql;
  /** `from … where …`, with the condition that keeps accounts apart; filters are added to it. */
  from: Sql;
  fields: Fields;
  /** Condition for words in `q`. */
  words?: (pattern: string) => Sql;
  view: (row: Row) => unknown;
}

/** One page of a list, filtered, sorted and counted as the request asks. */
export async function listPage<Row>(
  { db, settings }: Pick<Deps, "settings"> & { db: Db },
  call: { search: URLSearchParams; ignored(name: string): void },
  list: ListPage<Row>,
): Promise<Page> {
  const asked = readList(call.search, {
    fields: list.fields,
    ...(list.words === undefined ? {} : { words: list.words }),
    ignored: (name) => call.ignored(name),
    pageMax: settings.pageMax,
  });
  const { count } = await db.one<{ count: number }>(
    sql`select count(*)::int8 as count ${list.from}${asked.where}`,
  );
  const rows = await db.rows<Row>(
    sql`select ${list.columns} ${list.from}${asked.where}
        order by ${asked.orderBy} limit ${asked.limit} offset ${asked.skip}`,
  );
  return new Page(rows.map(list.view), { count, skip: asked.skip, limit: asked.limit });
}
