import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { inspectPdf, parseTemplate, readInvoice, readPdf } from "../formats/format.ts";
import { sampleInvoice } from "./harness.ts";
import { printInvoice } from "./print-invoice.ts";

const manual = readFileSync(resolve(import.meta.dirname, "../../../docs/invoice-templates.md"), "utf8");

/** The template whose parts the steps of the page give. */
const template = Object.assign(
  {},
  ...[...manual.matchAll(/```json\n([^`]*)```/g)].map(([, json]) => JSON.parse(json!) as object),
) as { fields: Record<string, unknown> };

describe("docs/invoice-templates.md", () => {
  test("leads to a template that reads the printed invoices as the built-in one does", async () => {
    for (const kind of ["invoice", "credit"] as const) {
      const replaces = kind === "credit" ? "2025-1" : null;
      const bytes = await printInvoice(sampleInvoice("alvdal-energi", { kind, replaces }));
      const [own] = await readInvoice(bytes, { fileName: "a.pdf", templates: [template] });
      const [builtIn] = await readInvoice(bytes, { fileName: "a.pdf", templates: [] });
      expect(own!.format).toBe("pdf-template:my-utility");
      expect({ ...own, format: "", buyer: own!.buyer!.name }).toEqual({
        ...builtIn,
        format: "",
        buyer: builtIn!.buyer!.name,
      });
    }
  });

  test("shows the text as inspect does, and a message as it comes", async () => {
    const bytes = await printInvoice(sampleInvoice("alvdal-energi"));
    const [text, message] = [...manual.matchAll(/```text\n([^`]*)```/g)].map(([, shown]) => shown!.trimEnd());
    const lines = (await readPdf(bytes)).flatMap((page) =>
      page.lines.map(({ y, chunks }) => {
        const runs = chunks.map((run) => `[${Math.round(run.x0)}-${Math.round(run.x1)}] ${run.text}`);
        return `y ${String(Math.round(y)).padStart(3)}  ${runs.join("  ")}`;
      }),
    );
    for (const line of text!.split("\n")) expect(lines).toContain(line);
    const fields = { ...template.fields, due: "Forfallodatum" };
    const { applied } = await inspectPdf(bytes, [{ ...template, fields }]);
    expect(applied!.problems.map((problem) => `${problem.field}: ${problem.message}`)).toEqual([message]);
  });

  test("puts parts together that are a template", () => {
    expect(parseTemplate(template).tables).toHaveLength(2);
  });
});
