import { spawnSync } from "node:child_process";
import type { BrowserSettings } from "../../server/src/platform/deps.ts";
import { testSettings } from "./api.ts";

/** Settings for browsers of tests: without a sandbox where users without rights may not make namespaces for one. */
export function testBrowser(): BrowserSettings {
  const nobody = process.geteuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
  const { status } = spawnSync("unshare", ["--user", "--map-root-user", "true"], nobody);
  return { ...testSettings.browser, sandbox: status === 0 };
}
