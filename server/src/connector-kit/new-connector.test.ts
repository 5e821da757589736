import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { connectorsFolder } from "./connector-kit.ts";
import { newConnector } from "./new-connector.ts";

const folder = mkdtempSync(join(tmpdir(), "metertree-connectors-"));
afterAll(() => rmSync(folder, { recursive: true }));
const all = join(folder, "all.ts");

const listOf = (names: readonly string[]) =>
  [
    `import type { Connector } from "../collection/connector.ts";`,
    ...names.map((name) => `import { ${name} } from "./${name}/connector.ts";`),
    "",
    "/** Every provider. */",
    `export const connectors: readonly Connector[] = [${names.join(", ")}];`,
    "",
  ].join("\n");

test("a new connector stands in its folder under its name, and in the list at its place", () => {
  writeFileSync(all, listOf(["alfa", "zeta"]));
  newConnector(folder, { name: "north-wind", title: 'Nord "Vind" & $& AB', countries: ["NO", "SE"] });
  expect(readFileSync(all, "utf8")).toBe(
    listOf(["alfa", "northWind", "zeta"])
      .replace("./northWind/", "./north-wind/")
      .replace("northWind, zeta]", "zeta, northWind]"),
  );
  const written = readFileSync(join(folder, "north-wind/connector.ts"), "utf8");
  expect(written).toContain('title: "Nord \\"Vind\\" & $& AB",\n  countries: ["NO", "SE"],');
  expect(written).toContain("export const northWind = connector({");
  expect(written).not.toMatch(/example-name|exampleName|Example Name/);
  expect(readFileSync(join(folder, "north-wind/README.md"), "utf8")).toContain("# north-wind");
});

test("a list that gets longer than a line is broken as the project formats it", () => {
  const many = Array.from({ length: 9 }, (_, i) => `provider${i}x`);
  writeFileSync(all, listOf(many));
  newConnector(folder, { name: "another", title: "Another", countries: [] });
  expect(readFileSync(all, "utf8")).toContain(
    `Connector[] = [\n${[...many, "another"].map((name) => `  ${name},\n`).join("")}];\n`,
  );
});

test("the list of this project can take one more", () => {
  cpSync(join(connectorsFolder, "all.ts"), all);
  newConnector(folder, { name: "zz-top", title: "ZZ", countries: [] });
  const text = readFileSync(all, "utf8");
  expect(text).toContain('import { zzTop } from "./zz-top/connector.ts";\n');
  expect(text).toMatch(/Connector\[\] = \[[^\]]*\bzzTop\b/);
});

test.each([
  ["Two Words", "words in lower case"],
  ["../out", "words in lower case"],
  ["zz-top", "there is a folder zz-top"],
])("%s is refused", (name, message) => {
  expect(() => newConnector(folder, { name, title: "x", countries: [] })).toThrow(message);
});
