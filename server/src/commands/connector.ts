import type { Command } from "commander";
import type { Connector } from "../collection/connector.ts";
import { Problem } from "../platform/problem.ts";
import { registerConnectorPages } from "./connector-pages.ts";
import type { RecordWords } from "./connector-record.ts";

/** `metertree connector …`: the tools of a connector's author. */
export function registerConnector(program: Command): void {
  const connector = program.command("connector").description("make, test and record connectors");
  connector
    .command("new <name>")
    .description(
      "make the folder of a connector with everything that it needs, and name it in connectors/all.ts",
    )
    .option("--title <text>", "the provider as people know it; the name unless given")
    .option("--country <code>", "ISO 3166 code of a country where it delivers; may be repeated", repeated, [])
    .action(async (name: string, { title = name, country }: { title?: string; country: string[] }) => {
      const { connectorsFolder, newConnector } = await import("../connector-kit/connector-kit.ts");
      try {
        newConnector(connectorsFolder, { name, title, countries: country });
      } catch (error) {
        throw new Problem("invalid", (error as Error).message);
      }
      console.log(`server/src/connectors/${name} is there. Next: metertree connector test ${name}`);
    });
  connector
    .command("test [names...]")
    .description(
      "hold connectors against the contract and play their cases; all unless named; exit code 1 when something is wrong",
    )
    .action(async (names: string[]) => {
      process.exitCode = await testConnectors(names);
    });
  connector
    .command("record <name>")
    .description("run a connector against its provider, and write what was said as a case without secrets")
    .requiredOption("--settings <file>", "JSON with what a customer enters")
    .option("--case <name>", "name of the case", "recorded")
    .option("--about <text>", "what the case shows")
    .option("--days <number>", "days of values to ask for", "2")
    .option("--meters <number>", "meters to ask values of", "2")
    .option("--invoices <number>", "invoices to fetch", "0")
    .option("--zone <zone>", "time zone of meters that say none", "UTC")
    .option("--now <time>", "time of the visit, where it is not that of this machine")
    .option(
      "--hide <text>",
      "a text to hide, beside secrets and what is known to be personal; may be repeated",
      repeated,
      [],
    )
    .option(
      "--keep-binary",
      "keep files that cannot be searched for secrets, such as XLSX and PDF: look into them first",
    )
    .action(async (name: string, words: RecordWords) => {
      const { recordConnector } = await import("./connector-record.ts");
      process.exitCode = await recordConnector((await chosen([name]))[0]!, words);
    });
  registerConnectorPages(connector);
}

const repeated = (value: string, before: string[]) => [...before, value];

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
