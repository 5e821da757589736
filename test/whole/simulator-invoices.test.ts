import { expect, test } from "vitest";
import { readInvoice } from "../../server/src/formats/format.ts";
import { tie } from "../../server/src/invoices/tie.ts";
import { testUtility } from "../../simulator/src/harness.ts";

test("invoices of the demo utility are read from PDF and UBL alike, and tie", async () => {
  const utility = await testUtility();
  try {
    const visitor = utility.visit();
    await visitor.login("demo");
    const [, pdfPath, , xmlPath] = /href="(\/invoices\/[^"]+\.pdf)"(.*?)href="(\/invoices\/[^"]+\.xml)"/.exec(
      await visitor.text("/invoices"),
    )!;
    const [pdf, ubl] = await Promise.all(
      [pdfPath!, xmlPath!].map(async (path) => {
        const bytes = new Uint8Array(await (await visitor.ask(path)).arrayBuffer());
        const invoices = await readInvoice(bytes, { fileName: path.slice(10) });
        expect(invoices).toHaveLength(1);
        expect(tie(invoices[0]!)).toEqual({ ok: true });
        return invoices[0]!;
      }),
    );
    expect(pdf!.format).toBe("pdf-template:alvdal-energi");
    expect(pdf!.rows.map(({ description, amount }) => [description, amount])).toEqual(
      ubl!.rows.map(({ description, amount }) => [description, amount]),
    );
    expect([pdf!.number, pdf!.period, pdf!.meteringPoints]).toEqual([
      ubl!.number,
      ubl!.period,
      [ubl!.rows[0]!.meteringPoint],
    ]);
    expect(Number(pdf!.totals.payable)).toBe(Number(ubl!.totals.payable));
    expect(Number(pdf!.totals.rounding)).toBe(Number(ubl!.totals.rounding));
  } finally {
    await utility.close();
  }
});
