import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type SettingView, settingViews } from "../server/src/config.ts";

/** Where the page lies. */
export const pagePath = fileURLToPath(new URL("../docs/configuration.md", import.meta.url));

const opening = `# Configuration

Every setting is a flag of \`metertree serve\` and an environment variable; a flag beats the variable, the variable
beats the default. All mistakes are told at once when the server starts. Variables that begin with \`METERTREE_\` and
are no setting count as mistakes too.

Secrets have no flag, because lists of processes show flags. Each can be given as a file instead: \`DATABASE_URL_FILE\`
names a file whose content is the value of \`DATABASE_URL\`.

Admin commands (\`metertree account\`, \`metertree backup\` and the others) take the settings marked with ✓ as flags, and
read the same variables. They find the server's data by them.

This page is written by \`npm run docs:configuration\` from \`server/src/config.ts\`.
`;

/** The page about all settings, made from the schema that checks them. */
export function configurationPage(): string {
  const groups = Map.groupBy(settingViews, (view) => view.group);
  const sections = [...groups].map(([group, views]) => `## ${group}\n\n${views.map(settingText).join("\n")}`);
  return [opening, ...sections].join("\n");
}

function settingText(view: SettingView): string {
  const flag =
    view.flagName === null ? "" : `, \`${view.flagName} <${view.value}>\`${view.isForCommands ? " ✓" : ""}`;
  const file = view.isSecret ? `, \`${view.variable}_FILE\`` : "";
  const fallback = view.without ?? `\`${view.defaultText}\``;
  return `**\`${view.variable}\`**${file}${flag}\\\n${view.about}\\\nDefault: ${fallback}.\n`;
}

if (import.meta.main) writeFileSync(pagePath, configurationPage());
