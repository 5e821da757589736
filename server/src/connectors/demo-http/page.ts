import { ProviderFailure } from "../../collection/connector.ts";

/** A row of a table: HTML of its cells by the label of their column. */
export type Row = ReadonlyMap<string, string>;

/** An answer that is none of those that we know. */
export const changed = (what: string, page: string) => new ProviderFailure("changed", what, { page });

/** Characters that browsers write by their names. */
const named: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', nbsp: "\u00a0" };

/** Text of a piece of HTML without tags. @throws ProviderFailure `changed` when there are tags in it */
export function textOf(html: string): string {
  if (html.includes("<")) throw changed("tags where text was expected", html);
  return html
    .replace(/&(?:#(\d+)|(amp|lt|gt|quot|nbsp));/g, (_, code, name) =>
      code === undefined ? named[name]! : String.fromCodePoint(Number(code)),
    )
    .trim();
}

/** Heading of a page; `undefined` when it is none of this utility's. */
export function headingOf(page: string): string | undefined {
  const found = /<main id="content"><h1>([^<]*)<\/h1>/.exec(page);
  return found === null ? undefined : textOf(found[1]!);
}

/** The message of a page. */
export function alertOf(page: string): string | undefined {
  const found = /<p role="alert">([^<]*)<\/p>/.exec(page);
  return found === null ? undefined : textOf(found[1]!);
}

/** A form that is sent to `action`, with its fields in order and what is filled in. */
export function formOf(page: string, action: string): Map<string, string> {
  const start = `<form method="post" action="${action}">`;
  const at = page.indexOf(start);
  const end = page.indexOf("</form>", at);
  if (at < 0 || end < 0) throw changed(`no form for ${action}`, page);
  const inputs = page.slice(at, end).matchAll(/<input\b[^>]*>/g);
  return new Map(
    [...inputs].map(([input]) => {
      const name = /\bname="([^"]*)"/.exec(input)?.[1];
      if (name === undefined) throw changed(`a field without a name for ${action}`, page);
      return [name, textOf(/\bvalue="([^"]*)"/.exec(input)?.[1] ?? "")] as const;
    }),
  );
}

/** Rows of a table with exactly these columns, in whatever order. @throws ProviderFailure `changed` */
export function rowsOf(page: string, id: string, labels: readonly string[]): Row[] {
  const table = new RegExp(
    `<table id="${id}"><caption>[^<]*</caption>\\s*<thead><tr>(.*?)</tr></thead>\\s*<tbody>(.*?)</tbody></table>`,
    "s",
  ).exec(page);
  if (table === null) throw changed(`no table ${id}`, page);
  const heads = cellsOf(table[1]!, /<th scope="col">(.*?)<\/th>/gs, page).map(textOf);
  if (heads.toSorted().join("\n") !== labels.toSorted().join("\n")) {
    throw changed(`unknown columns of ${id}: ${heads.join(", ")}`, page);
  }
  return cellsOf(table[2]!, /<tr>(.*?)<\/tr>/gs, page).map((row) => {
    const cells = cellsOf(row, /<td>(.*?)<\/td>/gs, page);
    if (cells.length !== heads.length) throw changed(`a row of ${id} has ${cells.length} cells`, page);
    return new Map(heads.map((head, i) => [head, cells[i]!]));
  });
}

/** What the pattern finds; nothing else may stand between. */
function cellsOf(html: string, pattern: RegExp, page: string): string[] {
  if (html.replace(pattern, "").trim() !== "") throw changed("something unknown stands in a table", page);
  return [...html.matchAll(pattern)].map(([, cell]) => cell!);
}

/** The last part of the address that a cell links to, and its text. */
export function linkOf(cell: string, folder: "contracts" | "meters"): { id: string; text: string } {
  const found = /^<a href="\/(\w+)\/([\w-]+)">([^<]*)<\/a>$/.exec(cell);
  if (found?.[1] !== folder) throw changed(`no link into ${folder}`, cell);
  return { id: found[2]!, text: textOf(found[3]!) };
}

/** Facts of a page by their labels. @throws ProviderFailure `changed` for one that is missing or unknown */
export function factsOf(
  page: string,
  { needed, optional = [] }: { needed: readonly string[]; optional?: readonly string[] },
): Map<string, string> {
  const list = /<dl>(.*?)<\/dl>/s.exec(page)?.[1];
  if (list === undefined) throw changed("no facts", page);
  const pattern = /<dt>([^<]*)<\/dt><dd>([^<]*)<\/dd>/g;
  if (list.replace(pattern, "").trim() !== "") throw changed("something unknown stands in the facts", page);
  const facts = new Map([...list.matchAll(pattern)].map(([, name, text]) => [textOf(name!), textOf(text!)]));
  const missing = needed.find((name) => !facts.has(name));
  if (missing !== undefined) throw changed(`the fact ${missing} is missing`, page);
  const unknown = [...facts.keys()].find((name) => !needed.includes(name) && !optional.includes(name));
  if (unknown !== undefined) throw changed(`unknown fact ${unknown}`, page);
  return facts;
}

/** A day as pages write it. @throws ProviderFailure `changed` */
export function dayOf(text: string): string {
  const at = Date.parse(`${text}T00:00:00Z`);
  if (!/^\d{4}-\d\d-\d\d$/.test(text) || Number.isNaN(at)) throw changed(`no day: ${text}`, text);
  return text;
}

/** The day after one, as the bound of a period that holds it. */
export function dayAfter(text: string): string {
  return new Date(Date.parse(`${dayOf(text)}T00:00:00Z`) + 86_400_000).toISOString().slice(0, 10);
}
