import type { Command } from "commander";
import type { Connector } from "../collection/connector.ts";
import { Problem } from "../platform/problem.ts";

/** `metertree connector …`: the tools of a connector's author. */
export function registerConnector(program: Command): void {
  const connector = program.command("connector").description("make, test and record connectors");
  connector
    .command("test [names...]")
    .description(
      "hold connectors against the contract and play their cases; all unless named; exit code 1 when something is wrong",
    )
    .action(async (names: string[]) => {
      process.exitCode = await testConnectors(names);
    });
}

async function testConnectors(names: readonly string[]): Promise<number> {
  const { checkConnector, folderOf, gradeOf, readQuality } = await import(
    "../connector-kit/connector-kit.ts"
  );
  let isGood = true;
  for (const connector of await chosen(names)) {
    const folder = folderOf(connector.name);
    console.log(connector.name);
    const checks = await checkConnector(connector, folder);
    for (const { name, problems } of checks) {
      console.log(`  ${problems.length === 0 ? "ok    " : "WRONG "} ${name}`);
      for (const problem of problems) console.log(problem.replace(/^/gm, "         "));
    }
    const isWhole = checks.every(({ problems }) => problems.length === 0);
    if (isWhole) console.log(`  grade: ${gradeOf(readQuality(folder)) ?? "none yet"}`);
    isGood &&= isWhole;
  }
  return isGood ? 0 : 1;
}

/** The connectors of these names; all for none. */
async function chosen(names: readonly string[]): Promise<readonly Connector[]> {
  const { connectors } = await import("../connectors/all.ts");
  const unknown = names.find((name) => connectors.every((each) => each.name !== name));
  if (unknown !== undefined) {
    throw new Problem("not_found", `There is no connector ${unknown} in connectors/all.ts.`);
  }
  return names.length === 0 ? connectors : connectors.filter((each) => names.includes(each.name));
}
