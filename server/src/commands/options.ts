import type { Command } from "commander";
import { type Config, type FlagValues, readConfig, type SettingKey, settingViews } from "../config.ts";

/** Adds the flags of the configuration to a command: all of them, or those that say where data and keys are. */
export function addConfigFlags(command: Command, which: "all" | "commands"): Command {
  for (const view of settingViews) {
    if (view.flagName === null || (which === "commands" && view.isForCommands !== true)) continue;
    const fallback = view.without ?? view.defaultText;
    command.option(`${view.flagName} <${view.value}>`, `${view.about} (${view.variable}; ${fallback})`);
  }
  const secrets = settingViews.filter(
    (view) => view.isSecret && (which === "all" || view.group !== "Access"),
  );
  return command.addHelpText(
    "after",
    `\nSecrets are given by the environment, or by a file that <NAME>_FILE names:\n${secrets
      .map((view) => `  ${view.variable.padEnd(24)} ${view.about}`)
      .join("\n")}\n`,
  );
}

/** The configuration that the flags of a command and the environment make. */
export function configOf(options: Record<string, unknown>): Config {
  const flags: FlagValues = {};
  for (const { key } of settingViews) {
    const value = options[key];
    if (typeof value === "string") flags[key as SettingKey] = value;
  }
  return readConfig(flags);
}
