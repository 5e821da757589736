import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readInvoice, recognisesInvoice } from "./invoice-formats.ts";

const xml = readFileSync(join(import.meta.dirname, "cii/cases/credit-note/input.xml"));

test("what is no document at all is refused in words", async () => {
  await expect(readInvoice(Buffer.from(""), { fileName: "a.xml" })).rejects.toThrow("The file is empty.");
  await expect(readInvoice(Buffer.from("a;b\n1;2\n"), { fileName: "a.csv" })).rejects.toThrow(
    /in no format that we know \(ubl, cii, finvoice, pdf-template\)\. Ask the sender for one of them\.$/,
  );
  await expect(readInvoice(xml, { fileName: "a.xml", format: "ublx" })).rejects.toThrow(/no format "ublx"/);
  await expect(readInvoice(xml, { fileName: "a.xml", format: "ubl" })).rejects.toThrow(
    /is a CrossIndustryInvoice, no Invoice/,
  );
});

test("an invoice is told from files of values by its beginning", () => {
  const head = (text: string) => Buffer.from(text);
  expect(recognisesInvoice(xml.subarray(0, 2_000), "a.xml")).toBe(true);
  expect(recognisesInvoice(head("%PDF-1.7\n"), "a")).toBe(true);
  expect(recognisesInvoice(head('<feed xmlns="http://www.w3.org/2005/Atom">'), "a.xml")).toBe(false);
  expect(recognisesInvoice(head("meter;from;to;kWh\n"), "invoice.csv")).toBe(false);
});

test("long texts are cut, long numbers are refused", async () => {
  const changed = (from: string, to: string) =>
    readInvoice(Buffer.from(xml.toString().replace(from, to)), { fileName: "a.xml" });
  const [invoice] = await changed("Arbeitspreis", "A".repeat(5_000));
  expect(invoice!.rows[0]!.description).toBe(`${"A".repeat(1_000)}…`);
  const [named] = await changed("Muster Energievertrieb GmbH", "M".repeat(5_000));
  expect(named!.seller.name).toHaveLength(1_001);
  await expect(changed("G-9", "9".repeat(201))).rejects.toMatchObject({
    name: "Fault",
    message: expect.stringMatching(/^The number of the document is longer than 200 characters: "999/),
    place: { field: "number" },
  });
  await expect(changed('unitCode="KWH"', `unitCode="${"K".repeat(300)}"`)).rejects.toThrow(/unit of row 1/);
});

test("a metering point that is printed in groups of digits is the same as without them", async () => {
  const several = readFileSync(
    join(import.meta.dirname, "ubl/cases/several-metering-points/input.xml"),
    "utf8",
  );
  const grouped = several.replaceAll(/>(\d{3})(\d{3})(\d{6})(\d{6})</g, ">$1 $2 $3\u00a0$4<");
  expect(grouped).not.toBe(several);
  const read = (text: string) => readInvoice(Buffer.from(text), { fileName: "a.xml" });
  expect(await read(grouped)).toEqual(await read(several));
});
