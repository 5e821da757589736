import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { sampleInvoice } from "../../server/src/demo/harness.ts";
import { printInvoice } from "../../server/src/demo/print-invoice.ts";
import template from "../../server/src/formats/pdf-invoice/templates/alvdal-energi.json" with {
  type: "json",
};
import { metertree, metertreeJson, scratch } from "../harness/process.ts";

const folder = scratch();
const invoice = `${folder.path}/invoice.pdf`;
const own = `${folder.path}/own.json`;

beforeAll(async () => {
  writeFileSync(invoice, await printInvoice(sampleInvoice("alvdal-energi")));
});
afterAll(() => folder.remove());

test("inspect shows what is in an invoice: fields with their places, rows with their costs, whether it ties", async () => {
  const { stdout, code } = await metertree(["inspect", invoice]);
  expect(code).toBe(0);
  expect(stdout).toContain("invoice.pdf: pdf-template:alvdal-energi");
  expect(stdout).toContain("Invoice 2026-10042 of 2026-02-05, due 2026-03-02");
  expect(stdout).toMatch(/ 2 .* 24\.5 +kW +52\.50 +kr\/kW +1286\.25 +grid_subscription_power /);
  expect(stdout).toContain("The amounts tie.");
  expect(stdout).toMatch(/totals\.payable +16654\.00 +16 654,00 kr +1 +488 +514/);
  const found = await metertreeJson(["inspect", invoice]);
  expect(found).toMatchObject({
    format: "pdf-template:alvdal-energi",
    problems: [],
    invoices: [{ tie: { ok: true } }],
  });
});

test("inspect shows e-invoices, and tells line and field of those that cannot be read", async () => {
  const cases = resolve(import.meta.dirname, "../../server/src/formats/ubl/cases");
  const good = `${cases}/several-metering-points/input.xml`;
  const broken = `${cases}/broken-comma-in-an-amount/input.xml`;
  const { stdout, code } = await metertree(["inspect", good, broken]);
  expect(code).toBe(0);
  expect(stdout).toContain("input.xml: ubl");
  expect(stdout).toMatch(/ 735999116000000028 +Energiskatt .* 171\.20 +grid_usage +tax or levy; grid by /);
  expect(stdout).toContain("The amounts tie.");
  expect(stdout).toMatch(/48 +PayableAmount +PayableAmount holds "125,00"/);
  const untied = await metertreeJson(["inspect", `${cases}/rows-that-do-not-tie/input.xml`]);
  expect(untied).toMatchObject({ invoices: [{ tie: { ok: false, difference: "1.00" } }] });
});

test("inspect --text prints the words that a template may name", async () => {
  const { stdout } = await metertree(["inspect", "--text", invoice]);
  expect(stdout).toMatch(/^Page 1 \(595 x 842 points\)\n/);
  expect(stdout).toContain("y 330  [45-101] Summa elnät  [515-550] 4 490,16\n");
});

test("inspect --template tells what a template does not find, and the mistakes of one that is none", async () => {
  writeFileSync(
    own,
    JSON.stringify({ ...template, name: "own", fields: { ...template.fields, due: "Forfaller" } }),
  );
  const { stdout } = await metertree(["inspect", invoice, "--template", own]);
  expect(stdout).toContain("invoice.pdf: template own");
  expect(stdout).toMatch(/fields\.due +nothing stands to the right of "Forfaller" on any page/);
  expect(stdout).toMatch(/tables\[0\] \(Elnät\) on page 1: description 45-94, /);
  writeFileSync(own, JSON.stringify({ ...template, fields: {} }));
  const refused = await metertree(["inspect", invoice, "--template", own]);
  expect(refused).toMatchObject({ code: 1, stdout: "" });
  expect(refused.stderr).toContain("fields.number: is missing");
  const absent = await metertree(["inspect", invoice, "--template", "no-such.json"]);
  expect(absent.stderr).toContain("no-such.json: there is no such file");
});
