import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { criteria } from "../server/src/connector-kit/connector-kit.ts";
import { withTable } from "./collection-page.ts";

/** Where the page lies. */
export const pagePath = fileURLToPath(new URL("../docs/connectors.md", import.meta.url));

/** The page with the criteria of connectors as the code has them; everything else is written by hand. */
export function connectorsPage(page: string): string {
  const rows = Object.entries(criteria).map(
    ([name, { grade, about }]) => `| ${grade} | \`${name}\` | ${about} |`,
  );
  return withTable(
    page,
    "criteria",
    ["| grade | criterion | done when |", "| --- | --- | --- |", ...rows].join("\n"),
  );
}

if (import.meta.main) writeFileSync(pagePath, connectorsPage(readFileSync(pagePath, "utf8")));
