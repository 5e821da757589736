import { sliceOf } from "./imports.ts";
import { type Complaint, complaint, type Node, type Source, type Tree, walk } from "./source.ts";
import { namesInBrackets, statementsOf, type TableUse, tablesIn, tokensOf } from "./sql-text.ts";
import { distributed, ownersOf } from "./tables.ts";

/** One table, one owner; and statements that work on one machine and on many. */
export function sqlRule(tree: Tree): Complaint[] {
  const owners = ownersOf(tree);
  const known = new Set(owners.keys());
  return tree.sources.flatMap((source) => {
    const slice = sliceOf(source.path);
    if (slice === undefined || source.isTest || /\/harness\.ts$/.test(source.path)) return [];
    return sqlOf(source).flatMap(({ text, at }) =>
      statementsOf(tokensOf(text)).flatMap((tokens) => {
        const uses = tablesIn(tokens, known);
        const strangers = uses.filter(({ table }) => owners.get(table) !== slice);
        return [
          ...strangers.map(
            ({ table }) =>
              `names the table ${table} of ${owners.get(table)}/: ask its door ${owners.get(table)}/${owners.get(table)}.ts`,
          ),
          ...hiddenTables(tokens),
          ...wrongOnParts(tokens, uses),
        ].map((message) => complaint(source, at, message));
      }),
    );
  });
}

/** A table whose name comes from a value cannot be checked. */
function hiddenTables(tokens: readonly string[]): string[] {
  const isHidden =
    tokens.some((token, at) => ["into", "update", "join"].includes(token) && tokens[at + 1] === "$0") ||
    / (delete|select .*) from \$0/.test(` ${tokens.join(" ")}`.slice(0, 1000));
  return isHidden
    ? ["a table is hidden in a value: write its name in the text, one statement per table"]
    : [];
}

const verbs = new Set(["select", "insert", "update", "delete", "with", "merge", "copy", "truncate"]);
const volatile = new Set(
  "now clock_timestamp statement_timestamp transaction_timestamp timeofday random gen_random_uuid nextval".split(
    " ",
  ),
);

/** What a statement does that fails, or is slow or wrong, when the tables are spread over machines by `part`. */
export function wrongOnParts(tokens: readonly string[], uses: readonly TableUse[]): string[] {
  const spread = uses.filter(({ table }) => distributed.has(table));
  if (spread.length === 0 || !verbs.has(tokens[0]!)) return [];
  const messages: string[] = [];
  if (tokens[0] === "merge") messages.push("no merge on distributed tables: use insert … on conflict");
  const local = uses.find(({ table }) => !distributed.has(table));
  if (local !== undefined) {
    messages.push(`${local.table} stays on one machine and ${spread[0]!.table} does not: use two statements`);
  }
  for (const use of spread) {
    if (!namesPart(tokens, use, spread.length)) {
      messages.push(`${use.table} needs its part: add part = … (or part = any(…)) to the statement`);
    }
  }
  if (spread.some((use) => use.isTarget)) messages.push(...wrongInWrite(tokens));
  if (locks(tokens) && /(^| )part (= any|in) /.test(tokens.join(" "))) {
    messages.push("no row locks over several parts: lock part by part, in ascending order");
  }
  return messages;
}

function namesPart(tokens: readonly string[], use: TableUse, spreadTables: number): boolean {
  if (tokens[0] === "copy") return namesInBrackets(tokens, 0).includes("part");
  if (use.isTarget && tokens.includes("insert")) {
    return namesInBrackets(tokens, tokens.indexOf("into")).includes("part");
  }
  return tokens.some((token, at) => {
    if (token !== "part") return false;
    const isCompared = ["=", "in"].includes(tokens[at + 1] ?? "");
    if (tokens[at - 1] !== ".") return isCompared && spreadTables === 1;
    return tokens[at - 2] === use.alias && (isCompared || tokens[at - 3] === "=");
  });
}

function wrongInWrite(tokens: readonly string[]): string[] {
  const messages: string[] = [];
  tokens.forEach((token, at) => {
    const isCalled = volatile.has(token) && tokens[at + 1] === "(";
    if (isCalled || token === "current_timestamp") {
      messages.push(`${token} in a write to a distributed table: fetch it first, and pass it as a parameter`);
    }
  });
  if (/ values \( select | values \( \( select /.test(tokens.join(" "))) {
    messages.push("no subquery in values of a distributed table: fetch it first");
  }
  return messages;
}

function locks(tokens: readonly string[]): boolean {
  return tokens.some(
    (token, at) => token === "for" && ["update", "share", "no", "key"].includes(tokens[at + 1] ?? ""),
  );
}

/** Texts of SQL in a source: tagged `sql`, the `text` of prepared statements, and what is handed to a connection. */
function sqlOf(source: Source): { text: string; at: number }[] {
  const found: { text: string; at: number }[] = [];
  walk(source.program, (node, around) => {
    const text = sqlText(node, around);
    if (text !== undefined) found.push({ text, at: node.start });
  });
  return found;
}

function sqlText(node: Node, around: readonly Node[]): string | undefined {
  if (node.type === "TaggedTemplateExpression" && node.tag.name === "sql") {
    return isInSql(around) ? undefined : templateText(node.quasi);
  }
  if (node.type === "Property" && node.key.name === "text") return literalText(node.value);
  if (node.type !== "CallExpression") return undefined;
  const called = node.callee.property?.name ?? node.callee.name;
  return ["query", "copyFrom", "copyTo", "raw"].includes(called) ? literalText(node.arguments[0]) : undefined;
}

/** Templates that stand in another one are read with it. */
function isInSql(around: readonly Node[]): boolean {
  const holder = around.at(-1);
  return holder?.type === "TemplateLiteral" && around.at(-2)?.tag?.name === "sql";
}

function literalText(node: Node | undefined): string | undefined {
  if (node?.type === "TemplateLiteral") return templateText(node);
  return node?.type === "Literal" && typeof node.value === "string" ? node.value : undefined;
}

/** The text with its values as `$0`: templates inside are put in, lists become `any($0)`. */
function templateText(template: Node): string {
  return template.quasis
    .map((quasi: Node, i: number) => `${quasi.value.cooked}${valueText(template.expressions[i])}`)
    .join("");
}

function valueText(node: Node | undefined): string {
  if (node === undefined) return "";
  if (node.type === "TaggedTemplateExpression" && node.tag.name === "sql") return templateText(node.quasi);
  return node.type === "CallExpression" && node.callee.name === "any" ? "any($0)" : "$0";
}
