import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { exportTargetsPage, pagePath } from "./export-targets.ts";

test("the page has the settings of the schemas: npm run docs:export-targets writes them", () => {
  const page = readFileSync(pagePath, "utf8");
  expect(exportTargetsPage(page)).toBe(page);
});
