import { type Complaint, complaint, type Node, type Source, type Tree, walk } from "./source.ts";

const functionLinesMax = 70;
const fileLinesMax = 600;
/** Functions that were longer than allowed when they were last looked at, as `path#name`: they may only shrink. */
export type Ratchet = Readonly<Record<string, number>>;
const ratchetPath = "tools/tidy/ratchet.json";

/** Files stay below 600 lines; those that are generated grow with what they are made of. */
export function fileSizeRule(tree: Tree): Complaint[] {
  return tree.sources.flatMap((source) => {
    if (source.path.includes("/generated/")) return [];
    const lines = source.text.split("\n").length - 1;
    if (lines <= fileLinesMax) return [];
    return [
      complaint(source, 0, `${lines} lines, more than ${fileLinesMax}: split it where it says two things`),
    ];
  });
}

/** Functions stay below 70 lines, or shrink. */
export function functionSizeRule(tree: Tree, ratchet: Ratchet): Complaint[] {
  const left = new Set(Object.keys(ratchet));
  const found: Complaint[] = [];
  for (const source of tree.sources) {
    for (const { name, lines, at } of functionsOf(source)) {
      const key = `${source.path}#${name}`;
      const allowed = ratchet[key];
      if (lines <= functionLinesMax) continue;
      left.delete(key);
      if (allowed === undefined) {
        found.push(
          complaint(source, at, `${name} has ${lines} lines, more than ${functionLinesMax}: split it`),
        );
      } else if (lines > allowed) {
        found.push(complaint(source, at, `${name} grew from ${allowed} to ${lines} lines: split it`));
      } else if (lines < allowed) {
        found.push(
          complaint(source, at, `${name} shrank to ${lines} lines: lower its number in ${ratchetPath}`),
        );
      }
    }
  }
  for (const key of left) {
    found.push({ path: ratchetPath, line: 1, message: `${key} is short now or gone: remove its line` });
  }
  return found;
}

function functionsOf(source: Source): { name: string; lines: number; at: number }[] {
  const found: { name: string; lines: number; at: number }[] = [];
  walk(source.program, (node, around) => {
    if (!/^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type)) return;
    // Cases of one subject; each case is a function of its own.
    if (source.isTest && /^describe/.test(calledName(around.at(-1)))) return;
    const lines = source.text.slice(node.start, node.end).split("\n").length;
    found.push({ name: nameOf(node, around), lines, at: node.start });
  });
  return found;
}

function calledName(node: Node | undefined): string {
  const callee = node?.type === "CallExpression" ? node.callee : undefined;
  return callee?.name ?? callee?.object?.name ?? callee?.callee?.object?.name ?? "";
}

function nameOf(node: Node, around: readonly Node[]): string {
  const own = node.id?.name;
  if (own !== undefined) return own;
  const holder = around.at(-1);
  const named = holder?.id?.name ?? holder?.key?.name;
  if (named !== undefined) return named;
  const title = holder?.type === "CallExpression" ? holder.arguments[0]?.value : undefined;
  return typeof title === "string"
    ? title
    : `a function in ${around.findLast((each) => each.id?.name)?.id.name ?? "the file"}`;
}
