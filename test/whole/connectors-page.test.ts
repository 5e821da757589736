import { spawn } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { scratch } from "../harness/process.ts";
import { freePort } from "../harness/servers/port.ts";

/**
 * The chapter "A connector in an hour" of docs/connectors.md, run in a copy of the repository as it stands there: each
 * `sh` block in order, and each block behind "Save as" is a file.
 */

const root = fileURLToPath(new URL("../..", import.meta.url));
const page = readFileSync(join(root, "docs/connectors.md"), "utf8");
const chapter = /## A connector in an hour\n(.*?)\n## /s.exec(page)![1]!;

interface Step {
  title: string;
  /** Commands, or the path of a file. */
  kind: "run" | "save";
  path: string;
  text: string;
}

const steps = [
  ...chapter.matchAll(/(?:Save as `([^`]+)`:\n\n)?```(\w+)\n([^`]*(?:`[^`\n]+`[^`]*)*?)\n```/g),
].map(([, path = "", language = "", text = ""], i): Step => {
  const kind = language === "sh" ? "run" : "save";
  return { title: `${i + 1}: ${kind === "run" ? text.split("\n")[0] : path}`, kind, path, text };
});

const place = scratch();
const env: Record<string, string> = {
  ...(process.env as Record<string, string>),
  PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
};
let port = 0;
let utility: ReturnType<typeof spawn> | undefined;

beforeAll(async () => {
  for (const name of ["package.json", "tsconfig.json", "biome.json", ".gitignore"]) {
    cpSync(join(root, name), join(place.path, name));
  }
  for (const name of ["server", "cli", "client", "simulator"]) {
    // Tests need more of the repository than there is in the copy.
    const filter = (path: string) => !/(^node_modules|\.test\.ts|^(harness|cases)\.ts)$/.test(basename(path));
    cpSync(join(root, name), join(place.path, name), { recursive: true, filter });
  }
  linkModules();
  port = await freePort();
});
afterAll(() => {
  utility?.kill();
  place.remove();
});

/** The packages of the copy, and all others where they are. */
function linkModules(): void {
  const modules = join(place.path, "node_modules");
  mkdirSync(join(modules, "@metertree"), { recursive: true });
  for (const name of readdirSync(join(root, "node_modules"))) {
    if (name !== "@metertree") symlinkSync(join(root, "node_modules", name), join(modules, name));
  }
  for (const name of ["client", "cli", "server", "simulator"]) {
    symlinkSync(join(place.path, name), join(modules, "@metertree", name));
  }
}

/** Runs commands, and remembers what they export. */
async function run(text: string): Promise<string> {
  for (const [, name, value] of text.matchAll(/^export (\w+)=(.*)$/gm)) env[name!] = value!;
  const child = spawn("bash", ["-ec", text], { cwd: place.path, env });
  let printed = "";
  child.stdout.on("data", (chunk) => (printed += chunk));
  child.stderr.on("data", (chunk) => (printed += chunk));
  const code = await new Promise((resolve) => child.once("close", resolve));
  if (code !== 0) throw new Error(`ended with ${code}:\n${printed}`);
  return printed;
}

/** Starts what goes on in a terminal of its own. */
async function start(text: string): Promise<void> {
  const child = spawn(
    "bash",
    ["-c", `exec ${text.replace("npm run simulator --", "node simulator/src/main.ts")}`],
    {
      cwd: place.path,
      env,
    },
  );
  utility = child;
  await new Promise<void>((resolve, reject) => {
    let said = "";
    const hear = (chunk: Buffer) => {
      said += chunk;
      if (said.includes("Control")) resolve();
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    child.once("close", (code) => reject(new Error(`the utility ended with ${code}: ${said}`)));
  });
}

describe("a connector in an hour", () => {
  let printed = "";

  test.for(steps)("$title", async ({ kind, path, text }) => {
    const here = text.replaceAll("8090", String(port));
    if (kind === "save") {
      mkdirSync(dirname(join(place.path, path)), { recursive: true });
      writeFileSync(join(place.path, path), `${here}\n`);
    } else if (here.startsWith("npm run simulator")) await start(here);
    else printed = await run(here);
  });

  test("ends with a connector that has a grade", () => {
    expect(steps.length).toBeGreaterThan(10);
    expect(printed).toContain("grade: basic");
    expect(printed).not.toContain("WRONG");
  });
});
