import type { Command } from "commander";
import { plainCommand } from "./context.ts";

/** `metertree doctor`: looks at everything that a server needs, changes nothing. Exit code 1 when something fails. */
export function registerDoctor(program: Command): void {
  const command = program
    .command("doctor")
    .description("look at everything that the server needs; exit code 1 when something is wrong");
  plainCommand(command, async (config) => {
    const { examine, outcomeOf } = await import("./examine.ts");
    return outcomeOf(await examine(config));
  });
}
