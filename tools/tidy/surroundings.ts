import { sliceOf } from "./imports.ts";
import { type Complaint, complaint, type Node, type Source, type Tree, walk } from "./source.ts";

/** Files of server/src outside platform/ that touch the surroundings: they start the process. */
const starters: Readonly<Record<string, RegExp>> = {
  "server/src/config.ts": /^process\.env$/,
  "server/src/database.ts": /^Date\.now$/,
};

const remedies: Readonly<Record<string, string>> = {
  "process.env": "config.ts is the only reader of the environment: add a setting there",
  "Date.now": "take the time from the clock that is handed in (deps.clock)",
  "new Date()": "take the time from the clock that is handed in (deps.clock)",
  "performance.now": "measure in platform/, or take a clock",
  "Math.random": "take randomness from platform/id.ts or platform/token.ts",
  randomBytes: "take randomness from platform/id.ts or platform/token.ts",
  randomUUID: "take randomness from platform/id.ts or platform/token.ts",
  randomInt: "take randomness from platform/id.ts or platform/token.ts",
  fetch: "requests go out through platform/ only, where their address is checked",
  setTimeout: "waiting belongs to platform/: write a door there that says what is waited for",
  setInterval: "repeated work is a job: see platform/jobs.ts",
};

/** Time, chance, environment and network are handed in; only platform/ touches them. */
export function surroundingsRule(tree: Tree): Complaint[] {
  return tree.sources.flatMap((source) => {
    if (!isBound(source)) return [];
    const found: Complaint[] = [];
    walk(source.program, (node, around) => {
      const name = touched(node, around);
      if (name === undefined || starters[source.path]?.test(name)) return;
      found.push(complaint(source, node.start, `${name} outside platform/: ${remedies[name]}`));
    });
    return found;
  });
}

function isBound({ path, isTest }: Source): boolean {
  const slice = sliceOf(path);
  return slice !== undefined && slice !== "platform" && !isTest && !/\/(harness|cases)\.ts$/.test(path);
}

function touched(node: Node, around: readonly Node[]): string | undefined {
  if (node.type === "NewExpression" && node.callee.name === "Date") {
    return node.arguments.length === 0 ? "new Date()" : undefined;
  }
  if (node.type === "MemberExpression") {
    const name = `${node.object.name}.${node.property.name}`;
    if (Object.hasOwn(remedies, name)) return name;
    return node.object.name === "globalThis" ? known(node.property.name) : undefined;
  }
  if (node.type === "ImportSpecifier") {
    const from = around.at(-1)!.source.value;
    return /^node:(crypto|timers)/.test(from) ? known(node.imported.name) : undefined;
  }
  if (node.type === "CallExpression" && node.callee.type === "Identifier") return known(node.callee.name);
  return undefined;
}

const known = (name: string) => (Object.hasOwn(remedies, name) ? name : undefined);

/** Tests wait for what they need, never for time to pass. */
export function sleepRule(tree: Tree): Complaint[] {
  return tree.sources.flatMap((source) => {
    if (!source.isTest && !source.path.startsWith("test/")) return [];
    const found: Complaint[] = [];
    walk(source.program, (node, around) => {
      if (isSleep(node, around)) {
        found.push(
          complaint(source, node.start, "sleep in a test: wait for the condition, or move the test's clock"),
        );
      }
    });
    return found;
  });
}

function isSleep(node: Node, around: readonly Node[]): boolean {
  if (node.type === "ImportDeclaration") return node.source.value === "node:timers/promises";
  if (node.type !== "CallExpression" || node.callee.name !== "setTimeout") return false;
  // `new Promise((resolve) => setTimeout(resolve, ms))`, with or without braces.
  const promise = around.findLast((each) => each.type === "NewExpression");
  const resolve = promise?.callee.name === "Promise" ? promise.arguments[0]?.params?.[0]?.name : undefined;
  return resolve !== undefined && node.arguments[0]?.name === resolve;
}
