import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Connector, markOf, type SettingsShape, wordsOf } from "../server/src/collection/connector.ts";
import { folderOf, gradeOf, readQuality } from "../server/src/connector-kit/connector-kit.ts";
import { connectors } from "../server/src/connectors/all.ts";

/** Where the page lies. */
export const pagePath = fileURLToPath(new URL("../docs/providers.md", import.meta.url));

/** The page with what the connectors say of themselves; everything else on it is written by hand. */
export function providersPage(page: string): string {
  const sorted = connectors.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const text = withPart(page, "overview", overview(sorted));
  return withPart(text, "providers", sorted.map(chapter).join("\n\n"));
}

function withPart(page: string, name: string, part: string): string {
  const start = `<!-- ${name} -->\n`;
  const from = page.indexOf(start) + start.length;
  const to = page.indexOf("<!-- end -->", from);
  if (!page.includes(start) || to === -1) throw new Error(`${pagePath} has no place for ${name}`);
  return `${page.slice(0, from)}\n${part}\n\n${page.slice(to)}`;
}

function overview(all: readonly Connector[]): string {
  const rows = all.map((each) => {
    const where = each.countries.length === 0 ? "all" : each.countries.join(", ");
    const grade = gradeOf(readQuality(folderOf(each.name))) ?? "";
    return `| [\`${each.name}\`](#${each.name}) | ${each.title} | ${where} | ${each.types.join(", ")} | ${grade} |`;
  });
  return ["| name | provider | countries | types | grade |", "| --- | --- | --- | --- | --- |", ...rows].join(
    "\n",
  );
}

function chapter(each: Connector): string {
  const { name, title, help, granularities, historyDays, latenessHours, correctionDays, terms, limits } =
    each;
  const facts = [
    `**Values** of ${granularities.join(", ")}; ${counted(historyDays)} days back.`,
    `Usually there after ${counted(latenessHours)} hours, and read again for ${counted(correctionDays)} days.`,
    `At most ${counted(limits.perMinute)} requests a minute and ${limits.atOnce} runs at once.`,
    ...(each.consent === undefined ? [] : ["Consent is given [by a link](collection.md#consent-by-a-link)."]),
    ...(each.needs === undefined ? [] : [`Needs a ${each.needs} on the server.`]),
    ...(terms === undefined ? [] : [`[Terms](${terms}).`]),
    `[More](../server/src/connectors/${name}/README.md).`,
  ];
  const parts = [`### ${name}`, `${title}. ${help.en}`, fieldsOf(each), operatorOf(each), facts.join(" ")];
  return parts.filter((part) => part !== "").join("\n\n");
}

/** What an operator sets up. */
function operatorOf({ operator }: Connector): string {
  if (operator === undefined) return "";
  return tableOf("set up by the operator", operator.setup);
}

const fieldsOf = ({ settings }: Connector) => tableOf("credential", settings);

function tableOf(what: string, { shape }: SettingsShape): string {
  const rows = Object.entries(shape).map(([name, field]) => {
    const { title, hint } = wordsOf(field)!;
    const notes = [
      ...(markOf(field).secret === undefined ? [] : ["secret"]),
      ...(field.safeParse(undefined).success ? ["may be left out"] : []),
    ];
    return `| \`${name}\` | ${title.en} | ${notes.join(", ")} | ${hint?.en ?? ""} |`.replaceAll(
      / {2,}/g,
      " ",
    );
  });
  return [`| ${what} | | | |`, "| --- | --- | --- | --- |", ...rows].join("\n");
}

const counted = (value: number) => value.toLocaleString("en");

if (import.meta.main) writeFileSync(pagePath, providersPage(readFileSync(pagePath, "utf8")));
