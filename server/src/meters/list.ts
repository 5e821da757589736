import { accountRefs } from "../accounts/accounts.ts";
import { any, empty, join, type Queryable, type Sql, sql } from "../platform/db.ts";
import { granularities } from "../platform/granularity.ts";
import { Page } from "../platform/http/endpoint.ts";
import { type Field, type Fields, fieldsOf, fold, readList } from "../platform/http/filter.ts";
import { isId } from "../platform/id.ts";
import { invalid } from "../platform/problem.ts";
import { metersById, type Places, showMeters } from "./meter.ts";
import { boxes, controlLevels, meterTypes, representations } from "./reference.ts";
import { searchMarks } from "./search-text.ts";
import { type StatPath, statColumn, statPath } from "./stats.ts";

const search = sql`m.search`;

/** Visible fields of a meter; the table `meter` is `m`. */
const table: Record<string, Field> = {
  _id: { kind: "id", column: sql`m.id` },
  "root._id": { kind: "id", column: sql`m.root_id` },
  "root.holder._id": { kind: "id", column: sql`m.root_holder_id` },
  holder: { kind: "id", column: sql`m.holder_id` },
  "holder._id": { kind: "id", column: sql`m.holder_id` },
  assigner: { kind: "id", column: sql`m.assigner_id` },
  "assigner._id": { kind: "id", column: sql`m.assigner_id` },
  name: {
    kind: "text-contains",
    column: search,
    marks: searchMarks.name,
    nullColumn: sql`m.name`,
    sort: sql`m.name`,
  },
  address: {
    kind: "text-contains",
    column: search,
    marks: searchMarks.address,
    nullColumn: sql`m.address`,
    sort: sql`m.address`,
  },
  ean: { kind: "text-exact", column: sql`m.ean` },
  tags: { kind: "tags", column: sql`m.tags` },
  created: { kind: "timestamp", column: sql`m.created` },
  timezone: { kind: "text-exact", column: sql`m.timezone` },
  control_level: { kind: "enum", column: sql`m.control_level`, values: controlLevels },
  generation: { kind: "number", column: sql`m.generation` },
  box: { kind: "enum", column: sql`m.box`, values: boxes },
  revoked: { kind: "boolean", column: sql`m.revoked` },
  type: { kind: "enum", column: sql`m.type`, values: meterTypes },
  metrics: { kind: "any-of", column: sql`m.metrics` },
  representation: { kind: "enum", column: sql`m.representation`, values: representations },
  expected_granularity: { kind: "enum", column: sql`m.expected_granularity`, values: granularities },
  has_active_complaints: { kind: "boolean", column: sql`m.has_active_complaints` },
  readings_blocked: { kind: "boolean", column: sql`m.readings_blocked` },
  on_hold: { kind: "boolean", column: sql`m.on_hold` },
  open_channel_ids: { kind: "any-of", column: sql`m.open_channel_ids` },
};

const statFieldsMax = 3;

export interface MeterList {
  accountId: string;
  search: URLSearchParams;
  ignored: (name: string) => void;
  pageMax: number;
  places: Places;
}

/** A page of the meters that an account holds, as the contract's filters ask. Revoked ones only when asked for. */
export async function listMeters(db: Queryable, list: MeterList): Promise<Page> {
  const asked = withoutAliases(list.search);
  const lookups = await lookUp(db, list, asked);
  const stats = await statJoins(db, list.accountId, asked);
  const fields = fieldsOf(table, (path) => stats.fields.get(path));
  const holders = asked.has("q")
    ? await accountsInMeters(db, list.accountId, sql`root_holder_id`)
    : new Map();
  const query = readList(asked, {
    fields,
    ignored: list.ignored,
    pageMax: list.pageMax,
    words: (pattern, word) => wordsIn(pattern, idsNamed(holders, word)),
  });
  const live = query.filtersBy("revoked") ? empty : sql` and not m.revoked`;
  const from = sql`from meter m${stats.joins} where m.holder_id = ${list.accountId}${live}${lookups}${query.where}`;
  // Counting and the page may see different moments: a meter that arrives between them is counted or not.
  const [{ count }, page] = await Promise.all([
    db.one<{ count: number }>(sql`select count(*) as count ${from}`),
    db.rows<{ id: string }>(
      sql`select m.id ${from} order by ${query.orderBy} offset ${query.skip} limit ${query.limit}`,
    ),
  ]);
  const meters = await metersById(
    db,
    page.map((row) => row.id),
  );
  return new Page(await showMeters(db, meters, list.places), { count, skip: query.skip, limit: query.limit });
}

/** `active=true` is the old way to say `box=active`; `revoked=false` is what a list does anyway. */
function withoutAliases(given: URLSearchParams): URLSearchParams {
  const search = new URLSearchParams(given);
  const active = search.get("active");
  search.delete("active");
  if (active === "true" || active === "1") search.append("box", "active");
  else if (active === "false" || active === "0") {
    for (const box of boxes) if (box !== "active") search.append("box", box);
  } else if (active !== null && active !== "") throw invalid("active", "must be true or false");
  if (search.getAll("revoked").every((value) => value === "false")) search.delete("revoked");
  return search;
}

function wordsIn(pattern: string, holderIds: string[]): Sql {
  if (holderIds.length === 0) return sql`${search} like ${pattern}`;
  return sql`(${search} like ${pattern} or m.root_holder_id = ${any(holderIds)})`;
}

/** Takes the filters out that need other tables; returns their conditions. */
async function lookUp(db: Queryable, list: MeterList, asked: URLSearchParams): Promise<Sql> {
  const conditions: Sql[] = [];
  const take = (name: string) => {
    const values = asked
      .getAll(name)
      .flatMap((value) => value.split(","))
      .map((value) => value.trim());
    asked.delete(name);
    return values.filter((value) => value !== "");
  };
  const nodes = take("tree_structure_ids");
  if (nodes.length > 0) {
    if (nodes.length > 300) throw invalid("tree_structure_ids", "at most 300 nodes at once");
    for (const node of nodes) if (!isId(node)) throw invalid("tree_structure_ids", "takes ids of tree nodes");
    const below = await list.places.below(db, list.accountId, nodes);
    conditions.push(below === null ? sql` and false` : sql` and m.id in (${below})`);
  }
  for (const [name, column] of [
    ["assigner.name", sql`assigner_id`],
    ["root.holder.name", sql`root_holder_id`],
  ] as const) {
    const names = take(name);
    if (names.length === 0) continue;
    const accounts = await accountsInMeters(db, list.accountId, column);
    conditions.push(sql` and m.${column} = ${any(names.flatMap((part) => idsNamed(accounts, part)))}`);
  }
  return conditions.length === 0 ? empty : join(conditions, "");
}

/**
 * Names of the accounts in one column of an account's meters. There are few different ones among many meters, so
 * the index is walked from one to the next instead of being read.
 */
async function accountsInMeters(db: Queryable, accountId: string, column: Sql): Promise<Map<string, string>> {
  const next = (after: Sql) => sql`
    select ${column} as id from meter where holder_id = ${accountId} and not revoked and ${column} ${after}
    order by ${column} limit 1`;
  const rows = await db.rows<{ id: string }>(sql`
    with recursive found as (
      (${next(sql`is not null`)})
      union all
      select (${next(sql`> found.id`)}) from found where found.id is not null
    )
    select id from found where id is not null`);
  const refs = await accountRefs(
    db,
    rows.map((row) => row.id),
  );
  return new Map([...refs].map(([id, ref]) => [id, fold(ref.name)]));
}

function idsNamed(accounts: Map<string, string>, part: string): string[] {
  const wanted = fold(part);
  return [...accounts].filter(([, name]) => name.includes(wanted)).map(([id]) => id);
}

const statAliases = [sql`stat0`, sql`stat1`, sql`stat2`] as const;

/**
 * Statistics lie in a table that may be spread over machines, so they are read first, by part, and joined as
 * parameters: one pair of lists per statistic that filters or `sort` name.
 */
async function statJoins(db: Queryable, accountId: string, asked: URLSearchParams) {
  const paths = new Map<string, StatPath>();
  const sorts = asked
    .getAll("sort")
    .flatMap((value) => value.split(",").map((key) => key.trim().replace(/^-/, "")));
  const terms = asked.getAll("q").flatMap((q) => q.split(" AND ").map((term) => term.split(":")[0]!.trim()));
  for (const path of [...new Set([...asked.keys(), ...sorts, ...terms])].sort()) {
    const found = statPath(path);
    if (found !== undefined) paths.set(path, found);
  }
  const fields = new Map<string, Field>();
  if (paths.size > statFieldsMax)
    throw invalid("consumption_stats", `at most ${statFieldsMax} statistics at once`);
  if (paths.size === 0) return { fields, joins: empty };
  const parts = await db.rows<{ part: number }>(
    sql`select distinct part from meter where holder_id = ${accountId}`,
  );
  const joins: Sql[] = [];
  for (const [path, stat] of paths) {
    const { ids, values } = await statColumn(
      db,
      stat,
      parts.map((row) => row.part),
    );
    const alias = statAliases[joins.length]!;
    joins.push(sql` left join unnest(${ids}::text[], ${values}::float8[]) as ${alias} (id, value)
      on ${alias}.id = m.root_id`);
    const column = path.endsWith(".count") ? sql`coalesce(${alias}.value, 0)` : sql`${alias}.value`;
    fields.set(path, { kind: "number", column });
  }
  return { fields, joins: join(joins, "") };
}

/** The filters of meters without statistics: what other lists of meters take. */
export function meterFields(names: readonly string[]): Fields {
  return fieldsOf(Object.fromEntries(names.map((name) => [name, table[name]!])));
}
