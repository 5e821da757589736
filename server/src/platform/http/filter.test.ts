import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../../../../test/harness/database.ts";
import { sql } from "../db.ts";
import { Problem } from "../problem.ts";
import { type Fields, fieldsOf, fold, type ListQuery, readList } from "./filter.ts";

const fields: Fields = fieldsOf({
  _id: { kind: "id", column: sql`t.id` },
  "owner._id": { kind: "id", column: sql`t.owner` },
  name: {
    kind: "text-contains",
    column: sql`t.search`,
    marks: ["\u0001", "\u0002"],
    nullColumn: sql`t.name`,
    sort: sql`t.name`,
  },
  ean: { kind: "text-exact", column: sql`t.ean` },
  type: { kind: "enum", column: sql`t.type`, values: ["heat", "water", "gas"] },
  size: { kind: "number", column: sql`t.size` },
  open: { kind: "boolean", column: sql`t.open` },
  created: { kind: "timestamp", column: sql`t.created` },
  tags: { kind: "tags", column: sql`t.tags` },
  metrics: { kind: "any-of", column: sql`t.tags` },
  custom: { kind: "json", column: sql`t.custom` },
});

interface Thing {
  id: string;
  owner: string | null;
  name: string | null;
  ean: string | null;
  type: string;
  size: number | null;
  open: boolean;
  created: string;
  tags: string[];
  custom: object;
}

const idOf = (n: number) => n.toString(16).padStart(24, "0");

const things: Thing[] = [
  {
    name: "Storgatan 1, Lund",
    ean: "100",
    type: "heat",
    size: 1,
    open: true,
    tags: ["a", "b"],
    custom: { x: { y: "1" } },
  },
  {
    name: "STORGATAN 2",
    ean: "200",
    type: "water",
    size: 2.5,
    open: false,
    tags: ["a"],
    custom: { x: { y: 2 } },
  },
  { name: "Åsgatan 50%_\\", ean: "null", type: "gas", size: -3, open: true, tags: [], custom: {} },
  {
    name: null,
    ean: null,
    type: "gas",
    size: null,
    open: false,
    tags: ["b"],
    custom: { x: null, "odd key": "v" },
  },
].map((thing, index) => ({
  ...thing,
  id: idOf(index + 1),
  owner: index < 2 ? idOf(0xabc) : null,
  created: `2026-01-0${index + 1}T12:00:00.250Z`,
}));

let t: TestDatabase;
/** Rows come from a parameter, so that the tests need no table. */
const source = sql`jsonb_to_recordset(${JSON.stringify(
  things.map((thing) => ({
    ...thing,
    search: `\u0001${fold(thing.name ?? "")}\u0002${fold(thing.ean ?? "")}`,
  })),
)}::jsonb) as t (id text, owner text, name text, ean text, type text, size float8, open boolean,
  created timestamptz, tags text[], custom jsonb, search text)`;

beforeAll(async () => {
  t = await testDatabase();
});
afterAll(() => t.drop());

function read(query: string, ignored: string[] = []): ListQuery {
  return readList(new URLSearchParams(query), {
    fields,
    words: (pattern) => sql`t.search like ${pattern}`,
    ignored: (name) => ignored.push(name),
  });
}

/** Numbers (from 1) of the things that a query finds, in its order. */
async function find(query: string): Promise<number[]> {
  const list = read(query);
  const rows = await t.db.rows<{ id: string }>(
    sql`select t.id from ${source} where true${list.where} order by ${list.orderBy} offset ${list.skip} limit ${list.limit}`,
  );
  return rows.map((row) => Number.parseInt(row.id, 16));
}

describe("filters find", () => {
  test.each([
    ["", [1, 2, 3, 4]],
    ["name=storgatan", [1, 2]],
    ["name=STORGATAN%201%5C,%20lund", [1]],
    ["name=%C3%A5sgatan", [3]],
    ["name=50%25_%5C", [3]],
    ["name=5_%25", []],
    ["name=100", []],
    ["name=lund,2", [1, 2]],
    ["name=null", [4]],
    ["name=null,lund", [1, 4]],
    ["ean=100", [1]],
    ["ean=100,200", [1, 2]],
    ["ean=100&ean=200", [1, 2]],
    ["ean=null", [4]],
    ["ean=10", []],
    ["type=heat,water", [1, 2]],
    ["type=heat&open=false", []],
    ["size=>1", [2]],
    ["size=>=1", [1, 2]],
    ["size=<0", [3]],
    ["size=>-5&size=<2", [1, 3]],
    ["size=1,-3", [1, 3]],
    ["size=%3C1.5", [1, 3]],
    ["size=null", [4]],
    ["open=true", [1, 3]],
    ["open=false,true", [1, 2, 3, 4]],
    ["created=2026-01-02", [2]],
    ["created=20260102", [2]],
    // A blank stands where the plus of an offset was not encoded.
    ["created=2026-01-02T12:00:00+0000", [2]],
    ["created=2026-01-02T13:00:00%2B01:00", [2]],
    ["created=2026-01-02,2026-01-04", [2, 4]],
    ["created=>2026-01-02&created=<2026-01-04", [2, 3]],
    ["created=>=2026-01-02T12:00:00.251Z", [3, 4]],
    ["created=<=2026-01-02", [1, 2]],
    ["tags=a", [1, 2]],
    ["tags=a,b", [1]],
    ["tags=a&tags=b", [1]],
    ["tags=null", [3]],
    ["metrics=a,b", [1, 2, 4]],
    [`owner._id=${idOf(0xabc)}`, [1, 2]],
    [`owner._id=${idOf(0xabc).toUpperCase()}`, [1, 2]],
    ["owner._id=null", [3, 4]],
    ["custom.x.y=1", [1]],
    ["custom.x.y=1,2", [1, 2]],
    ["custom.odd key=v", [4]],
    ["custom.x=null", [3, 4]],
    ["type=", [1, 2, 3, 4]],
    ["type=,", [1, 2, 3, 4]],
    ["q=storgatan", [1, 2]],
    ["q=storgatan AND 200", [2]],
    ["q=type:gas AND %C3%A5s", [3]],
    ["q=size:>1", [2]],
    ["q=nosuch:thing", []],
    ["sort=-size", [4, 2, 1, 3]],
    ["sort=size", [3, 1, 2, 4]],
    ["sort=open,-size", [4, 2, 1, 3]],
    ["sort=-_id", [4, 3, 2, 1]],
    ["skip=1&limit=2", [2, 3]],
    ["offset=3", [4]],
    ["skip=1000000000", []],
    ["limit=0", [1]],
  ])("%s", async (query, expected) => expect(await find(query)).toEqual(expected));
});

describe("values that do not fit are a 400 that names the field and the remedy", () => {
  test.each([
    ["owner._id=abc", "owner._id", "24 characters"],
    ["type=steam", "type", "one of heat, water, gas"],
    ["size=many", "size", "must be a number"],
    ["size=>", "size", "must be a number"],
    ["size=1e999", "size", "must be a number"],
    ["size=0x10", "size", "must be a number"],
    ["open=maybe", "open", "true or false"],
    ["created=yesterday", "created", "must be a date"],
    ["created=2026-02-30", "created", "must be a date"],
    ["created=2026-13-01", "created", "must be a date"],
    ["created=0000-01-01", "created", "must be a date"],
    ["name=a%00b", "name", "NUL"],
    [`name=${"x".repeat(1001)}`, "name", "1000 characters"],
    ["limit=ten", "limit", "whole number"],
    ["skip=1.5", "skip", "whole number"],
    [`ean=${Array.from({ length: 5001 }, (_, n) => n).join()}`, "ean", "at most 5000"],
    [`q=${Array(21).fill("a").join(" AND ")}`, "q", "at most 20"],
    ["q=type:steam", "type", "one of"],
    ["sort=name,size,open,ean,type,created", "sort", "at most 5"],
  ])("%s", (query, field, remedy) => {
    const problem = catchProblem(() => read(query));
    expect(problem.code).toBe("invalid");
    expect(problem.errors?.[field]?.[0]).toContain(remedy);
  });
});

function catchProblem(work: () => unknown): Problem {
  try {
    work();
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

test("unknown paths are told and change nothing", async () => {
  const odd = [
    "__proto__=1",
    "constructor=1",
    "$where=1",
    "a[$ne]=1",
    "owner..id=1",
    "owner._id.x=1",
    "custom=1",
    "custom.=1",
    "custom..x=1",
    `custom${".x".repeat(100)}=1`,
    "password_hash=>m",
    `${"x".repeat(5000)}=1`,
    "sort=password_hash",
    "sort=tags",
  ];
  for (const query of odd) {
    const ignored: string[] = [];
    const list = read(query, ignored);
    expect(ignored, query).toHaveLength(1);
    expect(list.where.text).toBe("");
    expect(await find(query), query).toEqual([1, 2, 3, 4]);
  }
});

test("paging is clamped", () => {
  expect(read("limit=1000")).toMatchObject({ skip: 0, limit: 300 });
  expect(read("limit=-5&skip=-5")).toMatchObject({ skip: 0, limit: 1 });
  expect(read("")).toMatchObject({ skip: 0, limit: 50 });
});

test("the same filters give the same text, whatever their order and values", () => {
  const text = (query: string) => read(query).where.text;
  expect(text("size=>1&type=heat&ean=1,2")).toBe(text("ean=77&ean=5,8&type=gas&size=>100"));
  expect(text("created=2026-01-01,2026-01-02")).toBe(
    text("created=2026-01-01,2026-01-02,2026-01-03,2026-01-04"),
  );
  expect(text("name=a,b")).toBe(text("name=x,y,z"));
  expect(text("size=>1&size=>2&size=<9")).toBe(text("size=<3&size=>0"));
  expect(text("custom.a=1")).toBe(text("custom.b.c.d=x"));
});

describe("generated queries", () => {
  const path = fc.oneof(
    fc.constantFrom(
      "_id",
      "owner._id",
      "name",
      "ean",
      "type",
      "size",
      "open",
      "created",
      "tags",
      "metrics",
      "custom.x",
    ),
    fc.constantFrom(
      "custom.x.y",
      "sort",
      "q",
      "skip",
      "limit",
      "offset",
      "__proto__",
      "size.x",
      "custom.__proto__",
    ),
    fc.string({ maxLength: 12 }),
  );
  const value = fc.oneof(
    fc.string({ maxLength: 20, unit: "binary" }),
    fc.constantFrom(
      "null",
      "true",
      "<5",
      ">2026-01-01",
      "heat",
      "a,b",
      "%",
      "_",
      "\\",
      "'",
      "$1",
      ";--",
      idOf(1),
      "1e5",
    ),
    fc.constantFrom(
      "name",
      "-size,name",
      "name:stor AND size:>1",
      "999999999999999999999",
      "-1",
      "2026-01-01T00:00",
    ),
  );

  test("never reach SQL as text, and the database takes every one of them", async () => {
    const texts = new Set<string>();
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(path, value), { maxLength: 5 }), async (pairs) => {
        const search = new URLSearchParams(
          pairs.map(([name, text]): [string, string] => [name, text.toWellFormed()]),
        );
        let list: ListQuery;
        try {
          list = readList(search, {
            fields,
            words: (pattern) => sql`t.search like ${pattern}`,
            ignored: () => undefined,
          });
        } catch (error) {
          expect(error).toBeInstanceOf(Problem);
          return;
        }
        texts.add(list.where.text.replace(/\$\d+/g, "$"));
        await t.db.rows(
          sql`select t.id from ${source} where true${list.where} order by ${list.orderBy}
              offset ${list.skip} limit ${list.limit}`,
        );
      }),
      { numRuns: 1500 },
    );
    // Every character of the texts is ours: no quotes, no digits but casts, no generated text.
    for (const text of texts) expect(text).toMatch(/^[a-z0-9_.\s(),<>=@&#:$[\]{}']*$/);
  });

  test("bounds agree with plain comparison", async () => {
    const bound = fc.tuple(fc.constantFrom("<", "<=", ">", ">="), fc.integer({ min: -4, max: 4 }));
    await fc.assert(
      fc.asyncProperty(fc.array(bound, { minLength: 1, maxLength: 4 }), async (bounds) => {
        const compare = (size: number) =>
          bounds.every(([operator, limit]) =>
            operator === "<"
              ? size < limit
              : operator === "<="
                ? size <= limit
                : operator === ">"
                  ? size > limit
                  : size >= limit,
          );
        const expected = things.flatMap((thing, index) =>
          thing.size !== null && compare(thing.size) ? [index + 1] : [],
        );
        const search = new URLSearchParams(
          bounds.map(([operator, limit]): [string, string] => ["size", `${operator}${limit}`]),
        );
        expect(await find(search.toString())).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });
});
