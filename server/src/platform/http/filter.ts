import { empty, join, type Sql, sql } from "../db.ts";
import { invalid } from "../problem.ts";
import { condition, type Field, likeText } from "./filter-values.ts";

export { type Field, type FieldKind, fold, likeText } from "./filter-values.ts";

/** A field found by its dotted path; `keys` are the names below a `json` field. */
export interface FoundField {
  field: Field;
  keys: string[];
}

/** The visible fields of a resource. What it does not find is unknown: hidden fields and mistakes alike. */
export type Fields = (path: string) => FoundField | undefined;

/** Parameters of every list that are no filters. */
export const listParameters: ReadonlySet<string> = new Set(["skip", "offset", "limit", "sort", "q"]);

const pathCharsMax = 200;
const keysMax = 8;
const sortKeysMax = 5;
const termsMax = 20;
const skipMax = 1_000_000_000;

/** Makes `Fields` of a table of dotted paths. `more` is asked for paths that are not in the table. */
export function fieldsOf(table: Record<string, Field>, more?: (path: string) => Field | undefined): Fields {
  // A Map, so that `__proto__` and `constructor` are paths like all others: unknown.
  const byPath = new Map(Object.entries(table));
  return (path) => {
    if (path.length > pathCharsMax) return undefined;
    const field = byPath.get(path);
    if (field !== undefined) return field.kind === "json" ? undefined : { field, keys: [] };
    const [first = "", ...keys] = path.split(".");
    const json = byPath.get(first);
    if (json?.kind === "json") {
      const sane =
        keys.length > 0 && keys.length <= keysMax && keys.every((key) => key !== "" && !key.includes("\0"));
      return sane ? { field: json, keys } : undefined;
    }
    const other = more?.(path);
    return other === undefined ? undefined : { field: other, keys: [] };
  };
}

export interface ListOptions {
  fields: Fields;
  /** Condition that a bare word of `q` matches, given as a LIKE pattern of folded text and as sent; without it bare words are ignored. */
  words?: (pattern: string, word: string) => Sql;
  /** Is told what was not understood. */
  ignored: (name: string) => void;
  /** Longest page; 300 when absent. */
  pageMax?: number;
}

/** A list request as SQL: every part is text of ours with parameters, never text of the caller. */
export interface ListQuery {
  /** ` and a and b`, empty without filters: follows a condition of the resource. */
  where: Sql;
  /** What stands after `order by`; complete, the id is its last key. */
  orderBy: Sql;
  skip: number;
  limit: number;
  /** Was the field filtered by, as a parameter or in `q`? */
  filtersBy(path: string): boolean;
}

/**
 * Reads filters, `q`, `sort` and paging. Equal sets of filters give equal statement texts, whatever their order and
 * values. Throws a 400 that names the field and the remedy when a value does not fit its field.
 */
export function readList(search: URLSearchParams, options: ListOptions): ListQuery {
  const asked = new Map<string, string[]>();
  const conditions: Sql[] = [];
  for (const path of [...new Set(search.keys())].sort()) {
    if (listParameters.has(path)) continue;
    const found = options.fields(path);
    if (found === undefined) options.ignored(path);
    else asked.set(path, search.getAll(path));
  }
  for (const [path, values] of asked) {
    const { field, keys } = options.fields(path)!;
    const made = condition(path, field, { keys, values });
    if (made === null) asked.delete(path);
    else conditions.push(made);
  }
  const terms = readTerms(search, options);
  const where = [...conditions, ...terms.conditions];
  return {
    where: where.length === 0 ? empty : sql` and ${join(where, " and ")}`,
    orderBy: readSort(search, options),
    ...readPaging(search, options.pageMax),
    filtersBy: (path) => asked.has(path) || terms.paths.has(path),
  };
}

/** `skip` (alias `offset`) and `limit`: 50 a page by default, clamped to 1..`pageMax`. */
export function readPaging(search: URLSearchParams, pageMax = 300): { skip: number; limit: number } {
  return {
    skip: clamp(wholeNumber(search, search.has("skip") ? "skip" : "offset") ?? 0, { from: 0, to: skipMax }),
    limit: clamp(wholeNumber(search, "limit") ?? Math.min(50, pageMax), { from: 1, to: pageMax }),
  };
}

const clamp = (value: number, { from, to }: { from: number; to: number }) =>
  Math.max(from, Math.min(to, value));

function wholeNumber(search: URLSearchParams, name: string): number | undefined {
  const text = search.get(name)?.trim();
  if (text === undefined || text === "") return undefined;
  if (!/^-?\d{1,20}$/.test(text)) throw invalid(name, "must be a whole number");
  return Number(text);
}

/**
 * `q` holds terms joined by ` AND `, each `key:value` with a field as key, or words to look for. What stands before a
 * colon and is no field belongs to the words: `12:30` is text.
 */
function readTerms(search: URLSearchParams, { fields, words, ignored }: ListOptions) {
  const conditions: Sql[] = [];
  const paths = new Set<string>();
  const terms = search
    .getAll("q")
    .flatMap((q) => q.split(" AND "))
    .map((term) => term.trim())
    .filter((term) => term !== "");
  if (terms.length > termsMax) throw invalid("q", `at most ${termsMax} terms`);
  for (const term of terms) {
    if (term.length > 500 || term.includes("\0"))
      throw invalid("q", "a term has at most 500 characters, none is NUL");
    const colon = term.indexOf(":");
    const path = colon > 0 ? term.slice(0, colon).trim() : "";
    const found = path === "" ? undefined : fields(path);
    if (found !== undefined) {
      const made = condition(path, found.field, { keys: found.keys, values: [term.slice(colon + 1)] });
      if (made !== null) conditions.push(made);
      paths.add(path);
    } else if (words !== undefined) conditions.push(words(`%${likeText(term)}%`, term));
    else ignored(`q=${term}`);
  }
  return { conditions, paths };
}

/**
 * `sort=a,-b`. Ties are broken by `created`, then `_id`, in the direction of the last key, so that one index serves
 * both directions.
 */
function readSort(search: URLSearchParams, { fields, ignored }: ListOptions): Sql {
  const keys = new Map<string, boolean>();
  for (const text of search.getAll("sort").flatMap((value) => value.split(","))) {
    const descending = text.trim().startsWith("-");
    const path = descending ? text.trim().slice(1) : text.trim();
    if (path === "") continue;
    if (sortColumn(fields(path)) === undefined) ignored(`sort=${path}`);
    else if (!keys.has(path)) keys.set(path, descending);
  }
  if (keys.size > sortKeysMax) throw invalid("sort", `at most ${sortKeysMax} fields`);
  const last = [...keys.values()].at(-1) ?? false;
  for (const path of ["created", "_id"]) if (!keys.has(path)) keys.set(path, last);
  const parts: Sql[] = [];
  for (const [path, descending] of keys) {
    const column = sortColumn(fields(path));
    if (column !== undefined) parts.push(descending ? sql`${column} desc` : sql`${column}`);
  }
  return join(parts, ", ");
}

function sortColumn(found: FoundField | undefined): Sql | undefined {
  if (found === undefined || found.field.sort === false) return undefined;
  if (found.field.sort !== undefined) return found.field.sort;
  const { kind, column } = found.field;
  return kind === "tags" || kind === "any-of" || kind === "json" ? undefined : column;
}
