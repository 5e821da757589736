import { deflateSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Fault } from "../problems.ts";
import { changed, type Placed, pdfOf, simple, simplePage } from "./harness.ts";
import { inspectPdf, pdfTemplate } from "./pdf-invoice.ts";
import { readPdf } from "./text.ts";

async function read(pages: readonly (readonly Placed[])[], templates: readonly object[] = [simple]) {
  return pdfTemplate.read(await pdfOf(pages), { fileName: "x.pdf", templates });
}

/** What is told about a document that cannot be read. */
async function faultOf(
  pages: readonly (readonly Placed[])[],
  templates?: readonly object[],
): Promise<string> {
  const error = await read(pages, templates).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(Fault);
  return (error as Fault).message;
}

const tableOf = (more: object) => ({ ...simple, tables: [{ ...simple.tables[0], ...more }] });

describe("a document and its template", () => {
  test("give an invoice", async () => {
    const [invoice] = await read([simplePage]);
    expect(invoice).toMatchObject({
      format: "pdf-template:simple",
      number: "F-17",
      kind: "invoice",
      issued: "2026-03-05",
      due: null,
      currency: "SEK",
      rows: [
        { line: 1, description: "Fast avgift", quantity: "1", quantityUnit: "mån", amount: "1100.00" },
        { line: 2, description: "Rörlig avgift", quantity: "2500.5", quantityUnit: "kWh", amount: "-100.00" },
      ],
      totals: {
        net: "1000.00",
        vat: "250.00",
        gross: "1250.00",
        prepaid: "0",
        rounding: "0",
        payable: "1250.00",
      },
    });
  });

  test("are not changed by being read, also as a Buffer that is part of another one", async () => {
    const whole = Buffer.concat([Buffer.from("before"), await pdfOf([simplePage])]);
    const before = Buffer.from(whole);
    const [invoice] = await pdfTemplate.read(whole.subarray(6), { fileName: "x.pdf", templates: [simple] });
    expect(invoice!.number).toBe("F-17");
    expect(whole.equals(before)).toBe(true);
  });

  test("a field that is not there is told with what was looked for", async () => {
    expect(await faultOf([changed({ "Faktura: F-17": null })])).toBe(
      'Template "simple" does not read this document: fields.number: nothing stands to the right of "Faktura" on any page.',
    );
  });

  test("a field that is there twice and differs is not chosen from", async () => {
    const again = { text: "Faktura F-18", x: 40, y: 700 };
    const told = await faultOf([[...simplePage, again]]);
    expect(told).toContain('fields.number (page 1): "F-17" (page 1, x');
    expect(told).toContain('and "F-18" (page 1, x');
    const same = { text: "Faktura F-17", x: 40, y: 700 };
    expect((await read([[...simplePage, same]]))[0]!.number).toBe("F-17");
    const fields = { ...simple.fields, number: { label: "Faktura", zone: { y: [600, 800] } } };
    expect((await read([[...simplePage, again]], [{ ...simple, fields }]))[0]!.number).toBe("F-18");
  });

  test("a text in the wrong notation is told", async () => {
    expect(await faultOf([changed({ "2026-03-05": "5/3 2026" })])).toContain(
      'fields.issued: "5/3 2026" (page 1, x 400, y 80) is not a day written as yyyy-MM-dd or MMMM yyyy',
    );
    expect(await faultOf([changed({ "1 100,00": "1,100.00" })])).toContain(
      '"1,100.00" is no amount as in 1 234,50',
    );
    expect(await faultOf([changed({ "1 mån": "en mån" })])).toContain('"en mån" is no number');
  });

  test("numbers that run together are not parted by guessing", async () => {
    const two = [...simplePage, { text: "17", x: 290, y: 170 }];
    expect(await faultOf([two])).toContain('both stand in the column "quantity"');
    const long = changed({
      "Fast avgift": "Fast avgift för hela anläggningen med alla mätare, tillägg och rabatter 1",
    });
    expect(await faultOf([long])).toContain("runs over the border of columns");
  });

  test("lines that are no rows are told, skipped or belong to the row above", async () => {
    const wrapped = { text: "för säkring 25 A", x: 40, y: 179, size: 8 };
    expect((await read([[...simplePage, wrapped]]))[0]!.rows[0]!.description).toBe(
      "Fast avgift för säkring 25 A",
    );
    const heading = { text: "Tillägg", x: 40, y: 206 };
    const page = [
      ...simplePage.filter(({ y }) => y < 185),
      heading,
      ...simplePage.filter(({ y }) => y >= 220),
    ];
    expect(await faultOf([page])).toContain('the line "Tillägg" (y 206) is no row, as it has no amount');
    const [invoice] = await read([page], [tableOf({ skip: ["Tillägg"] })]);
    expect(invoice!.rows).toHaveLength(1);
  });

  test("the sum of a table must be right", async () => {
    const [invoice] = await read([simplePage], [tableOf({ sum: true })]);
    expect(invoice!.rows).toHaveLength(2);
    const told = await faultOf([changed({ "-100,00": "-100,10" })], [tableOf({ sum: true })]);
    expect(told).toContain("tables[0].sum (page 1): the rows add up to 999.9, and");
  });

  test("a table that stands twice is not read once", async () => {
    const again = [...simplePage.filter(({ y }) => y >= 150)].map((placed) => ({
      ...placed,
      y: placed.y + 200,
    }));
    expect(await faultOf([[...simplePage, ...again]])).toContain("the table stands again on page 1");
    const [invoice] = await read([[...simplePage, ...again]], [tableOf({ repeat: true })]);
    expect(invoice!.rows.map(({ line }) => line)).toEqual([1, 2, 3, 4]);
  });

  test("a section tells the meter of the rows below it, and rows without one are told", async () => {
    const section = { meteringPoint: "Anläggning" };
    const above = { text: "Anläggning 735 999 1", x: 40, y: 130 };
    const between = { text: "Anläggning: 735 999 2", x: 40, y: 177 };
    const points = async (...more: Placed[]) =>
      (await read([[...simplePage, ...more]], [tableOf({ section })]))[0]!.rows.map(
        (row) => row.meteringPoint,
      );
    expect(await points(above)).toEqual(["7359991", "7359991"]);
    expect(await points(above, between)).toEqual(["7359991", "7359992"]);
    const told =
      'tables[0].section.meteringPoint (page 1): no text above the header or the rows begins with "Anläggning"';
    expect(await faultOf([[...simplePage, between]], [tableOf({ section })])).toContain(told);
    // A row is a row, whatever its text begins with.
    const row = changed({ "Fast avgift": "Anläggning 3" });
    expect((await read([[...row, above]], [tableOf({ section })]))[0]!.rows).toHaveLength(2);
  });

  test("what may be missing must be readable where it is there", async () => {
    const totals = { ...simple.totals, prepaid: { label: "Förskott", optional: true } };
    expect((await read([simplePage], [{ ...simple, totals }]))[0]!.totals.prepaid).toBe("0");
    const printed = (text: string) => [...simplePage, { text: `Förskott ${text}`, x: 40, y: 300 }];
    expect((await read([printed("100,00")], [{ ...simple, totals }]))[0]!.totals.prepaid).toBe("100.00");
    expect(await faultOf([printed("1OO,00")], [{ ...simple, totals }])).toContain('"1OO,00" (page 1');
  });

  test("a table without an end, without rows or without a header is told", async () => {
    expect(await faultOf([simplePage], [tableOf({ end: "Slut" })])).toContain(
      'no line below the header begins with "Slut"',
    );
    expect(await faultOf([simplePage.filter(({ y }) => y < 170 || y > 200)])).toContain(
      "the table has no rows",
    );
    expect(await faultOf([changed({ Belopp: "Kronor" })])).toContain(
      'no line holds all of "Text", "Antal", "Belopp"',
    );
  });

  test("a table goes on below its header on the next page, between head and foot", async () => {
    const foot = (page: number) => ({ text: `Sida ${page} av 2`, x: 40, y: 800 });
    const head = { text: "Testverket AB, kopia", x: 40, y: 30 };
    const [first, second] = [simplePage.filter(({ y }) => y <= 170), simplePage.filter(({ y }) => y > 170)];
    const header = simplePage.filter(({ y }) => y === 150).map((placed) => ({ ...placed, y: 60 }));
    const body = { ...simple, body: { top: 40, bottom: 790 } };
    const all = [
      [...first, foot(1)],
      [head, ...second, foot(2)],
    ];
    expect((await read(all, [body]))[0]!.rows).toHaveLength(2);
    const repeated = [all[0]!, [head, ...header, ...second, foot(2)]];
    expect((await read(repeated, [body]))[0]!.rows).toHaveLength(2);
    expect(await faultOf(all)).toContain('the line "Sida 1 av 2" (y 800) is no row');
  });

  test("a credit note without signs is turned", async () => {
    const credit = { ...simple, credit: { words: ["Testverket AB"], negate: true } };
    const [invoice] = await read([simplePage], [credit]);
    expect(invoice).toMatchObject({
      kind: "credit",
      rows: [
        { amount: "-1100.00", quantity: "-1" },
        { amount: "100.00", quantity: "-2500.5" },
      ],
      totals: { net: "-1000.00", vat: "-250.00", gross: "-1250.00", prepaid: "0", payable: "-1250.00" },
    });
  });
});

describe("the choice of a template", () => {
  test("the one that asks for most of those that fit; two alike are told", async () => {
    const more = { ...simple, name: "more", document: { all: ["Testverket AB", "Att betala"] } };
    expect((await read([simplePage], [simple, more]))[0]!.format).toBe("pdf-template:more");
    const twin = { ...simple, name: "twin" };
    expect(await faultOf([simplePage], [simple, twin])).toContain(
      'The templates "simple" and "twin" fit equally well',
    );
    const later = { ...simple, fields: { ...simple.fields, number: { value: "later" } } };
    expect((await read([simplePage], [simple, later]))[0]!.number).toBe("F-17");
    const not = { ...more, document: { ...more.document, none: ["Faktura"] } };
    expect((await read([simplePage], [simple, not]))[0]!.format).toBe("pdf-template:simple");
  });

  test("none: each says what it lacks", async () => {
    const told = await faultOf([simplePage], [{ ...simple, document: { all: ["Annat verk"] } }]);
    expect(told).toContain('"simple" needs "Annat verk"');
    expect(told).toContain('"alvdal-energi" needs "Älvdal Energi AB"');
  });

  test("inspect tells what was found beside what was not", async () => {
    const bytes = await pdfOf([changed({ "Att betala": "Summa att betala" })]);
    const { applied } = await inspectPdf(bytes, [simple]);
    expect(applied!.fields).toContainEqual({
      field: "fields.number",
      text: "F-17",
      value: "F-17",
      page: 1,
      x: expect.closeTo(72, -1),
      y: expect.closeTo(80, 0),
    });
    expect(applied!.tables[0]).toMatchObject({ table: "tables[0]", page: 1, rows: [{ y: 170 }, { y: 185 }] });
    expect(applied!.problems).toEqual([
      {
        field: "totals.payable",
        page: null,
        message: 'nothing stands to the right of "Att betala" on any page',
      },
    ]);
    expect(applied!.invoice).toBeNull();
  });

  test("inspect applies the template that it is given, and tells that it is for others", async () => {
    const bytes = await pdfOf([simplePage]);
    const told = await inspectPdf(bytes, [{ ...simple, document: { all: ["Annat verk"] } }]);
    expect(told.applied!.problems).toEqual([
      { field: "document", page: null, message: 'is not for this document: it needs "Annat verk"' },
    ]);
    const none = await inspectPdf(bytes, []);
    expect(none.applied).toBeNull();
    expect(none.misfit).toContain("No template fits this PDF");
  });
});

describe("files that are refused", () => {
  const told = async (bytes: Uint8Array): Promise<string> => {
    const error = await readPdf(bytes).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(Fault);
    return (error as Fault).message;
  };
  const object = (dictionary: string, content: Uint8Array): Uint8Array =>
    Buffer.concat([
      Buffer.from(`%PDF-1.7\n1 0 obj\n<< /Length ${content.length} ${dictionary} >>\nstream\n`),
      content,
      Buffer.from("\nendstream\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"),
    ]);

  test("with a password", async () => {
    expect(await told(await pdfOf([simplePage], { userPassword: "secret" }))).toContain(
      "protected by a password",
    );
    expect(await told(await pdfOf([simplePage], { ownerPassword: "secret" }))).toContain(
      "protected by a password",
    );
  });

  test("without text, with too many pages, no PDF, damaged", async () => {
    expect(await told(await pdfOf([[]]))).toContain("holds a picture of an invoice and no text");
    expect(await told(await pdfOf(Array.from({ length: 201 }, () => simplePage)))).toContain("has 201 pages");
    expect(await told(Buffer.from("Faktura"))).toContain("is no PDF");
    expect(await told(Buffer.from("%PDF-1.7\nnothing"))).toContain("is no PDF that can be opened");
    expect(await told(new Uint8Array(20_000_001))).toContain("20.0 MB, more than 20 MB");
  });

  test("that unpack to too much", async () => {
    const bomb = deflateSync(Buffer.alloc(80_000_000), { level: 9 });
    expect(bomb.length).toBeLessThan(100_000);
    expect(await told(object("/Filter /FlateDecode", bomb))).toContain("unpacks to more than");
    expect(await told(object("/Filter /Fl#61teDecode", bomb))).toContain("unpacks to more than");
    // Damage at the end does not make it smaller.
    expect(await told(object("/Filter /FlateDecode", bomb.subarray(0, -20)))).toContain(
      "unpacks to more than",
    );
    const text = Buffer.from(`${base85(bomb)}~>`);
    expect(await told(object("/Filter [/ASCII85Decode /FlateDecode]", text))).toContain(
      "unpacks to more than",
    );
    const twice = object("/Filter [/FlateDecode /FlateDecode]", deflateSync(bomb));
    expect(await told(twice)).toContain("packed in an unusual way");
    expect(await told(object("/Filter /LZWDecode", bomb))).toContain("packed in an unusual way");
    expect(await told(object("/Filter 7 0 R", bomb))).toContain("packed in an unusual way");
  });

  test("that are damaged in any way are read or told, and nothing else", { timeout: 60_000 }, async () => {
    const whole = await pdfOf([simplePage], { compress: false });
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.nat(40), fc.nat(255), async (at, length, byte) => {
        const bytes = whole.slice();
        bytes.fill(byte, at, at + length);
        const error = await pdfTemplate.read(bytes, { fileName: "x.pdf", templates: [simple] }).then(
          () => undefined,
          (reason: unknown) => reason,
        );
        if (error !== undefined) expect(error).toBeInstanceOf(Fault);
      }),
      { numRuns: 150 },
    );
  });
});

function base85(bytes: Buffer): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 4) {
    const group = Buffer.alloc(4);
    const count = bytes.copy(group, 0, at, at + 4);
    let value = group.readUInt32BE();
    let digits = "";
    for (let i = 0; i < 5; i++) {
      digits = String.fromCharCode(33 + (value % 85)) + digits;
      value = Math.floor(value / 85);
    }
    text += digits.slice(0, count + 1);
  }
  return text;
}
