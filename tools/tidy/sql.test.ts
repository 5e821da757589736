import { describe, expect, test } from "vitest";
import { type Complaint, treeOf } from "./source.ts";
import { sqlRule } from "./sql.ts";
import { tablesIn, tokensOf } from "./sql-text.ts";
import { migrationRule } from "./tables.ts";

const migrations = {
  "server/migrations/0001_meters.sql": `
    create table meter (id text primary key); -- a remark; with a semicolon
    create table meter_stat (part int, meter_id text, primary key (part, meter_id));`,
  "server/migrations/0002_series.sql": `
    create table block (part int, series_id bigint, primary key (part, series_id));
    create table series (part int, series_id bigint, unique (part, series_id));`,
};

function said(path: string, text: string): string[] {
  return sqlRule(treeOf({ ...migrations, [path]: text })).map((each: Complaint) => each.message);
}

const series = (text: string) => said("server/src/series/a.ts", `db.rows(sql\`${text}\`)`);
const query = "$" + "{part}";

describe("owners", () => {
  test("a folder names its own tables only", () => {
    expect(said("server/src/meters/a.ts", "sql`select id from meter`")).toEqual([]);
    expect(said("server/src/trees/a.ts", "sql`select id from meter`")).toEqual([
      expect.stringContaining("meters/meters.ts"),
    ]);
    expect(said("server/src/trees/a.ts", "sql`(select from meter m)`")).toHaveLength(1);
    expect(said("server/src/trees/a.test.ts", "sql`select id from meter`")).toEqual([]);
  });

  test("prepared statements, COPY and plain queries count too", () => {
    expect(
      said("server/src/trees/a.ts", '({ name: "x", text: "select id from meter", values: [] })'),
    ).toHaveLength(1);
    expect(said("server/src/trees/a.ts", 'copyFrom("copy meter (id) from stdin")')).toHaveLength(1);
    expect(said("server/src/trees/a.ts", "client.query(`delete from meter`)")).toHaveLength(1);
  });

  test("a name of a with is no table", () => {
    expect(
      said("server/src/trees/a.ts", "sql`with recursive meter as (select 1) select from meter`"),
    ).toEqual([]);
  });

  test("a table hidden in a value is found", () => {
    expect(series(`delete from \${table} where part = 1`)).toEqual([expect.stringContaining("hidden")]);
    expect(series(`select 1 from block where part = ${query}`)).toEqual([]);
  });
});

describe("statements on tables that are spread over machines", () => {
  test.for([
    `select data from block where part = ${query}`,
    `select data from block b where b.part = ${query} and n > 1`,
    `select data from block where part = \${any(parts, "int4")}`,
    `select data from unnest(\${ids}::int8[]) as k (id) join block b on b.series_id = k.id where b.part = ${query}`,
    `select 1 from block b join series s on s.part = b.part and s.series_id = b.series_id where b.part = ${query}`,
    `insert into block (part, series_id) values \${join(rows)} on conflict (part, series_id) do update set n = excluded.n`,
    `update block set n = 1 where part = ${query} and series_id = 2`,
    `delete from block where part = ${query}`,
    `select off from block where part = ${query} for update`,
    `select extract(epoch from stored) from block where part = ${query} and n is distinct from 2`,
  ])("%s", (text) => {
    expect(series(text)).toEqual([]);
  });

  test.for([
    ["select data from block where series_id = 1", "needs its part"],
    ["select part from block", "needs its part"],
    [
      `select 1 from block b join series s on s.series_id = b.series_id where b.part = ${query}`,
      "series needs its part",
    ],
    ["insert into block (series_id) values (1)", "needs its part"],
    ["update block set n = 1 where series_id = 2", "needs its part"],
    [`update block set stored = now() where part = ${query}`, "now in a write"],
    [`insert into series (part, series_id) values (1, nextval('s'))`, "nextval in a write"],
    [`insert into series (part, series_id) values ((select 1), 2)`, "no subquery"],
    [`select off from block where part = \${any(parts)} for update`, "no row locks"],
    ["merge into block using x on part = 1 when matched then delete", "no merge"],
    [`select 1 from block, unnest(a) as u (b), series where part = ${query}`, "series needs its part"],
  ])("%s: %s", ([text, why]) => {
    expect(series(text!).join("; ")).toContain(why);
  });

  test("two statements instead of a join with a table that stays", () => {
    const text = `sql\`select 1 from meter_stat s join meter m on m.id = s.meter_id where s.part = ${query}\``;
    expect(said("server/src/meters/a.ts", text)).toEqual([expect.stringContaining("use two statements")]);
  });
});

test("tokens know comments, strings and quoted names", () => {
  expect(tokensOf(`select 'it''s; -- no' , "A b" -- end\n/* ; */ from x`)).toEqual([
    "select",
    "''",
    "''",
    ",",
    "A b",
    "from",
    "x",
  ]);
});

test("tables are told from words of the same place", () => {
  const known = new Set(["a", "b", "c"]);
  const tables = (text: string) =>
    tablesIn(tokensOf(text), known).map(({ table, alias }) => `${table} ${alias}`);
  expect(tables("select x from a, lateral b as y, only c z where 1 = 1")).toEqual(["a a", "b y", "c z"]);
  expect(tables("select trim(both from a) from public.b")).toEqual(["b b"]);
  expect(tables("insert into a (x) select 1 from b on conflict (x) do update set x = 2")).toEqual([
    "a a",
    "b b",
  ]);
  expect(tables("select 1 from a for no key update")).toEqual(["a a"]);
  expect(tables("delete from a using b where a.x = b.x")).toEqual(["a a", "b b"]);
});

describe("migrations", () => {
  const of = (text: string) =>
    migrationRule(treeOf({ "server/migrations/0001_series.sql": text })).map(({ message }) => message);

  test("numbers have no gaps", () => {
    const tree = treeOf({ "server/migrations/0001_a.sql": "", "server/migrations/0003_b.sql": "" });
    expect(migrationRule(tree)).toMatchObject([{ path: "server/migrations/0003_b.sql" }]);
  });

  test.for([
    "create table block (part int, id int, primary key (part, id), unique (id, part))",
    "create table head (part int primary key, off bigint)",
    "create unique index x on block (part, id)",
    "create unique index x on account (lower(name))",
    "create table meter (id text primary key, a text references account (id))",
  ])("%s", (text) => {
    expect(of(text)).toEqual([]);
  });

  test.for([
    "create table block (part int, id int primary key)",
    "create table block (part int, id int, primary key (part, id), unique (id))",
    "create unique index x on block (id)",
    "alter table block add constraint x unique (id)",
    "create table block (part int, m text references meter (id), primary key (part, m))",
    "create table other (part int, s bigint references series (series_id))",
    "create or replace trigger x after insert on meter execute function f()",
  ])("not: %s", (text) => {
    expect(of(text)).toHaveLength(1);
  });
});
