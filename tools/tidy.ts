import { fileURLToPath } from "node:url";
import { importRule, reachRule } from "./tidy/imports.ts";
import { contentsRule, endpointRule, linkRule, packageRule, paperRule } from "./tidy/project.ts";
import { fileSizeRule, functionSizeRule } from "./tidy/sizes.ts";
import { type Complaint, readTree, type Tree } from "./tidy/source.ts";
import { sqlRule } from "./tidy/sql.ts";
import { sleepRule, surroundingsRule } from "./tidy/surroundings.ts";
import { migrationRule } from "./tidy/tables.ts";
import { wordRule } from "./tidy/words.ts";

/** The house rules, by name. */
export const rules: Readonly<Record<string, (tree: Tree) => Complaint[]>> = {
  "imports go up the list of folders, and through doors": importRule,
  "every file is used": reachRule,
  "time, chance, environment and network are handed in": surroundingsRule,
  "tests do not sleep": sleepRule,
  "functions are short": (tree) => functionSizeRule(tree, JSON.parse(tree.read("tools/tidy/ratchet.json"))),
  "files are short": fileSizeRule,
  "one table, one owner; SQL works on one machine and on many": sqlRule,
  "migrations are numbered, and keys hold their part": migrationRule,
  "app.ts names every list of endpoints and jobs": contentsRule,
  "every endpoint is in a list": endpointRule,
  "nothing is left undone, no machine is named": wordRule,
  "links lead somewhere": linkRule,
  "the project's papers are there": paperRule,
  "packages are pinned and locked": packageRule,
};

/** A complaint as one line that editors and terminals open. */
export function lineOf({ path, line, message }: Complaint): string {
  return `${path}:${line}  ${message}`;
}

/** The project that this file lies in. */
export function thisProject(): Tree {
  return readTree(fileURLToPath(new URL("..", import.meta.url)));
}

if (import.meta.main) {
  const tree = thisProject();
  const complaints = Object.values(rules).flatMap((rule) => rule(tree));
  for (const each of complaints) console.log(lineOf(each));
  console.log(complaints.length === 0 ? "tidy" : `${complaints.length} complaints`);
  process.exitCode = complaints.length === 0 ? 0 : 1;
}
