import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { pagePath, providersPage } from "./providers-page.ts";

test("the page has what the connectors say: npm run docs:providers writes it", () => {
  const page = readFileSync(pagePath, "utf8");
  expect(providersPage(page)).toBe(page);
});
