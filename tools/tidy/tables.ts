import { distributedTables } from "../../server/src/distributed-tables.ts";
import { type Complaint, complaint, type Tree } from "./source.ts";
import { namesInBrackets, statementsOf, tokensOf } from "./sql-text.ts";

/** Tables that Citus spreads over machines, all by `part`. */
export const distributed: ReadonlySet<string> = new Set(distributedTables);

/** Tables that belong to another folder than the one that their migration is named after. */
const otherOwners: Readonly<Record<string, string>> = {
  account_key: "platform",
  key_check: "platform",
  meter_access: "meters",
  schema_migration: "platform",
  steady_lease: "platform",
  meter_news: "meters",
  meter_activated: "meters",
};

const folder = "server/migrations/";

/** Migrations in order. */
export function migrationsOf(tree: Tree): string[] {
  return tree.paths.filter((path) => path.startsWith(folder) && path.endsWith(".sql"));
}

/** Owner of each table: the folder of server/src that its migration is named after. */
export function ownersOf(tree: Tree): Map<string, string> {
  const owners = new Map(Object.entries(otherOwners));
  for (const path of migrationsOf(tree)) {
    const slice = path.slice(folder.length + 5, -4);
    for (const tokens of statementsOf(tokensOf(tree.read(path)))) {
      const table = createdTable(tokens);
      if (table !== undefined && !owners.has(table)) owners.set(table, slice);
    }
  }
  return owners;
}

function createdTable(tokens: readonly string[]): string | undefined {
  if (tokens[0] !== "create" || tokens[1] !== "table") return undefined;
  return tokens[2] === "if" ? tokens[5] : tokens[2];
}

/** Migrations are numbered without gaps, and what they say of distributed tables holds on several machines. */
export function migrationRule(tree: Tree): Complaint[] {
  return migrationsOf(tree).flatMap((path, i) => {
    const text = tree.read(path);
    const number = String(i + 1).padStart(4, "0");
    const messages = statementsOf(tokensOf(text)).flatMap(wrongInMigration);
    if (!new RegExp(`^${number}_[a-z-]+\\.sql$`).test(path.slice(folder.length))) {
      messages.push(`migrations are numbered without gaps: this one should be ${number}_<folder>.sql`);
    }
    return messages.map((message) => complaint({ path, text }, 0, message));
  });
}

function wrongInMigration(tokens: readonly string[]): string[] {
  const table = createdTable(tokens);
  if (table !== undefined) return wrongInTable(table, tokens);
  const text = tokens.join(" ");
  if (/^create (or replace )?(constraint )?trigger /.test(text)) {
    return ["no triggers: the program that writes does what follows, in the same transaction"];
  }
  const on = tokens[tokens.indexOf("on") + 1] ?? "";
  if (/^create unique index /.test(text) && distributed.has(on)) {
    return keyWithoutPart(on, namesInBrackets(tokens, tokens.indexOf("on")));
  }
  const altered = tokens[2] === "only" ? tokens[3] : tokens[2];
  if (
    tokens[0] === "alter" &&
    tokens[1] === "table" &&
    distributed.has(altered ?? "") &&
    tokens.includes("add")
  ) {
    return wrongInTable(altered!, tokens);
  }
  return [];
}

function wrongInTable(table: string, tokens: readonly string[]): string[] {
  const messages: string[] = [];
  tokens.forEach((token, at) => {
    if (token === "references" && (distributed.has(table) || distributed.has(tokens[at + 1]!))) {
      messages.push(
        `${table}: no foreign keys from or to distributed tables; remove what follows in the program`,
      );
    }
    if (!distributed.has(table)) return;
    if (token === "exclude") messages.push(`${table}: no exclusion constraints on distributed tables`);
    const isKey = (token === "primary" && tokens[at + 1] === "key") || token === "unique";
    if (isKey) {
      const next = tokens[token === "unique" ? at + 1 : at + 2];
      // A key behind its column: the name of the column stands at the last comma or bracket.
      const columns = next === "(" ? namesInBrackets(tokens, at) : [columnAt(tokens, at)];
      messages.push(...keyWithoutPart(table, columns));
    }
  });
  return messages;
}

function columnAt(tokens: readonly string[], at: number): string {
  for (let i = at; i > 0; i--) if (tokens[i - 1] === "," || tokens[i - 1] === "(") return tokens[i]!;
  return "";
}

function keyWithoutPart(table: string, columns: readonly string[]): string[] {
  if (columns.includes("part")) return [];
  return [
    `${table}: the key (${columns.join(", ")}) needs part: keys of distributed tables hold within a part only`,
  ];
}
