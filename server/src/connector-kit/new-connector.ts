import { cpSync, existsSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const skeleton = fileURLToPath(new URL("./skeleton", import.meta.url));
const lineCharsMax = 110;

export interface NewConnector {
  /** Words joined by dashes. */
  name: string;
  /** The provider as people know it. */
  title: string;
  /** ISO 3166 codes. */
  countries: readonly string[];
}

/**
 * Makes the folder of a connector in `connectors` from the skeleton, and names it in `all.ts`.
 * @throws Error that says what is wrong with the name
 */
export function newConnector(connectors: string, { name, title, countries }: NewConnector): void {
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name)) {
    throw new Error(`${name} is no name of a connector: use words in lower case, joined by dashes`);
  }
  const folder = join(connectors, name);
  if (existsSync(folder)) throw new Error(`there is a folder ${name} in connectors already`);
  const variable = name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
  const list = countries.map((code) => JSON.stringify(code)).join(", ");
  cpSync(skeleton, folder, { recursive: true });
  renameSync(join(folder, "connector.ts.txt"), join(folder, "connector.ts"));
  for (const file of filesIn(folder)) {
    const text = readFileSync(file, "utf8")
      .replaceAll('title: "Example Name"', () => `title: ${JSON.stringify(title)}`)
      .replaceAll("Example Name", () => title)
      .replaceAll("example-name", name)
      .replaceAll("exampleName", variable)
      .replace("countries: []", `countries: [${list}]`);
    writeFileSync(file, text);
  }
  const all = join(connectors, "all.ts");
  writeFileSync(all, withConnector(readFileSync(all, "utf8"), { name, variable }));
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((file) => join(folder, file))
    .filter((file) => statSync(file).isFile());
}

/** `all.ts` with one more connector, formatted as the project is. */
function withConnector(text: string, { name, variable }: { name: string; variable: string }): string {
  const [before = "", items = ""] = /^(.*Connector\[\] = )\[([^\]]*)\];/ms.exec(text)?.slice(1) ?? [];
  if (before === "") throw new Error("connectors/all.ts has no list of connectors");
  const isEarlier = ([, path = ""]: RegExpMatchArray) =>
    !path.startsWith("./") || path < `./${name}/connector.ts`;
  const imports = [...before.matchAll(/^import [^;]* from "([^"]*)";\n/gm)].filter(isEarlier);
  const at = imports.reduce((end, found) => Math.max(end, found.index + found[0].length), 0);
  const head = `${before.slice(0, at)}import { ${variable} } from "./${name}/connector.ts";\n${before.slice(at)}`;
  const names = [
    ...items
      .split(",")
      .map((item) => item.trim())
      .filter(Boolean),
    variable,
  ];
  const flat = `[${names.join(", ")}];`;
  const isShort = head.length - head.lastIndexOf("\n") - 1 + flat.length <= lineCharsMax;
  return `${head}${isShort ? flat : `[\n${names.map((each) => `  ${each},\n`).join("")}];`}\n`;
}
