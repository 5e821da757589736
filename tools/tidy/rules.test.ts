import { describe, expect, test } from "vitest";
import { importRule, reachRule } from "./imports.ts";
import { contentsRule, endpointRule, linkRule, packageRule, paperRule } from "./project.ts";
import { fileSizeRule, functionSizeRule } from "./sizes.ts";
import { type Complaint, type Tree, treeOf } from "./source.ts";
import { sleepRule, surroundingsRule } from "./surroundings.ts";
import { wordRule } from "./words.ts";

/** What a rule says of one file. */
function saysOf(rule: (tree: Tree) => Complaint[], path: string, text: string): string[] {
  return rule(treeOf({ [path]: text })).map(({ line, message }) => `${line} ${message}`);
}

describe("imports", () => {
  test.for([
    ["server/src/meters/list.ts", "../accounts/accounts.ts"],
    ["server/src/meters/list.ts", "./share.ts"],
    ["server/src/meters/list.ts", "../platform/http/filter.ts"],
    ["server/src/imports/imports.ts", "../formats/format.ts"],
    ["server/src/app.ts", "./meters/api.ts"],
    ["server/src/commands/serve.ts", "../start.ts"],
    ["server/src/series/api.test.ts", "../meters/api.ts"],
    ["server/src/meters/list.test.ts", "../../../test/harness/api.ts"],
    ["test/whole/kill.test.ts", "../../server/src/app.ts"],
  ])("%s may import %s", ([path, specifier]) => {
    expect(saysOf(importRule, path!, `import { a } from "${specifier}";`)).toEqual([]);
  });

  test.for([
    ["server/src/meters/list.ts", "../series/series.ts", "lies above it"],
    ["server/src/meters/list.ts", "../app.ts", "lies above it"],
    ["server/src/meters/list.ts", "../nowhere/nowhere.ts", "no place in the order"],
    ["server/src/series/query.ts", "../meters/list.ts", "import meters/meters.ts"],
    ["server/src/series/query.ts", "../meters/api.ts", "import meters/meters.ts"],
    ["server/src/start.ts", "./meters/api.ts", "import meters/meters.ts"],
    ["server/src/meters/list.ts", "../../../test/harness/api.ts", "nothing outside"],
    ["server/src/formats/csv.ts", "../platform/db.ts", "pure"],
    ["server/src/formats/csv.ts", "node:fs/promises", "pure"],
    ["cli/src/main.ts", "../../server/src/start.ts", "over HTTP"],
    ["test/acceptance/demo.test.ts", "../../server/src/start.ts", "over HTTP"],
  ])("%s may not import %s", ([path, specifier, why]) => {
    const said = saysOf(importRule, path!, `\nimport { a } from "${specifier}";`);
    expect(said).toEqual([expect.stringContaining(why!)]);
    expect(said[0]).toMatch(/^2 /);
  });

  test("exports from and import() count too", () => {
    expect(
      saysOf(importRule, "server/src/meters/meters.ts", 'export { a } from "../series/series.ts";'),
    ).toHaveLength(1);
    expect(saysOf(importRule, "server/src/meters/a.ts", 'await import("../series/series.ts");')).toHaveLength(
      1,
    );
  });
});

test("every file is reached from an entry point; tests reach only tests and their support", () => {
  const tree = treeOf({
    "package.json": '{"scripts": {"start": "node cli/src/main.ts serve"}}',
    "client/package.json": '{"exports": {".": "./src/client.ts"}}',
    "client/src/client.ts": "",
    "cli/src/main.ts": 'await import("./program.ts"); new Worker(new URL("./worker.ts", import.meta.url));',
    "cli/src/program.ts": "export const a = 1;",
    "cli/src/worker.ts": "",
    "cli/src/forgotten.ts": "",
    "cli/src/program.test.ts": 'import "./only-tested.ts"; import "./harness.ts";',
    "cli/src/only-tested.ts": "",
    "cli/src/harness.ts": "",
  });
  const said = reachRule(tree).map(({ path, message }) => `${path} ${message}`);
  expect(said).toEqual([
    expect.stringMatching(/forgotten.ts nobody/),
    expect.stringMatching(/only-tested.ts only tests/),
  ]);
});

describe("surroundings", () => {
  test.for([
    "const a = Date.now();",
    "const a = new Date();",
    "const a = process.env.HOME;",
    "const a = Math.random();",
    "await fetch(url);",
    "await globalThis.fetch(url);",
    'import { randomBytes } from "node:crypto";',
    'import { setTimeout as delay } from "node:timers/promises";',
    "await new Promise((resolve) => setTimeout(resolve, 10));",
    "const at = performance.now();",
  ])("%s belongs to platform/", (text) => {
    expect(saysOf(surroundingsRule, "server/src/meters/a.ts", text)).toHaveLength(1);
    expect(saysOf(surroundingsRule, "server/src/platform/a.ts", text)).toEqual([]);
  });

  test.for(["new Date(now);", "clock.now();", 'import { createHash } from "node:crypto";', "list.fetch(1);"])(
    "%s is fine everywhere",
    (text) => {
      expect(saysOf(surroundingsRule, "server/src/meters/a.ts", text)).toEqual([]);
    },
  );

  test("config.ts reads the environment, and nothing else of the surroundings", () => {
    expect(saysOf(surroundingsRule, "server/src/config.ts", "process.env;")).toEqual([]);
    expect(saysOf(surroundingsRule, "server/src/config.ts", "Date.now();")).toHaveLength(1);
  });

  test.for([
    "await new Promise((resolve) => setTimeout(resolve, 10));",
    "await new Promise((done) => { setTimeout(done, 10); });",
    'import { setTimeout as delay } from "node:timers/promises";',
  ])("tests do not sleep: %s", (text) => {
    expect(saysOf(sleepRule, "server/src/meters/a.test.ts", text)).toHaveLength(1);
    expect(saysOf(sleepRule, "server/src/meters/a.ts", text)).toEqual([]);
  });

  test("a deadline is no sleep", () => {
    const text = "const timer = setTimeout(() => child.kill(), 5000);";
    expect(saysOf(sleepRule, "test/harness/server.ts", text)).toEqual([]);
  });
});

describe("sizes", () => {
  const long = (lines: number) => `export function long() {\n${"  step();\n".repeat(lines - 2)}}\n`;

  test("functions have 70 lines at most", () => {
    const short = treeOf({ "a.ts": long(70) });
    expect(functionSizeRule(short, {})).toEqual([]);
    const tall = treeOf({ "a.ts": long(71) });
    expect(functionSizeRule(tall, {})).toMatchObject([
      { line: 1, message: expect.stringContaining("long has 71") },
    ]);
  });

  test("what is too long already may only shrink, and its number follows", () => {
    const tree = treeOf({ "a.ts": long(90) });
    expect(functionSizeRule(tree, { "a.ts#long": 90 })).toEqual([]);
    expect(functionSizeRule(tree, { "a.ts#long": 89 })).toMatchObject([
      { message: expect.stringContaining("grew") },
    ]);
    expect(functionSizeRule(tree, { "a.ts#long": 91 })).toMatchObject([
      { message: expect.stringContaining("shrank") },
    ]);
    const gone = functionSizeRule(treeOf({ "a.ts": long(9) }), { "a.ts#long": 90 });
    expect(gone).toMatchObject([{ message: expect.stringContaining("remove its line") }]);
  });

  test("cases below one subject are functions of their own", () => {
    const cases = `describe("a", () => {\n${'  test("b", () => {\n  });\n'.repeat(50)}});\n`;
    expect(functionSizeRule(treeOf({ "a.test.ts": cases }), {})).toEqual([]);
    expect(functionSizeRule(treeOf({ "a.ts": cases }), {})).toHaveLength(1);
  });

  test("files have 600 lines at most", () => {
    expect(fileSizeRule(treeOf({ "a.ts": "step();\n".repeat(600) }))).toEqual([]);
    expect(fileSizeRule(treeOf({ "client/generated/a.ts": "step();\n".repeat(601) }))).toEqual([]);
    expect(fileSizeRule(treeOf({ "a.ts": "step();\n".repeat(601) }))).toHaveLength(1);
  });
});

describe("words", () => {
  const later = "TO" + "DO";
  const home = "/ho" + "me";

  test("what is left undone names its issue", () => {
    expect(saysOf(wordRule, "a.ts", `\n// ${later}: later`)).toEqual([
      expect.stringMatching(/^2 .*without the number/),
    ]);
    expect(saysOf(wordRule, "a.ts", `// ${later} #12: later`)).toEqual([]);
  });

  test("no path of one machine", () => {
    expect(saysOf(wordRule, "docs/a.md", `see ${home}/ann/notes`)).toHaveLength(1);
    expect(saysOf(wordRule, "docs/a.md", `see https://example.test${home}/ann and ~${home}/x`)).toEqual([]);
    expect(saysOf(wordRule, "server/cases/a/input.xml", `${home}/ann`)).toEqual([]);
  });
});

describe("the project", () => {
  const contents = (names: string) =>
    `import { ${names} } from "./x/api.ts"; export const endpoints = [...${names}];`;

  test("app.ts names what slices offer", () => {
    const files = {
      "server/src/app.ts": contents("meterEndpoints"),
      "server/src/meters/api.ts": "export const meterEndpoints = [];",
    };
    expect(contentsRule(treeOf(files))).toEqual([]);
    const more = { ...files, "server/src/trees/api.ts": "export const treeEndpoints = [];" };
    expect(contentsRule(treeOf(more))).toMatchObject([
      { message: expect.stringContaining("treeEndpoints is missing") },
    ]);
    const jobs = {
      "server/src/app.ts": contents("treeJobs"),
      "server/src/trees/trees.ts":
        "export const prune: JobKind = {}; export const treeJobs: readonly JobKind[] = [prune];",
    };
    expect(contentsRule(treeOf(jobs))).toEqual([]);
    const imported = {
      "server/src/app.ts": 'import { treeEndpoints } from "./trees/api.ts";',
      "server/src/trees/api.ts": "export const treeEndpoints = [];",
    };
    expect(contentsRule(treeOf(imported))).toHaveLength(1);
    const job = { "server/src/trees/tidy.ts": "export const prune: JobKind = { name: 'prune' };" };
    expect(contentsRule(treeOf({ ...files, ...job }))).toMatchObject([
      { message: expect.stringContaining("prune") },
    ]);
  });

  test("an endpoint stands in a list", () => {
    const text =
      'const list = endpoint({}); const get = endpoint({ path: "/a" }); export const all = [list];';
    expect(endpointRule(treeOf({ "server/src/a/api.ts": text }))).toMatchObject([
      { message: expect.stringContaining("get is in no list") },
    ]);
  });

  test("links lead to files and headings that exist", () => {
    const tree = treeOf({
      "README.md":
        "# Top\n[a](docs/a.md#the-first) [b](docs/b.md) [c](docs/a.md#none) [d](#top) [e](https://x.test/y) [f](docs/)",
      "docs/a.md": "## The first!",
    });
    expect(linkRule(tree).map(({ message }) => message)).toEqual([
      "the link docs/b.md leads nowhere",
      "docs/a.md has no heading #none",
    ]);
  });

  test("the changelog has a place for what is coming", () => {
    const changelog = (text: string) =>
      paperRule(treeOf({ "CHANGELOG.md": text })).filter(({ path }) => path === "CHANGELOG.md");
    expect(changelog("# Changelog\n\n## Unreleased\n")).toEqual([]);
    expect(changelog("# Changelog\n\n## 1.0.0\n")).toHaveLength(1);
  });

  test("versions are exact, locked with a hash, and bring no scripts", () => {
    const said = (manifest: object, packages: object) =>
      packageRule(
        treeOf({
          "package.json": JSON.stringify(manifest),
          "package-lock.json": JSON.stringify({ packages }),
        }),
      );
    const integrity = "sha512-x";
    expect(said({ dependencies: { pg: "8.23.1" } }, { "node_modules/pg": { integrity } })).toEqual([]);
    expect(said({ dependencies: { pg: "^8.23.1" } }, {})).toHaveLength(1);
    expect(said({}, { "node_modules/pg": {} })).toHaveLength(1);
    expect(
      said({}, { "node_modules/pg": { integrity, resolved: "https://elsewhere.test/pg.tgz" } }),
    ).toHaveLength(1);
    expect(said({}, { "node_modules/pg": { integrity, hasInstallScript: true } })).toHaveLength(1);
    const optional = (node: string) => ({
      "node_modules/pg": { integrity, optional: true, engines: { node } },
    });
    expect(said({}, optional(">=22"))).toHaveLength(1);
    expect(said({}, optional("^20.19 || >=22.12"))).toEqual([]);
    const wrapper = { integrity, optionalDependencies: { "@x/linux": "1.0.0", "@x/mac": "1.0.0" } };
    expect(said({}, { "node_modules/x": wrapper, "node_modules/@x/linux": { integrity } })).toMatchObject([
      { message: expect.stringContaining("wants @x/mac") },
    ]);
  });
});
