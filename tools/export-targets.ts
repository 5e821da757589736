import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { targetKinds, targetTypes } from "../server/src/exports/targets/all.ts";
import { markOf } from "../server/src/exports/targets/target.ts";

/** Where the page lies. */
export const pagePath = fileURLToPath(new URL("../docs/export-targets.md", import.meta.url));

/** The page with the tables of settings as the schemas have them; everything else on it is written by hand. */
export function exportTargetsPage(page: string): string {
  return targetTypes.reduce((text, type) => {
    const [start, end] = [`<!-- settings: ${type} -->\n`, "<!-- end -->"];
    const from = text.indexOf(start) + start.length;
    const to = text.indexOf(end, from);
    if (!text.includes(start) || to === -1)
      throw new Error(`${pagePath} has no place for the settings of ${type}`);
    return `${text.slice(0, from)}\n${tableOf(type)}\n\n${text.slice(to)}`;
  }, page);
}

function tableOf(type: (typeof targetTypes)[number]): string {
  const rows = Object.entries(targetKinds[type].settings.shape).map(([name, schema]) => {
    const left = schema.safeParse(undefined);
    const usual = !left.success
      ? ""
      : (left.data ?? null) === null
        ? "may be left out"
        : `\`${left.data}\` when left out`;
    const secret = markOf(schema).secret === undefined ? "" : "secret";
    const notes = [secret, usual].filter((note) => note !== "").join(", ");
    // What holds for all secrets stands above.
    const about = schema.description?.replace(/\s?Write-only:.*$/, "") ?? "";
    return `| \`${name}\` | ${notes} | ${about} |`.replaceAll(/ {2,}/g, " ");
  });
  return ["| setting | | |", "| --- | --- | --- |", ...rows].join("\n");
}

if (import.meta.main) writeFileSync(pagePath, exportTargetsPage(readFileSync(pagePath, "utf8")));
