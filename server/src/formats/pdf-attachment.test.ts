import { readFileSync } from "node:fs";
import { join } from "node:path";
import PDFDocument from "pdfkit";
import { describe, expect, test } from "vitest";
import { readInvoice, recognisesInvoice } from "./invoice-formats.ts";

const folder = join(import.meta.dirname, "cii/cases/gas-with-metering-point-in-a-property");
const xml = readFileSync(join(folder, "input.xml"));

/** A PDF with a line of text and attachments. */
async function pdf(attached: Record<string, Uint8Array>, options = {}): Promise<Buffer> {
  const document = new PDFDocument({ pdfVersion: "1.7", ...options });
  const chunks: Buffer[] = [];
  const done = new Promise<void>((resolve) => document.on("end", resolve));
  document.on("data", (chunk: Buffer) => chunks.push(chunk));
  for (const [name, content] of Object.entries(attached)) document.file(Buffer.from(content), { name });
  document.text("Rechnung RE-2024-0815");
  document.end();
  await done;
  return Buffer.concat(chunks);
}

describe("an invoice in a PDF", () => {
  test.each(["factur-x.xml", "zugferd-invoice.xml", "ZUGFeRD-invoice.xml", "xrechnung.xml"])(
    "is read from %s",
    async (name) => {
      const bytes = await pdf({ "Anlage.xml": Buffer.from("<a/>"), [name]: xml });
      expect(recognisesInvoice(bytes.subarray(0, 1_000), "Rechnung.pdf")).toBe(true);
      const alone = await readInvoice(xml, { fileName: "input.xml" });
      expect(await readInvoice(bytes, { fileName: "Rechnung.pdf" })).toEqual(alone);
      expect(await readInvoice(bytes, { fileName: "Rechnung.pdf", format: "cii" })).toEqual(alone);
    },
  );

  test("leaves the bytes that it was given alone", async () => {
    const bytes = await pdf({ "factur-x.xml": xml });
    const before = Buffer.from(bytes);
    await readInvoice(bytes, { fileName: "Rechnung.pdf" });
    expect(bytes.equals(before)).toBe(true);
  });

  test("tells its faults with the name of the attachment and the line in it", async () => {
    const broken = Buffer.from(xml.toString().replace("1890.00", "189O.00"));
    const line = broken.toString().split("189O.00")[0]!.split("\n").length;
    await expect(
      readInvoice(await pdf({ "factur-x.xml": broken }), { fileName: "Rechnung.pdf" }),
    ).rejects.toMatchObject({
      name: "Fault",
      message: expect.stringMatching(/^In the attachment factur-x\.xml: LineTotalAmount holds "189O\.00"/),
      place: { line },
    });
  });

  test("is refused when the attachment is something else", async () => {
    const bytes = await pdf({ "factur-x.xml": Buffer.from("<Order/>") });
    await expect(readInvoice(bytes, { fileName: "Rechnung.pdf" })).rejects.toThrow(
      /In the attachment factur-x\.xml: The file is in no format that we know/,
    );
  });

  test("is refused when the file is cut off or protected", async () => {
    const whole = await pdf({ "factur-x.xml": xml });
    await expect(readInvoice(whole.subarray(0, 40), { fileName: "Rechnung.pdf" })).rejects.toMatchObject({
      name: "Fault",
      message: expect.stringMatching(/PDF/),
    });
    const locked = await pdf({ "factur-x.xml": xml }, { userPassword: "geheim" });
    await expect(readInvoice(locked, { fileName: "Rechnung.pdf" })).rejects.toMatchObject({
      name: "Fault",
      message: expect.stringMatching(/password/),
    });
  });

  test("without one, says so", async () => {
    await expect(readInvoice(await pdf({}), { fileName: "Rechnung.pdf" })).rejects.toMatchObject({
      name: "Fault",
      message: expect.stringMatching(/PDF/),
    });
  });
});
