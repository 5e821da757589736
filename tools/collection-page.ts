import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { failureKinds } from "../server/src/collection/connector.ts";
import { connectionStates, consequences, stateMeanings } from "../server/src/collection/consequence.ts";

/** Where the page lies. */
export const pagePath = fileURLToPath(new URL("../docs/collection.md", import.meta.url));

/** The page with the tables of states and consequences as the code has them; everything else is written by hand. */
export function collectionPage(page: string): string {
  return withTable(withTable(page, "states", statesTable()), "consequences", consequencesTable());
}

/** A page with another table between its marks `<!-- name -->` and `<!-- end -->`. */
export function withTable(page: string, name: string, table: string): string {
  const start = `<!-- ${name} -->\n`;
  const from = page.indexOf(start) + start.length;
  const to = page.indexOf("<!-- end -->", from);
  if (!page.includes(start) || to === -1) throw new Error(`the page has no place for ${name}`);
  return `${page.slice(0, from)}\n${table}\n\n${page.slice(to)}`;
}

function statesTable(): string {
  const rows = connectionStates.map((state) => {
    const { who, what } = stateMeanings[state];
    return `| \`${state}\` | ${who} | ${what.en} |`;
  });
  return ["| state | who acts | what to do |", "| --- | --- | --- |", ...rows].join("\n");
}

const afterHours = (hours: number) => (hours === 0 ? "at once" : `after ${hours} hours`);

function consequencesTable(): string {
  const rows = failureKinds.map((kind) => {
    const { state, retry, issueAfterHours } = consequences[kind];
    const shown = state === null ? "as before" : `\`${state}\``;
    return `| \`${kind}\` | ${shown} | ${retry} | ${afterHours(issueAfterHours)} |`;
  });
  return ["| failure | state | tried again by itself | issue |", "| --- | --- | --- | --- |", ...rows].join(
    "\n",
  );
}

if (import.meta.main) writeFileSync(pagePath, collectionPage(readFileSync(pagePath, "utf8")));
