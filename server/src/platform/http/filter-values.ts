import { any, empty, join, type Sql, sql } from "../db.ts";
import { isId } from "../id.ts";
import { invalid } from "../problem.ts";

/**
 * How the values of a field are read and compared.
 * - `id`, `enum`, `text-exact`, `boolean`: equal to one of the values.
 * - `text-contains`: contains one of the values, whatever the case.
 * - `number`, `timestamp`: equal to one of the values; `<`, `<=`, `>`, `>=` before a value make it a bound, and all
 *   bounds hold together, so `created=>2026-01-01&created=<2026-02-01` is a range.
 * - `tags`: a list that holds all of the values. `any-of`: a list that holds one of them.
 * - `json`: the text at the path below the field is one of the values.
 */
export type FieldKind =
  | "id"
  | "enum"
  | "text-contains"
  | "text-exact"
  | "number"
  | "boolean"
  | "timestamp"
  | "tags"
  | "any-of"
  | "json";

/** A visible field of a resource, as filters, `sort` and `q` know it. */
export interface Field {
  kind: FieldKind;
  /** Column or expression in the resource's statement; for `text-contains` it holds folded text (see `fold`). */
  column: Sql;
  /** Words of an `enum`; others are refused. */
  values?: readonly string[];
  /**
   * For `text-contains` in a column that holds several texts: the characters around this one. They occur once each in
   * every value of the column, and in no text.
   */
  marks?: readonly [open: string, close: string];
  /** What is null when the field has no value; the column when absent. */
  nullColumn?: Sql;
  /** What `sort` orders by: the column when absent; false where an order makes no sense. */
  sort?: Sql | false;
}

/** Longest text of one value, in characters; more is refused before anything looks at it. */
const valueCharsMax = 1000;
/** Most values for one field in one request. */
const valuesMax = 5000;

/** Text as `text-contains` compares it: composed, lower case, no control characters. Independent of any locale. */
export function fold(text: string): string {
  return text
    .replace(/[\u0000-\u001f]/g, " ")
    .normalize("NFC")
    .toLowerCase();
}

/** The condition that `field` (asked for as `path`, with `keys` below it for `json`) has one of the values as sent. */
export function condition(
  path: string,
  field: Field,
  sent: { keys: string[]; values: string[] },
): Sql | null {
  const values = [...new Set(sent.values.flatMap(listed))].filter((value) => value !== "");
  if (values.length === 0) return null;
  if (values.length > valuesMax) throw invalid(path, `at most ${valuesMax} values at once`);
  for (const value of values) assertSane(path, value);
  const some = values.filter((value) => value !== "null");
  const conditions: Sql[] = [];
  if (some.length > 0) conditions.push(matches(path, field, { keys: sent.keys, values: some }));
  if (some.length < values.length) conditions.push(isNull(field, sent.keys));
  return conditions.length === 1 ? conditions[0]! : sql`(${join(conditions, " or ")})`;
}

/** `a,b` is two values; `a\,b` is one with a comma. */
function listed(value: string): string[] {
  if (!value.includes(",")) return [value.trim()];
  const parts: string[] = [];
  let part = "";
  for (let at = 0; at < value.length; at++) {
    const char = value[at]!;
    if (char === "\\" && value[at + 1] === ",") part += value[++at];
    else if (char === ",") {
      parts.push(part.trim());
      part = "";
    } else part += char;
  }
  parts.push(part.trim());
  return parts;
}

function assertSane(path: string, value: string): void {
  if (value.length > valueCharsMax) throw invalid(path, `a value has at most ${valueCharsMax} characters`);
  if (value.includes("\0")) throw invalid(path, "a value cannot hold the character NUL; leave it out");
}

function isNull(field: Field, keys: string[]): Sql {
  const column = field.nullColumn ?? field.column;
  if (field.kind === "json") return sql`(${column} #>> ${keys}::text[]) is null`;
  if (field.kind === "tags" || field.kind === "any-of") return sql`coalesce(${column}, '{}') = '{}'`;
  return sql`${column} is null`;
}

function matches(path: string, field: Field, { keys, values }: { keys: string[]; values: string[] }): Sql {
  const { column } = field;
  switch (field.kind) {
    case "id":
      return equals(
        column,
        values.map((value) => idOf(path, value)),
      );
    case "enum":
      return equals(
        column,
        values.map((value) => wordOf(path, field, value)),
      );
    case "text-exact":
      return equals(column, values);
    case "boolean":
      return equalsBoolean(path, column, values);
    case "text-contains":
      return contains(field, values);
    case "number":
      return numbers(path, column, values);
    case "timestamp":
      return timestamps(path, column, values);
    case "tags":
      return sql`${column} @> ${values}::text[]`;
    case "any-of":
      return sql`${column} && ${values.map((value) => wordOf(path, field, value))}::text[]`;
    case "json":
      return equals(sql`(${column} #>> ${keys}::text[])`, values);
  }
}

/** One value and several have their own text: the planner uses the order of an index only for the first. */
function equals(column: Sql, values: string[]): Sql {
  return values.length === 1 ? sql`${column} = ${values[0]}` : sql`${column} = ${any(values)}`;
}

function idOf(path: string, value: string): string {
  const id = value.toLowerCase();
  if (!isId(id)) throw invalid(path, "an id has 24 characters, 0-9 and a-f; or send null");
  return id;
}

function wordOf(path: string, field: Field, value: string): string {
  if (field.values !== undefined && !field.values.includes(value)) {
    throw invalid(path, `must be one of ${field.values.join(", ")}`);
  }
  return value;
}

function equalsBoolean(path: string, column: Sql, values: string[]): Sql {
  const wanted = values.map((value) => {
    if (value === "true" || value === "1") return true;
    if (value === "false" || value === "0") return false;
    throw invalid(path, "must be true or false");
  });
  return sql`${column} = any(${wanted}::boolean[])`;
}

function contains({ column, marks }: Field, values: string[]): Sql {
  const [open, close] = marks ?? ["", ""];
  const patterns = values.map((value) => `%${open}${open && "%"}${likeText(value)}%${close}${close && "%"}`);
  return patterns.length === 1
    ? sql`${column} like ${patterns[0]}`
    : sql`${column} like any(${patterns}::text[])`;
}

/** Folded text with what LIKE takes as special escaped. */
export function likeText(text: string): string {
  return fold(text).replace(/[\\%_]/g, "\\$&");
}

/** Reads `<`, `<=`, `>` or `>=` before a value. */
function bound(value: string): { operator: "" | "<" | "<=" | ">" | ">="; text: string } {
  for (const operator of ["<=", ">=", "<", ">"] as const) {
    if (value.startsWith(operator)) return { operator, text: value.slice(operator.length).trim() };
  }
  return { operator: "", text: value };
}

/** The tightest bound of each kind is kept, so that there are few texts of statements. */
function tightest(bounds: { operator: string; value: number }[]): { operator: string; value: number }[] {
  const best = new Map<string, number>();
  for (const { operator, value } of bounds) {
    const known = best.get(operator);
    const tighter = operator.startsWith("<") ? Math.min : Math.max;
    best.set(operator, known === undefined ? value : tighter(known, value));
  }
  return ["<", "<=", ">", ">="]
    .filter((operator) => best.has(operator))
    .map((operator) => ({ operator, value: best.get(operator)! }));
}

function compare(left: Sql, operator: string, right: Sql): Sql {
  switch (operator) {
    case "<":
      return sql`${left} < ${right}`;
    case "<=":
      return sql`${left} <= ${right}`;
    case ">":
      return sql`${left} > ${right}`;
    default:
      return sql`${left} >= ${right}`;
  }
}

function numbers(path: string, column: Sql, values: string[]): Sql {
  const read = values.map(bound).map(({ operator, text }) => ({ operator, value: numberOf(path, text) }));
  const exact = read.filter(({ operator }) => operator === "").map(({ value }) => value);
  const bounds = tightest(read.filter(({ operator }) => operator !== ""));
  const parts = bounds.map(({ operator, value }) => compare(column, operator, sql`${value}::float8`));
  if (exact.length > 0) parts.push(sql`${column} = ${any(exact, "float8")}`);
  return all(parts);
}

function numberOf(path: string, text: string): number {
  const value = /^[+-]?(\d{1,20}(\.\d{0,20})?|\.\d{1,20})([eE][+-]?\d{1,3})?$/.test(text)
    ? Number(text)
    : Number.NaN;
  if (!Number.isFinite(value)) throw invalid(path, "must be a number, with < or > before it for a bound");
  return value;
}

function timestamps(path: string, column: Sql, values: string[]): Sql {
  const read = values.map(bound).map(({ operator, text }) => ({ operator, span: spanOf(path, text) }));
  const bounds = read
    .filter(({ operator }) => operator !== "")
    .map(({ operator, span }) => ({ operator, value: operator === "<=" ? span.last : span.start }));
  const parts = tightest(bounds).map(({ operator, value }) => compare(column, operator, instant(value)));
  const exact = read.filter(({ operator }) => operator === "");
  if (exact.length > 0) {
    const starts = exact.map(({ span }) => new Date(span.start).toISOString());
    const lasts = exact.map(({ span }) => new Date(span.last).toISOString());
    parts.push(
      starts.length === 1
        ? sql`${column} between ${starts[0]}::timestamptz and ${lasts[0]}::timestamptz`
        : sql`exists (select from unnest(${starts}::timestamptz[], ${lasts}::timestamptz[]) as span (first, last)
            where ${column} between span.first and span.last)`,
    );
  }
  return all(parts);
}

const instant = (ms: number) => sql`${new Date(ms).toISOString()}::timestamptz`;

function all(parts: Sql[]): Sql {
  return parts.length === 0 ? empty : join(parts, " and ");
}

const timestampForm =
  /^(\d{4})-?(\d\d)-?(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,3})\d{0,6})?)?(Z|[+\- ]\d\d:?\d\d)?)?$/;

/** First and last millisecond that a date (a UTC day) or a time (its second, as answers show it) stands for. */
function spanOf(path: string, text: string): { start: number; last: number } {
  const found = text.length <= 40 ? timestampForm.exec(text) : null;
  const [, year, month, day, hour = "00", minute = "00", second = "00", fraction, zone = "Z"] = found ?? [];
  const utc = Date.parse(
    `${year}-${month}-${day}T${hour}:${minute}:${second}.${(fraction ?? "0").padEnd(3, "0")}Z`,
  );
  // Date.parse takes 31 February for 2 March: the day must come back as sent. Year 0 has no place in PostgreSQL.
  if (
    found === null ||
    Number.isNaN(utc) ||
    new Date(utc).getUTCDate() !== Number(day) ||
    Number(year) === 0
  ) {
    throw invalid(
      path,
      "must be a date such as 2026-01-31 or 2026-01-31T12:00:00+0100, with < or > for a bound",
    );
  }
  const start = utc - zoneMs(zone);
  const length = found[4] === undefined ? 86_400_000 : fraction === undefined ? 1000 : 1;
  return { start, last: start + length - 1 };
}

/** Offset of `+0100`, `+01:00` or `Z`; a space stands where a `+` of a URL was not encoded. */
function zoneMs(zone: string): number {
  if (zone === "Z") return 0;
  const digits = zone.slice(1).replace(":", "");
  const minutes = Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2));
  return (zone.startsWith("-") ? -minutes : minutes) * 60_000;
}
