/** Words, signs and placeholders of SQL, lower case. Comments are dropped; each string becomes `''`. */
export function tokensOf(text: string): string[] {
  const tokens: string[] = [];
  let at = 0;
  while (at < text.length) {
    const two = text.slice(at, at + 2);
    const one = text[at]!;
    if (two === "--") at = endOf(text, "\n", at);
    else if (two === "/*") at = endOf(text, "*/", at + 2);
    else if (two === "$$") at += 2;
    else if (one === "'") {
      at = endOf(text, "'", at + 1);
      tokens.push("''");
    } else if (one === '"') {
      const end = endOf(text, '"', at + 1);
      tokens.push(text.slice(at + 1, end - 1));
      at = end;
    } else if (isWordSign(one)) {
      const start = at;
      while (at < text.length && isWordSign(text[at]!)) at++;
      tokens.push(text.slice(start, at).toLowerCase());
    } else {
      if (one.trim() !== "") tokens.push(one);
      at++;
    }
  }
  return tokens;
}

const isWordSign = (sign: string) => /[\w$]/.test(sign);

function endOf(text: string, mark: string, from: number): number {
  const found = text.indexOf(mark, from);
  return found < 0 ? text.length : found + mark.length;
}

/** Statements of a script, each as its tokens. */
export function statementsOf(tokens: readonly string[]): string[][] {
  const statements: string[][] = [[]];
  for (const token of tokens) {
    if (token === ";") statements.push([]);
    else statements.at(-1)!.push(token);
  }
  return statements.filter((statement) => statement.length > 0);
}

/** A table that a statement names. */
export interface TableUse {
  table: string;
  alias: string;
  /** The statement writes to it. */
  isTarget: boolean;
}

const openers = new Set(["from", "join", "into", "update", "copy", "truncate", "using"]);
const noAlias = new Set(
  "where on using set values select join left right inner full cross order group having limit offset for returning union except intersect default as from to natural window".split(
    " ",
  ),
);

/** The tables among `known` that a statement names; common table expressions hide tables of their name. */
export function tablesIn(tokens: readonly string[], known: ReadonlySet<string>): TableUse[] {
  const hidden = namesOfWith(tokens);
  const uses: TableUse[] = [];
  for (let i = 0; i < tokens.length; i++) {
    const opener = tokens[i]!;
    if (!openers.has(opener) || isOtherUse(tokens, i)) continue;
    let at = i + 1;
    do {
      const item = itemAt(tokens, at);
      if (item.table !== undefined && known.has(item.table) && !hidden.has(item.table)) {
        const isTarget =
          opener === "into" || opener === "update" || opener === "copy" || tokens[i - 1] === "delete";
        uses.push({ table: item.table, alias: item.alias, isTarget });
      }
      at = item.end + 1;
    } while (opener === "from" && tokens[at - 1] === ",");
  }
  return uses;
}

/** `is distinct from`, `do update`, `for update`, `extract(… from …)`, `copy … from stdin`: words, not tables. */
function isOtherUse(tokens: readonly string[], at: number): boolean {
  const before = tokens[at - 1];
  const after = tokens[at + 1];
  if (tokens[at] === "update") return ["do", "for", "key", "on"].includes(before ?? "") || after === "set";
  if (tokens[at] !== "from") return false;
  if (before === "distinct" && tokens[at - 2] !== "select") return true;
  return (
    after === "stdin" || ["extract", "substring", "trim", "overlay"].includes(functionAround(tokens, at))
  );
}

function functionAround(tokens: readonly string[], at: number): string {
  let depth = 0;
  for (let i = at - 1; i >= 0; i--) {
    if (tokens[i] === ")") depth++;
    if (tokens[i] === "(" && depth-- === 0) return tokens[i - 1] ?? "";
  }
  return "";
}

interface Item {
  table?: string;
  alias: string;
  /** Where the item ends: the next token after it. */
  end: number;
}

function itemAt(tokens: readonly string[], start: number): Item {
  let at = start;
  while (tokens[at] === "only" || tokens[at] === "lateral" || tokens[at] === "table") at++;
  let table: string | undefined;
  if (tokens[at] === "(") at = closing(tokens, at);
  else {
    table = tokens[at++];
    while (tokens[at] === ".") {
      table = tokens[at + 1];
      at += 2;
    }
    if (tokens[at] === "(" && !["into", "copy"].includes(tokens[start - 1] ?? "")) {
      at = closing(tokens, at);
      table = undefined;
    }
  }
  if (tokens[at] === "as") at++;
  const word = tokens[at];
  const hasAlias = word !== undefined && /^[a-z_]/.test(word) && !noAlias.has(word);
  const alias = hasAlias ? word : (table ?? "");
  if (hasAlias) at++;
  if (tokens[at] === "(" && table === undefined) at = closing(tokens, at);
  return { ...(table === undefined ? {} : { table }), alias, end: at };
}

/** Where the bracket that opens at `at` was closed: the token after it. */
function closing(tokens: readonly string[], at: number): number {
  let depth = 0;
  for (let i = at; i < tokens.length; i++) {
    if (tokens[i] === "(") depth++;
    if (tokens[i] === ")" && --depth === 0) return i + 1;
  }
  return tokens.length;
}

function namesOfWith(tokens: readonly string[]): Set<string> {
  const names = new Set<string>();
  for (let i = 1; i < tokens.length; i++) {
    if (!["with", "recursive", ","].includes(tokens[i - 1]!)) continue;
    let at = i + 1;
    if (tokens[at] === "(") at = closing(tokens, at);
    if (tokens[at] !== "as") continue;
    while (["as", "not", "materialized"].includes(tokens[at] ?? "")) at++;
    if (tokens[at] === "(") names.add(tokens[i]!);
  }
  return names;
}

/** The names in the brackets after `at`: columns of an insert or a key, without what stands behind each. */
export function namesInBrackets(tokens: readonly string[], at: number): string[] {
  const open = tokens.indexOf("(", at);
  if (open < 0) return [];
  const inside = tokens.slice(open + 1, closing(tokens, open) - 1);
  const names: string[] = [];
  let depth = 0;
  let isFirst = true;
  for (const token of inside) {
    if (isFirst && depth === 0 && token !== "(") names.push(token);
    if (token === "(") depth++;
    if (token === ")") depth--;
    isFirst = token === "," && depth === 0;
  }
  return names;
}
