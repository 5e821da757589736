import type { Command } from "commander";
import { type Config, type FlagValues, readConfig, type SettingView, settingViews } from "../config.ts";

/** Which flags a command takes: all of a server, or those that say where data and keys are. */
export type FlagSet = "server" | "commands";

/** Adds the flags of the configuration to a command. */
export function addConfigFlags(command: Command, which: FlagSet): Command {
  for (const view of flagsOf(which)) {
    const fallback = view.without ?? view.defaultText;
    command.option(`${view.flagName} <${view.value}>`, `${view.about} (${view.variable}; ${fallback})`);
  }
  const secrets = settingViews.filter(
    (view) => view.isSecret && (which === "server" || view.group !== "Access"),
  );
  return command.addHelpText(
    "after",
    `\nSecrets are given by the environment, or by a file that <NAME>_FILE names:\n${secrets
      .map((view) => `  ${view.variable.padEnd(24)} ${view.about}`)
      .join("\n")}\n`,
  );
}

function flagsOf(which: FlagSet): SettingView[] {
  return settingViews.filter(
    (view) => view.flagName !== null && (which === "server" || view.isForCommands === true),
  );
}

/** The configuration that the flags of a command and the environment make. */
export function configOf(
  options: Record<string, unknown>,
  which: FlagSet,
  defaults: FlagValues = {},
): Config {
  const flags: FlagValues = {};
  for (const { key } of flagsOf(which)) {
    const value = options[key];
    if (typeof value === "string") flags[key] = value;
  }
  return readConfig(flags, undefined, defaults);
}
