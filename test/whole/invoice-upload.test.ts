import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { sampleInvoice } from "../../server/src/demo/harness.ts";
import { printInvoice } from "../../server/src/demo/print-invoice.ts";
import { metertree, metertreeJson, type ServerProcess, scratch, server } from "../harness/process.ts";

const folder = scratch();
const pdf = `${folder.path}/january.pdf`;
const broken = `${folder.path}/\u001b[31mbroken.xml`;
const collective = resolve(
  import.meta.dirname,
  "../../server/src/formats/ubl/cases/several-metering-points/input.xml",
);
let running: ServerProcess;
let env: Record<string, string>;

beforeAll(async () => {
  writeFileSync(pdf, await printInvoice(sampleInvoice("alvdal-energi")));
  writeFileSync(broken, '<Invoice xmlns="urn:oasis:names:specification:ubl:schema:xsd:Invoice-2">');
  const where = ["--data-dir", `${folder.path}/data`];
  running = await server(["serve", ...where, "--port", "0"]);
  await metertreeJson(["account", "create", "--name", "A", "--username", "a@example.test", ...where]);
  const whose = ["--account", "a@example.test", "--scopes", "basic,write_meters"];
  const { token } = await metertreeJson(["token", "create", ...whose, ...where]);
  env = { METERTREE_URL: running.url, METERTREE_TOKEN: token };
});
afterAll(async () => {
  await running?.stop();
  folder.remove();
});

const upload = (...words: string[]) => metertree(["invoice", "upload", ...words], { env });

test("invoice upload waits until all are read, and tells costs and what is not known", async () => {
  const tried = await upload(pdf, "--dry-run");
  expect(tried).toMatchObject({ code: 0, stderr: "" });
  expect(tried.stdout).toContain("january.pdf: would be stored, 1 result");
  expect(tried.stdout).not.toContain("does not count");
  const { stdout, code } = await upload(pdf, collective);
  expect(code).toBe(0);
  expect(stdout).toMatch(/2026-10042 +735999260000000371 +\? +20260101-20260131 +13323\.59 +SEK/);
  expect(stdout).toMatch(/Not known, to be said by PUT \/api\/v2\/invoices\/[0-9a-f]{24}:/);
  expect(stdout).toContain("No meter of the account has the EAN 735999260000000371.");
  expect(stdout).toContain("input.xml: invoice ");
  const [again] = await metertreeJson(["invoice", "upload", pdf], { env });
  expect(again).toMatchObject({ status: "completed", results: [{ counts: true }] });
  expect(stdout).toContain(`january.pdf: invoice ${again._id}`);
});

test("invoice upload names place and reason of what cannot be read, stores the others, and ends with 1", async () => {
  const { stdout, code } = await upload(broken, pdf);
  expect(code).toBe(1);
  expect(stdout).toMatch(/broken\.xml: nothing was stored \(line 1\)\. The XML is damaged/);
  expect(stdout).toContain("january.pdf: invoice ");
  // The name of a file gives no orders to a terminal.
  expect(stdout).not.toContain("\u001b");
});

test("invoice upload sends nothing when a file is not there, and says what the server refuses", async () => {
  const absent = await upload(pdf, "absent.pdf");
  expect(absent).toMatchObject({ code: 1, stdout: "" });
  expect(absent.stderr).toContain("absent.pdf: there is no such file");
  const currency = await upload(pdf, "--currency", "crowns");
  expect(currency).toMatchObject({ code: 1, stdout: "" });
  expect(currency.stderr).toContain("currency: must be three letters such as SEK");
  const stranger = await metertree(["invoice", "upload", pdf], { env: { METERTREE_URL: running.url } });
  expect(stranger.stderr).toContain("A token is missing");
});
