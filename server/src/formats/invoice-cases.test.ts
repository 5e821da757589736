import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { casesOfInvoices, tellInvoice } from "./cases.ts";

describe.each(casesOfInvoices())("$format: $name", (example) => {
  test("says what is expected", async () => {
    const expected = JSON.parse(readFileSync(join(example.folder, "expected.json"), "utf8"));
    expect(await tellInvoice(example)).toEqual(expected);
  });

  test("a broken document is refused with its line, and only a broken one", async () => {
    const { problem } = await tellInvoice(example);
    if (example.name.startsWith("broken-")) expect(problem).toMatch(/^line [1-9]\d* \| .{10}/);
    else expect(problem).toBeUndefined();
  });
});
