import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { configurationPage, pagePath } from "./configuration.ts";

test("the configuration page is that of the schema: npm run docs:configuration writes it", () => {
  expect(readFileSync(pagePath, "utf8")).toBe(configurationPage());
});
