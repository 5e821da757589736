import { describe, expect, test } from "vitest";
import { collect, iso, tally } from "../harness.ts";
import { zipOf } from "./harness.ts";
import { mapper } from "./mapper.ts";

const rels = (count: number): string =>
  `<Relationships>${Array.from({ length: count }, (_, at) => `<Relationship Id="r${at + 1}" Target="worksheets/sheet${at + 1}.xml"/>`).join("")}</Relationships>`;
const book = (names: string[], properties = ""): string =>
  `<workbook xmlns:r="urn:r">${properties}<sheets>${names.map((name, at) => `<sheet name="${name}" sheetId="${at + 1}" r:id="r${at + 1}"/>`).join("")}</sheets></workbook>`;
const styles =
  '<styleSheet><numFmts><numFmt numFmtId="164" formatCode="dd\\.mm\\.yyyy hh:mm"/></numFmts><cellXfs><xf numFmtId="0"/><xf numFmtId="164"/><xf numFmtId="14"/></cellXfs></styleSheet>';
const sheetOf = (rows: string): string => `<worksheet><sheetData>${rows}</sheetData></worksheet>`;
const text = (value: string): string => `<c t="inlineStr"><is><t>${value}</t></is></c>`;

function workbook(rows: string, files: Record<string, string | Buffer> = {}): Buffer {
  return zipOf({
    "xl/workbook.xml": book(["Data"]),
    "xl/_rels/workbook.xml.rels": rels(1),
    "xl/styles.xml": styles,
    "xl/worksheets/sheet1.xml": sheetOf(rows),
    ...files,
  });
}

const header = `<row r="1">${text("Start")}${text("Use (kWh)")}</row>`;
const zone = { version: 1, timezone: "Europe/Stockholm" };

test("dates by style, numbers as their shortest decimal, cells with and without addresses", async () => {
  const rows = `${header}
    <row r="2"><c r="A2" s="1"><v>45292</v></c><c r="B2"><v>0.10000000000000001</v></c></row>
    <row><c s="1"><v>45292.041666666664</v></c><c><v>1.5</v></c></row>
    <row r="9"><c r="A9" s="1"><v>45292.083333333336</v></c><c r="B9"/></row>`;
  const bytes = workbook(rows);
  expect(mapper.detect(bytes, "x.xlsx")).toBeGreaterThan(0.4);
  const got = await collect(mapper, bytes, { mapping: zone });
  expect(got.errors).toEqual([]);
  expect(got.intervals.map((item) => [iso(item.start), item.seconds, item.value, item.line])).toEqual([
    ["2023-12-31T23:00:00.000Z", 3600, 0.1, 2],
    ["2024-01-01T00:00:00.000Z", 3600, 1.5, 3],
    ["2024-01-01T01:00:00.000Z", 3600, null, 9],
  ]);
});

test("days that count from 1904, prefixed names, shared and rich texts", async () => {
  const rows =
    '<row><c t="s"><v>0</v></c><c t="s"><v>1</v></c></row><row><c s="2"><v>43830</v></c><c><v>5</v></c></row><row><c s="2"><v>43831</v></c><c><v>6</v></c></row>';
  const prefixed = sheetOf(rows)
    .replace(/<(\/?)(\w)/g, "<$1x:$2")
    .replace("<x:worksheet", '<x:worksheet xmlns:x="urn:x"');
  const got = await collect(
    mapper,
    workbook("", {
      "xl/workbook.xml": book(["Data"], '<workbookPr date1904="1"/>'),
      "xl/sharedStrings.xml":
        "<sst><si><t>Day</t></si><si><r><t>Use </t></r><r><t>(kWh)</t></r><rPh><t>x</t></rPh></si></sst>",
      "xl/worksheets/sheet1.xml": prefixed,
    }),
    { mapping: zone },
  );
  expect(got.errors).toEqual([]);
  expect(got.intervals.map((item) => [iso(item.start), item.seconds])).toEqual([
    ["2023-12-31T23:00:00.000Z", 86_400],
    ["2024-01-01T23:00:00.000Z", 86_400],
  ]);
  expect(tally(got, 0).total).toBe("11");
});

describe("what is refused", () => {
  const two = { "xl/workbook.xml": book(["A", "B"]), "xl/_rels/workbook.xml.rels": rels(2) };
  const day = (serial: number, cell: string): string => `<row><c s="2"><v>${serial}</v></c>${cell}</row>`;
  const days = header + day(45292, "<c><v>1</v></c>") + day(45293, "<c><v>2</v></c>");

  test("several sheets: the mapping names one", async () => {
    const bytes = workbook(days, { ...two, "xl/worksheets/sheet2.xml": sheetOf("") });
    const got = await collect(mapper, bytes, { mapping: zone });
    expect(got.errors).toMatchObject([{ field: "sheet", message: expect.stringContaining('"A", "B"') }]);
    expect((await collect(mapper, bytes, { mapping: { ...zone, sheet: "A" } })).intervals).toHaveLength(2);
    expect((await collect(mapper, bytes, { mapping: { ...zone, sheet: "C" } })).errors).toMatchObject([
      { field: "sheet" },
    ]);
  });

  test.each([
    ["a formula without a stored value", "<c><f>A1</f></c>"],
    ["an error value", '<c t="e"><v>#REF!</v></c>'],
    ["a truth value", '<c t="b"><v>1</v></c>'],
  ])("%s", async (_, cell) => {
    const got = await collect(mapper, workbook(days + day(45294, cell)), { mapping: zone });
    expect(got.errors).toMatchObject([{ line: 4 }]);
  });

  test("a meter number that became a rounded number", async () => {
    const rows =
      `<row>${text("MPAN")}${text("Start")}${text("Use (kWh)")}</row>` +
      `<row>${text("6.43007E+17")}<c s="2"><v>45292</v></c><c><v>1</v></c></row>`;
    const got = await collect(mapper, workbook(rows), { mapping: { ...zone, interval: "day" } });
    expect(got.errors).toMatchObject([{ field: "meter", line: 2 }]);
  });

  test("document types, depth, columns, missing parts, damage and cut-off archives", async () => {
    const deep = `<worksheet>${"<a>".repeat(100)}`;
    for (const bytes of [
      workbook("", { "xl/worksheets/sheet1.xml": `<!DOCTYPE x [<!ENTITY a "b">]>${sheetOf(days)}` }),
      workbook("", { "xl/worksheets/sheet1.xml": deep }),
      workbook(`<row><c r="ZZZ1"><v>1</v></c></row>`),
      workbook("", { "xl/worksheets/sheet1.xml": "<worksheet><sheetData><row>" }),
      zipOf({ "readme.txt": "no workbook" }),
      workbook(days).subarray(0, 300),
      Buffer.concat([Buffer.from("PK\x03\x04"), Buffer.alloc(100, 7)]),
    ]) {
      const got = await collect(mapper, bytes, { mapping: zone });
      expect(got.errors.length).toBeGreaterThan(0);
      expect(got.intervals).toEqual([]);
    }
  });

  test("a bomb stops at the limit", async () => {
    const sheet = Buffer.concat([
      Buffer.from("<worksheet><sheetData>"),
      Buffer.alloc(60_000_000, "<row></row>"),
    ]);
    const got = await collect(mapper, workbook("", { "xl/worksheets/sheet1.xml": sheet }), { mapping: zone });
    expect(got.errors).toMatchObject([{ message: expect.stringContaining("50 MB") }]);
  });
});
