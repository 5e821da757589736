import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { connectorsPage, pagePath } from "./connectors-page.ts";

test("the page has the criteria of the code: npm run docs:connectors writes them", () => {
  const page = readFileSync(pagePath, "utf8");
  expect(connectorsPage(page)).toBe(page);
});
