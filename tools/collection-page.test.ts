import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { collectionPage, pagePath } from "./collection-page.ts";

test("the page has the tables of the code: npm run docs:collection writes them", () => {
  const page = readFileSync(pagePath, "utf8");
  expect(collectionPage(page)).toBe(page);
});
