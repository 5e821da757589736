import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseSync } from "rolldown/utils";

/** Something that breaks a house rule, and what to do about it. */
export interface Complaint {
  /** From the root of the project. */
  path: string;
  /** Counted from 1. */
  line: number;
  message: string;
}

/** A node of the syntax tree (ESTree with TypeScript's nodes). */
export interface Node {
  type: string;
  start: number;
  end: number;
  // biome-ignore lint/suspicious/noExplicitAny: the members depend on the type of the node
  [member: string]: any;
}

/** A parsed TypeScript file. */
export interface Source {
  path: string;
  text: string;
  program: Node;
  comments: readonly { value: string; start: number; end: number }[];
  /** Where the file imports from: as written, and where. */
  imports: readonly { specifier: string; at: number }[];
  isTest: boolean;
}

/** What the rules look at: parsed sources, and every other text of the project. */
export interface Tree {
  sources: readonly Source[];
  /** All paths, sorted. */
  paths: readonly string[];
  read(path: string): string;
}

const skipped = new Set(["node_modules", ".git", "data", "data-demo", "coverage", ".tmp", ".vitest", "dist"]);

/** Reads the project below `root`. */
export function readTree(root: string): Tree {
  const paths = pathsBelow(root, "").sort();
  const read = (path: string) => readFileSync(join(root, path), "utf8");
  return { paths, read, sources: paths.filter(isSource).map((path) => parse(path, read(path))) };
}

/** A tree of texts, for trying a rule. */
export function treeOf(texts: Readonly<Record<string, string>>): Tree {
  const paths = Object.keys(texts).sort();
  const sources = paths.filter(isSource).map((path) => parse(path, texts[path]!));
  return { paths, sources, read: (path) => texts[path]! };
}

const isSource = (path: string) => path.endsWith(".ts");

function pathsBelow(root: string, folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) return skipped.has(entry.name) ? [] : pathsBelow(root, path);
    return entry.isFile() ? [path] : [];
  });
}

function parse(path: string, text: string): Source {
  const { program, comments, module, errors } = parseSync(path, text);
  if (errors.length > 0) throw new Error(`${path}: ${errors[0]!.message}`);
  const { staticImports, staticExports, dynamicImports } = module;
  const named = [
    ...staticImports.map((each) => ({ specifier: each.moduleRequest.value, at: each.start })),
    ...staticExports.flatMap((each) =>
      each.entries.flatMap(({ moduleRequest }) =>
        moduleRequest === null ? [] : [{ specifier: moduleRequest.value, at: each.start }],
      ),
    ),
    ...dynamicImports.map(({ moduleRequest, start }) => ({
      specifier: text.slice(moduleRequest.start + 1, moduleRequest.end - 1),
      at: start,
    })),
  ];
  return { path, text, program, comments, imports: named, isTest: path.endsWith(".test.ts") };
}

/** Calls `visit` with every node, and with the nodes around it, the nearest last. */
export function walk(node: Node, visit: (node: Node, around: readonly Node[]) => void): void {
  const around: Node[] = [];
  const step = (each: Node) => {
    visit(each, around);
    around.push(each);
    for (const member of Object.values(each)) {
      for (const child of Array.isArray(member) ? member : [member]) if (isNode(child)) step(child);
    }
    around.pop();
  };
  step(node);
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && typeof (value as Node).type === "string";
}

/** A complaint about a place in a source. */
export function complaint(source: { path: string; text: string }, at: number, message: string): Complaint {
  return { path: source.path, line: source.text.slice(0, at).split("\n").length, message };
}
