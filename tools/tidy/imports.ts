import { dirname, join } from "node:path/posix";
import { type Complaint, complaint, type Source, type Tree, walk } from "./source.ts";

/** Folders of server/src; each imports only from itself and those before it. */
const order = [
  "platform",
  "formats",
  "changes",
  "accounts",
  "oauth",
  "meters",
  "trees",
  "series",
  "prices",
  "erasure",
  "invoices",
  "streams",
  "webhooks",
  "exports",
  "imports",
  "collection",
  "completeness",
  "feeds",
  "demo",
  "connectors",
  "connector-kit",
] as const;

/** Second doors of slices, beside `<slice>/<slice>.ts`. */
const moreDoors = new Set([
  "server/src/formats/format.ts",
  "server/src/collection/connector.ts",
  // For tests of connectors: what they yield goes through the engine.
  "server/src/collection/harness.ts",
  "server/src/connectors/all.ts",
]);
const server = "server/src/";

/** The folder of server/src that a file lies in; `""` for the files and commands that put everything together. */
export function sliceOf(path: string): string | undefined {
  if (!path.startsWith(server)) return undefined;
  const [first = "", ...rest] = path.slice(server.length).split("/");
  return rest.length === 0 || first === "commands" ? "" : first;
}

/** Imports go up the list of folders, and through doors. */
export function importRule(tree: Tree): Complaint[] {
  return tree.sources.flatMap((source) =>
    source.imports.flatMap(({ specifier, at }) => {
      const message = wrongImport(source, specifier);
      return message === undefined ? [] : [complaint(source, at, message)];
    }),
  );
}

function wrongImport(source: Source, specifier: string): string | undefined {
  const from = sliceOf(source.path);
  if (!specifier.startsWith(".")) return from === "formats" ? impure(source, specifier) : undefined;
  const target = join(dirname(source.path), specifier);
  const to = sliceOf(target);
  if (to === undefined) return from === undefined || source.isTest ? undefined : outside(source, target);
  if (from === undefined) return strangerImport(source.path, target);
  if (to === from) return undefined;
  if (to !== "" && !order.includes(to as never)) {
    return `${to}/ has no place in the order of folders: add it to tools/tidy/imports.ts`;
  }
  if (!source.isTest && from !== "" && (to === "" || rank(to) > rank(from))) {
    return `${from}/ imports from ${target.slice(server.length)}, which lies above it: let the higher folder push the fact down, or move the code`;
  }
  if (from === "formats" && /^server\/src\/platform\/(db|jobs|clock|deps|migrate)\.ts$/.test(target)) {
    return "formats/ are pure: no database, no clock, no jobs. Take what is needed as a parameter";
  }
  return isOpen(source.path, target, to) ? undefined : `import ${to}/${to}.ts, the door of ${to}/`;
}

function isOpen(from: string, target: string, slice: string): boolean {
  if (slice === "platform" || slice === "") return true;
  const inside = target.slice(server.length + slice.length + 1);
  const mayCompose = from === `${server}app.ts` || /(\.test|\/harness)\.ts$/.test(from);
  if (mayCompose && (inside === "api.ts" || inside === "jobs.ts")) return true;
  return inside === `${slice}.ts` || moreDoors.has(target);
}

const rank = (slice: string) => order.indexOf(slice as never);

/** What `formats/` may use of Node: bytes in, readings out, no input or output of their own. */
function impure(source: Source, specifier: string): string | undefined {
  const isSupport = source.isTest || /\/(harness|cases)\.ts$/.test(source.path);
  if (isSupport || !/^(node:(fs|net|http|https|child_process|worker_threads)|pg)/.test(specifier))
    return undefined;
  return `formats/ are pure and do no input or output: ${specifier} belongs to the caller`;
}

function outside(source: Source, target: string): string | undefined {
  const isSupport = /\/harness\.ts$/.test(source.path) && target.startsWith("test/harness/");
  return isSupport ? undefined : `server/src imports nothing outside of it: ${target}`;
}

/** Portal, command line and acceptance tests are clients like everybody else. */
function strangerImport(path: string, target: string): string | undefined {
  if (!/^(cli|client|portal|simulator|test\/acceptance|examples)\//.test(path)) return undefined;
  return `${path.split("/")[0]} talks to the server over HTTP and does not import ${target}`;
}

/** Files that somebody starts or another package imports: scripts, exports and programs of the packages, vitest. */
function entryPoints(tree: Tree): string[] {
  const manifests = tree.paths.filter((path) => /^(\w+\/)?package\.json$/.test(path));
  const named = manifests.flatMap((path) => {
    const { scripts, exports, bin } = JSON.parse(tree.read(path));
    const texts = [scripts, exports, bin].flatMap((each) =>
      typeof each === "string" ? [each] : Object.values<unknown>(each ?? {}),
    );
    const words = texts.flatMap((text) => String(text).split(" "));
    return words.filter((word) => word.endsWith(".ts")).map((word) => join(dirname(path), word));
  });
  // People run examples, a proof starts servers, and nothing imports them.
  const started = tree.paths.filter((path) => /^(examples\/.*|tools\/proof\/\w+\/serve)\.ts$/.test(path));
  return [...named, ...started, "tools/tidy.ts", "vitest.config.ts", "test/harness/database-setup.ts"];
}

/** Every file is reached from an entry point, and what only tests reach says so by its name. */
export function reachRule(tree: Tree): Complaint[] {
  const known = new Map(tree.sources.map((source) => [source.path, source]));
  const reach = (starts: readonly string[]): Set<string> => {
    const reached = new Set<string>();
    const waiting = [...starts];
    for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
      const source = known.get(path);
      if (source === undefined || reached.has(path)) continue;
      reached.add(path);
      waiting.push(...neighbours(source));
    }
    return reached;
  };
  const tests = tree.sources.filter((source) => source.isTest).map((source) => source.path);
  const used = reach(entryPoints(tree));
  const tested = reach(tests);
  return tree.sources.flatMap((source) => {
    if (used.has(source.path)) return [];
    if (!tested.has(source.path)) {
      return [complaint(source, 0, "nobody imports this file: remove it, or import it where it is needed")];
    }
    const isSupport =
      source.isTest || source.path.startsWith("test/") || /\/(harness|cases)\.ts$/.test(source.path);
    if (isSupport) return [];
    return [complaint(source, 0, "only tests import this file: use it, remove it, or name it harness.ts")];
  });
}

/** Files that a source refers to: by import, or as a worker by `new URL("./x.ts", import.meta.url)`. */
function neighbours(source: Source): string[] {
  const paths = source.imports
    .filter(({ specifier }) => specifier.startsWith("."))
    .map(({ specifier }) => join(dirname(source.path), specifier));
  walk(source.program, (node) => {
    if (node.type !== "NewExpression" || node.callee.name !== "URL") return;
    const [first] = node.arguments;
    if (first?.type === "Literal" && String(first.value).startsWith(".")) {
      paths.push(join(dirname(source.path), String(first.value)));
    }
  });
  return paths;
}
